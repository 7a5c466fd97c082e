import datetime as dt
import json
from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES, Json
from etl_runner.tasks.contract import Failed
from etl_runner.tasks.handlers import size_exceeded
from etl_runner.tasks.integration import (
    patience,
)
from tests.tasks.collector import output

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


@pytest.mark.parametrize(
    ("body", "sent"), [({"a": [1, "ü"]}, '{"a":[1,"ü"]}'), (["b"], '["b"]'), ("text", "text")]
)
def test_json_is_sent_as_its_text_where_a_text_is_asked_for(
    run: Any, aws: AwsAccess, body: Json, sent: str
) -> None:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="takes-text")["QueueUrl"]
    run("aws-sdk:sqs:sendMessage", {"QueueUrl": url, "MessageBody": body})

    assert [each["Body"] for each in sqs.receive_message(QueueUrl=url)["Messages"]] == [sent]


def test_a_number_is_no_text(run: Any) -> None:
    outcome = run("aws-sdk:sqs:sendMessage", {"QueueUrl": "http://queue", "MessageBody": 1})

    assert isinstance(outcome, Failed)
    assert "[The value for the field 'MessageBody' must be a STRING]" in outcome.cause


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
