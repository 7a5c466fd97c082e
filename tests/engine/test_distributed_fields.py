"""What the fields of a Distributed Map say is done: reading, batching, and where the results go."""

import json
from typing import Any

import pytest

from etl_runner.asl.rules import PLACES
from etl_runner.s3 import reader_config
from etl_runner.tasks.contract import Failed, Invocation, Outcome, Succeeded
from tests.conftest import fresh_bucket
from tests.engine.harness import PASS, World, answer, distributed

PASSING: dict[str, Any] = {"StartAt": "Item", "States": {"Item": PASS}}


def read(world: World, bucket: str, key: str) -> str:
    assert world.aws is not None
    return str(world.aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode())


def put(world: World, bucket: str, body: str) -> str:
    assert world.aws is not None
    answer = world.aws.client("s3").put_object(Bucket=bucket, Key="items", Body=body.encode())
    return str(answer["VersionId"])


def bucket_of(world: World) -> str:
    assert world.aws is not None
    return fresh_bucket(world.aws.client("s3"))


def but_not_two(invocation: Invocation) -> list[Outcome]:
    token = invocation.token
    if invocation.arguments == 2:
        return [Failed(token=token, error="Two", cause="it is two")]
    return [Succeeded(token=token, output=[invocation.arguments, {"n": invocation.arguments}])]


def result(world: World, given: Any, **fields: Any) -> Any:
    run = world.start(distributed(**fields), given)
    world.until_ended(run)
    return world.output(run)


def test_a_writer_config_alone_shapes_what_the_state_gives(world: World) -> None:
    world.script.default = but_not_two
    items = {"items": [1, 3]}
    compact = result(world, items, ResultWriter={"WriterConfig": {"OutputType": "JSON"}})
    flat = result(world, items, ResultWriter={"WriterConfig": {"Transformation": "FLATTEN"}})
    records = result(world, items, ResultWriter={"WriterConfig": {"Transformation": "NONE"}})

    assert compact == [[1, {"n": 1}], [3, {"n": 3}]]
    assert flat == [1, {"n": 1}, 3, {"n": 3}]
    assert [json.loads(each["Output"]) for each in records] == compact
    assert {each["Status"] for each in records} == {"SUCCEEDED"}
    assert all(each["StopDate"] >= each["StartDate"] for each in records)


def test_lines_that_are_not_written_are_one_text(world: World) -> None:
    world.script.default = but_not_two
    lines = result(world, {"items": [1, 3]}, ResultWriter={"WriterConfig": {"OutputType": "JSONL"}})

    assert lines == '[1,{"n":1}]\n[3,{"n":3}]\n'


def test_the_pairs_of_an_object_in_the_input_are_items(world: World) -> None:
    selector = {"key.$": "$$.Map.Item.Key", "source.$": "$$.Map.Item.Source"}
    pairs = {"items": {"b": 1, "a": [2]}}

    assert result(world, pairs) == [{"Key": "b", "Value": 1}, {"Key": "a", "Value": [2]}]
    assert result(world, pairs, ItemSelector=selector) == [
        {"key": "b", "source": "STATE_DATA"},
        {"key": "a", "source": "STATE_DATA"},
    ]


def test_an_output_that_is_no_array_is_an_element_of_the_flattened_result(world: World) -> None:
    world.script.default = answer({"a": [1]})
    flat = result(world, {"items": [1, 2]}, ResultWriter={"WriterConfig": {"Transformation": "FLATTEN"}})

    assert flat == [{"a": [1]}, {"a": [1]}]


@pytest.mark.parametrize("writer", [{}, {"ResultWriter": {"WriterConfig": {"Transformation": "FLATTEN"}}}])
def test_a_tolerated_failure_stands_in_the_result_as_its_record(world: World, writer: dict[str, Any]) -> None:
    world.script.default = but_not_two
    found = result(world, {"items": [1, 2]}, ToleratedFailureCount=1, **writer)

    assert {key: found[-1][key] for key in ("Status", "Error", "Cause", "Input")} == {
        "Status": "FAILED",
        "Error": "Two",
        "Cause": "it is two",
        "Input": "2",
    }


def test_results_go_to_s3_in_the_form_that_is_asked_for(aws_world: World) -> None:
    world, bucket = aws_world, bucket_of(aws_world)
    world.script.default = but_not_two
    writer = {
        "Resource": "arn:aws:states:::s3:putObject",
        "Parameters": {"Bucket": bucket, "Prefix.$": "$.prefix"},
        "WriterConfig": {"OutputType": "JSONL", "Transformation": "COMPACT"},
    }
    details = result(
        world,
        {"items": [1, 2, 3], "prefix": "out/"},
        ResultWriter=writer,
        ToleratedFailurePercentage=50,
        Label="Spread",
    )
    manifest = json.loads(read(world, bucket, details["ResultWriterDetails"]["Key"]))
    (succeeded,), (failed,) = manifest["ResultFiles"]["SUCCEEDED"], manifest["ResultFiles"]["FAILED"]

    assert details["MapRunArn"].rpartition(":")[0].endswith("/Spread")
    assert succeeded["Key"].endswith("/SUCCEEDED_0.jsonl")
    assert read(world, bucket, succeeded["Key"]) == '[1,{"n":1}]\n[3,{"n":3}]\n'
    assert json.loads(read(world, bucket, failed["Key"]))["Error"] == "Two"


