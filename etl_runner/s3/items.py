"""The items of one pinned object, read lazily with a cursor that can be stored."""

import io
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Self, TypeAlias

from etl_runner.errors import READER_FAILED, StatesError
from etl_runner.jsontypes import Json
from etl_runner.machine.map_plan import default_input
from etl_runner.s3 import pinned as pinned_objects
from etl_runner.s3.json_items import ARRAY, OBJECT, JsonItems
from etl_runner.s3.object_bytes import ObjectBytes
from etl_runner.s3.pinned import Pinned
from etl_runner.s3.plan import ChunkPlanner, Cursor, first_cursor
from etl_runner.s3.reader_config import ReaderConfig
from etl_runner.s3.records import CsvRecords, JsonLines
from etl_runner.s3.taken import Segment, Taken

_Records: TypeAlias = CsvRecords | JsonLines | JsonItems | ChunkPlanner


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

    `cursor` (JSON) taken between two calls of read() and given to a new stream of the same `pinned` and
    `config` goes on exactly there, and so does the cursor that Taken gives for any place within. Nothing but
    a buffer, the items taken and one record is in memory. MaxItems counts what read() gives: rows, or chunks.
    Close it, or use it as a context manager, to let go of the buffer. Raises StatesError
    States.ItemReaderFailed naming bucket, key and byte.
    """

    def __init__(
        self, s3: Any, pinned: Mapping[str, Json], config: Mapping[str, Json], cursor: Json = None
    ) -> None:
        self._bytes = ObjectBytes.of(s3, Pinned.from_json(pinned))
        self._pinned = replace(self._bytes.pinned, size=self._bytes.size)
        self._config = ReaderConfig.from_json(config)
        self._stream: io.BufferedReader | None = None
        self._records: _Records | None = None
        self._exhausted = False
        self._refuse_compressed_chunks()
        self._cursor = (
            Cursor.from_json(cursor)
            if cursor is not None
            else first_cursor(self._bytes.read, self._pinned, self._config)
        )
        skip, self._cursor = self._cursor.skip, replace(self._cursor, skip=0)
        if skip:
            self.read(skip)

    @property
    def cursor(self) -> Json:
        """Where the next item comes from; JSON, to be stored."""
        return self._cursor.as_json()

    @property
    def done(self) -> bool:
        """Whether surely no item is left. What is left may be empty lines: then read() gives none."""
        return self._exhausted or self._cursor.offset >= self._pinned.size or self._allowed(1) == 0

    def take(self, count: int) -> list[Json]:
        """The next items as children get them: `count` of them, or fewer at the end."""
        return [default_input(value, key) for value, key, _ in self.read(count)]

    def read(self, count: int) -> Taken:
        """The next items with their keys and places: `count` of them, or fewer at the end."""
        before = self._cursor
        wanted = 0 if self.done else self._allowed(count)
        items = self._next(wanted) if wanted else []
        if len(items) < wanted:
            self._exhausted = True
            self.close()

        def cursor_after(number: int) -> Json:
            return replace(before, skip=number).as_json()

        segment = Segment(count=len(items), source=self._bytes.pinned.uri, cursor_after=cursor_after)
        if self._cursor.shape != OBJECT:
            return Taken(values=items, segments=(segment,))
        keys, values = [pair.key for pair in items], [pair.value for pair in items]
        return Taken(values=values, segments=(segment,), keys=keys)

    def close(self) -> None:
        """Let go of the connection. read() may be called again and opens another."""
        if self._stream is not None:
            self._stream.close()
        self._stream = self._records = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _next(self, wanted: int) -> list[Any]:
        if self._records is None:
            self._records = self._open()
        records = self._records
        if isinstance(records, ChunkPlanner):
            chunks = records.take(wanted)
            self._cursor = Cursor.from_json(records.cursor)
            return chunks
        items = list(islice(records, wanted))
        self._cursor = replace(
            self._cursor,
            offset=records.offset,
            index=self._cursor.index + len(items),
            shape=records.shape if isinstance(records, JsonItems) else "",
        )
        return items

    def _allowed(self, count: int) -> int:
        most = self._config.max_items
        return count if most is None else max(0, min(count, most - self._cursor.index))

    def _refuse_compressed_chunks(self) -> None:
        if self._bytes.gzip and self._config.chunk_bytes is not None:
            raise StatesError(
                READER_FAILED,
                f"{self._bytes.pinned.uri} is compressed, so it cannot be cut into chunks; leave ChunkBytes "
                "out, or write it without compression",
            )

    def _open(self) -> _Records:
        config, cursor = self._config, self._cursor
        if config.chunk_bytes is not None:
            return ChunkPlanner(self._bytes.read, self._pinned, config, self.cursor)
        name = self._bytes.pinned.uri
        self._stream = self._bytes.open(cursor.offset)
        if config.input_type == "JSONL":
            return JsonLines(self._stream, cursor.offset, name=name)
        if config.input_type == "JSON":
            # Cursors of earlier releases say nothing of a shape: then it was an array.
            shape = cursor.shape or (ARRAY if cursor.index else "")
            return JsonItems(self._stream, cursor.offset, name=name, shape=shape, pointer=config.pointer)
        header = cursor.header or []
        return CsvRecords(
            self._stream, cursor.offset, header=header, delimiter=config.delimiter_char, name=name
        )
