"""The machine's state, and how each fact changes it. Reloading an execution is folding its facts, no more.

`evolve` is the only code that changes a Machine. It evaluates nothing and decides nothing, so that a later
release with other rules still loads what this one wrote. A Machine is owned by whoever holds it and is
changed in place; when a commit fails, throw it away and fold again.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, Final, TypeAlias

from msgspec import UNSET, Struct, UnsetType, field

from etl_runner.jsontypes import Json
from etl_runner.machine import facts as f
from etl_runner.machine.event_count import DEPENDS, events_of

ROOT: Final[f.FrameId] = 0


class Status(StrEnum):
    """The status of an execution, in AWS's words."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"


class OpenTask(Struct, kw_only=True):
    """A task that is handed out. `awaits_worker` holds while no worker has fetched it (activities only).

    `submission` is the first response of a task that was submitted: a `.sync` job is found again by it.
    """

    token: f.Token
    arguments: Json
    deadline_ms: int | None = None
    heartbeat_ms: int | None = None
    credentials: Json = None
    submitted: bool = False
    submission: Json = None
    awaits_worker: bool = False
    task_token: str | None = None


class OpenTimer(Struct, kw_only=True):
    """A Wait, or the pause before a retry."""

    token: f.Token
    until_ms: int
    retry: bool


class Group(Struct, kw_only=True):
    """The branches of a Parallel, or the iterations of an inline Map.

    `items` is None for a Parallel, whose branches all take `input`. `results` has one place per child.
    """

    size: int
    concurrency: int
    input: Json = None
    items: list[Json] | None = None
    opened: int = 0
    succeeded: int = 0
    results: list[Json]
    children: set[f.FrameId] = field(default_factory=set)


class OpenMapRun(Struct, kw_only=True):
    """A Distributed Map whose children run as executions of their own."""

    token: f.Token
    plan: Json


Open: TypeAlias = OpenTask | OpenTimer | Group | OpenMapRun


class Frame(Struct, kw_only=True):
    """One level of nesting: a scope, the state it is in, and the data that flows through it.

    `data` is the raw input of the current state, or what the last one left. `attempt` counts from 1;
    `retries` counts for each retrier how often it took an error since the state was entered.
    """

    id: f.FrameId
    scope: int
    data: Json
    parent: f.FrameId | None = None
    index: int = 0
    item: Json | UnsetType = UNSET
    state: str | None = None
    entered_ms: int = 0
    entered_event: int = 0
    attempt: int = 1
    retries: dict[int, int] = field(default_factory=dict)
    open: Open | None = None


class Machine(Struct, kw_only=True):
    """One execution as it stands. `events` is how many AWS history events its facts amount to."""

    start: f.ExecutionStarted
    started_ms: int
    status: Status = Status.RUNNING
    frames: dict[f.FrameId, Frame]
    tokens: dict[f.Token, f.FrameId] = field(default_factory=dict)
    next_frame: f.FrameId = 1
    next_token: f.Token = 1
    facts: int = 1
    events: int = 1
    output: Json | UnsetType = UNSET
    error: str | None = None
    cause: str | None = None

    def wake_at_ms(self) -> int | None:
        """When the next timer or deadline is due; None when nothing waits for time."""
        if self.status is not Status.RUNNING:
            return None
        due = self.start.deadline_ms
        for frame_id in self.tokens.values():
            work = self.frames[frame_id].open
            if isinstance(work, OpenTask):
                moment = work.deadline_ms
            elif isinstance(work, OpenTimer):
                moment = work.until_ms
            else:
                continue
            if moment is not None and (due is None or moment < due):
                due = moment
        return due

    def open_work(self) -> list[tuple[Frame, OpenTask | OpenMapRun]]:
        """The hand-outs that somebody must be working on, oldest first; recovery hands them out again."""
        found: list[tuple[Frame, OpenTask | OpenMapRun]] = []
        for frame_id in self.tokens.values():
            frame = self.frames[frame_id]
            if isinstance(frame.open, OpenTask | OpenMapRun):
                found.append((frame, frame.open))
        return found


