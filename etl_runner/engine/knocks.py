"""What stands in the engine's inbox: requests and answers for executions, each with whoever waits for it."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

from etl_runner.jsontypes import Json
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
class StartRequest:
    """Start an execution of a definition.

    `name` is unique in its state machine. `tick` and `event_match` are ledger rows that are committed with
    the execution; their outcome and ARN are filled in here. `done` is resolved after the commit.
    """

    state_machine_arn: str
    state_machine_name: str
    definition_id: int
    name: str
    input: Json
    origin: str = "api"
    role_arn: str = ""
    tick: Row | None = None
    event_match: Row | None = None
    done: Future[Started] = field(default_factory=Future)


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


Item: TypeAlias = StartRequest | Knock | LedgerEntry | MapRunNudge
