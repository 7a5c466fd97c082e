"""A versioned write of any length: small ones in one request, long ones in parts while they are made."""

import hashlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from etl_runner.errors import InvalidInput, StatesError
from etl_runner.lineage import note_written
from etl_runner.s3.connection import client
from etl_runner.s3.failures import ATTEMPTS, failure_of, pause
from etl_runner.s3.versions import (
    Content,
    Current,
    Receipt,
    condition_for,
    current_version,
    make_target,
    part_size,
    parts_etag,
)
from etl_runner.s3.write import (
    ANY_VERSION,
    PRECONDITION_FAILED,
    Tries,
    already_there,
    check_version,
    publish,
    receipt_of,
)


class VersionedWriter:
    """Write an object bit by bit; it appears, whole, when the block is left without an exception.

    Up to 8 MiB are written like put_versioned does. More goes to S3 in parts on the way, at most one part
    is in memory; at the end the upload is completed on the condition that the version seen when it began
    is still the newest, or dropped when that version proves to have the same content. An exception inside
    the block leaves no object and no upload. (A killed process leaves its upload: give the bucket a
    lifecycle rule AbortIncompleteMultipartUpload.)

    Another writer's version that came in between cannot be written over, for the bytes are gone: leaving
    the block raises StatesError `PreconditionFailed`, which a Retry of the state takes care of. Otherwise
    errors are those of put_versioned. After a clean exit `receipt` is set.
    """

    def __init__(
        self,
        bucket: str,
        key: str,
        *,
        idempotency_key: str,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        if_version: str | None = ANY_VERSION,
        s3: Any = None,
    ) -> None:
        self._target = make_target(bucket, key, idempotency_key, metadata, content_type)
        self._if_version = if_version
        self._s3 = s3 if s3 is not None else client()
        self._buffer = bytearray()
        self._sha256 = hashlib.sha256()
        self._size = 0
        self._seen: Current | None = None
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._md5s: list[bytes] = []
        self._receipt: Receipt | None = None
        self._closed = False

    @property
    def receipt(self) -> Receipt:
        """What the write came to. Raises InvalidInput before the block was left."""
        if self._receipt is None:
            raise InvalidInput(f"the write to {self._target.uri} is not finished, so it has no receipt yet")
        return self._receipt

    @property
    def size(self) -> int:
        """The bytes written so far."""
        return self._size

    def write(self, data: bytes) -> int:
        """Take some more bytes; how many they were. Raises StatesError when a part cannot be stored."""
        if self._closed:
            raise InvalidInput(f"the write to {self._target.uri} is closed; write inside its with block")
        self._buffer += data
        self._sha256.update(data)
        self._size += len(data)
        # Strictly more: what ends exactly with a part is finished as the last part, or as one request.
        while len(self._buffer) > (due := part_size(len(self._parts))):
            self._store_part(bytes(memoryview(self._buffer)[:due]))
            del self._buffer[:due]
        return len(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        if error is not None:
            self._drop(error)
            return
        try:
            self._receipt = self._finish()
        except BaseException as problem:
            self._drop(problem)
            raise
        note_written(self._receipt.as_json())

    def _finish(self) -> Receipt:
        if self._upload_id is None:
            return publish(self._s3, self._target, bytes(self._buffer), self._if_version)
        if self._buffer:
            self._store_part(bytes(self._buffer))
        content = Content(size=self._size, sha256=self._sha256.hexdigest(), parts_etag=parts_etag(self._md5s))
        return self._complete(content)

    def _store_part(self, data: bytes) -> None:
        if self._upload_id is None:
            self._begin()
        number = len(self._parts) + 1
        answer = self._insist(
            lambda: self._s3.upload_part(
                Bucket=self._target.bucket,
                Key=self._target.key,
                UploadId=self._upload_id,
                PartNumber=number,
                Body=data,
            )
        )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        self._md5s.append(hashlib.md5(data, usedforsecurity=False).digest())

    def _begin(self) -> None:
        target = self._target
        self._seen = self._insist(lambda: current_version(self._s3, target.bucket, target.key))
        check_version(target, self._seen, self._if_version)
        # Where this answer is lost, a first upload without parts dangles: nobody knows its id.
        answer = self._insist(
            lambda: self._s3.create_multipart_upload(
                Bucket=target.bucket,
                Key=target.key,
                Metadata=target.metadata_over(self._seen, None),
                **({"ContentType": target.content_type} if target.content_type else {}),
            )
        )
        self._upload_id = answer["UploadId"]

    def _complete(self, content: Content) -> Receipt:
        tries = Tries(self._target)
        tried = False
        while True:
            try:
                current = current_version(self._s3, self._target.bucket, self._target.key)
                done = already_there(self._target, content, current, tried=tried)
                if done is not None:
                    self._drop(None)
                    return done
                self._refuse_another(current)
                tried = True
                answer = self._s3.complete_multipart_upload(
                    Bucket=self._target.bucket,
                    Key=self._target.key,
                    UploadId=self._upload_id,
                    MultipartUpload={"Parts": self._parts},
                    **condition_for(self._seen),
                )
            except Exception as error:  # noqa: BLE001 -- after() raises what S3 did not cause
                tries.after(error)
            else:
                self._upload_id = None
                return receipt_of(self._target, content, self._seen, answer)

    def _refuse_another(self, current: Current | None) -> None:
        """What the upload's metadata name as replaced must be what it replaces."""
        before, now = (each.version_id or each.etag if each else None for each in (self._seen, current))
        if before != now:
            raise StatesError(
                PRECONDITION_FAILED,
                f"while {self._target.idempotency_key!r} wrote {self._target.uri}, another writer came "
                f"first: there is now {current or 'no version'}, and at the beginning there was "
                f"{self._seen or 'none'}; write it again, from the start",
            )

    def _insist(self, call: Any) -> Any:
        tries = Tries(self._target)
        while True:
            try:
                return call()
            except Exception as error:  # noqa: BLE001 -- after() raises what S3 did not cause
                tries.after(error)

    def _drop(self, because: BaseException | None) -> None:
        """Abort the upload, if one is open. What cannot be aborted is noted on the exception under way."""
        if self._upload_id is None:
            return
        upload_id, self._upload_id = self._upload_id, None
        for attempt in range(ATTEMPTS):
            try:
                self._s3.abort_multipart_upload(
                    Bucket=self._target.bucket, Key=self._target.key, UploadId=upload_id
                )
            except Exception as error:
                failure = failure_of(error)
                if failure is None:
                    raise
                if failure.status == 404:  # completed or aborted by a call whose answer was lost
                    return
                if not failure.passing or attempt == ATTEMPTS - 1:
                    if because is not None:
                        because.add_note(f"the upload {upload_id} to {self._target.uri} could not be aborted")
                    return
                pause(attempt)
            else:
                return
