"""Where requests and answers wait for the engine's thread; and how those who wait for them are told."""

from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

from etl_runner.engine.knocks import Item
from etl_runner.errors import StoreUnavailable

_T = TypeVar("_T")


class Inbox:
    """A queue that many threads fill and one empties. Order is kept, so it is kept per execution too."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Item | None] = SimpleQueue()
        self._closed = False

    def put(self, item: Item) -> None:
        """Add an item. Once the inbox is closed, whoever waits for the item is refused at once."""
        self._queue.put(item)
        if self._closed:
            self.refuse_all()

    def wake(self) -> None:
        """Let `collect` return although nothing has come."""
        self._queue.put(None)

    def empty(self) -> bool:
        """Whether nothing waits at this moment."""
        return self._queue.empty()

    def collect(self, timeout_s: float, most: int) -> list[Item]:
        """Everything that waits, up to `most` items, waiting for the first up to `timeout_s`."""
        items: list[Item] = []
        try:
            item = self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait()
            while True:
                if item is not None:
                    items.append(item)
                if len(items) >= most:
                    return items
                item = self._queue.get_nowait()
        except Empty:
            return items

    def close(self) -> None:
        """Nobody empties it any more: refuse what is in it, and what comes later."""
        self._closed = True
        self.refuse_all()

    def refuse_all(self) -> None:
        """Tell all who wait that the service is stopping."""
        while True:
            try:
                item = self._queue.get_nowait()
            except Empty:
                return
            if item is not None:
                refuse(item, StoreUnavailable("etl-runner is stopping; ask again when it runs"))


def settle(future: Future[_T] | None, value: _T) -> None:
    """Give a result to whoever still waits; one who has given up (cancelled the future) is no fault."""
    if future is None:
        return
    with suppress(InvalidStateError):
        future.set_result(value)


def refuse(item: Item, error: Exception) -> None:
    """Tell whoever waits for this item that nothing came of it."""
    done: Future[object] | None = getattr(item, "done", None)
    if done is None:
        return
    with suppress(InvalidStateError):
        done.set_exception(error)
