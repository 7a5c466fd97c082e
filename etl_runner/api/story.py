"""What an execution did, state by state, and what it is doing now. Pure: facts in, JSON out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from etl_runner.asl import model
from etl_runner.clock import to_iso
from etl_runner.jsontypes import Json
from etl_runner.machine import facts as f
from etl_runner.machine.aws_events import STATE_TYPES
from etl_runner.machine.state import (
    Frame,
    Group,
    Machine,
    OpenMapRun,
    OpenTask,
    OpenTimer,
    Status,
    begin,
    evolve,
)

SHOWN_FRAMES: Final = 100
"""The most branches and iterations that are shown one by one."""

Pages = Iterable[tuple[int, Sequence[f.Fact]]]
Key = tuple[int, str]


@dataclass(slots=True)
class _Told:
    """How often a state was entered and how it ended, over all branches and iterations."""

    entered: int = 0
    succeeded: int = 0
    failed: int = 0
    caught: int = 0
    retries: int = 0
    first_ms: int = 0
    error: str | None = None
    cause: str | None = None


@dataclass(slots=True)
class Story:
    """The machine as it stands, and what is told of each state, in the order in which they were entered."""

    definition: model.StateMachine
    machine: Machine
    told: dict[Key, _Told] = field(default_factory=dict)
    last_error: Json = None
    _caught: set[f.FrameId] = field(default_factory=set)

    # --- reading the facts --------------------------------------------------------------------------------

    def take(self, fact: f.Fact, at_ms: int) -> None:
        """Note what a fact says, then let it change the machine."""
        match fact:
            case f.StateEntered(frame=frame_id, state=state):
                told = self.told.setdefault(
                    (self.machine.frames[frame_id].scope, state), _Told(first_ms=at_ms)
                )
                told.entered += 1
            case f.StateExited(frame=frame_id):
                if frame_id in self._caught:
                    self._caught.discard(frame_id)
                else:
                    self._of(frame_id).succeeded += 1
            case f.StateFailed(frame=frame_id, error=error, cause=cause, caught=caught):
                told = self._of(frame_id)
                told.error, told.cause = error, cause
                if caught:
                    told.caught += 1
                    self._caught.add(frame_id)
                else:
                    told.failed += 1
                self._note_error(frame_id, error, cause, at_ms)
            case f.RetryScheduled(frame=frame_id, error=error, cause=cause):
                told = self._of(frame_id)
                told.retries += 1
                told.error, told.cause = error, cause
                self._note_error(frame_id, error, cause, at_ms)
            case f.ExecutionRedriven():
                for told in self.told.values():
                    if told.failed and not (told.caught or told.retries):
                        told.error = told.cause = None
                    told.failed = 0  # what had failed runs again, or is not what failed after all
            case _:
                pass
        evolve(self.machine, fact, at_ms)

    def _of(self, frame_id: f.FrameId) -> _Told:
        frame = self.machine.frames[frame_id]
        return self.told[frame.scope, frame.state or ""]

    def _note_error(self, frame_id: f.FrameId, error: str | None, cause: str | None, at_ms: int) -> None:
        state = self.machine.frames[frame_id].state
        self.last_error = {"state": state, "error": error, "cause": cause, "at": to_iso(at_ms)}

    # --- telling ------------------------------------------------------------------------------------------

    def current(self) -> list[Json]:
        """Where it stands: the state of each open branch or iteration, and what that waits for."""
        if self.machine.status is not Status.RUNNING:
            return []
        frames = [frame for frame in self.machine.frames.values() if frame.state is not None]
        return [self._doing(frame) for frame in frames[:SHOWN_FRAMES]]

    def states(self) -> list[Json]:
        """Every state of the definition that this execution could reach: what became of it, and why not."""
        standing: dict[Key, int] = {}
        for frame in self.machine.frames.values():
            if frame.state is not None:
                key = (frame.scope, frame.state)
                standing[key] = standing.get(key, 0) + 1
        ran = [self._ran(key, told, standing.get(key, 0)) for key, told in self.told.items()]
        reachable = [
            (scope, name)
            for scope in self._scopes(self.machine.start.scope)
            for name in self.definition.scopes[scope].states
        ]
        return ran + [self._unreached(key) for key in reachable if key not in self.told]

    def _ran(self, key: Key, told: _Told, standing: int) -> Json:
        shown: dict[str, Json] = {
            "state": key[1],
            "type": self._type(key),
            "status": self._status(told, standing),
            "entered": told.entered,
            "succeeded": told.succeeded,
            "failed": told.failed,
            "caught": told.caught,
            "retries": told.retries,
            "firstEnteredAt": to_iso(told.first_ms),
        }
        if told.error is not None or told.cause is not None:
            shown |= {"error": told.error, "cause": told.cause}
        return shown

    def _status(self, told: _Told, standing: int) -> str:
        if standing and self.machine.status is Status.RUNNING:
            return "running"
        if told.failed:
            return "failed"
        ended = told.succeeded + told.caught
        if told.entered > ended:
            return "succeeded" if self._ends_here(standing) else "stopped"
        return "caught" if told.caught and not told.succeeded else "succeeded"

    def _ends_here(self, standing: int) -> bool:
        """A Succeed or Fail state is never left; the one in which a good execution ends has succeeded."""
        return bool(standing) and self.machine.status is Status.SUCCEEDED

    def _unreached(self, key: Key) -> Json:
        return {"state": key[1], "type": self._type(key), "status": "not reached", "why": self._why_not(key)}

    def _why_not(self, key: Key) -> str:
        owner = self.definition.scopes[key[0]].owner
        if key[0] != self.machine.start.scope and not any(name == owner for _, name in self.told):
            return f"{owner}, which it is part of, was not reached"
        match self.machine.status:
            case Status.RUNNING:
                return "not yet"
            case Status.SUCCEEDED:
                return "the path that was taken did not lead here"
            case Status.ABORTED:
                return "the execution was stopped before"
            case Status.TIMED_OUT:
                return "the execution ran out of time before"
            case Status.FAILED:
                at = self.last_error["state"] if self.last_error else None
                return f"the execution failed in {at}" if at else "the execution failed before"

    def _scopes(self, scope: int) -> Iterator[int]:
        """A scope and those inside it; the children of a Distributed Map are executions of their own."""
        yield scope
        for state in self.definition.scopes[scope].states.values():
            if isinstance(state, model.ParallelState):
                for branch in state.branches:
                    yield from self._scopes(branch)
            elif isinstance(state, model.MapState) and state.mode is model.MapMode.INLINE:
                yield from self._scopes(state.processor)

    def _type(self, key: Key) -> str:
        return STATE_TYPES[type(self.definition.scopes[key[0]].states[key[1]])]

    def _doing(self, frame: Frame) -> Json:
        shown: dict[str, Json] = {
            "state": frame.state,
            "type": self._type((frame.scope, frame.state or "")),
            "within": self._within(frame),
            "enteredAt": to_iso(frame.entered_ms),
            "attempt": frame.attempt,
        }
        match frame.open:
            case OpenTask(deadline_ms=deadline_ms, submitted=submitted, awaits_worker=awaits):
                shown["doing"] = "waiting for a worker" if awaits else "waiting" if submitted else "working"
                if deadline_ms is not None:
                    shown["deadline"] = to_iso(deadline_ms)
            case OpenTimer(until_ms=until_ms, retry=retry, paused=paused):
                doing = "pausing" if paused else "retrying" if retry else "waiting"
                shown |= {"doing": doing, "until": to_iso(until_ms)}
                told = self.told[frame.scope, frame.state or ""]
                if retry:
                    shown |= {"error": told.error, "cause": told.cause}
            case Group(size=size, succeeded=succeeded, opened=opened):
                shown |= {"doing": "branches", "total": size, "opened": opened, "done": succeeded}
            case OpenMapRun():
                shown["doing"] = "map run"
            case _:
                shown["doing"] = "deciding"
        return shown

    def _within(self, frame: Frame) -> list[str]:
        """The states around a frame, outermost first: `Copy[3]` is the fourth branch or iteration."""
        around: list[str] = []
        while frame.parent is not None:
            parent = self.machine.frames[frame.parent]
            around.append(f"{parent.state}[{frame.index}]")
            frame = parent
        return around[::-1]


def tell(definition: model.StateMachine, pages: Pages) -> Story:
    """Read all facts of an execution. Raises ValueError when they do not begin with ExecutionStarted."""
    story: Story | None = None
    for at_ms, page in pages:
        for fact in page:
            if story is not None:
                story.take(fact, at_ms)
            elif isinstance(fact, f.ExecutionStarted):
                story = Story(definition, begin(fact, at_ms))
            else:
                raise ValueError(
                    f"a history begins with ExecutionStarted, this one with {type(fact).__name__}"
                )
    if story is None:
        raise ValueError("a history without facts is no execution")
    return story
