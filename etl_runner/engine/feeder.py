"""Reading a map run's items, beside the engine's thread: a few pages ahead, never the whole object.

A position in the items is JSON: `{"at": the reader's own cursor, "items": items before it, "skip": children
already made of the page that begins there}`. The position behind each child is exact, whatever happens to
the source meanwhile; "skip" is what earlier releases wrote, whose pages came out the same when read again.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Final

import structlog

from etl_runner.asl import model
from etl_runner.aws import AwsAccess
from etl_runner.errors import READER_FAILED, EtlRunnerError, StatesError
from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES, Json
from etl_runner.machine.map_plan import STATE_DATA, Child, MapItem, batched, select_item
from etl_runner.s3.sources import open_source, pin_source
from etl_runner.s3.taken import Items, Segment, Taken

_log = structlog.get_logger("map-run")

PAGE_CHILDREN: Final = 100
PAGES_AHEAD: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The next children. `after` is the position behind them all, `first` the number of the first item."""

    children: list[Child]
    taken: Taken
    first: int
    after: Json
    last: bool

    def position_after(self, count: int) -> Json:
        """The position behind the first `count` children."""
        items = self.first + sum(child.items for child in self.children[:count])
        start = int(self.after["items"]) - len(self.taken)
        return {"at": self.taken.cursor_after(items - start), "items": items, "skip": 0}


def _page_items(plan: Json) -> int:
    """How many items are read for a page. Batches do not reach over a page's end, so a page has many."""
    batch = plan.get("batch")
    if batch is None:
        return PAGE_CHILDREN
    return PAGE_CHILDREN * int(batch.get("items") or PAGE_CHILDREN)


class _StateItems:
    """The items of a map over an array, or the pairs of an object, in the state's input."""

    def __init__(self, items: Json, cursor: Json) -> None:
        self._keys = list(items) if isinstance(items, dict) else None
        self._values = list(items.values()) if isinstance(items, dict) else items
        self._at = int(cursor or 0)

    def read(self, count: int) -> Taken:
        first, until = self._at, self._at + count
        values = self._values[first:until]
        self._at += len(values)

        def cursor_after(number: int) -> Json:
            return first + number

        segment = Segment(count=len(values), source=STATE_DATA, cursor_after=cursor_after)
        keys = None if self._keys is None else self._keys[first:until]
        return Taken(values=values, segments=(segment,), keys=keys)

    @property
    def cursor(self) -> Json:
        return self._at

    @property
    def done(self) -> bool:
        return self._at >= len(self._values)

    def close(self) -> None:
        """Nothing is open."""


class Feeder:
    """One map run's reader thread. `nudge` is called when a page is ready, or when reading failed.

    `known` counts the items that are known of: all of the state's input, or those that were read so far.
    `limit_bytes` is what the input of a child may have.
    """

    def __init__(
        self,
        *,
        state: model.MapState,
        plan: Json,
        source: Json,
        position: Json,
        aws: AwsAccess,
        nudge: Callable[[], None],
        rng: random.Random,
        limit_bytes: int = PAYLOAD_LIMIT_BYTES,
    ) -> None:
        self._limit_bytes = limit_bytes
        self._state = state
        self._plan = plan
        self._position = position or {"at": None, "items": 0, "skip": 0}
        self._aws = aws
        self._nudge = nudge
        self._rng = rng
        self._pages: deque[Page] = deque()
        self._changed = Condition()
        self._stopped = False
        self.source = source
        self.failure: StatesError | None = None
        self.known = int(self._position["items"]) if "reader" in plan else len(plan["items"])
        self._thread = Thread(target=self._run, name="map-run-feeder", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no further."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def peek(self) -> Page | None:
        """The next page, when it has been read."""
        with self._changed:
            return self._pages[0] if self._pages else None

    def pop(self) -> None:
        """The next page has been used up."""
        with self._changed:
            self._pages.popleft()
            self._changed.notify_all()

    def ahead(self) -> list[Page]:
        """The pages that have been read and not been used up."""
        with self._changed:
            return list(self._pages)

    def _run(self) -> None:
        try:
            self._read()
        except StatesError as error:
            self._fail(error)
        except EtlRunnerError as error:
            self._fail(StatesError(READER_FAILED, str(error)))
        except Exception as error:  # noqa: BLE001 -- whatever boto3 or the data brought: the map run's failure
            _log.exception("reading the items failed")
            self._fail(StatesError(READER_FAILED, f"{type(error).__name__}: {error}"))

    def _fail(self, error: StatesError) -> None:
        if self._stopped:
            return  # the service is ending, and with it perhaps what was read from
        self.failure = error
        self._nudge()

    def _read(self) -> None:
        reader = self._open()
        try:
            first, skip = int(self._position["items"]), int(self._position["skip"])
            while self._put(page := self._page(reader, first, skip)) and not page.last:
                first, skip = int(page.after["items"]), 0
        finally:
            reader.close()

    def _page(self, reader: Items, first: int, skip: int) -> Page:
        taken = reader.read(_page_items(self._plan))
        selected = self._selected(taken, first)
        children = list(batched(self._plan, selected, first=first, limit_bytes=self._limit_bytes))
        over = first + len(taken)
        self.known = max(self.known, over)
        skipped, children = children[:skip], children[skip:]
        return Page(
            children=children,
            taken=taken,
            first=first + sum(child.items for child in skipped),
            after={"at": reader.cursor, "items": over, "skip": 0},
            last=reader.done,
        )

    def _selected(self, taken: Taken, first: int) -> list[Json]:
        if self._state.item_selector is None and taken.keys is None:
            return taken.values
        return [
            select_item(self._state, self._plan, MapItem(first + number, value, key, source), self._rng)
            for number, (value, key, source) in enumerate(taken)
        ]

    def _put(self, page: Page) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._pages) < PAGES_AHEAD)
            if self._stopped:
                return False
            self._pages.append(page)
        self._nudge()
        return True

    def _open(self) -> Items:
        cursor = self._position["at"]
        reader = self._plan.get("reader")
        if reader is None:
            return _StateItems(self._plan["items"], cursor)
        if "refusal" in reader:
            raise StatesError(READER_FAILED, reader["refusal"])
        s3 = self._aws.client("s3")
        if self.source is None:
            self.source = pin_source(s3, reader)
        return open_source(s3, self.source, reader["config"], cursor)
