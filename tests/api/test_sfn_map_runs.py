"""Map runs over Step Functions' API."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.api.sfn_stage import Served, refusal, serving, told
from tests.engine.harness import PASS, distributed, echo, fail, never

ITEMS = '{"items": [1, 2, 3, 4, 5]}'


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("map-runs")) as served:
        yield served


def spread(api: Served, **fields: Any) -> str:
    return api.machine(distributed({"StartAt": "Item", "States": {"Item": PASS}}, **fields))


def run_of(api: Served, execution: str) -> str:
    (run,) = api.sfn.list_map_runs(executionArn=execution)["mapRuns"]
    return str(run["mapRunArn"])


def test_a_map_run_is_listed_and_described(api: Served) -> None:
    machine = spread(api, Label="Spread", MaxConcurrency=2, ToleratedFailureCount=1)
    execution = api.run(machine, input=ITEMS)["executionArn"]
    (listed,) = told(api.sfn.list_map_runs(executionArn=execution))["mapRuns"]
    described = told(api.sfn.describe_map_run(mapRunArn=listed["mapRunArn"]))
    times = [listed.pop("startDate"), listed.pop("stopDate")]
    counts = {
        "pending": 0, "running": 0, "succeeded": 5, "failed": 0, "timedOut": 0, "aborted": 0,
        "total": 5, "resultsWritten": 5,
    }  # fmt: skip

    assert listed == {
        "executionArn": execution,
        "mapRunArn": listed["mapRunArn"],
        "stateMachineArn": f"{machine}/Spread",
    }
    assert [described.pop("startDate"), described.pop("stopDate")] == times
    assert all(isinstance(at, datetime) for at in times)
    assert described == {
        "executionArn": execution,
        "mapRunArn": listed["mapRunArn"],
        "status": "SUCCEEDED",
        "maxConcurrency": 2,
        "toleratedFailureCount": 1,
        "toleratedFailurePercentage": 0.0,
        "itemCounts": counts,
        "executionCounts": counts,
    }


def test_items_are_counted_beside_the_children_that_hold_them(api: Served) -> None:
    execution = api.run(spread(api, ItemBatcher={"MaxItemsPerBatch": 2}), input=ITEMS)["executionArn"]
    run = run_of(api, execution)
    described = api.sfn.describe_map_run(mapRunArn=run)
    children = api.sfn.list_executions(mapRunArn=run)["executions"]

    assert (described["itemCounts"]["total"], described["executionCounts"]["total"]) == (5, 3)
    assert sorted(child["itemCount"] for child in children) == [1, 2, 2]


def test_children_of_a_map_run_are_listed_and_say_where_they_belong(api: Served) -> None:
    api.stage.script.behaviours["Item"] = fail("Broken")
    execution = api.run(api.machine(distributed(Label="Here", ToleratedFailurePercentage=100)), input=ITEMS)
    run = run_of(api, execution["executionArn"])
    page = api.sfn.list_executions(mapRunArn=run, statusFilter="FAILED", maxResults=3)
    rest = api.sfn.list_executions(mapRunArn=run, statusFilter="FAILED", nextToken=page["nextToken"])
    child = page["executions"][0]
    described = api.described(child["executionArn"])

    assert (len(page["executions"]), len(rest["executions"])) == (3, 2)
    assert child["mapRunArn"] == described["mapRunArn"] == run
    assert described["redriveStatus"] == "REDRIVABLE_BY_MAP_RUN"
    assert (
        refusal(api.sfn.redrive_execution, executionArn=child["executionArn"])[0] == "ExecutionNotRedrivable"
    )


def test_the_bounds_of_a_map_run_change_while_it_runs_and_not_afterwards(api: Served) -> None:
    api.stage.script.behaviours["Item"] = never
    execution = api.start(api.machine(distributed(MaxConcurrency=1)), input=ITEMS)
    run = run_of(api, execution)
    changed = told(api.sfn.update_map_run(mapRunArn=run, maxConcurrency=4, toleratedFailurePercentage=50.0))
    described = api.sfn.describe_map_run(mapRunArn=run)
    api.sfn.stop_execution(executionArn=execution)
    refused = refusal(api.sfn.update_map_run, mapRunArn=run, maxConcurrency=1)
    api.stage.script.behaviours["Item"] = echo

    assert changed == {}
    assert (described["status"], described["maxConcurrency"]) == ("RUNNING", 4)
    assert described["toleratedFailurePercentage"] == 50.0
    assert refused == ("ValidationException", f"Map Run already completed: '{run}'")


def test_what_is_no_map_run_is_refused(api: Served) -> None:
    missing = "arn:aws:states:us-east-1:123456789012:mapRun:m/L:1"

    for call in (api.sfn.describe_map_run, api.sfn.update_map_run):
        assert refusal(call, mapRunArn=missing) == ("ResourceNotFound", f"Resource not found: '{missing}'")
        assert refusal(call, mapRunArn="nonsense") == (
            "InvalidArn",
            "Invalid Arn: 'Invalid ARN prefix: nonsense'",
        )
