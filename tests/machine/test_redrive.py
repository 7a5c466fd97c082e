"""Going on with what ended without success: only that starts again which had not succeeded."""

from typing import Any

import pytest

from etl_runner.clock import to_iso
from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.limits import Limits
from etl_runner.machine.redrive import redrive_refusal
from etl_runner.machine.state import OpenMapRun, Status
from tests.machine.shell import BEGUN_MS, PASS, TASK, Run, scope, single

RETRY = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1, "IntervalSeconds": 1}]


def redriven(run: Run) -> Run:
    """Redrive, an hour later."""
    run.now_ms += 3_600_000
    assert run.decide(s.Redrive()) != []
    return run


def two_branches(**fields: Any) -> dict[str, Any]:
    group = {"Type": "Parallel", "Branches": [scope("A", TASK), scope("B", TASK)], "End": True}
    return single(group | fields)


def test_a_failed_task_is_handed_out_again_and_the_state_is_not_entered_again() -> None:
    run = Run(single(TASK), {"n": 1})
    run.fail("E")

    redriven(run).succeed("done")

    assert run.output == "done"
    assert [(e["id"], e["previousEventId"], e["type"]) for e in run.events()[5:]] == [
        (6, 5, "ExecutionFailed"),
        (7, 6, "ExecutionRedriven"),
        (8, 7, "LambdaFunctionScheduled"),
        (9, 8, "LambdaFunctionStarted"),
        (10, 9, "LambdaFunctionSucceeded"),
        (11, 10, "TaskStateExited"),
        (12, 11, "ExecutionSucceeded"),
    ]
    assert run.events()[6]["executionRedrivenEventDetails"] == {"redriveCount": 1}


def test_what_came_before_is_kept_with_its_variables() -> None:
    first = {"Type": "Pass", "Assign": {"x": 7}, "Result": {"a": 1}, "Next": "Then"}
    then = TASK | {"Parameters": {"x.$": "$x", "a.$": "$.a"}}
    run = Run(single(first, Then=then))
    run.fail("E", state="Then")

    redriven(run)

    assert run.task("Then")[1].arguments == {"x": 7, "a": 1}
    assert run.types().count("PassStateEntered") == 1


def test_a_redriven_state_has_all_its_retries_again() -> None:
    run = Run(single(TASK | {"Retry": RETRY}))
    for _ in range(2):
        run.fail("E")
        run.wake()
        run.fail("E")
        assert run.error[0] == "E"
        redriven(run)
    run.succeed(1)

    assert run.output == 1


def test_a_branch_that_had_succeeded_keeps_its_result() -> None:
    run = Run(two_branches())
    run.succeed("a", state="A")
    run.fail("E", state="B")

    redriven(run)

    assert [frame.state for frame, _ in run.machine.open_work()] == ["B"]
    run.succeed("b", state="B")
    assert run.output == ["a", "b"]


def test_a_branch_that_was_aborted_starts_again_too() -> None:
    run = Run(two_branches())
    run.fail("E", state="A")

    redriven(run)

    assert {frame.state for frame, _ in run.machine.open_work()} == {"A", "B"}


def test_only_the_iterations_that_had_not_succeeded_run() -> None:
    each = {"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": scope("Each", TASK), "End": True}
    run = Run(single(each), ["x", "y", "z"])
    run.succeed(0, state="Each")
    run.fail("E", state="Each")

    redriven(run).succeed(1, state="Each")
    run.succeed(2, state="Each")

    assert run.output == [0, 1, 2]
    assert [fact.index for fact in run.facts(f.FrameOpened)] == [0, 1, 2]


def test_a_group_within_a_group_goes_on_where_it_stood() -> None:
    inner = {"Type": "Map", "ItemsPath": "$.i", "ItemProcessor": scope("Each", TASK), "End": True}
    outer = {"Type": "Parallel", "Branches": [scope("Inner", inner), scope("B", TASK)], "End": True}
    run = Run(single(outer), {"i": [1, 2]})
    run.succeed("one", state="Each", index=0)
    run.fail("E", state="B")
    redriven(run)
    run.fail("E", state="Each", index=1)
    redriven(run)

    run.succeed("two", state="Each", index=1)
    run.succeed("b", state="B")

    assert run.output == [["one", "two"], "b"]
    assert run.machine.redrives == 2


