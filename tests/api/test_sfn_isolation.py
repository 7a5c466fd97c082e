"""With access keys an account is a boundary: every action on what another one has is refused."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from etl_runner.api.sfn.actions import actions
from etl_runner.api.sfn.caller import Callers
from etl_runner.api.sigv4 import AccessKey
from tests.api.stage import Stage, served

ADA = AccessKey(id="AKIDADA", secret="ada-keeps-this", account="111111111111")
BOB = AccessKey(id="AKIDBOB", secret="bob-keeps-this", account="222222222222")
ROLE = "arn:aws:iam::111111111111:role/r"
OWN_THINGS_ONLY = {
    "CreateActivity",
    "CreateStateMachine",
    "ListActivities",
    "ListStateMachines",
    "TestState",
    "ValidateStateMachineDefinition",
}
"""They name nothing that anyone has; what they make or list is the caller's."""


class Two:
    """Two accounts of one service. Ada has an activity, and an execution that waits for it."""

    def __init__(self, url: str) -> None:
        self.ada, self.bob = _client(url, ADA), _client(url, BOB)
        self.activity = self.ada.create_activity(name="work")["activityArn"]
        definition = {
            "StartAt": "Work",
            "States": {"Work": {"Type": "Task", "Resource": self.activity, "End": True}},
        }
        self.definition = json.dumps(definition)
        self.machine = self.ada.create_state_machine(
            name="m", definition=self.definition, roleArn=ROLE, publish=True
        )["stateMachineArn"]
        self.version = f"{self.machine}:1"
        self.routing = [{"stateMachineVersionArn": self.version, "weight": 100}]
        self.alias = self.ada.create_state_machine_alias(name="a", routingConfiguration=self.routing)[
            "stateMachineAliasArn"
        ]
        self.execution = self.ada.start_execution(stateMachineArn=self.machine)["executionArn"]


@pytest.fixture
def two(stage: Stage) -> Iterator[Two]:
    callers = Callers(account="123456789012", region="us-east-1", keys=[ADA, BOB])
    with served(stage, callers=callers) as url:
        yield Two(url)


def _client(url: str, key: AccessKey) -> Any:
    return boto3.client(
        "stepfunctions",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        config=Config(retries={"total_max_attempts": 1}, inject_host_prefix=False),
    )


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def test_no_action_touches_what_another_account_has(two: Two) -> None:
    map_run = two.execution.replace(":execution:", ":mapRun:").replace(":m:", ":m/Label:")
    named: dict[str, dict[str, Any]] = {
        "CreateStateMachineAlias": {"name": "b", "routingConfiguration": two.routing},
        "DeleteActivity": {"activityArn": two.activity},
        "DeleteStateMachine": {"stateMachineArn": two.machine},
        "DeleteStateMachineAlias": {"stateMachineAliasArn": two.alias},
        "DeleteStateMachineVersion": {"stateMachineVersionArn": two.version},
        "DescribeActivity": {"activityArn": two.activity},
        "DescribeExecution": {"executionArn": two.execution},
        "DescribeMapRun": {"mapRunArn": map_run},
        "DescribeStateMachine": {"stateMachineArn": two.machine},
        "DescribeStateMachineAlias": {"stateMachineAliasArn": two.alias},
        "DescribeStateMachineForExecution": {"executionArn": two.execution},
        "GetActivityTask": {"activityArn": two.activity},
        "GetExecutionHistory": {"executionArn": two.execution},
        "ListExecutions": {"stateMachineArn": two.machine},
        "ListMapRuns": {"executionArn": two.execution},
        "ListStateMachineAliases": {"stateMachineArn": two.machine},
        "ListStateMachineVersions": {"stateMachineArn": two.machine},
        "ListTagsForResource": {"resourceArn": two.machine},
        "PublishStateMachineVersion": {"stateMachineArn": two.machine},
        "RedriveExecution": {"executionArn": two.execution},
        "StartExecution": {"stateMachineArn": two.machine},
        "StartSyncExecution": {"stateMachineArn": two.alias},
        "StopExecution": {"executionArn": two.execution},
        "TagResource": {"resourceArn": two.activity, "tags": [{"key": "k", "value": "v"}]},
        "UntagResource": {"resourceArn": two.activity, "tagKeys": ["k"]},
        "UpdateMapRun": {"mapRunArn": map_run, "maxConcurrency": 1},
        "UpdateStateMachine": {"stateMachineArn": two.machine, "definition": two.definition},
        "UpdateStateMachineAlias": {"stateMachineAliasArn": two.alias, "description": "mine"},
    }
    by_token = {"SendTaskFailure", "SendTaskHeartbeat", "SendTaskSuccess"}
    assert set(named) | by_token | OWN_THINGS_ONLY == set(actions())

    for action, parameters in named.items():
        with pytest.raises(ClientError) as refused:
            two.bob._make_api_call(action, parameters)
        assert (action, _code(refused.value)) == (action, "AccessDeniedException")


def test_a_token_that_another_account_got_hold_of_is_invalid_there(two: Two) -> None:
    token = two.ada.get_activity_task(activityArn=two.activity)["taskToken"]

    for action, given in (
        ("SendTaskSuccess", {"output": "1"}),
        ("SendTaskFailure", {}),
        ("SendTaskHeartbeat", {}),
    ):
        with pytest.raises(ClientError) as refused:
            two.bob._make_api_call(action, {"taskToken": token, **given})
        assert _code(refused.value) == "InvalidToken"
    two.ada.send_task_success(taskToken=token, output="1")


def test_the_workers_of_another_account_get_no_task(two: Two) -> None:
    """The task fails: for a state machine of Bob there is no such activity."""
    machine = two.bob.create_state_machine(name="m", definition=two.definition, roleArn=ROLE)
    execution = two.bob.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]
    first = two.ada.get_activity_task(activityArn=two.activity)

    history: list[Any] = []
    while not history or history[-1]["type"] != "ExecutionFailed":
        history = two.bob.get_execution_history(executionArn=execution)["events"]

    assert history[-1]["executionFailedEventDetails"]["error"] == "ActivityDoesNotExist"
    assert first["taskToken"]
