import datetime as dt
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.clock import ManualClock
from etl_runner.jsontypes import Json
from etl_runner.tasks import integrations
from etl_runner.tasks.aws_models import actions, service_model
from etl_runner.tasks.aws_naming import camel, exception_name, member, service_names, service_title
from etl_runner.tasks.aws_optimised import Optimised
from etl_runner.tasks.aws_shapes import instant
from etl_runner.tasks.integration import (
    CALLBACK,
    FORMS,
    PREFIX,
    SYNC,
    SYNC2,
    Integration,
    ServiceCall,
    patience,
    register,
    scan,
    split_form,
)
from etl_runner.tasks.services import Services
from tests.conftest import access_to, close_clients
from tests.tasks.collector import Collector, invoke

FOUND = scan(integrations)
LOG_EVENT = {"Timestamp": 1, "Message": "m"}
SERVICES = {found.name: found.service.boto3_name for found in FOUND if isinstance(found, Optimised)}
FIRST = [(found, found.examples[0]) for found in FOUND]
"""One of each, for what takes a client and so its time."""


# ------------------------------------------------------------------------------- the contract of them all


def test_every_file_of_the_folder_is_an_integration() -> None:
    names = {found.name for found in FOUND}

    assert names >= {"aws-sdk", "dynamodb", "events", "lambda", "sns", "sqs", "states"}


ALL = pytest.mark.parametrize("integration", FOUND, ids=[found.name for found in FOUND])


@ALL
def test_an_integration_accepts_its_examples(integration: Integration) -> None:
    assert [integration.accepts(resource) for resource in integration.examples] == [None] * len(
        integration.examples
    )


@ALL
def test_an_integration_refuses_by_name_the_forms_it_does_not_have(integration: Integration) -> None:
    for base in {split_form(resource)[0] for resource in integration.examples}:
        for form in (*FORMS, ".nonsense"):
            asked = base + form
            told = integration.accepts(asked)
            if asked in integration.examples or (integration.name == "aws-sdk" and form == CALLBACK):
                assert told is None
            else:
                assert told is not None
                assert told.startswith(f"{asked}: the form {form} of ")


@ALL
def test_an_integration_looks_after_jobs_where_it_has_the_form_and_nowhere_else(
    integration: Integration,
) -> None:
    for resource in integration.examples:
        assert (integration.jobs(resource) is not None) == (split_form(resource)[1] in {SYNC, SYNC2})


@ALL
def test_an_integration_refuses_parameters_it_does_not_know(integration: Integration) -> None:
    for resource in integration.examples:
        faults = integration.check_arguments(resource, {"NoSuchParameter.$": "$.x"})

        assert faults[0].startswith(f"{resource} has no parameter 'NoSuchParameter'")


@pytest.mark.parametrize(("integration", "resource"), FIRST, ids=[resource for _, resource in FIRST])
def test_an_integration_meets_unusable_arguments_with_an_outcome(
    sink: Collector, integration: Integration, resource: str
) -> None:
    services = Services(access_to("http://127.0.0.1:1"), found=[integration])
    unusable: list[Json] = [1, "text", [], {"NoSuchParameter": 1}]
    for arguments in unusable:
        services.start(job := invoke(arguments, resource=resource), sink)
        failed = sink.failed(job.token)

        assert failed.error == "States.Runtime"
        assert "could not be used to start the Task" in failed.cause
    services.close(10)


@pytest.mark.parametrize(("integration", "resource"), FIRST, ids=[resource for _, resource in FIRST])
def test_an_integration_that_cannot_connect_tries_once_more_and_says_so(
    sink: Collector, integration: Integration, resource: str
) -> None:
    nowhere = AwsAccess(
        endpoint_url="http://127.0.0.1:1", region="us-east-1", access_key_id="a", secret_access_key="hush"
    )
    client = nowhere.client(_boto3_name(resource), profile=patience(None))
    tries: list[str] = []
    client.meta.events.register("before-call.*.*", lambda **about: tries.append(about["model"].name))
    services = Services(nowhere, found=[integration])
    services.start(job := invoke(_smallest(integration, resource), resource=resource), sink)

    failed = sink.failed(job.token)
    services.close(10)
    client.close()
    if integration.name in {"apigateway", "bedrock", "eks", "http"} and not tries:
        assert failed.error in {"States.Http.Socket", "Bedrock.SdkClientException"}
    elif integration.name == "http":
        assert failed.error == "Events.ConnectionResource.ConnectionNotFound"
    else:
        assert len(tries) == 2
        assert failed.error.endswith(".SdkClientException")
    assert "http://127.0.0.1:1" in failed.cause or "refused" in failed.cause
    assert "hush" not in failed.cause


