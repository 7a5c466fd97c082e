"""Parallel and Map, one rule of the language per test."""

from typing import Any

import pytest

from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.state import Status
from tests.machine.shell import PASS, TASK, Run, outcome, scope, single


def parallel(*branches: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"Type": "Parallel", "Branches": list(branches), "End": True, **others}


def over(processor: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"Type": "Map", "ItemProcessor": processor, "End": True, **others}


def test_results_stand_in_the_order_of_the_branches_not_of_their_ends() -> None:
    run = Run(single(parallel(scope("A", TASK), scope("B", TASK), scope("C", PASS))), 0)

    run.succeed("b", state="B")
    run.succeed("a", state="A")

    assert run.output == ["a", "b", 0]


def test_every_branch_gets_what_parameters_make_of_the_input() -> None:
    state = parallel(scope("A", PASS), scope("B", PASS), Parameters={"n.$": "$.x"})

    assert outcome(single(state), {"x": 3}) == [{"n": 3}, {"n": 3}]


def test_a_failed_branch_aborts_the_others_and_revokes_their_tokens() -> None:
    wait = {"Type": "Wait", "Seconds": 60, "End": True}
    run = Run(single(parallel(scope("A", TASK), scope("B", TASK), scope("W", wait), scope("P", PASS))))
    token = run.task("B")[1].token

    run.fail("E", "why", state="A")

    assert run.error == ("E", "why")
    assert run.machine.tokens == {}
    assert [event["type"] for event in run.events()[-5:]] == [
        "TaskStateAborted",
        "TaskStateAborted",
        "WaitStateAborted",
        "ParallelStateFailed",
        "ExecutionFailed",
    ]
    assert run.decide(s.TaskSuccess(token=token, output=1)) == []


def test_a_runtime_error_in_a_branch_ends_the_execution_past_every_catcher() -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    bad = PASS | {"InputPath": "$.nope"}
    run = Run(single(parallel(scope("A", TASK), scope("B", bad), Catch=catch), Caught=PASS))

    assert run.error[0] == "States.Runtime"
    assert run.types()[-2:] == ["PassStateEntered", "ExecutionFailed"]
    assert run.events()[-1]["previousEventId"] == run.events()[-2]["id"]


def test_a_caught_group_goes_on_with_its_own_input() -> None:
    catch = [{"ErrorEquals": ["E"], "Next": "Caught", "ResultPath": "$.error"}]
    run = Run(single(parallel(scope("A", TASK), Catch=catch), Caught=PASS), {"a": 1})

    run.fail("E", "why", state="A")

    assert run.output == {"a": 1, "error": {"Error": "E", "Cause": "why"}}


def test_a_parallel_without_anything_open_needs_no_answer() -> None:
    assert outcome(single(parallel(scope("A", PASS), scope("B", PASS))), 1) == [1, 1]


def test_a_map_gives_one_result_per_item_in_order() -> None:
    run = Run(single(over(scope("Each", TASK))), ["a", "b", "c"])

    for index in (2, 0, 1):
        run.succeed(index * 10, state="Each", index=index)

    assert run.output == [0, 10, 20]


def test_max_concurrency_opens_the_next_iteration_when_one_ends() -> None:
    run = Run(single(over(scope("Each", TASK), MaxConcurrency=2)), list(range(4)))
    assert [frame.index for frame, _ in run.machine.open_work()] == [0, 1]

    run.succeed(0, state="Each", index=1)

    assert [frame.index for frame, _ in run.machine.open_work()] == [0, 2]


@pytest.mark.parametrize(("given", "expected"), [({}, 40), ({"MaxConcurrency": 50}, 40)])
def test_an_inline_map_runs_at_most_forty_iterations_at_once(given: dict[str, Any], expected: int) -> None:
    run = Run(single(over(scope("Each", TASK), **given)), list(range(60)), checked=False)

    assert len(run.machine.open_work()) == expected


def test_max_concurrency_may_come_by_path() -> None:
    state = over(scope("Each", TASK), ItemsPath="$.items", MaxConcurrencyPath="$.most")
    run = Run(single(state), {"items": [1, 2, 3], "most": 1})

    assert len(run.machine.open_work()) == 1


def test_item_selector_sees_the_item_its_index_and_the_input_of_the_state() -> None:
    selector = {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "all.$": "$.k", "fixed": True}
    state = over(scope("Each", PASS), InputPath="$.in", ItemsPath="$.items", ItemSelector=selector)

    assert outcome(single(state), {"in": {"k": "K", "items": ["a", "b"]}}) == [
        {"i": 0, "v": "a", "all": "K", "fixed": True},
        {"i": 1, "v": "b", "all": "K", "fixed": True},
    ]


