"""Runs things at their time, from one thread that starts with the first of them."""

import heapq
import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class AlarmClock:
    """Calls what it is given, each at its moment; what is called must return at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    def after(self, delay_s: float, ring: Callable[[], object]) -> None:
        """Call `ring` in `delay_s` seconds, unless the clock is closed by then."""
        with self._changed:
            if self._closed:
                return
            self._count += 1  # functions have no order
            heapq.heappush(self._due, (time.monotonic() + delay_s, self._count, ring))
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Ring no more."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while (ring := self._next()) is not None:
            try:
                ring()
            except Exception:
                log.exception("what the clock %s rang for failed", self._name)

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(self._due[0][0] - now if self._due else None)
            return None
