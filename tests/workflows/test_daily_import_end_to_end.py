"""The daily import as a whole: fired by its schedule, over a real service, AWS and the sources' server."""

import gzip
import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.demo.catalogue import ALL_SOURCES, BROKEN, FLAKY, FLIGHTS, SOURCES
from etl_runner.demo.fake_sources import FakeSources, start_fake_sources
from etl_runner.demo.seed import DemoStores, seed_stores, told
from tests.conftest import access_to, close_clients
from tests.workflows.conftest import Stored
from tests.workflows.service import Running, running_service
from workflows.daily_import.transform import VERSION

ROWS = 20
CSV, NDJSON, MULTILINE, JSON_ARRAY = (one.name for one in SOURCES[:4])
FEW = [CSV, NDJSON, MULTILINE, JSON_ARRAY, FLIGHTS.name]


@pytest.fixture(scope="module")
def sources() -> Iterator[FakeSources]:
    with start_fake_sources(rows=ROWS, flaky={}) as running:
        yield running


@pytest.fixture(autouse=True)
def sound_sources(sources: FakeSources) -> None:
    sources.flaky, sources.broken, sources.bad_rows, sources.cut = {}, set(), {}, {}


@pytest.fixture(scope="module")
def seeded(moto_access: AwsAccess) -> DemoStores:
    return seed_stores(moto_access, prefix=f"daily-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def running(
    moto_access: AwsAccess,
    seeded: DemoStores,
    sources: FakeSources,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    environment = seeded.environment() | sources.environment()
    with running_service(tmp_path_factory.mktemp("daily"), moto_access, environment) as service:
        yield service


@pytest.fixture
def raw(seeded: DemoStores, moto_access: AwsAccess) -> Stored:
    return Stored(moto_access.client("s3"), seeded.raw_bucket)


@pytest.fixture
def resources(seeded: DemoStores, moto_access: AwsAccess) -> Stored:
    return Stored(moto_access.client("s3"), seeded.resources_bucket)


def lines(stored: Stored, key: str) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(stored.bytes(key)).splitlines()]


def manifest(resources: Stored, source: str, day: str) -> dict[str, Any]:
    return dict(json.loads(resources.bytes(f"resources/{source}/dt={day}/_MANIFEST.json")))


def rows_of(source: str, day: str) -> int:
    """How many rows a source serves for a day."""
    if source == FLIGHTS.name:
        return FLIGHTS.body(date.fromisoformat(day)).count(b"\n") - 1
    return ROWS


def of_day(stored: Stored, day: str) -> dict[str, list[str]]:
    return {key: versions for key, versions in stored.versions().items() if day in key}


def assert_published(raw: Stored, resources: Stored, sources: FakeSources, name: str, day: str) -> None:
    """Raw bytes, manifest, parts and rows of one source and day hang together, by keys and by versions."""
    found = manifest(resources, name, day)
    kept, parts = found["raw"], found["parts"]

    assert raw.bytes(kept["key"]) == sources.body(name, day)
    assert raw.versions(f"raw/{name}/{day}/") == {kept["key"]: [kept["versionId"]]}
    assert raw.head(kept["key"])["Metadata"]["source"] == name
    assert (found["source"], found["date"], found["transform"]) == (name, day, VERSION)
    assert (found["rows"], found["rejects"]) == (rows_of(name, day), 0)
    assert [part["start"] for part in parts] == [0 if kept["key"].endswith("json") else parts[0]["start"]] + [
        part["end"] for part in parts[:-1]
    ]
    assert parts[-1]["end"] == kept["bytes"]
    assert resources.versions(f"refined/{name}/dt={day}/") == {
        part["key"]: [part["versionId"]] for part in parts
    }
    for part in parts:
        head = resources.head(part["key"])
        assert (head["ContentLength"], head["Metadata"]["rows"]) == (part["bytes"], str(part["rows"]))
        assert head["Metadata"]["raw-version"] == kept["versionId"]
    rows = [row for part in parts for row in lines(resources, part["key"])]
    assert len(rows) == found["rows"]
    assert {(row["source"], row["date"]) for row in rows} == {(name, day)}


