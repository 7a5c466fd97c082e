"""What a machine is made of: frames, the work that is open in them, and the execution around them.

state.py changes these as facts say; nobody else does.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from msgspec import UNSET, Struct, UnsetType, field

from etl_runner.jsontypes import Json
from etl_runner.machine import facts as f

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
    """A Wait, the pause before a retry, or (`paused`) one so that others get their turn."""

    token: f.Token
    until_ms: int
    retry: bool
    paused: bool = False


class Group(Struct, kw_only=True):
    """The branches of a Parallel, or the iterations of an inline Map.

    `items` is None for a Parallel, whose branches all take `input`. `results` has one place per child.
    `lost` are the children that failed or were aborted, by index, as they stood: a redrive revives them.
    """

    size: int
    concurrency: int
    input: Json = None
    items: list[Json] | None = None
    opened: int = 0
    succeeded: int = 0
    results: list[Json]
    children: set[f.FrameId] = field(default_factory=set)
    lost: dict[int, "Frame"] = field(default_factory=dict)


class OpenMapRun(Struct, kw_only=True):
    """A Distributed Map whose children run as executions of their own.

    `run` is the token that the map run was first started with (its ARN follows from it), `redrives` how often
    it was taken up again since.
    """

    token: f.Token
    plan: Json
    run: f.Token
    redrives: int = 0


Open: TypeAlias = OpenTask | OpenTimer | Group | OpenMapRun


class Frame(Struct, kw_only=True):
    """One level of nesting: a scope, the state it is in, and the data that flows through it.

    `data` is the raw input of the current state, or what the last one left. `attempt` counts from 1;
    `retries` counts for each retrier how often it took an error since the state was entered. `variables` are
    those of its own scope, never changed in place. `left` is what the state's work had come to when it
    failed, for a redrive to go on from: the group of a Parallel or inline Map, or the map run.
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
    variables: dict[str, Json] | None = None
    left: Group | OpenMapRun | None = None


class Machine(Struct, kw_only=True):
    """One execution as it stands. `events` is how many AWS history events its facts amount to.

    `assigned_bytes` is the size of all that was ever assigned to variables: what lives is at most that.
    `redriven_ms` is when it was last redriven.
    """

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
    deadline_ms: int | None = None
    assigned_bytes: int = 0
    redrives: int = 0
    redriven_ms: int | None = None

    def wake_at_ms(self) -> int | None:
        """When the next timer or deadline is due; None when nothing waits for time."""
        if self.status is not Status.RUNNING:
            return None
        due = self.deadline_ms
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


def visible_variables(machine: Machine, frame: Frame) -> Mapping[str, Json]:
    """The variables that a frame's states can read: its own before those of the frames around it."""
    scopes: list[dict[str, Json]] = []
    at: Frame | None = frame
    while at is not None:
        if at.variables:
            scopes.append(at.variables)
        at = None if at.parent is None else machine.frames[at.parent]
    if not scopes:
        return _NO_VARIABLES
    return (
        scopes[0]
        if len(scopes) == 1
        else {name: v for scope in reversed(scopes) for name, v in scope.items()}
    )


_NO_VARIABLES: Final[Mapping[str, Json]] = MappingProxyType({})
