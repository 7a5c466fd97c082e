r"""Where records begin and end in CSV and JSON Lines, from bytes alone. Pure.

CSV is what Python's csv.reader reads over a file opened with newline="": a quote opens a quoted field only
at the field's start, is a letter elsewhere, is doubled inside, and after the closing one anything but a
delimiter or a line end goes on as an unquoted field. A record ends at a line feed outside quotes. (A
carriage return alone ends one too; no cut is made there.)

To know whether an offset lies inside quotes one needs all the bytes before it, or luck. BoundarySearch is
that luck, made safe: it follows the bytes from the offset on under every state the reader could be in, and
answers only when all that remain possible agree. Three things make them agree:

* states flow together: after `,"x",` everybody is at the start of a field, whatever he believed before;
* beliefs have the same next record end;
* a belief dies when it would make a field longer than FIELD_LIMIT_CHARS, which csv.reader refuses.

Where it stays ambiguous (text like `","\n","\n"` for a long way), the caller scans from the last known
boundary; scan() is exact from a known state.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

FIELD_LIMIT_CHARS: Final = 131_072
"""csv.field_size_limit() as Python comes: a longer field is an error when it is read."""

_QUOTE: Final = 0x22
_LINE_FEED: Final = 0x0A
_CARRIAGE_RETURN: Final = 0x0D
_PIECE_BYTES: Final = 4096
"""How often BoundarySearch compares what its beliefs have come to."""


class State(IntEnum):
    """Where in a CSV record a byte stands, before it is read."""

    START = 0
    """At the start of a field, which may be the start of a record."""
    UNQUOTED = 1
    """In a field that did not start with a quote, or that has gone on after its closing quote."""
    QUOTED = 2
    """Inside quotes."""
    AFTER_QUOTE = 3
    """After a quote inside quotes: the closing one, or the first of a doubled one."""


# Looked up once: in the loop of scan() an attribute of the enumeration costs more than the search itself.
_START: Final = State.START
_UNQUOTED: Final = State.UNQUOTED
_QUOTED: Final = State.QUOTED
_AFTER_QUOTE: Final = State.AFTER_QUOTE


def scan(block: bytes, state: State, delimiter: int) -> tuple[State, int]:
    """Follow `block` from `state`: the state behind it, and the offset behind its first record end or -1."""
    first_end = -1
    at = 0
    size = len(block)
    while at < size:
        if state is _QUOTED:
            at = block.find(b'"', at) + 1
            if at == 0:
                return state, first_end
            state = _AFTER_QUOTE
            continue
        if state is _AFTER_QUOTE and block[at] == _QUOTE:
            state = _QUOTED
            at += 1
            continue
        # Bytes without a quote: only their line feeds and their last one matter.
        quote = block.find(b'"', at)
        stop = size if quote < 0 else quote
        if stop > at:
            if first_end < 0:
                first_end = block.find(b"\n", at, stop) + 1 or -1
            ends_field = block[stop - 1] in {delimiter, _LINE_FEED, _CARRIAGE_RETURN}
            state = _START if ends_field else _UNQUOTED
        if quote >= 0 and state is _START:
            state = _QUOTED
        at = stop + 1
    return state, first_end


@dataclass(slots=True)
class _Belief:
    """One way to read the bytes: the state now, the first record end seen, and how long no quote has come."""

    state: State
    first_end: int | None = None
    quiet_chars: int = 0

    def follow(self, piece: bytes, offset: int, delimiter: int) -> None:
        self.state, end = scan(piece, self.state, delimiter)
        if self.first_end is None and end >= 0:
            self.first_end = offset + end
        if self.state is State.QUOTED:
            quote = piece.rfind(b'"')
            since = _chars_at_least(piece[quote + 1 :])
            self.quiet_chars = since if quote >= 0 else self.quiet_chars + since
        else:
            self.quiet_chars = 0

    @property
    def impossible(self) -> bool:
        return self.quiet_chars > FIELD_LIMIT_CHARS


@dataclass(slots=True)
class BoundarySearch:
    """Looks for a record end after `offset`, fed with the blocks that follow it in order.

    `state` is the state at the offset where that is known; None means that it is not.
    """

    offset: int
    delimiter: int
    state: State | None = None
    _beliefs: list[_Belief] = field(init=False)

    def __post_init__(self) -> None:
        self._beliefs = [_Belief(state) for state in (State if self.state is None else (self.state,))]

    def feed(self, block: bytes) -> int | None:
        """Take the next block; the offset at which a record begins, for certain, or None: feed more."""
        for begin in range(0, len(block), _PIECE_BYTES):
            piece = block[begin : begin + _PIECE_BYTES]
            for belief in self._beliefs:
                belief.follow(piece, self.offset, self.delimiter)
            self.offset += len(piece)
            self._compare()
            if len({belief.first_end for belief in self._beliefs}) == 1 and self._beliefs[0].first_end:
                return self._beliefs[0].first_end
        return None

    def _compare(self) -> None:
        if len(self._beliefs) == 1:
            return
        # When all of them are impossible the data is beyond csv.reader; they stay, and stay ambiguous.
        self._beliefs = [each for each in self._beliefs if not each.impossible] or self._beliefs
        together: dict[State, _Belief] = {}
        for belief in self._beliefs:
            same = together.setdefault(belief.state, belief)
            if same.first_end != belief.first_end:
                same.first_end = None  # they disagree about the past; from here on they agree
                together[belief.state] = same
            same.quiet_chars = min(same.quiet_chars, belief.quiet_chars)
        self._beliefs = list(together.values())


def _chars_at_least(text: bytes) -> int:
    """How many characters these bytes have, not counting what is cut off at the edges."""
    return len(text) if text.isascii() else len(text.decode("utf-8", errors="ignore"))
