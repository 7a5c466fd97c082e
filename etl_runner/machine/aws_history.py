"""AWS's execution history as a projection of the facts.

Facts that AWS never shows (timers, retries, frames of a Parallel) have no event; others have several. How
many each has is known to state.py as well (`events_added`), since texts and limits speak of event numbers.

`previousEventId` follows a chain per frame: a branch begins at its group's ...Started, and what comes after a
group goes on from the branch that ended last. Some events hang on a chain without being part of it (the next
event has the same predecessor): MapIterationSucceeded within the chain of iterations, ...StateSucceeded,
MapRunSucceeded, MapIterationFailed and ...Aborted. All of this is as AWS's recorded histories have it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec import UNSET

from etl_runner.asl import model
from etl_runner.jsontypes import Json
from etl_runner.machine import facts as f
from etl_runner.machine.aws_events import (
    STATE_TYPES,
    Details,
    HistoryEvent,
    TaskShape,
    assigned,
    data,
    failure,
)
from etl_runner.machine.map_plan import run_arn
from etl_runner.machine.projection import Projection
from etl_runner.machine.state import ROOT, Group, Machine, OpenTask, begin, evolve

_JOBS: Final = (".sync", ".sync:2")
"""Integrations whose task is a job: one that cannot even be submitted has an event of its own."""


def project(
    definition: model.StateMachine,
    pages: Iterable[tuple[int, Sequence[f.Fact]]],
    *,
    region: str,
    include_data: bool = True,
) -> Iterator[HistoryEvent]:
    """Give the events of an execution in order, made while they are asked for.

    `pages` are `(at_ms, facts)` from the first on; `definition` is the one that the execution runs.
    Timestamps are epoch milliseconds. With `include_data` false, inputs, outputs and parameters are left
    out. Raises ValueError when the pages do not begin with ExecutionStarted.
    """
    projector = Projector(definition, region=region, include_data=include_data)
    for at_ms, page in pages:
        for fact in page:
            yield from projector.take(fact, at_ms)


class Projector:
    """The events of one execution fact by fact, for whoever goes on with it when there are more."""

    def __init__(self, definition: model.StateMachine, *, region: str, include_data: bool = True) -> None:
        self._definition = definition
        self._region = region
        self._include_data = include_data
        self._projection: Projection | None = None

    @property
    def machine(self) -> Machine:
        """The fold of the facts so far, of which there is at least one. Only to be read."""
        assert self._projection is not None, "take comes first"
        return self._projection.machine

    def take(self, fact: f.Fact, at_ms: int) -> list[HistoryEvent]:
        """The events of the next fact. Raises ValueError when the first is not ExecutionStarted."""
        if self._projection is not None:
            return _take(self._projection, fact, at_ms)
        if not isinstance(fact, f.ExecutionStarted):
            found = type(fact).__name__
            raise ValueError(f"a history begins with ExecutionStarted, this one with {found}")  # noqa: TRY004 -- the history is damaged
        machine = begin(fact, at_ms)
        projection = Projection(self._definition, machine, self._region, include_data=self._include_data)
        self._projection = projection
        return [projection.begun(at_ms)]


def _take(p: Projection, fact: f.Fact, at_ms: int) -> list[HistoryEvent]:
    """The events that a fact stands for."""
    p.at_ms = at_ms
    p.made = []
    write = _WRITE.get(type(fact))
    if write is not None:
        write(p, fact)
    if not isinstance(fact, f.StateFailed | f.FrameFailed | f.FrameAborted | f.TokenRevoked):
        p.struck = None
    evolve(p.machine, fact, at_ms)
    return p.made


def _frame_opened(p: Projection, fact: f.FrameOpened) -> None:
    parent = p.machine.frames[fact.parent]
    previous = p.heads[fact.parent]
    assert isinstance(parent.open, Group)
    if parent.open.items is not None:
        details = {"name": parent.state, "index": fact.index}
        previous = p.event("MapIterationStarted", previous, "mapIterationStarted", details)
    p.heads[fact.frame] = previous


def _group_redriven(p: Projection, fact: f.GroupRedriven) -> None:
    p.after.pop(fact.frame, None)


def _frame_redriven(p: Projection, fact: f.FrameRedriven) -> None:
    p.heads[fact.frame] = p.heads[fact.parent]


def _frame_succeeded(p: Projection, fact: f.FrameSucceeded) -> None:
    frame = p.machine.frames[fact.frame]
    assert frame.parent is not None
    head = p.heads.pop(fact.frame)
    p.heads[frame.parent] = p.after[frame.parent] = head
    details = p.iteration(frame)
    if details is not None:
        p.after[frame.parent] = p.event("MapIterationSucceeded", head, "mapIterationSucceeded", details)


def _frame_failed(p: Projection, fact: f.FrameFailed) -> None:
    frame = p.machine.frames[fact.frame]
    assert frame.parent is not None
    p.struck = p.heads[frame.parent] = p.heads.pop(fact.frame)
    details = p.iteration(frame)
    if details is not None:
        p.event("MapIterationFailed", p.struck, "mapIterationFailed", details)
    if fact.aborted:
        p.event(f"{p.state_type(frame)}StateAborted", p.struck)


def _frame_aborted(p: Projection, fact: f.FrameAborted) -> None:
    frame = p.machine.frames[fact.frame]
    head = p.heads.pop(fact.frame)
    if fact.quiet:
        return
    previous = head if p.struck is None else p.struck
    details = p.iteration(frame)
    if details is not None:
        p.event("MapIterationAborted", previous, "mapIterationAborted", details)
    if frame.state is not None:
        p.event(f"{p.state_type(frame)}StateAborted", previous)


def _state_entered(p: Projection, fact: f.StateEntered) -> None:
    frame = p.machine.frames[fact.frame]
    state = p.definition.scopes[frame.scope].states[fact.state]
    kind = STATE_TYPES[type(state)]
    text = p.as_given if fact.frame == ROOT and not _normalises(state) else None
    details = {"name": fact.state, **data("input", frame.data, include=p.include_data, text=text)}
    before = p.heads[fact.frame]
    p.chain(fact.frame, f"{kind}StateEntered", "stateEntered", details)
    p.before[fact.frame] = before


def _normalises(state: model.State) -> bool:
    """Whether AWS shows the start input in compact form when it enters this state first.

    It does for a labelled Distributed Map and not for other Maps, as far as histories were recorded.
    """
    return isinstance(state, model.MapState) and state.label != ""


def _state_exited(p: Projection, fact: f.StateExited) -> None:
    frame = p.machine.frames[fact.frame]
    output: Json = frame.data if fact.output is UNSET else fact.output
    if fact.frame == ROOT and fact.output is not UNSET:
        p.as_given = None
    text = p.as_given if fact.frame == ROOT else None
    details = {
        "name": frame.state,
        **data("output", output, include=p.include_data, text=text),
        **assigned(fact.assigned, include=p.include_data),
    }
    p.chain(fact.frame, f"{p.state_type(frame)}StateExited", "stateExited", details)


def _state_evaluation_failed(p: Projection, fact: f.StateEvaluationFailed) -> None:
    """Where the state had come no further than being entered, AWS lets the event follow what that followed.

    Only a Wait evaluates in a step of its own.
    """
    frame = p.machine.frames[fact.frame]
    assert frame.state is not None
    details = {"error": fact.error, "cause": fact.cause, "state": frame.state}
    if fact.location is not None:
        details["location"] = fact.location
    before = p.before.get(fact.frame)
    if before is not None and not isinstance(p.state(frame), model.WaitState):
        p.heads[fact.frame] = before
    p.chain(fact.frame, "EvaluationFailed", "evaluationFailed", details)


def _state_failed(p: Projection, fact: f.StateFailed) -> None:
    p.struck = p.heads[fact.frame]


def _task_scheduled(p: Projection, fact: f.TaskScheduled) -> None:
    shape = p.task_shape(p.machine.frames[fact.frame])
    details = shape.scheduled(fact, p.region, include_data=p.include_data)
    p.chain(fact.frame, f"{shape.family}Scheduled", _key(shape, "Scheduled"), details)
    if fact.awaits_worker:
        return
    if shape.about:
        p.chain(fact.frame, "TaskStarted", "taskStarted", dict(shape.about))
    else:
        p.chain(fact.frame, f"{shape.family}Started")


def _key(shape: TaskShape, what: str) -> str:
    return shape.family[0].lower() + shape.family[1:] + what


def _activity_started(p: Projection, fact: f.ActivityStarted) -> None:
    details = {} if fact.worker is None else {"workerName": fact.worker}
    p.chain(p.holder(fact.token).id, "ActivityStarted", "activityStarted", details)


def _task_answered(p: Projection, token: f.Token, what: str, details: Details) -> None:
    frame = p.holder(token)
    shape = p.task_shape(frame)
    p.chain(frame.id, f"{shape.family}{what}", _key(shape, what), {**shape.about, **details})


def _task_submitted(p: Projection, fact: f.TaskSubmitted) -> None:
    _task_answered(p, fact.token, "Submitted", data("output", fact.output, include=p.include_data))


def _task_succeeded(p: Projection, fact: f.TaskSucceeded) -> None:
    _task_answered(p, fact.token, "Succeeded", data("output", fact.output, include=p.include_data))


def _task_failed(p: Projection, fact: f.TaskFailed) -> None:
    frame = p.holder(fact.token)
    state = p.state(frame)
    assert isinstance(state, model.TaskState)
    assert isinstance(frame.open, OpenTask)
    what = "Failed"
    if frame.open.awaits_worker:
        what = "ScheduleFailed"  # no worker had it, so it is not a worker that failed
    elif state.resource.endswith(_JOBS) and not frame.open.submitted:
        what = "SubmitFailed"
    _task_answered(p, fact.token, what, failure(fact.error, fact.cause))


def _task_timed_out(p: Projection, fact: f.TaskTimedOut) -> None:
    _task_answered(p, fact.token, "TimedOut", {"error": "States.Timeout"})


def _parallel_started(p: Projection, fact: f.ParallelStarted) -> None:
    p.chain(fact.frame, "ParallelStateStarted")


def _parallel_succeeded(p: Projection, fact: f.ParallelSucceeded) -> None:
    p.event("ParallelStateSucceeded", p.heads[fact.frame])


def _parallel_failed(p: Projection, fact: f.ParallelFailed) -> None:
    p.chain(fact.frame, "ParallelStateFailed")


def _map_started(p: Projection, fact: f.MapStarted) -> None:
    p.after.pop(fact.frame, None)
    p.chain(fact.frame, "MapStateStarted", "mapStateStarted", {"length": len(fact.items)})


def _map_succeeded(p: Projection, fact: f.MapSucceeded) -> None:
    previous = p.heads[fact.frame] = p.after.pop(fact.frame, p.heads[fact.frame])
    p.event("MapStateSucceeded", previous)


def _map_failed(p: Projection, fact: f.MapFailed) -> None:
    p.chain(fact.frame, "MapStateFailed")


def _map_run_started(p: Projection, fact: f.MapRunStarted) -> None:
    plan = fact.plan
    p.chain(fact.frame, "MapStateStarted", "mapStateStarted", {"length": len(plan.get("items") or ())})
    arn = run_arn(p.machine.start.execution_arn, plan, fact.token)
    p.chain(fact.frame, "MapRunStarted", "mapRunStarted", {"mapRunArn": arn})


def _map_run_refused(p: Projection, fact: f.MapRunRefused) -> None:
    p.chain(fact.frame, "MapStateStarted", "mapStateStarted", {"length": fact.length})


def _map_run_succeeded(p: Projection, fact: f.MapRunSucceeded) -> None:
    ended = p.event("MapRunSucceeded", p.heads[p.holder(fact.token).id])
    p.event("MapStateSucceeded", ended)


def _map_run_failed(p: Projection, fact: f.MapRunFailed) -> None:
    frame = p.holder(fact.token)
    p.chain(frame.id, "MapRunFailed", "mapRunFailed", failure(fact.error, fact.cause))
    p.chain(frame.id, "MapStateFailed")


def _map_run_redriven(p: Projection, fact: f.MapRunRedriven) -> None:
    arn = run_arn(p.machine.start.execution_arn, fact.plan, fact.run)
    details = {"mapRunArn": arn, "redriveCount": fact.count}
    p.chain(fact.frame, "MapRunRedriven", "mapRunRedriven", details)


def _execution_redriven(p: Projection, fact: f.ExecutionRedriven) -> None:
    redriven = p.event("ExecutionRedriven", p.count, "executionRedriven", {"redriveCount": fact.count})
    p.heads = {ROOT: redriven}
    p.before.clear()


def _token_revoked(p: Projection, fact: f.TokenRevoked) -> None:
    if fact.map_run:
        head = p.heads[p.holder(fact.token).id]
        p.event("MapRunAborted", head if p.struck is None else p.struck)


def _execution_succeeded(p: Projection, _fact: f.ExecutionSucceeded) -> None:
    value = p.machine.frames[ROOT].data
    details = data("output", value, include=p.include_data, text=p.as_given)
    p.chain(ROOT, "ExecutionSucceeded", "executionSucceeded", details)


def _execution_failed(p: Projection, fact: f.ExecutionFailed) -> None:
    previous = p.count if p.struck is None else p.struck
    p.event("ExecutionFailed", previous, "executionFailed", failure(fact.error, fact.cause))


def _execution_timed_out(p: Projection, fact: f.ExecutionTimedOut) -> None:
    p.event("ExecutionTimedOut", 0, "executionTimedOut", failure(fact.error, fact.cause))


def _execution_aborted(p: Projection, fact: f.ExecutionAborted) -> None:
    p.event("ExecutionAborted", 0, "executionAborted", failure(fact.error, fact.cause))


_WRITE: Final[dict[type, Callable[[Projection, Any], None]]] = {
    f.FrameOpened: _frame_opened,
    f.FrameSucceeded: _frame_succeeded,
    f.FrameFailed: _frame_failed,
    f.FrameAborted: _frame_aborted,
    f.StateEntered: _state_entered,
    f.StateExited: _state_exited,
    f.StateEvaluationFailed: _state_evaluation_failed,
    f.StateFailed: _state_failed,
    f.TaskScheduled: _task_scheduled,
    f.ActivityStarted: _activity_started,
    f.TaskSubmitted: _task_submitted,
    f.TaskSucceeded: _task_succeeded,
    f.TaskFailed: _task_failed,
    f.TaskTimedOut: _task_timed_out,
    f.ParallelStarted: _parallel_started,
    f.ParallelSucceeded: _parallel_succeeded,
    f.ParallelFailed: _parallel_failed,
    f.MapStarted: _map_started,
    f.MapSucceeded: _map_succeeded,
    f.MapFailed: _map_failed,
    f.MapRunStarted: _map_run_started,
    f.MapRunRefused: _map_run_refused,
    f.MapRunSucceeded: _map_run_succeeded,
    f.MapRunFailed: _map_run_failed,
    f.TokenRevoked: _token_revoked,
    f.MapRunRedriven: _map_run_redriven,
    f.ExecutionSucceeded: _execution_succeeded,
    f.ExecutionFailed: _execution_failed,
    f.ExecutionTimedOut: _execution_timed_out,
    f.ExecutionAborted: _execution_aborted,
    f.ExecutionRedriven: _execution_redriven,
    f.GroupRedriven: _group_redriven,
    f.FrameRedriven: _frame_redriven,
}
