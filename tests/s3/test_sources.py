"""What an ItemReader may read from beside one object: listings, manifests, nodes of a document, gzip."""

import gzip
import json
from typing import Any

import pytest

from etl_runner.errors import StatesError
from etl_runner.machine.map_plan import default_input
from etl_runner.s3.items import ItemStream
from etl_runner.s3.sources import open_source, pin_source
from tests.s3.fake_source import FakeSource

S3Server = tuple[Any, str]
GET = "arn:aws:states:::s3:getObject"
LIST = "arn:aws:states:::s3:listObjectsV2"
JSON: dict[str, Any] = {"InputType": "JSON"}


def reader(resource: str, config: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    return {"resource": resource, "parameters": parameters, "config": config}


def put(server: S3Server, **objects: bytes | str) -> None:
    client, bucket = server
    for name, body in objects.items():
        data = body.encode() if isinstance(body, str) else body
        client.put_object(Bucket=bucket, Key=name.replace("__", "/").replace("_dot_", "."), Body=data)


def read_all(client: Any, asked: dict[str, Any], step: int = 2) -> list[Any]:
    """All items, `step` at a time, each time by a reader made anew from a stored cursor."""
    source = json.loads(json.dumps(pin_source(client, asked)))
    found: list[Any] = []
    cursor: Any = None
    for _ in range(1000):
        items = open_source(client, source, asked["config"], cursor)
        taken = items.read(step)
        found += [(default_input(value, key), origin) for value, key, origin in taken]
        cursor = json.loads(json.dumps(items.cursor))
        over = items.done or not taken
        items.close()
        if over:
            return found
    raise AssertionError("it does not end")


def values(found: list[Any]) -> list[Any]:
    return [value for value, _ in found]


# --- nodes of a JSON document ------------------------------------------------------------------------------


NESTED = {
    "skipped": [{"items": [9]}, ']}\\"'],
    "a/b": {"~": [[0], {"deep": [1, {"x": 2}, "three"]}]},
    "scalar": 5,
    "pairs": {"k1": 1, 'quo"te': [2], "näme": {}},
    "none": [],
}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    ("pointer", "wanted"),
    [
        ("/a~1b/~0/1/deep", [1, {"x": 2}, "three"]),
        ("/skipped/0/items", [9]),
        ("/none", []),
        (
            "/pairs",
            [{"Key": "k1", "Value": 1}, {"Key": 'quo"te', "Value": [2]}, {"Key": "näme", "Value": {}}],
        ),
        ("", [{"Key": key, "Value": value} for key, value in NESTED.items()]),
    ],
)
@pytest.mark.parametrize("step", [1, 2, 100])
def test_a_pointer_leads_to_the_array_or_object_with_the_items(
    pointer: str, wanted: list[Any], indent: int | None, step: int
) -> None:
    source = FakeSource(json.dumps(NESTED, indent=indent).encode())
    config = {**JSON, "ItemsPointer": pointer}
    found: list[Any] = []
    cursor, done = None, False
    while not done:
        with ItemStream(source, source.pinned.as_json(), config, cursor) as stream:
            found += stream.take(step)
            cursor, done = json.loads(json.dumps(stream.cursor)), stream.done or stream._exhausted
        assert len(found) <= len(wanted)

    assert found == wanted


@pytest.mark.parametrize(
    ("pointer", "message"),
    [
        ("/no", "the ItemsPointer leads nowhere in s3://b/k: there is no /no"),
        ("/a~1b/x", "there is no /a/b/x"),
        ("/skipped/2", "there is no /skipped/2"),
        ("/skipped/x", "there is no /skipped/x"),
        ("/scalar/x", "there is no /scalar/x"),
        ("/scalar", r"^States\.ItemReaderFailed: Attempting to map over non-iterable node\.$"),
        ("items", "a JSON pointer begins with a slash"),
    ],
)
def test_a_pointer_that_leads_nowhere_is_named(pointer: str, message: str) -> None:
    source = FakeSource(json.dumps(NESTED).encode())
    with pytest.raises(StatesError, match=message):
        ItemStream(source, source.pinned.as_json(), {**JSON, "ItemsPointer": pointer}).take(5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": [1}', "a brace closes"),
        ('{"a" [1]}', "a colon should stand here"),
        ('{"b": [1, 2', "the file ends inside"),
        ("{a: 1}", "a name in quotes"),
        ('{"b": {"c": 1,}, "a": []}', None),
    ],
)
def test_a_document_that_breaks_on_the_way_to_the_items_is_named(text: str, message: str | None) -> None:
    source = FakeSource(text.encode())
    stream = ItemStream(source, source.pinned.as_json(), {**JSON, "ItemsPointer": "/a"})
    if message is None:  # what is passed over is not looked at
        assert stream.take(5) == []
    else:
        with pytest.raises(StatesError, match=f"cannot be read at byte .*{message}"):
            stream.take(5)


