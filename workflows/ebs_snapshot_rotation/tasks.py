"""Lambda-style functions of the EBS snapshot rotation, one per state. See README.md for the whole.

Every function may be called again with the same event: it looks first and changes only what is missing.
"""

import os
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from botocore.exceptions import ClientError

from workflows.ebs_snapshot_rotation import ec2 as snaps
from workflows.ebs_snapshot_rotation.errors import (
    DestinationKeyMissing,
    InvalidEvent,
    InvalidSettings,
    code_of,
    is_passing,
    named_errors,
)

_EVENTS: Final = {"createSnapshot", "createSnapshots", "copySnapshot"}
ALL_VOLUMES: Final = "none"  # the original's value for "no tag is asked for"


def settings(_event: Any, _context: Any) -> dict[str, Any]:
    """Read the settings of this workflow, once per execution.

    They travel in the execution's state from here on: all states of one execution see the same values, and
    the retention stands in one place, the environment of this function (functions.yaml).

    Gives `{volumeTag, retention, drRegion, drRetention, drKmsKeyId, topicArn}`. Raises InvalidSettings.
    """
    topic = os.environ.get("EBS_TOPIC_ARN", "")
    if not topic:
        raise InvalidSettings("EBS_TOPIC_ARN is not set; it names the SNS topic that failures are told to")
    return {
        "volumeTag": os.environ.get("EBS_VOLUME_TAG", ALL_VOLUMES),
        "retention": _retention("EBS_RETENTION", "7"),
        "drRegion": os.environ.get("EBS_DR_REGION", ""),
        "drRetention": _retention("EBS_DR_RETENTION", "1"),
        "drKmsKeyId": os.environ.get("EBS_DR_KMS_KEY_ID", ""),
        "topicArn": topic,
    }


def _retention(name: str, default: str) -> int:
    text = os.environ.get(name, default)
    if not text.isdecimal() or int(text) < 1:
        raise InvalidSettings(
            f"{name} is {text!r}; it must be a whole number of at least 1, or nothing would be kept"
        )
    return int(text)


def read_event(event: Any, _context: Any) -> dict[str, Any]:
    """Read an "EBS Snapshot Notification" in either of its shapes.

    Gives `{region, event, result, snapshots: [{snapshotId, sourceId}]}`; `snapshots` holds the completed
    ones only and is empty when the event tells of a failure. `sourceId` is a volume, or for copySnapshot the
    snapshot that was copied. The region is the event's own: the ARNs inside come in two forms, with the
    region in different places. Raises InvalidEvent.
    """
    detail = event.get("detail") if isinstance(event, Mapping) else None
    if not isinstance(detail, Mapping) or detail.get("event") not in _EVENTS or not event.get("region"):
        raise InvalidEvent(
            "the input is not an EBS Snapshot Notification: it needs `region` and a `detail.event` "
            f"that is one of {', '.join(sorted(_EVENTS))}"
        )
    many = detail["event"] == "createSnapshots"
    found = detail.get("snapshots", ()) if many else [detail]
    succeeded = detail.get("result") == "succeeded"
    completed = [
        {"snapshotId": _last(one, "snapshot_id"), "sourceId": _last(one, "source")}
        for one in found
        if (succeeded and not many) or one.get("status") == "completed"
    ]
    return {
        "region": event["region"],
        "event": detail["event"],
        "result": detail.get("result", ""),
        "snapshots": completed,
    }


def _last(one: Mapping[str, Any], field: str) -> str:
    arn = one.get(field)
    if not isinstance(arn, str) or not arn:
        raise InvalidEvent(f"the event names no `{field}`; found {arn!r}")
    return arn.rsplit("/", 1)[-1]