@pytest.mark.slow
def test_a_broken_source_stops_none_of_the_24_others_and_the_run_fails_after_telling(
    running: Running, sources: FakeSources, seeded: DemoStores, raw: Stored, resources: Stored,
    moto_access: AwsAccess,
) -> None:  # fmt: skip
    sources.broken, sources.flaky = {BROKEN}, {FLAKY: 2}
    (ended,) = running.run_at_due_time("daily-import")
    day = ended["input"]["date"]
    others = [one.name for one in ALL_SOURCES if one.name != BROKEN]

    (failed,) = json.loads(ended["cause"])
    assert (ended["status"], ended["error"], ended["origin"]) == (
        "FAILED", "PartialFailure", "schedule:daily-import",
    )  # fmt: skip
    assert (failed["source"], failed["error"]) == (BROKEN, "SourceRefused")
    assert "403" in failed["message"]
    assert len(others) == 24
    for name in others:
        assert_published(raw, resources, sources, name, day)
    assert raw.keys(f"raw/{BROKEN}/") == resources.keys(f"refined/{BROKEN}/") == []
    assert resources.keys(f"resources/{BROKEN}/") == []
    assert sources.served[FLAKY, 503] == 2
    assert len(manifest(resources, FLIGHTS.name, day)["parts"]) > 1

    (message,) = told(moto_access, seeded)
    assert message["Subject"] == f"Daily import of {day}: 24 of 25 sources published"
    report = json.loads(message["Message"])
    assert report["failed"] == [failed]
    written = json.loads(resources.bytes(f"_runs/{day}.json"))
    assert (written["sources"], written["published"], written["failed"]) == (25, 24, [failed])
    assert written["rows"] == sum(rows_of(name, day) for name in others) == report["rows"]
    assert resources.versions(f"_runs/{day}.json") == {f"_runs/{day}.json": [report["report"]["versionId"]]}


def test_a_second_run_of_a_date_changes_nothing_and_gives_the_same_report(
    running: Running, sources: FakeSources, raw: Stored, resources: Stored
) -> None:
    given = {"date": "2026-03-01", "sources": FEW}
    first = running.run("daily_import", given)
    stored = of_day(raw, "2026-03-01"), of_day(resources, "2026-03-01")
    gets = sources.served.copy()
    second = running.run("daily_import", given)

    assert (first["status"], second["status"]) == ("SUCCEEDED", "SUCCEEDED")
    assert second["output"] == first["output"]
    assert (of_day(raw, "2026-03-01"), of_day(resources, "2026-03-01")) == stored
    assert all(len(versions) == 1 for bucket in stored for versions in bucket.values())
    recorded = running.operations.written(second["executionArn"], limit=1_000)["objects"]
    assert {one["key"]: [one["versionId"]] for one in recorded} == stored[0] | stored[1]
    assert all(one["unchanged"] for one in recorded)
    assert {name: sources.served[name, 200] - gets[name, 200] for name in FEW} == dict.fromkeys(
        FEW, 1
    )  # HEAD
    for name in FEW:
        assert_published(raw, resources, sources, name, "2026-03-01")


def test_every_object_that_a_run_wrote_is_on_record_with_its_version(
    running: Running, raw: Stored, resources: Stored
) -> None:
    ended = running.run("daily_import", {"date": "2026-03-02", "sources": [CSV, NDJSON]})
    recorded = running.operations.written(ended["executionArn"])["objects"]
    stored = of_day(raw, "2026-03-02") | of_day(resources, "2026-03-02")

    assert {one["key"]: [one["versionId"]] for one in recorded} == stored
    assert {one["replacedVersionId"] for one in recorded} == {None}
    assert not any(one["unchanged"] for one in recorded)


def test_two_runs_of_one_date_at_once_leave_one_version_of_everything(
    running: Running, sources: FakeSources, raw: Stored, resources: Stored
) -> None:
    name = running.schedule("daily_import", {"date": "2026-03-03", "sources": FEW})
    fired = [running.operations.fire(name)["executionArn"] for _ in range(2)]
    first, second = (running.ended(arn) for arn in fired)

    assert (first["status"], second["status"]) == ("SUCCEEDED", "SUCCEEDED"), (first, second)
    assert first["output"] == second["output"]
    for stored in (of_day(raw, "2026-03-03"), of_day(resources, "2026-03-03")):
        assert {key: len(versions) for key, versions in stored.items()} == dict.fromkeys(stored, 1)
    for source in FEW:
        assert_published(raw, resources, sources, source, "2026-03-03")


def test_a_source_that_is_mended_is_published_by_the_next_run_and_nothing_else_is_new(
    running: Running, sources: FakeSources, raw: Stored, resources: Stored
) -> None:
    day, given = "2026-03-04", {"date": "2026-03-04", "sources": [CSV, NDJSON]}
    sources.broken = {NDJSON}
    failed = running.run("daily_import", given)
    before = of_day(raw, day) | of_day(resources, day)
    sources.broken = set()
    mended = running.run("daily_import", given)
    after = of_day(raw, day) | of_day(resources, day)

    assert (failed["status"], failed["error"], mended["status"]) == ("FAILED", "PartialFailure", "SUCCEEDED")
    assert mended["output"]["failed"] == []
    assert {key for key in after if after[key] != before.get(key)} == {
        f"_runs/{day}.json",
        manifest(resources, NDJSON, day)["raw"]["key"],
        *(part["key"] for part in manifest(resources, NDJSON, day)["parts"]),
        f"resources/{NDJSON}/dt={day}/_MANIFEST.json",
    }
    assert_published(raw, resources, sources, CSV, day)
    assert_published(raw, resources, sources, NDJSON, day)


