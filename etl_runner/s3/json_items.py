"""The items of a JSON document, one by one: the elements of an array, or the pairs of an object.

The node that holds them may stand anywhere in the document (ItemsPointer, RFC 6901). What leads to it is
passed over, never held: in memory are a buffer and one item.
"""

import io
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
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|"|[\[\]{},]', re.DOTALL)
"""A whole string, a quote whose end is not here yet, or what opens, closes or parts values."""


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
    """A buffer over a JSON text. `offset` is the byte in the document where it begins."""

    def __init__(self, stream: io.BufferedReader, offset: int, name: str) -> None:
        self.offset = offset
        self.buffer = b""
        self._stream = stream
        self._name = name

    def fault(self, what: str, at: int = 0) -> StatesError:
        return malformed(self._name, self.offset + at, what)

    def peek(self) -> bytes:
        """The next byte that is not white space; b"" at the end."""
        while True:
            space = _SPACE.match(self.buffer)
            assert space is not None
            self.advance(space.end())
            if self.buffer:
                return self.buffer[:1]
            self.buffer = self._stream.read1(io.DEFAULT_BUFFER_SIZE)
            if not self.buffer:
                return b""

    def need(self, inside: str) -> bytes:
        """Like peek, where the text must go on."""
        found = self.peek()
        if not found:
            raise self.fault(f"the file ends inside the {inside}")
        return found

    def advance(self, count: int) -> None:
        self.buffer = self.buffer[count:]
        self.offset += count

    def more(self) -> None:
        if len(self.buffer) > RECORD_LIMIT_BYTES:
            raise self.fault(f"this element has no end within {RECORD_LIMIT_BYTES} bytes")
        block = self._stream.read1(max(io.DEFAULT_BUFFER_SIZE, len(self.buffer)))
        if not block:
            raise self.fault("the file ends inside this element")
        self.buffer += block

    def end_of_value(self) -> int:
        """The place in the buffer of the comma or bracket behind the value that begins it."""
        depth = at = 0
        while True:
            token = _TOKEN.search(self.buffer, at)
            if token is None or token.group() == b'"':
                at = len(self.buffer) if token is None else token.start()
                self.more()
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

    def pass_over(self) -> None:
        """Go behind the value that begins here, however long it is."""
        depth = at = 0
        while True:
            token = _TOKEN.search(self.buffer, at)
            if token is None or token.group() == b'"':
                self.advance(len(self.buffer) if token is None else token.start())
                self.more()
                at = 0
                continue
            match token.group():
                case b"[" | b"{":
                    depth += 1
                case b"]" | b"}" | b"," if depth == 0:
                    self.advance(token.start())
                    return
                case b"]" | b"}":
                    depth -= 1
                case _:
                    pass
            at = token.end()

    def key(self) -> str:
        """Read a name and the colon behind it."""
        if self.need("object") != b'"':
            raise self.fault("a name in quotes should stand here")
        while True:
            token = _TOKEN.match(self.buffer)
            assert token is not None
            if token.end() > 1:
                break
            self.more()
        name = self.value(token.end())
        self.advance(token.end())
        if self.need("object") != b":":
            raise self.fault("a colon should stand here")
        self.advance(1)
        assert isinstance(name, str)
        return name

    def value(self, end: int) -> Json:
        """Parse the first bytes of the buffer."""
        try:
            return loads(self.buffer[:end])
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
        end = text.end_of_value()
        item = text.value(end)
        found = text.buffer[end : end + 1]
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
