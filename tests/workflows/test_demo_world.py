"""The services that stand in for the remote sides, and the seeded AWS."""

import urllib.error
import urllib.request
from contextlib import closing
from datetime import date
from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.demo.catalogue import SOURCES
from etl_runner.demo.fake_sources import start_fake_sources
from etl_runner.demo.flights import all_flights, flights_of
from etl_runner.demo.seed import demo_inputs, seed, told

DAY = date(2026, 11, 23)


def get(url: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(
        url, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with closing(urllib.request.urlopen(request, timeout=10)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_there_are_24_sources_in_three_formats_and_four_dialects() -> None:
    assert len({one.name for one in SOURCES}) == 24
    assert {one.format for one in SOURCES} == {"csv", "ndjson", "json"}
    assert len({one.dialect for one in SOURCES}) == 4


@pytest.mark.parametrize("source", SOURCES[:4], ids=lambda one: one.format)
def test_a_source_serves_the_same_bytes_every_time_and_others_on_another_day(source: Any) -> None:
    assert source.body(DAY, 5) == source.body(DAY, 5)
    assert source.body(DAY, 5) != source.body(date(2026, 11, 24), 5)


def test_ranges_and_faults_are_served_like_real_ones() -> None:
    with start_fake_sources(rows=5, flaky={"adharbour": 1}, broken=["bannerbay"]) as sources:
        url = f"{sources.url}/sources/adharbour/{DAY}.csv"
        whole = sources.body("adharbour", str(DAY))

        assert get(url)[0] == 503
        assert get(url) == (200, whole)
        assert get(url, Range="bytes=5-9") == (206, whole[5:10])
        assert get(url, Range="bytes=5-9", If_Range='"another"') == (200, whole)
        assert get(url, Range=f"bytes={len(whole)}-")[0] == 416
        assert get(f"{sources.url}/sources/bannerbay/{DAY}.ndjson")[0] == 403
        assert get(f"{sources.url}/sources/nobody/{DAY}.csv")[0] == 404


def test_the_days_of_the_flights_make_up_the_year() -> None:
    year = all_flights()
    days = [
        flights_of(date.fromordinal(day))
        for day in range(date(2013, 1, 1).toordinal(), date(2014, 1, 1).toordinal())
    ]

    assert sum(day.count(b"\n") - 1 for day in days) == year.count(b"\n") - 1 == 336_776
    assert flights_of(date(2024, 2, 29)) == flights_of(date(2013, 2, 28))


def test_seeding_twice_leaves_one_of_each(worker: AwsAccess) -> None:
    first, second = seed(worker, prefix="seeded"), seed(worker, prefix="seeded")
    versions = worker.client("s3").list_object_versions(Bucket=first.config_bucket)["Versions"]

    assert first == second
    assert len(versions) == 2
    assert len(set(first.old_snapshots)) == 8


def test_what_is_published_to_the_topic_can_be_read_once(worker: AwsAccess) -> None:
    world = seed(worker, prefix="seeded")
    worker.client("sns").publish(TopicArn=world.topic_arn, Subject="a subject", Message="a message")

    assert [(one["Subject"], one["Message"]) for one in told(worker, world)] == [("a subject", "a message")]
    assert told(worker, world) == []


def test_the_demo_starts_all_three_workflows_and_the_event_is_the_same_each_time(worker: AwsAccess) -> None:
    world = seed(worker, prefix="seeded")
    starts = demo_inputs(world, DAY)

    assert {one.workflow for one in starts} == {"daily_import", "subscriber_export", "ebs_snapshot_rotation"}
    assert starts == demo_inputs(world, DAY)