class Busy(BaseHTTPRequestHandler):
    """A service that is overloaded."""

    def do_POST(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


def test_what_was_sent_is_not_sent_again_but_left_to_the_states_retry(sink: Collector) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    server.asked = asked = []  # type: ignore[attr-defined, var-annotated]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    access = access_to(f"http://127.0.0.1:{server.server_port}")
    services = Services(access)
    message = {"QueueUrl": f"http://127.0.0.1:{server.server_port}/q", "MessageBody": "m"}
    services.start(job := invoke(message, resource=f"{PREFIX}sqs:sendMessage"), sink)

    failed = sink.failed(job.token)
    services.close(10)
    close_clients(access)
    server.shutdown()
    server.server_close()
    assert len(asked) == 1
    assert "Status Code: 503" in failed.cause


@pytest.mark.parametrize(
    ("remaining_s", "waits_s"), [(None, 60), (-3, 5), (5, 5), (5.1, 15), (61, 300), (900, 900), (1e9, 900)]
)
def test_a_call_waits_hardly_longer_than_its_state(remaining_s: float | None, waits_s: int) -> None:
    client = AwsAccess(region="us-east-1").client("sqs", profile=patience(remaining_s))

    assert client.meta.config.read_timeout == waits_s
    assert client.meta.config.retries["total_max_attempts"] == 1


def _boto3_name(resource: str) -> str:
    service = resource.removeprefix(PREFIX).removeprefix("aws-sdk:").split(":")[0]
    return {**SERVICES, "cloudwatchlogs": "logs", "sfn": "stepfunctions"}.get(service, service)


_URL = "http://127.0.0.1:1"
_CLUSTER = {"CertificateAuthority": "", "ClusterName": "c", "Endpoint": _URL}
_OWN = {
    "lambda:invoke": {"FunctionName": "f"},
    "sns:publish": {"Message": "m"},
    "apigateway:invoke": {"ApiEndpoint": _URL, "Method": "GET"},
    "http:invoke": {
        "ApiEndpoint": _URL,
        "Method": "GET",
        "Authentication": {"ConnectionArn": "arn:aws:events:us-east-1:1:connection/c/1"},
    },
    "bedrock:invokeModel": {"ModelId": "m", "Body": {}},
    "eks:call": {**_CLUSTER, "Method": "GET", "Path": "/api"},
    "eks:runJob": {**_CLUSTER, "Job": {"metadata": {"name": "j"}}},
    "elasticmapreduce:addStep": {
        "ClusterId": "c", "Step": {"Name": "s", "HadoopJarStep": {"Jar": "j"}},
    },
    "elasticmapreduce:terminateCluster": {"ClusterId": "c"},
    "elasticmapreduce:setClusterTerminationProtection": {"ClusterId": "c", "TerminationProtected": True},
    "elasticmapreduce:cancelStep": {"ClusterId": "c", "StepId": "s"},
}  # fmt: skip


def _smallest(integration: Integration, resource: str) -> Json:
    """The least that the integration, or else the API's model, asks for."""
    base = split_form(resource)[0]
    own = _OWN.get(base.removeprefix(PREFIX))
    if own is not None:
        return own
    model = service_model(_boto3_name(resource))
    if isinstance(integration, Optimised):
        name = integration.actions[base.rpartition(":")[2]].api_name
    else:
        name = actions(model.service_name)[base.rpartition(":")[2]]
    shape = model.operation_model(name).input_shape
    return _required(shape) if shape is not None else {}


def _required(shape: Any) -> Json:
    match shape.type_name:
        case "structure":
            return {member(name): _required(shape.members[name]) for name in shape.required_members}
        case "list":
            return [_required(shape.member)]
        case "map":
            return {}
        case "string":
            return shape.enum[0] if shape.enum else "x" * max(1, shape.metadata.get("min", 1))
        case "boolean":
            return True
        case "blob":
            return "x"
        case _:
            return max(1, shape.metadata.get("min", 1))


def test_a_file_that_breaks_the_contract_is_named() -> None:
    empty = types.ModuleType("integrations.empty")
    with pytest.raises(TypeError, match=r"integrations\.empty defines no INTEGRATION"):
        register(empty)

    half = types.ModuleType("integrations.half")
    half.INTEGRATION = types.SimpleNamespace(name="half", call=print)  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="lacks summary, pattern, examples, claims"):
        register(half)


# --------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("api", "shown"),
    [
        ("ETag", "ETag"),
        ("MD5OfBody", "Md5OfBody"),
        ("DBInstances", "DbInstances"),
        ("ChecksumCRC32", "ChecksumCRC32"),
        ("taskToken", "TaskToken"),
    ],
)
def test_members_are_cased_as_the_java_sdk_cases_them(api: str, shown: str) -> None:
    assert member(api) == shown


def test_actions_services_and_errors_are_cased_as_aws_does() -> None:
    assert camel("DescribeDBInstances") == "describeDBInstances"
    assert [service_title(name) for name in ("DynamoDB", "SFN", "S3", "EC2", "CloudWatch Logs")] == [
        "DynamoDb", "Sfn", "S3", "Ec2", "CloudWatchLogs",
    ]  # fmt: skip
    assert exception_name("NoSuchKey") == "NoSuchKeyException"
    assert exception_name("DBInstanceNotFoundFault") == "DbInstanceNotFoundException"
    assert service_names(["s3", "logs", "rds-data", "stepfunctions"]) == {
        "s3": "s3",
        "cloudwatchlogs": "logs",
        "rdsdata": "rds-data",
        "sfn": "stepfunctions",
    }


