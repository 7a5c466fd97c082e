"""Which field may stand where: the language as a table.

Sources: the Amazon States Language specification (states-language.net), the Step Functions developer guide,
and what AWS answered to CreateStateMachine where the two are silent. The one extension of our own is
ReaderConfig.ChunkBytes. Rules that tie several fields together are in validate.py.

`PLACES` maps a kind of object ("Task", "Retry", "ReaderConfig" ...) to its fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from etl_runner.asl.model import QueryLanguage

MAX_SECONDS: Final = 99_999_999
"""The longest timeout, wait or retry interval, in seconds, and the most retries; about 3.17 years."""

MAX_DELAY_SECONDS: Final = 31_622_399
"""MaxDelaySeconds must be below 31,622,400: a leap year."""

MAX_ITEMS: Final = 100_000_000
"""The most items that a Distributed Map reads from one data set."""

MAX_NAME_LENGTH: Final = 80
MAX_LABEL_LENGTH: Final = 40

JSONPATH: Final = QueryLanguage.JSONPATH
JSONATA: Final = QueryLanguage.JSONATA

MAX_VARIABLE_NAME_LENGTH: Final = 80


class Kind(Enum):
    """What a field holds, and so how it is read."""

    TEXT = auto()  # a string
    TEXTS = auto()  # an array of strings
    FLAG = auto()  # true or false
    INTEGER = auto()  # between low and high
    NUMBER = auto()  # between low and high
    ONE_OF = auto()  # one of the strings in `values`
    TIMESTAMP = auto()  # RFC 3339
    STATE_NAME = auto()  # a state of the same scope
    ERROR_NAMES = auto()  # a non-empty array of error names
    RESOURCE = auto()  # an ARN
    LABEL = auto()  # of a Map run
    POINTER = auto()  # JSON Pointer, RFC 6901
    PATH = auto()  # JSONPath that may give several values, or null for "nothing"
    REFERENCE = auto()  # reference path that can be written to, or null for "drop it"
    PLACE = auto()  # reference path that is read: one place in the input or the context object
    EXPRESSION = auto()  # a reference path or an intrinsic call that gives a string
    TEMPLATE = auto()  # payload template; in a JSONata state, a value with expressions anywhere inside
    ASSIGN = auto()  # an object of variable names, its values as those of TEMPLATE
    ITEMS = auto()  # an array, or an expression that gives one
    CONDITION = auto()  # true, false, or an expression that gives one of the two
    RESULT = auto()  # any value, null included, as a one-tuple
    PART = auto()  # an object with fields of its own (`part`)
    PARTS = auto()  # an array of those
    STATES = auto()  # the states of a scope
    BRANCHES = auto()  # the scopes of a Parallel
    PROCESSOR = auto()  # the scope of a Map
    CHOICES = auto()  # the rules of a Choice
    RULE = auto()  # the rule inside Not
    RULES = auto()  # the rules inside And, Or


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field: `attr` is its name in the model (empty: it has none of its own).

    `language` None means both. `jsonata`: a JSONata state may give it as an expression. `payload`: it counts
    bytes of a payload, so that the most is what those may have (bounds.py) instead of `high`.
    """

    kind: Kind
    attr: str = ""
    required: bool = False
    nullable: bool = False
    low: float = 0
    high: float = MAX_SECONDS
    values: tuple[str, ...] = ()
    language: QueryLanguage | None = None
    jsonata: bool = False
    payload: bool = False
    part: str = ""


STATE_TYPES: Final = ("Task", "Wait", "Pass", "Succeed", "Fail", "Choice", "Parallel", "Map")