def test_a_cursor_within_what_was_taken_goes_on_there() -> None:
    source = FakeSource(json.dumps(list(range(10))).encode())
    stream = ItemStream(source, source.pinned.as_json(), {**JSON, "MaxItems": 8})
    stream.read(2)
    taken = stream.read(5)
    after = ItemStream(source, source.pinned.as_json(), {**JSON, "MaxItems": 8}, taken.cursor_after(3))

    assert taken.values == [2, 3, 4, 5, 6]
    assert after.take(100) == [5, 6, 7]


# --- rows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (r"C:\\Program Files\\App.exe,1", [r"C:\Program Files\App.exe", "1"]),
        (r"a\,b,c", ["a,b", "c"]),
        (r"a\xb,c", ["axb", "c"]),
        (r'"say ""hi""",\"q\"', ['say "hi"', '"q"']),
        ("ends with one\\", ["ends with one", ""]),
        ("ends with two\\\\", ["ends with two\\", ""]),
    ],
)
def test_a_backslash_takes_away_the_meaning_of_what_follows(line: str, fields: list[str]) -> None:
    source = FakeSource(f"x,y\n{line}\nlast,row\n".encode())
    config = {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}
    found = ItemStream(source, source.pinned.as_json(), config).take(9)

    assert [list(row.values()) for row in found] == [fields, ["last", "row"]]


# --- gzip --------------------------------------------------------------------------------------------------


def test_compressed_objects_are_read_by_their_ending(s3_server: S3Server) -> None:
    client, bucket = s3_server
    rows = "".join(f"{n},{'x' * 50}\n" for n in range(3000))
    put(
        s3_server,
        rows_dot_csv_dot_gz=gzip.compress(f"n,x\n{rows}".encode()),
        lines_dot_jsonl_dot_gz=gzip.compress(b"1\n2\n") + gzip.compress(b"3\n"),
        array_dot_json_dot_gz=gzip.compress(b"[1, 2]"),
        broken_dot_jsonl_dot_gz=gzip.compress(b"1\n" * 99)[:-12],
        plain_dot_jsonl_dot_gz=b"1\n",
        empty_dot_csv_dot_gz=gzip.compress(b""),
        rows_dot_zst=b"1\n",
    )
    csv = {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}
    found = values(read_all(client, reader(GET, csv, Bucket=bucket, Key="rows.csv.gz"), 1000))
    lines = reader(GET, {"InputType": "JSONL"}, Bucket=bucket, Key="lines.jsonl.gz")

    assert [int(row["n"]) for row in found] == list(range(3000))
    assert values(read_all(client, lines)) == [1, 2, 3]
    assert values(read_all(client, reader(GET, JSON, Bucket=bucket, Key="array.json.gz"))) == [1, 2]
    assert values(read_all(client, reader(GET, csv, Bucket=bucket, Key="empty.csv.gz"))) == []
    for key, message in [
        ("broken.jsonl.gz", "the compressed data end before their end"),
        ("plain.jsonl.gz", "it is no gzip"),
        ("rows.zst", "is compressed with zstd, which is not supported"),
    ]:
        with pytest.raises(StatesError, match=message):
            read_all(client, reader(GET, {"InputType": "JSONL"}, Bucket=bucket, Key=key), 5000)
    with pytest.raises(StatesError, match="cannot be cut into chunks"):
        read_all(client, reader(GET, {**csv, "ChunkBytes": 10}, Bucket=bucket, Key="rows.csv.gz"))


# --- listings ----------------------------------------------------------------------------------------------


