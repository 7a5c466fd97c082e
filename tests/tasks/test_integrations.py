import datetime as dt
import json
import threading
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.clock import ManualClock
from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES, Json
from etl_runner.tasks import integrations
from etl_runner.tasks.aws_models import actions, service_model
from etl_runner.tasks.aws_naming import camel, exception_name, member, service_names, service_title
from etl_runner.tasks.aws_optimised import Optimised
from etl_runner.tasks.aws_shapes import instant
from etl_runner.tasks.contract import Failed, Succeeded
from etl_runner.tasks.handlers import size_exceeded
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
EXAMPLES = [(found, resource) for found in FOUND for resource in found.examples]
FIRST = [(found, found.examples[0]) for found in FOUND]
"""One of each, for what takes a client and so its time."""


@pytest.fixture
def services(aws: AwsAccess) -> Iterator[Services]:
    made = Services(aws)
    yield made
    made.close(10)


@pytest.fixture
def run(services: Services, sink: Collector) -> Any:
    def do(resource: str, parameters: Json, **more: Any) -> Succeeded | Failed:
        job = invoke(parameters, resource=PREFIX + resource, **more)
        services.start(job, sink)
        outcome = sink.wait(job.token)
        assert isinstance(outcome, Succeeded | Failed)
        return outcome

    return do


def output(outcome: Succeeded | Failed) -> Any:
    assert isinstance(outcome, Succeeded), outcome
    return outcome.output


# ------------------------------------------------------------------------------- the contract of them all


def test_every_file_of_the_folder_is_an_integration() -> None:
    names = {found.name for found in FOUND}

    assert names >= {"aws-sdk", "dynamodb", "events", "lambda", "sns", "sqs", "states"}


@pytest.mark.parametrize(("integration", "resource"), EXAMPLES, ids=[resource for _, resource in EXAMPLES])
def test_an_integration_accepts_its_examples(integration: Integration, resource: str) -> None:
    assert integration.accepts(resource) is None


@pytest.mark.parametrize("form", [*FORMS, ".nonsense"])
@pytest.mark.parametrize(("integration", "resource"), EXAMPLES, ids=[resource for _, resource in EXAMPLES])
def test_an_integration_refuses_by_name_the_forms_it_does_not_have(
    integration: Integration, resource: str, form: str
) -> None:
    asked = split_form(resource)[0] + form
    told = integration.accepts(asked)
    if asked in integration.examples or (integration.name == "aws-sdk" and form == CALLBACK):
        assert told is None
    else:
        assert told is not None
        assert told.startswith(f"{asked}: the form {form} of ")


@pytest.mark.parametrize(("integration", "resource"), EXAMPLES, ids=[resource for _, resource in EXAMPLES])
def test_an_integration_looks_after_jobs_where_it_has_the_form_and_nowhere_else(
    integration: Integration, resource: str
) -> None:
    assert (integration.jobs(resource) is not None) == (split_form(resource)[1] in {SYNC, SYNC2})


@pytest.mark.parametrize(("integration", "resource"), EXAMPLES, ids=[resource for _, resource in EXAMPLES])
def test_an_integration_refuses_parameters_it_does_not_know(integration: Integration, resource: str) -> None:
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


# ------------------------------------------------------------------------------------------ aws-sdk, S3


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        ("text ü", "text ü".encode()),
        ("", b""),
        (False, b"false"),
        ({"Dict": "Value"}, b'{"Dict":"Value"}'),
        (["List", "Data"], b'["List","Data"]'),
    ],
)
def test_an_object_is_stored_as_aws_stores_it(run: Any, aws: AwsAccess, body: Json, stored: bytes) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket-name")
    put = output(run("aws-sdk:s3:putObject", {"Bucket": "bucket-name", "Key": "k", "Body": body}))

    got = s3.get_object(Bucket="bucket-name", Key="k")
    assert got["Body"].read() == stored
    assert got["ContentType"] == "text/plain; charset=UTF-8"
    assert put["ETag"] == got["ETag"]


def test_an_object_comes_back_as_text_with_awss_fields(run: Any, aws: AwsAccess) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket-name")
    s3.put_object(Bucket="bucket-name", Key="k", Body=b"binary data")
    got = output(run("aws-sdk:s3:getObject", {"Bucket": "bucket-name", "Key": "k"}))

    assert {name: got[name] for name in ("Body", "ContentLength", "ETag", "Metadata", "AcceptRanges")} == {
        "Body": "binary data",
        "ContentLength": 11,
        "ETag": '"e1a49b59e0c42e4fd3735ad644f25d57"',
        "Metadata": {},
        "AcceptRanges": "bytes",
    }
    assert dt.datetime.fromisoformat(got["LastModified"]).tzinfo == dt.UTC
    assert "ResponseMetadata" not in got


