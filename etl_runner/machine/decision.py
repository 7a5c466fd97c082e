"""One decision in the making: what is known, what has been decided so far, and what is still to be entered.

Each fact changes the machine as it is decided, so that the next rule sees what the one before it said.
"""

import random
from collections import deque
from typing import Final

from etl_runner.asl import model
from etl_runner.errors import EtlRunnerError
from etl_runner.jsontypes import Json
from etl_runner.machine import facts as f
from etl_runner.machine.env import StateEnv
from etl_runner.machine.event_count import EVENT_LIMIT
from etl_runner.machine.state import Frame, Machine, events_added, evolve

INLINE_MAP_CONCURRENCY: Final = 40
"""At most so many iterations of an inline Map at once (AWS: "up to 40 concurrent iterations")."""


_ENDS: Final = (f.ExecutionSucceeded, f.ExecutionFailed, f.ExecutionTimedOut, f.ExecutionAborted)
_NEAR_THE_LIMIT: Final = EVENT_LIMIT - 10


class EventLimitReached(EtlRunnerError):  # noqa: N818 -- reads as what it is where it is raised
    """One more fact would leave no room for the event that ends the execution."""


class Decision:
    """The facts of one `decide`, and the means to add to them.

    `ready` holds the frames that are to enter a state, or with None have come to their end, in order. A queue
    instead of recursion: a chain of a thousand Pass states needs no stack, and branches take turns as they
    would side by side.
    """

    __slots__ = ("definition", "facts", "machine", "now_ms", "ready", "rng")

    def __init__(
        self, definition: model.StateMachine, machine: Machine, now_ms: int, rng: random.Random
    ) -> None:
        self.definition = definition
        self.machine = machine
        self.now_ms = now_ms
        self.rng = rng
        self.facts: list[f.Fact] = []
        self.ready: deque[tuple[f.FrameId, str | None]] = deque()

    def emit(self, fact: f.Fact) -> None:
        """Decide one fact. Raises EventLimitReached, with the fact undecided, when history has no room."""
        machine = self.machine
        if (
            machine.events > _NEAR_THE_LIMIT
            and not isinstance(fact, _ENDS)
            and machine.events + events_added(machine, fact) >= EVENT_LIMIT
        ):
            raise EventLimitReached
        self.facts.append(fact)
        evolve(machine, fact, self.now_ms)

    def state_of(self, frame: Frame) -> model.State:
        """The state that a frame is in."""
        assert frame.state is not None
        return self.definition.scopes[frame.scope].states[frame.state]

    def env(
        self,
        frame: Frame,
        data: Json,
        *,
        item: tuple[int, Json] | None = None,
        task_token: str | None = None,
    ) -> StateEnv:
        """What the expressions of the frame's state see, with `data` as their `$`; see StateEnv."""
        state = self.state_of(frame)
        return StateEnv(self.machine, frame, state, data, self.rng, item=item, task_token=task_token)

    def enter_scope(self, frame: Frame) -> None:
        """Let a frame begin at its scope's StartAt."""
        self.ready.append((frame.id, self.definition.scopes[frame.scope].start_at))