def test_a_listing_gives_the_objects_as_step_functions_does(s3_server: S3Server) -> None:
    client, bucket = s3_server
    put(s3_server, in__b="22", in__a="1", other="3")
    found = read_all(client, reader(LIST, {}, Bucket=bucket, Prefix="in/"), 1)
    head = client.head_object(Bucket=bucket, Key="in/a")

    assert found[0] == (
        {
            "Etag": head["ETag"],
            "Key": "in/a",
            "LastModified": int(head["LastModified"].timestamp()),
            "Size": 1,
            "StorageClass": "STANDARD",
        },
        f"s3://{bucket}",
    )
    assert [item["Key"] for item, _ in found] == ["in/a", "in/b"]
    assert values(read_all(client, reader(LIST, {}, Bucket=bucket, Prefix="no"))) == []


def test_a_listing_goes_over_pages_and_max_items_ends_it(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, bucket = s3_server
    put(s3_server, **{f"k{n:02}": "x" for n in range(7)})
    whole = client.list_objects_v2
    monkeypatch.setattr(client, "list_objects_v2", lambda **asked: whole(MaxKeys=3, **asked))
    items = open_source(client, pin_source(client, reader(LIST, {}, Bucket=bucket)), {}, None)
    bounded = reader(LIST, {"MaxItems": 5}, Bucket=bucket)

    assert [item["Key"] for item in items.read(100).values] == [f"k{n:02}" for n in range(7)]
    assert [item["Key"] for item in values(read_all(client, bounded, 3))] == [f"k{n:02}" for n in range(5)]


def test_a_listing_that_changes_gives_no_object_twice(s3_server: S3Server) -> None:
    client, bucket = s3_server
    put(s3_server, b="", d="", f="")
    source = pin_source(client, reader(LIST, {}, Bucket=bucket))
    taken = open_source(client, source, {}, None).read(3)
    put(s3_server, a="", c="")
    client.delete_object(Bucket=bucket, Key="b")
    later = open_source(client, source, {}, taken.cursor_after(1))

    assert [item["Key"] for item in later.read(10).values] == ["c", "d", "f"]


@pytest.mark.parametrize("step", [1, 2, 3, 100])
def test_the_contents_of_listed_objects_are_items(s3_server: S3Server, step: int) -> None:
    client, bucket = s3_server
    put(
        s3_server,
        day__="",
        day__1_dot_json='[{"n": 1}, {"n": 2}]',
        day__2_dot_json="[]",
        day__3_dot_json='[{"n": 3}]',
        other="[9]",
    )
    config = {**JSON, "Transformation": "LOAD_AND_FLATTEN"}
    found = read_all(client, reader(LIST, config, Bucket=bucket, Prefix="day/"), step)

    assert found == [
        ({"n": 1}, f"s3://{bucket}/day/1.json"),
        ({"n": 2}, f"s3://{bucket}/day/1.json"),
        ({"n": 3}, f"s3://{bucket}/day/3.json"),
    ]


def test_an_object_that_is_being_read_stays_as_it_was(s3_server: S3Server) -> None:
    client, bucket = s3_server
    put(s3_server, a="1\n2\n3\n", b="4\n5\n")
    config = {"InputType": "JSONL", "Transformation": "LOAD_AND_FLATTEN", "MaxItems": 5}
    source = pin_source(client, reader(LIST, config, Bucket=bucket))
    taken = open_source(client, source, config, None).read(4)
    put(s3_server, a="8\n", b="9\n")
    cursors = [json.loads(json.dumps(taken.cursor_after(count))) for count in range(5)]

    assert taken.values == [1, 2, 3, 4]
    assert [open_source(client, source, config, cursor).read(9).values for cursor in cursors] == [
        [1, 2, 3, 9],
        [2, 3, 9],
        [3, 9],
        [4, 5],
        [5],
    ]


# --- manifests ---------------------------------------------------------------------------------------------


def inventory(bucket: str, **changes: Any) -> str:
    manifest = {
        "sourceBucket": "source",
        "destinationBucket": f"arn:aws:s3:::{bucket}",
        "version": "2016-11-30",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size",
        "files": [{"key": "data/1.csv.gz", "size": 1, "MD5checksum": "x"}, {"key": "data/2.csv.gz"}],
    }
    return json.dumps({**manifest, **changes})


@pytest.mark.parametrize("config", [{"InputType": "MANIFEST"}, {"ManifestType": "S3_INVENTORY"}])
def test_the_rows_of_an_inventory_are_items(s3_server: S3Server, config: dict[str, Any]) -> None:
    client, bucket = s3_server
    put(
        s3_server,
        manifest_dot_json=inventory(bucket),
        data__1_dot_csv_dot_gz=gzip.compress(b'"source","a%20b","1"\n"source","c","2"\n'),
        data__2_dot_csv_dot_gz=gzip.compress(b'"source","d","3"\n'),
    )
    asked = reader(GET, config, Bucket=bucket, Key="manifest.json")
    wanted = [
        {"Bucket": "source", "Key": "a%20b", "Size": "1"},
        {"Bucket": "source", "Key": "c", "Size": "2"},
        {"Bucket": "source", "Key": "d", "Size": "3"},
    ]

    assert values(read_all(client, asked, 1)) == wanted
    assert values(read_all(client, {**asked, "config": {**config, "MaxItems": 2}}, 5)) == wanted[:2]


def test_the_files_that_athena_names_are_read(s3_server: S3Server) -> None:
    client, bucket = s3_server
    put(
        s3_server,
        q_dot_csv=f's3://{bucket}/out/1.gz\n"s3://{bucket}/out/2"\n\n',
        out__1_dot_gz=gzip.compress(b'{"n": 1}\n{"n": 2}\n'),
        out__2='{"n": 3}\n',
    )
    config = {"ManifestType": "ATHENA_DATA", "InputType": "JSONL"}
    found = read_all(client, reader(GET, config, Bucket=bucket, Key="q.csv"))

    assert found == [
        ({"n": 1}, f"s3://{bucket}/out/1.gz"),
        ({"n": 2}, f"s3://{bucket}/out/1.gz"),
        ({"n": 3}, f"s3://{bucket}/out/2"),
    ]


@pytest.mark.parametrize(
    ("text", "config", "message"),
    [
        ("nonsense", {"InputType": "MANIFEST"}, "the manifest s3://.*/m is no JSON"),
        ("[]", {"InputType": "MANIFEST"}, "is no JSON object"),
        (inventory("b", fileFormat="ORC"), {"InputType": "MANIFEST"}, "fileFormat 'ORC'; only .* in CSV"),
        (inventory("b", files=[{}]), {"InputType": "MANIFEST"}, "needs a key for each"),
        (inventory("b", fileSchema=None), {"InputType": "MANIFEST"}, "needs fileSchema"),
        (inventory("b", destinationBucket=5), {"InputType": "MANIFEST"}, "destinationBucket 5"),
        ("http://x/y", {"ManifestType": "ATHENA_DATA", "InputType": "JSONL"}, "line 1 'http://x/y'"),
        ("x", {"ManifestType": "OTHER", "InputType": "JSONL"}, "ManifestType 'OTHER'; it takes ATHENA_DATA"),
        ("x", {"ManifestType": "ATHENA_DATA", "InputType": "PARQUET"}, "it is 'PARQUET'"),
        ("x", {"InputType": "PARQUET"}, "InputType CSV, JSONL or JSON, and it is 'PARQUET'"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_named(
    s3_server: S3Server, text: str, config: dict[str, Any], message: str
) -> None:
    client, bucket = s3_server
    put(s3_server, m=text)
    with pytest.raises(StatesError, match=message) as caught:
        read_all(client, reader(GET, config, Bucket=bucket, Key="m"))

    assert caught.value.error == "States.ItemReaderFailed"


def test_wrong_parameters_of_a_reader_are_named(s3_server: S3Server) -> None:
    client, bucket = s3_server
    for asked, message in [
        (reader(LIST, {}, Bucket=bucket, MaxKeys="1"), "have MaxKeys, which is not supported"),
        (reader(LIST, {}, Bucket=bucket, Prefix=1), "need Prefix as a text"),
        (reader(LIST, {}), "need Bucket as a text"),
        (reader(LIST, {"Transformation": "LOAD_AND_FLATTEN"}, Bucket=bucket), "needs InputType"),
        (reader("arn:aws:states:::s3:headObject", JSON, Bucket=bucket), "has the Resource .*s3:headObject"),
        (reader(LIST, {}, Bucket=f"{bucket}-no"), "Error Code: NoSuchBucket"),
    ]:
        with pytest.raises(StatesError, match=message):
            read_all(client, asked)
