"""Stimuli: what may knock at a machine. Nouns; the answer is facts, or nothing when a token is not open."""

from dataclasses import dataclass
from typing import TypeAlias

from etl_runner.jsontypes import Json
from etl_runner.machine.facts import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A new execution; what StartExecution asked for.

    `input_text` is the input as it was sent, when that is not the compact text of `input`.
    """

    execution_arn: str
    name: str
    state_machine_arn: str
    state_machine_name: str
    input: Json
    role_arn: str = ""
    scope: int = 0
    item_index: int | None = None
    input_text: str | None = None
    state_machine_version_arn: str | None = None
    state_machine_alias_arn: str | None = None
    express: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSuccess:
    """A task answered with a result."""

    token: Token
    output: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailure:
    """A task answered with an error."""

    token: Token
    error: str | None
    cause: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityFetch:
    """A worker fetched the task of an activity; `worker` is the name it gave, if any."""

    token: Token
    worker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSubmission:
    """A service took a task over and will answer its token later."""

    token: Token
    output: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatLoss:
    """The holder of a task has not been heard of for longer than HeartbeatSeconds."""

    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """The time has come to look at timers and deadlines; which of them are due follows from `now_ms`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Someone asks for the end of the execution (StopExecution, or a map run that failed)."""

    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRunSuccess:
    """A map run ended well; `output` is the Map state's result."""

    token: Token
    output: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRunFailure:
    """A map run failed."""

    token: Token
    error: str | None
    cause: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """The machine itself could not go on (a fault of ours, or of the definition); ends the execution."""

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive:
    """Someone asks for an execution that ended without success to go on from where it stood."""


Stimulus: TypeAlias = (
    Start
    | TaskSuccess
    | TaskFailure
    | ActivityFetch
    | TaskSubmission
    | HeartbeatLoss
    | Wake
    | Stop
    | MapRunSuccess
    | MapRunFailure
    | Breakdown
    | Redrive
)
