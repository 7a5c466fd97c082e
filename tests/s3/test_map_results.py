"""The files that a ResultWriter leaves are those of Step Functions."""

import json
from typing import Any

import pytest

from etl_runner.errors import InvalidInput
from etl_runner.s3.results import write_results

S3Server = tuple[Any, str]

RUN = "arn:aws:states:us-east-1:123456789012:mapRun:machine/Label:4f-run"


def child(name: str, status: str, **more: Any) -> dict[str, Any]:
    return {"Name": name, "ExecutionArn": f"arn:{name}", "Input": {"n": name}, "Status": status, **more}


def read(s3_server: S3Server, key: str) -> Any:
    client, bucket = s3_server
    return json.loads(client.get_object(Bucket=bucket, Key=key)["Body"].read())


def test_children_are_sorted_into_files_by_status_and_named_in_the_manifest(s3_server: S3Server) -> None:
    client, bucket = s3_server
    children = [
        child("1", "SUCCEEDED", Output={"x": 1}, StartDate="2026-01-01T00:00:00.000Z"),
        child("2", "FAILED", Error="E", Cause="C"),
        child("3", "TIMED_OUT"),
        child("4", "ABORTED"),
        child("5", "SUCCEEDED", Output='"text"'),
    ]
    result = write_results(bucket, "mapJobs/", RUN, iter(children), s3=client)
    manifest = read(s3_server, "mapJobs/4f-run/manifest.json")
    succeeded = read(s3_server, "mapJobs/4f-run/SUCCEEDED_0.json")

    assert result == {
        "MapRunArn": RUN,
        "ResultWriterDetails": {"Bucket": bucket, "Key": "mapJobs/4f-run/manifest.json"},
    }
    assert manifest["DestinationBucket"] == bucket
    assert manifest["MapRunArn"] == RUN
    assert manifest["ResultFiles"]["PENDING"] == []
    assert [file["Key"] for file in manifest["ResultFiles"]["SUCCEEDED"]] == [
        "mapJobs/4f-run/SUCCEEDED_0.json"
    ]
    assert [(each["Input"], each["Output"]) for each in succeeded] == [
        ('{"n":"1"}', '{"x":1}'),
        ('{"n":"5"}', '"text"'),
    ]
    assert [each["Name"] for each in read(s3_server, "mapJobs/4f-run/FAILED_0.json")] == ["2", "3", "4"]


def test_sizes_in_the_manifest_are_true_and_full_files_are_followed_by_others(s3_server: S3Server) -> None:
    client, bucket = s3_server
    children = [child(str(number), "SUCCEEDED", Output="x" * 100) for number in range(20)]
    write_results(bucket, "", RUN, children, file_bytes=1000, s3=client)
    files = read(s3_server, "4f-run/manifest.json")["ResultFiles"]["SUCCEEDED"]
    names = [each["Name"] for file in files for each in read(s3_server, file["Key"])]

    assert names == [str(number) for number in range(20)]
    assert len(files) > 3
    for file in files:
        assert client.head_object(Bucket=bucket, Key=file["Key"])["ContentLength"] == file["Size"] <= 1000


def test_lines_are_one_entry_each_and_fill_files_as_arrays_do(s3_server: S3Server) -> None:
    client, bucket = s3_server
    children = [child(str(number), "SUCCEEDED", Output=f"[{number},\n{number}]") for number in range(20)]
    config = {"OutputType": "JSONL", "Transformation": "FLATTEN"}
    write_results(bucket, "", RUN, children, config=config, file_bytes=20, s3=client)
    files = read(s3_server, "4f-run/manifest.json")["ResultFiles"]["SUCCEEDED"]
    texts = [client.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in files]
    numbers = [int(line) for text in texts for line in text.splitlines()]

    assert numbers == [number for number in range(20) for _ in range(2)]
    assert [each["Key"] for each in files[:2]] == ["4f-run/SUCCEEDED_0.jsonl", "4f-run/SUCCEEDED_1.jsonl"]
    assert [len(text) for text in texts] == [each["Size"] for each in files]
    assert all(text.endswith(b"\n") and len(text) <= 20 for text in texts)


def test_nothing_flattened_is_no_file(s3_server: S3Server) -> None:
    client, bucket = s3_server
    config = {"Transformation": "FLATTEN"}
    write_results(bucket, "", RUN, [child("1", "SUCCEEDED", Output=[])], config=config, s3=client)

    assert read(s3_server, "4f-run/manifest.json")["ResultFiles"]["SUCCEEDED"] == []


def test_writing_the_same_results_again_makes_no_versions(s3_server: S3Server) -> None:
    client, bucket = s3_server
    children = [child("1", "SUCCEEDED", Output=1), child("2", "PENDING")]
    write_results(bucket, "p", RUN, children, s3=client)
    before = len(client.list_object_versions(Bucket=bucket)["Versions"])
    write_results(bucket, "p", RUN, children, s3=client)

    assert len(client.list_object_versions(Bucket=bucket)["Versions"]) == before == 3


def test_an_unknown_status_leaves_nothing(s3_server: S3Server) -> None:
    client, bucket = s3_server
    with pytest.raises(InvalidInput, match="has status 'LOST'"):
        write_results(bucket, "p", RUN, [child("1", "SUCCEEDED", Output=1), child("2", "LOST")], s3=client)

    assert "Versions" not in client.list_object_versions(Bucket=bucket)
