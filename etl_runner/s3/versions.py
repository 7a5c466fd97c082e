"""What is known of an object's newest version, and what a versioned write leaves to know of its own.

An object written by one request says in its metadata whose work it is (etl-idempotency-key), what is in it
(etl-sha256) and what it replaced (etl-replaced-version-id). An object written in parts cannot say its hash
there, because metadata come before the content; for it the ETag of its parts is compared, which is the MD5
of their MD5s at our part sizes. (With SSE-KMS an ETag is no MD5: there equal content in parts is written
again rather than taken for equal.)
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json
from etl_runner.s3.failures import failure_of

IDEMPOTENCY_KEY: Final = "etl-idempotency-key"
SHA256: Final = "etl-sha256"
REPLACED: Final = "etl-replaced-version-id"
OURS: Final = frozenset({IDEMPOTENCY_KEY, SHA256, REPLACED})

PART_BYTES: Final = 8 * 1024 * 1024
_PARTS_OF_ONE_SIZE: Final = 1000
_SAFE_KEY_CHARS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What one versioned write came to.

    `version_id` is None in a bucket without versions. `replaced_version_id` is the version that was the
    newest before this write's, None when there was none. `unchanged`: the object was like this already, so
    no version was made; `replaced_version_id` is then what the same work replaced when it wrote it earlier.
    """

    bucket: str
    key: str
    version_id: str | None
    etag: str
    size: int
    sha256: str
    replaced_version_id: str | None
    unchanged: bool

    def as_json(self) -> dict[str, Json]:
        """The same under the names that histories and pages show."""
        return {
            "Bucket": self.bucket,
            "Key": self.key,
            "VersionId": self.version_id,
            "ETag": self.etag,
            "Bytes": self.size,
            "Sha256": self.sha256,
            "ReplacedVersionId": self.replaced_version_id,
            "Unchanged": self.unchanged,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """The newest version of a key, as HEAD tells it."""

    etag: str
    size: int
    version_id: str | None
    metadata: Mapping[str, str]
    content_type: str

    def __str__(self) -> str:
        """For messages: the version and whose work it is, as far as it says."""
        writer = self.metadata.get(IDEMPOTENCY_KEY)
        by = f"written by {writer!r}" if writer else "by a writer that left no idempotency key"
        return f"version {self.version_id or self.etag} ({by})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a write goes and what it says of itself, whatever its content will be."""

    bucket: str
    key: str
    idempotency_key: str
    metadata: Mapping[str, str]
    content_type: str | None

    @property
    def uri(self) -> str:
        """s3://bucket/key, for messages."""
        return f"s3://{self.bucket}/{self.key}"

    def metadata_over(self, current: Current | None, sha256: str | None) -> dict[str, str]:
        """The metadata of a version put over `current`; `sha256` where it is known beforehand."""
        ours = {
            IDEMPOTENCY_KEY: self.idempotency_key,
            SHA256: sha256,
            REPLACED: current.version_id if current else None,
        }
        return {**self.metadata, **{name: value for name, value in ours.items() if value is not None}}

    def described_by(self, current: Current) -> bool:
        """Whether `current` has this write's own metadata and content type, its content aside."""
        theirs = {name: value for name, value in current.metadata.items() if name not in OURS}
        return theirs == dict(self.metadata) and self.content_type in {None, current.content_type}

    def wrote(self, current: Current) -> bool:
        """Whether `current` is the work of the same idempotency key."""
        return current.metadata.get(IDEMPOTENCY_KEY) == self.idempotency_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What tells contents apart. `parts_etag` is what S3 would call it, written in our parts."""

    size: int
    sha256: str
    parts_etag: str

    def same_as(self, current: Current) -> bool:
        """Whether `current` has this content, as far as it can be told without reading it."""
        if current.size != self.size:
            return False
        told = current.metadata.get(SHA256)
        if told is not None:
            return told == self.sha256
        return current.etag.strip('"') == self.parts_etag


def make_target(
    bucket: str, key: str, idempotency_key: str, metadata: Mapping[str, str] | None, content_type: str | None
) -> Target:
    """Check and put together. Raises InvalidInput for metadata that S3 cannot carry as they are."""
    if not idempotency_key:
        raise InvalidInput(f"the write to s3://{bucket}/{key} needs an idempotency_key, and it is empty")
    plain: dict[str, str] = {}
    for name, value in (metadata or {}).items():
        low = name.lower()  # S3 keeps names in lower case only
        if low in OURS:
            raise InvalidInput(f"the metadata name {name!r} is taken by versioned writes; choose another")
        if not (name + value).isascii() or not (name + value).isprintable() or value != value.strip():
            raise InvalidInput(
                f"the metadata {name!r}: {value!r} of s3://{bucket}/{key} is not plain printable ASCII "
                "without spaces around it, which is what S3 carries unchanged; encode it"
            )
        plain[low] = value
    return Target(
        bucket=bucket,
        key=key,
        idempotency_key=_safe(idempotency_key),
        metadata=plain,
        content_type=content_type,
    )


def current_version(s3: Any, bucket: str, key: str) -> Current | None:
    """The newest version of a key; None when there is none or a delete marker lies on top.

    Raises what the client raises, 404 excepted.
    """
    try:
        head = s3.head_object(Bucket=bucket, Key=key)
    except Exception as error:
        failure = failure_of(error)
        if failure is None or not failure.absent:
            raise
        return None
    return Current(
        etag=head["ETag"],
        size=head["ContentLength"],
        version_id=head.get("VersionId"),
        metadata=head.get("Metadata", {}),
        content_type=head.get("ContentType", ""),
    )


def condition_for(current: Current | None) -> dict[str, str]:
    """The precondition that says: only if `current` is still the newest."""
    return {"IfMatch": current.etag} if current else {"IfNoneMatch": "*"}


def part_size(number: int) -> int:
    """The bytes of part `number` (from 0): 8 MiB, doubled every thousand parts (S3 takes 10,000)."""
    return PART_BYTES << (number // _PARTS_OF_ONE_SIZE)


def parts_etag(part_md5s: Iterable[bytes]) -> str:
    """The ETag that S3 gives to an object of these parts, without its quotes."""
    md5s = list(part_md5s)
    return f"{hashlib.md5(b''.join(md5s), usedforsecurity=False).hexdigest()}-{len(md5s)}"


def content_of(body: bytes) -> Content:
    """What tells `body` from other contents."""
    md5s: list[bytes] = []
    at = 0
    view = memoryview(body)
    while at < len(body):
        end = at + part_size(len(md5s))
        md5s.append(hashlib.md5(view[at:end], usedforsecurity=False).digest())
        at = end
    return Content(size=len(body), sha256=hashlib.sha256(body).hexdigest(), parts_etag=parts_etag(md5s))


def _safe(key: str) -> str:
    """An idempotency key that metadata can carry; a long or unusual one by its hash."""
    if len(key) <= _SAFE_KEY_CHARS and key.isascii() and key.isprintable() and key == key.strip():
        return key
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
