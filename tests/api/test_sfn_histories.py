"""Histories over Step Functions' API: whole, in pages, backwards, without data; and their keeping."""

from collections.abc import Iterator
from typing import Any

import pytest

from etl_runner.api.sfn.histories import Histories
from etl_runner.api.sfn.paging import make_token
from etl_runner.store.reads import Reads
from tests.api.sfn_stage import Served, refusal, serving
from tests.engine.harness import PASS, TASK, never, single

TWO = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "End": True}}}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("histories")) as served:
        yield served


@pytest.fixture(scope="module")
def ended(api: Served) -> str:
    return str(api.run(api.machine(TWO), input='{"a": 1}')["executionArn"])


def pages(api: Served, execution: str, size: int, **fields: Any) -> list[list[int]]:
    found: list[list[int]] = []
    while True:
        answer = api.sfn.get_execution_history(executionArn=execution, maxResults=size, **fields)
        found.append([event["id"] for event in answer["events"]])
        if "nextToken" not in answer:
            return found
        fields["nextToken"] = answer["nextToken"]


def test_a_history_is_told_whole_with_the_input_as_it_was_sent(api: Served, ended: str) -> None:
    events = api.sfn.get_execution_history(executionArn=ended)["events"]

    assert [event["type"] for event in events] == [
        "ExecutionStarted", "PassStateEntered", "PassStateExited",
        "PassStateEntered", "PassStateExited", "ExecutionSucceeded",
    ]  # fmt: skip
    assert events[0]["executionStartedEventDetails"]["input"] == '{"a": 1}'
    assert events[0]["timestamp"] == api.described(ended)["startDate"]


def test_a_history_is_told_in_pages_forwards_and_backwards(api: Served, ended: str) -> None:
    assert pages(api, ended, 4) == [[1, 2, 3, 4], [5, 6]]
    assert pages(api, ended, 4, reverseOrder=True) == [[6, 5, 4, 3], [2, 1]]
    assert pages(api, ended, 6) == [[1, 2, 3, 4, 5, 6]]


def test_a_page_goes_on_where_the_last_one_ended_though_the_history_has_grown(api: Served) -> None:
    api.stage.script.behaviours["Only"] = never
    execution = api.start(api.machine(single(TASK)))
    first = api.sfn.get_execution_history(executionArn=execution, maxResults=2, reverseOrder=True)
    api.sfn.stop_execution(executionArn=execution)
    second = api.sfn.get_execution_history(
        executionArn=execution, maxResults=2, reverseOrder=True, nextToken=first["nextToken"]
    )
    whole = api.sfn.get_execution_history(executionArn=execution)

    assert [event["id"] for event in first["events"] + second["events"]] == [4, 3, 2, 1]
    assert whole["events"][-1]["type"] == "ExecutionAborted"


def test_a_history_may_be_told_without_data(api: Served, ended: str) -> None:
    events = api.sfn.get_execution_history(executionArn=ended, includeExecutionData=False)["events"]

    assert "input" not in events[0]["executionStartedEventDetails"]
    assert "output" not in events[-1]["executionSucceededEventDetails"]


def test_a_page_of_another_history_is_refused(api: Served, ended: str) -> None:
    other = api.run(api.machine(single(PASS)))["executionArn"]
    token = api.sfn.get_execution_history(executionArn=ended, maxResults=1)["nextToken"]

    assert refusal(api.sfn.get_execution_history, executionArn=other, nextToken=token) == (
        "InvalidToken",
        "Invalid Token: 'Invalid token'",
    )


def test_a_token_that_names_no_place_is_refused(api: Served, ended: str) -> None:
    token = make_token([ended, False, True], "not a number")

    assert refusal(api.sfn.get_execution_history, executionArn=ended, nextToken=token)[0] == "InvalidToken"


def test_an_express_execution_has_its_history_in_the_logs_alone(api: Served) -> None:
    arn = api.start(api.machine(single(PASS), type="EXPRESS"))
    code, message = "InvalidArn", "Invalid Arn: 'Resource type not valid in this context: express'"
    calls = (api.sfn.get_execution_history, api.sfn.describe_execution, api.sfn.stop_execution)

    assert [refusal(call, executionArn=arn) for call in calls] == [(code, message)] * 3


@pytest.mark.parametrize(
    ("arn", "code", "message"),
    [
        (
            "arn:aws:states:us-east-1:123456789012:execution:m:x",
            "ExecutionDoesNotExist",
            "Execution Does Not Exist: 'arn:aws:states:us-east-1:123456789012:execution:m:x'",
        ),
        ("nonsense", "InvalidArn", "Invalid Arn: 'Invalid ARN prefix: nonsense'"),
    ],
)
def test_what_is_no_execution_has_no_history(api: Served, arn: str, code: str, message: str) -> None:
    assert refusal(api.sfn.get_execution_history, executionArn=arn) == (code, message)


def test_histories_are_forgotten_when_there_is_no_room_and_made_again(api: Served, ended: str) -> None:
    stage = api.stage
    small = Histories(stage.store, stage.state_machines.parsed, most_bytes=1)
    rows = [
        Reads(stage.store).by_arn(ended),
        Reads(stage.store).by_arn(api.run(api.machine(TWO))["executionArn"]),
    ]
    lengths = [len(small.events(row)) for row in rows * 2 if row is not None]

    assert lengths == [6, 6, 6, 6]
