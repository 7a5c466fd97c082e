import json
from typing import Any

import pytest

from etl_runner.asl.parse import parse_definition
from etl_runner.errors import InvalidInput, NotFound
from etl_runner.offline.answers import NoMocks
from etl_runner.offline.coverage import parts_of
from etl_runner.offline.mock_config import MockConfig
from etl_runner.offline.run import Ran, run

TASK = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:work"}
END = {"Type": "Pass", "End": True}


def machine(states: Any) -> Any:
    return parse_definition(json.dumps({"StartAt": next(iter(states)), "States": states}))


def mocks(**responses: Any) -> Any:
    config = {
        "StateMachines": {"m": {"TestCases": {"c": {state: state for state in responses}}}},
        "MockedResponses": responses,
    }
    return MockConfig.read(json.dumps(config), "mocks").machines["m"]["c"].mocks()


def went(ran: Ran) -> list[str]:
    return [step.state for step in ran.steps if step.what == "entered"]


def parts(ran: Ran) -> set[str]:
    return {str(part) for part in ran.coverage.hit}


def test_a_task_is_answered_by_its_mock() -> None:
    ran = run(machine({"A": {**TASK, "End": True}}), {}, mocks(A={"0": {"Return": {"n": 1}}}))

    assert (ran.status, ran.output) == ("SUCCEEDED", ({"n": 1},))


def test_retries_pass_at_once_and_their_pauses_are_virtual_time() -> None:
    retry = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 60, "BackoffRate": 2, "MaxAttempts": 3}]
    answers = {"0-1": {"Throw": {"Error": "Busy"}}, "2": {"Return": "done"}}

    ran = run(machine({"A": {**TASK, "Retry": retry, "End": True}}), {}, mocks(A=answers))

    assert (ran.status, ran.took_ms) == ("SUCCEEDED", 180_000)
    assert "A/Retry[0]" in parts(ran)


def test_a_wait_of_a_year_takes_no_time() -> None:
    ran = run(machine({"A": {"Type": "Wait", "Seconds": 31_536_000, "End": True}}), {}, NoMocks())

    assert (ran.status, ran.took_ms) == ("SUCCEEDED", 31_536_000_000)


def test_the_catch_that_took_an_error_is_told() -> None:
    catch = [{"ErrorEquals": ["Other"], "Next": "B"}, {"ErrorEquals": ["States.ALL"], "Next": "B"}]
    states = {"A": {**TASK, "Catch": catch, "End": True}, "B": END}

    ran = run(machine(states), {}, mocks(A={"0": {"Throw": {"Error": "Bad", "Cause": "why"}}}))

    assert went(ran) == ["A", "B"]
    assert parts(ran) == {"A", "B", "A/Catch[1]"}


@pytest.mark.parametrize(("size", "rule"), [(1, "A/Choices[0]"), (2, "A/Choices[1]"), (3, "A/Default")])
def test_the_choice_rule_that_held_is_told(size: int, rule: str) -> None:
    choices = [{"Variable": "$.size", "NumericEquals": n, "Next": "B"} for n in (1, 2)]
    states = {"A": {"Type": "Choice", "Choices": choices, "Default": "B"}, "B": END}

    assert parts(run(machine(states), {"size": size}, NoMocks())) == {"A", "B", rule}


def test_conditions_of_jsonata_are_told_too() -> None:
    choices = [{"Condition": "{% $states.input.n > 9 %}", "Next": "B"}, {"Condition": True, "Next": "B"}]
    states = {"A": {"Type": "Choice", "QueryLanguage": "JSONata", "Choices": choices}, "B": END}

    assert "A/Choices[0]" in parts(run(machine(states), {"n": 10}, NoMocks()))
    assert "A/Choices[1]" in parts(run(machine(states), {"n": 1}, NoMocks()))