_COMMENT: Final = Field(kind=Kind.TEXT, attr="comment")
_ASSIGN: Final = Field(kind=Kind.ASSIGN, attr="assign")
_OUTPUT: Final = Field(kind=Kind.TEMPLATE, attr="output", language=JSONATA)
_ARGUMENTS: Final = Field(kind=Kind.TEMPLATE, attr="parameters", language=JSONATA)
_ERROR_NAMES: Final = Field(kind=Kind.ERROR_NAMES, attr="error_equals", required=True)
_NEXT: Final = Field(kind=Kind.STATE_NAME, attr="next")
_RESULT_PATH: Final = Field(kind=Kind.REFERENCE, attr="result_path", nullable=True, language=JSONPATH)


def _template(attr: str, language: QueryLanguage | None = JSONPATH) -> Field:
    return Field(kind=Kind.TEMPLATE, attr=attr, language=language)


def _place(attr: str) -> Field:
    return Field(kind=Kind.PLACE, attr=attr, language=JSONPATH)


def _integer(attr: str, low: int, high: float = MAX_SECONDS, *, jsonata: bool = True) -> Field:
    return Field(kind=Kind.INTEGER, attr=attr, low=low, high=high, jsonata=jsonata)


def _one_of(attr: str, *values: str, required: bool = False) -> Field:
    return Field(kind=Kind.ONE_OF, attr=attr, values=values, required=required)


_PAYLOAD_BYTES: Final = Field(kind=Kind.INTEGER, attr="max_input_bytes", low=1, jsonata=True, payload=True)

_EVERY_STATE: Final[Mapping[str, Field]] = {
    "Type": _one_of("", *STATE_TYPES, required=True),
    "Comment": _COMMENT,
    "QueryLanguage": _one_of("query_language", *QueryLanguage),
}
_INPUT_OUTPUT: Final[Mapping[str, Field]] = {
    "InputPath": Field(kind=Kind.PATH, attr="input_path", nullable=True, language=JSONPATH),
    "OutputPath": Field(kind=Kind.PATH, attr="output_path", nullable=True, language=JSONPATH),
    "Output": _OUTPUT,
}
_GOES_ON: Final[Mapping[str, Field]] = {
    "Next": _NEXT,
    "End": Field(kind=Kind.FLAG),
    "Assign": _ASSIGN,
}
_WORK: Final[Mapping[str, Field]] = {
    "ResultSelector": _template("result_selector"),
    "ResultPath": _RESULT_PATH,
    "Arguments": _ARGUMENTS,
    "Retry": Field(kind=Kind.PARTS, attr="retry", part="Retry"),
    "Catch": Field(kind=Kind.PARTS, attr="catch", part="Catch"),
}

