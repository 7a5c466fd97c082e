"""One decision in the making: what is known, what has been decided so far, and what is still to be entered.

Each fact changes the machine as it is decided, so that the next rule sees what the one before it said.
"""

import random
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from msgspec import UNSET, UnsetType

from etl_runner.asl import model
from etl_runner.errors import EtlRunnerError
from etl_runner.jsontypes import Json
from etl_runner.machine import facts as f
from etl_runner.machine.env import StateEnv
from etl_runner.machine.limits import AWS, Limits
from etl_runner.machine.state import Frame, Machine, events_added, evolve

_ENDS: Final = (f.ExecutionSucceeded, f.ExecutionFailed, f.ExecutionTimedOut, f.ExecutionAborted)
_MARGIN: Final = 10
"""More events than any one fact stands for."""

Tired: TypeAlias = Callable[[], bool]
"""Whether a decision has taken long enough, so that the frames that enter a state are to pause there.

Whoever decides has a clock to say so; what it said stands in the facts.
"""

RESTART: Final = ""
"""Stands in `ready` for the state that a frame is in already: what no state can be called."""


class EventLimitReached(EtlRunnerError):  # noqa: N818 -- reads as what it is where it is raised
    """One more fact would leave no room for the event that ends the execution."""


class Decision:
    """The facts of one `decide`, and the means to add to them.

    `ready` holds, in order, the frames that are to enter a state, with None have come to their end, or with
    RESTART do again what their state does. A queue
    instead of recursion: a chain of a thousand Pass states needs no stack, and branches take turns as they
    would side by side.
    """

    __slots__ = (
        "_near",
        "definition",
        "facts",
        "limits",
        "machine",
        "most_events",
        "now_ms",
        "ready",
        "rng",
        "tired",
    )

    def __init__(
        self,
        definition: model.StateMachine,
        machine: Machine,
        now_ms: int,
        rng: random.Random,
        limits: Limits = AWS,
        tired: Tired | None = None,
    ) -> None:
        self.tired = tired
        self.definition = definition
        self.machine = machine
        self.now_ms = now_ms
        self.rng = rng
        self.limits = limits
        self.most_events = limits.most_events(express=machine.start.express)
        self._near = self.most_events - _MARGIN
        self.facts: list[f.Fact] = []
        self.ready: deque[tuple[f.FrameId, str | None]] = deque()

    def emit(self, fact: f.Fact) -> None:
        """Decide one fact. Raises EventLimitReached, with the fact undecided, when history has no room."""
        machine = self.machine
        if (
            machine.events > self._near
            and not isinstance(fact, _ENDS)
            and machine.events + events_added(machine, fact) >= self.most_events
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
        result: Json | UnsetType = UNSET,
        error_output: Json | UnsetType = UNSET,
    ) -> StateEnv:
        """What the expressions of the frame's state see, with `data` as their `$`; see StateEnv."""
        return StateEnv(
            self.machine,
            frame,
            self.state_of(frame),
            data,
            self.rng,
            now_ms=self.now_ms,
            item=item,
            task_token=task_token,
            result=result,
            error_output=error_output,
        )

    def enter_scope(self, frame: Frame) -> None:
        """Let a frame begin at its scope's StartAt."""
        self.ready.append((frame.id, self.definition.scopes[frame.scope].start_at))
