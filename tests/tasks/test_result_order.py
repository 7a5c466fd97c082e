"""The order in which results have their members: that of the recorded results, by name."""

import io

from etl_runner.tasks.aws_models import service_model
from etl_runner.tasks.aws_shapes import to_json, to_json_v1

LIMIT = 262_144


def test_a_result_of_the_sdk_has_its_members_by_name_and_what_is_read_last() -> None:
    shape = service_model("s3").operation_model("GetObject").output_shape
    answer = {
        "Body": io.BytesIO(b"text"),
        "Metadata": {},
        "ETag": "e",
        "AcceptRanges": "bytes",
        "ContentLength": 4,
    }

    made = to_json(shape, answer, "aws-sdk:s3", LIMIT)

    assert list(made) == ["AcceptRanges", "ContentLength", "ETag", "Metadata", "Body"]
    assert made["Body"] == "text"


def test_members_inside_of_a_result_are_ordered_too() -> None:
    shape = service_model("sqs").operation_model("ReceiveMessage").output_shape
    answer = {"Messages": [{"MessageId": "m", "Body": "b", "MD5OfBody": "5"}]}

    assert list(to_json(shape, answer, "aws-sdk:sqs", LIMIT)["Messages"][0]) == [
        "Body",
        "Md5OfBody",
        "MessageId",
    ]


def test_a_result_of_an_optimised_integration_has_its_members_by_name() -> None:
    shape = service_model("dynamodb").operation_model("Query").output_shape
    answer = {"Items": [{"b": {"S": "1"}, "a": {"S": "2"}}], "ScannedCount": 1, "Count": 1}

    made = to_json_v1(shape, answer)

    assert list(made) == ["Count", "Items", "ScannedCount"]
    assert list(made["Items"][0]) == ["b", "a"]  # names of the caller's own keep their order
