"""The items of a Distributed Map come lazily, in order, each once, also after a restart anywhere."""

import csv
import io
import json
import tracemalloc
from itertools import zip_longest
from typing import Any

import pytest
from botocore.exceptions import IncompleteReadError
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_runner.aws import AwsAccess
from etl_runner.errors import InvalidInput, StatesError
from etl_runner.s3.items import ItemStream, pin
from etl_runner.s3.read import read_chunk
from tests.conftest import access_to, close_clients, fresh_bucket
from tests.s3.fake_source import FakeSource

S3Server = tuple[Any, str]


FIRST_ROW = {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}
JSONL = {"InputType": "JSONL"}
ARRAY = {"InputType": "JSON"}


def given_headers(*names: str, **more: Any) -> dict[str, Any]:
    return {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": list(names), **more}


def items_of(data: bytes | str, config: dict[str, Any]) -> list[Any]:
    source = FakeSource(data.encode() if isinstance(data, str) else data)
    with ItemStream(source, source.pinned.as_json(), config) as stream:
        return stream.take(10**9)


def put(s3_server: S3Server, data: bytes) -> dict[str, str]:
    client, bucket = s3_server
    client.put_object(Bucket=bucket, Key="in/a b.csv", Body=data)
    return {"Bucket": bucket, "Key": "in/a b.csv"}


def big_csv(size: int) -> bytes:
    """Rows with quoted newlines, doubled quotes and letters of several bytes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["id", "name", "note"])
    notes = [f'line one\nline "two", {n}\r\n' if n % 3 else "plain" for n in range(1000)]
    rows = [[f"{n}", f"näme {n}", note] for n, note in enumerate(notes)]
    block = io.StringIO(newline="")
    csv.writer(block).writerows(rows)
    encoded = block.getvalue().encode()
    return text.getvalue().encode() + encoded * (size // len(encoded) + 1)


def test_csv_rows_are_filled_and_cut_to_the_header_as_step_functions_does() -> None:
    text = "Col1,Col2,Col3\nValue1,Value2,Value3\n,,,\ntrue,1,'HelloWorld'\nNull,None,\n   \n\n1,2,3,4\n"

    assert items_of(text, FIRST_ROW) == [
        {"Col1": "Value1", "Col2": "Value2", "Col3": "Value3"},
        {"Col1": "", "Col2": "", "Col3": ""},
        {"Col1": "true", "Col2": "1", "Col3": "'HelloWorld'"},
        {"Col1": "Null", "Col2": "None", "Col3": ""},
        {"Col1": "   ", "Col2": "", "Col3": ""},
        {"Col1": "1", "Col2": "2", "Col3": "3"},
    ]


@pytest.mark.parametrize(
    ("name", "char"), [("COMMA", ","), ("PIPE", "|"), ("SEMICOLON", ";"), ("SPACE", " "), ("TAB", "\t")]
)
def test_every_delimiter_parts_fields(name: str, char: str) -> None:
    assert items_of(f"1{char}2\n", given_headers("a", "b", CSVDelimiter=name)) == [{"a": "1", "b": "2"}]


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert items_of(b'\xef\xbb\xbf"a",b\n1,2\n', FIRST_ROW) == [{"a": "1", "b": "2"}]
    assert items_of(b'\xef\xbb\xbf{"a":1}\n', JSONL) == [{"a": 1}]
    assert items_of(b"\xef\xbb\xbf[1]", ARRAY) == [1]


def test_max_items_bounds_and_zero_does_not() -> None:
    lines = "".join(f"{n}\n" for n in range(5))

    assert items_of(lines, {**JSONL, "MaxItems": 2}) == [0, 1]
    assert items_of(lines, {**JSONL, "MaxItems": 0}) == [0, 1, 2, 3, 4]
    assert [c["Index"] for c in items_of(lines, {**JSONL, "MaxItems": 2, "ChunkBytes": 1})] == [0, 1]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(json_values, max_size=12),
    kind=st.sampled_from(["JSON", "JSONL", "CSV", "CHUNKS"]),
    indent=st.sampled_from([None, 2]),
    step=st.integers(1, 4),
)
def test_a_stream_made_anew_from_any_cursor_goes_on_the_same(
    values: list[Any], kind: str, indent: int | None, step: int
) -> None:
    config: dict[str, Any]
    if kind == "JSON":
        data, config, wanted = json.dumps(values, indent=indent), ARRAY, values
    elif kind == "JSONL":
        data, config, wanted = "".join(json.dumps(each) + "\n" for each in values), JSONL, values
    else:
        text = io.StringIO(newline="")
        rows = [[str(value).replace("\\", "\\\\"), "\r\n"] for value in values]
        csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
        data, config = text.getvalue(), FIRST_ROW
        wanted = [{"a": str(value), "b": "\r\n"} for value in values]
        if kind == "CHUNKS":
            config = {**FIRST_ROW, "ChunkBytes": 7}
            wanted = items_of(data, config)
    source = FakeSource(data.encode())
    found, cursor, done = [], None, False
    while not done:
        with ItemStream(source, source.pinned.as_json(), config, cursor) as stream:
            found += stream.take(step)
            cursor, done = json.loads(json.dumps(stream.cursor)), stream.done

    assert found == wanted


@pytest.mark.parametrize(
    ("text", "config", "message"),
    [
        ('{"a":1}\n{"a":\n', JSONL, r"s3://b/k cannot be read at byte 8: "),
        (b'a\n"1"\n\xff\n', FIRST_ROW, r"s3://b/k cannot be read at byte 6: it is not UTF-8"),
        (
            '{"Hello": "world"}',
            ARRAY,
            r"^States.ItemReaderFailed: Attempting to map over non-iterable node\.$",
        ),
        ("[1, 2", ARRAY, "at byte 4: the file ends inside this element"),
        ("[1, 2] 3", ARRAY, "at byte 7: something follows the end of the array"),
        ("[1, ]", ARRAY, "a comma stands before the closing bracket"),
        ("[1 2]", ARRAY, "at byte 1: "),
        ("[1}", ARRAY, "at byte 2: a brace closes"),
        ("[NaN]", ARRAY, "at byte 1: "),
        ("[1e999]", ARRAY, "at byte 1: "),
        ('["\\ud800"]', ARRAY, "at byte 1: "),
        ("[", ARRAY, "ends inside the array"),
        ("H1,H1\n1,2\n", FIRST_ROW, r"^States.ItemReaderFailed: CSV headers cannot contain duplicates\.$"),
        ("1,2\n", given_headers("H1", "H1"), r"CSV headers cannot contain duplicates\.$"),
        ("a\n", {"InputType": "XML"}, "InputType CSV, JSONL or JSON, and it is 'XML'"),
        ("a\n", {**JSONL, "ItemsPointer": "/a"}, "has ItemsPointer '/a' with InputType JSONL"),
        ("a\n", {**JSONL, "Compression": "x"}, "has Compression, which is not supported"),
        ("a\n", {**ARRAY, "ChunkBytes": 5}, "only CSV and JSONL can be cut"),
        ("a\n", {**JSONL, "ChunkBytes": 0}, "has ChunkBytes 0"),
        ("a\n", {**JSONL, "MaxItems": -1}, "MaxItems -1"),
        ("a\n", {"InputType": "CSV"}, "CSVHeaderLocation FIRST_ROW or GIVEN"),
        ("a\n", {**FIRST_ROW, "CSVDelimiter": "COLON"}, "CSVDelimiter 'COLON'"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(text: Any, config: dict[str, Any], message: str) -> None:
    with pytest.raises(StatesError, match=message) as caught:
        items_of(text, config)

    assert caught.value.error == "States.ItemReaderFailed"


def test_an_object_is_pinned_to_its_version(s3_server: S3Server) -> None:
    client, _ = s3_server
    where = put(s3_server, b"a\n1\n2\n")
    pinned = pin(client, where, config=FIRST_ROW)
    head = client.head_object(**where)
    put(s3_server, b"a\n3\n")
    with ItemStream(client, pinned, FIRST_ROW) as stream:
        items = stream.take(10)

    assert pinned == {**where, "VersionId": head["VersionId"], "ETag": head["ETag"], "Size": 6}
    assert items == [{"a": "1"}, {"a": "2"}]
    assert pin(client, {**where, "VersionId": head["VersionId"]}, config=FIRST_ROW) == pinned


def test_in_a_bucket_without_versions_a_replaced_object_is_refused(s3_server: S3Server) -> None:
    client, bucket = s3_server
    client.create_bucket(Bucket=f"{bucket}-plain")
    where = put((client, f"{bucket}-plain"), b"a\n1\n")
    pinned = pin(client, where, config=FIRST_ROW)
    chunk = ItemStream(client, pinned, {**FIRST_ROW, "ChunkBytes": 100}).take(1)[0]

    assert list(read_chunk(chunk, s3=client)) == [{"a": "1"}]
    put((client, f"{bucket}-plain"), b"a\n2\n")
    with pytest.raises(StatesError, match=r"S3\.PreconditionFailed: .*as it was when it was pinned"):
        list(read_chunk(chunk, s3=client))
    with pytest.raises(StatesError, match=r"States\.ItemReaderFailed: .*PreconditionFailed"):
        ItemStream(client, pinned, FIRST_ROW).take(1)


def test_a_version_that_is_gone_is_named(s3_server: S3Server) -> None:
    client, _ = s3_server
    where = put(s3_server, b"a\n1\n")
    pinned = pin(client, where, config=FIRST_ROW)
    chunk = ItemStream(client, pinned, {**FIRST_ROW, "ChunkBytes": 100}).take(1)[0]
    client.delete_object(**where, VersionId=pinned["VersionId"])
    with pytest.raises(StatesError, match=rf"in/a b\.csv .*pinned \(version {pinned['VersionId']}") as caught:
        list(read_chunk(chunk, s3=client))

    assert caught.value.error in {"S3.NoSuchVersion", "S3.NoSuchKey"}


def test_what_is_not_there_is_named_in_the_words_of_s3(s3_server: S3Server) -> None:
    client, bucket = s3_server
    with pytest.raises(StatesError, match=rf"s3://{bucket}/no: .*Error Code: NoSuchKey"):
        pin(client, {"Bucket": bucket, "Key": "no"}, config=JSONL)
    with pytest.raises(StatesError, match="Error Code: NoSuchBucket"):
        pin(client, {"Bucket": f"{bucket}-no", "Key": "no"}, config=JSONL)
    with pytest.raises(StatesError, match="need Key as a text"):
        pin(client, {"Bucket": bucket}, config=JSONL)
    with pytest.raises(StatesError, match="have SSECustomerKey, which is not supported"):
        pin(client, {"Bucket": bucket, "Key": "k", "SSECustomerKey": "x"}, config=JSONL)


def test_wrong_credentials_are_named(seaweedfs_url: str, seaweedfs: S3Server) -> None:
    _, bucket = seaweedfs
    stranger = AwsAccess(
        endpoint_url=seaweedfs_url, region="us-east-1", access_key_id="nobody", secret_access_key="wrong"
    ).client("s3")
    with pytest.raises(
        StatesError, match=r"States\.ItemReaderFailed: .*Error Code: (InvalidAccessKeyId|AccessDenied)"
    ):
        pin(stranger, {"Bucket": bucket, "Key": "k"}, config=JSONL)
    stranger.close()


@pytest.mark.parametrize(("server", "size"), [("seaweedfs", 30_000_000), ("moto", 6_000_000)])
def test_the_chunks_of_an_object_hold_the_rows_of_csv_reader(
    request: pytest.FixtureRequest, server: str, size: int
) -> None:
    access = access_to(request.getfixturevalue(f"{server}_url"))
    client = access.client("s3")
    data = big_csv(size)
    config = {**FIRST_ROW, "ChunkBytes": 4_000_000}
    pinned = pin(client, put((client, fresh_bucket(client)), data), config=config)
    chunks = ItemStream(client, pinned, config).take(1000)
    wanted = csv.reader(io.StringIO(data.decode(), newline=""))
    header = next(wanted)
    rows = (row for chunk in chunks for row in read_chunk(chunk, s3=client))
    differing = [row for row, fields in zip_longest(rows, wanted) if list(row.values()) != fields]
    close_clients(access)

    assert header == ["id", "name", "note"]
    assert len(chunks) == -(-size // 4_000_000)
    assert differing == []


class Breaking:
    """An S3 client whose bodies break off every so many bytes and whose first answers are refusals."""

    def __init__(self, client: Any, every: int) -> None:
        self._client = client
        self._every = every
        self.requests = 0

    def get_object(self, **parameters: Any) -> Any:
        self.requests += 1
        answer = self._client.get_object(**parameters)
        return {**answer, "Body": BreakingBody(answer["Body"], self._every)}


class BreakingBody:
    def __init__(self, body: Any, left: int) -> None:
        self._body = body
        self._left = left

    def read(self, size: int) -> bytes:
        if self._left <= 0:
            raise IncompleteReadError(actual_bytes=0, expected_bytes=size)
        data: bytes = self._body.read(min(size, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._body.close()


def test_a_connection_that_breaks_is_taken_up_where_it_broke(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    client, _ = s3_server
    data = big_csv(1_000_000)
    pinned = pin(client, put(s3_server, data), config={**FIRST_ROW, "ChunkBytes": 10**9})
    chunk = ItemStream(client, pinned, {**FIRST_ROW, "ChunkBytes": 10**9}).take(1)[0]
    breaking = Breaking(client, 100_003)

    assert list(read_chunk(chunk, s3=breaking)) == list(read_chunk(chunk, s3=client))
    assert breaking.requests >= 10
    with pytest.raises(StatesError, match=r"S3\.IncompleteReadError: Could not read s3://.* at byte 14"):
        list(read_chunk(chunk, s3=Breaking(client, 0)))


def test_a_chunk_that_is_not_read_to_its_end_leaves_no_connection(s3_server: S3Server) -> None:
    client, _ = s3_server
    pinned = pin(client, put(s3_server, big_csv(3_000_000)), config=JSONL)
    chunk = ItemStream(client, pinned, {**FIRST_ROW, "ChunkBytes": 10**9}).take(1)[0]
    rows = read_chunk(chunk, s3=client)
    next(rows)
    rows.close()  # type: ignore[attr-defined]


def test_items_are_read_within_bounded_memory() -> None:
    text = b"some text, [in] {it} " * 20
    data = b"[" + b",".join(b'{"n": %d, "text": "%b"}' % (n, text) for n in range(20_000)) + b"]"
    source = FakeSource(data)
    tracemalloc.start()
    stream = ItemStream(source, source.pinned.as_json(), ARRAY)
    count = 0
    while items := stream.take(100):
        count += len(items)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 20_000
    assert peak < 4_000_000 < len(data)


def test_what_is_no_chunk_reference_is_refused_at_once() -> None:
    with pytest.raises(InvalidInput, match="a chunk reference needs Bucket"):
        read_chunk({"Items": []})
    with pytest.raises(InvalidInput, match="a CSV chunk reference needs Header"):
        read_chunk({"Bucket": "b", "Key": "k", "ETag": "e", "Start": 0, "End": 1})


def test_a_malformed_line_of_a_chunk_is_named() -> None:
    source = FakeSource(b'{"a": 1}\nnonsense\n')
    chunk = ItemStream(source, source.pinned.as_json(), {**JSONL, "ChunkBytes": 100}).take(1)[0]
    with pytest.raises(StatesError, match=r"MalformedRecord: .*line 2 of the chunk \(at byte 9\)"):
        list(read_chunk(chunk, s3=source))


def test_a_cursor_of_another_release_is_refused() -> None:
    source = FakeSource(b"1\n")
    with pytest.raises(StatesError, match="cursor is of version 2"):
        ItemStream(source, source.pinned.as_json(), JSONL, {"Version": 2})
