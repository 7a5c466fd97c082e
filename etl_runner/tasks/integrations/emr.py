"""`elasticmapreduce:*`: clusters of Amazon EMR and their steps."""

from typing import Any

from etl_runner.jsontypes import Json
from etl_runner.tasks.aws_jobs import Job
from etl_runner.tasks.aws_metadata import profile_of, sdk_metadata, wire_body
from etl_runner.tasks.aws_optimised import JOB, Action, Answer, Given, Optimised, Service
from etl_runner.tasks.integration import Integration, ServiceCall

SERVICE = Service(
    name="elasticmapreduce",
    boto3_name="emr",
    title="ElasticMapReduce",
    long_title="AmazonElasticMapReduce",
)
_ENDED = frozenset({"TERMINATED", "TERMINATED_WITH_ERRORS"})


def _cluster(call: ServiceCall) -> dict[str, Any]:
    return {"ClusterId": call.arguments["ClusterId"]}


def with_step(given: Given, _call: ServiceCall) -> Given:
    """Step Functions adds one step at a time, where the API takes several."""
    made = {name: value for name, value in given.items() if name not in {"ClusterId", "Step"}}
    return {**made, "JobFlowId": given.get("ClusterId"), "Steps": [given.get("Step")]}


def terminated(given: Given, _call: ServiceCall) -> Given:
    """One cluster, where the API takes several."""
    return {"JobFlowIds": [given.get("ClusterId")]}


def protected(given: Given, _call: ServiceCall) -> Given:
    """One cluster, where the API takes several."""
    return {
        "JobFlowIds": [given.get("ClusterId")],
        "TerminationProtected": given.get("TerminationProtected"),
    }


def one_step(given: Given, _call: ServiceCall) -> Given:
    """One step, where the API takes several."""
    return {"ClusterId": given.get("ClusterId"), "StepIds": [given.get("StepId")]}


def _metadata(operation: Any, answer: Answer) -> dict[str, Json]:
    body = wire_body(SERVICE.model, operation, answer)
    return sdk_metadata(profile_of(SERVICE.model), answer["ResponseMetadata"], body)


def created(_service: Service, operation: Any, answer: Answer) -> Json:
    """The cluster that was made; AWS no longer calls it a job flow here."""
    shown = {"ClusterArn": answer.get("ClusterArn"), "ClusterId": answer["JobFlowId"]}
    return shown | _metadata(operation, answer)


def added(_service: Service, operation: Any, answer: Answer) -> Json:
    """The step that was added."""
    return {"StepId": answer["StepIds"][0]} | _metadata(operation, answer)


def cancelled(_service: Service, operation: Any, answer: Answer) -> Json:
    """What became of the one step."""
    return dict(answer["CancelStepsInfoList"][0]) | _metadata(operation, answer)


INTEGRATION: Integration = Optimised(
    SERVICE,
    "Make, change and end clusters of Amazon EMR and run steps in them; .sync waits for each",
    Action(
        name="createCluster",
        operation="RunJobFlow",
        forms=JOB,
        result=created,
        job=Job(
            describe="DescribeCluster",
            asks=lambda submitted, _call: {"ClusterId": submitted["ClusterId"]},
            status="Cluster.Status.State",
            done=frozenset({"WAITING", "RUNNING"}),
            failed=_ENDED,
            cancel="TerminateJobFlows",
            cancels=lambda submitted, _call: {"JobFlowIds": [submitted["ClusterId"]]},
        ),
    ),
    Action(
        name="addStep",
        operation="AddJobFlowSteps",
        forms=JOB,
        fields=("ClusterId", "ExecutionRoleArn", "Step"),
        required=("ClusterId", "Step"),
        prepare=with_step,
        result=added,
        job=Job(
            describe="DescribeStep",
            asks=lambda submitted, call: {**_cluster(call), "StepId": submitted["StepId"]},
            status="Step.Status.State",
            done=frozenset({"COMPLETED"}),
            failed=frozenset({"FAILED", "CANCELLED", "INTERRUPTED"}),
            cancel="CancelSteps",
            cancels=lambda submitted, call: {**_cluster(call), "StepIds": [submitted["StepId"]]},
        ),
    ),
    Action(
        name="terminateCluster",
        operation="TerminateJobFlows",
        forms=JOB,
        fields=("ClusterId",),
        required=("ClusterId",),
        prepare=terminated,
        job=Job(
            describe="DescribeCluster",
            asks=lambda _submitted, call: _cluster(call),
            status="Cluster.Status.State",
            done=_ENDED,
        ),
    ),
    Action(
        name="setClusterTerminationProtection",
        operation="SetTerminationProtection",
        fields=("ClusterId", "TerminationProtected"),
        required=("ClusterId", "TerminationProtected"),
        prepare=protected,
    ),
    Action(
        name="cancelStep",
        operation="CancelSteps",
        fields=("ClusterId", "StepId"),
        required=("ClusterId", "StepId"),
        prepare=one_step,
        result=cancelled,
    ),
)
