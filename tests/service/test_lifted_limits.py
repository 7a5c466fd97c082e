"""What the settings lift passes the whole program, from the start of an execution to its history."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.service.program import ARN, Daemon, Installation, serving, task, until

ROLE = "arn:aws:iam::123456789012:role/any"
BIG = "x" * 400_000
FUNCTIONS = """
functions:
  echo: {handler: tasks.echo}
  light: {handler: tasks.echo, run_in: thread}
  half: {handler: tasks.half}
  whole: {handler: tasks.whole}
  whole-light: {handler: tasks.whole, run_in: thread}
"""
TASKS = """
def echo(event, context):
    return event

def half(event, context):
    return "y" * 200_000

def whole(event, context):
    return "y" * 300_000
"""
HALF = {"StartAt": "Half", "States": {"Half": {"Type": "Task", "Resource": f"{ARN}half", "End": True}}}
EACH = {"Type": "Map", "ItemsPath": "$.items", "ResultPath": "$.each"}


def made(folder: Path) -> Installation:
    at = Installation(folder)
    at.write("workflows/sized/functions.yaml", FUNCTIONS)
    at.write("workflows/sized/tasks.py", TASKS)
    return at


@pytest.fixture(scope="module")
def lifted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    at = made(tmp_path_factory.mktemp("lifted") / "installation")
    sizes = {"payload_bytes": 4_000_000, "variable_bytes": 2_000_000, "assign_bytes": 2_000_000}
    at.settings(limits={**sizes, "events": 40_000, "definition_bytes": 3_000_000})
    with serving(at) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with serving(made(tmp_path_factory.mktemp("usual") / "installation")) as daemon:
        yield daemon


def client(daemon: Daemon) -> Any:
    return boto3.session.Session().client(
        "stepfunctions",
        endpoint_url=daemon.url,
        region_name="us-east-1",
        aws_access_key_id="123456789012",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=70),
    )


def create(sfn: Any, name: str, definition: Any) -> str:
    made = sfn.create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE)
    return str(made["stateMachineArn"])


def ended(sfn: Any, execution: str) -> Any:
    def description() -> Any:
        described = sfn.describe_execution(executionArn=execution)
        return described if described["status"] != "RUNNING" else None

    return until(description, "the execution ended")


def run(sfn: Any, name: str, definition: Any, given: Any = None) -> Any:
    arn = create(sfn, name, definition)
    started = sfn.start_execution(stateMachineArn=arn, input=json.dumps({} if given is None else given))
    return ended(sfn, started["executionArn"])


def refusal(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def through(*resources: str) -> dict[str, Any]:
    """A chain of tasks that hand on what they are given."""
    names = [f"S{number}" for number in range(len(resources))]
    ways = [{"Next": name} for name in names[1:]] + [{"End": True}]
    states = zip(names, resources, ways, strict=True)
    return {
        "StartAt": names[0],
        "States": {name: {"Type": "Task", "Resource": one, **way} for name, one, way in states},
    }


# --- payloads ---------------------------------------------------------------------------------------------


def test_a_large_input_passes_processes_threads_and_variables_and_shows_in_the_history(
    lifted: Daemon,
) -> None:
    sfn = client(lifted)
    definition = through(f"{ARN}echo", f"{ARN}light")
    definition["States"]["S1"]["Assign"] = {"kept.$": "$"}
    described = run(sfn, "chain", definition, BIG)
    events = sfn.get_execution_history(executionArn=described["executionArn"])["events"]

    assert (described["status"], json.loads(described["output"])) == ("SUCCEEDED", BIG)
    assert json.loads(events[0]["executionStartedEventDetails"]["input"]) == BIG
    assert json.loads(events[-1]["executionSucceededEventDetails"]["output"]) == BIG


def test_a_large_result_comes_back_by_task_token_and_from_a_nested_execution(lifted: Daemon) -> None:
    sfn = client(lifted)
    activity = sfn.create_activity(name="work")["activityArn"]
    inner = create(sfn, "inner", task(activity))
    start = "arn:aws:states:::states:startExecution.sync:2"
    outer = create(
        sfn,
        "outer",
        task(start, Parameters={"StateMachineArn": inner, "Input.$": "$"}, OutputPath="$.Output"),
    )
    execution = sfn.start_execution(stateMachineArn=outer, input=json.dumps({"text": BIG}))["executionArn"]
    work = sfn.get_activity_task(activityArn=activity)
    sfn.send_task_success(taskToken=work["taskToken"], output=json.dumps([BIG]))

    assert json.loads(work["input"]) == {"text": BIG}
    assert json.loads(ended(sfn, execution)["output"]) == [BIG]


@pytest.mark.parametrize("mode", ["INLINE", "DISTRIBUTED"])
def test_the_results_of_a_map_may_be_large_together(lifted: Daemon, mode: str) -> None:
    kind = {"Mode": mode} if mode == "INLINE" else {"Mode": mode, "ExecutionType": "STANDARD"}
    each = {**EACH, "ItemProcessor": {**HALF, "ProcessorConfig": kind}, "End": True}
    machine = {"StartAt": "Each", "States": {"Each": each}}
    described = run(client(lifted), f"each-{mode}", machine, {"items": [1, 2, 3]})

    assert described["status"] == "SUCCEEDED", described.get("cause")
    assert json.loads(described["output"])["each"] == ["y" * 200_000] * 3


def test_by_default_what_is_given_may_have_256_kib(usual: Daemon) -> None:
    sfn = client(usual)
    arn = create(sfn, "given", through(f"{ARN}echo"))
    length = "failed to satisfy constraint: Member must have length less than or equal to 262144"
    told = "1 validation error detected: Value at"
    wide = json.dumps("ü" * 140_000, ensure_ascii=False)

    assert refusal(sfn.start_execution, stateMachineArn=arn, input=json.dumps(BIG)) == (
        "ValidationException",
        f"{told} 'input' {length}",
    )
    assert refusal(sfn.start_execution, stateMachineArn=arn, input=wide) == (
        "InvalidExecutionInput",
        "Invalid State Machine Execution Input: 'Input size exceeds the maximum of 262144 bytes.'",
    )
    assert refusal(sfn.send_task_success, taskToken="t", output=json.dumps(BIG)) == (
        "ValidationException",
        f"{told} 'output' {length}",
    )


@pytest.mark.parametrize("name", ["whole", "whole-light"])
def test_by_default_a_tasks_result_may_have_256_kib(usual: Daemon, lifted: Daemon, name: str) -> None:
    failed = run(client(usual), name, through(f"{ARN}{name}"))
    cause = (
        f"The state/task '{ARN}{name}' returned a result with a size exceeding the maximum number of bytes"
    )

    assert (failed["error"], failed["cause"]) == ("States.DataLimitExceeded", f"{cause} service limit.")
    assert run(client(lifted), name, through(f"{ARN}{name}"))["status"] == "SUCCEEDED"


@pytest.mark.parametrize("mode", ["INLINE", "DISTRIBUTED"])
def test_by_default_the_results_of_a_map_may_have_256_kib_together(usual: Daemon, mode: str) -> None:
    kind = {"Mode": mode} if mode == "INLINE" else {"Mode": mode, "ExecutionType": "STANDARD"}
    each = {**EACH, "ItemProcessor": {**HALF, "ProcessorConfig": kind}, "End": True}
    machine = {"StartAt": "Each", "States": {"Each": each}}
    described = run(client(usual), f"each-{mode}", machine, {"items": [1, 2, 3]})

    assert (described["status"], described["error"]) == ("FAILED", "States.DataLimitExceeded")


# --- histories and definitions ----------------------------------------------------------------------------

LOOP = {
    "StartAt": "Count",
    "States": {
        "Count": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "Next": "Enough"},
        "Enough": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.n", "NumericEquals": 7_000, "Next": "Done"}],
            "Default": "Count",
        },
        "Done": {"Type": "Succeed"},
    },
}
"""28,004 events."""


def test_a_history_of_more_than_25000_events_is_kept_and_paged_where_that_is_allowed(lifted: Daemon) -> None:
    sfn = client(lifted)
    described = run(sfn, "loop", LOOP, {"n": 0})
    newest = sfn.get_execution_history(
        executionArn=described["executionArn"], reverseOrder=True, maxResults=1
    )["events"][0]

    assert (described["status"], newest["id"]) == ("SUCCEEDED", 28_004)


def test_by_default_the_25000th_event_is_the_end(usual: Daemon) -> None:
    sfn = client(usual)
    described = run(sfn, "loop", LOOP, {"n": 0})
    newest = sfn.get_execution_history(
        executionArn=described["executionArn"], reverseOrder=True, maxResults=1
    )["events"][0]

    assert (newest["id"], newest["type"], newest["executionFailedEventDetails"]) == (
        25_000,
        "ExecutionFailed",
        {
            "error": "States.Runtime",
            "cause": "The execution reached the maximum number of history events (25000).",
        },
    )


def test_a_definition_has_1_mib_unless_more_is_allowed(usual: Daemon, lifted: Daemon) -> None:
    large = {"Comment": "x" * 1_048_576, **LOOP}
    text = json.dumps(large)
    code, told = refusal(client(usual).create_state_machine, name="large", definition=text, roleArn=ROLE)
    described = client(lifted).describe_state_machine(stateMachineArn=create(client(lifted), "large", large))

    assert code == "ValidationException"
    assert told == (
        "1 validation error detected: Value at 'definition' failed to satisfy constraint: Member must have "
        "length less than or equal to 1048576"
    )
    assert described["definition"] == text
