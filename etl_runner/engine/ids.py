"""Numbers for executions and map runs: unique without asking anyone, and in the order of their making."""

import random
from threading import Lock

_COUNTER_BITS = 21


class IdSource:
    """63-bit ids: 42 bits of epoch milliseconds, then 21 bits that begin at random and count up.

    Within a process they rise strictly; between processes the random part keeps them apart, and the primary
    key refuses what still collides.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._last = 0
        self._lock = Lock()

    def next(self, now_ms: int) -> int:
        """Give the next id."""
        with self._lock:
            candidate = (now_ms << _COUNTER_BITS) | self._rng.getrandbits(_COUNTER_BITS - 1)
            self._last = max(self._last + 1, candidate)
            return self._last