def test_branches_and_iterations_count_the_hand_outs_of_a_state() -> None:
    inner = {"StartAt": "W", "States": {"W": {**TASK, "End": True}}}
    states = {"A": {"Type": "Map", "ItemProcessor": inner, "End": True}}

    ran = run(machine(states), [1, 2], mocks(W={"0": {"Return": "a"}, "1": {"Return": "b"}}))

    assert ran.output == (["a", "b"],)
    assert parts(ran) == {"A", "A/Branches[0]", "W"}


def distributed(**fields: Any) -> Any:
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    inner = {"ProcessorConfig": config, "StartAt": "W", "States": {"W": {**TASK, "End": True}}}
    return {"A": {"Type": "Map", "ItemProcessor": inner, **fields, "End": True}}


def test_children_of_a_distributed_map_are_run_too() -> None:
    states = distributed(ItemBatcher={"MaxItemsPerBatch": 2})
    answers = {"0": {"Return": "a"}, "1": {"Return": "b"}}

    ran = run(machine(states), [1, 2, 3], mocks(W=answers))

    assert ran.output == (["a", "b"],)
    assert [step.detail for step in ran.steps if step.what == "handed out"] == [
        {"Items": [1, 2]},
        {"Items": [3]},
    ]


@pytest.mark.parametrize(("tolerated", "status"), [(0, "FAILED"), (1, "SUCCEEDED")])
def test_a_map_run_fails_with_more_failures_than_it_tolerates(tolerated: int, status: str) -> None:
    answers = {"0": {"Throw": {"Error": "Bad"}}, "1": {"Return": "b"}}

    ran = run(machine(distributed(ToleratedFailureCount=tolerated)), [1, 2], mocks(W=answers))

    assert ran.status == status


def test_a_map_can_be_answered_as_a_whole() -> None:
    states = distributed(
        ItemReader={"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSON"}}
    )

    stopped = run(machine(states), {}, mocks(W={"0": {"Return": 1}}))
    ran = run(machine(states), {}, mocks(A={"0": {"Return": [7]}}))

    assert "ItemReader" in stopped.stopped
    assert (ran.status, ran.output) == ("SUCCEEDED", ([7],))


def test_work_without_a_mock_stops_the_run_and_says_what_is_missing() -> None:
    ran = run(machine({"A": {**TASK, "End": True}}), {}, mocks(A={"1": {"Return": 1}}))

    assert ran.status == ""
    assert "'A' has no answer for hand-out number 0" in ran.stopped
    assert went(ran) == ["A"]


CHAIN = {
    "A": {"Type": "Pass", "Next": "B"},
    "B": {"Type": "Pass", "Result": 2, "Next": "C"},
    "C": {"Type": "Pass", "Next": "D"},
    "D": END,
}


def test_a_path_runs_from_one_state_to_another() -> None:
    ran = run(machine(CHAIN), {"n": 1}, NoMocks(), first="B", last="C")

    assert went(ran) == ["B", "C"]
    assert ran.output == (2,)


def test_a_state_inside_of_a_map_runs_alone() -> None:
    ran = run(machine(distributed()), {"n": 1}, mocks(W={"0": {"Return": 5}}), first="W", last="W")

    assert (went(ran), ran.output) == (["W"], (5,))


def test_a_path_needs_states_that_are_there_and_in_one_scope() -> None:
    with pytest.raises(NotFound, match="'Nope'"):
        run(machine(CHAIN), {}, NoMocks(), first="Nope")
    with pytest.raises(InvalidInput, match="not in the same scope"):
        run(machine(distributed()), [], NoMocks(), first="A", last="W")


def test_every_run_draws_the_same() -> None:
    states = {"A": {"Type": "Pass", "Parameters": {"id.$": "States.UUID()"}, "End": True}}

    assert run(machine(states), {}, NoMocks()).output == run(machine(states), {}, NoMocks()).output


def test_the_parts_of_a_machine_are_in_the_order_of_its_document() -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "B"}]
    retry = [{"ErrorEquals": ["X"]}]
    states = {"A": {**TASK, "Retry": retry, "Catch": catch, "Next": "B"}, "B": END}

    assert [str(part) for part in parts_of(machine(states))] == ["A", "A/Retry[0]", "A/Catch[0]", "B"]
