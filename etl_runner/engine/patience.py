"""How long one execution may keep the others waiting: the engine decides all of them in one thread."""

from collections.abc import Callable
from time import monotonic
from typing import Final

DECISION_S: Final = 0.2
"""So long may one decision go on; more than a whole history of Pass states takes."""

TURN_S: Final = 2.0
"""So long may all decisions of a turn take together before each gets less."""

LEAST_S: Final = 0.01
"""What a decision gets in a turn that has taken too long already."""


class Patience:
    """That of one turn. What is done in a state that was begun is not interrupted."""

    __slots__ = ("_now", "_turn_until", "_until")

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._turn_until = self._until = now() + TURN_S

    def anew(self) -> Callable[[], bool]:
        """Begin a decision; what is given says whether it has taken long enough."""
        now = self._now()
        self._until = max(now + LEAST_S, min(now + DECISION_S, self._turn_until))
        return self._spent

    def _spent(self) -> bool:
        return self._now() >= self._until
