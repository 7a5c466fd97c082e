"""One object as it was when it was pinned: every later read names its version and its ETag."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from etl_runner.errors import READER_FAILED, StatesError
from etl_runner.jsontypes import Json
from etl_runner.s3.failures import ATTEMPTS, Failure, failure_of, pause

_OPTIONAL: Final = ("VersionId", "ExpectedBucketOwner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """An object, fixed. `version_id` is None in a bucket without versions: then the ETag alone holds it."""

    bucket: str
    key: str
    version_id: str | None
    etag: str
    size: int

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """From `{"Bucket", "Key", "VersionId", "ETag", "Size"}`."""
        return cls(
            bucket=value["Bucket"],
            key=value["Key"],
            version_id=value.get("VersionId"),
            etag=value["ETag"],
            size=value["Size"],
        )

    def as_json(self) -> dict[str, Json]:
        """`{"Bucket", "Key", "VersionId", "ETag", "Size"}`."""
        return {
            "Bucket": self.bucket,
            "Key": self.key,
            "VersionId": self.version_id,
            "ETag": self.etag,
            "Size": self.size,
        }

    @property
    def uri(self) -> str:
        """s3://bucket/key, for messages."""
        return f"s3://{self.bucket}/{self.key}"


class PinnedStream(io.RawIOBase):
    """The bytes `start` (inclusive) to `end` (exclusive) of a pinned object, streamed.

    One request fetches them all or, with `span_bytes`, that many at most: who reads a little now and then
    should not keep a connection waiting. A connection that breaks, or an answer of the 5xx kind, is
    followed by another request from the byte that was due next. Raises StatesError: `S3.<code>`, or the
    name given as `error_name`, when the object is gone, has changed, is forbidden, or S3 stays away.
    """

    def __init__(
        self,
        s3: Any,
        pinned: Pinned,
        start: int,
        end: int,
        *,
        error_name: str | None = None,
        span_bytes: int | None = None,
    ) -> None:
        super().__init__()
        self.position = start
        self.object_size: int | None = None  # known once the first answer is there
        self._s3 = s3
        self._pinned = pinned
        self._end = end
        self._error_name = error_name
        self._span_bytes = span_bytes or end
        self._request_end = start
        self._body: Any = None

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what fits; 0 at the end."""
        wanted = min(len(buffer), self._end - self.position)
        if wanted <= 0:
            return 0
        data = self._read(wanted)
        buffer[: len(data)] = data
        self.position += len(data)
        if self.position >= self._request_end:
            self._drop()
        return len(data)

    def close(self) -> None:
        """Let go of the connection."""
        self._drop()
        super().close()

    def _read(self, wanted: int) -> bytes:
        for attempt in range(ATTEMPTS):
            try:
                if self._body is None:
                    self._body = self._open()
                data: bytes = self._body.read(min(wanted, self._request_end - self.position))
            except Exception as error:
                failure = failure_of(error)
                if failure is None:
                    raise
                self._drop()
                if not failure.passing or attempt == ATTEMPTS - 1:
                    raise self._explain(failure) from error
            else:
                if data:
                    return data
                self._drop()  # it ended early without a word
            pause(attempt)
        raise StatesError(
            self._error_name or "S3.IncompleteRead",
            f"{self._pinned.uri} ended {ATTEMPTS} times at byte {self.position}, before byte {self._end}",
        )

    def _open(self) -> Any:
        version = {"VersionId": self._pinned.version_id} if self._pinned.version_id else {}
        self._request_end = min(self._end, self.position + self._span_bytes)
        answer = self._s3.get_object(
            Bucket=self._pinned.bucket,
            Key=self._pinned.key,
            Range=f"bytes={self.position}-{self._request_end - 1}",
            IfMatch=self._pinned.etag,
            **version,
        )
        self.object_size = int(answer["ContentRange"].rpartition("/")[2])
        return answer["Body"]

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def _explain(self, failure: Failure) -> StatesError:
        doing = f"read {self._pinned.uri} at byte {self.position}"
        if failure.status in {404, 412}:
            version = self._pinned.version_id or "without a version"
            doing += f" as it was when it was pinned (version {version}, ETag {self._pinned.etag})"
        return failure.as_error(self._error_name or f"S3.{failure.code}", doing)


def read_range(s3: Any, pinned: Pinned, start: int, end: int, *, error_name: str | None = None) -> bytes:
    """The bytes from `start` (inclusive) to `end` (exclusive), all in memory. Raises like PinnedStream."""
    with PinnedStream(s3, pinned, start, end, error_name=error_name) as stream:
        return stream.readall()


def pin(s3: Any, parameters: Mapping[str, Json]) -> Pinned:
    """Look at the object once and fix what every later read will see.

    `parameters` are those of the ItemReader: Bucket, Key and perhaps VersionId and ExpectedBucketOwner.
    Raises StatesError States.ItemReaderFailed.
    """
    bucket, key = _wanted(parameters)
    extra = {name: parameters[name] for name in _OPTIONAL if parameters.get(name)}
    try:
        head = s3.head_object(Bucket=bucket, Key=key, **extra)
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        failure = _told_by_get(s3, bucket, key, extra) or failure
        raise failure.as_error(READER_FAILED, f"read s3://{bucket}/{key}") from error
    return Pinned(
        bucket=bucket,
        key=key,
        version_id=head.get("VersionId") or parameters.get("VersionId"),
        etag=head["ETag"],
        size=head["ContentLength"],
    )


def _wanted(parameters: Mapping[str, Json]) -> tuple[str, str]:
    for name in ("Bucket", "Key"):
        value = parameters.get(name)
        if not isinstance(value, str) or not value:
            raise StatesError(
                READER_FAILED, f"the ItemReader's Parameters need {name} as a text, and it is {value!r}"
            )
    for name in parameters:
        if name not in {"Bucket", "Key", *_OPTIONAL}:
            raise StatesError(
                READER_FAILED,
                f"the ItemReader's Parameters have {name}, which is not supported; "
                f"it takes Bucket, Key, {', '.join(_OPTIONAL)}",
            )
    return parameters["Bucket"], parameters["Key"]


def _told_by_get(s3: Any, bucket: str, key: str, extra: Mapping[str, str]) -> Failure | None:
    """An answer to HEAD has no body, so it cannot say whether the key or the bucket is missing; GET can."""
    try:
        s3.get_object(Bucket=bucket, Key=key, Range="bytes=0-0", **extra)["Body"].close()
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        return failure
    return None
