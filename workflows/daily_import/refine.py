"""Raw rows to refined parts: one part per chunk, its bytes the same every time."""

import gzip
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from etl_runner.errors import StatesError
from etl_runner.jsontypes import dumps, loads
from etl_runner.s3 import open_object, put_versioned, read_chunk
from workflows.daily_import.errors import InvalidConfiguration, UnreadableFile
from workflows.daily_import.transform import KINDS, VERSION, RowRejected

WHOLE_LIMIT_BYTES: Final = 64 << 20
"""A JSON array cannot be cut into chunks without reading it, so it is read at once, up to this size."""

_NDJSON_GZIP: Final = "application/x-ndjson+gzip"


def refine_chunk(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Refine one chunk of a CSV or NDJSON file.

    Takes `{chunk, source, date, raw, settings}`; `chunk` is a chunk reference. Gives `{index, rows,
    rejects}`; small, since a Map holds the results of all its chunks. Raises UnreadableFile.
    """
    chunk = event["chunk"]
    return _refine(
        event, context, _readable(read_chunk(chunk)), (chunk["Index"], chunk["Start"], chunk["End"])
    )


def refine_whole(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Refine a file that is one JSON array of objects, as a single chunk.

    Takes `{source, date, raw, settings}`; gives `{index, rows, rejects}`. Raises UnreadableFile.
    """
    raw = event["raw"]
    if raw["bytes"] > WHOLE_LIMIT_BYTES:
        raise UnreadableFile(
            f"{raw['key']} is a JSON array of {raw['bytes']} bytes; beyond {WHOLE_LIMIT_BYTES} ask for NDJSON"
        )
    with open_object(raw["bucket"], raw["key"], version_id=raw["versionId"], decompress=False) as stream:
        text = stream.read()
    try:
        rows = loads(text)
    except ValueError as error:
        raise UnreadableFile(f"{raw['key']} is not JSON: {error}") from error
    if not isinstance(rows, list):
        raise UnreadableFile(f"{raw['key']} is not a JSON array but a {type(rows).__name__}")
    return _refine(event, context, rows, (0, 0, raw["bytes"]))


def _readable(rows: Iterable[Any]) -> Iterator[Any]:
    try:
        yield from rows
    except StatesError as error:
        if error.error == "MalformedRecord":
            raise UnreadableFile(error.cause) from error
        raise


def part_name(version_id: str | None, etag: str, index: int) -> str:
    """The name of a part: which bytes of which raw version it comes from, and by which transformation."""
    identity = f"{version_id or etag}|{index}|{VERSION}"
    return f"part-{index:05d}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.ndjson.gz"


@dataclass(slots=True)
class _Lines:
    """Gzipped JSON lines in memory. No name and no time go in: equal rows give equal bytes."""

    count: int = 0
    _buffer: io.BytesIO = field(default_factory=io.BytesIO)
    _zip: gzip.GzipFile = field(init=False)

    def __post_init__(self) -> None:
        self._zip = gzip.GzipFile(filename="", mode="wb", fileobj=self._buffer, mtime=0, compresslevel=6)

    def add(self, row: Any) -> None:
        self._zip.write(dumps(row) + b"\n")
        self.count += 1

    def close(self) -> bytes:
        self._zip.close()
        return self._buffer.getvalue()


def _refine(
    event: Mapping[str, Any], context: Any, rows: Iterable[Any], place: tuple[int, int, int]
) -> dict[str, Any]:
    source, raw, bucket = event["source"], event["raw"], event["settings"]["resourcesBucket"]
    refiner = KINDS.get(source["kind"])
    if refiner is None:
        raise InvalidConfiguration(f"{source['name']} has the unknown kind {source['kind']!r}")
    index, start, end = place
    good, bad = _Lines(), _Lines()
    for row in rows:
        try:
            good.add(refiner(_columns(row), source, event["date"]))
        except RowRejected as rejected:
            bad.add({"reason": str(rejected), "row": row})
    name = part_name(raw["versionId"], raw["etag"], index)
    folder = f"{source['name']}/dt={event['date']}/{name}"
    metadata = {"rows": str(good.count), "rejects": str(bad.count), "start": str(start), "end": str(end),
                "raw-version": raw["versionId"] or raw["etag"], "transform": VERSION}  # fmt: skip
    if bad.count:  # before the part: a part that is there has its rejects
        _put(bucket, f"rejects/{folder}", bad, metadata, context)
    _put(bucket, f"refined/{folder}", good, metadata, context)
    return {"index": index, "rows": good.count, "rejects": bad.count}


def _put(bucket: str, key: str, lines: _Lines, metadata: Mapping[str, str], context: Any) -> None:
    put_versioned(
        bucket,
        key,
        lines.close(),
        idempotency_key=f"{context.idempotency_key}:{key}",
        metadata=metadata,
        content_type=_NDJSON_GZIP,
    )


def _columns(row: Any) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise RowRejected("not an object with columns")
    return row
