"""`ecs:runTask`: a task of Amazon ECS, on EC2 or Fargate."""

from typing import Any

from etl_runner.jsontypes import Json
from etl_runner.tasks.aws_jobs import Job
from etl_runner.tasks.aws_optimised import (
    ALL_FORMS,
    Action,
    Answer,
    Given,
    Optimised,
    Service,
    task_failed,
    with_metadata,
)
from etl_runner.tasks.integration import Integration, ServiceCall

SERVICE = Service(name="ecs", boto3_name="ecs", title="ECS", long_title="AmazonECS")


def prepare(given: Given, _call: ServiceCall) -> Given:
    """Say who started the task, as AWS does."""
    return {"StartedBy": "AWS Step Functions", **given}


def result(service: Service, operation: Any, answer: Answer) -> Json:
    """The tasks. Raises StatesError when none was started: there is nothing to wait for."""
    shown = with_metadata(service, operation, answer)
    if not answer.get("tasks"):
        raise task_failed({name: shown.get(name, []) for name in ("Failures", "Tasks")})
    return shown


def _of(submitted: Json) -> Json:
    return submitted["Tasks"][0]


def _ended_well(answer: Answer) -> bool:
    containers = answer["tasks"][0].get("containers", [])
    return all(container.get("exitCode") == 0 for container in containers)


INTEGRATION: Integration = Optimised(
    SERVICE,
    "Run a task of Amazon ECS or Fargate; .sync waits for its end and fails when a container did",
    Action(
        name="runTask",
        forms=ALL_FORMS,
        prepare=prepare,
        result=result,
        job=Job(
            describe="DescribeTasks",
            asks=lambda submitted, _call: {
                "cluster": _of(submitted)["ClusterArn"],
                "tasks": [_of(submitted)["TaskArn"]],
            },
            status="tasks.0.lastStatus",
            shown="tasks.0",
            done=frozenset({"STOPPED"}),
            succeeded=_ended_well,
            cancel="StopTask",
            cancels=lambda submitted, _call: {
                "cluster": _of(submitted)["ClusterArn"],
                "task": _of(submitted)["TaskArn"],
                "reason": "The state that ran the task was stopped or timed out",
            },
        ),
    ),
)