_PASS: Final[Mapping[str, Field]] = {
    **_EVERY_STATE,
    **_INPUT_OUTPUT,
    **_GOES_ON,
    "Result": Field(kind=Kind.RESULT, attr="result", language=JSONPATH),
    "Parameters": _template("parameters"),
    "ResultPath": _RESULT_PATH,
}
_TASK: Final[Mapping[str, Field]] = {
    **_EVERY_STATE,
    **_INPUT_OUTPUT,
    **_GOES_ON,
    **_WORK,
    "Parameters": _template("parameters"),
    "Resource": Field(kind=Kind.RESOURCE, attr="resource", required=True),
    "TimeoutSeconds": _integer("timeout_seconds", 1),
    "TimeoutSecondsPath": _place("timeout_seconds"),
    "HeartbeatSeconds": _integer("heartbeat_seconds", 1),
    "HeartbeatSecondsPath": _place("heartbeat_seconds"),
    "Credentials": Field(kind=Kind.TEMPLATE, attr="credentials"),
}
_PARALLEL: Final[Mapping[str, Field]] = {
    **_EVERY_STATE,
    **_INPUT_OUTPUT,
    **_GOES_ON,
    **_WORK,
    "Parameters": _template("parameters"),
    "Branches": Field(kind=Kind.BRANCHES, attr="branches", required=True),
}
_MAP: Final[Mapping[str, Field]] = {
    **_EVERY_STATE,
    **_INPUT_OUTPUT,
    **_GOES_ON,
    **{name: field for name, field in _WORK.items() if name != "Arguments"},
    "ItemProcessor": Field(kind=Kind.PROCESSOR, attr="processor"),
    "Iterator": Field(kind=Kind.PROCESSOR, attr="processor"),
    "ItemsPath": _place("items_path"),
    "Items": Field(kind=Kind.ITEMS, attr="items", language=JSONATA),
    "ItemSelector": _template("item_selector", None),
    "Parameters": _template("item_selector"),  # its name before ItemSelector
    "MaxConcurrency": _integer("max_concurrency", 0),
    "MaxConcurrencyPath": _place("max_concurrency"),
    "Label": Field(kind=Kind.LABEL, attr="label"),
    "ItemReader": Field(kind=Kind.PART, attr="item_reader", part="ItemReader"),
    "ItemBatcher": Field(kind=Kind.PART, attr="item_batcher", part="ItemBatcher"),
    "ResultWriter": Field(kind=Kind.PART, attr="result_writer", part="ResultWriter"),
    "ToleratedFailurePercentage": Field(
        kind=Kind.NUMBER, attr="tolerated_failure_percentage", high=100, jsonata=True
    ),
    "ToleratedFailurePercentagePath": _place("tolerated_failure_percentage"),
    "ToleratedFailureCount": _integer("tolerated_failure_count", 0),
    "ToleratedFailureCountPath": _place("tolerated_failure_count"),
}
_CHOICE: Final[Mapping[str, Field]] = {
    **_EVERY_STATE,
    **_INPUT_OUTPUT,
    "Assign": _ASSIGN,
    "Choices": Field(kind=Kind.CHOICES, attr="choices", required=True),
    "Default": Field(kind=Kind.STATE_NAME, attr="default"),
}
_WAIT: Final[Mapping[str, Field]] = {
    **_EVERY_STATE,
    **_INPUT_OUTPUT,
    **_GOES_ON,
    "Seconds": _integer("seconds", 0),
    "SecondsPath": _place("seconds"),
    "Timestamp": Field(kind=Kind.TIMESTAMP, attr="timestamp", jsonata=True),
    "TimestampPath": _place("timestamp"),
}
_FAIL: Final[Mapping[str, Field]] = {
    **_EVERY_STATE,
    "Error": Field(kind=Kind.TEXT, attr="error", jsonata=True),
    "ErrorPath": Field(kind=Kind.EXPRESSION, attr="error", language=JSONPATH),
    "Cause": Field(kind=Kind.TEXT, attr="cause", jsonata=True),
    "CausePath": Field(kind=Kind.EXPRESSION, attr="cause", language=JSONPATH),
}

_SCOPE: Final[Mapping[str, Field]] = {
    "StartAt": Field(kind=Kind.STATE_NAME, required=True),
    "States": Field(kind=Kind.STATES, required=True),
    "Comment": _COMMENT,
}
_MACHINE: Final[Mapping[str, Field]] = {
    **_SCOPE,
    "Version": _one_of("version", "1.0"),
    "TimeoutSeconds": _integer("timeout_seconds", 1, jsonata=False),
    "QueryLanguage": _one_of("query_language", *QueryLanguage),
}

_RETRIER: Final[Mapping[str, Field]] = {
    "ErrorEquals": _ERROR_NAMES,
    "IntervalSeconds": _integer("interval_seconds", 1, jsonata=False),
    "MaxAttempts": _integer("max_attempts", 0, jsonata=False),
    "BackoffRate": Field(kind=Kind.NUMBER, attr="backoff_rate", low=1),
    "MaxDelaySeconds": _integer("max_delay_seconds", 1, MAX_DELAY_SECONDS, jsonata=False),
    "JitterStrategy": _one_of("jitter", "FULL", "NONE"),
    "Comment": Field(kind=Kind.TEXT),
}
_CATCHER: Final[Mapping[str, Field]] = {
    "ErrorEquals": _ERROR_NAMES,
    "Next": Field(kind=Kind.STATE_NAME, attr="next", required=True),
    "ResultPath": _RESULT_PATH,
    "Output": _OUTPUT,
    "Assign": _ASSIGN,
    "Comment": Field(kind=Kind.TEXT),
}

