"""Who waits for the end of which execution."""

from collections import defaultdict
from concurrent.futures import Future
from threading import Lock

from etl_runner.engine.inbox import settle
from etl_runner.engine.live import LiveCache
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
