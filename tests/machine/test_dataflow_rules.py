"""How data moves through states, one rule of the language per test."""

import pytest

from etl_runner.machine.state import Status
from tests.machine.shell import PASS, TASK, Run, outcome, single

_TOO_LARGE = "returned a result with a size exceeding the maximum number of bytes service limit."


def test_the_five_steps_of_data_come_in_the_order_of_the_language() -> None:
    run = Run(
        single(
            TASK
            | {
                "InputPath": "$.inner",
                "Parameters": {"given.$": "$.n"},
                "ResultSelector": {"chosen.$": "$.answer"},
                "ResultPath": "$.result",
                "OutputPath": "$.result.chosen",
            }
        ),
        {"inner": {"n": 1}},
    )
    assert run.task()[1].arguments == {"given": 1}

    run.succeed({"answer": [2], "noise": 3})

    assert run.output == [2]
    assert run.machine.frames[0].data == [2]


def test_result_path_is_applied_to_the_raw_input_not_to_what_input_path_left() -> None:
    state = PASS | {"InputPath": "$.a", "Result": 2, "ResultPath": "$.b"}

    assert outcome(single(state), {"a": {"x": 1}}) == {"a": {"x": 1}, "b": 2}


def test_input_path_null_gives_an_empty_object() -> None:
    assert outcome(single(PASS | {"InputPath": None}), {"a": 1}) == {}


def test_result_path_null_keeps_the_input() -> None:
    assert outcome(single(PASS | {"Result": 2, "ResultPath": None}), {"a": 1}) == {"a": 1}


def test_output_path_null_gives_an_empty_object() -> None:
    assert outcome(single(PASS | {"OutputPath": None}), {"a": 1}) == {}


def test_result_wins_over_parameters() -> None:
    assert outcome(single(PASS | {"Parameters": {"a": 1}, "Result": None})) is None


def test_a_pass_state_without_anything_hands_its_input_on() -> None:
    assert outcome(single(PASS), [1, None]) == [1, None]


def test_succeed_applies_both_paths() -> None:
    state = {"Type": "Succeed", "InputPath": "$.a", "OutputPath": "$.b"}

    assert outcome(single(state), {"a": {"b": 7}}) == 7


@pytest.mark.parametrize("field", ["InputPath", "OutputPath"])
def test_a_path_that_leads_nowhere_fails_the_execution_and_nothing_catches_it(field: str) -> None:
    run = Run(
        single(
            TASK | {field: "$.gone", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]},
            Caught=PASS,
        )
    )
    if field == "OutputPath":
        run.succeed({})

    error, cause = run.error
    assert error == "States.Runtime"
    assert cause is not None
    assert cause.startswith(
        "An error occurred while executing the state 'Only' (entered at the event id #2). "
    )


def test_a_parameter_that_leads_nowhere_is_named_with_the_input() -> None:
    run = Run(single(PASS | {"Parameters": {"a.$": "$.gone"}}), {"b": 1})

    assert run.error[1] == (
        "An error occurred while executing the state 'Only' (entered at the event id #2). The JSONPath "
        "'$.gone' specified for the field 'a.$' could not be found in the input '{\"b\":1}'"
    )


def test_a_result_that_has_no_place_fails_with_result_path_match_failure() -> None:
    run = Run(single(PASS | {"Result": 1, "ResultPath": "$.a.b"}), {"a": "text"})

    assert run.error[0] == "States.ResultPathMatchFailure"


def test_the_context_object_tells_of_execution_machine_and_state() -> None:
    run = Run(single(TASK | {"Parameters": {"all.$": "$$"}}), {"in": 1})

    context = run.task()[1].arguments["all"]

    assert context["Execution"] == {
        "Id": "arn:aws:states:us-east-1:123456789012:execution:machine:run",
        "Input": {"in": 1},
        "Name": "run",
        "RoleArn": "arn:aws:iam::123456789012:role/any",
        "StartTime": "2023-11-14T22:13:20.000Z",
        "RedriveCount": 0,
    }
    assert context["StateMachine"]["Name"] == "machine"
    assert context["State"] == {"Name": "Only", "EnteredTime": "2023-11-14T22:13:20.000Z", "RetryCount": 0}


def test_a_task_that_others_answer_finds_its_token_in_the_context() -> None:
    state = TASK | {
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": "q", "MessageBody": {"token.$": "$$.Task.Token"}},
    }
    run = Run(single(state))

    work = run.task()[1]

    assert work.task_token is not None
    assert work.arguments["MessageBody"] == {"token": work.task_token}


@pytest.mark.parametrize("size", [262_144, 262_145])
def test_a_state_may_put_out_262_144_bytes_and_no_more(size: int) -> None:
    run = Run(single(PASS | {"Result": "x" * (size - 2)}), checked=False)

    assert run.status is (Status.SUCCEEDED if size == 262_144 else Status.FAILED)
    if run.status is Status.FAILED:
        assert run.error == (
            "States.DataLimitExceeded",
            f"The state/task 'Only' {_TOO_LARGE}",
        )


def test_a_result_over_the_limit_fails_the_task_and_can_be_caught() -> None:
    catch = [{"ErrorEquals": ["States.DataLimitExceeded"], "Next": "Caught"}]
    run = Run(single(TASK | {"Catch": catch}, Caught=PASS), checked=False)

    run.succeed("x" * 300_000)

    assert run.output["Error"] == "States.DataLimitExceeded"
    assert "LambdaFunctionFailed" in run.types()
