"""Records of a byte stream one by one, each with the offset behind it, so that one can go on from there.

CSV and JSON Lines are read by lines; JSON documents are in json_items.py. None holds more than a buffer and
one record.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from typing import Final

from etl_runner.errors import READER_FAILED, StatesError
from etl_runner.jsontypes import Json, loads

RECORD_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""A line or array element longer than this is taken for a mistake in the file, not for an item."""

ESCAPE: Final = "\\"
"""In rows a backslash takes away the meaning of what follows it, and goes. Source: developer guide,
"ItemReader", how text delimited files are parsed. Chunks are read without (see splitter.py)."""

_LAST_ESCAPE: Final = re.compile(r"((?:^|[^\\])(?:\\\\)*)\\(\r?\n|\r|$)")
"""A backslash before a line end goes, and the line ends all the same; csv.reader would join the lines."""


class CsvRecords:
    """The rows of a CSV stream that starts with a record, as dicts. `offset` is the byte behind the last."""

    def __init__(
        self, stream: io.BufferedReader, offset: int, *, header: list[str], delimiter: str, name: str
    ) -> None:
        self.offset = offset
        self._header = header
        self._name = name
        self._lines = _Lines(stream, offset, name)
        self._rows = csv.reader(self._lines, delimiter=delimiter, escapechar=ESCAPE)

    def __iter__(self) -> Iterator[dict[str, str]]:
        return self

    def __next__(self) -> dict[str, str]:
        """The next row. Raises StopIteration, or StatesError for a row that cannot be read."""
        width = len(self._header)
        while True:
            try:
                row = next(self._rows)
            except csv.Error as error:
                raise malformed(self._name, self.offset, str(error)) from error
            finally:
                self.offset = self._lines.offset
            if row:
                padded = row if len(row) == width else row + [""] * (width - len(row))
                return dict(zip(self._header, padded, strict=False))


class _Lines:
    """Lines of text as a file opened with newline="" gives them, counting their bytes."""

    def __init__(self, stream: io.BufferedReader, offset: int, name: str) -> None:
        self.offset = offset
        self._stream = stream
        self._name = name
        self._pieces: deque[bytes] = deque()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self._pieces:
            line = _line(self._stream, self._name, self.offset)
            if not line:
                raise StopIteration
            # A carriage return alone ends a line too.
            self._pieces.extend(line.splitlines(keepends=True) if b"\r" in line[:-2] else (line,))
        piece = self._pieces.popleft()
        try:
            text = piece.decode("utf-8")
        except UnicodeDecodeError as error:
            raise malformed(
                self._name, self.offset + error.start, f"it is not UTF-8: {error.reason}"
            ) from error
        self.offset += len(piece)
        return _LAST_ESCAPE.sub(r"\1\2", text) if ESCAPE in text else text


class JsonLines:
    """The values of a JSON Lines stream. `offset` is the byte behind the last; empty lines are left out."""

    def __init__(self, stream: io.BufferedReader, offset: int, *, name: str) -> None:
        self.offset = offset
        self._stream = stream
        self._name = name

    def __iter__(self) -> Iterator[Json]:
        return self

    def __next__(self) -> Json:
        """The next value. Raises StopIteration, or StatesError for a line that is no JSON."""
        while line := _line(self._stream, self._name, self.offset):
            start = self.offset
            self.offset += len(line)
            if line.strip():
                try:
                    return loads(line)
                except ValueError as error:
                    raise malformed(self._name, start, str(error)) from error
        raise StopIteration


def _line(stream: io.BufferedReader, name: str, offset: int) -> bytes:
    line = stream.readline(RECORD_LIMIT_BYTES)
    if len(line) == RECORD_LIMIT_BYTES and not line.endswith(b"\n"):
        raise malformed(
            name, offset, f"the line that starts here has no end within {RECORD_LIMIT_BYTES} bytes"
        )
    return line


def malformed(name: str, offset: int, what: str) -> StatesError:
    """The error for data that cannot be read, naming the object and the byte."""
    return StatesError(READER_FAILED, f"{name} cannot be read at byte {offset}: {what}")
