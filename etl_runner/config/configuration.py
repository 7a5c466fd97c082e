"""The configuration once it has been read and found right: values, nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from etl_runner.asl.dataflow import Template
from etl_runner.asl.model import Place, StateMachine
from etl_runner.jsontypes import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowDefinition:
    """One state machine. `file` is its path as shown to people, `text` its source, `yaml` its language.

    `description` is the definition's own Comment.
    """

    name: str
    arn: str
    file: str
    text: str
    yaml: bool
    machine: StateMachine = field(compare=False)
    description: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionBinding:
    """One function: `module` is importable with `search_path` on sys.path, `function` is its attribute.

    `code_sha256` is over all Python files of the workflow's folder: when it changes, workers that have the
    old code loaded have to go.
    """

    name: str
    arn: str
    module: str
    function: str
    search_path: str
    run_in: Literal["process", "thread"]
    timeout_s: float
    environment: Mapping[str, str]
    description: str
    code_sha256: str
    file: str = field(compare=False)
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One schedule. `input` is a one-tuple as written, `template` the same compiled; times in epoch ms.

    Both are None without an input: then the execution gets the tick and the schedule.
    """

    name: str
    expression: str
    timezone: str
    workflow: str
    input: tuple[Json] | None
    template: Template | None = field(compare=False)
    enabled: bool
    start_ms: int | None
    end_ms: int | None
    description: str
    file: str = field(compare=False)
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One event rule. `input` is a one-tuple when it is given; `template` None stands for the whole event."""

    name: str
    pattern: Json
    workflow: str
    input: tuple[Json] | None
    template: Template | None = field(compare=False)
    enabled: bool
    description: str
    file: str = field(compare=False)
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One SQS queue polled for events."""

    name: str
    queue_url: str
    region: str | None
    wait_s: int
    max_messages: int
    visibility_timeout_s: int | None
    enabled: bool
    description: str
    file: str = field(compare=False)
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All of it. `fingerprint` is the SHA-256 over every file that went in, code included."""

    workflows: Mapping[str, WorkflowDefinition]
    functions: Mapping[str, FunctionBinding]
    schedules: Mapping[str, Schedule]
    rules: Mapping[str, Rule]
    queues: Mapping[str, Queue]
    fingerprint: str
