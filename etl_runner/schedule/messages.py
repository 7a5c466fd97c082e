"""What a message of a queue says: the events in its body. Pure.

- An EventBridge event (`source`, `detail-type`, `detail`) is taken as it is, with its own id.
- An S3 notification (`Records`) becomes one event per record, shaped like those that S3 sends to EventBridge:
  source `aws.s3`, detail-type `Object Created`, `Object Deleted` ..., detail `{"version", "bucket": {"name"},
  "object": {"key", "size", "etag", "version-id", "sequencer"}, "request-id", "requester",
  "source-ip-address", "reason", "event-name"}`. Keys arrive with `+` and `%XX` in them; here they are plain.
- Any other JSON object is the detail of an event with source `etl-runner.sqs` and the queue's configured name
  as its detail-type; a JSON value of another kind becomes the detail's `body`.

An event without an id gets one from the MessageId, so that a message delivered twice is the same event.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_plus

from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json, loads

QUEUE_SOURCE: Final = "etl-runner.sqs"

_S3_DETAIL_TYPES: Final = {
    "ObjectCreated": "Object Created",
    "ObjectRemoved": "Object Deleted",
    "LifecycleExpiration": "Object Deleted",
    "ObjectAcl": "Object ACL Updated",
    "LifecycleTransition": "Object Storage Class Changed",
    "IntelligentTiering": "Object Access Tier Changed",
}
_S3_EXACT_TYPES: Final = {
    "ObjectRestore:Post": "Object Restore Initiated",
    "ObjectRestore:Completed": "Object Restore Completed",
    "ObjectRestore:Delete": "Object Restore Expired",
    "ObjectTagging:Put": "Object Tags Added",
    "ObjectTagging:Delete": "Object Tags Deleted",
}
_S3_REASONS: Final = {
    "ObjectCreated:Put": "PutObject",
    "ObjectCreated:Post": "POST Object",
    "ObjectCreated:Copy": "CopyObject",
    "ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "ObjectRemoved:Delete": "DeleteObject",
    "ObjectRemoved:DeleteMarkerCreated": "DeleteObject",
    "LifecycleExpiration:Delete": "Lifecycle Expiration",
    "LifecycleExpiration:DeleteMarkerCreated": "Lifecycle Expiration",
}
_S3_DELETIONS: Final = {"DeleteMarkerCreated": "Delete Marker Created", "Delete": "Permanently Deleted"}


def events_of_message(body: str, *, message_id: str, queue: str, queue_url: str) -> list[Json]:
    """The events in a message; none for the test message that S3 sends when notifications are set up.

    Raises InvalidInput when the body is no JSON or a notification that cannot be read.
    """
    try:
        value = loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the message's body is no JSON: {error}") from None
    if isinstance(value, Mapping):
        if {"source", "detail-type", "detail"} <= value.keys():
            return [{"id": message_id} | dict(value)]
        if value.get("Event") == "s3:TestEvent":
            return []
        if _is_s3_notification(value):
            return [
                _s3_event(record, f"{message_id}-{index}") for index, record in enumerate(value["Records"])
            ]
    return [
        {
            "id": message_id,
            "source": QUEUE_SOURCE,
            "detail-type": queue,
            "resources": [queue_url],
            "detail": value if isinstance(value, Mapping) else {"body": value},
        }
    ]


def _is_s3_notification(value: Mapping[str, Json]) -> bool:
    records = value.get("Records")
    return (
        isinstance(records, list)
        and bool(records)
        and all(isinstance(record, Mapping) and record.get("eventSource") == "aws:s3" for record in records)
    )


def _s3_event(record: Mapping[str, Json], event_id: str) -> Json:
    try:
        # Some stand-ins for S3 write `s3:ObjectCreated:Put`.
        name: str = record["eventName"].removeprefix("s3:")
        bucket: str = record["s3"]["bucket"]["name"]
        found: Mapping[str, Json] = record["s3"]["object"]
        key = unquote_plus(found["key"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"the S3 notification cannot be read ({type(error).__name__}: {error}); it must have eventName,"
            " s3.bucket.name and s3.object.key"
        ) from None
    group, _, kind = name.partition(":")
    detail = {
        "version": "0",
        "bucket": {"name": bucket},
        "object": _present(
            {
                "key": key,
                "size": found.get("size"),
                "etag": found.get("eTag"),
                "version-id": found.get("versionId"),
                "sequencer": found.get("sequencer"),
            }
        ),
        "event-name": name,
    } | _present(
        {
            "request-id": _part(record, "responseElements", "x-amz-request-id"),
            "requester": _part(record, "userIdentity", "principalId"),
            "source-ip-address": _part(record, "requestParameters", "sourceIPAddress"),
            "reason": _S3_REASONS.get(name),
            "deletion-type": _S3_DELETIONS.get(kind) if "Delet" in _detail_type(group, name) else None,
        }
    )
    return _present(
        {
            "id": event_id,
            "detail-type": _detail_type(group, name),
            "source": "aws.s3",
            "time": record.get("eventTime"),
            "region": record.get("awsRegion"),
            "resources": [f"arn:aws:s3:::{bucket}"],
            "detail": detail,
        }
    )


def _detail_type(group: str, name: str) -> str:
    return _S3_EXACT_TYPES.get(name) or _S3_DETAIL_TYPES.get(group, name)


def _part(record: Mapping[str, Json], group: str, name: str) -> Json:
    part = record.get(group)
    return part.get(name) if isinstance(part, Mapping) else None


def _present(fields: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in fields.items() if value is not None}
