"""Writes that make a version only when there is something new, and that tell which version they replaced.

One protocol for both kinds of write: look at the key; if its newest version is like what is to be written,
that is the answer; else write on the condition that what was seen is still the newest. An answer that did
not come, or a condition that did not hold, is no verdict: look again and decide anew. So an attempt whose
answer was lost is found as done, and another writer's version is never replaced unseen.

In a bucket without versions all of this works but the recovery of what was replaced: there are no
VersionIds, and the receipts have null for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from etl_runner.errors import StatesError
from etl_runner.lineage import note_written
from etl_runner.s3.connection import client
from etl_runner.s3.failures import ATTEMPTS, Failure, failure_of, pause
from etl_runner.s3.versions import (
    REPLACED,
    SHA256,
    Content,
    Current,
    Receipt,
    Target,
    condition_for,
    content_of,
    current_version,
    make_target,
)

CONFLICT_ATTEMPTS: Final = 25
"""How often another writer may come first: of sixteen racing writers the last one meets fifteen."""
PRECONDITION_FAILED: Final = "PreconditionFailed"
ANY_VERSION: Final = "*"


def put_versioned(
    bucket: str,
    key: str,
    body: bytes | str,
    *,
    idempotency_key: str,
    metadata: Mapping[str, str] | None = None,
    content_type: str | None = None,
    if_version: str | None = ANY_VERSION,
    s3: Any = None,
) -> Receipt:
    """Make `body` the newest version of the key, unless it is already. Text is written as UTF-8.

    The same content with the same metadata and content type makes no version. `if_version` names the
    version that was read beforehand (None: there was no object); another one in its place is refused.

    Raises InvalidInput for metadata S3 cannot carry; StatesError `PreconditionFailed` when `if_version`
    does not hold or other writers keep coming first, `S3.<code>` when S3 refuses or stays away.
    """
    target = make_target(bucket, key, idempotency_key, metadata, content_type)
    data = body.encode() if isinstance(body, str) else bytes(body)
    receipt = publish(s3 if s3 is not None else client(), target, data, if_version)
    note_written(receipt.as_json())
    return receipt


def note_found(bucket: str, key: str, head: Mapping[str, Any]) -> None:
    """Note an object that a task found and takes for its output, as a write that made no version.

    For tasks that look before they fetch what they would write. `head` is HeadObject's answer. Without the
    note, an object whose writer was killed before it could tell of it would be on no record.
    """
    metadata = head.get("Metadata", {})
    note_written(
        {
            "Bucket": bucket,
            "Key": key,
            "VersionId": head.get("VersionId"),
            "ETag": head["ETag"],
            "Bytes": head["ContentLength"],
            "Sha256": metadata.get(SHA256),
            "ReplacedVersionId": None,
            "Unchanged": True,
        }
    )


def publish(s3: Any, target: Target, body: bytes, if_version: str | None) -> Receipt:
    """The protocol for a content that one request can carry. Raises StatesError."""
    content = content_of(body)
    tries = Tries(target)
    tried = False
    while True:
        try:
            current = tries.seen = current_version(s3, target.bucket, target.key)
            done = already_there(target, content, current, tried=tried)
            if done is not None:
                return done
            check_version(target, current, if_version)
            tried = True
            answer = s3.put_object(
                Bucket=target.bucket,
                Key=target.key,
                Body=body,
                Metadata=target.metadata_over(current, content.sha256),
                **({"ContentType": target.content_type} if target.content_type else {}),
                **condition_for(current),
            )
        except Exception as error:  # noqa: BLE001 -- after() raises what S3 did not cause
            tries.after(error)
        else:
            return receipt_of(target, content, current, answer)


def already_there(
    target: Target, content: Content, current: Current | None, *, tried: bool
) -> Receipt | None:
    """The receipt when the newest version is like what is to be written, else None.

    `tried`: this very call has sent its write before, so a version of its own key is its own doing.
    """
    if current is None or not content.same_as(current) or not target.described_by(current):
        return None
    own = target.wrote(current)
    return Receipt(
        bucket=target.bucket,
        key=target.key,
        version_id=current.version_id,
        etag=current.etag,
        size=content.size,
        sha256=content.sha256,
        replaced_version_id=current.metadata.get(REPLACED) if own else None,
        unchanged=not (own and tried),
    )


def receipt_of(
    target: Target, content: Content, replaced: Current | None, answer: Mapping[str, Any]
) -> Receipt:
    """The receipt of a write that S3 has confirmed."""
    return Receipt(
        bucket=target.bucket,
        key=target.key,
        version_id=answer.get("VersionId"),
        etag=answer["ETag"],
        size=content.size,
        sha256=content.sha256,
        replaced_version_id=replaced.version_id if replaced else None,
        unchanged=False,
    )


def check_version(target: Target, current: Current | None, if_version: str | None) -> None:
    """Refuse with StatesError PreconditionFailed when the newest version is not the one named."""
    found = current.version_id if current else None
    if if_version not in {ANY_VERSION, found} or (if_version is None and current is not None):
        raise StatesError(
            PRECONDITION_FAILED,
            f"{target.uri} was to be replaced only if its version is {if_version}, and it is {found}; "
            "read it again and decide anew",
        )


@dataclass(slots=True)
class Tries:
    """Counts what went wrong in one write, waits in between, and says when it is enough."""

    target: Target
    seen: Current | None = None
    conflicts: int = 0
    failures: int = 0

    def after(self, error: Exception) -> None:
        """Wait before the next try. Raises StatesError when none is due, and `error` when it is not S3's."""
        failure = failure_of(error)
        if failure is None:
            raise error
        if failure.conflict or failure.code == "NoSuchKey":  # deleted between the look and the write
            self.conflicts += 1
            if self.conflicts == CONFLICT_ATTEMPTS:
                raise self._others_first(failure) from error
            pause(min(self.conflicts, 4), base_s=0.01)
            return
        self.failures += 1
        # NoSuchUpload: completed already, by a request whose answer was lost; the next look shows it.
        passing = failure.passing or failure.code == "NoSuchUpload"
        if not passing or self.failures == ATTEMPTS:
            raise failure.as_error(f"S3.{failure.code}", f"write {self.target.uri}") from error
        pause(self.failures)

    def _others_first(self, failure: Failure) -> StatesError:
        return StatesError(
            PRECONDITION_FAILED,
            f"the write of {self.target.idempotency_key!r} to {self.target.uri} came after another writer's "
            f"{self.conflicts} times; it saw {self.seen or 'no version'} and was answered {failure.code}; "
            "let one workflow at a time write this key",
        )