def tag_snapshot(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Mark a snapshot as ours when its volume carries the tag that asks for it.

    Takes `{snapshotId, sourceId, region, volumeTag}`; gives `{managed, volumeId, reason}`.
    """
    volume_id = event["sourceId"]
    with named_errors():
        client = snaps.ec2(event["region"])
        filters = {"volume-id": [volume_id]}
        if event["volumeTag"] != ALL_VOLUMES:
            filters["tag-key"] = [event["volumeTag"]]
        if not any(True for _ in snaps.volumes(client, filters)):
            return {
                "managed": False,
                "volumeId": volume_id,
                "reason": "the volume is not tagged for rotation",
            }
        snapshot = snaps.snapshot(client, event["snapshotId"])
        if snapshot is None:
            return {"managed": False, "volumeId": volume_id, "reason": "the snapshot no longer exists"}
        wanted = {
            snaps.AUTOMATED: f"{volume_id}_{snaps.iso(snapshot.started)}",
            snaps.VOLUME: volume_id,
        }
        if not wanted.items() <= snapshot.tags.items():
            client.create_tags(Resources=[snapshot.id], Tags=snaps.tag_list(wanted))
    return {"managed": True, "volumeId": volume_id, "reason": ""}


def check_copy(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Tell whether a copied snapshot is one of ours, by the tags it was born with.

    Takes `{snapshotId, region}`; gives `{managed, volumeId, reason}`.
    """
    with named_errors():
        snapshot = snaps.snapshot(snaps.ec2(event["region"]), event["snapshotId"])
    if snapshot is None:
        return {"managed": False, "volumeId": "", "reason": "the snapshot no longer exists"}
    if snaps.SOURCE_SNAPSHOT not in snapshot.tags or snaps.VOLUME not in snapshot.tags:
        return {"managed": False, "volumeId": "", "reason": "the copy was not made by this workflow"}
    return {"managed": True, "volumeId": snapshot.tags[snaps.VOLUME], "reason": ""}


def copy_to_dr(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Copy a snapshot to the DR region, unless a copy is there or newer ones already fill its place.

    Takes `{snapshotId, volumeId, region, settings}`; gives `{outcome, snapshotId, region}` with outcome
    "copied", "exists", "superseded", "gone" or "off". Raises DestinationKeyMissing, Throttled, LimitReached,
    ServiceUnavailable.
    """
    chosen = event["settings"]
    destination = chosen["drRegion"]
    if not destination or destination == event["region"]:
        return {"outcome": "off", "snapshotId": "", "region": destination}
    with named_errors():
        source = snaps.snapshot(snaps.ec2(event["region"]), event["snapshotId"])
        if source is None:
            return {"outcome": "gone", "snapshotId": "", "region": destination}
        client = snaps.ec2(destination)
        # CopySnapshot takes no client token: this look-up is what makes a second call harmless.
        present = [
            one
            for one in snaps.snapshots(client, {f"tag:{snaps.VOLUME}": [event["volumeId"]]})
            if snaps.SOURCE_SNAPSHOT in one.tags and one.state != "error"
        ]
        for one in present:
            if one.tags[snaps.SOURCE_SNAPSHOT] == source.id:
                return {"outcome": "exists", "snapshotId": one.id, "region": destination}
        newer = {
            one.tags[snaps.SOURCE_SNAPSHOT]
            for one in present
            if one.state == "completed" and one.taken > snaps.iso(source.started)
        }
        if len(newer) >= chosen["drRetention"]:
            return {"outcome": "superseded", "snapshotId": "", "region": destination}
        request = _copy_request(source, event)
        made = client.copy_snapshot(**request)
    return {"outcome": "copied", "snapshotId": made["SnapshotId"], "region": destination}


def _copy_request(source: snaps.Snapshot, event: Mapping[str, Any]) -> dict[str, Any]:
    tags = {
        snaps.AUTOMATED: f"{event['volumeId']}_{snaps.iso(source.started)}",
        snaps.VOLUME: event["volumeId"],
        snaps.SOURCE_SNAPSHOT: source.id,
        snaps.SOURCE_REGION: event["region"],
        snaps.SOURCE_START: snaps.iso(source.started),
    }
    request: dict[str, Any] = {
        "SourceRegion": event["region"],
        "SourceSnapshotId": source.id,
        "Description": f"Copy of {source.id} from {event['region']}",
        "TagSpecifications": snaps.tag_specifications(tags),
    }
    if source.encrypted:
        key = event["settings"]["drKmsKeyId"]
        if not key:
            raise DestinationKeyMissing(
                f"{source.id} is encrypted; set EBS_DR_KMS_KEY_ID to a key of {event['settings']['drRegion']}"
            )
        request |= {"Encrypted": True, "KmsKeyId": key}
    return request


def apply_retention(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Delete a volume's snapshots beyond the newest `retention` completed ones.

    Takes `{volumeId, region, retention}`; gives `{kept, deleted, inUse, failed}`: a count, two lists of ids,
    and a list of `{snapshotId, error}`. One snapshot that cannot be deleted never hides the rest. Pending
    and failed snapshots are neither counted nor deleted. Raises InvalidSettings for a retention below 1.
    """
    retention = event["retention"]
    if not isinstance(retention, int) or retention < 1:
        raise InvalidSettings(
            f"the retention is {retention!r}; it must be at least 1, or nothing would be kept"
        )
    outcome: dict[str, Any] = {"kept": 0, "deleted": [], "inUse": [], "failed": []}
    with named_errors():
        client = snaps.ec2(event["region"])
        filters = {
            f"tag:{snaps.VOLUME}": [event["volumeId"]],
            "tag-key": [snaps.AUTOMATED],
            "status": ["completed"],
        }
        completed = [one for one in snaps.snapshots(client, filters) if one.state == "completed"]
        kept, expired = _divide(completed, retention)
        outcome["kept"] = len(kept)
        for one in expired:
            _delete(client, one.id, outcome)
    return outcome


def _divide(
    completed: list[snaps.Snapshot], retention: int
) -> tuple[list[snaps.Snapshot], list[snaps.Snapshot]]:
    """The newest `retention` and the rest; a second copy of the same source takes no place among the kept."""
    kept: list[snaps.Snapshot] = []
    expired: list[snaps.Snapshot] = []
    seen: set[str] = set()
    for one in sorted(completed, key=lambda each: (each.taken, each.started, each.id), reverse=True):
        origin = one.tags.get(snaps.SOURCE_SNAPSHOT, one.id)
        (kept if len(kept) < retention and origin not in seen else expired).append(one)
        seen.add(origin)
    return kept, expired


def _delete(client: Any, snapshot_id: str, outcome: dict[str, Any]) -> None:
    try:
        client.delete_snapshot(SnapshotId=snapshot_id)
    except ClientError as error:
        match code_of(error):
            case "InvalidSnapshot.NotFound":  # another execution was quicker: it is gone, as wished
                outcome["deleted"].append(snapshot_id)
            case "InvalidSnapshot.InUse":  # an image uses it; deleting it is not ours to decide
                outcome["inUse"].append(snapshot_id)
            case code if is_passing(code):  # Retry comes back for this one and the rest
                raise
            case code:
                outcome["failed"].append({"snapshotId": snapshot_id, "error": code})
    else:
        outcome["deleted"].append(snapshot_id)


def list_volumes(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """List the volumes that carry the tag, in order of their ids.

    Takes `{date, region, settings}` with `date` as YYYY-MM-DD; gives `{week, region, volumes: [id]}` where
    `week` is the ISO week of the date, such as "2026-W48". Raises InvalidEvent for another form of date.
    """
    try:
        year, week, _ = date.fromisoformat(event["date"]).isocalendar()
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidEvent("the input needs `date` as YYYY-MM-DD") from error
    region = (
        event.get("region")
        or os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
    )
    tag = event["settings"]["volumeTag"]
    with named_errors():
        found = snaps.volumes(snaps.ec2(region), {} if tag == ALL_VOLUMES else {"tag-key": [tag]})
        ids = sorted(
            one["VolumeId"] for one in found if one.get("State", "in-use") in {"available", "in-use"}
        )
    return {"week": f"{year}-W{week:02d}", "region": region, "volumes": ids}


def create_snapshot(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Create a volume's snapshot of this week, unless there is one.

    Takes `{volumeId, week, region}`; gives `{volumeId, snapshotId, outcome}` with outcome "created",
    "exists" or "gone" (the volume was deleted meanwhile).
    """
    volume_id, week = event["volumeId"], event["week"]
    with named_errors():
        client = snaps.ec2(event["region"])
        # CreateSnapshot takes no client token: the week's tag, set in the same request, is the token.
        for one in snaps.snapshots(client, {f"tag:{snaps.WEEK}": [week], "volume-id": [volume_id]}):
            if one.state != "error":
                return {"volumeId": volume_id, "snapshotId": one.id, "outcome": "exists"}
        try:
            made = client.create_snapshot(
                VolumeId=volume_id,
                Description=f"Weekly snapshot of {volume_id}, {week}",
                TagSpecifications=snaps.tag_specifications({snaps.WEEK: week}),
            )
        except ClientError as error:
            if code_of(error) == "InvalidVolume.NotFound":
                return {"volumeId": volume_id, "snapshotId": "", "outcome": "gone"}
            raise
    return {"volumeId": volume_id, "snapshotId": made["SnapshotId"], "outcome": "created"}