def begin(start: f.ExecutionStarted, at_ms: int) -> Machine:
    """Make the machine that the first fact stands for."""
    root = Frame(id=ROOT, scope=start.scope, data=start.input)
    return Machine(start=start, started_ms=at_ms, frames={ROOT: root})


def evolve(machine: Machine, fact: f.Fact, at_ms: int) -> None:
    """Change `machine` as `fact` says. Raises KeyError for a fact that does not fit: a damaged history."""
    machine.facts += 1
    events = events_added(machine, fact)
    _EVOLVE[type(fact)](machine, fact, at_ms)
    machine.events += events


def events_added(machine: Machine, fact: f.Fact) -> int:
    """How many AWS history events `fact` adds to those of `machine`, which it has not changed yet."""
    count = events_of(fact)
    if count != DEPENDS:
        return count
    match fact:
        case f.TaskScheduled():
            return 1 if fact.awaits_worker else 2
        case f.FrameOpened():
            return _is_map(machine, fact.parent)
        case f.FrameSucceeded():
            return _is_map(machine, machine.frames[fact.frame].parent)
        case f.FrameFailed():
            return _is_map(machine, machine.frames[fact.frame].parent) + fact.aborted
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
    _frame_gone(machine, fact.frame)


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
    frame.state = None
    if fact.output is not UNSET:
        frame.data = fact.output


def _state_failed(machine: Machine, fact: f.StateFailed, _at: int) -> None:
    machine.frames[fact.frame].open = None


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
    frame.retries[fact.retrier] = frame.retries.get(fact.retrier, 0) + 1
    _open(machine, fact.frame, fact.token, OpenTimer(token=fact.token, until_ms=fact.until_ms, retry=True))


def _wait_scheduled(machine: Machine, fact: f.WaitScheduled, _at: int) -> None:
    _open(machine, fact.frame, fact.token, OpenTimer(token=fact.token, until_ms=fact.until_ms, retry=False))


def _timer_fired(machine: Machine, fact: f.TimerFired, _at: int) -> None:
    frame = machine.frames[machine.tokens[fact.token]]
    assert isinstance(frame.open, OpenTimer)
    if frame.open.retry:
        frame.attempt += 1
    _close(machine, fact.token)


def _parallel_started(machine: Machine, fact: f.ParallelStarted, _at: int) -> None:
    machine.frames[fact.frame].open = Group(
        size=fact.branches,
        concurrency=fact.branches,
        input=fact.input,
        results=[None] * fact.branches,
    )


def _map_started(machine: Machine, fact: f.MapStarted, _at: int) -> None:
    size = len(fact.items)
    machine.frames[fact.frame].open = Group(
        size=size, concurrency=fact.concurrency, items=fact.items, results=[None] * size
    )


def _group_ended(machine: Machine, fact: Any, _at: int) -> None:
    machine.frames[fact.frame].open = None


def _map_run_started(machine: Machine, fact: f.MapRunStarted, _at: int) -> None:
    _open(machine, fact.frame, fact.token, OpenMapRun(token=fact.token, plan=fact.plan))


def _map_run_refused(_machine: Machine, _fact: f.MapRunRefused, _at: int) -> None:
    """Nothing was opened."""


def _execution_succeeded(machine: Machine, _fact: f.ExecutionSucceeded, _at: int) -> None:
    machine.status = Status.SUCCEEDED
    machine.output = machine.frames[ROOT].data


def _execution_ended(machine: Machine, fact: Any, _at: int) -> None:
    machine.status = _END_STATUS[type(fact)]
    machine.error = fact.error
    machine.cause = fact.cause


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
    f.TimerFired: _timer_fired,
    f.ParallelStarted: _parallel_started,
    f.ParallelSucceeded: _group_ended,
    f.ParallelFailed: _group_ended,
    f.MapStarted: _map_started,
    f.MapSucceeded: _group_ended,
    f.MapFailed: _group_ended,
    f.MapRunStarted: _map_run_started,
    f.MapRunRefused: _map_run_refused,
    f.MapRunSucceeded: _token_closed,
    f.MapRunFailed: _token_closed,
    f.ExecutionSucceeded: _execution_succeeded,
    f.ExecutionFailed: _execution_ended,
    f.ExecutionTimedOut: _execution_ended,
    f.ExecutionAborted: _execution_ended,
}
