"""Cutting an object into chunks of whole records, by reading around the cuts only.

A chunk ends at the first record end that BoundarySearch is sure of, at or after its nominal size; the next
one starts there. What is read is a window after each nominal cut: WINDOW_BYTES, which settles files without
any quote at once (see splitter.py), more where it does not. Only where SPECULATION_BYTES of window leave it
ambiguous is the chunk itself read, from its start, to know the state at the cut: then its bytes are read
twice in all. JSON Lines needs the next line feed and nothing else.
"""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from etl_runner.errors import READER_FAILED, StatesError
from etl_runner.jsontypes import Json
from etl_runner.s3.pinned import Pinned
from etl_runner.s3.reader_config import ReaderConfig, check_header
from etl_runner.s3.records import ESCAPE
from etl_runner.s3.splitter import BoundarySearch, State, scan

ReadRange: TypeAlias = Callable[[int, int], bytes]
"""The bytes of one object from `start` (inclusive) to `end` (exclusive), end within the object."""

WINDOW_BYTES: Final = 160 * 1024
"""A little over the field limit of csv.reader, so that one window settles a file without quotes."""
SPECULATION_BYTES: Final = 1024 * 1024
SCAN_BYTES: Final = 1024 * 1024
HEADER_LIMIT_BYTES: Final = 1024 * 1024
HEADER_BYTES: Final = 64 * 1024
BOM: Final = b"\xef\xbb\xbf"
CURSOR_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where a reader of items stands: the byte due next, the items given, the header once it is known.

    `skip` items from that byte on have been given too. `shape` is what a JSON document turned out to be
    (see json_items.py), "" before its first item and for other formats.
    """

    offset: int
    index: int
    header: list[str] | None
    skip: int = 0
    shape: str = ""

    def as_json(self) -> dict[str, Json]:
        """`{"Version", "Offset", "Index", "Header"}`, with "Skip" and "Shape" where there are any."""
        extra = {"Skip": self.skip, "Shape": self.shape}
        return {
            "Version": CURSOR_VERSION,
            "Offset": self.offset,
            "Index": self.index,
            "Header": self.header,
        } | {name: value for name, value in extra.items() if value}

    @classmethod
    def from_json(cls, value: Json) -> "Cursor":
        """Read what as_json gave. Raises StatesError for a cursor of another version."""
        if value.get("Version") != CURSOR_VERSION:
            raise StatesError(
                READER_FAILED,
                f"the cursor is of version {value.get('Version')!r}; this release reads {CURSOR_VERSION}",
            )
        return cls(
            offset=value["Offset"],
            index=value["Index"],
            header=value["Header"],
            skip=value.get("Skip", 0),
            shape=value.get("Shape", ""),
        )


def first_cursor(read: ReadRange, pinned: Pinned, config: ReaderConfig) -> Cursor:
    """The cursor before the first item: behind the byte order mark and, with FIRST_ROW, behind the header.

    Raises StatesError States.ItemReaderFailed for a header that cannot be read.
    """
    offset = len(BOM) if pinned.size >= len(BOM) and read(0, len(BOM)) == BOM else 0
    if config.input_type != "CSV":
        return Cursor(offset=offset, index=0, header=None)
    if config.headers is not None:
        return Cursor(offset=offset, index=0, header=list(config.headers))
    while offset < pinned.size:  # empty lines before the header are no header
        end = _record_end(read, pinned, config, offset)
        if end == offset:
            break
        names, length = _first_row(read(offset, end), pinned, config)
        offset += length
        if names:
            check_header(names)
            return Cursor(offset=offset, index=0, header=names)
    return Cursor(offset=offset, index=0, header=[])


def _record_end(read: ReadRange, pinned: Pinned, config: ReaderConfig, start: int) -> int:
    """The end of the record that starts at `start`, as far as a line feed ends it."""
    delimiter, state, at = ord(config.delimiter_char), State.START, start
    while at < pinned.size:
        if at - start > HEADER_LIMIT_BYTES:
            raise StatesError(
                READER_FAILED,
                f"the first row of {pinned.uri} (at byte {start}) has no end within {HEADER_LIMIT_BYTES} "
                "bytes, so it cannot be the header; is it a CSV file, and is a quote not closed?",
            )
        block = read(at, min(at + HEADER_BYTES, pinned.size))
        if not block:  # a compressed object has ended
            return at
        state, end = scan(block, state, delimiter)
        if end >= 0:
            return at + end
        at += len(block)
    return pinned.size


def _first_row(record: bytes, pinned: Pinned, config: ReaderConfig) -> tuple[list[str], int]:
    """The first row of these bytes and how many of them it takes."""
    try:
        lines = list(io.StringIO(record.decode("utf-8"), newline=""))
        escape = ESCAPE if config.chunk_bytes is None else None
        rows = csv.reader(lines, delimiter=config.delimiter_char, escapechar=escape)
        names = next(rows, [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise StatesError(READER_FAILED, f"the header of {pinned.uri} cannot be read: {error}") from error
    return names, sum(len(line.encode()) for line in lines[: rows.line_num])


class ChunkPlanner:
    """Chunk references of one pinned object, in order, made when they are asked for.

    A planner made anew from `cursor` goes on exactly where this one stands. `bytes_read` counts what this
    one has read. Every record is in exactly one chunk and no chunk is without bytes.
    """

    def __init__(self, read: ReadRange, pinned: Pinned, config: ReaderConfig, cursor: Json = None) -> None:
        if config.chunk_bytes is None:
            raise StatesError(READER_FAILED, "to plan chunks, ReaderConfig needs ChunkBytes")
        self.bytes_read = 0
        self._source = read
        self._pinned = pinned
        self._config = config
        self._chunk_bytes = config.chunk_bytes
        self._window = (0, b"")  # the last window read, for chunks smaller than a window
        start = Cursor.from_json(cursor) if cursor is not None else first_cursor(self._read, pinned, config)
        self._offset, self._index, self._header = start.offset, start.index, start.header

    @property
    def cursor(self) -> Json:
        """Where the next chunk starts; JSON, to be stored."""
        return Cursor(offset=self._offset, index=self._index, header=self._header).as_json()

    @property
    def done(self) -> bool:
        """Whether every byte is in a chunk."""
        return self._offset >= self._pinned.size

    def take(self, count: int) -> list[dict[str, Json]]:
        """The next chunk references, `count` of them or what is left. Raises StatesError."""
        chunks: list[dict[str, Json]] = []
        while len(chunks) < count and not self.done:
            start = self._offset
            self._offset = self._end_of_chunk(start)
            chunks.append(self._reference(start, self._offset))
            self._index += 1
        return chunks

    def _reference(self, start: int, end: int) -> dict[str, Json]:
        reference = {
            "Bucket": self._pinned.bucket,
            "Key": self._pinned.key,
            "VersionId": self._pinned.version_id,
            "ETag": self._pinned.etag,
            "Start": start,
            "End": end,
            "Index": self._index,
            "Header": self._header,
            "InputType": self._config.input_type,
        }
        if self._config.input_type == "CSV":
            reference["CSVDelimiter"] = self._config.delimiter
        return reference

    def _end_of_chunk(self, start: int) -> int:
        nominal = start + self._chunk_bytes
        if nominal >= self._pinned.size:
            return self._pinned.size
        if self._config.input_type == "JSONL":
            return self._next_line(nominal)
        delimiter = ord(self._config.delimiter_char)
        end, ambiguous = self._search(BoundarySearch(nominal, delimiter), SPECULATION_BYTES)
        # Close to the object's end no window is long enough to be sure. What is left then goes with the
        # chunk, unless it may be more than the chunk itself: then the little that there is is read.
        if ambiguous or (end == self._pinned.size and self._chunk_bytes <= WINDOW_BYTES):
            state = State.START
            for at in range(start, nominal, SCAN_BYTES):
                state, _ = scan(self._read(at, min(at + SCAN_BYTES, nominal)), state, delimiter)
            end, _ = self._search(BoundarySearch(nominal, delimiter, state), self._pinned.size)
        return end

    def _search(self, search: BoundarySearch, limit: int) -> tuple[int, bool]:
        """Feed the search up to `limit` bytes: the boundary (or the object's end), and if it is unclear."""
        first = search.offset
        while search.offset < self._pinned.size:
            if search.offset - first >= limit:
                return -1, True
            found = search.feed(self._window_at(search.offset))
            if found is not None:
                return found, False
        return self._pinned.size, False

    def _next_line(self, nominal: int) -> int:
        at = nominal
        while at < self._pinned.size:
            block = self._window_at(at)
            line_feed = block.find(b"\n")
            if line_feed >= 0:
                return at + line_feed + 1
            at += len(block)
        return self._pinned.size

    def _window_at(self, offset: int) -> bytes:
        """Some bytes from `offset` on; those of the last window are not read again."""
        begin, held = self._window
        if begin <= offset < begin + len(held):
            return held[offset - begin :]
        held = self._read(offset, min(offset + WINDOW_BYTES, self._pinned.size))
        self._window = (offset, held)
        return held

    def _read(self, start: int, end: int) -> bytes:
        data = self._source(start, end)
        self.bytes_read += len(data)
        return data