def test_bytes_that_are_no_text_come_back_in_base64(run: Any, aws: AwsAccess) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket-name")
    s3.put_object(Bucket="bucket-name", Key="k", Body=b"\xff\x00")

    assert output(run("aws-sdk:s3:getObject", {"Bucket": "bucket-name", "Key": "k"}))["Body"] == "/wA="


def test_an_object_over_the_limit_is_an_error_and_is_not_read_whole(run: Any, aws: AwsAccess) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket-name")
    s3.put_object(Bucket="bucket-name", Key="k", Body=b"x" * (PAYLOAD_LIMIT_BYTES + 1))
    failed = run("aws-sdk:s3:getObject", {"Bucket": "bucket-name", "Key": "k"})

    assert (failed.error, failed.cause) == (
        "States.DataLimitExceeded",
        size_exceeded("aws-sdk:s3"),
    )


def test_a_listing_has_lists_of_objects(run: Any, aws: AwsAccess) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket-name")
    for key in ("a", "b"):
        s3.put_object(Bucket="bucket-name", Key=key, Body=b"")
    listed = output(run("aws-sdk:s3:listObjectsV2", {"Bucket": "bucket-name", "MaxKeys": 10}))

    assert [entry["Key"] for entry in listed["Contents"]] == ["a", "b"]
    assert listed["KeyCount"] == 2


# ------------------------------------------------------------------------------- aws-sdk, other services


def test_ec2_answers_with_awss_casing(run: Any, aws: AwsAccess) -> None:
    volume = aws.client("ec2").create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    parameters = {"VolumeIds": [volume], "Filters": [{"Name": "size", "Values": ["1"]}]}
    found = output(run("aws-sdk:ec2:describeVolumes", parameters))["Volumes"]

    assert [(each["VolumeId"], each["Size"], each["State"]) for each in found] == [(volume, 1, "available")]
    assert found[0]["CreateTime"].endswith("Z")


def test_members_in_small_letters_are_given_and_shown_in_pascal_case(run: Any) -> None:
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    role = "arn:aws:iam::123456789012:role/r"
    parameters = {"Name": "machine", "Definition": definition, "RoleArn": role}
    made = output(run("aws-sdk:sfn:createStateMachine", parameters))
    shown = output(run("aws-sdk:sfn:describeStateMachine", {"StateMachineArn": made["StateMachineArn"]}))

    assert (shown["Name"], shown["Definition"], shown["Status"]) == ("machine", definition, "ACTIVE")


def test_a_client_token_is_the_same_when_a_task_is_handed_out_again(run: Any, aws: AwsAccess) -> None:
    sent: list[str] = []
    client = aws.client("ec2", profile=patience(None))
    client.meta.events.register(
        "before-parameter-build.ec2.RunInstances", lambda params, **_: sent.append(params["ClientToken"])
    )
    parameters = {"ImageId": "ami-12c6146b", "MinCount": 1, "MaxCount": 1}
    for key in ("first", "first", "second"):
        run("aws-sdk:ec2:runInstances", parameters, idempotency_key=key)

    assert sent[0] == sent[1] != sent[2]


@pytest.mark.parametrize(
    ("resource", "parameters", "error", "cause"),
    [
        (
            "aws-sdk:s3:getObject",
            {"Bucket": "bucket-name", "Key": "no_such_key.json"},
            "S3.NoSuchKeyException",
            "The specified key does not exist. (Service: S3, Status Code: 404, Request ID: ",
        ),
        (
            "aws-sdk:s3:listObjectsV2",
            {"Bucket": "no-such-bucket"},
            "S3.NoSuchBucketException",
            "The specified bucket does not exist (Service: S3, Status Code: 404, Request ID: ",
        ),
        (
            "aws-sdk:s3:headObject",
            {"Bucket": "bucket-name", "Key": "no_such_key.json"},
            "S3.NoSuchKeyException",
            "Not Found (Service: S3, Status Code: 404, Request ID: ",
        ),
        (
            "aws-sdk:ec2:deleteSnapshot",
            {"SnapshotId": "snap-12345678"},
            "Ec2.Ec2Exception",
            "InvalidSnapshot.NotFound (Service: Ec2, Status Code: 400, Request ID: ",
        ),
        (
            "aws-sdk:dynamodb:putItem",
            {"TableName": "no_such_table", "Item": {"id": {"S": "1"}}},
            "DynamoDb.ResourceNotFoundException",
            "Requested resource not found (Service: DynamoDb, Status Code: 400, Request ID: ",
        ),
        (
            "aws-sdk:dynamodb:putItem",
            {"TableName": "no_such_table", "Item": None},
            "DynamoDb.DynamoDbException",
            "1 validation error detected: Value null at 'item' failed to satisfy constraint: Member must not",
        ),
        (
            "aws-sdk:s3:getObject",
            {"Bucket": "bucket-name", "Key": 1},
            "States.Runtime",
            """The Parameters '{"Bucket":"bucket-name","Key":1}' could not be used to start the Task: [""",
        ),
        (
            "aws-sdk:s3:getObject",
            {"Bucket": "bucket-name", "Key": ""},
            "S3.S3Exception",
            "Invalid length for parameter Key, value: 0, valid min length: 1 (Service: S3, Status Code: 400",
        ),
        (
            "aws-sdk:s3:getObjekt",
            {},
            "States.Runtime",
            "arn:aws:states:::aws-sdk:s3:getObjekt: the service s3 has no action 'getObjekt'",
        ),
    ],
)
def test_errors_have_awss_names_and_causes(
    run: Any, aws: AwsAccess, resource: str, parameters: Json, error: str, cause: str
) -> None:
    aws.client("s3").create_bucket(Bucket="bucket-name")
    failed = run(resource, parameters)

    assert failed.error == error
    assert failed.cause.startswith(cause)