def test_a_corrected_file_is_a_new_raw_object_and_a_new_version_of_the_manifest(
    running: Running, sources: FakeSources, raw: Stored, resources: Stored
) -> None:
    day, key = "2026-03-05", f"resources/{CSV}/dt=2026-03-05/_MANIFEST.json"
    running.run("daily_import", {"date": day, "sources": [CSV]})
    (first,) = resources.versions(key)[key]
    sources.edition = "corrected"
    try:
        ended = running.run("daily_import", {"date": day, "sources": [CSV]})
    finally:
        sources.edition = ""
    recorded = running.operations.written(ended["executionArn"])["objects"]

    assert ended["output"]["rows"] == ROWS + len("corrected")
    assert len(raw.keys(f"raw/{CSV}/{day}/")) == 2
    (replacing,) = (one for one in recorded if one["key"] == key)
    assert replacing["replacedVersionId"] == first
    assert resources.head(key)["VersionId"] == replacing["versionId"] != first


def test_too_many_bad_rows_fail_their_source_alone_and_leave_what_was_published(
    running: Running, sources: FakeSources, seeded: DemoStores, resources: Stored, moto_access: AwsAccess
) -> None:
    day = "2026-03-06"
    running.run("daily_import", {"date": day, "sources": [CSV, NDJSON]})
    published = resources.versions(f"resources/{CSV}/dt={day}/")
    told(moto_access, seeded)
    sources.bad_rows = {CSV: 2}
    ended = running.run("daily_import", {"date": day, "sources": [CSV, NDJSON]})
    (message,) = told(moto_access, seeded)

    assert (ended["status"], ended["error"]) == ("FAILED", "PartialFailure")
    assert [one["error"] for one in json.loads(ended["cause"])] == ["TooManyRejects"]
    assert resources.versions(f"resources/{CSV}/dt={day}/") == published
    assert message["Subject"] == f"Daily import of {day}: 1 of 2 sources published"
    (rejects,) = resources.keys(f"rejects/{CSV}/dt={day}/")
    assert [row["reason"] for row in lines(resources, rejects)] == ["Impressions is not a count"] * 2


def test_a_connection_that_breaks_in_the_middle_leaves_the_file_whole(
    running: Running, sources: FakeSources, raw: Stored, resources: Stored
) -> None:
    sources.cut = {FLIGHTS.name: 40_000}
    ended = running.run("daily_import", {"date": "2026-03-07", "sources": [FLIGHTS.name]})

    assert ended["status"] == "SUCCEEDED"
    assert sources.served[FLIGHTS.name, 206] == 1
    assert_published(raw, resources, sources, FLIGHTS.name, "2026-03-07")


def test_a_date_that_is_none_fails_the_execution_under_its_own_name_at_once(running: Running) -> None:
    ended = running.run("daily_import", {"date": "tomorrow"})

    assert (ended["status"], ended["error"]) == ("FAILED", "InvalidRequest")
    assert "found 'tomorrow'" in json.loads(ended["cause"])["errorMessage"]


def test_seaweedfs_as_the_s3_gives_the_same_objects(
    moto_url: str, seaweedfs_url: str, sources: FakeSources, tmp_path: Path
) -> None:
    aws = replace(access_to(moto_url), endpoint_urls={"s3": seaweedfs_url})
    stores = seed_stores(aws, prefix=f"weed-{uuid.uuid4().hex[:8]}")
    raw, resources = (
        Stored(aws.client("s3"), bucket) for bucket in (stores.raw_bucket, stores.resources_bucket)
    )
    given = {"date": "2026-03-08", "sources": FEW}
    try:
        with running_service(tmp_path, aws, stores.environment() | sources.environment()) as service:
            first = service.run("daily_import", given)
            stored = raw.versions(), resources.versions()
            second = service.run("daily_import", given)

            assert (first["status"], second["status"]) == ("SUCCEEDED", "SUCCEEDED"), (first, second)
            assert second["output"] == first["output"]
            assert (raw.versions(), resources.versions()) == stored
            for name in FEW:
                assert_published(raw, resources, sources, name, "2026-03-08")
    finally:
        close_clients(aws)
