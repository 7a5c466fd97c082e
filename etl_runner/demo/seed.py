"""What must be in AWS before the three workflows can run: buckets, configuration, volumes, a topic.

Everything is looked for before it is made, so that seeding twice leaves one of each.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from botocore.exceptions import ClientError

from etl_runner.arn import DEFAULT_ACCOUNT
from etl_runner.aws import AwsAccess
from etl_runner.demo.catalogue import ALL_SOURCES
from etl_runner.demo.fake_zuora import PASSWORD, USER
from etl_runner.jsontypes import Json, dumps_canonical
from etl_runner.s3 import put_versioned

SOURCES_KEY: Final = "daily_import/sources.json"
ZUORA_KEY: Final = "subscriber_export/fulfilment.private.json"
VOLUME_TAG: Final = "Backup"
"""As EBS_VOLUME_TAG in workflows/ebs_snapshot_rotation/functions.yaml."""

_OLD_SNAPSHOTS: Final = 8
_MARK: Final = "DemoRole"
_REGIONS: Final = ("UK", "CA", "CA_HAND", "US", "AU", "NZ", "VU", "EU", "ROW")


@dataclass(frozen=True, kw_only=True)
class DemoStores:
    """Buckets, configuration and the topic with its inbox: all that two of the three workflows need."""

    region: str
    config_bucket: str
    raw_bucket: str
    resources_bucket: str
    export_bucket: str
    topic_arn: str
    queue_url: str

    @property
    def buckets(self) -> tuple[str, ...]:
        """All of them."""
        return (self.config_bucket, self.raw_bucket, self.resources_bucket, self.export_bucket)

    def environment(self) -> dict[str, str]:
        """What the task functions need beside AWS itself and the URLs of the fake services.

        The export looks at its job every second instead of every half minute.
        """
        return {
            "ETL_CONFIG_BUCKET": self.config_bucket,
            "ETL_RAW_BUCKET": self.raw_bucket,
            "ETL_RESOURCES_BUCKET": self.resources_bucket,
            "ETL_EXPORT_BUCKET": self.export_bucket,
            "ETL_TOPIC_ARN": self.topic_arn,
            "EBS_TOPIC_ARN": self.topic_arn,
            "ETL_EXPORT_WAIT_SECONDS": "1",
            "ETL_EXPORT_MAX_WAIT_SECONDS": "1",
        }


@dataclass(frozen=True, kw_only=True)
class DemoWorld(DemoStores):
    """What was seeded. `new_snapshot` is a snapshot of `volume` that no workflow has seen yet.

    The first tagged volume has more old snapshots than the rotation keeps; `untagged_volume` takes no part.
    """

    volume: str
    second_volume: str
    untagged_volume: str
    old_snapshots: tuple[str, ...]
    new_snapshot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStart:
    """One way in which the demo starts a workflow.

    `trigger` names a schedule or an event rule of config/. `event` is an EventBridge event, None for a
    schedule. `input` is what the execution is to get.
    """

    workflow: str
    trigger: str
    input: Json
    event: Json = None


def seed(aws: AwsAccess, *, prefix: str = "etl", sources: Sequence[str] | None = None) -> DemoWorld:
    """Make what is missing and give all of it. `sources` limits the daily import to some, None for all.

    Raises StatesError or botocore's errors when AWS does not answer or refuses.
    """
    stores = seed_stores(aws, prefix=prefix, sources=sources)
    ec2 = aws.client("ec2")
    volumes = {role: _volume(ec2, stores.region, role) for role in ("first", "second", "untagged")}
    old = tuple(_snapshot(ec2, volumes["first"], f"old-{number}") for number in range(_OLD_SNAPSHOTS))
    return DemoWorld(
        **vars(stores),
        volume=volumes["first"],
        second_volume=volumes["second"],
        untagged_volume=volumes["untagged"],
        old_snapshots=old,
        new_snapshot=_snapshot(ec2, volumes["first"], "new"),
    )


def seed_stores(aws: AwsAccess, *, prefix: str = "etl", sources: Sequence[str] | None = None) -> DemoStores:
    """The part of `seed` that has nothing to do with EC2. Raises what `seed` raises."""
    s3, region = aws.client("s3"), aws.region or "us-east-1"
    names = {role: f"{prefix}-{role}" for role in ("config", "raw", "resources", "exports")}
    for bucket in names.values():
        _make_bucket(s3, bucket)
    _configure(s3, names["config"], sources)
    topic_arn, queue_url = _topic_with_inbox(aws, f"{prefix}-alerts")
    return DemoStores(
        region=region,
        config_bucket=names["config"],
        raw_bucket=names["raw"],
        resources_bucket=names["resources"],
        export_bucket=names["exports"],
        topic_arn=topic_arn,
        queue_url=queue_url,
    )


def demo_inputs(world: DemoWorld, day: date) -> list[DemoStart]:
    """How the demo starts each workflow for a day, through the triggers that config/ ships."""
    event = created_event(world, day)
    today = day.isoformat()
    export = {"type": "homedelivery", "deliveryDateDaysFromNow": 1, "today": today}
    return [
        DemoStart(workflow="daily_import", trigger="daily-import", input={"date": today}),
        DemoStart(workflow="subscriber_export", trigger="home-delivery-1", input=export),
        DemoStart(workflow="ebs_snapshot_rotation", trigger="ebs-snapshot-created", input=event, event=event),
    ]


def created_event(world: DemoWorld, day: date) -> Json:
    """The event that EC2 would send for the world's new snapshot; the same snapshot, the same event id."""
    arn = f"arn:aws:ec2::{world.region}"
    return {
        "version": "0",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{world.new_snapshot}/{day}")),
        "detail-type": "EBS Snapshot Notification",
        "source": "aws.ec2",
        "account": DEFAULT_ACCOUNT,
        "time": f"{day}T03:04:11Z",
        "region": world.region,
        "resources": [f"{arn}:snapshot/{world.new_snapshot}"],
        "detail": {
            "event": "createSnapshot",
            "result": "succeeded",
            "cause": "",
            "request-id": "",
            "snapshot_id": f"{arn}:snapshot/{world.new_snapshot}",
            "source": f"{arn}:volume/{world.volume}",
            "startTime": f"{day}T03:00:07Z",
            "endTime": f"{day}T03:04:10Z",
        },
    }


