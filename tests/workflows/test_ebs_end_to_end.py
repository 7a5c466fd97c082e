"""The EBS snapshot rotation as a whole, started by events and by its schedule, over a real service."""

import json
import uuid
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.demo.seed import DemoWorld, created_event, seed, told
from tests.workflows.service import Running, running_service
from workflows.ebs_snapshot_rotation import ec2 as snaps

HOME, DR, ELSEWHERE = "us-east-1", "us-west-2", "eu-central-1"
KEPT, KEPT_IN_DR = 7, 1


@pytest.fixture(scope="module")
def seeded(moto_access: AwsAccess) -> DemoWorld:
    return seed(moto_access, prefix=f"ebs-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def running(
    moto_access: AwsAccess, seeded: DemoWorld, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    with running_service(tmp_path_factory.mktemp("ebs"), moto_access, seeded.environment()) as service:
        yield service


@pytest.fixture
def ec2(moto_access: AwsAccess) -> Any:
    return moto_access.client("ec2", HOME)


@pytest.fixture(autouse=True)
def nothing_told(moto_access: AwsAccess, seeded: DemoWorld) -> None:
    told(moto_access, seeded)


def make_volume(ec2: Any, *, tagged: bool = True, zone: str = f"{HOME}a") -> str:
    tags = [{"Key": "Backup", "Value": "weekly"}] if tagged else [{"Key": "Name", "Value": "scratch"}]
    wanted = [{"ResourceType": "volume", "Tags": tags}]
    return str(ec2.create_volume(AvailabilityZone=zone, Size=1, TagSpecifications=wanted)["VolumeId"])


def make_snapshot(ec2: Any, volume: str) -> str:
    """One that the rotation has not seen yet."""
    return str(ec2.create_snapshot(VolumeId=volume)["SnapshotId"])


def tags_of_week(volume: str, week: int) -> list[dict[str, str]]:
    """What the rotation left on a snapshot in an earlier week.

    EC2 gives the time of the request as the start, so that snapshots made by a test are all of one age. The
    tag that tells it of copies tells it here too.
    """
    tags = {
        snaps.AUTOMATED: f"{volume}_{week}",
        snaps.VOLUME: volume,
        snaps.SOURCE_START: f"2025-01-{week:02d}T03:00:00Z",
    }
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def make_old_snapshots(ec2: Any, volume: str, count: int) -> list[str]:
    """Snapshots of earlier weeks, the oldest first."""
    made = [make_snapshot(ec2, volume) for _ in range(count)]
    for week, snapshot in enumerate(made, start=1):
        ec2.create_tags(Resources=[snapshot], Tags=tags_of_week(volume, week))
    return made


def event(kind: str, *, region: str = HOME, result: str = "succeeded", **detail: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "source": "aws.ec2",
        "detail-type": "EBS Snapshot Notification",
        "account": "123456789012",
        "time": "2026-11-22T03:04:11Z",
        "region": region,
        "resources": [],
        "detail": {"event": kind, "result": result, "cause": "", **detail},
    }


def created(snapshot: str, volume: str, *, result: str = "succeeded") -> dict[str, Any]:
    return event(
        "createSnapshot",
        result=result,
        snapshot_id=f"arn:aws:ec2::{HOME}:snapshot/{snapshot}",
        source=f"arn:aws:ec2::{HOME}:volume/{volume}",
    )


def copied(copy: str, source: str) -> dict[str, Any]:
    return event(
        "copySnapshot",
        region=DR,
        snapshot_id=f"arn:aws:ec2:{DR}::snapshot/{copy}",
        source=f"arn:aws:ec2:{HOME}::snapshot/{source}",
    )


def of_volume(aws: AwsAccess, volume: str, region: str = HOME) -> dict[str, snaps.Snapshot]:
    """The snapshots that the rotation has marked as this volume's."""
    found = snaps.snapshots(aws.client("ec2", region), {f"tag:{snaps.VOLUME}": [volume]})
    return {one.id: one for one in found}


def step(ended: dict[str, Any], name: str, number: int = 0) -> dict[str, Any]:
    (found,) = (one for one in ended["output"]["snapshots"][number]["steps"] if one["step"] == name)
    return dict(found)


# the primary region ---------------------------------------------------------------------------------------


def test_a_new_snapshot_is_marked_copied_and_pushes_the_oldest_ones_out(
    running: Running, seeded: DemoWorld, moto_access: AwsAccess
) -> None:
    ended = running.handle(created_event(seeded, date(2026, 11, 22)))
    left = of_volume(moto_access, seeded.volume)
    copies = of_volume(moto_access, seeded.volume, DR)
    deleted = step(ended, "ApplyRetention")["retention"]["deleted"]

    assert (ended["status"], ended["origin"]) == ("SUCCEEDED", "rule:ebs-snapshot-created")
    assert ended["output"]["failed"] == ended["output"]["inUse"] == []
    assert deleted == [seeded.old_snapshots[1], seeded.old_snapshots[0]]
    assert {*left} == {*seeded.old_snapshots[2:], seeded.new_snapshot}
    assert len(left) == KEPT
    (copy,) = copies.values()
    assert step(ended, "CopyToDR")["copy"] == {"outcome": "copied", "snapshotId": copy.id, "region": DR}
    assert copy.tags[snaps.SOURCE_SNAPSHOT] == seeded.new_snapshot
    assert copy.tags[snaps.SOURCE_REGION] == HOME
    assert told(moto_access, seeded) == []


def test_the_same_event_twice_starts_one_execution_and_the_same_news_again_changes_nothing(
    running: Running, ec2: Any, moto_access: AwsAccess
) -> None:
    volume = make_volume(ec2)
    old = make_old_snapshots(ec2, volume, KEPT + 1)
    snapshot = make_snapshot(ec2, volume)
    news = created(snapshot, volume)
    first = running.handle(news)
    stored = of_volume(moto_access, volume), of_volume(moto_access, volume, DR)
    count = len(running.executions("ebs_snapshot_rotation"))
    (again,) = running.put(news)
    count_again = len(running.executions("ebs_snapshot_rotation"))
    second = running.handle(news | {"id": str(uuid.uuid4())})

    assert step(first, "ApplyRetention")["retention"]["deleted"] == [old[1], old[0]]
    assert again["executionArn"] == first["executionArn"]
    assert count_again == count
    assert second["executionArn"] != first["executionArn"]
    assert (of_volume(moto_access, volume), of_volume(moto_access, volume, DR)) == stored
    (copy,) = stored[1]
    assert step(second, "CopyToDR")["copy"] == {"outcome": "exists", "snapshotId": copy, "region": DR}
    assert step(second, "ApplyRetention")["retention"] == {
        "kept": KEPT, "deleted": [], "inUse": [], "failed": [],
    }  # fmt: skip


def test_a_snapshot_of_an_untagged_volume_is_left_alone(
    running: Running, ec2: Any, moto_access: AwsAccess
) -> None:
    volume = make_volume(ec2, tagged=False)
    snapshot = make_snapshot(ec2, volume)
    ended = running.handle(created(snapshot, volume))

    assert ended["status"] == "SUCCEEDED"
    assert ended["output"]["snapshots"] == [
        {"snapshotId": snapshot, "volumeId": volume, "steps": [],
         "outcome": "the volume is not tagged for rotation"}
    ]  # fmt: skip
    assert of_volume(moto_access, volume) == of_volume(moto_access, volume, DR) == {}


def test_the_news_of_a_failed_snapshot_match_no_rule(
    running: Running, ec2: Any, moto_access: AwsAccess
) -> None:
    volume = make_volume(ec2)
    snapshot = make_snapshot(ec2, volume)
    count = len(running.executions("ebs_snapshot_rotation"))

    assert running.put(created(snapshot, volume, result="failed")) == []
    assert len(running.executions("ebs_snapshot_rotation")) == count
    assert of_volume(moto_access, volume) == {}


def test_snapshots_of_several_volumes_in_one_event_are_each_managed(
    running: Running, ec2: Any, moto_access: AwsAccess
) -> None:
    volumes = [make_volume(ec2) for _ in range(2)]
    pairs = [(make_snapshot(ec2, volume), volume) for volume in volumes]
    listed = [
        {"snapshot_id": f"arn:aws:ec2::{HOME}:snapshot/{snapshot}",
         "source": f"arn:aws:ec2::{HOME}:volume/{volume}", "status": "completed"}
        for snapshot, volume in pairs
    ]  # fmt: skip
    ended = running.handle(event("createSnapshots", snapshots=listed))

    assert [one["outcome"] for one in ended["output"]["snapshots"]] == ["managed", "managed"]
    for snapshot, volume in pairs:
        assert list(of_volume(moto_access, volume)) == [snapshot]
        assert [
            one.tags[snaps.SOURCE_SNAPSHOT] for one in of_volume(moto_access, volume, DR).values()
        ] == [snapshot]  # fmt: skip


def test_snapshots_in_use_are_kept_and_told_without_failing_the_execution(
    running: Running, ec2: Any, seeded: DemoWorld, moto_access: AwsAccess
) -> None:
    volume = make_volume(ec2)
    old = make_old_snapshots(ec2, volume, KEPT)
    device = {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 1}}
    image = ec2.register_image(Name=f"of-{volume}", RootDeviceName="/dev/sda1", BlockDeviceMappings=[device])[
        "ImageId"
    ]
    (described,) = ec2.describe_images(ImageIds=[image])["Images"]
    used = described["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ec2.create_tags(Resources=[used], Tags=tags_of_week(volume, 1))
    ended = running.handle(created(make_snapshot(ec2, volume), volume))
    (message,) = told(moto_access, seeded)

    assert ended["status"] == "SUCCEEDED"
    assert ended["output"]["inUse"] == [used]
    assert step(ended, "ApplyRetention")["retention"]["deleted"] == [old[0]]
    assert used in of_volume(moto_access, volume)
    assert message["Subject"] == "Snapshots in use were kept"
    assert json.loads(message["Message"])["inUse"] == [used]


def test_a_copy_that_cannot_be_made_fails_the_execution_after_telling_and_after_the_retention(
    running: Running, ec2: Any, seeded: DemoWorld, moto_access: AwsAccess
) -> None:
    wanted = [{"ResourceType": "volume", "Tags": [{"Key": "Backup", "Value": "weekly"}]}]
    volume = ec2.create_volume(AvailabilityZone=f"{HOME}a", Size=1, Encrypted=True, TagSpecifications=wanted)[
        "VolumeId"
    ]
    make_old_snapshots(ec2, volume, KEPT + 1)
    snapshot = make_snapshot(ec2, volume)
    ended = running.handle(created(snapshot, volume))
    (message,) = told(moto_access, seeded)

    assert (ended["status"], ended["error"]) == ("FAILED", "SnapshotManagementFailed")
    (failed,) = json.loads(ended["cause"])
    assert (failed["step"], failed["error"]["Error"]) == ("CopyToDR", "DestinationKeyMissing")
    assert message["Subject"] == "Snapshot Management Error"
    assert json.loads(message["Message"])["failed"] == [failed]
    assert len(of_volume(moto_access, volume)) == KEPT
    assert of_volume(moto_access, volume, DR) == {}


# the DR region --------------------------------------------------------------------------------------------


def test_a_completed_copy_pushes_older_copies_out_of_the_dr_region(
    running: Running, ec2: Any, moto_access: AwsAccess
) -> None:
    volume = make_volume(ec2)
    for _ in range(2):
        snapshot = make_snapshot(ec2, volume)
        running.handle(created(snapshot, volume))
    copies = of_volume(moto_access, volume, DR)
    copy = next(one for one in copies.values() if one.tags[snaps.SOURCE_SNAPSHOT] == snapshot)
    ended = running.handle(copied(copy.id, snapshot))
    left = of_volume(moto_access, volume, DR)

    assert (ended["workflow"], ended["status"]) == ("ebs_snapshot_rotation-dr", "SUCCEEDED")
    assert (len(copies), len(left)) == (2, KEPT_IN_DR)
    assert step(ended, "ApplyRetention")["retention"]["deleted"] == sorted({*copies} - {*left})
    assert len(of_volume(moto_access, volume)) == 2


def test_a_copy_made_by_hand_is_none_of_the_rotations_business(
    running: Running, ec2: Any, moto_access: AwsAccess
) -> None:
    snapshot = make_snapshot(ec2, make_volume(ec2))
    made = moto_access.client("ec2", DR).copy_snapshot(SourceRegion=HOME, SourceSnapshotId=snapshot)
    ended = running.handle(copied(made["SnapshotId"], snapshot))

    assert ended["output"]["snapshots"][0]["outcome"] == "the copy was not made by this workflow"
    assert snaps.snapshot(moto_access.client("ec2", DR), made["SnapshotId"]) is not None


# the weekly snapshots -------------------------------------------------------------------------------------


def test_a_week_has_one_snapshot_of_every_tagged_volume_however_often_it_is_asked_for(
    running: Running, moto_access: AwsAccess
) -> None:
    there = moto_access.client("ec2", ELSEWHERE)
    volumes = sorted(make_volume(there, zone=f"{ELSEWHERE}a") for _ in range(3))
    make_volume(there, tagged=False, zone=f"{ELSEWHERE}a")
    name = "ebs_snapshot_rotation-weekly-create"
    first, second, later = (
        running.run(name, {"date": day, "region": ELSEWHERE})
        for day in ("2026-11-22", "2026-11-20", "2026-11-29")
    )

    def snapshots_of(ended: dict[str, Any]) -> dict[str, str]:
        return {one["volumeId"]: one["snapshotId"] for one in ended["output"]["volumes"]}

    def outcomes_of(ended: dict[str, Any]) -> list[str]:
        return [one["outcome"] for one in ended["output"]["volumes"]]

    assert sorted(snapshots_of(first)) == volumes
    assert snapshots_of(second) == snapshots_of(first)
    assert outcomes_of(first) == outcomes_of(later) == ["created"] * 3
    assert outcomes_of(second) == ["exists"] * 3
    found = snaps.snapshots(there, {"volume-id": volumes})
    assert sorted((one.volume_id, one.tags[snaps.WEEK]) for one in found) == sorted(
        (volume, week) for volume in volumes for week in ("2026-W47", "2026-W48")
    )


def test_the_shipped_schedule_makes_the_snapshots_of_the_week_at_its_due_time(
    running: Running, ec2: Any
) -> None:
    volume = make_volume(ec2)
    (ended,) = running.run_at_due_time("ebs-weekly-create")
    year, week, _ = date.fromisoformat(ended["input"]["date"]).isocalendar()
    (made,) = (one for one in ended["output"]["volumes"] if one["volumeId"] == volume)

    assert (ended["status"], ended["origin"], made["outcome"]) == (
        "SUCCEEDED", "schedule:ebs-weekly-create", "created",
    )  # fmt: skip
    snapshot = snaps.snapshot(ec2, made["snapshotId"])
    assert snapshot is not None
    assert snapshot.tags[snaps.WEEK] == f"{year}-W{week:02d}"
