"""Who waits for the end of which execution."""

from collections import defaultdict
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from threading import Lock

from etl_runner.engine.inbox import settle
from etl_runner.engine.knocks import Ended, Started
from etl_runner.engine.live import Live, LiveCache
from etl_runner.errors import NotFound
from etl_runner.machine.state import Status
from etl_runner.store.store import Store


class Ends:
    """Futures by execution. Any thread."""

    def __init__(self, store: Store, cache: LiveCache) -> None:
        self._store = store
        self._cache = cache
        self._waiting: defaultdict[int, list[Future[Status]]] = defaultdict(list)
        self._lock = Lock()

    def when(self, execution_id: int) -> Future[Status]:
        """A future that gives the status with which an execution ends (at once when it has).

        Raises NotFound and StoreUnavailable.
        """
        future: Future[Status] = Future()
        with self._lock:
            self._waiting[execution_id].append(future)
        if self._cache.peek(execution_id) is not None:
            return future  # it leaves the memory before its end is told, so this end is still to be told
        row = self._store.execution(execution_id)
        if row is None:
            with self._lock:
                self._waiting.pop(execution_id, None)
            raise NotFound(f"there is no execution with the number {execution_id}")
        if row.status != Status.RUNNING:
            self.tell(execution_id, Status(row.status))
        return future

    def tell(self, execution_id: int, status: Status) -> None:
        """An execution has ended."""
        with self._lock:
            futures = self._waiting.pop(execution_id, [])
        for future in futures:
            settle(future, status)

    def cancel(self) -> None:
        """The engine ends: nobody is told any more."""
        with self._lock:
            for futures in self._waiting.values():
                for future in futures:
                    future.cancel()


def pass_failure(to: Future[Ended], done: Future[Started]) -> None:
    """Whoever waits for an end is told when nothing was begun."""
    error = None if done.cancelled() else done.exception()
    if error is not None:
        fail(to, error)


def fail(future: Future[Ended], error: BaseException) -> None:
    """Tell whoever still waits that it will not come to an end."""
    with suppress(InvalidStateError):
        future.set_exception(error)


def how_it_ended(live: Live, now_ms: int) -> Ended:
    """What became of an execution that has just ended."""
    machine = live.machine
    return Ended(
        execution_id=live.id,
        arn=live.arn,
        name=live.name,
        status=machine.status,
        started_ms=machine.started_ms,
        stopped_ms=now_ms,
        output=machine.output,
        error=machine.error,
        cause=machine.cause,
    )