@pytest.mark.parametrize("parameters", [{"Prefix": "p"}, {"Bucket.$": "$.items"}])
def test_a_result_writer_without_a_bucket_fails_by_its_name(world: World, parameters: dict[str, Any]) -> None:
    writer = {"Resource": "arn:aws:states:::s3:putObject", "Parameters": parameters}
    run = world.start(distributed(PASSING, ResultWriter=writer), {"items": [1]})
    world.until_ended(run)
    error, cause = world.error(run)

    assert error == "States.ResultWriterFailed"
    assert "need Bucket" in str(cause)


def reader(bucket: str, config: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    return {
        "Resource": "arn:aws:states:::s3:getObject",
        "Parameters": {"Bucket": bucket, "Key": "items", **parameters},
        "ReaderConfig": config,
    }


def test_the_version_the_delimiter_and_the_bound_of_the_items_are_heeded(aws_world: World) -> None:
    world, bucket = aws_world, bucket_of(aws_world)
    first = put(world, bucket, "1|one\n2|two\n3|three\n")
    put(world, bucket, "another version\n")
    config = {
        "InputType": "CSV",
        "CSVHeaderLocation": "GIVEN",
        "CSVHeaders": ["n", "name"],
        "CSVDelimiter": "PIPE",
        "MaxItemsPath": "$.most",
    }
    source = reader(bucket, config, **{"VersionId.$": "$.version"})
    found = result(world, {"most": 2, "version": first}, processor=PASSING, ItemReader=source)

    assert found == [{"n": "1", "name": "one"}, {"n": "2", "name": "two"}]


def test_an_item_too_large_for_a_child_fails_the_map_run_and_names_the_item(aws_world: World) -> None:
    world, bucket = aws_world, bucket_of(aws_world)
    put(world, bucket, '"small"\n' * 150 + f'"{"x" * 262_143}"\n')
    run = world.start(distributed(PASSING, ItemReader=reader(bucket, {"InputType": "JSONL"})))
    world.until_ended(run)
    error, cause = world.error(run)
    other = world.start(distributed(PASSING), {"items": [1]})

    assert error == "States.ItemReaderFailed"
    assert "The item 150 (the first is 0) has 262,145 bytes" in str(cause)

    world.until_ended(other)
    assert world.output(other) == [1]


def test_an_item_too_large_for_a_batch_is_named_too(world: World) -> None:
    batcher = {"MaxItemsPerBatch": 2, "MaxInputBytesPerBatch": 60, "BatchInput": {"b": 1}}
    run = world.start(distributed(PASSING, ItemBatcher=batcher), {"items": [1, 2, 3, "x" * 40]})
    world.until_ended(run)
    error, cause = world.error(run)

    assert error == "States.ItemReaderFailed"
    assert str(cause).startswith("The item 3 (the first is 0) has 43 bytes, and the batch around it")
    assert "Raise MaxInputBytesPerBatch" in str(cause)


def test_a_map_without_a_label_has_one_that_an_arn_can_hold(world: World) -> None:
    name = "Each: item of <the> list, and a name that goes on for long"
    definition = {"StartAt": name, "States": {name: distributed(PASSING)["States"]["Only"]}}
    run = world.start(definition, {"items": [1]})
    world.until_ended(run)
    label = "Each__item_of__the__list__and_a_name_tha"

    assert [child.arn.split(":")[6] for child in world.children()] == [f"machine/{label}"]
    assert [child.state_machine_arn.rpartition("/")[2] for child in world.children()] == [label]


def test_express_children_run_as_durable_ones(world: World) -> None:
    definition = distributed()
    definition["States"]["Only"]["ItemProcessor"]["ProcessorConfig"]["ExecutionType"] = "EXPRESS"
    run = world.start(definition, {"items": [1, 2]})
    world.until_ended(run)

    assert world.output(run) == [1, 2]
    assert [child.status for child in world.children()] == ["SUCCEEDED", "SUCCEEDED"]


def test_the_reader_knows_every_field_that_the_parser_lets_through() -> None:
    assert set(PLACES["ReaderConfig"]) - {"MaxItemsPath"} == reader_config._KEYS
