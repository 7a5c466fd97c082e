"""Reading a map run's items, beside the engine's thread: a few pages ahead, never the whole object.

A position in the items is JSON: `{"at": the stream's own cursor, "items": items before it, "skip": children
already made of the page that begins there}`. A page read again from its position gives the same children,
so the position is all that has to be kept.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Final, Protocol

import structlog

from etl_runner.asl import model
from etl_runner.aws import AwsAccess
from etl_runner.errors import READER_FAILED, EtlRunnerError, StatesError
from etl_runner.jsontypes import Json
from etl_runner.machine.map_plan import batched, select_item
from etl_runner.s3.items import ItemStream, pin

_log = structlog.get_logger("map-run")

PAGE_CHILDREN: Final = 100
PAGES_AHEAD: Final = 4
GET_OBJECT: Final = ":states:::s3:getObject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The inputs of the next children. `position` is where they begin, `after` where the next page does."""

    inputs: list[Json]
    position: Json
    after: Json
    last: bool


def _page_items(plan: Json) -> int:
    """How many items are read for a page. Batches do not reach over a page's end, so a page has many."""
    batch = plan.get("batch")
    if batch is None:
        return PAGE_CHILDREN
    return PAGE_CHILDREN * int(batch.get("items") or PAGE_CHILDREN)


class _Stream(Protocol):
    def take(self, n: int) -> list[Json]: ...

    @property
    def cursor(self) -> Json: ...

    @property
    def done(self) -> bool: ...


class _ArrayStream:
    """The items of a map over an array in the state's input."""

    def __init__(self, items: list[Json], cursor: Json) -> None:
        self._items = items
        self._at = int(cursor or 0)

    def take(self, n: int) -> list[Json]:
        taken = self._items[self._at : self._at + n]
        self._at += len(taken)
        return taken

    @property
    def cursor(self) -> Json:
        return self._at

    @property
    def done(self) -> bool:
        return self._at >= len(self._items)


class Feeder:
    """One map run's reader thread. `nudge` is called when a page is ready, or when reading failed."""

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
    ) -> None:
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
        stream = self._open()
        position, items = self._position, int(self._position["items"])
        skip = int(position["skip"])
        wanted = _page_items(self._plan)
        while True:
            taken = stream.take(wanted)
            selected = [
                select_item(self._state, self._plan, items + offset, item, self._rng)
                for offset, item in enumerate(taken)
            ]
            inputs = list(batched(self._plan, selected, first=items))
            items += len(taken)
            after = {"at": stream.cursor, "items": items, "skip": 0}
            last = stream.done
            page = Page(inputs=inputs[skip:], position=position, after=after, last=last)
            if not self._put(page) or last:
                return
            position, skip = after, 0

    def _put(self, page: Page) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._pages) < PAGES_AHEAD)
            if self._stopped:
                return False
            self._pages.append(page)
        self._nudge()
        return True

    def _open(self) -> _Stream:
        cursor = self._position["at"]
        reader = self._plan.get("reader")
        if reader is None:
            return _ArrayStream(self._plan["items"], cursor)
        if not reader["resource"].endswith(GET_OBJECT):
            raise StatesError(
                READER_FAILED,
                f"the ItemReader has the Resource {reader['resource']}; it takes arn:aws{GET_OBJECT}",
            )
        s3 = self._aws.client("s3")
        if self.source is None:
            self.source = pin(s3, reader["parameters"], config=reader["config"])
        return ItemStream(s3, self.source, reader["config"], cursor)
