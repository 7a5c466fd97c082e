"""Distributed Map over objects in S3: what is read, what is pinned, where the results go."""

import json
from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.machine.state import Status
from etl_runner.tasks.contract import Succeeded
from tests.conftest import fresh_bucket
from tests.engine.harness import Script, World, distributed, never

READER = {"Resource": "arn:aws:states:::s3:getObject"}


def reading(config: dict[str, Any], **fields: Any) -> dict[str, Any]:
    parameters = {"Bucket.$": "$.bucket", "Key.$": "$.key"}
    return distributed(ItemReader={**READER, "ReaderConfig": config, "Parameters": parameters}, **fields)


@pytest.fixture
def bucket(aws: AwsAccess) -> str:
    return fresh_bucket(aws.client("s3"))


def begin(world: World, definition: dict[str, Any], bucket: str, key: Any) -> int:
    asked = world.ask(definition, {"bucket": bucket, "key": key})
    world.until(asked.done)
    return asked.result(0).execution_id


def put(aws: AwsAccess, bucket: str, key: str, text: str) -> None:
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=text.encode())


def test_rows_of_a_csv_are_items(aws_world: World, aws: AwsAccess, bucket: str) -> None:
    put(aws, bucket, "rows.csv", 'id,name\n1,Ann\n2,"Bo\nb"\n')
    parent = begin(
        aws_world, reading({"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}), bucket, "rows.csv"
    )
    aws_world.until_ended(parent)

    assert aws_world.output(parent) == [{"id": "1", "name": "Ann"}, {"id": "2", "name": "Bo\nb"}]


def test_lines_of_json_are_items_and_max_items_ends_them(
    aws_world: World, aws: AwsAccess, bucket: str
) -> None:
    put(aws, bucket, "rows.jsonl", "".join(json.dumps({"n": n}) + "\n" for n in range(500)))
    parent = begin(aws_world, reading({"InputType": "JSONL", "MaxItems": 123}), bucket, "rows.jsonl")
    aws_world.until_ended(parent)

    assert aws_world.output(parent) == [{"n": n} for n in range(123)]


def test_chunks_are_items_that_cover_the_object(aws_world: World, aws: AwsAccess, bucket: str) -> None:
    text = "id,pad\n" + "".join(f"{n},{'x' * 200}\n" for n in range(2_000))
    put(aws, bucket, "rows.csv", text)
    config = {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "ChunkBytes": 65_536}
    parent = begin(aws_world, reading(config), bucket, "rows.csv")
    aws_world.until_ended(parent)
    chunks = aws_world.output(parent)

    assert len(chunks) > 3
    assert [chunk["Index"] for chunk in chunks] == list(range(len(chunks)))
    assert [chunk["Start"] for chunk in chunks[1:]] == [chunk["End"] for chunk in chunks[:-1]]
    assert chunks[-1]["End"] == len(text)
    assert len({chunk["VersionId"] for chunk in chunks}) == 1


def test_a_restart_goes_on_with_the_version_that_was_read_first(
    aws_world: World, aws: AwsAccess, bucket: str
) -> None:
    put(aws, bucket, "rows.jsonl", "".join(json.dumps({"n": n}) + "\n" for n in range(600)))
    aws_world.script.default = never
    parent = begin(aws_world, reading({"InputType": "JSONL"}, MaxConcurrency=250), bucket, "rows.jsonl")
    aws_world.until(lambda: len(aws_world.script.invocations) == 250)
    put(aws, bucket, "rows.jsonl", "something else")
    aws_world.restart(Script(lambda told: [Succeeded(token=told.token, output=told.arguments["n"])]))
    aws_world.until_ended(parent)

    assert aws_world.output(parent) == list(range(600))


@pytest.mark.parametrize(
    ("key", "text"),
    [("missing.jsonl", None), ("broken.jsonl", '{"n": 1}\n{"n": \n')],
    ids=["missing", "broken"],
)
def test_what_cannot_be_read_fails_with_item_reader_failed(
    aws_world: World, aws: AwsAccess, bucket: str, key: str, text: str | None
) -> None:
    if text is not None:
        put(aws, bucket, key, text)
    parent = begin(aws_world, reading({"InputType": "JSONL"}), bucket, key)
    aws_world.until_ended(parent)
    error, cause = aws_world.error(parent)

    assert error == "States.ItemReaderFailed"
    assert f"{bucket}/{key}" in str(cause)


def test_a_failure_in_the_middle_of_reading_stops_the_children_that_run(
    aws_world: World, aws: AwsAccess, bucket: str
) -> None:
    lines = [json.dumps({"n": n}) for n in range(300)]
    put(aws, bucket, "rows.jsonl", "\n".join([*lines, "{broken"]))
    aws_world.script.default = never
    parent = begin(aws_world, reading({"InputType": "JSONL"}, MaxConcurrency=5), bucket, "rows.jsonl")
    aws_world.until_ended(parent)

    assert aws_world.error(parent)[0] == "States.ItemReaderFailed"
    assert {row.status for row in aws_world.children()} <= {"ABORTED"}


def test_a_result_writer_leaves_files_and_a_manifest(aws_world: World, aws: AwsAccess, bucket: str) -> None:
    writer = {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": bucket, "Prefix": "out"}}
    definition = distributed(ResultWriter=writer, ToleratedFailurePercentage=100)
    asked = aws_world.ask(definition, {"items": [1, 2, 3]})
    aws_world.until(asked.done)
    parent = asked.result(0).execution_id
    aws_world.until_ended(parent)
    result = aws_world.output(parent)
    details = result["ResultWriterDetails"]
    s3 = aws.client("s3")
    manifest = json.loads(s3.get_object(Bucket=bucket, Key=details["Key"])["Body"].read())
    (file,) = manifest["ResultFiles"]["SUCCEEDED"]
    written = json.loads(s3.get_object(Bucket=bucket, Key=file["Key"])["Body"].read())

    assert aws_world.sql("SELECT arn FROM map_run") == [(result["MapRunArn"],)]
    assert details["Bucket"] == bucket
    assert [json.loads(each["Output"]) for each in written] == [1, 2, 3]
    assert [each["Status"] for each in written] == ["SUCCEEDED"] * 3


def test_a_result_that_cannot_be_written_fails_the_map(aws_world: World) -> None:
    writer = {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "no-such-bucket"}}
    asked = aws_world.ask(distributed(ResultWriter=writer), {"items": [1]})
    aws_world.until(asked.done)
    parent = asked.result(0).execution_id
    aws_world.until_ended(parent)

    assert aws_world.status(parent) is Status.FAILED
    assert aws_world.error(parent)[0] == "States.ResultWriterFailed"


def test_the_objects_of_a_listing_are_items_with_the_bucket_as_source(
    aws_world: World, aws: AwsAccess, bucket: str
) -> None:
    for key in ("in/a", "in/b", "in/c"):
        put(aws, bucket, key, "x")
    reader = {
        "Resource": "arn:aws:states:::s3:listObjectsV2",
        "Parameters": {"Bucket.$": "$.bucket", "Prefix": "in/"},
        "ReaderConfig": {"MaxItems": 2},
    }
    selector = {"key.$": "$$.Map.Item.Value.Key", "source.$": "$$.Map.Item.Source"}
    parent = begin(aws_world, distributed(ItemReader=reader, ItemSelector=selector), bucket, "")
    aws_world.until_ended(parent)

    assert aws_world.output(parent) == [
        {"key": "in/a", "source": f"s3://{bucket}"},
        {"key": "in/b", "source": f"s3://{bucket}"},
    ]


def test_a_listing_that_grows_during_a_restart_makes_no_child_twice(
    aws_world: World, aws: AwsAccess, bucket: str
) -> None:
    for n in range(10):
        put(aws, bucket, f"in/{n}", "x")
    reader = {
        "Resource": "arn:aws:states:::s3:listObjectsV2",
        "Parameters": {"Bucket.$": "$.bucket", "Prefix": "in/"},
    }
    aws_world.script.default = never
    parent = begin(aws_world, distributed(ItemReader=reader, MaxConcurrency=3), bucket, "")
    aws_world.until(lambda: len(aws_world.script.invocations) == 3)
    put(aws, bucket, "in/00", "new")
    aws_world.restart(Script(lambda told: [Succeeded(token=told.token, output=told.arguments["Key"])]))
    aws_world.until_ended(parent)

    assert aws_world.output(parent) == [f"in/{n}" for n in range(10)]


def test_pairs_of_an_object_are_items_with_their_keys(aws_world: World, aws: AwsAccess, bucket: str) -> None:
    put(aws, bucket, "doc.json", json.dumps({"data": {"a": 1, "b": [2]}}))
    config = {"InputType": "JSON", "ItemsPointer": "/data"}
    selector = {
        "key.$": "$$.Map.Item.Key",
        "value.$": "$$.Map.Item.Value",
        "source.$": "$$.Map.Item.Source",
    }
    plain = begin(aws_world, reading(config), bucket, "doc.json")
    chosen = begin(aws_world, reading(config, ItemSelector=selector), bucket, "doc.json")
    aws_world.until_ended(plain)
    aws_world.until_ended(chosen)

    assert aws_world.output(plain) == [{"Key": "a", "Value": 1}, {"Key": "b", "Value": [2]}]
    assert aws_world.output(chosen) == [
        {"key": "a", "value": 1, "source": f"s3://{bucket}/doc.json"},
        {"key": "b", "value": [2], "source": f"s3://{bucket}/doc.json"},
    ]


def test_jsonata_names_the_object_the_bounds_and_the_place_of_the_results(
    aws_world: World, aws: AwsAccess, bucket: str
) -> None:
    put(aws, bucket, "rows.json", json.dumps(list(range(7))))
    definition = distributed(
        QueryLanguage="JSONata",
        ItemReader={
            **READER,
            "ReaderConfig": {"InputType": "JSON", "MaxItems": "{% 2 * 3 %}"},
            "Arguments": {"Bucket": "{% $states.input.bucket %}", "Key": "{% $states.input.key %}"},
        },
        ItemSelector={"n": "{% $states.context.Map.Item.Value %}", "of": "{% $states.input.key %}"},
        ItemBatcher={"MaxItemsPerBatch": "{% 4 %}", "BatchInput": {"x": "{% 'y' %}"}},
        MaxConcurrency="{% 1 %}",
        ToleratedFailurePercentage="{% 12.5 %}",
        ResultWriter={
            "Resource": "arn:aws:states:::s3:putObject",
            "Arguments": {"Bucket": "{% $states.input.bucket %}", "Prefix": "out"},
            "WriterConfig": {"Transformation": "COMPACT", "OutputType": "JSON"},
        },
    )
    parent = begin(aws_world, definition, bucket, "rows.json")
    aws_world.until_ended(parent)
    key = aws_world.output(parent)["ResultWriterDetails"]["Key"]
    s3 = aws.client("s3")
    manifest = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    (file,) = manifest["ResultFiles"]["SUCCEEDED"]
    written = json.loads(s3.get_object(Bucket=bucket, Key=file["Key"])["Body"].read())

    assert [batch["BatchInput"] for batch in written] == [{"x": "y"}] * 2
    assert [item for batch in written for item in batch["Items"]] == [
        {"n": n, "of": "rows.json"} for n in range(6)
    ]


@pytest.mark.parametrize(
    ("most", "cause"),
    [
        ("two", 'The MaxItemsPath field refers to value "two" which is not a valid integer: $.key'),
        (-1, "MaxItems must be at least 0."),
    ],
)
def test_a_bound_of_items_that_is_no_number_fails_the_map_run(
    aws_world: World, bucket: str, most: Any, cause: str
) -> None:
    definition = reading({"InputType": "JSONL", "MaxItemsPath": "$.key"})
    definition["States"]["Only"]["ItemReader"]["Parameters"]["Key.$"] = "$.bucket"
    parent = begin(aws_world, definition, bucket, most)
    aws_world.until_ended(parent)

    assert aws_world.error(parent) == ("States.ItemReaderFailed", cause)


def test_each_item_of_many_objects_is_in_one_child_whenever_the_service_dies(
    aws_world: World, aws: AwsAccess, bucket: str
) -> None:
    sizes = [3, 0, 7, 1, 12, 2]
    for n, size in enumerate(sizes):
        put(aws, bucket, f"in/{n}.jsonl", "".join(f"{n * 100 + i}\n" for i in range(size)))
    reader = {
        "Resource": "arn:aws:states:::s3:listObjectsV2",
        "Parameters": {"Bucket.$": "$.bucket", "Prefix": "in/"},
        "ReaderConfig": {"InputType": "JSONL", "Transformation": "LOAD_AND_FLATTEN"},
    }
    definition = distributed(ItemReader=reader, ItemBatcher={"MaxItemsPerBatch": 2}, MaxConcurrency=2)
    aws_world.script.default = never
    parent = begin(aws_world, definition, bucket, "")
    given: dict[str, list[int]] = {}
    while aws_world.status(parent) is Status.RUNNING:
        aws_world.until(
            lambda: bool(aws_world.script.invocations) or aws_world.status(parent) is not Status.RUNNING
        )
        for told in aws_world.script.invocations[:1]:
            given[told.execution_arn] = told.arguments["Items"]
            aws_world.script.succeed(told, told.arguments["Items"])
        aws_world.engine.step()
        put(aws, bucket, f"in/{len(given) % 6}.jsonl", "999\n" * sizes[len(given) % 6])
        if aws_world.status(parent) is Status.RUNNING:
            aws_world.manual.advance(1)  # else the seeded ids of the next engine would be those of the last
            aws_world.restart(Script(never))
    items = [item for batch in aws_world.output(parent) for item in batch]
    origins = [n for n, size in enumerate(sizes) for _ in range(size)]

    assert len(items) == sum(sizes)
    assert [item // 100 for item in items if item != 999] == [
        origin for item, origin in zip(items, origins, strict=True) if item != 999
    ]
    assert sorted(item for batch in given.values() for item in batch) == sorted(items)
