"""What a reader of items hands over at a time, and what it says of each: its key, its source, its place."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from etl_runner.jsontypes import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """`count` items that follow each other in one source.

    `cursor_after(n)` is the cursor behind the first n of them; a reader that is made anew from it goes on
    there, whatever has happened to the source meanwhile.
    """

    count: int
    source: str
    cursor_after: Callable[[int], Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Some items in order. `keys` has the names of those that are pairs of an object, else None."""

    values: list[Json]
    segments: tuple[Segment, ...]
    keys: Sequence[str | None] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[tuple[Json, str | None, str]]:
        """Each item's value, key (None for what is no pair) and source."""
        at = 0
        for segment in self.segments:
            for place in range(at, at + segment.count):
                yield self.values[place], self.keys[place] if self.keys else None, segment.source
            at += segment.count

    def cursor_after(self, count: int) -> Json:
        """The cursor behind the first `count` items. There must be a segment."""
        for segment in self.segments[:-1]:
            if count < segment.count:
                return segment.cursor_after(count)
            count -= segment.count
        return self.segments[-1].cursor_after(count)


class Items(Protocol):
    """A reader of items; one thread's own."""

    @property
    def cursor(self) -> Json:
        """Where the next item comes from; JSON, to be stored."""

    @property
    def done(self) -> bool:
        """Whether surely no item is left. One that is not done may still give none."""

    def read(self, count: int) -> Taken:
        """The next items: `count` of them, or fewer at the end or where the source says so."""

    def close(self) -> None:
        """Let go of connections. read() may be called again."""
