"""When to wake which execution: the near future in memory, the rest in the store's `wake_at_ms`.

A million waiting executions cost a row each and no memory: only those due within the horizon are held here.
"""

import heapq
from typing import Final

from etl_runner.engine.knocks import Knock
from etl_runner.machine import stimuli as s
from etl_runner.store.store import Store

HORIZON_MS: Final = 5_000
BATCH: Final = 10_000


class Timers:
    """The wake-ups of the next few seconds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._heap: list[tuple[int, int]] = []
        self._wake: dict[int, int] = {}
        self._read_until_ms = 0

    def set(self, execution_id: int, wake_at_ms: int | None) -> None:
        """Note an execution's next wake-up as it was just committed."""
        if wake_at_ms is None:
            self._wake.pop(execution_id, None)
        elif wake_at_ms > self._read_until_ms:
            self._wake.pop(execution_id, None)  # the store knows; it is read when the horizon gets there
        elif self._wake.get(execution_id) != wake_at_ms:
            self._wake[execution_id] = wake_at_ms
            heapq.heappush(self._heap, (wake_at_ms, execution_id))

    def due(self, now_ms: int) -> list[Knock]:
        """Knocks for all that is due, soonest first. Reads the store when the horizon comes near."""
        if now_ms + HORIZON_MS // 2 >= self._read_until_ms:
            self._read(now_ms)
        knocks: list[Knock] = []
        while self._heap and self._heap[0][0] <= now_ms:
            wake_at_ms, execution_id = heapq.heappop(self._heap)
            if self._wake.get(execution_id) == wake_at_ms:
                del self._wake[execution_id]
                knocks.append(Knock(execution_id=execution_id, stimulus=s.Wake()))
        return knocks

    def next_due_ms(self) -> int:
        """When to look again: the soonest wake-up, or when the horizon has to be read on."""
        look = max(0, self._read_until_ms - HORIZON_MS // 2)
        return min(look, self._heap[0][0]) if self._heap else look

    def _read(self, now_ms: int) -> None:
        until = now_ms + HORIZON_MS
        rows = self._store.due(until, BATCH)
        self._read_until_ms = until if len(rows) < BATCH else rows[-1][0]
        for wake_at_ms, execution_id in rows:
            if self._wake.get(execution_id) != wake_at_ms:
                self._wake[execution_id] = wake_at_ms
                heapq.heappush(self._heap, (wake_at_ms, execution_id))
