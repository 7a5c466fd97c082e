"""The items of a JSON document, one by one: the elements of an array, or the pairs of an object.

The node that holds them may stand anywhere in the document (ItemsPointer, RFC 6901). What leads to it is
passed over, never held: in memory are a buffer and one item.
"""

import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from etl_runner.errors import READER_FAILED, StatesError
from etl_runner.jsontypes import Json, loads
from etl_runner.s3.records import RECORD_LIMIT_BYTES, malformed

ARRAY: Final = "array"
OBJECT: Final = "object"
_NO_ITEMS: Final = "Attempting to map over non-iterable node."
"""The words of Step Functions for a document that is no array."""

_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|"|[\[\]{},]', re.DOTALL)
"""A whole string, a quote whose end is not here yet, or what opens, closes or parts values."""

_PARTS: Final = frozenset({b",", b"]", b"}"})
_BLOCK_BYTES: Final = 64 * 1024


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is out of range")
    return value


_read_one: Final = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite).raw_decode
"""Reads one value out of a text and says where it ends, in one go: two times as fast as finding its end."""


class Pair(NamedTuple):
    """One pair of an object."""

    key: str
    value: Json


def parse_pointer(text: str) -> tuple[str, ...]:
    """The reference tokens of a JSON pointer. Raises StatesError States.ItemReaderFailed."""
    if text and not text.startswith("/"):
        raise StatesError(
            READER_FAILED,
            f"the ItemReader's ReaderConfig has ItemsPointer {text!r}; a JSON pointer begins with a slash, "
            "as /orders/items",
        )
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:])


class _Text:
    """A buffer over a JSON text, and the place in it that was reached.

    Places that methods take and give count from there.
    """

    def __init__(self, stream: io.BufferedReader, offset: int, name: str) -> None:
        self._buffer = b""
        self._ascii: str | None = None  # the buffer as text, where bytes and letters are at the same places
        self._at = 0
        self._base = offset  # the byte in the document where the buffer begins
        self._stream = stream
        self._name = name

    @property
    def offset(self) -> int:
        """The byte in the document that was reached."""
        return self._base + self._at

    def fault(self, what: str, at: int = 0) -> StatesError:
        return malformed(self._name, self.offset + at, what)

    def peek(self) -> bytes:
        """The next byte that is not white space; b"" at the end."""
        while True:
            space = _SPACE.match(self._buffer, self._at)
            assert space is not None
            at = self._at = space.end()
            if at < len(self._buffer):
                return self._buffer[at : at + 1]
            self._base += at
            self._at = 0
            self._hold(self._stream.read1(_BLOCK_BYTES))
            if not self._buffer:
                return b""

    def need(self, inside: str) -> bytes:
        """Like peek, where the text must go on."""
        found = self.peek()
        if not found:
            raise self.fault(f"the file ends inside the {inside}")
        return found

    def advance(self, count: int) -> None:
        self._at += count

    def at(self, place: int) -> bytes:
        """The byte at a place."""
        return self._buffer[self._at + place : self._at + place + 1]

    def more(self) -> None:
        """Have more behind what is here."""
        held = self._buffer[self._at :]
        self._base += self._at
        self._at = 0
        self._hold(held)
        if len(held) > RECORD_LIMIT_BYTES:
            raise self.fault(f"this element has no end within {RECORD_LIMIT_BYTES} bytes")
        block = self._stream.read1(max(_BLOCK_BYTES, len(held)))
        if not block:
            raise self.fault("the file ends inside this element")
        self._hold(held + block)

    def _hold(self, buffer: bytes) -> None:
        self._buffer = buffer
        self._ascii = buffer.decode("ascii") if buffer.isascii() else None

    def quick(self) -> tuple[Json, int] | None:
        """The value that begins here and the place behind it and its white space.

        None where it takes a closer look: the value may go on behind the buffer, or cannot be read.
        """
        if self._ascii is None:
            return None
        try:
            value, end = _read_one(self._ascii, self._at)
        except (ValueError, RecursionError):
            return None
        for half in ("\\ud", "\\uD"):  # half a letter may stand alone there, which only a closer look finds
            if self._ascii.find(half, self._at, end) >= 0:
                return None
        space = _SPACE.match(self._buffer, end)
        assert space is not None
        end = space.end()
        return (value, end - self._at) if self._buffer[end : end + 1] in _PARTS else None

    def end_of_value(self) -> int:
        """The place of the comma or bracket behind the value that begins here."""
        depth = place = 0
        search = _TOKEN.search
        while True:
            token = search(self._buffer, self._at + place)
            if token is None or token.group() == b'"':
                place = (len(self._buffer) if token is None else token.start()) - self._at
                self.more()
                continue
            match token.group():
                case b"[" | b"{":
                    depth += 1
                case b"]" | b"}" | b"," if depth == 0:
                    return token.start() - self._at
                case b"]" | b"}":
                    depth -= 1
                case _:  # a string, or a comma further in
                    pass
            place = token.end() - self._at

    def pass_over(self) -> None:
        """Go behind the value that begins here, however long it is."""
        depth = 0
        while True:
            token = _TOKEN.search(self._buffer, self._at)
            if token is None or token.group() == b'"':
                self._at = len(self._buffer) if token is None else token.start()
                self.more()
                continue
            match token.group():
                case b"[" | b"{":
                    depth += 1
                case b"]" | b"}" | b"," if depth == 0:
                    self._at = token.start()
                    return
                case b"]" | b"}":
                    depth -= 1
                case _:
                    pass
            self._at = token.end()

    def key(self) -> str:
        """Read a name and the colon behind it."""
        if self.need("object") != b'"':
            raise self.fault("a name in quotes should stand here")
        while (token := _STRING.match(self._buffer, self._at)) is None:
            self.more()
        name = self.value(token.end() - self._at)
        self._at = token.end()
        if self.need("object") != b":":
            raise self.fault("a colon should stand here")
        self.advance(1)
        assert isinstance(name, str)
        return name

    def value(self, end: int) -> Json:
        """Parse what stands from here to a place."""
        try:
            return loads(self._buffer[self._at : self._at + end])
        except ValueError as error:
            raise self.fault(str(error)) from error


