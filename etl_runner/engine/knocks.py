"""What stands in the engine's inbox: requests and answers for executions, each with whoever waits for it."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from msgspec import UNSET, UnsetType

from etl_runner.errors import Conflict
from etl_runner.jsontypes import Json
from etl_runner.machine.state import Status
from etl_runner.machine.stimuli import Stimulus
from etl_runner.store.unit import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The answer to a StartRequest. `existed`: an execution of that name and input was there already."""

    execution_id: int
    arn: str
    started_ms: int
    existed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an execution ended. `output` is UNSET unless it succeeded."""

    execution_id: int
    arn: str
    name: str
    status: Status
    started_ms: int
    stopped_ms: int
    output: Json | UnsetType = UNSET
    error: str | None = None
    cause: str | None = None

    @property
    def billed_ms(self) -> int:
        """The duration as AWS bills it: in steps of 100 ms, begun ones in full."""
        return max(1, -(-(self.stopped_ms - self.started_ms) // 100)) * 100


Reuse: TypeAlias = Literal["input", "running", "origin"]
"""When a request for a name that is taken gets the execution that has it, and not a refusal.

"input": its input is the same. "running": its input is the same and it still runs, as StartExecution has it.
"origin": its `origin` is the same (one task attempt, handed out again after a crash); else as "running".
Whatever is said here, a request that brings a ledger row (a tick, an event) is for that execution.
"""


class ExecutionExists(Conflict):
    """The name is taken; the message is AWS's."""

    code = "ExecutionAlreadyExists"

    def __init__(self, arn: str) -> None:
        self.arn = arn
        super().__init__(f"Execution Already Exists: '{arn}'")


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """Start an execution of a definition.

    `name` is unique in its state machine; `reuse` says what becomes of a second request for it. `input_text`
    is the input as it was sent, which AWS shows as it is. `logging` is the state machine's logging
    configuration as DescribeStateMachine gives it. `tick` and `event_match` are ledger rows that are
    committed with the execution; their outcome and ARN are filled in here. `done` is resolved after the
    commit.

    `express` executions live in memory, and each request starts one whatever its name; `arn` is then that of
    one that was acknowledged by an earlier process. With `sync` nothing of it is ever written, and `ended` is
    resolved when it has ended (or fails as `done` does).
    """

    state_machine_arn: str
    state_machine_name: str
    definition_id: int
    name: str
    input: Json
    origin: str = "api"
    role_arn: str = ""
    reuse: Reuse = "input"
    input_text: str | None = None
    state_machine_version_arn: str | None = None
    state_machine_alias_arn: str | None = None
    trace_header: str | None = None
    logging: Json = None
    express: bool = False
    sync: bool = False
    arn: str | None = None
    tick: Row | None = None
    event_match: Row | None = None
    done: Future[Started] = field(default_factory=Future)
    ended: Future[Ended] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """A stimulus for one execution. `written` are receipts of S3 writes that came with a task's end.

    `done` (when someone waits) gives True when the stimulus led to facts, False when it decided nothing.
    """

    execution_id: int
    stimulus: Stimulus
    written: tuple[Json, ...] = ()
    done: Future[bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """Rows for the ledgers without an execution (a tick that was missed, a schedule's new state)."""

    ticks: tuple[Row, ...] = ()
    event_matches: tuple[Row, ...] = ()
    schedule_states: tuple[Row, ...] = ()
    done: Future[bool] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRunNudge:
    """A map run has something to do: items have been read, or its results are written."""

    map_run_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRunUpdate:
    """Change the bounds of a map run while it runs.

    `changes` are columns of tables.MapRun: max_concurrency, tolerated_count, tolerated_percentage. `done`
    fails with MapRunNotRunning (map_runs.py) for one that has ended.
    """

    map_run_id: int
    changes: Row
    done: Future[None] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSuccess:
    """SendTaskSuccess."""

    output: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFailure:
    """SendTaskFailure."""

    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHeartbeat:
    """SendTaskHeartbeat."""


@dataclass(slots=True, kw_only=True, eq=False)
class TokenAnswer:
    """What someone says of the task with this token. `done` is resolved after the commit.

    `account` is the one whose tasks alone may be answered, None for any. `held_until_ms` is set when the
    answer came before its task was submitted, see tokens.py.
    """

    task_token: str
    answer: TokenSuccess | TokenFailure | TokenHeartbeat
    account: str | None = None
    held_until_ms: int | None = None
    done: Future[None] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityTask:
    """The task of an activity, handed to a worker. `input` is JSON text."""

    task_token: str
    input: str


@dataclass(slots=True, kw_only=True, eq=False)
class ActivityPoll:
    """A worker asks for a task of an activity, and waits for one until `until_ms`. None: there was none."""

    activity_arn: str
    worker: str | None
    until_ms: int
    claimed: bool = False
    done: Future[ActivityTask | None] = field(default_factory=Future)

    def claim(self) -> bool:
        """Whether the worker still waits; from then on it can no longer go away before it is answered."""
        if not self.claimed and not self.done.done():
            self.claimed = self.done.set_running_or_notify_cancel()
        return self.claimed


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven:
    """The answer to a RedriveRequest."""

    redriven_ms: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RedriveRequest:
    """Let an execution that ended without success go on. A `client_token` makes it the same request again."""

    execution_id: int
    client_token: str | None = None
    done: Future[Redriven] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Pages of facts of which the world was told: their rows leave the outbox. `(execution_id, seq)` each."""

    pages: tuple[tuple[int, int], ...]


Item: TypeAlias = (
    StartRequest
    | Knock
    | LedgerEntry
    | MapRunNudge
    | MapRunUpdate
    | TokenAnswer
    | ActivityPoll
    | RedriveRequest
    | Told
)
