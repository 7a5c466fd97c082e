"""The functions of the EBS snapshot rotation against moto; letters name the faults of the original."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from etl_runner.aws import AwsAccess
from workflows.ebs_snapshot_rotation import ec2 as snaps
from workflows.ebs_snapshot_rotation import errors, tasks

HOME, DR = "us-east-1", "us-west-2"
TOPIC = "arn:aws:sns:us-east-1:123456789012:told"
SETTINGS: dict[str, Any] = {"volumeTag": "Backup", "retention": 2, "drRegion": DR, "drRetention": 1,
                            "drKmsKeyId": "", "topicArn": TOPIC}  # fmt: skip


def make_volume(aws: AwsAccess, *, tag: str = "Backup") -> str:
    tags = [{"ResourceType": "volume", "Tags": [{"Key": tag, "Value": "weekly"}]}]
    made = aws.client("ec2", HOME).create_volume(AvailabilityZone=f"{HOME}a", Size=1, TagSpecifications=tags)
    return str(made["VolumeId"])


def make_snapshot(aws: AwsAccess, volume_id: str, *, tagged: bool = True) -> str:
    snapshot_id = aws.client("ec2", HOME).create_snapshot(VolumeId=volume_id)["SnapshotId"]
    if tagged:
        tasks.tag_snapshot(tag_event(snapshot_id, volume_id), None)
    return str(snapshot_id)


def tag_event(snapshot_id: str, volume_id: str) -> dict[str, Any]:
    return {"snapshotId": snapshot_id, "sourceId": volume_id, "region": HOME, "volumeTag": "Backup"}


def copy_event(snapshot_id: str, volume_id: str, **settings: Any) -> dict[str, Any]:
    return {"snapshotId": snapshot_id, "volumeId": volume_id, "region": HOME, "settings": SETTINGS | settings}


def ids_of(aws: AwsAccess, region: str, **tag: str) -> list[str]:
    """The snapshots that carry a tag; asked for "self", moto shows a thousand of others as well."""
    filters = {f"tag:{name}": [value] for name, value in tag.items()}
    return sorted(one.id for one in snaps.snapshots(aws.client("ec2", region), filters))


def tags_of(aws: AwsAccess, snapshot_id: str, region: str = HOME) -> dict[str, str]:
    found = snaps.snapshot(aws.client("ec2", region), snapshot_id)
    assert found is not None
    return dict(found.tags)


def fault(code: str, operation: str = "DeleteSnapshot") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "as told by the test"}}, operation)


class Pages:
    """A client whose describe_snapshots has pages, and whose delete_snapshot answers as told."""

    def __init__(self, pages: list[list[dict[str, Any]]], answers: dict[str, str] | None = None) -> None:
        self.pages, self.answers, self.deleted = pages, answers or {}, list[str]()

    def get_paginator(self, operation: str) -> "Pages":
        assert operation == "describe_snapshots"
        return self

    def paginate(self, **_asked: Any) -> Iterator[dict[str, Any]]:
        yield from ({"Snapshots": page} for page in self.pages)

    def delete_snapshot(self, *, SnapshotId: str) -> None:  # noqa: N803 -- EC2's name
        if code := self.answers.get(SnapshotId):
            raise fault(code)
        self.deleted.append(SnapshotId)


def described(number: int, *, state: str = "completed", **tags: str) -> dict[str, Any]:
    return {"SnapshotId": f"snap-{number}", "VolumeId": "vol-1", "State": state, "Encrypted": False,
            "StartTime": datetime(2026, 11, number, 3, tzinfo=UTC),
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}  # fmt: skip


def retention_of(client: Pages, monkeypatch: pytest.MonkeyPatch, *, keep: int = 2) -> dict[str, Any]:
    monkeypatch.setattr(snaps, "ec2", lambda _region: client)
    return tasks.apply_retention({"volumeId": "vol-1", "region": HOME, "retention": keep}, None)


# reading the event ------------------------------------------------------------------------------------


def created(**detail: Any) -> dict[str, Any]:
    return {"region": "eu-central-1", "detail": {"event": "createSnapshot", "result": "succeeded",
            "snapshot_id": "arn:aws:ec2::eu-central-1:snapshot/snap-1",
            "source": "arn:aws:ec2:eu-central-1:123456789012:volume/vol-1"} | detail}  # fmt: skip


@pytest.mark.parametrize(
    "arn", ["arn:aws:ec2::us-west-2:snapshot/snap-1", "arn:aws:ec2:us-west-2::snapshot/snap-1"]
)
def test_both_forms_of_the_snapshot_arn_give_its_id_and_the_region_is_the_events_d(arn: str) -> None:
    read = tasks.read_event(created(snapshot_id=arn), None)

    assert read["snapshots"] == [{"snapshotId": "snap-1", "sourceId": "vol-1"}]
    assert read["region"] == "eu-central-1"


def test_a_failed_snapshot_gives_nothing_to_do_b() -> None:
    assert tasks.read_event(created(result="failed"), None)["snapshots"] == []


def test_a_multi_volume_event_gives_its_completed_snapshots_c() -> None:
    one, two = ({"snapshot_id": f"arn:aws:ec2::eu-central-1:snapshot/snap-{n}", "status": status,
                 "source": f"arn:aws:ec2::eu-central-1:volume/vol-{n}"}
                for n, status in ((1, "completed"), (2, "error")))  # fmt: skip

    read = tasks.read_event(created(event="createSnapshots", snapshots=[one, two]), None)

    assert read["snapshots"] == [{"snapshotId": "snap-1", "sourceId": "vol-1"}]


@pytest.mark.parametrize(
    "event", [None, {}, {"region": HOME, "detail": {"event": "deleteSnapshot"}}, created(source=None)]
)
def test_an_event_of_another_kind_is_refused_by_name(event: Any) -> None:
    with pytest.raises(errors.InvalidEvent):
        tasks.read_event(event, None)


# settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["0", "-1", "seven", ""])
def test_a_retention_below_one_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EBS_TOPIC_ARN", TOPIC)
    monkeypatch.setenv("EBS_RETENTION", text)

    with pytest.raises(errors.InvalidSettings, match="EBS_RETENTION"):
        tasks.settings({}, None)


def test_settings_without_a_topic_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EBS_TOPIC_ARN", raising=False)

    with pytest.raises(errors.InvalidSettings, match="EBS_TOPIC_ARN"):
        tasks.settings({}, None)


# tagging ----------------------------------------------------------------------------------------------


def test_a_snapshot_of_an_untagged_volume_stays_untouched_a(worker: AwsAccess) -> None:
    volume = make_volume(worker, tag="Other")
    snapshot = make_snapshot(worker, volume, tagged=False)

    told = tasks.tag_snapshot(tag_event(snapshot, volume), None)

    assert (told["managed"], tags_of(worker, snapshot)) == (False, {})


def test_a_snapshot_of_a_tagged_volume_is_marked_and_a_second_call_changes_nothing(worker: AwsAccess) -> None:
    volume = make_volume(worker)
    snapshot = make_snapshot(worker, volume, tagged=False)

    first = tasks.tag_snapshot(tag_event(snapshot, volume), None)
    tags = tags_of(worker, snapshot)

    assert first == {"managed": True, "volumeId": volume, "reason": ""}
    assert tags[snaps.VOLUME] == volume
    assert tags[snaps.AUTOMATED].startswith(f"{volume}_20")
    assert tasks.tag_snapshot(tag_event(snapshot, volume), None) == first
    assert tags_of(worker, snapshot) == tags


def test_a_snapshot_that_is_gone_is_not_managed(worker: AwsAccess) -> None:
    volume = make_volume(worker)

    assert tasks.tag_snapshot(tag_event("snap-0123456789abcdef0", volume), None)["managed"] is False


# copying ----------------------------------------------------------------------------------------------


def test_a_copy_is_born_with_its_tags_and_is_made_once_k_m(worker: AwsAccess) -> None:
    volume = make_volume(worker)
    snapshot = make_snapshot(worker, volume)

    first = tasks.copy_to_dr(copy_event(snapshot, volume), None)
    second = tasks.copy_to_dr(copy_event(snapshot, volume), None)

    assert (first["outcome"], second["outcome"]) == ("copied", "exists")
    assert ids_of(worker, DR, OriginalVolumeId=volume) == [first["snapshotId"]] == [second["snapshotId"]]
    tags = tags_of(worker, first["snapshotId"], DR)
    assert tags[snaps.SOURCE_SNAPSHOT] == snapshot
    assert tags[snaps.SOURCE_REGION] == HOME
    told = tasks.check_copy({"snapshotId": first["snapshotId"], "region": DR}, None)
    assert told == {"managed": True, "volumeId": volume, "reason": ""}


def test_a_copy_made_by_hand_is_not_managed_a(worker: AwsAccess) -> None:
    snapshot = make_snapshot(worker, make_volume(worker))
    by_hand = worker.client("ec2", DR).copy_snapshot(
        SourceRegion=HOME, SourceSnapshotId=snapshot, Description=f"{snapshot}**vol-1**{HOME}"
    )["SnapshotId"]

    assert tasks.check_copy({"snapshotId": by_hand, "region": DR}, None)["managed"] is False


def test_an_old_event_run_again_does_not_bring_back_a_copy_that_newer_ones_replaced(
    worker: AwsAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Pages([[described(1)]])
    destination = Pages([[described(20, **{snaps.SOURCE_SNAPSHOT: "snap-2", snaps.VOLUME: "vol-1",
                                           snaps.SOURCE_START: "2026-11-02T03:00:00Z"})]])  # fmt: skip
    monkeypatch.setattr(snaps, "ec2", lambda region: source if region == HOME else destination)

    assert tasks.copy_to_dr(copy_event("snap-1", "vol-1"), None)["outcome"] == "superseded"


def test_an_encrypted_snapshot_without_a_key_in_the_dr_region_is_refused_by_name_k(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, destination = Pages([[described(1) | {"Encrypted": True}]]), Pages([[]])
    monkeypatch.setattr(snaps, "ec2", lambda region: source if region == HOME else destination)

    with pytest.raises(errors.DestinationKeyMissing, match="EBS_DR_KMS_KEY_ID"):
        tasks.copy_to_dr(copy_event("snap-1", "vol-1"), None)


def test_without_a_dr_region_nothing_is_copied(worker: AwsAccess) -> None:
    told = tasks.copy_to_dr(copy_event("snap-1", "vol-1", drRegion=""), None)

    assert told["outcome"] == "off"


# retention --------------------------------------------------------------------------------------------


def test_only_the_newest_completed_snapshots_of_the_volume_stay(worker: AwsAccess) -> None:
    volume, other = make_volume(worker), make_volume(worker)
    mine = [make_snapshot(worker, volume) for _ in range(4)]
    foreign, untagged = make_snapshot(worker, other), make_snapshot(worker, volume, tagged=False)
    event = {"volumeId": volume, "region": HOME, "retention": 2}

    first = tasks.apply_retention(event, None)
    left = ids_of(worker, HOME, OriginalVolumeId=volume)

    assert first["kept"] == 2
    assert sorted(first["deleted"]) == sorted(set(mine) - set(left))
    assert len(first["deleted"]) == 2
    assert ids_of(worker, HOME, OriginalVolumeId=other) == [foreign]
    assert tags_of(worker, untagged) == {}
    assert tasks.apply_retention(event, None) == {"kept": 2, "deleted": [], "inUse": [], "failed": []}


def test_pending_and_failed_snapshots_push_nothing_out_g(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Pages([[described(1), described(2), described(3, state="pending"), described(4, state="error")]])

    told = retention_of(client, monkeypatch)

    assert (told["kept"], client.deleted) == (2, [])


def test_snapshots_of_every_page_count_f(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Pages([[described(1), described(5)], [described(2), described(4)], [described(3)]])

    retention_of(client, monkeypatch)

    assert client.deleted == ["snap-3", "snap-2", "snap-1"]


def test_a_snapshot_that_is_gone_already_counts_as_deleted_i(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Pages([[described(1), described(2), described(3)]], {"snap-1": "InvalidSnapshot.NotFound"})

    assert retention_of(client, monkeypatch)["deleted"] == ["snap-1"]


def test_a_snapshot_in_use_is_skipped_and_reported_and_no_error_hides_the_rest_i_j(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages = [[described(n) for n in range(1, 6)]]
    client = Pages(pages, {"snap-3": "InvalidSnapshot.InUse", "snap-2": "UnauthorizedOperation"})

    told = retention_of(client, monkeypatch)

    assert told == {"kept": 2, "deleted": ["snap-1"], "inUse": ["snap-3"],
                    "failed": [{"snapshotId": "snap-2", "error": "UnauthorizedOperation"}]}  # fmt: skip


def test_throttling_has_the_name_that_retry_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Pages([[described(1), described(2), described(3)]], {"snap-1": "RequestLimitExceeded"})

    with pytest.raises(errors.Throttled):
        retention_of(client, monkeypatch)


def test_two_copies_of_one_snapshot_take_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = ((1, "snap-a", 1), (2, "snap-b", 2), (3, "snap-b", 2))
    copies = [
        described(n, **{snaps.SOURCE_SNAPSHOT: source, snaps.SOURCE_START: f"2026-10-0{day}T03:00:00Z"})
        for n, source, day in sources
    ]
    client = Pages([copies])

    told = retention_of(client, monkeypatch)

    assert (told["kept"], client.deleted) == (2, ["snap-2"])


def test_copies_are_ordered_by_when_their_source_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    late_copy_of_old = described(
        9, **{snaps.SOURCE_SNAPSHOT: "a", snaps.SOURCE_START: "2026-10-01T03:00:00Z"}
    )
    copy_of_new = described(8, **{snaps.SOURCE_SNAPSHOT: "b", snaps.SOURCE_START: "2026-10-02T03:00:00Z"})
    client = Pages([[late_copy_of_old, copy_of_new]])

    retention_of(client, monkeypatch, keep=1)

    assert client.deleted == ["snap-9"]


@pytest.mark.parametrize("retention", [0, -3, "2", None])
def test_nothing_is_deleted_for_a_retention_that_makes_no_sense(retention: Any) -> None:
    with pytest.raises(errors.InvalidSettings):
        tasks.apply_retention({"volumeId": "vol-1", "region": HOME, "retention": retention}, None)


# weekly -----------------------------------------------------------------------------------------------


def test_a_volume_gets_one_snapshot_per_week(worker: AwsAccess) -> None:
    volume = make_volume(worker, tag="Weekly")
    make_volume(worker, tag="Other")
    settings = SETTINGS | {"volumeTag": "Weekly"}
    plan = tasks.list_volumes({"date": "2026-11-22", "region": HOME, "settings": settings}, None)
    event = {"volumeId": volume, "week": plan["week"], "region": HOME}

    first, second = tasks.create_snapshot(event, None), tasks.create_snapshot(event, None)
    next_week = tasks.create_snapshot(event | {"week": "2026-W48"}, None)

    assert plan == {"week": "2026-W47", "region": HOME, "volumes": [volume]}
    assert (first["outcome"], second["outcome"], next_week["outcome"]) == ("created", "exists", "created")
    assert first["snapshotId"] == second["snapshotId"]
    found = snaps.snapshots(worker.client("ec2", HOME), {"volume-id": [volume]})
    assert {one.id: one.tags[snaps.WEEK] for one in found} == {
        first["snapshotId"]: "2026-W47",
        next_week["snapshotId"]: "2026-W48",
    }


def test_a_volume_deleted_since_it_was_listed_is_no_failure(worker: AwsAccess) -> None:
    event = {"volumeId": "vol-0123456789abcdef0", "week": "2026-W47", "region": HOME}

    assert tasks.create_snapshot(event, None)["outcome"] == "gone"


def test_a_date_of_another_form_is_refused() -> None:
    with pytest.raises(errors.InvalidEvent):
        tasks.list_volumes({"date": "22.11.2026", "settings": SETTINGS}, None)
