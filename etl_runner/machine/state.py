"""How each fact changes the machine. Reloading an execution is folding its facts, no more.

`evolve` is the only code that changes a Machine. It evaluates nothing and decides nothing, so that a later
release with other rules still loads what this one wrote. A Machine is owned by whoever holds it and is
changed in place; when a commit fails, throw it away and fold again.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec import UNSET

from etl_runner.jsontypes import dumps
from etl_runner.machine import facts as f
from etl_runner.machine.event_count import DEPENDS, EVENTS
from etl_runner.machine.shape import (
    ROOT,
    Frame,
    Group,
    Machine,
    Open,
    OpenMapRun,
    OpenTask,
    OpenTimer,
    Status,
    visible_variables,
)

__all__ = [
    "ROOT",
    "Frame",
    "Group",
    "Machine",
    "Open",
    "OpenMapRun",
    "OpenTask",
    "OpenTimer",
    "Status",
    "begin",
    "events_added",
    "evolve",
    "fold",
    "visible_variables",
]


def begin(start: f.ExecutionStarted, at_ms: int) -> Machine:
    """Make the machine that the first fact stands for."""
    root = Frame(id=ROOT, scope=start.scope, data=start.input)
    return Machine(start=start, started_ms=at_ms, frames={ROOT: root}, deadline_ms=start.deadline_ms)


def evolve(machine: Machine, fact: f.Fact, at_ms: int) -> None:
    """Change `machine` as `fact` says. Raises KeyError for a fact that does not fit: a damaged history."""
    kind = type(fact)
    machine.facts += 1
    events = EVENTS[kind]
    if events == DEPENDS:
        events = _depending(machine, fact)
    _EVOLVE[kind](machine, fact, at_ms)
    machine.events += events


def events_added(machine: Machine, fact: f.Fact) -> int:
    """How many AWS history events `fact` adds to those of `machine`, which it has not changed yet."""
    count = EVENTS[type(fact)]
    return _depending(machine, fact) if count == DEPENDS else count


def _depending(machine: Machine, fact: f.Fact) -> int:
    match fact:
        case f.TaskScheduled():
            return 1 if fact.awaits_worker else 2
        case f.FrameOpened():
            return _is_map(machine, fact.parent)
        case f.FrameSucceeded():
            return _is_map(machine, machine.frames[fact.frame].parent)
        case f.FrameFailed():
            return _is_map(machine, machine.frames[fact.frame].parent) + fact.aborted
        case f.TokenRevoked():
            return fact.map_run
        case f.FrameAborted() if not fact.quiet:
            frame = machine.frames[fact.frame]
            return _is_map(machine, frame.parent) + (frame.state is not None)
        case _:
            return 0


def _is_map(machine: Machine, frame_id: f.FrameId | None) -> bool:
    assert frame_id is not None
    group = machine.frames[frame_id].open
    assert isinstance(group, Group)
    return group.items is not None


def fold(pages: Iterable[tuple[int, Iterable[f.Fact]]]) -> Machine:
    """Fold pages `(at_ms, facts)` in order. Raises ValueError when ExecutionStarted is not the first."""
    machine: Machine | None = None
    for at_ms, page in pages:
        for fact in page:
            if machine is not None:
                evolve(machine, fact, at_ms)
            elif isinstance(fact, f.ExecutionStarted):
                machine = begin(fact, at_ms)
            else:
                raise ValueError(
                    f"a history begins with ExecutionStarted, this one with {type(fact).__name__}"
                )
    if machine is None:
        raise ValueError("a history without facts is no execution")
    return machine


def _close(machine: Machine, token: f.Token) -> Frame:
    frame = machine.frames[machine.tokens.pop(token)]
    frame.open = None
    return frame


def _open(machine: Machine, frame_id: f.FrameId, token: f.Token, work: Open) -> None:
    machine.frames[frame_id].open = work
    machine.tokens[token] = frame_id
    machine.next_token = max(machine.next_token, token + 1)


def _frame_opened(machine: Machine, fact: f.FrameOpened, _at: int) -> None:
    group = machine.frames[fact.parent].open
    assert isinstance(group, Group)
    item = UNSET if group.items is None else group.items[fact.index]
    given = group.input if group.items is None else item
    machine.frames[fact.frame] = Frame(
        id=fact.frame,
        parent=fact.parent,
        scope=fact.scope,
        index=fact.index,
        item=item,
        data=given if fact.input is UNSET else fact.input,
    )
    machine.next_frame = max(machine.next_frame, fact.frame + 1)
    group.children.add(fact.frame)
    group.opened += 1


def _frame_gone(machine: Machine, frame_id: f.FrameId) -> tuple[Frame, Group]:
    frame = machine.frames.pop(frame_id)
    assert frame.parent is not None
    group = machine.frames[frame.parent].open
    assert isinstance(group, Group)
    group.children.discard(frame_id)
    return frame, group


def _frame_succeeded(machine: Machine, fact: f.FrameSucceeded, _at: int) -> None:
    frame, group = _frame_gone(machine, fact.frame)
    group.results[frame.index] = frame.data
    group.succeeded += 1


def _frame_ended(machine: Machine, fact: f.FrameFailed | f.FrameAborted, _at: int) -> None:
    frame, group = _frame_gone(machine, fact.frame)
    group.lost[frame.index] = frame


def _state_entered(machine: Machine, fact: f.StateEntered, at: int) -> None:
    frame = machine.frames[fact.frame]
    frame.state = fact.state
    frame.entered_ms = at
    frame.entered_event = machine.events + 1
    frame.attempt = 1
    if frame.retries:
        frame.retries = {}


def _state_exited(machine: Machine, fact: f.StateExited, _at: int) -> None:
    frame = machine.frames[fact.frame]
    frame.state = frame.left = None
    if fact.output is not UNSET:
        frame.data = fact.output
    if fact.assigned is not UNSET:
        machine.assigned_bytes += len(dumps(fact.assigned))
        frame.variables = {**(frame.variables or {}), **fact.assigned}


def _state_evaluation_failed(_machine: Machine, _fact: f.StateEvaluationFailed, _at: int) -> None:
    """StateFailed or RetryScheduled says what came of it."""


def _state_failed(machine: Machine, fact: f.StateFailed, _at: int) -> None:
    _leave_group(machine.frames[fact.frame])


def _leave_group(frame: Frame) -> None:
    if isinstance(frame.open, Group):
        frame.left = frame.open
    frame.open = None


def _task_scheduled(machine: Machine, fact: f.TaskScheduled, _at: int) -> None:
    work = OpenTask(
        token=fact.token,
        arguments=fact.arguments,
        deadline_ms=fact.deadline_ms,
        heartbeat_ms=fact.heartbeat_ms,
        credentials=fact.credentials,
        awaits_worker=fact.awaits_worker,
        task_token=fact.task_token,
    )
    _open(machine, fact.frame, fact.token, work)


def _activity_started(machine: Machine, fact: f.ActivityStarted, _at: int) -> None:
    work = machine.frames[machine.tokens[fact.token]].open
    assert isinstance(work, OpenTask)
    work.awaits_worker = False


def _task_submitted(machine: Machine, fact: f.TaskSubmitted, _at: int) -> None:
    work = machine.frames[machine.tokens[fact.token]].open
    assert isinstance(work, OpenTask)
    work.submitted = True
    work.submission = fact.output


def _token_closed(machine: Machine, fact: Any, _at: int) -> None:
    _close(machine, fact.token)


def _retry_scheduled(machine: Machine, fact: f.RetryScheduled, _at: int) -> None:
    frame = machine.frames[fact.frame]
    frame.left = None
    frame.retries[fact.retrier] = frame.retries.get(fact.retrier, 0) + 1
    _open(machine, fact.frame, fact.token, OpenTimer(token=fact.token, until_ms=fact.until_ms, retry=True))


def _wait_scheduled(machine: Machine, fact: f.WaitScheduled, _at: int) -> None:
    _open(machine, fact.frame, fact.token, OpenTimer(token=fact.token, until_ms=fact.until_ms, retry=False))


def _paused(machine: Machine, fact: f.Paused, _at: int) -> None:
    timer = OpenTimer(token=fact.token, until_ms=fact.until_ms, retry=False, paused=True)
    _open(machine, fact.frame, fact.token, timer)


def _timer_fired(machine: Machine, fact: f.TimerFired, _at: int) -> None:
    frame = machine.frames[machine.tokens[fact.token]]
    assert isinstance(frame.open, OpenTimer)
    if frame.open.retry:
        frame.attempt += 1
    _close(machine, fact.token)


def _parallel_started(machine: Machine, fact: f.ParallelStarted, _at: int) -> None:
    group = Group(
        size=fact.branches,
        concurrency=fact.branches,
        input=fact.input,
        results=[None] * fact.branches,
    )
    _open_group(machine.frames[fact.frame], group)


def _map_started(machine: Machine, fact: f.MapStarted, _at: int) -> None:
    size = len(fact.items)
    group = Group(size=size, concurrency=fact.concurrency, items=fact.items, results=[None] * size)
    _open_group(machine.frames[fact.frame], group)


def _open_group(frame: Frame, group: Group) -> None:
    frame.open, frame.left = group, None


def _group_succeeded(machine: Machine, fact: Any, _at: int) -> None:
    machine.frames[fact.frame].open = None


def _group_failed(machine: Machine, fact: Any, _at: int) -> None:
    _leave_group(machine.frames[fact.frame])


def _map_run_started(machine: Machine, fact: f.MapRunStarted, _at: int) -> None:
    work = OpenMapRun(token=fact.token, plan=fact.plan, run=fact.token)
    _open(machine, fact.frame, fact.token, work)
    machine.frames[fact.frame].left = work


def _map_run_redriven(machine: Machine, fact: f.MapRunRedriven, _at: int) -> None:
    work = OpenMapRun(token=fact.token, plan=fact.plan, run=fact.run, redrives=fact.count)
    _open(machine, fact.frame, fact.token, work)
    machine.frames[fact.frame].left = work


def _map_run_succeeded(machine: Machine, fact: f.MapRunSucceeded, _at: int) -> None:
    _close(machine, fact.token).left = None


def _map_run_refused(_machine: Machine, _fact: f.MapRunRefused, _at: int) -> None:
    """Nothing was opened."""


def _execution_succeeded(machine: Machine, _fact: f.ExecutionSucceeded, _at: int) -> None:
    machine.status = Status.SUCCEEDED
    machine.output = machine.frames[ROOT].data


def _execution_ended(machine: Machine, fact: Any, _at: int) -> None:
    machine.status = _END_STATUS[type(fact)]
    machine.error = fact.error
    machine.cause = fact.cause


def _execution_redriven(machine: Machine, fact: f.ExecutionRedriven, at: int) -> None:
    machine.status = Status.RUNNING
    machine.error = machine.cause = None
    machine.deadline_ms = fact.deadline_ms
    machine.redrives = fact.count
    machine.redriven_ms = at
    root = machine.frames[ROOT]
    if fact.anew:
        root.open = root.left = None
    _begin_again(root)


def _group_redriven(machine: Machine, fact: f.GroupRedriven, _at: int) -> None:
    frame = machine.frames[fact.frame]
    frame.open, frame.left = frame.left, None


def _frame_redriven(machine: Machine, fact: f.FrameRedriven, _at: int) -> None:
    group = machine.frames[fact.parent].open
    assert isinstance(group, Group)
    frame = next(frame for frame in group.lost.values() if frame.id == fact.frame)
    del group.lost[frame.index]
    group.children.add(frame.id)
    machine.frames[frame.id] = frame
    _begin_again(frame)


def _begin_again(frame: Frame) -> None:
    frame.attempt = 1
    frame.retries = {}


_END_STATUS: Final[dict[type, Status]] = {
    f.ExecutionFailed: Status.FAILED,
    f.ExecutionTimedOut: Status.TIMED_OUT,
    f.ExecutionAborted: Status.ABORTED,
}

_EVOLVE: Final[dict[type, Callable[[Machine, Any, int], None]]] = {
    f.FrameOpened: _frame_opened,
    f.FrameSucceeded: _frame_succeeded,
    f.FrameFailed: _frame_ended,
    f.FrameAborted: _frame_ended,
    f.StateEntered: _state_entered,
    f.StateExited: _state_exited,
    f.StateEvaluationFailed: _state_evaluation_failed,
    f.StateFailed: _state_failed,
    f.TaskScheduled: _task_scheduled,
    f.ActivityStarted: _activity_started,
    f.TaskSubmitted: _task_submitted,
    f.TaskSucceeded: _token_closed,
    f.TaskFailed: _token_closed,
    f.TaskTimedOut: _token_closed,
    f.TokenRevoked: _token_closed,
    f.RetryScheduled: _retry_scheduled,
    f.WaitScheduled: _wait_scheduled,
    f.Paused: _paused,
    f.TimerFired: _timer_fired,
    f.ParallelStarted: _parallel_started,
    f.ParallelSucceeded: _group_succeeded,
    f.ParallelFailed: _group_failed,
    f.MapStarted: _map_started,
    f.MapSucceeded: _group_succeeded,
    f.MapFailed: _group_failed,
    f.MapRunStarted: _map_run_started,
    f.MapRunRefused: _map_run_refused,
    f.MapRunSucceeded: _map_run_succeeded,
    f.MapRunFailed: _token_closed,
    f.MapRunRedriven: _map_run_redriven,
    f.ExecutionSucceeded: _execution_succeeded,
    f.ExecutionFailed: _execution_ended,
    f.ExecutionTimedOut: _execution_ended,
    f.ExecutionAborted: _execution_ended,
    f.ExecutionRedriven: _execution_redriven,
    f.GroupRedriven: _group_redriven,
    f.FrameRedriven: _frame_redriven,
}
