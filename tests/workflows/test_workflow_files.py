"""What every folder under workflows/ promises: definitions that parse, functions that exist, sample input."""

import importlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from etl_runner.asl.parse import lint
from etl_runner.config.configuration import Config
from etl_runner.config.load import load_config
from etl_runner.schedule.due import tick_sample
from etl_runner.schedule.expressions import parse_expression
from etl_runner.schedule.patterns import compile_pattern

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "workflows").glob("*/functions.yaml"))
DEFINITIONS = sorted(path for folder in FOLDERS for path in folder.glob("*.asl.json"))
LAMBDA = re.compile(r"arn:aws:lambda:us-east-1:123456789012:function:([\w-]+)")


def functions_of(folder: Path) -> dict[str, Any]:
    return dict(YAML(typ="safe").load((folder / "functions.yaml").read_text())["functions"])


def states_of(node: Any) -> list[dict[str, Any]]:
    """Every object that looks like a state, at any depth."""
    match node:
        case dict():
            own = [node] if "Type" in node else []
            return own + [state for value in node.values() for state in states_of(value)]
        case list():
            return [state for value in node for state in states_of(value)]
        case _:
            return []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_workflow_has_a_readme_a_machine_and_sample_input(folder: Path) -> None:
    assert (folder / "README.md").is_file()
    assert (folder / "workflow.asl.json").is_file()
    assert isinstance(json.loads((folder / "input.json").read_text()), dict)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_bound_function_can_be_called(folder: Path) -> None:
    for name, binding in functions_of(folder).items():
        module, attribute = binding["handler"].rsplit(".", 1)
        handler = getattr(importlib.import_module(f"workflows.{folder.name}.{module}"), attribute)
        assert callable(handler), name


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_machines_call_the_functions_that_are_bound_and_no_others(folder: Path) -> None:
    called = {name for path in folder.glob("*.asl.json") for name in LAMBDA.findall(path.read_text())}

    assert called == set(functions_of(folder))


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_state_waits_longer_than_its_function_may_run(definition: Path) -> None:
    bound = functions_of(definition.parent)
    for state in states_of(json.loads(definition.read_text())):
        if found := LAMBDA.fullmatch(state.get("Resource", "")):
            assert state["TimeoutSeconds"] > bound[found[1]]["timeout_seconds"], found[1]


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_machine_is_one_that_aws_would_take(definition: Path) -> None:
    faults = lint(definition.read_text(), file=definition.name, yaml=False)

    assert [str(fault) for fault in faults if fault.severity == "error"] == []


@pytest.fixture(scope="module")
def shipped() -> Config:
    """Everything that the repository ships, read as the daemon reads it."""
    return load_config(
        ROOT / "config",
        ROOT / "workflows",
        check_expression=parse_expression,
        check_pattern=compile_pattern,
        check_resource=lambda _resource: None,
        tick_sample=tick_sample,
    )


def fires(config: Config, name: str, after: str, times: int) -> list[str]:
    """The next ticks of a schedule in UTC, after a moment in UTC."""
    schedule = config.schedules[name]
    expression = parse_expression(schedule.expression, schedule.timezone)
    at: int | None = int(datetime.fromisoformat(after).replace(tzinfo=UTC).timestamp() * 1000)
    found = []
    for _ in range(times):
        assert at is not None
        at = expression.next_after(at)
        assert at is not None
        found.append(datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M"))
    return found


def test_every_trigger_leads_to_a_machine_that_is_there(shipped: Config) -> None:
    led_to = {schedule.workflow for schedule in shipped.schedules.values()}
    led_to |= {rule.workflow for rule in shipped.rules.values()}

    assert led_to == set(shipped.workflows)
    assert len(shipped.schedules) == 8


def test_the_home_delivery_list_is_made_at_seven_in_london_summer_and_winter(shipped: Config) -> None:
    friday_before_the_clocks_go_back = "2026-10-23T00:00"

    assert fires(shipped, "home-delivery-1", friday_before_the_clocks_go_back, 2) == [
        "2026-10-23T06:00",
        "2026-10-26T07:00",
    ]


def test_the_daily_import_runs_at_four_in_berlin_and_the_volumes_are_saved_on_sundays(
    shipped: Config,
) -> None:
    assert fires(shipped, "daily-import", "2026-07-01T12:00", 1) == ["2026-07-02T02:00"]
    assert fires(shipped, "ebs-weekly-create", "2026-11-23T00:00", 2) == [
        "2026-11-29T03:00",
        "2026-12-06T03:00",
    ]


@pytest.mark.parametrize(
    ("detail", "rules"),
    [
        ({"event": "createSnapshot", "result": "succeeded"}, {"ebs-snapshot-created"}),
        ({"event": "createSnapshots", "result": "succeeded"}, {"ebs-snapshot-created"}),
        ({"event": "copySnapshot", "result": "succeeded"}, {"ebs-snapshot-copied"}),
        ({"event": "createSnapshot", "result": "failed"}, set()),
        ({"event": "deleteSnapshot", "result": "succeeded"}, set()),
    ],
)
def test_only_snapshots_that_succeeded_start_a_rotation(
    shipped: Config, detail: dict[str, str], rules: set[str]
) -> None:
    event = {"source": "aws.ec2", "detail-type": "EBS Snapshot Notification", "detail": detail}
    matching = {name for name, rule in shipped.rules.items() if compile_pattern(rule.pattern).matches(event)}

    assert matching == rules
