"""Retry and Catch, one rule of the language per test."""

import random
from typing import Any

import pytest

from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.state import Status
from tests.machine.shell import BEGUN_MS, PASS, TASK, Run, scope, single


def retried(*retriers: dict[str, Any], **others: Any) -> dict[str, Any]:
    return single(TASK | {"Retry": list(retriers), **others})


def delays(run: Run, times: int, error: str = "E") -> list[int]:
    """Fail the task so often and give the pauses before each retry."""
    found = []
    for _ in range(times):
        run.fail(error)
        found.append(run.wake())
    return found


def test_a_retrier_has_the_defaults_of_the_language() -> None:
    run = Run(retried({"ErrorEquals": ["E"]}))

    assert delays(run, 3) == [1000, 2000, 4000]
    run.fail("E", "why")
    assert run.error == ("E", "why")


def test_interval_and_backoff_make_the_pauses_and_max_delay_bounds_them() -> None:
    retrier = {"ErrorEquals": ["E"], "IntervalSeconds": 3, "BackoffRate": 1.5, "MaxDelaySeconds": 6}
    run = Run(retried(retrier | {"MaxAttempts": 4}))

    assert delays(run, 4) == [3000, 4500, 6000, 6000]


def test_full_jitter_is_drawn_from_the_random_source_between_nothing_and_the_pause() -> None:
    run = Run(retried({"ErrorEquals": ["E"], "IntervalSeconds": 10, "JitterStrategy": "FULL"}), seed=5)

    expected = random.Random(5)
    assert delays(run, 2) == [round(expected.uniform(0, 10) * 1000), round(expected.uniform(0, 20) * 1000)]


def test_max_attempts_0_never_retries() -> None:
    run = Run(retried({"ErrorEquals": ["E"], "MaxAttempts": 0}, {"ErrorEquals": ["States.ALL"]}))

    run.fail("E")

    assert run.status is Status.FAILED


@pytest.mark.parametrize("attempts", [1, 2])
def test_max_attempts_counts_retries_not_tries(attempts: int) -> None:
    run = Run(retried({"ErrorEquals": ["E"], "MaxAttempts": attempts}))
    delays(run, attempts)

    run.fail("E")

    assert run.status is Status.FAILED
    assert len(run.facts(f.TaskScheduled)) == attempts + 1


def test_each_retrier_counts_for_itself() -> None:
    one = {"ErrorEquals": ["A"], "MaxAttempts": 1, "IntervalSeconds": 1}
    other = {"ErrorEquals": ["B"], "MaxAttempts": 2, "IntervalSeconds": 7, "BackoffRate": 1}
    run = Run(retried(one, other))

    pauses = [*delays(run, 1, "B"), *delays(run, 1, "A"), *delays(run, 1, "B")]

    assert pauses == [7000, 1000, 7000]
    run.fail("A")
    assert run.error[0] == "A"


def test_entering_the_state_again_counts_from_the_start() -> None:
    retry = [{"ErrorEquals": ["E"], "MaxAttempts": 1}]
    again = {
        "Type": "Choice",
        "Default": "Only",
        "Choices": [{"Variable": "$", "BooleanEquals": True, "Next": "E"}],
    }
    task = {**TASK, "Retry": retry, "Next": "Again"}
    del task["End"]
    run = Run(single(task, Again=again, E={"Type": "Succeed"}))
    delays(run, 1)
    run.succeed(False)

    assert delays(run, 1) == [1000]
    run.succeed(True)
    assert run.output is True


def test_the_retry_count_is_in_the_context_object() -> None:
    retrier = {"ErrorEquals": ["E"]}
    run = Run(retried(retrier, Parameters={"n.$": "$$.State.RetryCount"}))
    delays(run, 2)

    assert run.task()[1].arguments == {"n": 2}


@pytest.mark.parametrize(
    ("wanted", "error", "caught"),
    [
        ("States.ALL", "Anything", True),
        ("States.ALL", "States.Timeout", True),
        ("States.TaskFailed", "Anything", True),
        ("States.TaskFailed", "States.Timeout", False),
        ("States.Timeout", "States.Timeout", True),
        ("States.HeartbeatTimeout", "States.Timeout", False),
        ("States.ALL", "States.Runtime", False),
        ("States.Runtime", "States.Runtime", False),
        ("Other", "Anything", False),
        ("anything", "Anything", False),
    ],
)
def test_error_equals_takes(wanted: str, error: str, caught: bool) -> None:
    catch = [{"ErrorEquals": [wanted], "Next": "Caught"}]
    run = Run(single(TASK | {"Catch": catch}, Caught=PASS))

    run.fail(error)

    assert (run.status is Status.SUCCEEDED) is caught


def test_the_first_catcher_that_takes_the_error_leads_on() -> None:
    catch = [
        {"ErrorEquals": ["A"], "Next": "First"},
        {"ErrorEquals": ["A", "B"], "Next": "Second"},
        {"ErrorEquals": ["States.ALL"], "Next": "Rest"},
    ]
    ends = {name: PASS | {"Result": name} for name in ("First", "Second", "Rest")}
    found = []
    for error in ("A", "B", "C"):
        run = Run(single(TASK | {"Catch": catch}, **ends))
        run.fail(error)
        found.append(run.output)

    assert found == ["First", "Second", "Rest"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", {"Error": "E", "Cause": "why"}),
        ("$.error", {"a": 1, "error": {"Error": "E", "Cause": "why"}}),
        (None, {"a": 1}),
    ],
)
def test_a_catcher_puts_the_error_where_its_result_path_says(path: str | None, expected: object) -> None:
    catch = [{"ErrorEquals": ["E"], "Next": "Caught", "ResultPath": path}]
    state = TASK | {"Catch": catch, "OutputPath": "$.not.applied", "ResultPath": "$.nor.this"}
    run = Run(single(state, Caught=PASS), {"a": 1})

    run.fail("E", "why")

    assert run.output == expected


