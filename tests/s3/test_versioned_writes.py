"""A versioned write makes a version when there is something new, once, and tells what it replaced."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from etl_runner.errors import InvalidInput, StatesError
from etl_runner.lineage import collecting
from etl_runner.s3 import Receipt, VersionedWriter, put_versioned
from etl_runner.s3.versions import PART_BYTES

S3Server = tuple[Any, str]

LARGE = bytes(range(256)) * (PART_BYTES // 256) * 2 + b"and a third part"


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


def versions(s3_server: S3Server, key: str) -> list[str]:
    client, bucket = s3_server
    listed = client.list_object_versions(Bucket=bucket, Prefix=key)
    return [each["VersionId"] for each in listed.get("Versions", [])]


def uploads(s3_server: S3Server) -> list[Any]:
    client, bucket = s3_server
    found: list[Any] = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return found


def put(s3_server: S3Server, body: bytes | str, *, by: str = "one", **more: Any) -> Receipt:
    client, bucket = s3_server
    return put_versioned(bucket, "out/a.csv", body, idempotency_key=by, **{"s3": client, **more})


def stream(s3_server: S3Server, body: bytes, *, by: str = "one", **more: Any) -> Receipt:
    client, bucket = s3_server
    with VersionedWriter(bucket, "out/a.csv", idempotency_key=by, **{"s3": client, **more}) as writer:
        for at in range(0, len(body), 3_000_001):
            writer.write(body[at : at + 3_000_001])
    return writer.receipt


class Wrapped:
    """A client with some calls replaced."""

    def __init__(self, client: Any, **calls: Callable[..., Any]) -> None:
        self._client = client
        self.__dict__.update(calls)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def failing(status: int, code: str) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PutObject")


def answer_lost_once(call: Callable[..., Any]) -> Callable[..., Any]:
    calls = 0

    def lossy(**parameters: Any) -> Any:
        nonlocal calls
        calls += 1
        answer = call(**parameters)
        if calls == 1:
            raise ReadTimeoutError(endpoint_url="http://s3")
        return answer

    return lossy


def test_the_first_write_replaces_nothing_and_says_whose_it_is(s3_server: S3Server) -> None:
    client, bucket = s3_server
    receipt = put(s3_server, "a,b\n1,ä\n", metadata={"Source": "x"}, content_type="text/csv")
    head = client.head_object(Bucket=bucket, Key="out/a.csv")

    assert receipt.as_json() == {
        "Bucket": bucket,
        "Key": "out/a.csv",
        "VersionId": head["VersionId"],
        "ETag": head["ETag"],
        "Bytes": 9,
        "Sha256": head["Metadata"]["etl-sha256"],
        "ReplacedVersionId": None,
        "Unchanged": False,
    }
    assert head["Metadata"]["etl-idempotency-key"] == "one"
    assert head["Metadata"]["source"] == "x"
    assert head["ContentType"] == "text/csv"


@pytest.mark.parametrize("write", [put, stream])
@pytest.mark.parametrize("body", [b"small", LARGE], ids=["small", "large"])
def test_the_same_content_again_makes_no_version(s3_server: S3Server, write: Any, body: bytes) -> None:
    old = put(s3_server, b"old")
    first = write(s3_server, body, by="run-1")
    again = write(s3_server, body, by="run-1")
    by_another = write(s3_server, body, by="run-2")

    assert (first.unchanged, first.replaced_version_id) == (False, old.version_id)
    assert (again.unchanged, again.version_id, again.replaced_version_id) == (
        True,
        first.version_id,
        old.version_id,
    )
    assert (by_another.unchanged, by_another.version_id, by_another.replaced_version_id) == (
        True,
        first.version_id,
        None,
    )
    assert len(versions(s3_server, "out/a.csv")) == 2
    assert uploads(s3_server) == []


def test_content_written_in_parts_and_at_once_is_the_same(s3_server: S3Server) -> None:
    first = stream(s3_server, LARGE)
    second = put(s3_server, LARGE)
    client, bucket = s3_server

    assert client.get_object(Bucket=bucket, Key="out/a.csv")["Body"].read() == LARGE
    assert (second.unchanged, second.version_id) == (True, first.version_id)
    assert second.sha256 == first.sha256


@pytest.mark.parametrize("size", [PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES])
def test_a_write_that_ends_near_the_end_of_a_part_is_whole(s3_server: S3Server, size: int) -> None:
    client, bucket = s3_server
    receipt = stream(s3_server, b"x" * size)

    assert client.head_object(Bucket=bucket, Key="out/a.csv")["ContentLength"] == size == receipt.size
    assert stream(s3_server, b"x" * size).unchanged


def test_other_metadata_or_content_make_a_version(s3_server: S3Server) -> None:
    receipts = [
        put(s3_server, b"1"),
        put(s3_server, b"2"),
        put(s3_server, b"2", metadata={"a": "b"}),
        put(s3_server, b"2", metadata={"a": "b"}, content_type="text/csv"),
    ]

    assert [receipt.replaced_version_id for receipt in receipts] == [
        None,
        *(receipt.version_id for receipt in receipts[:-1]),
    ]
    assert len(versions(s3_server, "out/a.csv")) == 4


def test_a_deleted_object_is_written_anew(s3_server: S3Server) -> None:
    client, bucket = s3_server
    put(s3_server, b"1")
    client.delete_object(Bucket=bucket, Key="out/a.csv")
    receipt = put(s3_server, b"1")

    assert (receipt.unchanged, receipt.replaced_version_id) == (False, None)


def test_a_lost_answer_makes_no_second_version(s3_server: S3Server) -> None:
    client, bucket = s3_server
    old = put(s3_server, b"old")
    receipt = put(s3_server, b"new", s3=Wrapped(client, put_object=answer_lost_once(client.put_object)))

    assert len(versions(s3_server, "out/a.csv")) == 2
    assert (receipt.unchanged, receipt.replaced_version_id) == (False, old.version_id)
    assert receipt.version_id == client.head_object(Bucket=bucket, Key="out/a.csv")["VersionId"]


def test_a_lost_answer_to_the_completion_makes_no_second_version(s3_server: S3Server) -> None:
    client, _ = s3_server
    old = put(s3_server, b"old")
    lossy = Wrapped(client, complete_multipart_upload=answer_lost_once(client.complete_multipart_upload))
    receipt = stream(s3_server, LARGE, s3=lossy)

    assert len(versions(s3_server, "out/a.csv")) == 2
    assert (receipt.unchanged, receipt.replaced_version_id) == (False, old.version_id)
    assert uploads(s3_server) == []


@pytest.mark.parametrize("same", [True, False], ids=["the same content", "different contents"])
def test_of_sixteen_racing_writers_none_is_lost(s3_server: S3Server, same: bool) -> None:
    receipts: list[Receipt] = []
    start = threading.Barrier(16)

    def race(number: int) -> None:
        start.wait()
        body = b"same" if same else str(number).encode()
        receipts.append(put(s3_server, body, by="one" if same else str(number)))

    threads = [threading.Thread(target=race, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = versions(s3_server, "out/a.csv")

    assert len(receipts) == 16
    assert len(made) == (1 if same else 16)
    # Each version was replaced by exactly one other: they form a chain.
    replaced = [receipt.replaced_version_id for receipt in receipts if not same or not receipt.unchanged]
    assert {receipt.version_id for receipt in receipts} == set(made)
    assert len(set(replaced)) == (1 if same else 16)


@pytest.mark.parametrize("body", [b"small", LARGE], ids=["small", "large"])
def test_an_exception_inside_the_block_leaves_nothing(s3_server: S3Server, body: bytes) -> None:
    client, bucket = s3_server
    writer = VersionedWriter(bucket, "out/a.csv", idempotency_key="one", s3=client)

    def fail_on_the_way() -> None:
        with writer:
            writer.write(body)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_on_the_way()
    with pytest.raises(InvalidInput, match="is not finished"):
        _ = writer.receipt

    assert versions(s3_server, "out/a.csv") == []
    assert uploads(s3_server) == []


def test_a_version_made_during_a_long_write_is_not_written_over(s3_server: S3Server) -> None:
    client, bucket = s3_server
    writer = VersionedWriter(bucket, "out/a.csv", idempotency_key="one", s3=client).__enter__()
    writer.write(LARGE)
    other = put(s3_server, b"other", by="other")
    with pytest.raises(StatesError, match=r"'one' wrote .* another writer came first: .*by 'other'\)"):
        writer.__exit__(None, None, None)

    assert versions(s3_server, "out/a.csv") == [other.version_id]
    assert uploads(s3_server) == []


def test_a_version_made_just_before_the_completion_is_not_written_over(seaweedfs: S3Server) -> None:
    # moto takes no notice of IfMatch here.
    client, _ = seaweedfs
    put(seaweedfs, b"old")

    def complete(**parameters: Any) -> Any:
        if len(versions(seaweedfs, "out/a.csv")) == 1:
            put(seaweedfs, b"other", by="other")
        return client.complete_multipart_upload(**parameters)

    with pytest.raises(StatesError, match="another writer came first"):
        stream(seaweedfs, LARGE, s3=Wrapped(client, complete_multipart_upload=complete))

    assert len(versions(seaweedfs, "out/a.csv")) == 2
    assert uploads(seaweedfs) == []


@pytest.mark.usefixtures("no_waiting")
def test_conditions_that_never_hold_end_in_an_error_naming_both(s3_server: S3Server) -> None:
    client, _ = s3_server

    def refused(**_: Any) -> Any:
        raise failing(412, "PreconditionFailed")

    other = put(s3_server, b"0", by="two")
    with pytest.raises(StatesError) as caught:
        put(s3_server, b"1", s3=Wrapped(client, put_object=refused))

    assert caught.value.error == "PreconditionFailed"
    assert "the write of 'one' to s3://" in caught.value.cause
    assert f"version {other.version_id} (written by 'two')" in caught.value.cause
    assert versions(s3_server, "out/a.csv") == [other.version_id]


@pytest.mark.usefixtures("no_waiting")
def test_a_storm_of_503_is_weathered_and_a_lasting_one_is_named(s3_server: S3Server) -> None:
    client, _ = s3_server
    refusals = [4, 2]

    def storm(number: int, call: Callable[..., Any]) -> Callable[..., Any]:
        def stormy(**parameters: Any) -> Any:
            if refusals[number] > 0:
                refusals[number] -= 1
                raise failing(503, "SlowDown")
            return call(**parameters)

        return stormy

    stormy = Wrapped(client, put_object=storm(0, client.put_object), upload_part=storm(1, client.upload_part))
    assert put(s3_server, b"1", s3=stormy).version_id in versions(s3_server, "out/a.csv")
    assert stream(s3_server, LARGE, s3=stormy).version_id in versions(s3_server, "out/a.csv")
    refusals[:] = [1000, 1000]
    with pytest.raises(StatesError, match=r"S3\.SlowDown: Could not write s3://.*Status Code: 503"):
        put(s3_server, b"2", s3=stormy)
    with pytest.raises(StatesError, match=r"S3\.SlowDown"):
        stream(s3_server, LARGE + b"2", s3=stormy)

    assert uploads(s3_server) == []


def test_if_version_refuses_what_was_not_read_before(s3_server: S3Server) -> None:
    first = put(s3_server, b"1", if_version=None)
    second = put(s3_server, b"2", if_version=first.version_id)
    with pytest.raises(
        StatesError, match=f"only if its version is {first.version_id}, and it is {second.version_id}"
    ):
        put(s3_server, b"3", if_version=first.version_id)
    with pytest.raises(StatesError, match="only if its version is None"):
        stream(s3_server, LARGE, if_version=None)
    # The same write asked for again finds itself done.
    assert put(s3_server, b"2", if_version=first.version_id).unchanged

    assert len(versions(s3_server, "out/a.csv")) == 2
    assert uploads(s3_server) == []


def test_a_bucket_without_versions_is_written_too(s3_server: S3Server) -> None:
    client, bucket = s3_server
    client.create_bucket(Bucket=f"{bucket}-plain")
    plain = (client, f"{bucket}-plain")
    first, second, again = put(plain, b"1"), put(plain, b"2"), put(plain, b"2")

    assert (first.unchanged, second.unchanged, again.unchanged) == (False, False, True)
    assert {receipt.version_id for receipt in (first, second, again)} <= {None, "null"}


def test_receipts_are_noted_for_the_history(s3_server: S3Server) -> None:
    with collecting() as noted:
        receipts = [
            put(s3_server, b"1"),
            stream(s3_server, b"2"),
            stream(s3_server, LARGE),
            put(s3_server, LARGE),
        ]

    assert noted == [receipt.as_json() for receipt in receipts]


def test_a_missing_bucket_and_wrong_keys_are_named(s3_server: S3Server) -> None:
    client, bucket = s3_server
    with pytest.raises(StatesError, match=rf"S3\.NoSuchBucket: Could not write s3://{bucket}-absent/k"):
        put_versioned(f"{bucket}-absent", "k", b"1", idempotency_key="one", s3=client)


def test_metadata_that_s3_cannot_carry_are_refused(s3_server: S3Server) -> None:
    for metadata in ({"a": "ä"}, {"etl-sha256": "x"}, {"a": "line\nbreak"}):
        with pytest.raises(InvalidInput):
            put(s3_server, b"1", metadata=metadata)
    long = put(s3_server, b"1", by="é" * 3000)

    assert put(s3_server, b"1", by="é" * 3000).version_id == long.version_id
