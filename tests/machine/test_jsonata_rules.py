"""JSONata states: what `$states` holds where, what comes out, and what a failed expression does."""

from typing import Any

import pytest

from etl_runner.jsontypes import Json
from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from tests.machine.shell import PASS, TASK, Run, outcome, scope, single

JSONATA = {"QueryLanguage": "JSONata"}
ERROR = "States.QueryEvaluationError"
NOTHING = "{% $states.input.nothing %}"
SEEN = "{% $sort($keys($states)) %}"
"""Every key that is there; a key that cannot be there is refused where it is named."""


def jsonata(state: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return state | JSONATA | fields


def seen(*there: str) -> list[str]:
    return sorted(there)


def chain(run: Run) -> list[tuple[int, int, str]]:
    return [(e["id"], e["previousEventId"], e["type"]) for e in run.events()]


@pytest.mark.parametrize(
    ("state", "default"),
    [
        (PASS, {"a": 1}),
        ({"Type": "Succeed"}, {"a": 1}),
        ({"Type": "Wait", "Seconds": "{% 0 %}", "End": True}, {"a": 1}),
        ({"Type": "Parallel", "Branches": [scope("A", PASS)], "End": True}, [{"a": 1}]),
        (
            {
                "Type": "Map",
                "Items": [1, "{% $states.input.a %}"],
                "ItemProcessor": scope("E", PASS),
                "End": True,
            },
            [1, 1],
        ),
    ],
)
def test_without_output_comes_out_the_result_or_else_the_input(state: dict[str, Any], default: Json) -> None:
    assert outcome(single(jsonata(state)), {"a": 1}) == default


def test_what_is_there_where_output_is_evaluated() -> None:
    work = {"Type": "Parallel", "Branches": [scope("A", PASS)], "End": True}

    assert outcome(single(jsonata(PASS, Output=SEEN))) == seen("input", "context")
    assert outcome(single(jsonata(work, Output=SEEN))) == seen("input", "context", "result")


def test_what_is_there_where_a_catcher_is_evaluated() -> None:
    catch = [{"ErrorEquals": ["E"], "Next": "End", "Output": SEEN}]
    run = Run(single(jsonata(TASK, Catch=catch), End=PASS))

    run.fail("E")

    assert run.output == seen("input", "context", "errorOutput")


def test_arguments_see_the_task_token_and_the_result_is_what_the_task_gave() -> None:
    resource = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
    arguments = {"QueueUrl": "q", "MessageBody": "{% $states.context.Task.Token %}"}
    run = Run(single(jsonata(TASK, Resource=resource, Arguments=arguments, Output="{% $states.result.x %}")))
    work = run.task()[1]

    assert work.arguments["MessageBody"] == work.task_token
    run.succeed({"x": 5})
    assert run.output == 5


def test_a_task_without_arguments_is_given_the_input() -> None:
    assert Run(single(jsonata(TASK)), {"a": 1}).task()[1].arguments == {"a": 1}


@pytest.mark.parametrize("seconds", ["{% $states.input.s %}", 7])
def test_times_may_be_expressions(seconds: Any) -> None:
    run = Run(
        single(jsonata(TASK, TimeoutSeconds=seconds, HeartbeatSeconds="{% $states.input.h %}")),
        {"s": 7, "h": 2},
    )
    task = run.facts(f.TaskScheduled)[0]

    assert (task.timeout_ms, task.heartbeat_ms) == (7000, 2000)


def test_item_selector_and_concurrency_are_evaluated_over_the_maps_input() -> None:
    selector = {
        "i": "{% $states.context.Map.Item.Index %}",
        "v": "{% $states.context.Map.Item.Value * $states.input.by %}",
    }
    each = {
        "Type": "Map",
        "Items": "{% $states.input.items %}",
        "ItemSelector": selector,
        "MaxConcurrency": "{% $states.input.by - 1 %}",
        "ItemProcessor": scope("E", PASS),
        "End": True,
    }
    run = Run(single(jsonata(each)), {"items": [3, 4], "by": 2})

    assert run.output == [{"i": 0, "v": 6}, {"i": 1, "v": 8}]
    assert run.facts(f.MapStarted)[0].concurrency == 1


def test_the_error_and_cause_of_fail_may_be_expressions() -> None:
    fail = {"Type": "Fail", "Error": "{% $states.input.e %}", "Cause": "{% 'because' & $states.input.e %}"}

    assert Run(single(jsonata(fail)), {"e": "X"}).error == ("X", "becauseX")


@pytest.mark.parametrize(
    ("state", "location"),
    [
        (PASS | {"Output": {"a": NOTHING}}, "Output/a"),
        (PASS | {"Assign": {"x": NOTHING}}, "Assign/x"),
        (TASK | {"Arguments": NOTHING}, "Arguments"),
        (TASK | {"TimeoutSeconds": "{% 'x' %}"}, "TimeoutSeconds"),
        ({"Type": "Succeed", "Output": NOTHING}, "Output"),
        ({"Type": "Fail", "Error": "{% 1 %}"}, "Error"),
        (
            {"Type": "Parallel", "Branches": [scope("A", PASS)], "Arguments": NOTHING, "End": True},
            "Arguments",
        ),
    ],
)
def test_an_expression_that_fails_on_the_way_in_follows_what_came_before_the_state(
    state: dict[str, Any], location: str
) -> None:
    run = Run(single(jsonata(state)))

    event = run.events()[2]

    assert (event["previousEventId"], event["type"]) == (0, "EvaluationFailed")
    details = event["evaluationFailedEventDetails"]
    assert (details["error"], details["state"], details["location"]) == (ERROR, "Only", location)
    assert details["cause"].startswith(
        "An error occurred while executing the state 'Only' (entered at the event id #2). "
    )
    assert run.error == (ERROR, details["cause"])


def test_an_output_that_fails_after_the_work_follows_the_work() -> None:
    run = Run(single(jsonata(TASK, Output=NOTHING)))

    run.succeed(1)

    assert chain(run)[4:] == [
        (5, 4, "LambdaFunctionSucceeded"),
        (6, 5, "EvaluationFailed"),
        (7, 6, "ExecutionFailed"),
    ]


def test_a_failed_evaluation_can_be_retried_and_caught() -> None:
    retry = [{"ErrorEquals": [ERROR], "MaxAttempts": 1, "IntervalSeconds": 1}]
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    run = Run(single(jsonata(TASK, Arguments=NOTHING, Retry=retry, Catch=catch), Caught=PASS))

    assert run.wake() == 1000

    assert run.output["Error"] == ERROR
    assert run.types().count("EvaluationFailed") == 2


def test_a_catchers_own_expression_that_fails_fails_the_state() -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught", "Output": NOTHING}]
    run = Run(single(jsonata(TASK, Catch=catch), Caught=PASS))

    run.fail("E")

    assert run.error[0] == ERROR
    assert chain(run)[5:] == [(6, 5, "EvaluationFailed"), (7, 6, "ExecutionFailed")]


def test_a_map_whose_items_are_no_array_fails_as_a_map_and_can_be_caught() -> None:
    catch = [{"ErrorEquals": [ERROR], "Next": "Caught"}]
    each = {"Type": "Map", "ItemProcessor": scope("E", PASS), "Catch": catch, "Next": "Caught"}
    run = Run(single(jsonata(each), Caught=PASS), {"no": "array"})

    details = run.events()[2]["evaluationFailedEventDetails"]

    assert details["cause"].endswith('). Map state input must be an array but was: {"no":"array"}')
    assert "location" not in details
    assert run.types()[2:5] == ["EvaluationFailed", "MapStateFailed", "MapStateExited"]
    assert run.output["Error"] == ERROR


def test_a_failed_evaluation_in_an_iteration_fails_the_map() -> None:
    each = {"Type": "Map", "ItemProcessor": scope("E", jsonata(PASS, Output=NOTHING)), "End": True}
    run = Run(single(each), [1])

    assert run.error[0] == ERROR
    assert run.types()[4:] == [
        "PassStateEntered",
        "EvaluationFailed",
        "MapIterationFailed",
        "MapStateFailed",
        "ExecutionFailed",
    ]


def test_the_clock_of_an_expression_is_that_of_the_decision() -> None:
    run = Run(single(jsonata(TASK, Output="{% $millis() %}")))
    run.now_ms += 5000

    run.decide(s.TaskSuccess(token=1, output=None))

    assert run.output == run.now_ms
