import json
from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.jsontypes import Json
from tests.tasks.collector import output

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


# ------------------------------------------------------------------------------- DynamoDB and EventBridge


@pytest.fixture
def table(aws: AwsAccess) -> str:
    aws.client("dynamodb").create_table(
        TableName="table",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return "table"


def test_an_item_is_put_and_got_with_awss_metadata(run: Any, table: str) -> None:
    item = {"data": {"S": "HelloWorld"}, "id": {"S": "id1"}}
    put = output(run("dynamodb:putItem", {"TableName": table, "Item": item}))
    got = output(run("dynamodb:getItem", {"TableName": table, "Key": {"id": {"S": "id1"}}}))

    assert got["Item"] == item
    assert set(put) == {"SdkHttpMetadata", "SdkResponseMetadata"}
    headers = got["SdkHttpMetadata"]["HttpHeaders"]
    assert list(headers) == [
        "Connection", "Content-Length", "Content-Type", "Date", "Server", "x-amz-crc32", "x-amzn-RequestId",
    ]  # fmt: skip
    assert (headers["Content-Length"], headers["Server"]) == ("53", "Server")
    assert put["SdkHttpMetadata"]["AllHttpHeaders"]["Content-Length"] == ["2"]


@pytest.mark.parametrize("form", ["dynamodb", "aws-sdk:dynamodb"])
def test_a_change_tells_what_was_asked_for_and_no_more(run: Any, table: str, form: str) -> None:
    change = {
        "TableName": table,
        "Key": {"id": {"S": "id1"}},
        "UpdateExpression": "set a = :a",
        "ExpressionAttributeValues": {":a": {"N": "1"}},
    }
    quiet = output(run(f"{form}:updateItem", change))
    told = output(
        run(f"{form}:updateItem", {**change, "ReturnValues": "ALL_NEW", "ReturnConsumedCapacity": "TOTAL"})
    )

    assert set(quiet) <= {"SdkHttpMetadata", "SdkResponseMetadata"}
    assert told["Attributes"] == {"id": {"S": "id1"}, "a": {"N": "1"}}
    assert told["ConsumedCapacity"]["TableName"] == table


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("text", {"S": "text"}),
        ({"L": ["a", {"N": "1"}]}, {"L": [{"S": "a"}, {"N": "1"}]}),
        ({"M": {"in": "a"}}, {"M": {"in": {"S": "a"}}}),
        ({"BOOL": "false"}, {"BOOL": False}),
    ],
)
def test_a_text_is_an_attribute_value_as_in_the_older_sdk(
    run: Any, aws: AwsAccess, table: str, given: Json, stored: Json
) -> None:
    output(run("dynamodb:putItem", {"TableName": table, "Item": {"id": "id1", "given": given}}))

    [item] = aws.client("dynamodb").scan(TableName=table)["Items"]
    assert item == {"id": {"S": "id1"}, "given": stored}


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (1, "The value for the field 'Item' must be an OBJECT"),
        ({"S": {"a": 1}}, "The value for the field 'S' must be a STRING"),
        ({"N": 1}, "The value for the field 'N' must be a STRING"),
        ({"BOOL": "maybe"}, "The value for the field 'BOOL' must be a BOOLEAN"),
    ],
)
def test_anything_else_needs_its_type(run: Any, table: str, given: Json, fault: str) -> None:
    failed = run("dynamodb:putItem", {"TableName": table, "Item": {"id": "id1", "given": given}})

    assert failed.error == "States.Runtime"
    assert failed.cause.endswith(f"could not be used to start the Task: [{fault}]")


@pytest.mark.parametrize(
    ("parameters", "error", "cause"),
    [
        (
            {"TableName": "gone", "Item": {"id": {"S": "1"}}},
            "DynamoDB.ResourceNotFoundException",
            "Requested resource not found (Service: AmazonDynamoDBv2; Status Code: 400; Error Code: Resource",
        ),
        (
            {"TableName": "table", "Item": None},
            "DynamoDB.AmazonDynamoDBException",
            "1 validation error detected: Value null at 'item' failed to satisfy constraint: Member must not",
        ),
        (
            {"TableName": "/table", "Item": {"id": {"S": "1"}}},
            "DynamoDB.AmazonDynamoDBException",
            "1 validation error detected: Value '/table' at 'tableName' failed to satisfy constraint: Member",
        ),
    ],
)
def test_dynamodb_fails_in_the_words_of_the_older_sdk(
    run: Any, parameters: Json, error: str, cause: str
) -> None:
    failed = run("dynamodb:putItem", parameters)

    assert failed.error == error
    assert failed.cause.startswith(cause)
    assert failed.cause.endswith("; Proxy: null)")


def test_an_event_names_state_machine_and_execution_among_its_resources(
    run: Any, aws: AwsAccess, queue: str
) -> None:
    events, sqs = aws.client("events"), aws.client("sqs")
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="all", EventPattern='{"source":["some.source"]}')
    events.put_targets(Rule="all", Targets=[{"Id": "1", "Arn": arn}])
    entry = {"Source": "some.source", "DetailType": "t", "Detail": {"a": 1}, "Resources": ["own"]}
    told = output(run("events:putEvents", {"Entries": [entry]}))

    [message] = received(aws, queue)
    event = json.loads(message["Body"])
    assert (event["detail"], event["id"]) == ({"a": 1}, told["Entries"][0]["EventId"])
    assert event["resources"] == [
        "own",
        "arn:aws:states:us-east-1:123456789012:stateMachine:m",
        "arn:aws:states:us-east-1:123456789012:execution:m:e",
    ]
    assert told["FailedEntryCount"] == 0
    assert set(told) == {"Entries", "FailedEntryCount"}


def test_an_event_that_is_refused_fails_the_task(run: Any) -> None:
    good = {"Source": "s", "DetailType": "t", "Detail": {}}
    failed = run("events:putEvents", {"Entries": [good, {"DetailType": "t", "Detail": {}}]})
    cause = json.loads(failed.cause)

    assert failed.error == "EventBridge.FailedEntry"
    assert cause["FailedEntryCount"] == 1
    assert cause["Entries"][1] == {
        "ErrorCode": "InvalidArgument",
        "ErrorMessage": "Parameter Source is not valid. Reason: Source is a required argument.",
    }