# ------------------------------------------------------------------------------------------ SNS and SQS


@pytest.fixture
def queue(aws: AwsAccess) -> str:
    url: str = aws.client("sqs").create_queue(QueueName="queue")["QueueUrl"]
    return url


def received(aws: AwsAccess, queue: str) -> list[dict[str, Any]]:
    found = aws.client("sqs").receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )
    messages: list[dict[str, Any]] = found.get("Messages", [])
    return messages


@pytest.mark.parametrize(
    ("body", "arrives"),
    [("test_message_body", "test_message_body"), ({"a": [1, "ü"]}, '{"a":[1,"ü"]}'), (True, "true")],
)
def test_a_message_arrives_in_the_queue(
    run: Any, aws: AwsAccess, queue: str, body: Json, arrives: str
) -> None:
    result = output(run("sqs:sendMessage", {"QueueUrl": queue, "MessageBody": body}))

    [message] = received(aws, queue)
    assert message["Body"] == arrives
    assert result["MessageId"] == message["MessageId"]
    assert result["MD5OfMessageBody"] == message["MD5OfBody"]
    assert set(result) == {"MD5OfMessageBody", "MessageId", "SdkHttpMetadata", "SdkResponseMetadata"}
    assert result["SdkHttpMetadata"]["HttpStatusCode"] == 200
    headers = result["SdkHttpMetadata"]["HttpHeaders"]
    assert result["SdkHttpMetadata"]["AllHttpHeaders"]["Content-Type"] == [headers["Content-Type"]]


@pytest.mark.parametrize(
    ("message", "arrives"),
    [("HelloWorld", "HelloWorld"), ({"Message": "Hi"}, '{"Message":"Hi"}'), ({}, "{}")],
)
def test_a_published_message_reaches_a_queue_that_listens(
    run: Any, aws: AwsAccess, queue: str, message: Json, arrives: str
) -> None:
    sns = aws.client("sns")
    topic = sns.create_topic(Name="topic")["TopicArn"]
    arn = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])
    attributes = {"my_attribute": {"DataType": "String", "StringValue": "Hello"}}
    result = output(
        run("sns:publish", {"TopicArn": topic, "Message": message, "MessageAttributes": attributes})
    )

    [arrived] = received(aws, queue)
    note = json.loads(arrived["Body"])
    assert note["Message"] == arrives
    assert note["MessageAttributes"] == {"my_attribute": {"Type": "String", "Value": "Hello"}}
    assert result["MessageId"] == note["MessageId"]
    assert set(result) == {"MessageId", "SdkHttpMetadata", "SdkResponseMetadata"}


@pytest.mark.parametrize(
    ("resource", "parameters", "error", "cause"),
    [
        (
            "sns:publish",
            {"TopicArn": "arn:aws:sns:us-east-1:123456789012:gone", "Message": "m"},
            "SNS.NotFoundException",
            "Topic does not exist (Service: AmazonSNS; Status Code: 404; Error Code: NotFound; ",
        ),
        (
            "sqs:sendMessage",
            {"QueueUrl": "QUEUE", "MessageBody": None},
            "SQS.AmazonSQSException",
            "The request must contain the parameter MessageBody. (Service: AmazonSQS; Status Code: 400; Err",
        ),
        (
            "sqs:sendMessage",
            {"QueueUrl": "QUEUE-gone", "MessageBody": "m"},
            "SQS.QueueDoesNotExistException",
            "The specified queue does not exist",
        ),
        (
            "sqs:sendMessage",
            {"QueueUrl": "QUEUE", "MessageBody": "m", "Delay": 1},
            "States.Runtime",
            "The Parameters '",
        ),
    ],
)
def test_optimised_integrations_fail_in_the_words_of_the_older_sdk(
    run: Any, queue: str, resource: str, parameters: dict[str, Any], error: str, cause: str
) -> None:
    if "QueueUrl" in parameters:
        parameters = {**parameters, "QueueUrl": parameters["QueueUrl"].replace("QUEUE", queue)}
    failed = run(resource, parameters)

    assert failed.error == error
    assert failed.cause.startswith(cause)


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