class JsonItems:
    """The elements of an array, or Pairs of an object. `offset` is the byte behind the last and its comma.

    `shape` is "" for a stream that starts before the document, whose node is still to be found; ARRAY or
    OBJECT for one that goes on before an item. Without a `pointer` (None) the document itself must be an
    array; with one, be it empty, the node may be an array or an object.
    """

    def __init__(
        self,
        stream: io.BufferedReader,
        offset: int,
        *,
        name: str,
        shape: str = "",
        pointer: Sequence[str] | None = None,
    ) -> None:
        self.shape = shape
        self._text = _Text(stream, offset, name)
        self._name = name
        self._pointer = pointer
        self._ended = False

    @property
    def offset(self) -> int:
        """Where the next item begins, or the bracket that closes the node."""
        return self._text.offset

    def __iter__(self) -> Iterator[Json]:
        return self

    def __next__(self) -> Json:
        """The next item. Raises StopIteration, or StatesError where the document breaks."""
        if self._ended:
            raise StopIteration
        if not self.shape:
            self._open()
        text = self._text
        closing = b"]" if self.shape == ARRAY else b"}"
        if text.need(self.shape) == closing:
            self._close()
        name = text.key() if self.shape == OBJECT else None
        text.need(self.shape)
        item, end = text.quick() or (None, 0)
        if not end:
            end = text.end_of_value()
            item = text.value(end)
        found = text.at(end)
        if found not in {closing, b","}:
            kind = "brace" if found == b"}" else "bracket"
            raise text.fault(f"a {kind} closes what none has opened", end)
        text.advance(end if found == closing else end + 1)
        if found == b"," and text.need(self.shape) == closing:
            raise text.fault(f"a comma stands before the closing {'bracket' if closing == b']' else 'brace'}")
        return item if name is None else Pair(name, item)

    def _open(self) -> None:
        text = self._text
        for depth, token in enumerate(self._pointer or ()):
            if not (text.peek() and self._step(token)):
                there = "".join(f"/{part}" for part in (self._pointer or ())[: depth + 1])
                raise StatesError(
                    READER_FAILED, f"the ItemsPointer leads nowhere in {self._name}: there is no {there}"
                )
        first = text.peek()
        if first == b"[":
            self.shape = ARRAY
        elif first == b"{" and self._pointer is not None:
            self.shape = OBJECT
        else:
            raise StatesError(READER_FAILED, _NO_ITEMS)
        text.advance(1)

    def _step(self, token: str) -> bool:
        """Go from the node that begins here to its member `token`; False when it has none."""
        text = self._text
        opening = text.peek()
        if opening not in {b"[", b"{"} or (opening == b"[" and not token.isdecimal()):
            return False
        closing = b"]" if opening == b"[" else b"}"
        text.advance(1)
        index = 0
        while text.need("document") != closing:
            if token == (str(index) if opening == b"[" else text.key()):
                text.need("document")
                return True
            text.need("document")
            text.pass_over()
            if text.need("document") == b",":
                text.advance(1)
            index += 1
        return False

    def _close(self) -> None:
        text = self._text
        text.advance(1)
        self._ended = True
        if not self._pointer and text.peek():
            raise text.fault(f"something follows the end of the {self.shape}")
        raise StopIteration
