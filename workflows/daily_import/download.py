"""One remote file to the raw bucket, once per edition of the file."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
from botocore.exceptions import ClientError

from etl_runner.s3 import VersionedWriter, client, note_found
from workflows.daily_import.errors import (
    IncompleteDownload,
    ServiceUnavailable,
    SourceChanged,
    SourceNotFound,
    SourceRefused,
    Throttled,
)
from workflows.daily_import.settings import required

_RESUMES: Final = 5
_REPORT_EVERY: Final = 4 << 20
_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """What the source says of its file. `size` None: not announced. `tag` names this edition of the file."""

    url: str
    name: str
    tag: str
    size: int | None


def download(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Stream a source's file of a day to the raw bucket, unless this edition is there.

    Takes `{source, date, settings}`; gives `{bucket, key, versionId, etag, bytes}`. The key holds the
    edition's tag, so that an object under `raw/` is never replaced: another edition is another object. A
    connection that breaks is resumed where it broke, as long as the source still has the same edition.
    Raises ServiceUnavailable, Throttled, SourceChanged, IncompleteDownload, SourceNotFound, SourceRefused.
    """
    source, day = event["source"], event["date"]
    bucket = event["settings"]["rawBucket"]
    url = required("ETL_SOURCES_URL").rstrip("/") + source["path"].format(date=day)
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=True) as http:
        remote = _look(http, url, source["name"])
        edition = hashlib.sha256(remote.tag.encode()).hexdigest()[:16]
        key = f"raw/{source['name']}/{day}/{edition}/{source['name']}.{source['format']}"
        present = _present(bucket, key, remote)
        if present is not None:
            return present
        metadata = {"src-etag": remote.tag, "source": source["name"], "date": day}
        with VersionedWriter(
            bucket, key, idempotency_key=f"{context.idempotency_key}:{key}", metadata=metadata
        ) as writer:
            done = 0
            for block in _blocks(http, remote):
                writer.write(block)
                if done // _REPORT_EVERY != (done + len(block)) // _REPORT_EVERY:
                    context.progress(done, remote.size, "bytes downloaded")
                done += len(block)
    return _told(writer.receipt.bucket, key, writer.receipt.version_id, writer.receipt.etag, done)


def _told(bucket: str, key: str, version_id: str | None, etag: str, size: int) -> dict[str, Any]:
    return {"bucket": bucket, "key": key, "versionId": version_id, "etag": etag, "bytes": size}


def _present(bucket: str, key: str, remote: Remote) -> dict[str, Any] | None:
    try:
        head = client().head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == httpx.codes.NOT_FOUND:
            return None
        raise
    if head["Metadata"].get("src-etag") != remote.tag:
        return None
    note_found(bucket, key, head)
    return _told(bucket, key, head.get("VersionId"), head["ETag"], head["ContentLength"])


def _look(http: httpx.Client, url: str, name: str) -> Remote:
    try:
        answer = http.head(url)
    except httpx.TransportError as error:
        raise ServiceUnavailable(f"{name} cannot be reached: {type(error).__name__}") from error
    _check(answer, name)
    size = answer.headers.get("Content-Length")
    tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
    if not tag:
        raise SourceRefused(
            f"{name} sends neither ETag nor Last-Modified; one edition cannot be told from another"
        )
    return Remote(url=url, name=name, tag=tag, size=int(size) if size else None)


def _blocks(http: httpx.Client, remote: Remote) -> Iterator[bytes]:
    """The file from its first byte to its last, over as many connections as it takes."""
    done = 0
    for _ in range(_RESUMES + 1):
        try:
            for block in _from(http, remote, done):
                done += len(block)
                yield block
        except httpx.TransportError:
            continue  # what came is kept; the next request begins behind it
        if remote.size is None or done == remote.size:
            return
        if done > remote.size:
            break
    raise IncompleteDownload(f"{remote.name} announced {remote.size} bytes and sent {done}")


def _from(http: httpx.Client, remote: Remote, start: int) -> Iterator[bytes]:
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": remote.tag}
    with http.stream("GET", remote.url, headers=headers) as answer:
        _check(answer, remote.name)
        resumed = answer.status_code == httpx.codes.PARTIAL_CONTENT
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        if tag != remote.tag or resumed != bool(start):
            raise SourceChanged(f"{remote.name} was replaced while it was being read, at byte {start}")
        # As it comes: gathered into larger blocks, what came before a break would be lost with the break.
        yield from answer.iter_raw()


def _check(answer: httpx.Response, name: str) -> None:
    match answer.status_code:
        case 200 | 206:
            return
        case 429:
            raise Throttled(f"{name} answered 429")
        case 404 | 410:
            raise SourceNotFound(f"{name} has no file of this day (it answered {answer.status_code})")
        case status if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise ServiceUnavailable(f"{name} answered {status}")
        case status:
            raise SourceRefused(f"{name} answered {status}")