def test_times_are_written_as_javas_instant() -> None:
    zone = dt.timezone(dt.timedelta(hours=2))

    assert instant(dt.datetime(2026, 1, 31, 4, 5, 6, tzinfo=zone)) == "2026-01-31T02:05:06Z"
    assert instant(dt.datetime(2026, 1, 31, 4, 5, 6, 70_000, tzinfo=dt.UTC)) == "2026-01-31T04:05:06.070Z"


@pytest.mark.parametrize(
    ("resource", "says"),
    [
        ("aws-sdk:s33:getObject", "there is no service 's33'; did you mean s3"),
        ("aws-sdk:stepfunctions:startExecution", "there is no service 'stepfunctions'; AWS calls it sfn"),
        ("aws-sdk:s3:getObjekt", "the service s3 has no action 'getObjekt'; did you mean getObject"),
        ("aws-sdk:s3:GetObject", "has no action 'GetObject'; did you mean getObject?"),
        ("aws-sdk:s3", "should read arn:aws:states:::aws-sdk:SERVICE:ACTION"),
        ("aws-sdk:s3:selectObjectContent", "its answer is a stream of events"),
        (
            "sns:subscribe",
            "sns has publish, and arn:aws:states:::aws-sdk:... other actions",
        ),
        ("dynamodb:query", "dynamodb has getItem, putItem, updateItem, deleteItem"),
        ("s4:getObject", "is no resource of Step Functions that exists here"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_comes_close(
    services: Services, resource: str, says: str
) -> None:
    assert says in (services.accepts(PREFIX + resource) or "")


def test_required_parameters_are_asked_for_at_creation(services: Services) -> None:
    check = services.check_arguments

    assert check(f"{PREFIX}aws-sdk:s3:getObject", {"Bucket.$": "$.b", "Key": "k"}) == []
    assert check(f"{PREFIX}aws-sdk:s3:getObject", {"bucket": "b"}) == [
        "arn:aws:states:::aws-sdk:s3:getObject has no parameter 'bucket'; did you mean Bucket?",
        "arn:aws:states:::aws-sdk:s3:getObject needs the parameter 'Bucket'; it is missing",
        "arn:aws:states:::aws-sdk:s3:getObject needs the parameter 'Key'; it is missing",
    ]
    assert check(f"{PREFIX}sqs:sendMessage", {"QueueUrl": "q"}) == [
        "arn:aws:states:::sqs:sendMessage needs the parameter 'MessageBody'; it is missing"
    ]


# ------------------------------------------------------------------------------------------- the invoker


class Odd:
    """An integration with a bug."""

    name = "odd:do"
    summary = "does odd things"
    pattern = "odd:do"
    examples: tuple[str, ...] = (f"{PREFIX}odd:do",)

    def claims(self, resource: str) -> bool:
        return resource.startswith(f"{PREFIX}odd:")

    def accepts(self, resource: str) -> str | None:
        return None if self.claims(resource) else resource

    def check_arguments(self, resource: str, template: Json) -> list[str]:
        return [resource] if template else []

    def call(self, call: ServiceCall) -> Json:
        raise KeyError(call.resource)

    def jobs(self, resource: str) -> None:
        assert self.claims(resource)


def test_an_integration_with_a_bug_fails_the_task_only(sink: Collector) -> None:
    services = Services(AwsAccess(), found=[Odd()])
    services.start(job := invoke(resource=f"{PREFIX}odd:do"), sink)

    failed = sink.failed(job.token)
    services.close(10)
    assert failed.error == "States.Runtime"
    assert failed.cause.startswith("calling arn:aws:states:::odd:do failed unexpectedly: KeyError")


def test_a_call_knows_how_long_its_state_has_left(sink: Collector) -> None:
    clock = ManualClock()
    services = Services(AwsAccess(), found=[odd := Odd()], clock=clock)
    odd.call = lambda call: call.remaining_s  # type: ignore[method-assign]
    resource = f"{PREFIX}odd:do"
    services.start(bounded := invoke(resource=resource, deadline_ms=clock.now_ms() + 1500), sink)
    services.start(unbounded := invoke(resource=resource), sink)

    assert [sink.succeeded(job.token).output for job in (bounded, unbounded)] == [1.5, None]
    services.close(10)


def test_a_cancelled_call_has_no_outcome(sink: Collector) -> None:
    services = Services(AwsAccess(), found=[odd := Odd()])

    def cancel_itself(call: ServiceCall) -> Json:
        services.cancel(call.idempotency_key)
        return 1

    odd.call = cancel_itself  # type: ignore[method-assign]
    services.start(invoke(resource=f"{PREFIX}odd:do", token="t", idempotency_key="t"), sink)
    services.start(after := invoke(resource=f"{PREFIX}odd:do"), sink)

    sink.succeeded(after.token)
    services.close(10)
    assert list(sink.outcomes) == [after.token]