_ITEM_READER: Final[Mapping[str, Field]] = {
    "Resource": Field(kind=Kind.RESOURCE, attr="resource", required=True),
    "Parameters": _template("parameters"),
    "Arguments": _ARGUMENTS,
    "ReaderConfig": Field(kind=Kind.PART, attr="config", part="ReaderConfig"),
}
_READER_CONFIG: Final[Mapping[str, Field]] = {
    "InputType": _one_of("InputType", "CSV", "JSON", "JSONL", "PARQUET", "MANIFEST"),
    "CSVHeaderLocation": _one_of("CSVHeaderLocation", "FIRST_ROW", "GIVEN"),
    "CSVHeaders": Field(kind=Kind.TEXTS, attr="CSVHeaders"),
    "CSVDelimiter": _one_of("CSVDelimiter", "COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB"),
    "ItemsPointer": Field(kind=Kind.POINTER, attr="ItemsPointer"),
    "ManifestType": _one_of("ManifestType", "S3_INVENTORY", "ATHENA_DATA"),
    "Transformation": _one_of("Transformation", "NONE", "LOAD_AND_FLATTEN"),
    "MaxItems": _integer("MaxItems", 0, MAX_ITEMS),
    "MaxItemsPath": _place("MaxItemsPath"),
    "ChunkBytes": _integer("ChunkBytes", 1, float("inf"), jsonata=False),
}
_ITEM_BATCHER: Final[Mapping[str, Field]] = {
    "MaxItemsPerBatch": _integer("max_items", 1),
    "MaxItemsPerBatchPath": _place("max_items"),
    "MaxInputBytesPerBatch": _PAYLOAD_BYTES,
    "MaxInputBytesPerBatchPath": _place("max_input_bytes"),
    "BatchInput": _template("batch_input", None),
}
_RESULT_WRITER: Final[Mapping[str, Field]] = {
    "Resource": Field(kind=Kind.RESOURCE, attr="resource"),
    "Parameters": _template("parameters"),
    "Arguments": _ARGUMENTS,
    "WriterConfig": Field(kind=Kind.PART, attr="config", part="WriterConfig"),
}
_WRITER_CONFIG: Final[Mapping[str, Field]] = {
    "Transformation": _one_of("Transformation", "NONE", "COMPACT", "FLATTEN"),
    "OutputType": _one_of("OutputType", "JSON", "JSONL"),
}
_PROCESSOR_CONFIG: Final[Mapping[str, Field]] = {
    "Mode": _one_of("mode", "INLINE", "DISTRIBUTED"),
    "ExecutionType": _one_of("execution_type", "STANDARD", "EXPRESS"),
}


def _operators() -> dict[str, Field]:
    """Give the 39 comparison operators of a choice rule."""
    kinds = {"String": Kind.TEXT, "Numeric": Kind.NUMBER, "Timestamp": Kind.TIMESTAMP}
    ways = ("Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals")
    literal = {f"{name}{way}": kind for name, kind in kinds.items() for way in ways}
    literal["BooleanEquals"] = Kind.FLAG
    every = float("inf")
    fields = {
        name: Field(kind=kind, low=-every, high=every, language=JSONPATH) for name, kind in literal.items()
    }
    fields |= {f"{name}Path": _place("") for name in literal}
    fields["StringMatches"] = Field(kind=Kind.TEXT, language=JSONPATH)
    tests = ("Null", "Present", "Numeric", "String", "Boolean", "Timestamp")
    fields |= {f"Is{name}": Field(kind=Kind.FLAG, language=JSONPATH) for name in tests}
    return fields


