"""The items of a Distributed Map, read lazily from a pinned object with a cursor that can be stored."""

import io
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final, Self

from etl_runner.errors import READER_FAILED
from etl_runner.jsontypes import Json
from etl_runner.s3 import pinned as pinned_objects
from etl_runner.s3.pinned import Pinned, PinnedStream, read_range
from etl_runner.s3.plan import ChunkPlanner, Cursor, first_cursor
from etl_runner.s3.reader_config import ReaderConfig
from etl_runner.s3.records import CsvRecords, JsonArray, JsonLines

BUFFER_BYTES: Final = 1024 * 1024
"""Fetched by one request; no connection is kept between two calls of take()."""


def pin(s3: Any, parameters: Mapping[str, Json], *, config: Mapping[str, Json]) -> dict[str, Json]:
    """Fix what every later read will see: `{"Bucket", "Key", "VersionId", "ETag", "Size"}`.

    `parameters` are the ItemReader's (Bucket, Key, perhaps VersionId), `config` its ReaderConfig, which is
    checked before S3 is asked. VersionId is null in a bucket without versions.
    Raises StatesError States.ItemReaderFailed.
    """
    ReaderConfig.from_json(config)
    return pinned_objects.pin(s3, parameters).as_json()


class ItemStream:
    """The items of a pinned object: CSV rows as dicts, JSON values, or chunk references with ChunkBytes.

    `cursor` (JSON) taken between two calls of take() and given to a new stream of the same `pinned` and
    `config` goes on exactly there. Nothing but a buffer, the items taken and one record is in memory.
    MaxItems counts what take() gives: rows, or chunks. Close it, or use it as a context manager, to let go
    of the buffer. Raises StatesError States.ItemReaderFailed naming bucket, key and byte.
    """

    def __init__(
        self, s3: Any, pinned: Mapping[str, Json], config: Mapping[str, Json], cursor: Json = None
    ) -> None:
        self._s3 = s3
        self._pinned = Pinned.from_json(pinned)
        self._config = ReaderConfig.from_json(config)
        self._stream: io.BufferedReader | None = None
        self._records: CsvRecords | JsonLines | JsonArray | ChunkPlanner | None = None
        self._cursor = (
            Cursor.from_json(cursor)
            if cursor is not None
            else first_cursor(self._read_range, self._pinned, self._config)
        )
        self._exhausted = False

    @property
    def cursor(self) -> Json:
        """Where the next item comes from; JSON, to be stored."""
        return self._cursor.as_json()

    @property
    def done(self) -> bool:
        """Whether no item is left. What is left may be empty lines: then take() gives [] and it is done."""
        return self._exhausted or self._cursor.offset >= self._pinned.size or self._allowed(1) == 0

    def take(self, count: int) -> list[Json]:
        """The next items: `count` of them, or fewer at the end."""
        wanted = self._allowed(count)
        if wanted == 0 or self.done:
            return []
        if self._records is None:
            self._records = self._open()
        records = self._records
        if isinstance(records, ChunkPlanner):
            items: list[Json] = list(records.take(wanted))
            self._cursor = Cursor.from_json(records.cursor)
        else:
            items = list(islice(records, wanted))
            self._cursor = Cursor(
                offset=records.offset, index=self._cursor.index + len(items), header=self._cursor.header
            )
        if len(items) < wanted:
            self._exhausted = True
            self.close()
        return items

    def close(self) -> None:
        """Let go of the connection. take() may be called again and opens another."""
        if self._stream is not None:
            self._stream.close()
            self._stream = self._records = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _allowed(self, count: int) -> int:
        most = self._config.max_items
        return count if most is None else max(0, min(count, most - self._cursor.index))

    def _read_range(self, start: int, end: int) -> bytes:
        return read_range(self._s3, self._pinned, start, end, error_name=READER_FAILED)

    def _open(self) -> CsvRecords | JsonLines | JsonArray | ChunkPlanner:
        if self._config.chunk_bytes is not None:
            return ChunkPlanner(self._read_range, self._pinned, self._config, self.cursor)
        offset, name = self._cursor.offset, self._pinned.uri
        raw = PinnedStream(
            self._s3,
            self._pinned,
            offset,
            self._pinned.size,
            error_name=READER_FAILED,
            span_bytes=BUFFER_BYTES,
        )
        self._stream = io.BufferedReader(raw, BUFFER_BYTES)
        if self._config.input_type == "JSONL":
            return JsonLines(self._stream, offset, name=name)
        if self._config.input_type == "JSON":
            return JsonArray(self._stream, offset, first=self._cursor.index == 0, name=name)
        return CsvRecords(
            self._stream,
            offset,
            header=self._cursor.header or [],
            delimiter=self._config.delimiter_char,
            name=name,
        )
