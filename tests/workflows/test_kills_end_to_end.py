"""Runs that are killed in the middle, again and again, end with the objects of a run that nobody disturbed.

The service is a child process that gets SIGKILL at moments chosen by its own requests: before one of them is
passed on, or after it was done and before the service hears of it. AWS and the remote services live outside.
"""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.demo.catalogue import FLIGHTS, SOURCES
from etl_runner.demo.fake_sources import FakeSources, start_fake_sources
from etl_runner.demo.fake_zuora import FakeZuora, start_fake_zuora
from etl_runner.demo.seed import DemoStores, seed_stores, told
from etl_runner.jsontypes import Json
from tests.conftest import access_to
from tests.workflows.conftest import Stored
from tests.workflows.service import (
    PATIENCE_S,
    Child,
    Tripwire,
    in_a_moment,
    running_service,
    tripwire,
    until,
    write_schedule,
)
from tests.workflows.test_ebs_end_to_end import (
    DR,
    KEPT,
    created,
    make_old_snapshots,
    make_snapshot,
    make_volume,
    of_volume,
)
from tests.workflows.test_subscriber_export_end_to_end import NO_WAIT
from workflows.ebs_snapshot_rotation import ec2 as snaps

pytestmark = [pytest.mark.crash, pytest.mark.slow]

DAY = "2026-03-09"
ELSEWHERE = "eu-west-1"
BEFORE, AFTER = False, True
"""Whether the request that kills is passed on."""


@dataclass
class Killing:
    """A service behind a trap at the door of each thing it talks to."""

    child: Child
    aws: Tripwire

    def kill_at(self, pattern: str, moment: bool, *, after: int = 0, door: Tripwire | None = None) -> None:
        """Let it run until a request matches, kill it there, and see its workers end."""
        sprung = (door or self.aws).set_trap(pattern, after=after, stored=moment)
        self._start_again()
        if not sprung.wait(PATIENCE_S):
            pytest.fail(f"no request matched {pattern!r}; the log says:\n{self.child.log}")
        assert self.child.orphans() == []

    def ended(self, workflow: str) -> dict[str, Any]:
        """The one execution of a workflow, once it has ended."""
        self._start_again()
        (shown,) = until(
            lambda: self.child.ask(wait=workflow, within_s=PATIENCE_S), f"{workflow} was started"
        )
        assert shown["status"] == "SUCCEEDED", shown
        return dict(shown)

    def _start_again(self) -> None:
        if not self.child.is_running:
            self.child.start()


@contextmanager
def killing(folder: Path, aws: AwsAccess, environment: dict[str, str]) -> Iterator[Killing]:
    assert aws.endpoint_url
    with tripwire(aws.endpoint_url) as wire:
        child = Child(folder, access_to(wire.url), environment)
        wire.kill = child.kill
        child.start()
        try:
            yield Killing(child, wire)
        finally:
            child.stop()


def undisturbed(
    folder: Path, aws: AwsAccess, environment: dict[str, str], workflow: str, given: Json
) -> dict[str, Any]:
    """The same work with nobody killing."""
    folder.mkdir()
    with running_service(folder, aws, environment) as service:
        return service.run(workflow, given)


def objects(stored: Stored, *, besides: dict[str, str] | None = None) -> dict[str, str]:
    """The contents of a bucket by key, with names in place of what differs from run to run.

    Version ids, the bucket's name, and `besides`. Each object must have one version.
    """
    versions = stored.versions()
    assert {key: len(ids) for key, ids in versions.items()} == dict.fromkeys(versions, 1)
    names = {ids[0]: f"<version of {key}>" for key, ids in versions.items()} | {stored.bucket: "<bucket>"}
    names |= besides or {}
    pattern = re.compile("|".join(map(re.escape, names)))

    def named(text: str) -> str:
        return pattern.sub(lambda found: names[found[0]], text)

    # Gzipped parts as they are, byte by byte.
    return {named(key): named(stored.bytes(key).decode("latin-1")) for key in versions}


