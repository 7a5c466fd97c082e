"""What can be said of files without a service: is the configuration right, and when would it fire."""

import heapq
from pathlib import Path

from etl_runner.aws import AwsAccess
from etl_runner.clock import to_iso
from etl_runner.config.configuration import Config, Schedule
from etl_runner.config.load import load_config
from etl_runner.errors import NotFound
from etl_runner.jsontypes import Json
from etl_runner.schedule.due import tick_sample
from etl_runner.schedule.expressions import parse_expression
from etl_runner.schedule.patterns import compile_pattern
from etl_runner.settings import load_settings
from etl_runner.tasks.services import Services


def read_config(config_dir: Path, workflows_dir: Path, settings_dir: Path | None = None) -> Config:
    """The configuration as the service would take it over. Raises ConfigError with all faults.

    Settings (account, region and limits) are those of `settings_dir`, by default of `config_dir`.
    """
    settings = load_settings(settings_dir or config_dir)
    services = Services(AwsAccess(), threads=1)

    return load_config(
        config_dir,
        workflows_dir,
        check_expression=parse_expression,
        check_pattern=compile_pattern,
        check_resource=services.accepts,
        tick_sample=tick_sample,
        account=settings.account,
        region=settings.region,
        functions_in_aws=settings.tasks.functions_in_aws,
        bounds=settings.bounds().bounds,
    )


def next_ticks(
    config_dir: Path, workflows_dir: Path, name: str | None, count: int, after_ms: int
) -> list[Json]:
    """The next ticks after a moment, soonest first, as the service shows them; pauses are not known here.

    Raises ConfigError and NotFound.
    """
    schedules = read_config(config_dir, workflows_dir).schedules
    if name is not None and name not in schedules:
        names = ", ".join(sorted(schedules)) or "none"
        raise NotFound(f"there is no schedule {name!r} in {config_dir}; there are: {names}")
    wanted = [each for each in schedules.values() if each.enabled and name in {None, each.name}]
    heap = [(due_ms, each.name) for each in wanted if (due_ms := _next(each, after_ms)) is not None]
    heapq.heapify(heap)
    found: list[Json] = []
    while heap and len(found) < count:
        due_ms, schedule = heap[0]
        found.append({"schedule": schedule, "due": to_iso(due_ms), "paused": False})
        following = _next(schedules[schedule], due_ms)
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (following, schedule))
    return found


def _next(schedule: Schedule, after_ms: int) -> int | None:
    expression = parse_expression(schedule.expression, schedule.timezone, start_ms=schedule.start_ms)
    due_ms = expression.next_after(after_ms)
    late = due_ms is not None and schedule.end_ms is not None and due_ms > schedule.end_ms
    return None if late else due_ms
