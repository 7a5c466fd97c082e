"""The one place where a published list is replaced, and what guards it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from etl_runner.errors import StatesError
from etl_runner.s3 import VersionedWriter, client, open_chunk
from workflows.subscriber_export.errors import PublishConflict

_ATTEMPTS: Final = 5
_BLOCK: Final = 1 << 20
_SEEN: Final = "submitted-at"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Published:
    """The published version. `submitted_at` is that of the newest export known to give this content."""

    version_id: str | None
    submitted_at: str
    sha256: str
    job_id: str


def publish_version(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Publish one staged list, unless what is published is the same or newer.

    Takes `{plan, job, list}`; gives `{name, key, bucket, rows, outcome, versionId}` with outcome

    - "published": a new version, on the condition that the one looked at was still the newest. It may be
      there already, written by a try that ended before it could say so; it is not written again;
    - "unchanged": the same content is published; no version is made;
    - "superseded": what is published comes from an export submitted later; it stays;
    - "empty": the list has no rows and nothing is published that it could replace.

    Raises PublishConflict when others keep replacing the object.
    """
    plan, wanted = event["plan"], event["list"]
    for _ in range(_ATTEMPTS):
        current = _look(plan["bucket"], wanted["key"])
        outcome = _verdict(current, wanted, plan["submittedAt"], event["job"]["jobId"])
        version_id = current.version_id if current else None
        if outcome == "unchanged":
            _note_seen(plan, wanted["key"], current)
        if outcome == "published":
            try:
                version_id = _write(event, current, context)
            except StatesError as error:
                if error.error == "PreconditionFailed":
                    continue  # another export published meanwhile: look again, it may be newer
                raise
        return {
            "name": wanted["name"],
            "bucket": plan["bucket"],
            "key": wanted["key"],
            "rows": wanted["rows"],
            "outcome": outcome,
            "versionId": version_id,
        }
    raise PublishConflict(
        f"{wanted['key']} was replaced by others {_ATTEMPTS} times in a row; nothing was written"
    )


def _verdict(current: _Published | None, wanted: Mapping[str, Any], submitted_at: str, job_id: str) -> str:
    if current is None:
        return "published" if wanted["rows"] else "empty"
    if current.submitted_at > submitted_at:
        return "superseded"
    # A version of this very export goes to the writer again, which finds its own work and records it.
    same = current.sha256 == wanted["sha256"] and current.job_id != job_id
    return "unchanged" if same else "published"


def _look(bucket: str, key: str) -> _Published | None:
    s3 = client()
    try:
        head = s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise
    metadata = head["Metadata"]
    pinned = {"VersionId": head["VersionId"]} if head.get("VersionId") else {}
    tags = s3.get_object_tagging(Bucket=bucket, Key=key, **pinned)["TagSet"]
    seen = [tag["Value"] for tag in tags if tag["Key"] == _SEEN]
    return _Published(
        version_id=head.get("VersionId"),
        submitted_at=max([metadata.get(_SEEN, ""), *seen]),
        sha256=metadata.get("sha256", ""),
        job_id=metadata.get("job-id", ""),
    )


def _note_seen(plan: Mapping[str, Any], key: str, current: _Published | None) -> None:
    """Note on the published version, as a tag, that a newer export gave the same.

    Otherwise a slow export submitted in between could replace it. A tag makes no version; metadata would.
    """
    if current is None or current.submitted_at == plan["submittedAt"]:
        return
    pinned = {"VersionId": current.version_id} if current.version_id else {}
    tags = [{"Key": _SEEN, "Value": plan["submittedAt"]}]
    client().put_object_tagging(Bucket=plan["bucket"], Key=key, Tagging={"TagSet": tags}, **pinned)


def _write(event: Mapping[str, Any], current: _Published | None, context: Any) -> str | None:
    plan, wanted = event["plan"], event["list"]
    metadata = {
        "job-id": event["job"]["jobId"],
        _SEEN: plan["submittedAt"],
        "sha256": wanted["sha256"],
        "rows": str(wanted["rows"]),
    }
    writer = VersionedWriter(
        plan["bucket"],
        wanted["key"],
        idempotency_key=f"{context.idempotency_key}:{wanted['key']}",
        metadata=metadata,
        content_type="text/csv; charset=utf-8",
        if_version=current.version_id if current else None,
    )
    with writer, open_chunk(wanted["staged"]) as staged:
        while block := staged.read(_BLOCK):
            writer.write(block)
    return writer.receipt.version_id
