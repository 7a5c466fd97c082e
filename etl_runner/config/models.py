"""What may stand in the files of the configuration, field by field.

These models are for the shape alone; what ties files together (a schedule names a workflow) is in load.py.
Unknown fields are refused, and no value is turned into another type: "5" is no number and NO is no boolean.
The field descriptions become the JSON Schema that editors check the files with (schema.py).
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from etl_runner.jsontypes import Json

NAME_PATTERN: Final = r"^[A-Za-z0-9._-]{1,64}$"
FUNCTION_NAME_PATTERN: Final = r"^[A-Za-z0-9_-]{1,64}$"
HANDLER_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$"
VARIABLE_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
LONGEST_TIMEOUT_S: Final = 604_800

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
FunctionName = Annotated[str, StringConstraints(pattern=FUNCTION_NAME_PATTERN)]
VariableName = Annotated[str, StringConstraints(pattern=VARIABLE_PATTERN)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FunctionEntry(_Entry):
    """One function of functions.yaml: code of this folder bound to a Lambda-style ARN."""

    handler: Annotated[str, StringConstraints(pattern=HANDLER_PATTERN)] = Field(
        description="MODULE.FUNCTION, where MODULE.py is in this folder; called with (event, context)."
    )
    run_in: Literal["process", "thread"] = Field(
        default="process",
        description="process: a worker process, which a timeout really ends. thread: light, trusted code.",
    )
    timeout_seconds: float = Field(
        default=300.0, gt=0, le=LONGEST_TIMEOUT_S, description="The longest that one invocation may take."
    )
    environment: dict[VariableName, str] = Field(
        default_factory=dict, description="Added to the worker's environment. Values are strings: quote them."
    )
    description: str = Field(default="", description="For people.")


class FunctionsFile(_Entry):
    """workflows/NAME/functions.yaml."""

    functions: dict[FunctionName, FunctionEntry] = Field(
        description="Name to what is behind it; its ARN is arn:aws:lambda:REGION:ACCOUNT:function:NAME."
    )


class ScheduleEntry(_Entry):
    """One schedule: when which workflow starts with which input."""

    name: Name = Field(description="Unique among all schedules.")
    expression: str = Field(
        description="When: five cron fields, or the cron(), rate() and at() of AWS.",
        examples=["0 4 * * 1-5", "cron(0 4 ? * MON-FRI *)", "rate(5 minutes)", "at(2030-01-31T04:00:00)"],
    )
    timezone: str = Field(default="UTC", description="An IANA name such as Europe/Berlin.")
    workflow: str = Field(
        description="The name of the workflow to start, or the ARN of a state machine, a version or an alias."
    )
    input: Json = Field(
        default_factory=dict,
        description="The execution's input in Parameters style over tick and schedule; default: both.",
        examples=[{"date.$": "$.tick.date"}],
    )
    enabled: bool = Field(default=True, description="false: it does not fire.")
    start: str | None = Field(
        default=None,
        description="Not before this moment, in the schedule's zone unless it has an offset.",
    )
    end: str | None = Field(default=None, description="Not after this moment; written as start is.")
    description: str = Field(default="", description="For people.")


class SchedulesFile(_Entry):
    """config/schedules/*.yaml."""

    schedules: list[ScheduleEntry] = Field(description="The schedules of this file.")


class RuleEntry(_Entry):
    """One event rule: events that match the pattern start the workflow, once each."""

    name: Name = Field(description="Unique among all rules.")
    pattern: dict[str, Json] | str = Field(
        description="An EventBridge event pattern, as YAML or as JSON text."
    )
    workflow: str = Field(
        description="The name of the workflow to start, or the ARN of a state machine, a version or an alias."
    )
    input: Json = Field(
        default=None,
        description="The execution's input in Parameters style over event and rule; without it, the event.",
    )
    enabled: bool = Field(default=True, description="false: it starts nothing.")
    description: str = Field(default="", description="For people.")


class QueueEntry(_Entry):
    """One SQS queue that is polled for events."""

    name: Name = Field(description="Unique among all queues.")
    queue_url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] = Field(
        description="The queue's URL, as SQS gives it."
    )
    region: str | None = Field(default=None, description="The queue's region; without it the service's own.")
    wait_seconds: int = Field(
        default=20, ge=0, le=20, description="How long one receive waits for a message."
    )
    max_messages: int = Field(default=10, ge=1, le=10, description="The most messages of one receive.")
    visibility_timeout_seconds: int | None = Field(
        default=None,
        ge=1,
        le=43_200,
        description="How long a message is ours; without it what the queue says.",
    )
    enabled: bool = Field(default=True, description="false: it is not polled.")
    description: str = Field(default="", description="For people.")


class RulesFile(_Entry):
    """config/rules/*.yaml. Either list may be left out."""

    rules: list[RuleEntry] = Field(default_factory=list, description="The event rules of this file.")
    queues: list[QueueEntry] = Field(default_factory=list, description="The queues polled for events.")