def test_states_within_an_iteration_see_its_item_in_the_context() -> None:
    each = PASS | {"Parameters": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"}}

    assert outcome(single(over(scope("Each", each))), ["x"]) == [{"i": 0, "v": "x"}]


def test_the_old_fields_iterator_and_parameters_do_the_same() -> None:
    state = {
        "Type": "Map",
        "Iterator": scope("Each", PASS),
        "Parameters": {"v.$": "$$.Map.Item.Value"},
        "End": True,
    }

    assert outcome(single(state), [1]) == [{"v": 1}]


def test_an_empty_map_is_done_at_once() -> None:
    run = Run(single(over(scope("Each", TASK))), [])

    assert run.output == []
    assert [(e["id"], e["previousEventId"], e["type"]) for e in run.events()[2:5]] == [
        (3, 2, "MapStateStarted"),
        (4, 3, "MapStateSucceeded"),
        (5, 3, "MapStateExited"),
    ]


@pytest.mark.parametrize("items", [{}, "text", 1, None])
def test_a_map_over_something_else_than_an_array_is_a_runtime_error(items: object) -> None:
    run = Run(single(over(scope("Each", PASS))), items if items is not None else {"x": 1})

    assert run.error[0] == "States.Runtime"


def test_a_failed_iteration_aborts_the_others() -> None:
    run = Run(single(over(scope("Each", TASK))), [1, 2])

    run.fail("E", state="Each", index=0)

    failed = next(event["id"] for event in run.events() if event["type"] == "LambdaFunctionFailed")
    assert [(e["previousEventId"] - failed, e["type"]) for e in run.events()[failed:]] == [
        (0, "MapIterationFailed"),
        (0, "TaskStateAborted"),
        (0, "MapIterationAborted"),
        (0, "TaskStateAborted"),
        (0, "MapStateFailed"),
        (5, "ExecutionFailed"),
    ]


def test_of_tasks_that_time_out_together_each_is_noted_and_the_first_decides() -> None:
    catch = [{"ErrorEquals": ["States.Timeout"], "Next": "Caught"}]
    run = Run(single(over(scope("Each", TASK | {"TimeoutSeconds": 2}), Catch=catch), Caught=PASS), [1, 2, 3])

    run.wake()

    assert run.output == {"Error": "States.Timeout", "Cause": ""}
    assert run.types().count("LambdaFunctionTimedOut") == 3
    assert run.types().count("MapIterationFailed") == 1
    assert run.types().count("MapIterationAborted") == 2


def test_of_tasks_that_time_out_together_each_is_retried_in_its_own_frame() -> None:
    task = TASK | {"TimeoutSeconds": 2, "Retry": [{"ErrorEquals": ["States.Timeout"]}]}
    run = Run(single(over(scope("Each", task))), [1, 2])

    run.wake()
    run.wake()

    assert [frame.attempt for frame, _ in run.machine.open_work()] == [2, 2]


def test_a_retried_map_begins_with_all_its_items_again() -> None:
    retry = [{"ErrorEquals": ["E"]}]
    run = Run(single(over(scope("Each", TASK), Retry=retry)), [1, 2])
    run.succeed("first", state="Each", index=0)
    run.fail("E", state="Each", index=1)
    run.wake()

    run.succeed("a", state="Each", index=0)
    run.succeed("b", state="Each", index=1)

    assert run.output == ["a", "b"]


def test_a_map_in_a_parallel_in_a_map_keeps_the_order_of_results() -> None:
    inner = over(scope("Leaf", PASS | {"Parameters": {"v.$": "$$.Map.Item.Value"}}))
    both = parallel(scope("Inner", inner), scope("Side", PASS))

    assert outcome(single(over(scope("Both", both))), [[1, 2], [3]]) == [
        [[{"v": 1}, {"v": 2}], [1, 2]],
        [[{"v": 3}], [3]],
    ]


def test_an_item_selector_that_fails_later_fails_the_map_and_revokes_what_runs() -> None:
    state = over(scope("Each", TASK), MaxConcurrency=1, ItemSelector={"v.$": "$$.Map.Item.Value.x"})
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    run = Run(single(state | {"Catch": catch}, Caught=PASS), [{"x": 1}, {}])

    run.succeed(0, state="Each")

    assert (run.machine.status, run.machine.error) == ("FAILED", "States.Runtime")
    assert run.machine.tokens == {}


def distributed(**others: Any) -> dict[str, Any]:
    processor = scope("Each", PASS) | {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    }
    return over(processor, **others)


def test_a_distributed_map_hands_its_items_to_a_map_run() -> None:
    run = Run(single(distributed(MaxConcurrency=7, ToleratedFailureCount=2)), [1, 2])

    started = run.facts(f.MapRunStarted)[0]

    assert started.plan["items"] == [1, 2]
    assert started.plan["concurrency"] == 7
    assert started.plan["tolerated"] == {"percentage": 0, "count": 2}
    run.decide(s.MapRunSuccess(token=started.token, output=["a", "b"]))
    assert run.output == ["a", "b"]


def test_a_failed_map_run_can_be_retried_and_caught() -> None:
    catch = [{"ErrorEquals": ["States.ExceedToleratedFailureThreshold"], "Next": "Caught"}]
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}]
    run = Run(single(distributed(Retry=retry, Catch=catch), Caught=PASS), [1])
    error = "States.ExceedToleratedFailureThreshold"
    for _ in range(2):
        token = run.facts(f.MapRunStarted)[-1].token
        run.decide(s.MapRunFailure(token=token, error=error, cause="too many"))
        if run.status is Status.RUNNING:
            run.wake()

    assert run.output == {"Error": error, "Cause": "too many"}


def test_a_tolerance_that_is_no_number_is_refused_after_the_map_was_begun() -> None:
    run = Run(single(distributed(ItemsPath="$.i", ToleratedFailureCountPath="$.c")), {"i": [1], "c": "x"})

    assert run.error[1] == (
        "An error occurred while executing the state 'Only' (entered at the event id #2). The "
        'ToleratedFailureCountPath field refers to value "x" which is not a valid integer: $.c'
    )
    assert run.types()[-2:] == ["MapStateStarted", "ExecutionFailed"]
