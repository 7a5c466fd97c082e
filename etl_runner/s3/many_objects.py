"""The items of many objects, one object after the other: those of a listing, or those that a manifest names.

Each object is pinned when its turn comes, and the cursor keeps that pin until the object has been read: a
reader made anew goes on in the same version of it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from etl_runner.jsontypes import Json
from etl_runner.s3.items import ItemStream
from etl_runner.s3.listing import check_version
from etl_runner.s3.manifests import Place
from etl_runner.s3.pinned import pin
from etl_runner.s3.taken import Segment, Taken

Places: TypeAlias = Callable[[Json], Iterator[tuple[Json, Place]]]
"""Gives the objects behind a mark (None: from the first), each with the mark of its own."""

_VERSION: Final = 1


@dataclass(slots=True)
class _Current:
    """The object that is being read."""

    pinned: Json
    items: ItemStream


class ManyObjects:
    """The items of all objects that `places` gives, each read by `config`; MaxItems counts over all."""

    def __init__(
        self, s3: Any, places: Places, config: Mapping[str, Json], most: int | None, cursor: Json
    ) -> None:
        self._s3 = s3
        self._config = {name: value for name, value in config.items() if name != "MaxItems"}
        self._most = most
        self._given = 0
        self._mark: Json = None
        self._current: _Current | None = None
        if cursor is not None:
            check_version(cursor)
            self._mark, self._given = cursor["Mark"], cursor["Index"]
            if cursor["Object"] is not None:
                items = ItemStream(s3, cursor["Object"], self._config, cursor["At"])
                self._current = _Current(cursor["Object"], items)
        self._places = places
        self._ahead: Iterator[tuple[Json, Place]] | None = None
        self._exhausted = False

    @property
    def cursor(self) -> Json:
        """`{"Version", "Mark", "Object", "At", "Index"}`: the object of the mark is read, or being read."""
        if self._current is None:
            return self._cursor(self._given, None, None)
        return self._cursor(self._given, self._current.pinned, self._current.items.cursor)

    @property
    def done(self) -> bool:
        """Whether no object is left."""
        return self._exhausted or self._given == self._most

    def read(self, count: int) -> Taken:
        """The next items, of several objects where one has not enough. Raises StatesError."""
        wanted = count if self._most is None else min(count, self._most - self._given)
        values: list[Json] = []
        keys: list[str | None] = []
        segments: list[Segment] = []
        while len(values) < wanted and self._open_next():
            current = self._current
            assert current is not None
            taken = current.items.read(wanted - len(values))
            values += taken.values
            keys += taken.keys if taken.keys is not None else [None] * len(taken)
            segments.append(self._segment(taken, current))
            self._given += len(taken)
            if current.items.done:
                current.items.close()
                self._current = None
        segments.append(self._end())
        pairs = any(key is not None for key in keys)
        return Taken(values=values, segments=tuple(segments), keys=keys if pairs else None)

    def close(self) -> None:
        """Let go of the connection, and of what was listed ahead."""
        if self._current is not None:
            self._current.items.close()
        self._ahead = None

    def _open_next(self) -> bool:
        """Have an object to read from; False when there is none left."""
        if self._current is not None:
            return True
        if self._ahead is None:
            self._ahead = self._places(self._mark)
        found = next(self._ahead, None)
        if found is None:
            self._exhausted = True
            return False
        self._mark, place = found
        pinned = pin(self._s3, {"Bucket": place.bucket, "Key": place.key}).as_json()
        self._current = _Current(pinned, ItemStream(self._s3, pinned, self._config))
        return True

    def _segment(self, taken: Taken, current: _Current) -> Segment:
        mark, first = self._mark, self._given

        def cursor_after(number: int) -> Json:
            return self._cursor(first + number, current.pinned, taken.cursor_after(number), mark=mark)

        return Segment(count=len(taken), source=taken.segments[0].source, cursor_after=cursor_after)

    def _end(self) -> Segment:
        """No item: it keeps the cursor that stands here."""
        here = self.cursor
        return Segment(count=0, source="", cursor_after=lambda _: here)

    def _cursor(self, index: int, pinned: Json, at: Json, *, mark: Json = None) -> Json:
        return {
            "Version": _VERSION,
            "Mark": self._mark if mark is None else mark,
            "Object": pinned,
            "At": at,
            "Index": index,
        }
