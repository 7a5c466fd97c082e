"""A parsed state machine: what remains of an ASL document once it has been checked and compiled.

Every class here is a value; parse.py makes them, the machine reads them. Field names are ASL's in snake
case. A scope is one `{StartAt, States}` object: scope 0 is the top, each branch of a Parallel and each
processor of a Map is a scope of its own, numbered in document order, so that a definition text always
gives the same numbers and a fact may keep them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from etl_runner.asl.choice import Rule
from etl_runner.asl.dataflow import (
    WHOLE,
    Expression,
    JsonataExpression,
    Payload,
    ReferencePath,
    Selector,
)
from etl_runner.jsontypes import Json


class QueryLanguage(StrEnum):
    """How a state writes its expressions."""

    JSONPATH = "JSONPath"
    JSONATA = "JSONata"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something stands in its file; lines and columns start at 1, 0 means unknown."""

    line: int = 0
    column: int = 0


class Jitter(StrEnum):
    """JitterStrategy of a retrier."""

    NONE = "NONE"
    FULL = "FULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrier:
    """One entry of Retry. Source: Amazon States Language, "Retrying after error"."""

    error_equals: tuple[str, ...]
    interval_seconds: int = 1
    max_attempts: int = 3
    backoff_rate: float = 2.0
    max_delay_seconds: int | None = None
    jitter: Jitter = Jitter.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Catcher:
    """One entry of Catch. `result_path` None means null: the error output is dropped.

    A JSONata catcher has `output` in its place; without it the output is the error output.
    """

    error_equals: tuple[str, ...]
    next: str
    result_path: ReferencePath | None = field(default_factory=ReferencePath.whole)
    output: Payload | None = None
    assign: Payload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateBase:
    """What every state has. A path of None is ASL's null; WHOLE is `$`.

    `output` is JSONata's Output. `assign` gives an object from the names of variables to their values, in
    either language.
    """

    name: str
    place: Place = Place()
    comment: str = ""
    query_language: QueryLanguage = QueryLanguage.JSONPATH
    input_path: Selector | None = WHOLE
    output_path: Selector | None = WHOLE
    output: Payload | None = None
    assign: Payload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PassState(StateBase):
    """`result` is a one-tuple when the field is there, since null is a value too. `next` None means End."""

    next: str | None
    parameters: Payload | None = None
    result: tuple[Json] | None = None
    result_path: ReferencePath | None = field(default_factory=ReferencePath.whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkState(StateBase):
    """What Task, Parallel and Map share: work that may fail, be retried and be caught.

    `parameters` is Parameters, or Arguments in JSONata.
    """

    next: str | None
    parameters: Payload | None = None
    result_selector: Payload | None = None
    result_path: ReferencePath | None = field(default_factory=ReferencePath.whole)
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState(WorkState):
    """Times are in seconds; a Selector (TimeoutSecondsPath ...) or JSONata gives them at run time."""

    resource: str
    timeout_seconds: int | Selector | JsonataExpression | None = None
    heartbeat_seconds: int | Selector | JsonataExpression | None = None
    credentials: Payload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelState(WorkState):
    """`branches` are scope numbers, in order."""

    branches: tuple[int, ...]


class MapMode(StrEnum):
    """ProcessorConfig.Mode."""

    INLINE = "INLINE"
    DISTRIBUTED = "DISTRIBUTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemReader:
    """Where a Distributed Map reads its items; `config` is ReaderConfig, checked, with `*Path` compiled.

    `config` keys are ASL's own (InputType, CSVHeaderLocation, CSVHeaders, CSVDelimiter, MaxItems,
    ItemsPointer, ManifestType, Transformation, ChunkBytes); `max_items_path` stands for MaxItemsPath, or for
    a MaxItems in JSONata. What not_yet.py refuses is never in it.
    """

    resource: str
    parameters: Payload | None = None
    config: Mapping[str, Json] = field(default_factory=dict)
    max_items_path: Selector | JsonataExpression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemBatcher:
    """How items are put together into the input `{"Items": [...], "BatchInput": ...}` of one child."""

    max_items: int | Selector | JsonataExpression | None = None
    max_input_bytes: int | Selector | JsonataExpression | None = None
    batch_input: Payload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultWriter:
    """Where a Distributed Map writes the outcome of its children (manifest.json, SUCCEEDED_n.json ...).

    Without a resource only `config` (WriterConfig: Transformation, OutputType) shapes the state's result.
    """

    resource: str = ""
    parameters: Payload | None = None
    config: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapState(WorkState):
    """A Map over items. `processor` is a scope number; MaxConcurrency 0 means no bound of its own.

    `items` is JSONata's Items; a JSONata Map without it goes over its input.

    `execution_type` says what the children of a Distributed Map are on AWS. Here EXPRESS children run as
    STANDARD ones do, each durable and with a history of its own; they may not use what express workflows
    cannot (validate.py), so that the definition stays right for AWS.
    """

    processor: int
    mode: MapMode = MapMode.INLINE
    execution_type: str = "STANDARD"
    items_path: Selector = WHOLE
    items: Payload | None = None
    item_selector: Payload | None = None
    max_concurrency: int | Selector | JsonataExpression = 0
    label: str = ""
    item_reader: ItemReader | None = None
    item_batcher: ItemBatcher | None = None
    result_writer: ResultWriter | None = None
    tolerated_failure_percentage: float | Selector | JsonataExpression = 0.0
    tolerated_failure_count: int | Selector | JsonataExpression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceBranch:
    """One top-level choice rule and where it leads.

    A JSONata rule is an expression that gives true or false (its field is "Choices[n]/Condition"), or one
    of the two as it is.
    """

    rule: Rule | JsonataExpression | bool
    next: str
    output: Payload | None = None
    assign: Payload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceState(StateBase):
    """The first branch that holds wins; without Default, none holding is States.NoChoiceMatched."""

    choices: tuple[ChoiceBranch, ...]
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitState(StateBase):
    """Exactly one of the two is set: seconds from now, or an RFC 3339 timestamp."""

    next: str | None
    seconds: int | Selector | JsonataExpression | None = None
    timestamp: str | Selector | JsonataExpression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SucceedState(StateBase):
    """Ends its scope with what OutputPath leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailState(StateBase):
    """Ends the execution. A plain string is the value itself; an Expression is ErrorPath or CausePath."""

    error: str | Expression | JsonataExpression | None = None
    cause: str | Expression | JsonataExpression | None = None


State: TypeAlias = (
    PassState | TaskState | ParallelState | MapState | ChoiceState | WaitState | SucceedState | FailState
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One `{StartAt, States}` object. `owner` names the state it belongs to, "" for the top scope."""

    id: int
    start_at: str
    states: Mapping[str, State]
    owner: str = ""


DEFAULT_STATE_MACHINE_VERSION: Final = "1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateMachine:
    """A whole definition. `sha256` is that of its text as given (hexadecimal).

    `variable_references` names the variables that each state reads, sorted; states that read none are not
    in it. Source: DescribeStateMachine, "variableReferences".
    """

    scopes: tuple[Scope, ...]
    comment: str = ""
    version: str = DEFAULT_STATE_MACHINE_VERSION
    timeout_seconds: int | None = None
    query_language: QueryLanguage = QueryLanguage.JSONPATH
    sha256: str = ""
    variable_references: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