def versions_in(recorded: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The versions that an execution says it wrote or found, by key."""
    found: dict[str, list[str]] = {}
    for one in recorded:
        if one["versionId"] not in found.setdefault(one["key"], []):
            found[one["key"]].append(one["versionId"])
    return found


@pytest.fixture
def seeded(moto_access: AwsAccess) -> DemoStores:
    return seed_stores(moto_access, prefix=f"kill-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def beside(moto_access: AwsAccess) -> DemoStores:
    """Buckets of their own for the undisturbed run."""
    return seed_stores(moto_access, prefix=f"calm-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def sources() -> Iterator[FakeSources]:
    with start_fake_sources(rows=20, flaky={}) as running:
        yield running


@pytest.fixture
def zuora() -> Iterator[FakeZuora]:
    with start_fake_zuora(looks=3, rows=30) as running:
        yield running


def test_a_daily_import_killed_six_times_ends_with_the_objects_of_an_undisturbed_one(
    moto_access: AwsAccess, seeded: DemoStores, beside: DemoStores, sources: FakeSources, tmp_path: Path
) -> None:
    names = [one.name for one in SOURCES[1:4]] + [FLIGHTS.name]
    given = {"date": DAY, "sources": names}
    environment = seeded.environment() | sources.environment()
    raw, resources = f"PUT /{seeded.raw_bucket}/raw/", f"PUT /{seeded.resources_bucket}"
    with killing(tmp_path, moto_access, environment) as run:
        write_schedule(run.child.config_dir, "daily-import", "daily_import", given, in_a_moment())
        run.kill_at(raw, BEFORE)
        run.kill_at(raw, AFTER, after=1)
        run.kill_at(f"{resources}/refined/", AFTER, after=1)
        run.kill_at(f"{resources}/resources/", BEFORE)
        run.kill_at(f"{resources}/resources/", AFTER)
        run.kill_at(f"{resources}/_runs/", AFTER)
        ended = run.ended("daily_import")
        recorded = run.child.ask(written=ended["executionArn"])

    s3 = moto_access.client("s3")
    kept = Stored(s3, seeded.raw_bucket)
    for name in names:
        (key,) = kept.keys(f"raw/{name}/")
        assert kept.bytes(key) == sources.body(name, DAY)
    # The other run finds the raw objects, so that its parts, named by the raw versions, are the same ones.
    calm = environment | {"ETL_RESOURCES_BUCKET": beside.resources_bucket}
    reference = undisturbed(tmp_path / "calm", moto_access, calm, "daily_import", given)
    expected = objects(Stored(s3, beside.resources_bucket))

    assert objects(Stored(s3, seeded.resources_bucket)) == expected
    assert len(expected) >= 2 * len(names) + 1
    assert objects(kept).keys() == set(kept.keys())
    assert ended["output"] | {"report": None} == reference["output"] | {"report": None}
    assert run.child.starts == 7
    assert versions_in(recorded) == kept.versions() | Stored(s3, seeded.resources_bucket).versions()


def test_an_export_killed_seven_times_ends_with_the_lists_of_an_undisturbed_one(
    moto_access: AwsAccess, seeded: DemoStores, beside: DemoStores, zuora: FakeZuora, tmp_path: Path
) -> None:
    given = {"type": "weekly", "deliveryDate": "2027-01-15", "today": "2026-11-23", **NO_WAIT}
    bucket = f"PUT /{seeded.export_bucket}"
    with tripwire(zuora.url) as door:
        environment = seeded.environment() | {"ETL_ZUORA_URL": door.url}
        with killing(tmp_path, moto_access, environment) as run:
            door.kill = run.child.kill
            write_schedule(run.child.config_dir, "weekly", "subscriber_export", given, in_a_moment())
            run.kill_at("POST /apps/api/batch-query/", AFTER, door=door)
            run.kill_at("GET /apps/api/batch-query/jobs/", AFTER, door=door)
            run.kill_at(f"{bucket}/zuoraExport/", AFTER)
            run.kill_at(f"{bucket}/staging/", AFTER, after=4)
            run.kill_at(f"{bucket}/weekly_output/", BEFORE)
            run.kill_at(f"{bucket}/weekly_output/", AFTER, after=1)
            run.kill_at("Action=Publish", BEFORE)
            ended = run.ended("subscriber_export")
            recorded = run.child.ask(written=ended["executionArn"])
    posted = zuora.posted
    messages = told(moto_access, seeded)

    calm = beside.environment() | zuora.environment()
    reference = undisturbed(tmp_path / "calm", moto_access, calm, "subscriber_export", given)
    s3 = moto_access.client("s3")
    found, expected = (
        objects(Stored(s3, stores.export_bucket), besides={run_of["output"]["jobId"]: "<job>"})
        for stores, run_of in ((seeded, ended), (beside, reference))
    )

    assert (posted, run.child.starts) == (1, 8)
    assert versions_in(recorded) == Stored(s3, seeded.export_bucket).versions()
    assert found == expected
    assert len(expected) > 3 + 2 * 7
    assert [(one["name"], one["rows"], one["outcome"]) for one in ended["output"]["lists"]] == [
        (one["name"], one["rows"], one["outcome"]) for one in reference["output"]["lists"]
    ]
    (message,) = messages
    (told_without_kills,) = told(moto_access, beside)
    assert message["Message"] == told_without_kills["Message"]


def test_a_rotation_and_the_weekly_snapshots_killed_between_their_changes_make_each_of_them_once(
    moto_access: AwsAccess, seeded: DemoStores, tmp_path: Path
) -> None:
    ec2 = moto_access.client("ec2", "us-east-1")
    volume = make_volume(ec2)
    old = make_old_snapshots(ec2, volume, KEPT + 3)
    snapshot = make_snapshot(ec2, volume)
    there = moto_access.client("ec2", ELSEWHERE)
    volumes = [make_volume(there, zone=f"{ELSEWHERE}a") for _ in range(3)]
    weekly, given = "ebs_snapshot_rotation-weekly-create", {"date": "2026-11-22", "region": ELSEWHERE}
    with killing(tmp_path, moto_access, seeded.environment()) as run:
        run.child.ask(put=created(snapshot, volume))
        run.kill_at("Action=CreateTags", AFTER)
        # Copying and deleting go side by side: one copy and four snapshots to delete.
        run.kill_at("Action=(CopySnapshot|DeleteSnapshot)", AFTER)
        run.kill_at("Action=(CopySnapshot|DeleteSnapshot)", BEFORE)
        rotated = run.ended("ebs_snapshot_rotation")
        write_schedule(run.child.config_dir, "weekly", weekly, given, in_a_moment())
        run.kill_at("Action=CreateSnapshot", AFTER)
        created_weekly = run.ended(weekly)

    assert run.child.starts == 5
    assert rotated["output"]["failed"] == rotated["output"]["inUse"] == []
    assert {*of_volume(moto_access, volume)} == {*old[4:], snapshot}
    copies = of_volume(moto_access, volume, DR).values()
    assert [one.tags[snaps.SOURCE_SNAPSHOT] for one in copies] == [snapshot]
    assert created_weekly["output"]["failed"] == []
    found = snaps.snapshots(there, {"volume-id": volumes})
    assert sorted(one.volume_id for one in found) == sorted(volumes)