OPERATORS: Final[Mapping[str, Field]] = _operators()

_NESTED_RULE: Final[Mapping[str, Field]] = {
    "Variable": _place(""),
    "And": Field(kind=Kind.RULES, language=JSONPATH),
    "Or": Field(kind=Kind.RULES, language=JSONPATH),
    "Not": Field(kind=Kind.RULE, language=JSONPATH),
    "Comment": Field(kind=Kind.TEXT),
    **OPERATORS,
}
_CHOICE_RULE: Final[Mapping[str, Field]] = {
    **_NESTED_RULE,
    "Next": Field(kind=Kind.STATE_NAME, attr="next", required=True),
    "Condition": Field(kind=Kind.CONDITION, attr="rule", language=JSONATA),
    "Output": _OUTPUT,
    "Assign": _ASSIGN,
}

PLACES: Final[Mapping[str, Mapping[str, Field]]] = {
    "state machine": _MACHINE,
    "branch": _SCOPE,
    "processor": {
        **_SCOPE,
        "ProcessorConfig": Field(kind=Kind.PART, attr="config", part="ProcessorConfig"),
    },
    "Pass": _PASS,
    "Task": _TASK,
    "Choice": _CHOICE,
    "Wait": _WAIT,
    "Succeed": {**_EVERY_STATE, **_INPUT_OUTPUT},
    "Fail": _FAIL,
    "Parallel": _PARALLEL,
    "Map": _MAP,
    "Retry": _RETRIER,
    "Catch": _CATCHER,
    "ItemReader": _ITEM_READER,
    "ReaderConfig": _READER_CONFIG,
    "ItemBatcher": _ITEM_BATCHER,
    "ResultWriter": _RESULT_WRITER,
    "WriterConfig": _WRITER_CONFIG,
    "ProcessorConfig": _PROCESSOR_CONFIG,
    "choice rule": _CHOICE_RULE,
    "nested choice rule": _NESTED_RULE,
}

AT_MOST_ONE: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "Task": (("TimeoutSeconds", "TimeoutSecondsPath"), ("HeartbeatSeconds", "HeartbeatSecondsPath")),
    "Map": (
        ("ItemProcessor", "Iterator"),
        ("ItemSelector", "Parameters"),
        ("MaxConcurrency", "MaxConcurrencyPath"),
        ("ToleratedFailurePercentage", "ToleratedFailurePercentagePath"),
        ("ToleratedFailureCount", "ToleratedFailureCountPath"),
    ),
    "Fail": (("Error", "ErrorPath"), ("Cause", "CausePath")),
    "Wait": (("Seconds", "SecondsPath", "Timestamp", "TimestampPath"),),
    "ReaderConfig": (("MaxItems", "MaxItemsPath"),),
    "ItemBatcher": (
        ("MaxItemsPerBatch", "MaxItemsPerBatchPath"),
        ("MaxInputBytesPerBatch", "MaxInputBytesPerBatchPath"),
    ),
}
"""Fields that exclude each other."""

AT_LEAST_ONE: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "Map": (("ItemProcessor", "Iterator"),),
    "Wait": (("Seconds", "SecondsPath", "Timestamp", "TimestampPath"),),
    "ItemBatcher": (
        (
            "MaxItemsPerBatch",
            "MaxItemsPerBatchPath",
            "MaxInputBytesPerBatch",
            "MaxInputBytesPerBatchPath",
        ),
    ),
    "ResultWriter": (("Resource", "WriterConfig"),),
}
"""Groups of which one field has to be there."""

DISTRIBUTED_ONLY: Final = ("ItemReader", "ItemBatcher", "ResultWriter", "Label")
"""Fields of a Map that ask for ProcessorConfig.Mode DISTRIBUTED.

ToleratedFailure* are not among them: AWS was seen to accept those in an inline Map.
"""
