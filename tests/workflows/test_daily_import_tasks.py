"""The functions of the daily import against moto and the sources' HTTP server."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.demo.catalogue import BROKEN, FLAKY, SOURCES
from etl_runner.demo.fake_sources import FakeSources, start_fake_sources
from etl_runner.demo.flights import all_flights, flights_of
from etl_runner.demo.seed import SOURCES_KEY, DemoStores
from etl_runner.s3 import client
from etl_runner.s3.pinned import pin, read_range
from etl_runner.s3.plan import ChunkPlanner
from etl_runner.s3.reader_config import ReaderConfig
from tests.workflows.conftest import Stored, TaskContext
from workflows.daily_import import errors, tasks
from workflows.daily_import.refine import part_name
from workflows.daily_import.transform import RowRejected, ads_row, flight_row

DAY = "2026-11-23"
CSV = SOURCES[0].name
MULTILINE = next(one.name for one in SOURCES if one.multiline)
NDJSON = next(one.name for one in SOURCES if one.format == "ndjson" and one.name != FLAKY)
JSON_ARRAY = next(one.name for one in SOURCES if one.format == "json")


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSources]:
    with start_fake_sources(rows=6, broken=[BROKEN]) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def raw(world: DemoStores, worker: AwsAccess) -> Stored:
    return Stored(worker.client("s3"), world.raw_bucket)


@pytest.fixture
def resources(world: DemoStores, worker: AwsAccess) -> Stored:
    return Stored(worker.client("s3"), world.resources_bucket)


def item(name: str) -> dict[str, Any]:
    """What the machine hands to the execution of one source."""
    plan = tasks.dispatch({"date": DAY, "sources": [name]}, None)
    return {"source": plan["sources"][0], "date": DAY, "settings": plan["settings"]}


def downloaded(name: str, context: TaskContext) -> dict[str, Any]:
    event = item(name)
    return event | {"raw": tasks.download(event, context)}


def chunks_of(event: dict[str, Any], chunk_bytes: int = 8 << 20) -> list[dict[str, Any]]:
    """The items that the Map over this raw object has."""
    raw, s3 = event["raw"], client()
    config = {"InputType": "JSONL"}
    if event["source"]["format"] == "csv":
        config = {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}
    pinned = pin(s3, {"Bucket": raw["bucket"], "Key": raw["key"]})
    reader = ReaderConfig.from_json(config | {"ChunkBytes": chunk_bytes})
    return ChunkPlanner(lambda start, end: read_range(s3, pinned, start, end), pinned, reader).take(1000)


def refined(event: dict[str, Any], context: TaskContext, chunk_bytes: int = 8 << 20) -> dict[str, Any]:
    """The event of Publish, after every chunk was refined."""
    if event["source"]["format"] == "json":
        tasks.refine_whole(event, context)
        return event | {"chunks": 1}
    chunks = chunks_of(event, chunk_bytes)
    for chunk in chunks:
        tasks.refine_chunk(event | {"chunk": chunk}, context)
    return event | {"chunks": len(chunks)}


def published(name: str, context: TaskContext) -> dict[str, Any]:
    return tasks.publish(refined(downloaded(name, context), context), context)


def lines(stored: Stored, key: str) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(stored.bytes(key)).splitlines()]


# dispatch ---------------------------------------------------------------------------------------------


def test_all_enabled_sources_are_listed_with_the_flights_among_them(world: DemoStores) -> None:
    plan = tasks.dispatch({"date": DAY}, None)

    assert len(plan["sources"]) == 25
    assert plan["settings"]["rawBucket"] == world.raw_bucket


@pytest.mark.parametrize(
    "event", [{}, {"date": "23.11.2026"}, {"date": None}, {"date": DAY, "sources": ["nobody"]}]
)
def test_a_request_that_names_no_day_or_an_unknown_source_is_refused(world: DemoStores, event: Any) -> None:
    with pytest.raises(errors.InvalidRequest):
        tasks.dispatch(event, None)


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"sources": [{"name": "x"}]}'])
def test_a_list_of_sources_that_cannot_be_used_is_refused_with_its_place(
    world: DemoStores, worker: AwsAccess, text: bytes
) -> None:
    worker.client("s3").put_object(Bucket=world.config_bucket, Key=SOURCES_KEY, Body=text)

    with pytest.raises(errors.InvalidConfiguration, match=SOURCES_KEY):
        tasks.dispatch({"date": DAY}, None)


# download ---------------------------------------------------------------------------------------------


def test_a_file_is_stored_as_it_was_served_and_not_fetched_again(
    sources: FakeSources, raw: Stored, context: TaskContext
) -> None:
    first = downloaded(CSV, context)["raw"]
    gets = sources.served[CSV, 200]
    second = downloaded(CSV, TaskContext())["raw"]

    assert raw.bytes(first["key"]) == sources.body(CSV, DAY)
    assert second == first
    assert raw.versions() == {first["key"]: [first["versionId"]]}
    assert sources.served[CSV, 200] == gets + 1  # the second time only HEAD


def test_another_edition_of_a_file_is_another_object(
    sources: FakeSources, raw: Stored, context: TaskContext
) -> None:
    first = downloaded(CSV, context)["raw"]
    sources.edition = "corrected"
    second = downloaded(CSV, context)["raw"]

    assert raw.keys() == sorted([first["key"], second["key"]])


def test_a_connection_that_breaks_is_resumed_where_it_broke(
    sources: FakeSources, raw: Stored, context: TaskContext
) -> None:
    sources.cut[CSV] = 100
    stored = downloaded(CSV, context)["raw"]

    assert raw.bytes(stored["key"]) == sources.body(CSV, DAY)
    assert sources.served[CSV, 206] == 1


def test_a_file_replaced_in_the_middle_of_a_download_leaves_no_object(
    sources: FakeSources, raw: Stored, context: TaskContext
) -> None:
    sources.cut[CSV] = 100
    sources.edition_after_cut = "replaced"

    with pytest.raises(errors.SourceChanged):
        downloaded(CSV, context)
    assert raw.keys() == []


def test_a_flaky_source_has_the_error_that_retry_knows_and_then_serves(
    sources: FakeSources, world: DemoStores, context: TaskContext
) -> None:
    for _ in range(2):
        with pytest.raises(errors.ServiceUnavailable):
            downloaded(FLAKY, context)

    assert downloaded(FLAKY, context)["raw"]["bytes"] > 0


def test_a_refusal_is_not_taken_for_something_that_passes(
    sources: FakeSources, world: DemoStores, context: TaskContext
) -> None:
    with pytest.raises(errors.SourceRefused):
        downloaded(BROKEN, context)


def test_a_server_that_is_not_there_is_unavailable(
    world: DemoStores, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL_SOURCES_URL", "http://127.0.0.1:1")

    with pytest.raises(errors.ServiceUnavailable, match=CSV):
        downloaded(CSV, context)


# refine and publish -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [CSV, MULTILINE, NDJSON, JSON_ARRAY])
def test_rows_of_every_format_and_dialect_come_out_alike(
    sources: FakeSources, resources: Stored, context: TaskContext, name: str
) -> None:
    told = published(name, context)
    (part,) = resources.keys(f"refined/{name}/")

    rows = lines(resources, part)
    assert (told["rows"], told["rejects"], len(rows)) == (6, 0, 6)
    for row in rows:
        assert list(row) == [
            "source",
            "account",
            "campaign",
            "date",
            "impressions",
            "clicks",
            "cost_micros",
            "currency",
        ]
        assert (row["source"], row["date"], "\n" in row["campaign"]) == (name, DAY, False)
        assert isinstance(row["cost_micros"], int)


@pytest.mark.parametrize("name", [CSV, NDJSON, JSON_ARRAY])
def test_a_second_run_makes_no_new_version_of_anything(
    sources: FakeSources, raw: Stored, resources: Stored, name: str
) -> None:
    first = published(name, TaskContext())
    stored = raw.versions(), resources.versions()
    second = published(name, TaskContext())

    assert second == first
    assert (raw.versions(), resources.versions()) == stored


def test_a_part_has_no_time_and_no_name_in_its_gzip_header(
    sources: FakeSources, resources: Stored, context: TaskContext
) -> None:
    published(CSV, context)
    (part,) = resources.keys("refined/")

    assert resources.bytes(part)[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def test_chunks_of_the_real_flights_cover_the_day(
    sources: FakeSources, resources: Stored, context: TaskContext
) -> None:
    event = refined(downloaded("nyc-flights", context), context, chunk_bytes=32768)
    told = tasks.publish(event, context)

    rows = [row for part in resources.keys("refined/nyc-flights/") for row in lines(resources, part)]
    assert told["rows"] == len(rows) == flights_of(date.fromisoformat(DAY)).count(b"\n") - 1
    assert told["parts"] == event["chunks"] > 1
    assert {row["flown"] for row in rows} == {"2013-11-23"}


def test_a_part_that_is_missing_or_of_another_chunk_size_is_noticed_and_nothing_is_published(
    sources: FakeSources, resources: Stored, context: TaskContext
) -> None:
    event = refined(downloaded("nyc-flights", context), context, chunk_bytes=32768)
    with pytest.raises(errors.PartMissing, match="is not there"):
        tasks.publish(event | {"chunks": event["chunks"] + 1}, context)
    with pytest.raises(errors.PartMissing, match="the last part ends"):
        tasks.publish(event | {"chunks": 1}, context)
    for chunk in chunks_of(event, 10000)[1:2]:
        tasks.refine_chunk(event | {"chunk": chunk}, context)
    with pytest.raises(errors.PartMissing, match="another chunk size"):
        tasks.publish(event, context)

    assert resources.keys("resources/") == []


def test_bad_rows_are_put_aside_with_their_reason(
    sources: FakeSources, resources: Stored, context: TaskContext
) -> None:
    sources.rows, sources.bad_rows = 200, {CSV: 2}
    told = published(CSV, context)
    (rejects,) = resources.keys(f"rejects/{CSV}/")

    assert (told["rows"], told["rejects"]) == (198, 2)
    assert [row["reason"] for row in lines(resources, rejects)] == ["Impressions is not a count"] * 2


def test_too_many_bad_rows_leave_the_published_manifest_as_it_was(
    sources: FakeSources, resources: Stored, context: TaskContext
) -> None:
    published(CSV, context)
    manifest = resources.versions("resources/")
    sources.bad_rows = {CSV: 1}

    with pytest.raises(errors.TooManyRejects, match="1 of 6 rows"):
        published(CSV, context)
    assert resources.versions("resources/") == manifest


def test_a_file_without_rows_is_published_without_parts(
    sources: FakeSources, resources: Stored, context: TaskContext
) -> None:
    sources.rows = 0
    event = downloaded(NDJSON, context)

    assert tasks.publish(event | {"chunks": 0}, context)["parts"] == 0


@pytest.mark.parametrize("body", [b"{}", b"[1,", b"\xff"])
def test_a_file_that_is_no_json_array_is_refused_by_name(
    sources: FakeSources, raw: Stored, context: TaskContext, body: bytes
) -> None:
    event = item(JSON_ARRAY)
    put = raw.client.put_object(Bucket=raw.bucket, Key="raw/odd", Body=body)
    event["raw"] = {"bucket": raw.bucket, "key": "raw/odd", "bytes": len(body)}
    event["raw"] |= {"versionId": put["VersionId"], "etag": put["ETag"]}

    with pytest.raises(errors.UnreadableFile):
        tasks.refine_whole(event, context)


def test_a_line_that_is_no_json_is_refused_by_name_with_its_place(
    sources: FakeSources, raw: Stored, context: TaskContext
) -> None:
    event = item(NDJSON)
    put = raw.client.put_object(Bucket=raw.bucket, Key="raw/odd", Body=b'{"a": 1}\n{"a": \n')
    event["raw"] = {"bucket": raw.bucket, "key": "raw/odd", "bytes": 16}
    event["raw"] |= {"versionId": put["VersionId"], "etag": put["ETag"]}

    with pytest.raises(errors.UnreadableFile, match="line 2"):
        refined(event, context)


def test_the_name_of_a_part_follows_from_raw_version_index_and_transformation() -> None:
    digest = hashlib.sha256(b"v1|7|1").hexdigest()[:16]

    assert part_name("v1", "e", 7) == f"part-00007-{digest}.ndjson.gz"


# failures and summary ---------------------------------------------------------------------------------


def test_the_report_names_the_failed_sources_and_stays_the_same_on_a_rerun(
    sources: FakeSources, resources: Stored, world: DemoStores
) -> None:
    results = [published(CSV, TaskContext())]
    plan = tasks.dispatch({"date": DAY, "sources": [CSV, BROKEN, NDJSON]}, None)
    told: list[dict[str, Any]] = []
    for _ in range(2):
        cause = {"errorMessage": "it answered 403", "requestId": str(len(told)), "stackTrace": []}
        failed = item(BROKEN) | {"error": {"Error": "SourceRefused", "Cause": json.dumps(cause)}}
        tasks.record_failure(failed, TaskContext())
        told.append(tasks.summarize(plan | {"results": [*results, None]}, TaskContext()))

    assert told[0] == told[1]
    assert told[0]["failed"] == [
        {"source": BROKEN, "error": "SourceRefused", "message": "it answered 403"},
        {"source": NDJSON, "error": "Unknown", "message": "its execution ended without saying why"},
    ]
    assert (told[0]["sources"], told[0]["published"], told[0]["rows"]) == (3, 1, 6)
    assert [len(versions) for versions in resources.versions("_runs/").values()] == [1, 1]


# rows -------------------------------------------------------------------------------------------------

ADS = {"name": "s", "kind": "ads", "columns": {name: name for name in
       ("account", "campaign", "date", "impressions", "clicks", "cost", "currency")}}  # fmt: skip
GOOD = {"account": "a", "campaign": " Two \n lines ", "date": DAY, "impressions": "10", "clicks": "3",
        "cost": "1.25", "currency": "eur"}  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "cost", "decimal", "micros"),
    [("units", "1.25", ".", 1_250_000), ("units", "1,25", ",", 1_250_000), ("cents", 125, ".", 1_250_000),
     ("micros", 7, ".", 7), ("units", "0", ".", 0)],
)  # fmt: skip
def test_money_of_every_unit_is_exact(unit: str, cost: Any, decimal: str, micros: int) -> None:
    row = ads_row(GOOD | {"cost": cost}, ADS | {"costUnit": unit, "decimal": decimal}, DAY)

    assert row["cost_micros"] == micros


@pytest.mark.parametrize(
    "wrong",
    [{"impressions": "ten"}, {"impressions": "-1"}, {"clicks": "11"}, {"cost": "free"}, {"cost": "NaN"},
     {"cost": "0.0000001"}, {"currency": "Euro"}, {"date": "today"}, {"account": ""}, {"campaign": None}],
)  # fmt: skip
def test_a_row_that_makes_no_sense_is_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(RowRejected):
        ads_row(GOOD | wrong, ADS, DAY)


def test_white_space_in_a_campaign_becomes_single_spaces() -> None:
    assert ads_row(GOOD, ADS, DAY)["campaign"] == "Two lines"


def test_every_flight_of_the_year_can_be_refined() -> None:
    header, *rows = all_flights().decode().splitlines()
    names = header.split(",")
    refined = [
        flight_row(dict(zip(names, row.split(","), strict=True)), {"name": "f"}, DAY) for row in rows[::97]
    ]

    assert len(rows) == 336_776
    assert any(row["cancelled"] for row in refined)
