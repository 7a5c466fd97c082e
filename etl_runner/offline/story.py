"""What happened in a run, and what of the machine it went through: read off the facts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import UNSET

from etl_runner.asl import model
from etl_runner.jsontypes import Json
from etl_runner.machine import facts as f
from etl_runner.machine.failure import HEARTBEAT_TIMEOUT, TIMEOUT, matches
from etl_runner.offline.coverage import Coverage, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened: `at_ms` of virtual time since the start, `depth` deep in branches."""

    at_ms: int
    depth: int
    state: str
    what: str
    detail: Json = None


class World(Protocol):
    """What a story is told of and told to."""

    now_ms: int
    coverage: Coverage

    def step(self, depth: int, state: str, what: str, detail: Json = None) -> None:
        """Note a step."""
        ...

    def take_chosen(self, state: str) -> int | None:
        """The place of the rule that held in a Choice, once."""
        ...

    def state_of(self, name: str) -> model.State | None:
        """The state of a name; None for what stands at the end of a path."""
        ...


class Story:
    """Turns the facts of one execution into steps and coverage."""

    def __init__(self, world: World, depth: int) -> None:
        self._world = world
        self._depth = depth
        self._at: dict[f.FrameId, str] = {}
        self._depths: dict[f.FrameId, int] = {0: depth}
        self._failures: dict[f.FrameId, f.StateFailed] = {}

    def tell(self, facts: Sequence[f.Fact]) -> None:
        """Take facts in their order."""
        for fact in facts:
            self._one(fact)

    def _one(self, fact: f.Fact) -> None:
        cover = self._world.coverage.add
        match fact:
            case f.StateEntered():
                self._at[fact.frame] = fact.state
                if self._world.state_of(fact.state) is None:
                    self._step(fact.frame, "path ends")
                    return
                cover("state", fact.state)
                self._step(fact.frame, "entered")
            case f.StateExited():
                self._left(fact)
            case f.TaskScheduled():
                self._step(fact.frame, "handed out", fact.arguments)
            case f.WaitScheduled():
                seconds = (fact.until_ms - self._world.now_ms) / 1000
                self._step(fact.frame, "waits", f"{seconds:g} s")
            case f.RetryScheduled():
                cover("retry", self._at[fact.frame], fact.retrier)
                seconds = (fact.until_ms - self._world.now_ms) / 1000
                told = {"Error": fact.error, "Retry": fact.retrier, "After": f"{seconds:g} s"}
                self._step(fact.frame, "retries", told)
            case f.StateFailed():
                self._failed(fact)
            case f.FrameOpened():
                self._depths[fact.frame] = self._depths[fact.parent] + 1
                state = self._at[fact.parent]
                is_map = isinstance(self._world.state_of(state), model.MapState)
                cover("branch", state, 0 if is_map else fact.index)
            case f.MapRunStarted():
                cover("branch", self._at[fact.frame], 0)
            case _:
                pass

    def _left(self, fact: f.StateExited) -> None:
        name = self._at[fact.frame]
        state = self._world.state_of(name)
        if state is None:
            return
        if isinstance(state, model.ChoiceState):
            rule = Part("choice", name, self._rule(state))
            self._world.coverage.hit.add(rule)
            self._step(fact.frame, "chose", str(rule).removeprefix(f"{name}/"))
        if fact.frame not in self._failures:
            told = None if fact.output is UNSET else fact.output
            self._step(fact.frame, "left", told)
        self._failures.pop(fact.frame, None)

    def _rule(self, state: model.ChoiceState) -> int:
        told = self._world.take_chosen(state.name)
        if told is not None:
            return told
        return next((place for place, branch in enumerate(state.choices) if branch.rule is True), -1)

    def _failed(self, fact: f.StateFailed) -> None:
        name = self._at[fact.frame]
        state = self._world.state_of(name)
        told = {"Error": fact.error, "Cause": fact.cause}
        if fact.caught and isinstance(state, model.WorkState):
            names = (fact.error or "",) if fact.error != TIMEOUT else (TIMEOUT, HEARTBEAT_TIMEOUT)
            place = next((at for at, each in enumerate(state.catch) if matches(each.error_equals, names)), -1)
            self._world.coverage.add("catch", name, place)
            self._failures[fact.frame] = fact
            self._step(fact.frame, "caught", {**told, "Catch": place})
            return
        self._step(fact.frame, "gave up", told)

    def _step(self, frame: f.FrameId, what: str, detail: Json = None) -> None:
        self._world.step(self._depths.get(frame, self._depth), self._at[frame], what, detail)
