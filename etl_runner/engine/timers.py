"""When to look at what again: the near future in memory, the rest in the store.

A million waiting executions cost a row each and no memory: only those due within the horizon are held here.
"""

import heapq
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

HORIZON_MS: Final = 5_000
BATCH: Final = 10_000
SLACK: Final = 10_000
"""So many entries that hold no longer may stand in the heap before it is made anew."""

Key = TypeVar("Key", bound=Any)


class Timers(Generic[Key]):
    """The moments of the next few seconds: of executions their next wake-up, of task tokens their heartbeat.

    `read` gives `(at_ms, key)` of all that is due up to a moment, soonest first, at most so many.
    """

    def __init__(self, read: Callable[[int, int], list[tuple[int, Key]]]) -> None:
        self._from_store = read
        self._heap: list[tuple[int, Key]] = []
        self._wake: dict[Key, int] = {}
        self._read_until_ms = 0

    def set(self, key: Key, at_ms: int | None) -> None:
        """Note a moment as it was just committed."""
        if at_ms is None:
            self._wake.pop(key, None)
        elif at_ms > self._read_until_ms:
            self._wake.pop(key, None)  # the store knows; it is read when the horizon gets there
        else:
            self.hold(key, at_ms)

    def hold(self, key: Key, at_ms: int) -> None:
        """Note a moment that the store does not know, however far off."""
        if self._wake.get(key) == at_ms:
            return
        self._wake[key] = at_ms
        heapq.heappush(self._heap, (at_ms, key))
        if len(self._heap) > 2 * len(self._wake) + SLACK:
            # Most of it is of the past: Express executions end long before their five minutes are up.
            self._heap = [(when, known) for known, when in self._wake.items()]
            heapq.heapify(self._heap)

    def due(self, now_ms: int) -> list[Key]:
        """All that is due, soonest first. Reads the store when the horizon comes near."""
        if now_ms + HORIZON_MS // 2 >= self._read_until_ms:
            self._read(now_ms)
        found: list[Key] = []
        while self._heap and self._heap[0][0] <= now_ms:
            at_ms, key = heapq.heappop(self._heap)
            if self._wake.get(key) == at_ms:
                del self._wake[key]
                found.append(key)
        return found

    def next_due_ms(self) -> int:
        """When to look again: the soonest moment, or when the horizon has to be read on."""
        look = max(0, self._read_until_ms - HORIZON_MS // 2)
        return min(look, self._heap[0][0]) if self._heap else look

    def _read(self, now_ms: int) -> None:
        until = now_ms + HORIZON_MS
        rows = self._from_store(until, BATCH)
        self._read_until_ms = until if len(rows) < BATCH else rows[-1][0]
        for at_ms, key in rows:
            self.hold(key, at_ms)
