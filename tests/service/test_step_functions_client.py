"""The whole program as a client of Step Functions meets it: nested executions, activities, kills."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

from tests.service.program import Daemon, Installation, serving, until

ROLE = "arn:aws:iam::123456789012:role/any"


def client(daemon: Daemon) -> Any:
    return boto3.session.Session().client(
        "stepfunctions",
        endpoint_url=daemon.url,
        region_name="us-east-1",
        aws_access_key_id="123456789012",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=70),
    )


def machine(sfn: Any, name: str, **states: Any) -> str:
    definition = {"StartAt": next(iter(states)), "States": states}
    made = sfn.create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE)
    return str(made["stateMachineArn"])


def outcome(sfn: Any, execution: str) -> Any:
    """The output of an execution, once it has succeeded."""

    def ended() -> Any:
        described = sfn.describe_execution(executionArn=execution)
        return described if described["status"] != "RUNNING" else None

    described = until(ended, "the execution ended")
    assert described["status"] == "SUCCEEDED", described
    return json.loads(described["output"])


def test_a_state_machine_starts_another_and_works_on_its_activity(
    installation: Installation,
) -> None:
    with serving(installation) as daemon:
        sfn = client(daemon)
        activity = sfn.create_activity(name="work")["activityArn"]
        worked = machine(sfn, "worked", Work={"Type": "Task", "Resource": activity, "End": True})
        worker = machine(
            sfn,
            "worker",
            Fetch={
                "Type": "Task",
                "Resource": "arn:aws:states:::aws-sdk:sfn:getActivityTask",
                "Parameters": {"ActivityArn": activity},
                "Next": "Answer",
            },
            Answer={
                "Type": "Task",
                "Resource": "arn:aws:states:::aws-sdk:sfn:sendTaskSuccess",
                "Parameters": {"TaskToken.$": "$.TaskToken", "Output.$": "$.Input"},
                "End": True,
            },
        )
        parent = machine(
            sfn,
            "parent",
            Start={
                "Type": "Task",
                "Resource": "arn:aws:states:::states:startExecution.sync:2",
                "Parameters": {"StateMachineArn": worked, "Input": {"n": 1}},
                "OutputPath": "$.Output",
                "End": True,
            },
        )
        execution = sfn.start_execution(stateMachineArn=parent)["executionArn"]
        sfn.start_execution(stateMachineArn=worker)

        assert outcome(sfn, execution) == {"n": 1}


def test_a_worker_that_waits_for_a_task_does_not_hold_up_the_end(installation: Installation) -> None:
    with serving(installation) as daemon, ThreadPoolExecutor(1) as pool:
        sfn = client(daemon)
        activity = sfn.create_activity(name="work")["activityArn"]
        waiting = pool.submit(sfn.get_activity_task, activityArn=activity)
        # Its request is on its way before one that is sent after it is answered.
        sfn.list_activities()
        begun = time.monotonic()
        assert daemon.stop() == 0

        assert "taskToken" not in waiting.result(5)
        assert time.monotonic() - begun < 3


def test_a_worker_answers_after_the_service_was_killed(installation: Installation) -> None:
    with serving(installation) as daemon:
        sfn = client(daemon)
        activity = sfn.create_activity(name="work")["activityArn"]
        worked = machine(
            sfn, "worked", Work={"Type": "Task", "Resource": activity, "HeartbeatSeconds": 600, "End": True}
        )
        execution = sfn.start_execution(stateMachineArn=worked, input='{"n": 1}')["executionArn"]
        token = sfn.get_activity_task(activityArn=activity)["taskToken"]
        daemon.kill()
    with serving(installation) as daemon:
        sfn = client(daemon)
        sfn.send_task_heartbeat(taskToken=token)
        sfn.send_task_success(taskToken=token, output='{"n": 2}')

        assert outcome(sfn, execution) == {"n": 2}
