"""Reading snapshots from EC2: clients by region, every page, only the fields that matter."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

import boto3
from botocore.config import Config

# The tags that carry what the original kept in a description, or did not keep at all.
AUTOMATED: Final = "AutomatedSnapName"
VOLUME: Final = "OriginalVolumeId"
SOURCE_SNAPSHOT: Final = "SourceSnapshotId"
SOURCE_REGION: Final = "OriginalRegion"
SOURCE_START: Final = "SourceStartTime"
WEEK: Final = "SnapshotWeek"

# boto3 retries quickly a few times, the state machine slowly and with jitter; both long would multiply.
_CONFIG: Final = Config(
    retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=30
)


@cache
def _client(region: str, _endpoint: str | None) -> Any:
    return boto3.client("ec2", region_name=region, config=_CONFIG)


def ec2(region: str) -> Any:
    """The EC2 client of a region. The endpoint is part of the cache's key, for processes that live long."""
    return _client(region, os.environ.get("AWS_ENDPOINT_URL_EC2") or os.environ.get("AWS_ENDPOINT_URL"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the rotation needs to know of one snapshot."""

    id: str
    volume_id: str
    state: str
    started: datetime
    encrypted: bool
    tags: Mapping[str, str]

    @property
    def taken(self) -> str:
        """When the data was frozen, as text that sorts: for a copy, the time of its source."""
        return self.tags.get(SOURCE_START) or iso(self.started)


def iso(moment: datetime) -> str:
    """`2026-11-22T03:00:00Z`; fixed width, so that texts sort like times."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags in the form of EC2's requests."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_specifications(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Tags that a snapshot is born with, so that it never exists without them."""
    return [{"ResourceType": "snapshot", "Tags": tag_list(tags)}]


def snapshots(client: Any, filters: Mapping[str, Sequence[str]]) -> Iterator[Snapshot]:
    """Every snapshot of this account that passes the filters, from all pages."""
    pages = client.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=_filters(filters))
    for page in pages:
        yield from (_snapshot(raw) for raw in page.get("Snapshots", ()))


def snapshot(client: Any, snapshot_id: str) -> Snapshot | None:
    """One snapshot by its id; None when it is gone."""
    return next(snapshots(client, {"snapshot-id": [snapshot_id]}), None)


def volumes(client: Any, filters: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    """Every volume that passes the filters, as EC2 describes it, from all pages."""
    for page in client.get_paginator("describe_volumes").paginate(Filters=_filters(filters)):
        yield from page.get("Volumes", ())


def _filters(filters: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": list(values)} for name, values in filters.items()]


def _snapshot(raw: Mapping[str, Any]) -> Snapshot:
    return Snapshot(
        id=raw["SnapshotId"],
        volume_id=raw.get("VolumeId", ""),
        state=raw.get("State", ""),
        started=raw["StartTime"],
        encrypted=bool(raw.get("Encrypted", False)),
        tags={tag["Key"]: tag["Value"] for tag in raw.get("Tags", ())},
    )