def test_a_caught_error_that_has_no_place_fails_the_execution() -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught", "ResultPath": "$.a.b"}]
    run = Run(single(TASK | {"Catch": catch}, Caught=PASS), {"a": 1})

    run.fail("E")

    assert run.error[0] == "States.ResultPathMatchFailure"


def test_retry_comes_before_catch() -> None:
    catch = [{"ErrorEquals": ["E"], "Next": "Caught"}]
    run = Run(
        single(TASK | {"Retry": [{"ErrorEquals": ["E"], "MaxAttempts": 1}], "Catch": catch}, Caught=PASS)
    )

    delays(run, 1)
    assert run.status is Status.RUNNING
    run.fail("E", "last")
    assert run.output == {"Error": "E", "Cause": "last"}


def test_an_answer_without_error_and_cause_is_caught_as_nulls() -> None:
    run = Run(single(TASK | {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]}, Caught=PASS))

    run.decide(s.TaskFailure(token=run.task()[1].token, error=None, cause=None))

    assert run.output == {"Error": None, "Cause": None}


def test_a_timeout_is_caught_with_an_empty_cause() -> None:
    catch = [{"ErrorEquals": ["States.Timeout"], "Next": "Caught"}]
    run = Run(single(TASK | {"TimeoutSeconds": 4, "Catch": catch}, Caught=PASS))

    assert run.wake() == 4000
    assert run.output == {"Error": "States.Timeout", "Cause": ""}


def test_each_attempt_has_its_whole_timeout() -> None:
    run = Run(retried({"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1}, TimeoutSeconds=4))

    assert [run.wake(), run.wake(), run.wake()] == [4000, 1000, 4000]


@pytest.mark.parametrize("seconds", [0, -1, 2.5, "3", None])
def test_a_timeout_by_path_must_be_a_whole_number_of_seconds(seconds: object) -> None:
    run = Run(single(TASK | {"TimeoutSecondsPath": "$.t"}), {"t": seconds})

    assert run.error[0] == "States.Runtime"


def test_timeout_and_heartbeat_may_come_by_path() -> None:
    run = Run(single(TASK | {"TimeoutSecondsPath": "$.t", "HeartbeatSecondsPath": "$.h"}), {"t": 9, "h": 2})

    work = run.task()[1]

    assert (work.deadline_ms, work.heartbeat_ms) == (BEGUN_MS + 9000, 2000)


@pytest.mark.parametrize("wanted", ["States.HeartbeatTimeout", "States.Timeout", "States.ALL"])
def test_a_lost_heartbeat_is_taken_under_both_names_and_shown_as_timeout(wanted: str) -> None:
    catch = [{"ErrorEquals": [wanted], "Next": "Caught"}]
    run = Run(single(TASK | {"TimeoutSeconds": 9, "HeartbeatSeconds": 2, "Catch": catch}, Caught=PASS))

    run.decide(s.HeartbeatLoss(token=run.task()[1].token))

    assert run.output["Error"] == "States.Timeout"
    assert "LambdaFunctionTimedOut" in run.types()


def test_a_lost_heartbeat_is_no_task_failed() -> None:
    catch = [{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"}]
    run = Run(single(TASK | {"HeartbeatSeconds": 2, "Catch": catch}, Caught=PASS))

    run.decide(s.HeartbeatLoss(token=run.task()[1].token))

    assert run.status is Status.FAILED


def test_a_late_and_a_doubled_answer_decide_nothing() -> None:
    run = Run(retried({"ErrorEquals": ["E"]}))
    token = run.task()[1].token
    run.fail("E")

    late: list[s.Stimulus] = [
        s.TaskSuccess(token=token, output=1),
        s.TaskFailure(token=token, error="E", cause=""),
        s.HeartbeatLoss(token=token),
        s.TaskSubmission(token=token, output=1),
        s.MapRunSuccess(token=token, output=1),
        s.TaskSuccess(token=token + 1, output=1),  # the token of the pause, which no answer may close
        s.TaskSuccess(token=99, output=1),
    ]

    assert [run.decide(stimulus) for stimulus in late] == [[]] * len(late)
    assert run.machine.tokens == {token + 1: 0}


def test_an_activity_starts_when_the_first_worker_fetches_it() -> None:
    run = Run(single(TASK | {"Resource": "arn:aws:states:us-east-1:123456789012:activity:work"}))
    token = run.task()[1].token
    assert run.types()[-1] == "ActivityScheduled"

    run.decide(s.ActivityFetch(token=token, worker="w1"))

    assert run.decide(s.ActivityFetch(token=token, worker="w2")) == []
    assert run.events()[-1]["activityStartedEventDetails"] == {"workerName": "w1"}


def test_an_intrinsic_that_fails_is_a_runtime_error_that_nothing_catches() -> None:
    state = TASK | {"Parameters": {"x.$": "States.StringToJson($.t)"}}
    run = Run(
        single(state | {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]}, Caught=PASS),
        {"t": "{"},
    )

    assert (run.machine.status, run.machine.error) == ("FAILED", "States.Runtime")


def test_an_error_of_a_branch_goes_through_the_retrier_of_the_group() -> None:
    branch = scope("Inner", TASK)
    group = {"Type": "Parallel", "Branches": [branch], "End": True, "Retry": [{"ErrorEquals": ["E"]}]}
    run = Run(single(group))

    run.fail("E", state="Inner")
    run.wake()
    run.succeed(5, state="Inner")

    assert run.output == [5]
    assert run.types().count("ParallelStateStarted") == 2
