import gzip
from typing import Any

import pytest

from etl_runner.errors import StatesError
from etl_runner.s3 import open_object

Server = tuple[Any, str]


def put(server: Server, key: str, body: bytes) -> str:
    s3, bucket = server
    return str(s3.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"])


def test_an_object_is_read_as_a_file(s3_server: Server) -> None:
    s3, bucket = s3_server
    put(s3_server, "a b+c/lines.txt", b"one\ntwo\n" * 100_000)

    with open_object(bucket, "a b+c/lines.txt", s3=s3) as stream:
        lines = sum(1 for _ in stream)

    assert lines == 200_000


def test_the_version_that_is_asked_for_is_read(s3_server: Server) -> None:
    s3, bucket = s3_server
    first = put(s3_server, "key", b"first")
    put(s3_server, "key", b"second")

    with open_object(bucket, "key", version_id=first, s3=s3) as stream:
        assert stream.read() == b"first"


@pytest.mark.parametrize(
    ("decompress", "expected"), [(True, b"hello"), (False, gzip.compress(b"hello", mtime=0))]
)
def test_gzip_is_taken_off_by_the_keys_ending(s3_server: Server, decompress: bool, expected: bytes) -> None:
    s3, bucket = s3_server
    put(s3_server, "hello.gz", gzip.compress(b"hello", mtime=0))

    with open_object(bucket, "hello.gz", decompress=decompress, s3=s3) as stream:
        assert stream.read() == expected


def test_an_object_that_is_not_there_is_named(s3_server: Server) -> None:
    s3, bucket = s3_server

    with pytest.raises(StatesError, match=f"s3://{bucket}/nothing") as caught:
        open_object(bucket, "nothing", s3=s3)

    assert caught.value.error == "S3.NoSuchKey"
