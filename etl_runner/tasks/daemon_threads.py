"""A bounded set of threads that never keeps the daemon from ending.

concurrent.futures' threads are joined when the interpreter exits, however long they take: one function that
hangs, or one host that does not answer, would hold a daemon that has been told to stop.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, SimpleQueue

log = logging.getLogger(__name__)


class DaemonThreads:
    """Runs what it is given, first come, first served, in up to `size` threads started as they are needed."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()  # guards what follows
        self._threads: list[threading.Thread] = []
        self._busy = 0  # handed in and not finished
        self._closed = False

    def submit(self, work: Callable[[], None]) -> bool:
        """Run `work` in a thread, in a context of its own; False when closed already."""
        with self._lock:
            if self._closed:
                return False
            self._busy += 1
            if self._busy > len(self._threads) and len(self._threads) < self._size:
                name = f"{self._name}-{len(self._threads) + 1}"
                thread = threading.Thread(target=self._serve, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
            self._queue.put(work)
            return True

    def close(self, grace_s: float) -> None:
        """Drop what waits, wait up to `grace_s` seconds for what runs, leave behind what runs longer."""
        with self._lock:
            self._closed = True
            threads = list(self._threads)
        with suppress(Empty):
            while True:
                self._queue.get_nowait()
        for _ in threads:
            self._queue.put(None)
        until_s = time.monotonic() + grace_s
        for thread in threads:
            thread.join(max(0.0, until_s - time.monotonic()))

    def _serve(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                copy_context().run(work)
            except Exception:
                log.exception("work in the thread %s failed", threading.current_thread().name)
            finally:
                del work  # it may hold a payload, and the next may be long in coming
                with self._lock:
                    self._busy -= 1
