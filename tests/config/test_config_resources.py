"""What no Task can do is refused when the workflow is loaded, by the sentence of whoever would do it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.config.load import load_config
from etl_runner.errors import ConfigError, Fault
from etl_runner.schedule.due import tick_sample
from etl_runner.schedule.expressions import parse_expression
from etl_runner.schedule.patterns import compile_pattern
from etl_runner.tasks.functions import FunctionRegistry
from etl_runner.tasks.python_functions import PythonFunctions
from etl_runner.tasks.router import TaskRouter
from etl_runner.tasks.services import Services
from etl_runner.tasks.threads import ThreadFunctions
from etl_runner.tasks.workers import WorkerPool

Check: TypeAlias = Callable[[dict[str, Any]], list[Fault]]

STATES = "arn:aws:states:::"
LAMBDA = "arn:aws:lambda:us-east-1:123456789012:function:daily-fetch"
ROLE = {"RoleArn": "arn:aws:iam::123456789012:role/other"}
MAP: dict[str, Any] = {
    "Type": "Map",
    "End": True,
    "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Inner",
        "States": {"Inner": {"Type": "Pass", "End": True}},
    },
}


@pytest.fixture
def check(root: Path) -> Iterator[Check]:
    """Loads the workflow with a state more, asking the real router about resources; gives the faults."""
    functions = PythonFunctions(FunctionRegistry(), WorkerPool(1), ThreadFunctions(1))
    router = TaskRouter([functions, Services(AwsAccess())])

    def run(state: dict[str, Any]) -> list[Fault]:
        definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "Do"}, "Do": state}}
        (root / "workflows/daily/workflow.asl.json").write_text(json.dumps(definition, indent=2))
        try:
            load_config(
                Path("config"),
                Path("workflows"),
                check_expression=parse_expression,
                check_pattern=compile_pattern,
                check_resource=router.accepts,
                tick_sample=tick_sample,
            )
        except ConfigError as error:
            return list(error.faults)
        return []

    yield run
    router.close(0)


def task(resource: str, **more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": resource, "End": True, **more}


@pytest.mark.parametrize(
    "resource",
    [
        LAMBDA,
        f"{STATES}sns:publish",
        f"{STATES}aws-sdk:s3:getObject",
        f"{STATES}sqs:sendMessage.waitForTaskToken",
        f"{STATES}lambda:invoke.waitForTaskToken",
        f"{STATES}batch:submitJob.sync",
        f"{STATES}states:startExecution.sync:2",
    ],
)
def test_what_can_be_done_is_taken(check: Check, resource: str) -> None:
    assert check(task(resource, HeartbeatSeconds=60, TimeoutSeconds=600)) == []


@pytest.mark.parametrize(
    ("resource", "says"),
    [
        (f"{STATES}sqs:sendMessage.sync", "the form .sync of sqs:sendMessage does not exist"),
        (f"{STATES}lambda:invoke.sync", "the form .sync of lambda:invoke does not exist"),
        (f"{STATES}aws-sdk:sqs:sendMessage.sync", "the form .sync of aws-sdk resources does not exist"),
        (f"{STATES}dynamodb:query", "dynamodb has getItem, putItem, updateItem, deleteItem"),
        (f"{STATES}forecast:createPredictor", "nothing here does the work of this resource"),
        (f"{STATES}s3:getObject", "is for ItemReader and ResultWriter of a Map, not for a Task"),
        (f"{STATES}s3:putObject", "is for ItemReader and ResultWriter of a Map, not for a Task"),
        ("${Function}", "nothing here does the work of this resource"),
    ],
)
def test_what_nobody_does_is_refused_by_name_with_its_place(check: Check, resource: str, says: str) -> None:
    [fault] = check(task(resource, TimeoutSeconds=60))

    assert (fault.file, fault.line, fault.code) == (
        "workflows/daily/workflow.asl.json",
        8,
        "unknown-resource",
    )
    assert fault.what.startswith("the state 'Do' cannot be run: ")
    assert resource in fault.what
    assert says in fault.what


def test_a_task_may_have_credentials(check: Check) -> None:
    assert check(task(f"{STATES}sns:publish", Credentials=ROLE)) == []


def test_the_resources_of_a_big_map_are_no_business_of_the_tasks(check: Check) -> None:
    reader = {
        "Resource": f"{STATES}s3:getObject",
        "Parameters": {"Bucket": "b", "Key": "k"},
        "ReaderConfig": {"InputType": "JSON"},
    }
    writer = {"Resource": f"{STATES}s3:putObject", "Parameters": {"Bucket": "b"}}
    faults = check({**MAP, "ItemReader": {**reader, "Resource": "${Reader}"}, "ResultWriter": writer})

    assert check({**MAP, "ItemReader": reader, "ResultWriter": writer}) == []
    assert [fault.what for fault in faults] == [
        "the state 'Do' cannot be run: the Resource ${Reader} of its ItemReader is still a placeholder"
    ]
