"""Records of a byte stream one by one, each with the offset behind it, so that one can go on from there.

CSV and JSON Lines are read by lines, a JSON array by its top-level elements. None holds more than a buffer
and one record.
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


class CsvRecords:
    """The rows of a CSV stream that starts with a record, as dicts. `offset` is the byte behind the last."""

    def __init__(
        self, stream: io.BufferedReader, offset: int, *, header: list[str], delimiter: str, name: str
    ) -> None:
        self.offset = offset
        self._header = header
        self._name = name
        self._lines = _Lines(stream, offset, name)
        self._rows = csv.reader(self._lines, delimiter=delimiter)

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
        return text


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


_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|"|[\[\]{},]', re.DOTALL)
"""A whole string, a quote whose end is not here yet, or what opens, closes or parts values."""

_NEED_MORE: Final = -1


class JsonArray:
    """The top-level elements of a JSON array. `offset` is the byte behind the last element and its comma.

    `first` says that the stream starts before the opening bracket; else it starts before an element.
    """

    def __init__(self, stream: io.BufferedReader, offset: int, *, first: bool, name: str) -> None:
        self.offset = offset
        self._stream = stream
        self._name = name
        self._buffer = b""
        self._first = first
        self._ended = False

    def __iter__(self) -> Iterator[Json]:
        return self

    def __next__(self) -> Json:
        """The next element. Raises StopIteration, or StatesError where the array breaks."""
        if self._ended:
            raise StopIteration
        if self._first:
            self._open()
        if self._peek() == b"]":
            self._close()
        end = self._end_of_element()
        try:
            element = loads(self._buffer[:end])
        except ValueError as error:
            raise malformed(self._name, self.offset, str(error)) from error
        closes = self._buffer[end : end + 1] == b"]"
        if self._buffer[end : end + 1] == b"}":
            raise malformed(self._name, self.offset + end, "a brace closes what none has opened")
        self._advance(end if closes else end + 1)
        if not closes and self._peek() == b"]":
            raise malformed(self._name, self.offset, "a comma stands before the closing bracket")
        return element

    def _open(self) -> None:
        if self._peek() != b"[":
            # The words of Step Functions for a document that is no array.
            raise StatesError(READER_FAILED, "Attempting to map over non-iterable node.")
        self._advance(1)
        self._first = False

    def _close(self) -> None:
        self._advance(1)
        self._ended = True
        if self._skip_space():
            raise malformed(self._name, self.offset, "something follows the end of the array")
        raise StopIteration

    def _end_of_element(self) -> int:
        """The offset in the buffer of the comma or bracket behind the element that starts it."""
        depth = at = 0
        while True:
            token = _TOKEN.search(self._buffer, at)
            if token is None or token.group() == b'"':
                at = len(self._buffer) if token is None else token.start()
                self._more()
                continue
            match token.group():
                case b"[" | b"{":
                    depth += 1
                case b"]" | b"}" | b"," if depth == 0:
                    return token.start()
                case b"]" | b"}":
                    depth -= 1
                case _:  # a string, or a comma further in
                    pass
            at = token.end()

    def _peek(self) -> bytes:
        if not self._skip_space():
            raise malformed(self._name, self.offset, "the file ends inside the array")
        return self._buffer[:1]

    def _skip_space(self) -> bool:
        while True:
            space = _SPACE.match(self._buffer)
            assert space is not None
            self._advance(space.end())
            if self._buffer:
                return True
            self._buffer = self._stream.read1(io.DEFAULT_BUFFER_SIZE)
            if not self._buffer:
                return False

    def _more(self) -> None:
        if len(self._buffer) > RECORD_LIMIT_BYTES:
            raise malformed(
                self._name, self.offset, f"this element has no end within {RECORD_LIMIT_BYTES} bytes"
            )
        block = self._stream.read1(max(io.DEFAULT_BUFFER_SIZE, len(self._buffer)))
        if not block:
            raise malformed(self._name, self.offset, "the file ends inside this element")
        self._buffer += block

    def _advance(self, count: int) -> None:
        self._buffer = self._buffer[count:]
        self.offset += count


def malformed(name: str, offset: int, what: str) -> StatesError:
    """The error for data that cannot be read, naming the object and the byte."""
    return StatesError(READER_FAILED, f"{name} cannot be read at byte {offset}: {what}")
