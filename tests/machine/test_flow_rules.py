"""Choice, Wait, Fail and the ends of an execution, one rule of the language per test."""

from typing import Any

import pytest

from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.state import Status
from tests.machine.shell import BEGUN_MS, PASS, TASK, Run, outcome, scope, single

CHOICE: dict[str, Any] = {
    "Type": "Choice",
    "Choices": [
        {"Variable": "$.n", "NumericGreaterThan": 5, "Next": "Big"},
        {"Variable": "$.n", "NumericGreaterThan": 1, "Next": "Small"},
    ],
}
BIG: dict[str, Any] = PASS | {"Result": "big"}
SMALL: dict[str, Any] = PASS | {"Result": "small"}


@pytest.mark.parametrize(("n", "expected"), [(9, "big"), (3, "small"), (1, "other")])
def test_the_first_rule_that_holds_wins_and_default_takes_the_rest(n: int, expected: str) -> None:
    other = PASS | {"Result": "other"}
    machine = single(CHOICE | {"Default": "Other"}, Big=BIG, Small=SMALL, Other=other)

    assert outcome(machine, {"n": n}) == expected


def test_without_default_no_rule_holding_is_an_error() -> None:
    run = Run(single(CHOICE, Big=BIG, Small=SMALL), {"n": 0})

    assert run.error[0] == "States.NoChoiceMatched"
    assert str(run.error[1]).endswith(" The state does not point to a next state.")


def test_seconds_are_waited_and_the_input_passes_through() -> None:
    run = Run(single({"Type": "Wait", "Seconds": 5, "End": True}), {"a": 1})

    assert run.wake() == 5000
    assert run.output == {"a": 1}


def test_seconds_path_is_read_from_the_effective_input() -> None:
    run = Run(
        single({"Type": "Wait", "InputPath": "$.w", "SecondsPath": "$.s", "End": True}), {"w": {"s": 7}}
    )

    assert run.wake() == 7000
    assert run.output == {"s": 7}


def test_a_timestamp_is_waited_for() -> None:
    run = Run(single({"Type": "Wait", "Timestamp": "2023-11-14T22:13:21.5Z", "End": True}))

    assert run.wake() == 1500


def test_a_timestamp_path_is_waited_for_in_its_zone() -> None:
    state = {"Type": "Wait", "TimestampPath": "$.at", "End": True}
    run = Run(single(state), {"at": "2023-11-14T23:13:22+01:00"})

    assert run.wake() == 2000


@pytest.mark.parametrize("field", [{"Seconds": 0}, {"Timestamp": "2001-01-01T00:00:00Z"}])
def test_a_moment_that_has_passed_is_not_waited_for(field: dict[str, Any]) -> None:
    run = Run(single({"Type": "Wait", "End": True} | field))

    assert run.status is Status.SUCCEEDED
    assert run.facts(f.WaitScheduled) == []


@pytest.mark.parametrize("seconds", [-1, 1.5, "1", True, 100_000_000])
def test_seconds_path_takes_whole_numbers_of_seconds_only(seconds: object) -> None:
    run = Run(single({"Type": "Wait", "SecondsPath": "$", "End": True}), seconds)

    assert run.error[0] == "States.Runtime"


def test_a_wait_is_not_over_early() -> None:
    run = Run(single({"Type": "Wait", "Seconds": 5, "End": True}))
    run.now_ms += 4999

    assert run.decide(s.Wake()) == []


def test_fail_gives_its_error_and_cause() -> None:
    assert Run(single({"Type": "Fail", "Error": "E", "Cause": "why"})).error == ("E", "why")


def test_fail_finds_its_error_and_cause_by_path_and_by_function() -> None:
    state = {"Type": "Fail", "ErrorPath": "$.e", "CausePath": "States.Format('because of {}', $.c)"}

    assert Run(single(state), {"e": "E", "c": 7}).error == ("E", "because of 7")


def test_fail_without_anything_fails_without_anything() -> None:
    run = Run(single({"Type": "Fail"}))

    assert run.error == (None, None)
    assert run.events()[-1]["executionFailedEventDetails"] == {}


def test_the_time_of_the_execution_ends_it_wherever_it_is_and_revokes_what_is_open() -> None:
    run = Run(single(TASK) | {"TimeoutSeconds": 3})
    token = run.task()[1].token

    assert run.wake() == 3000
    assert run.status is Status.TIMED_OUT
    assert run.types() == [
        "ExecutionStarted",
        "TaskStateEntered",
        "LambdaFunctionScheduled",
        "LambdaFunctionStarted",
        "ExecutionTimedOut",
    ]
    assert run.events()[-1]["previousEventId"] == 0
    assert run.decide(s.TaskSuccess(token=token, output=1)) == []


def test_the_time_of_the_execution_comes_before_a_timer_of_the_same_moment() -> None:
    run = Run(single({"Type": "Wait", "Seconds": 3, "End": True}) | {"TimeoutSeconds": 3})

    run.wake()

    assert run.status is Status.TIMED_OUT


def test_a_stop_ends_the_execution_with_what_was_given() -> None:
    run = Run(single({"Type": "Parallel", "Branches": [scope("A", TASK), scope("B", TASK)], "End": True}))

    run.decide(s.Stop(error="Manual", cause="probe"))

    assert run.status is Status.ABORTED
    assert run.events()[-1]["executionAbortedEventDetails"] == {"error": "Manual", "cause": "probe"}
    assert run.machine.tokens == {}
    assert run.decide(s.Stop()) == []


def test_a_breakdown_fails_the_execution_with_its_sentence() -> None:
    run = Run(single(TASK))

    run.decide(s.Breakdown(cause="the function is gone"))

    assert run.error == ("States.Runtime", "the function is gone")


def test_an_endless_loop_ends_with_event_25_000() -> None:
    loop: dict[str, Any] = CHOICE | {"Default": "Only"}
    run = Run(single(loop, Big=BIG, Small=SMALL), {"n": 0}, checked=False)

    last = run.events()[-1]

    assert run.error == (
        "States.Runtime",
        "The execution reached the maximum number of history events (25000).",
    )
    assert (last["id"], last["previousEventId"]) == (25_000, 24_999)
    run.check_now()


def test_endless_retries_end_with_event_25_000_too() -> None:
    retry = [{"ErrorEquals": ["E"], "MaxAttempts": 99_999_999, "IntervalSeconds": 1, "BackoffRate": 1}]
    run = Run(single(TASK | {"Retry": retry}), checked=False)
    while run.status is Status.RUNNING:
        run.fail("E")
        if run.machine.tokens:
            run.wake()

    assert run.error[1] == "The execution reached the maximum number of history events (25000)."
    assert run.machine.events <= 25_000
    run.check_now()


def test_the_events_of_many_iterations_count_towards_the_limit() -> None:
    state = {"Type": "Map", "ItemProcessor": scope("Each", PASS), "End": True}
    run = Run(single(state), list(range(7000)), checked=False)

    assert run.error[0] == "States.Runtime"
    assert run.machine.events == 25_000
    run.check_now()


def test_the_times_are_those_of_a_virtual_clock() -> None:
    run = Run(single({"Type": "Wait", "Seconds": 5, "End": True}))
    run.wake()

    assert [event["timestamp"] for event in run.events()] == [
        BEGUN_MS,
        BEGUN_MS,
        BEGUN_MS + 5000,
        BEGUN_MS + 5000,
    ]
