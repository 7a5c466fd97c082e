"""What the recorded histories do not show of the projection."""

import dataclasses
import json
import random
from typing import Final

import pytest

from etl_runner.jsontypes import dumps_text
from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.aws_events import TaskShape
from etl_runner.machine.aws_history import project
from etl_runner.machine.decide import start
from etl_runner.machine.map_plan import run_arn
from tests.machine.shell import BEGUN_MS, PASS, TASK, Run, compiled, scope, single, start_of

_DATA: Final = {"input", "output"}


@pytest.mark.parametrize(
    ("resource", "family", "about"),
    [
        ("arn:aws:lambda:us-east-1:123456789012:function:work", "LambdaFunction", None),
        ("arn:aws:states:us-east-1:123456789012:activity:work", "Activity", None),
        ("arn:aws:states:::lambda:invoke", "Task", ("lambda", "invoke")),
        (
            "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Task",
            ("sqs", "sendMessage.waitForTaskToken"),
        ),
        ("arn:aws:states:::states:startExecution.sync:2", "Task", ("states", "startExecution.sync:2")),
        ("arn:aws:states:::aws-sdk:dynamodb:putItem", "Task", ("aws-sdk:dynamodb", "putItem")),
    ],
)
def test_a_resource_decides_how_its_task_is_shown(
    resource: str, family: str, about: tuple[str, str] | None
) -> None:
    shape = TaskShape.of(resource)

    shown = None if about is None else {"resourceType": about[0], "resource": about[1]}
    assert (shape.family, dict(shape.about) or None) == (family, shown)


@pytest.mark.parametrize("submitted", [False, True])
def test_a_job_that_could_not_be_submitted_has_an_event_of_its_own(submitted: bool) -> None:
    resource = "arn:aws:states:::states:startExecution.sync"
    run = Run(single(TASK | {"Resource": resource, "Parameters": {"StateMachineArn": "a"}}))
    if submitted:
        run.decide(s.TaskSubmission(token=1, output={}))

    run.fail("E", "why")

    kind = "TaskFailed" if submitted else "TaskSubmitFailed"
    event = next(e for e in run.events() if e["type"] == kind)
    about = {"resourceType": "states", "resource": "startExecution.sync", "error": "E", "cause": "why"}
    assert event[kind[0].lower() + kind[1:] + "EventDetails"] == about


@pytest.mark.parametrize("text", ['[1, "a"]', "[1,\n2]"])
def test_the_start_input_is_shown_as_it_was_sent_while_it_is_the_data(text: str) -> None:
    given = json.loads(text)
    states = single({"Type": "Pass", "Next": "Other"}, Other=PASS | {"Result": given})
    definition = compiled(states)
    first = dataclasses.replace(start_of(given), input_text=text)
    _, made = start(definition, first, BEGUN_MS, random.Random(1))

    events = list(project(definition, [(BEGUN_MS, made)], region="r"))

    shown = [v for e in events for d in e.values() if isinstance(d, dict) for k, v in d.items() if k in _DATA]
    assert shown == [text, text, text, text, dumps_text(given), dumps_text(given)]


def test_versions_and_aliases_are_told_where_the_execution_was_started_with_them() -> None:
    definition = compiled(single(PASS))
    first = dataclasses.replace(
        start_of(), state_machine_version_arn="arn:1", state_machine_alias_arn="arn:a"
    )
    _, made = start(definition, first, BEGUN_MS, random.Random(1))

    details = next(project(definition, [(BEGUN_MS, made)], region="r"))["executionStartedEventDetails"]

    assert (details["stateMachineVersionArn"], details["stateMachineAliasArn"]) == ("arn:1", "arn:a")


def test_without_data_no_input_output_or_parameter_is_shown() -> None:
    integration = TASK | {
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "secret"},
    }
    states = {**integration, "Next": "Then"}
    del states["End"]
    run = Run(single(states, Then=TASK), {"a": "secret"})
    run.succeed({"b": "secret"})
    run.succeed("secret", state="Then")

    shown = list(project(run.definition, run.pages, region="us-east-1", include_data=False))

    assert "secret" not in str(shown)
    assert [event["type"] for event in shown] == run.types()


def test_the_same_map_run_has_the_same_arn_and_another_another() -> None:
    arn = "arn:aws:states:us-east-1:123456789012:execution:machine:run"
    plan = {"label": "Spread"}

    assert run_arn(arn, plan, 1) == run_arn(arn, plan, 1)
    assert len({run_arn(arn, plan, 1), run_arn(arn, plan, 2), run_arn(arn + "2", plan, 1)}) == 3
    assert run_arn(arn, plan, 1).startswith("arn:aws:states:us-east-1:123456789012:mapRun:machine/Spread:")


def test_the_events_of_branches_form_a_chain_each() -> None:
    branches = [scope("A", PASS), scope("B", PASS)]
    run = Run(single({"Type": "Parallel", "Branches": branches, "End": True}))

    chains = [(e["id"], e["previousEventId"], e["type"]) for e in run.events()[2:]]

    assert chains == [
        (3, 2, "ParallelStateStarted"),
        (4, 3, "PassStateEntered"),
        (5, 4, "PassStateExited"),
        (6, 3, "PassStateEntered"),
        (7, 6, "PassStateExited"),
        (8, 7, "ParallelStateSucceeded"),
        (9, 7, "ParallelStateExited"),
        (10, 9, "ExecutionSucceeded"),
    ]


def test_a_map_run_that_a_siblings_failure_takes_along_is_shown_as_aborted() -> None:
    processor = scope("Each", PASS) | {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    }
    spread = {"Type": "Map", "ItemProcessor": processor, "End": True}
    both = {"Type": "Parallel", "Branches": [scope("Spread", spread), scope("Work", TASK)], "End": True}
    run = Run(single(both), [1])

    run.fail("E", state="Work")

    assert run.types()[-6:] == [
        "LambdaFunctionFailed",
        "TaskStateAborted",
        "MapRunAborted",
        "MapStateAborted",
        "ParallelStateFailed",
        "ExecutionFailed",
    ]


def test_a_history_that_does_not_begin_is_refused() -> None:
    with pytest.raises(ValueError, match="begins with ExecutionStarted, this one with StateEntered"):
        list(project(compiled(single(PASS)), [(1, [f.StateEntered(frame=0, state="Only")])], region="r"))