def told(aws: AwsAccess, world: DemoStores) -> list[dict[str, Any]]:
    """Take what was published to the topic since the last call: `[{Subject, Message, ...}]`, oldest first."""
    sqs = aws.client("sqs")
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=world.queue_url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=world.queue_url, ReceiptHandle=message["ReceiptHandle"])
    return found


def _make_bucket(s3: Any, name: str) -> None:
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def _configure(s3: Any, bucket: str, names: Sequence[str] | None) -> None:
    definitions = [one.definition() for one in ALL_SOURCES if names is None or one.name in names]
    zuora = {
        "url": "http://127.0.0.1:1",
        "user": USER,
        "password": PASSWORD,
    }  # ETL_ZUORA_URL says where it is
    folders = {
        "homeDelivery": "fulfilment_output/",
        "weekly": {region: f"weekly_output/{region.lower()}/" for region in _REGIONS},
    }
    objects: Mapping[str, Json] = {
        SOURCES_KEY: {"sources": definitions},
        ZUORA_KEY: {"zuora": zuora, "folders": folders},
    }
    for key, value in objects.items():
        put_versioned(
            bucket, key, dumps_canonical(value), idempotency_key=f"seed:{key}",
            content_type="application/json", s3=s3,
        )  # fmt: skip


def _topic_with_inbox(aws: AwsAccess, name: str) -> tuple[str, str]:
    """A topic and a queue that gets what is published there. Both are found again by their names."""
    sns, sqs = aws.client("sns"), aws.client("sqs")
    topic_arn = sns.create_topic(Name=name)["TopicArn"]
    queue_url = sqs.create_queue(QueueName=f"{name}-inbox")["QueueUrl"]
    asked = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
    queue_arn = asked["Attributes"]["QueueArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
            }
        ],
    }
    sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": json.dumps(policy)})
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn)
    return topic_arn, queue_url


def _volume(ec2: Any, region: str, role: str) -> str:
    found = ec2.describe_volumes(Filters=[{"Name": f"tag:{_MARK}", "Values": [role]}])["Volumes"]
    if found:
        return str(found[0]["VolumeId"])
    tags = {_MARK: role} | ({} if role == "untagged" else {VOLUME_TAG: "weekly"})
    made = ec2.create_volume(
        AvailabilityZone=f"{region}a", Size=8, TagSpecifications=_tag_specifications("volume", tags)
    )
    return str(made["VolumeId"])


def _snapshot(ec2: Any, volume_id: str, role: str) -> str:
    """A snapshot by its role; old ones carry the tags that the rotation gave them in earlier weeks.

    One that the rotation has deleted is made anew, as if another week had passed.
    """
    wanted = [{"Name": f"tag:{_MARK}", "Values": [role]}, {"Name": "volume-id", "Values": [volume_id]}]
    found = ec2.describe_snapshots(Filters=wanted)["Snapshots"]
    if found:
        return str(found[0]["SnapshotId"])
    tags = {_MARK: role}
    if role != "new":
        # All are made in this moment. The tag by which copies tell their age tells it of these: without it
        # the rotation could take the new one for the oldest.
        week = int(role.removeprefix("old-"))
        tags |= {
            "OriginalVolumeId": volume_id,
            "AutomatedSnapName": f"{volume_id}_{role}",
            "SourceStartTime": f"2025-01-{week + 1:02d}T03:00:00Z",
        }
    made = ec2.create_snapshot(
        VolumeId=volume_id, Description="demo", TagSpecifications=_tag_specifications("snapshot", tags)
    )
    return str(made["SnapshotId"])


def _tag_specifications(kind: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
