"""One state of a machine, by itself: entered with an input, answered from outside, left; and what was seen.

The state is put into a scope of its own in which every way out leads to a stand-in, so that the machine runs
it with all its rules (retries, catches, data flow) and stops where it would go on. A Map or Parallel is run
as a task that someone else answers: its input and output processing is the same, its branches are not run.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from msgspec import UNSET

from etl_runner.asl import model
from etl_runner.asl.dataflow import WHOLE, Env
from etl_runner.errors import NotFound
from etl_runner.jsontypes import Json
from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.decide import decide, start
from etl_runner.machine.limits import AWS, Limits
from etl_runner.machine.state import ROOT, Machine, OpenTask, OpenTimer
from etl_runner.offline.map_input import MapInput
from etl_runner.offline.watching import AFTER_SELECTOR, Identity, Nowhere, Seen, Watch, whole

MOCKED: Final = "arn:aws:states:::mocked"
"""What stands for a Map or Parallel while it is run as a task."""


class Ending(StrEnum):
    """What became of a state; AWS's TestExecutionStatus."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    RETRIABLE = "RETRIABLE"
    CAUGHT_ERROR = "CAUGHT_ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """Where one exit of a state leads, and what led there: the place in Catch or Choices, if it was one."""

    next: str
    catch: int | None = None
    choice: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a state. `retry_after_ms` is the pause before the retry that RETRIABLE announces."""

    ending: Ending
    output: Json = None
    error: str | None = None
    cause: str | None = None
    way: WayOut | None = None
    retrier: int | None = None
    retry_after_ms: int = 0
    assigned: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A state in its machine. `map` is the nearest Map that has it in its processor, if any."""

    state: model.State
    scope: int
    map: model.MapState | None


def find_state(machine: model.StateMachine, name: str) -> Found:
    """Find a state by name in any scope. Raises NotFound."""
    for scope in machine.scopes:
        if name in scope.states:
            return Found(state=scope.states[name], scope=scope.id, map=_map_around(machine, scope))
    names = ", ".join(repr(name) for scope in machine.scopes for name in scope.states)
    raise NotFound(f"there is no state {name!r} in this state machine; there are {names[:500]}")


def _map_around(machine: model.StateMachine, scope: model.Scope) -> model.MapState | None:
    if not scope.owner:
        return None
    around = find_state(machine, scope.owner)
    return around.state if isinstance(around.state, model.MapState) else around.map


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a state sees beside its input. `context` makes its context object of the machine's own."""

    execution_arn: str
    name: str
    state_machine_arn: str
    state_machine_name: str
    role_arn: str = ""
    variables: Mapping[str, Json] = field(default_factory=dict)
    context: Callable[[Json], Json] | None = None
    reader_data: list[Json] | None = None


