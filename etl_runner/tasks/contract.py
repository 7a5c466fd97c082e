"""What the engine and whoever does the work say to each other: Invocation in, Outcome out."""

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from etl_runner.jsontypes import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One hand-out of a task.

    `token` names this very attempt and comes back with the Outcome. `idempotency_key` is the same for
    every hand-out of the same state entry and attempt, also after a crash. `deadline_ms` and
    `heartbeat_ms` (a period) are None where the state sets none. Times are epoch milliseconds.
    `role_arn` is the state machine's own role. `submitted` is the first response of a `.sync` job that an
    earlier process started: it is not started again, only its end is looked for.
    """

    token: str
    resource: str
    arguments: Json
    idempotency_key: str
    execution_arn: str
    state_name: str
    attempt: int = 1
    deadline_ms: int | None = None
    heartbeat_ms: int | None = None
    credentials: Json = None
    role_arn: str = ""
    task_token: str | None = None
    submitted: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded:
    """The task is done. `output` is what the state's result will be, before ResultSelector.

    `written` holds the receipts of the versioned S3 writes made on the way (lineage.py).
    """

    token: str
    output: Json
    written: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The task failed: `error` is what Retry and Catch match, `cause` the text beside it."""

    token: str
    error: str
    cause: str = ""
    written: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The work was handed on. `output` is the first response.

    Someone else answers with the task token; where `continues` the same invoker looks for the end of the
    job (`.sync`), and one more outcome follows.
    """

    token: str
    output: Json = field(default=None)
    continues: bool = False


Outcome: TypeAlias = Succeeded | Failed | Pending


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line that a task wrote. `stream` is "stdout", "stderr" or "log"."""

    token: str
    execution_arn: str
    state_name: str
    stream: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a task has come: `done` of `total` (None: not known), in the task's own unit."""

    token: str
    execution_arn: str
    state_name: str
    done: float
    total: float | None = None
    note: str = ""


class Sink(Protocol):
    """Where invokers report to. Every method may be called from any thread and must not block for long."""

    def outcome(self, outcome: Outcome) -> None:
        """Take the end of one hand-out."""
        ...

    def heartbeat(self, token: str) -> None:
        """Note that the holder of this token is alive."""
        ...

    def log(self, line: LogLine) -> None:
        """Take a line of a task's output."""
        ...

    def progress(self, progress: Progress) -> None:
        """Take a report of progress."""
        ...


class Invoker(Protocol):
    """Whoever can do the work of a resource. `start` returns at once; the outcome goes to the sink."""

    def accepts(self, resource: str) -> str | None:
        """None when this resource can be invoked, else a sentence saying why not and what to do."""
        ...

    def start(self, invocation: Invocation, sink: Sink) -> None:
        """Begin. One Outcome follows unless `cancel` came first. Never raises for the task's fault."""
        ...

    def cancel(self, token: str) -> None:
        """Stop working for this token, if anything still does; no outcome need follow."""
        ...

    def close(self, grace_s: float) -> None:
        """Take no more work, let what runs finish for up to `grace_s` seconds, then end it."""
        ...
