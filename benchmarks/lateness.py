"""How late schedules fire: 100 of them at one-second rate on the real service, engine and SQLite store.

    python benchmarks/lateness.py [--schedules 100] [--seconds 30] [--store FOLDER]

Prints one line of JSON, times in milliseconds after the due moment: `handed_over_ms` when the service asked
for the execution, `committed_ms` when the execution and the tick's row were on the disk.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from etl_runner.arn import state_machine_arn
from etl_runner.clock import SystemClock
from etl_runner.engine.engine import Engine
from etl_runner.engine.launch import Launch
from etl_runner.engine.workflows import Workflows
from etl_runner.schedule.expressions import parse_expression
from etl_runner.schedule.launcher import Row
from etl_runner.schedule.service import ScheduleService, ScheduleSpec
from etl_runner.store.ledger import Ledger
from etl_runner.store.store import Store
from etl_runner.tasks.contract import Invocation, Sink

PASS_ONLY = '{"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": true}}}'


class NoTasks:
    """An invoker for workflows without tasks."""

    def accepts(self, resource: str) -> str | None:
        """Nothing can be invoked."""
        return f"{resource} cannot be invoked here"

    def start(self, invocation: Invocation, sink: Sink) -> None:
        """Nobody calls it."""
        raise NotImplementedError

    def cancel(self, token: str) -> None:
        """Nothing to do."""

    def close(self, grace_s: float) -> None:
        """Nothing to do."""


class Watched(Launch):
    """The launcher, taking the time of each launch and of its commit. All times in nanoseconds."""

    def __init__(self, engine: Engine, workflows: Workflows) -> None:
        super().__init__(engine, workflows)
        self.handed_over: list[float] = []
        self.committed: list[float] = []

    def launch(self, *, tick: Row | None = None, **fields: Any) -> "Future[Any]":
        """Launch, and note how late that is."""
        assert tick is not None
        due_ms = tick["due_ms"]
        self.handed_over.append(time.time() * 1000 - due_ms)
        future = super().launch(tick=tick, **fields)
        future.add_done_callback(lambda _: self.committed.append(time.time() * 1000 - due_ms))
        return future


def percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    last = len(ordered) - 1
    return {name: round(ordered[round(last * share)], 1) for name, share in at.items()}


def run(folder: Path, schedules: int, seconds: int) -> dict[str, Any]:
    store = Store(folder / "lateness.db")
    clock = SystemClock()
    engine = Engine(store=store, invoker=NoTasks(), clock=clock)
    workflows = Workflows(store, clock)
    workflows.apply([("noop", state_machine_arn("noop"), PASS_ONLY, False, "noop.asl.json")])
    launcher = Watched(engine, workflows)
    service = ScheduleService(store, launcher, clock)
    expression = parse_expression("rate(1 second)")
    engine.open()
    service.apply(
        ScheduleSpec(name=f"every-second-{number:04d}", expression=expression, workflow="noop")
        for number in range(schedules)
    )
    start_ms = clock.now_ms()
    service.open()
    time.sleep(seconds + 0.5)
    service.close()
    end_ms = clock.now_ms()
    engine.close(10)
    rows = Ledger(store).ticks(limit=schedules * (seconds + 10))
    outcomes = {row.outcome for row in rows}
    cpu = resource.getrusage(resource.RUSAGE_SELF)
    store.close()
    return {
        "benchmark": "lateness",
        "schedules": schedules,
        "seconds": seconds,
        "ticks_expected_at_least": schedules * ((end_ms - start_ms) // 1000 - 1),
        "ticks": len(rows),
        "started": sum(row.outcome == "started" for row in rows),
        "missed": sum(row.outcome == "missed" for row in rows),
        "outcomes": sorted(outcomes),
        "handed_over_ms": percentiles(launcher.handed_over),
        "committed_ms": percentiles(launcher.committed),
        "commits": engine.turns,
        "cpu_s": round(cpu.ru_utime + cpu.ru_stime, 2),
        "peak_rss_mb": round(cpu.ru_maxrss / 1024, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--schedules", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--store", type=Path, help="a folder on the disk to be measured")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.store) as folder:
        figures = run(Path(folder), arguments.schedules, arguments.seconds)
    print(json.dumps(figures))
    if figures["ticks"] < figures["ticks_expected_at_least"]:
        sys.exit("some ticks have no row")


if __name__ == "__main__":
    main()