class OneState:
    """A state under way. While `result` is None, `task` or `waits_until_ms` says what it waits for."""

    def __init__(
        self,
        machine: model.StateMachine,
        name: str,
        given: Json,
        around: Surroundings,
        *,
        now_ms: int,
        rng: random.Random,
        limits: Limits = AWS,
    ) -> None:
        """Enter the state. Raises NotFound."""
        self.stages: dict[str, Json] = {}
        found = find_state(machine, name)
        self.state = found.state
        watch = Watch(self._note, self._view)
        self._around = around
        self._ways: dict[str, WayOut] = {}
        self._now_ms = now_ms
        self._rng = rng
        self._limits = limits
        self._given = given
        self.items: list[Json] | None = None
        self.arguments: Json = None
        alone = self._led_astray(_explicit(self._alone(found.state)))
        state = watch.state(alone, stands_in=self.stands_in)
        stands = {way: model.SucceedState(name=way) for way in self._ways}
        scope = model.Scope(id=0, start_at=name, states={name: state, **stands})
        self._definition = replace(machine, scopes=(scope,), timeout_seconds=None)
        first = s.Start(
            execution_arn=around.execution_arn,
            name=around.name,
            state_machine_arn=around.state_machine_arn,
            state_machine_name=around.state_machine_name,
            input=given,
            role_arn=around.role_arn,
        )
        self._machine, self._facts = start(self._definition, first, now_ms, rng, limits)
        if self.task is not None:
            self.arguments = self.task.arguments

    @property
    def stands_in(self) -> bool:
        """Whether its task stands for the branches of a Parallel or the iterations of a Map."""
        return isinstance(self.state, model.ParallelState | model.MapState)

    # --- what it waits for --------------------------------------------------------------------------------

    @property
    def task(self) -> OpenTask | None:
        """The task that is handed out, if one is."""
        work = self._root_work()
        return work if isinstance(work, OpenTask) else None

    @property
    def waits_until_ms(self) -> int | None:
        """When its Wait is over, if it waits."""
        work = self._root_work()
        return work.until_ms if isinstance(work, OpenTimer) and not work.retry else None

    def succeed(self, output: Json, now_ms: int) -> None:
        """Answer its task."""
        task = self.task
        assert task is not None
        if not self.stands_in:
            self.stages["result"] = output
        self._decide(s.TaskSuccess(token=task.token, output=output), now_ms)

    def fail(self, error: str | None, cause: str | None, now_ms: int, *, retried: int = 0) -> None:
        """Answer its task with an error that each retrier has taken `retried` times before."""
        task = self.task
        assert task is not None
        if isinstance(self.state, model.WorkState):
            frame = self._machine.frames[ROOT]
            frame.retries = dict.fromkeys(range(len(self.state.retry)), retried)
        self._decide(s.TaskFailure(token=task.token, error=error, cause=cause), now_ms)

    def wake(self, now_ms: int) -> None:
        """Let time pass up to `now_ms`."""
        self._decide(s.Wake(), now_ms)

    def _decide(self, stimulus: s.Stimulus, now_ms: int) -> None:
        self._now_ms = now_ms
        self._facts += decide(self._definition, self._machine, stimulus, now_ms, self._rng, self._limits)

    def _root_work(self) -> object:
        machine: Machine = self._machine
        frame = machine.frames.get(ROOT)
        return None if frame is None else frame.open

    # --- what became of it --------------------------------------------------------------------------------

    def result(self) -> Result | None:
        """What became of the state; None while it waits."""
        failure: f.StateFailed | None = None
        for place, fact in enumerate(self._facts):
            match fact:
                case f.StateExited(frame=0):
                    return self._left(fact, failure, self._facts[place + 1 :])
                case f.RetryScheduled(frame=0):
                    return Result(
                        ending=Ending.RETRIABLE,
                        error=fact.error,
                        cause=fact.cause,
                        retrier=fact.retrier,
                        retry_after_ms=max(fact.until_ms - self._now_ms, 0),
                    )
                case f.StateFailed(frame=0):
                    failure = fact
                    if not fact.caught:
                        return Result(ending=Ending.FAILED, error=fact.error, cause=fact.cause)
                case f.ExecutionFailed():
                    return Result(ending=Ending.FAILED, error=fact.error, cause=fact.cause)
                case _:
                    pass
        return None

    def _left(self, exit_: f.StateExited, failure: f.StateFailed | None, rest: list[f.Fact]) -> Result:
        entered = next((fact.state for fact in rest if isinstance(fact, f.StateEntered)), None)
        return Result(
            ending=Ending.SUCCEEDED if failure is None else Ending.CAUGHT_ERROR,
            output=self._given if exit_.output is UNSET else exit_.output,
            error=None if failure is None else failure.error,
            cause=None if failure is None else failure.cause,
            way=None if entered is None else self._ways[entered],
            assigned={} if exit_.assigned is UNSET else exit_.assigned,
        )

    # --- watching -----------------------------------------------------------------------------------------

    def _note(self, stage: str, value: Json) -> None:
        self.stages[stage] = value
        if (
            stage == AFTER_SELECTOR
            and isinstance(self.state, model.PassState)
            and self.state.result is not None
        ):
            self.stages["result"] = value

    def _view(self, env: Env) -> Env:
        return Seen(env, context=self._around.context, variables=self._around.variables)

    def note_items(self, items: list[Json]) -> None:
        """Take the items that a Map would run over."""
        self.items = items

    def _alone(self, state: model.State) -> model.State:
        """A Map or Parallel as a task; any other state as it is."""
        if isinstance(state, model.ParallelState):
            return as_task(state, state.parameters)
        if not isinstance(state, model.MapState):
            return state
        data = self._around.reader_data
        given = MapInput(state, note=self._note, take=self.note_items, view=self._view, reader_data=data)
        return as_task(state, given)

    def _led_astray(self, state: model.State) -> model.State:
        """Give the state with each way out leading to a stand-in, whose name tells the way."""
        changes: dict[str, object] = {}
        if isinstance(state, model.WorkState):
            changes["catch"] = tuple(
                replace(catcher, next=self._way(WayOut(next=catcher.next, catch=place)))
                for place, catcher in enumerate(state.catch)
            )
        if isinstance(state, model.ChoiceState):
            changes["choices"] = tuple(
                replace(branch, next=self._way(WayOut(next=branch.next, choice=place)))
                for place, branch in enumerate(state.choices)
            )
            if state.default is not None:
                changes["default"] = self._way(WayOut(next=state.default))
        elif not isinstance(state, model.SucceedState | model.FailState) and state.next is not None:
            changes["next"] = self._way(WayOut(next=state.next))
        return replace(state, **changes)  # type: ignore[arg-type] # of the state's own fields

    def _way(self, way: WayOut) -> str:
        name = f"{len(self._ways)} {way.next}"
        self._ways[name] = way
        return name


def as_task(state: model.ParallelState | model.MapState, given: object) -> model.TaskState:
    """A Map or Parallel as a task that someone else answers; `given` evaluates to its arguments."""
    return model.TaskState(
        name=state.name,
        query_language=state.query_language,
        input_path=state.input_path,
        output_path=state.output_path,
        output=state.output,
        assign=state.assign,
        next=state.next,
        parameters=given,  # type: ignore[arg-type] # evaluates as payloads do
        result_selector=state.result_selector,
        result_path=state.result_path,
        retry=state.retry,
        catch=state.catch,
        resource=MOCKED,
    )


def _explicit(state: model.State) -> model.State:
    """Spell out what is there by default, so that it can be watched."""
    if state.query_language is model.QueryLanguage.JSONATA:
        if isinstance(state, model.TaskState) and state.resource != MOCKED and state.parameters is None:
            return replace(state, parameters=Identity())  # type: ignore[arg-type] # as payloads do
        return state
    changes: dict[str, object] = {}
    if state.input_path is WHOLE and not isinstance(state, model.FailState):
        changes["input_path"] = whole()
    if isinstance(state, model.PassState | model.TaskState) and state.parameters is None:
        changes["parameters"] = Identity()
    if isinstance(state, model.PassState | model.WorkState) and state.result_path is None:
        changes["result_path"] = Nowhere()
    return replace(state, **changes)  # type: ignore[arg-type] # of the state's own fields