def test_a_group_whose_results_were_too_large_starts_from_its_beginning() -> None:
    run = Run(two_branches())
    run.succeed("a" * 200_000, state="A")
    run.succeed("b" * 200_000, state="B")
    assert run.error[0] == "States.DataLimitExceeded"

    redriven(run)

    assert {frame.state for frame, _ in run.machine.open_work()} == {"A", "B"}


def test_an_iteration_that_a_runtime_error_ended_starts_again_and_fails_again() -> None:
    bad = {"Type": "Pass", "OutputPath": "$.nothing", "End": True}
    group = {"Type": "Parallel", "Branches": [scope("A", TASK), scope("B", bad)], "End": True}
    run = Run(single(group), {})
    before = run.error

    redriven(run)

    assert run.error == before
    assert run.types().count("ExecutionFailed") == 2


def test_a_stopped_wait_waits_anew_and_a_moment_that_has_passed_is_over() -> None:
    for fields, waits in (({"Seconds": 60}, True), ({"Timestamp": to_iso(BEGUN_MS + 60_000)}, False)):
        run = Run(single({"Type": "Wait", "End": True} | fields))
        run.decide(s.Stop())
        assert run.types()[-1] == "ExecutionAborted"

        redriven(run)

        assert (run.status is Status.RUNNING) is waits


def test_the_time_limit_of_the_execution_begins_anew() -> None:
    run = Run(single(TASK) | {"TimeoutSeconds": 10})
    assert run.wake() == 10_000
    assert run.status is Status.TIMED_OUT

    redriven(run)

    assert run.wake() == 10_000
    assert run.status is Status.TIMED_OUT


def test_the_context_object_tells_of_the_redrive() -> None:
    state = TASK | {"Parameters": {"execution.$": "$$.Execution", "retries.$": "$$.State.RetryCount"}}
    run = Run(single(state))
    before = run.task()[1].arguments["execution"]
    run.fail("E")

    redriven(run)

    told = run.task()[1].arguments["execution"]
    assert (before["RedriveCount"], "RedriveTime" in before) == (0, False)
    assert (told["RedriveCount"], told["RedriveTime"]) == (1, to_iso(run.now_ms))


def test_a_map_run_that_failed_is_taken_up_again_under_its_own_arn() -> None:
    processor = scope("Each", PASS) | {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    }
    run = Run(single({"Type": "Map", "ItemProcessor": processor, "End": True}), [1, 2])
    run.decide(s.MapRunFailure(token=1, error="States.ExceedToleratedFailureThreshold", cause="too many"))

    redriven(run)

    work = run.machine.open_work()[0][1]
    assert isinstance(work, OpenMapRun)
    assert (work.token, work.run, work.redrives, work.plan["items"]) == (2, 1, 1, [1, 2])
    started, again = (e for e in run.events() if e["type"] in {"MapRunStarted", "MapRunRedriven"})
    assert again["mapRunRedrivenEventDetails"] == started["mapRunStartedEventDetails"] | {"redriveCount": 1}
    assert run.decide(s.MapRunSuccess(token=1, output=["late"])) == []
    run.decide(s.MapRunSuccess(token=2, output=["done"]))
    assert run.output == ["done"]


def test_an_evaluation_that_failed_is_made_again() -> None:
    state = {"Type": "Map", "QueryLanguage": "JSONata", "Items": "{% 1 %}", "ItemProcessor": scope("E", PASS)}
    run = Run(single(state | {"End": True}))

    redriven(run)

    assert run.types().count("EvaluationFailed") == 2


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (None, "Execution is RUNNING and cannot be redriven"),
        (s.TaskSuccess(token=1, output=1), "Execution is SUCCEEDED and cannot be redriven"),
        (s.TaskFailure(token=1, error="E", cause=None), None),
        (s.Stop(), None),
    ],
)
def test_what_runs_or_has_succeeded_cannot_be_redriven(end: s.Stimulus | None, reason: str | None) -> None:
    run = Run(single(TASK))
    if end is not None:
        run.decide(end)

    assert redrive_refusal(run.machine) == reason
    assert (run.decide(s.Redrive()) == []) is (reason is not None)


def test_a_history_without_room_for_two_more_events_cannot_be_redriven() -> None:
    run = Run(single(TASK))
    run.fail("E")
    assert run.machine.events == 6

    assert redrive_refusal(run.machine, Limits(events=7)) == "Execution event history limit exceeded"
    assert redrive_refusal(run.machine, Limits(events=8)) is None
