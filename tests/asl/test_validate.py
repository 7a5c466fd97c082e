import pytest

from etl_runner.asl.parse import parse_definition
from tests.asl.definitions import LAMBDA, errors, machine, marked_line, warnings

PROCESSOR = "ItemProcessor: {StartAt: I, States: {I: {Type: Succeed}}}"
DISTRIBUTED = (
    "ItemProcessor: {ProcessorConfig: {Mode: DISTRIBUTED, ExecutionType: STANDARD}, "
    "StartAt: I, States: {I: {Type: Succeed}}}"
)
TASK = f"A:\n  Type: Task\n  Resource: {LAMBDA}\n  End: true\n"
MAP = f"A:\n  Type: Map\n  End: true\n  {PROCESSOR}\n"
BIG_MAP = f"A:\n  Type: Map\n  End: true\n  {DISTRIBUTED}\n"
CHOICE = "Choices: [{Variable: $.a, IsNull: true, Next: B}]"
S3 = "arn:aws:states:::s3"
READER = f"{BIG_MAP}  ItemReader:\n    Parameters: {{Bucket: b}}\n"
READ = f"{READER}    Resource: {S3}:getObject\n    ReaderConfig: "
LIST = f"{READER}    Resource: {S3}:listObjectsV2\n    ReaderConfig: "
CSV = "InputType: CSV, CSVHeaderLocation: FIRST_ROW"
BATCHER = f"{BIG_MAP}  ItemBatcher"
WRITER = f"{BIG_MAP}  ResultWriter:\n    "
OLD_MAP = "A:\n  Type: Map\n  End: true\n  Iterator:\n    StartAt: I\n    States: {I: {Type: Succeed}}\n"

GRAPH: list[tuple[str, str]] = [
    ("missing-transition", "A: {Type: Pass}  # HERE"),
    ("missing-transition", "A: {Type: Pass, End: false}  # HERE"),
    ("exclusive-fields", "A:\n  Type: Pass\n  End: true\n  Next: B  # HERE\nB: {Type: Succeed}"),
    ("no-such-state", f"{TASK}  Catch: [{{ErrorEquals: [E], Next: B}}]\nB:\n  Type: Pass\n  Next: C  # HERE"),
    ("no-such-state", f"{TASK}  Catch:\n    - {{ErrorEquals: [E], Next: C}}  # HERE"),
    ("no-such-state", f"A:\n  Type: Choice\n  Default: C  # HERE\n  {CHOICE}\nB: {{Type: Succeed}}"),
    (
        "no-such-state",
        """
        A:
          Type: Choice
          Default: B
          Choices:
            - {Variable: $.a, IsNull: true, Next: C}  # HERE
        B: {Type: Succeed}
        """,
    ),
    ("unreachable-state", "A: {Type: Succeed}\nB: {Type: Succeed}  # HERE"),
    ("unreachable-state", f"A: {{Type: Succeed}}\nB:  # HERE\n  Type: Choice\n  Default: A\n  {CHOICE}"),
    ("invalid-state-name", f"A: {{Type: Pass, Next: {'x' * 81}}}\n{'x' * 81}: {{Type: Succeed}}  # HERE"),
    ("invalid-state-name", "A: {Type: Pass, Next: ''}\n'': {Type: Succeed}  # HERE"),
    (
        "no-terminal-state",
        """
        A:
          Type: Parallel
          End: true
          Branches:
            - StartAt: B
              States:  # HERE
                B: {Type: Pass, Next: C}
                C: {Type: Pass, Next: B}
        """,
    ),
    (
        "no-such-state",
        """
        A:
          Type: Parallel
          End: true
          Branches:
            - StartAt: C  # HERE
              States: {B: {Type: Succeed}}
        """,
    ),
    (
        "state-of-another-scope",
        """
        A:
          Type: Parallel
          Next: C
          Branches:
            - StartAt: B
              States:
                B:
                  Type: Pass
                  Next: C  # HERE
        C: {Type: Succeed}
        """,
    ),
    (
        "duplicate-state-name",
        """
        A:
          Type: Parallel
          End: true
          Branches:
            - StartAt: B
              States: {B: {Type: Succeed}}
            - StartAt: B
              States: {B: {Type: Succeed}}  # HERE
        """,
    ),
]  # fmt: skip

RETRIER = "Retry: [{ErrorEquals: [E]"
EVERY = "{ErrorEquals: [States.ALL], Next: A}"

RETRY: list[tuple[str, str]] = [
    ("wrong-type", "Retry: {}  # HERE"),
    ("wrong-type", "Retry:\n    - x  # HERE"),
    ("missing-field", "Retry:\n    - MaxAttempts: 1  # HERE"),
    ("wrong-type", "Retry:\n    - ErrorEquals: []  # HERE"),
    ("wrong-type", "Retry:\n    - ErrorEquals: E  # HERE"),
    ("wrong-type", "Retry:\n    - ErrorEquals: [1]  # HERE"),
    ("states-all-not-alone", "Retry:\n    - ErrorEquals: [States.ALL, E]  # HERE"),
    ("states-all-not-last", "Retry:\n    - ErrorEquals: [States.ALL]  # HERE\n    - ErrorEquals: [E]"),
    ("out-of-range", "Retry:\n    - ErrorEquals: [E]\n      BackoffRate: 0.5  # HERE"),
    ("wrong-type", "Retry:\n    - ErrorEquals: [E]\n      BackoffRate: '2'  # HERE"),
    ("out-of-range", "Retry:\n    - ErrorEquals: [E]\n      IntervalSeconds: 0  # HERE"),
    ("out-of-range", "Retry:\n    - ErrorEquals: [E]\n      MaxAttempts: -1  # HERE"),
    ("out-of-range", "Retry:\n    - ErrorEquals: [E]\n      MaxAttempts: 100000000  # HERE"),
    ("out-of-range", "Retry:\n    - ErrorEquals: [E]\n      MaxDelaySeconds: 31622400  # HERE"),
    ("max-delay-not-above-interval", "Retry:\n    - ErrorEquals: [E]\n      MaxDelaySeconds: 1  # HERE"),
    ("max-delay-not-above-interval", f"{RETRIER}, IntervalSeconds: 5, MaxDelaySeconds: 5}}]  # HERE"),
    ("not-one-of", "Retry:\n    - ErrorEquals: [E]\n      JitterStrategy: HALF  # HERE"),
    ("unknown-field", "Retry:\n    - ErrorEquals: [E]\n      MaxAttempt: 1  # HERE"),
    ("missing-field", "Catch:\n    - ErrorEquals: [E]  # HERE"),
    ("states-all-not-last", f"Catch:\n    - {EVERY}  # HERE\n    - {{ErrorEquals: [E], Next: A}}"),
    ("invalid-reference-path", "Catch:\n    - ErrorEquals: [E]\n      Next: A\n      ResultPath: e  # HERE"),
    ("unknown-field", "Catch:\n    - ErrorEquals: [E]\n      Next: A\n      MaxAttempts: 1  # HERE"),
    ("exclusive-fields", "TimeoutSeconds: 3\n  TimeoutSecondsPath: $.t  # HERE"),
    ("exclusive-fields", "HeartbeatSeconds: 3\n  HeartbeatSecondsPath: $.t  # HERE"),
    ("heartbeat-not-below-timeout", "TimeoutSeconds: 3\n  HeartbeatSeconds: 3  # HERE"),
]  # fmt: skip

MAPS: list[tuple[str, str]] = [
    ("missing-field", "A: {Type: Map, End: true}  # HERE"),
    ("exclusive-fields", f"{MAP}  Iterator: {{StartAt: J, States: {{J: {{Type: Succeed}}}}}}  # HERE"),
    ("exclusive-fields", f"{MAP}  ItemSelector: {{}}\n  Parameters: {{}}  # HERE"),
    ("exclusive-fields", f"{MAP}  MaxConcurrency: 1\n  MaxConcurrencyPath: $.m  # HERE"),
    ("out-of-range", f"{MAP}  MaxConcurrency: -1  # HERE"),
    ("wrong-type", f"{MAP}  ItemsPath:  # HERE"),
    ("invalid-reference-path", f"{MAP}  ItemsPath: $.a[*]  # HERE"),
    ("out-of-range", f"{MAP}  ToleratedFailurePercentage: 101  # HERE"),
    ("exclusive-fields", f"{MAP}  ToleratedFailureCount: 1\n  ToleratedFailureCountPath: $.c  # HERE"),
    ("distributed-only", f"{MAP}  Label: l  # HERE"),
    ("distributed-only", f"{MAP}  ItemBatcher: {{MaxItemsPerBatch: 1}}  # HERE"),
    ("distributed-only", f"{MAP}  ResultWriter: {{WriterConfig: {{OutputType: JSON}}}}  # HERE"),
    ("distributed-only", f"{OLD_MAP}    ProcessorConfig: {{ExecutionType: STANDARD}}  # HERE"),
    ("missing-field", f"{OLD_MAP}    ProcessorConfig: {{Mode: DISTRIBUTED}}  # HERE"),
    ("not-one-of", f"{OLD_MAP}    ProcessorConfig: {{Mode: BOTH}}  # HERE"),
    ("invalid-label", f"{BIG_MAP}  Label: {'x' * 41}  # HERE"),
    ("invalid-label", f"{BIG_MAP}  Label: ''  # HERE"),
    ("invalid-label", f"{BIG_MAP}  Label: a b  # HERE"),
    ("invalid-label", f"{BIG_MAP}  Label: 'a#'  # HERE"),
    ("missing-field", f"{BATCHER}: {{BatchInput: {{}}}}  # HERE"),
    ("out-of-range", f"{BATCHER}: {{MaxItemsPerBatch: 0}}  # HERE"),
    ("out-of-range", f"{BATCHER}: {{MaxInputBytesPerBatch: 262145}}  # HERE"),
    ("exclusive-fields", f"{BATCHER}: {{MaxItemsPerBatch: 1, MaxItemsPerBatchPath: $.n}}  # HERE"),
    ("missing-field", f"{BIG_MAP}  ResultWriter: {{}}  # HERE"),
    ("missing-field", f"{BIG_MAP}  ResultWriter: {{Resource: 'arn:aws:states:::s3:putObject'}}  # HERE"),
    ("invalid-resource", f"{WRITER}Parameters: {{}}\n    Resource: arn:aws:states:::sns:publish  # HERE"),
    ("not-one-of", f"{BIG_MAP}  ResultWriter: {{WriterConfig: {{Transformation: SQUASH}}}}  # HERE"),
    ("invalid-resource", f"{BIG_MAP}  ItemReader:\n    Resource: arn:aws:states:::sqs:receive  # HERE"),
    ("missing-field", f"{BIG_MAP}  ItemReader: {{Parameters: {{}}}}  # HERE"),
    ("missing-field", f"{READ}{{MaxItems: 1}}  # HERE"),
    ("not-one-of", f"{READ}{{InputType: XML}}  # HERE"),
    ("missing-field", f"{READ}{{InputType: CSV}}  # HERE"),
    ("missing-field", f"{READ}{{InputType: CSV, CSVHeaderLocation: GIVEN}}  # HERE"),
    ("exclusive-fields", f"{READ}{{{CSV}, CSVHeaders: [a]}}  # HERE"),
    ("exclusive-fields", f"{READ}{{InputType: JSON, CSVDelimiter: TAB}}  # HERE"),
    ("exclusive-fields", f"{READ}{{{CSV}, ItemsPointer: /a}}  # HERE"),
    ("invalid-pointer", f"{READ}{{InputType: JSON, ItemsPointer: a}}  # HERE"),
    ("exclusive-fields", f"{READ}{{InputType: JSON, MaxItems: 1, MaxItemsPath: $.m}}  # HERE"),
    ("exclusive-fields", f"{READ}{{InputType: JSON, ChunkBytes: 1}}  # HERE"),
    ("out-of-range", f"{READ}{{InputType: JSONL, ChunkBytes: 0}}  # HERE"),
    ("exclusive-fields", f"{READ}{{InputType: JSONL, Transformation: NONE}}  # HERE"),
    ("exclusive-fields", f"{LIST}{{InputType: JSONL, ChunkBytes: 1}}  # HERE"),
    ("missing-field", f"{LIST}{{Transformation: LOAD_AND_FLATTEN}}  # HERE"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "states"), [*GRAPH, *MAPS])
def test_a_broken_rule_between_fields_or_states_is_named_where_it_stands(code: str, states: str) -> None:
    text = machine(states)
    found = [(fault.code, fault.line) for fault in errors(text)]

    assert found == [(code, marked_line(text))]


@pytest.mark.parametrize(("code", "fields"), RETRY)
def test_a_fault_of_retry_catch_or_timeouts_is_named_where_it_stands(code: str, fields: str) -> None:
    text = machine(f"{TASK}  {fields}")
    found = [(fault.code, fault.line) for fault in errors(text)]

    assert found == [(code, marked_line(text))]


@pytest.mark.parametrize("resource", [
    "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
    "arn:aws:states:::batch:submitJob.sync",
    "arn:aws:states:::states:startExecution.sync:2",
    "arn:aws:states:us-east-1:123456789012:activity:a",
])  # fmt: skip
def test_the_children_of_an_express_map_cannot_wait_for_others(resource: str) -> None:
    text = machine(
        f"""
        A:
          Type: Map
          End: true
          ItemProcessor:
            ProcessorConfig: {{Mode: DISTRIBUTED, ExecutionType: EXPRESS}}
            StartAt: B
            States: {{B: {{Type: Task, End: true, Resource: "{resource}"}}}}
        """
    )

    assert [fault.code for fault in errors(text)] == ["express-unsupported"]
    assert errors(text.replace("EXPRESS", "STANDARD")) == []


def test_the_nearest_name_is_offered_for_a_state_that_is_not_there() -> None:
    (fault,) = errors(machine("A: {Type: Pass, Next: Downlaod}\nDownload: {Type: Succeed}"))[:1]

    assert fault.remedy == "did you mean 'Download'?"


def test_a_label_names_one_map() -> None:
    first = f"A: {{Type: Map, Next: B, Label: x, {DISTRIBUTED}}}"
    second = "B: {Type: Map, End: true, Label: x, ItemProcessor: {ProcessorConfig: {Mode: DISTRIBUTED, "
    text = machine(
        f"{first}\n{second}ExecutionType: EXPRESS}}, StartAt: J, States: {{J: {{Type: Succeed}}}}}}}}"
    )

    assert [(fault.code, fault.line) for fault in errors(text)] == [("duplicate-label", 4)]


def test_all_faults_come_at_once_and_in_the_order_of_the_text() -> None:
    text = machine(
        """
        A:
          Type: Task
          Retry: [{ErrorEquals: []}]
          Resorce: x
          Next: C
        B: {Type: Wait, Seconds: -1, TimestampPath: x}
        """
    )
    faults = errors(text)

    assert [(fault.line, fault.code) for fault in faults] == [
        (3, "missing-field"),
        (5, "wrong-type"),
        (6, "unknown-field"),
        (7, "no-such-state"),
        (8, "missing-transition"),
        (8, "unreachable-state"),
        (8, "out-of-range"),
        (8, "exclusive-fields"),
        (8, "invalid-path"),
    ]


@pytest.mark.parametrize("states", [
    f"{TASK}  TimeoutSeconds: 99999999\n  HeartbeatSecondsPath: $.h",
    f"{TASK}  Retry: []\n  Catch: []",
    f"{TASK}  Retry: [{{ErrorEquals: [States.Timeout]}}, {{ErrorEquals: [States.ALL], Comment: rest}}]",
    "A: {Type: Wait, Seconds: 0, End: true}",
    "A: {Type: Wait, Timestamp: '2026-01-31T04:05:06.789+02:00', End: true}",
    "A: {Type: Pass, End: false, Next: B}\nB: {Type: Succeed}",
    "A: {Type: Pass, Parameters: [1], End: true}",
    "A: {Type: Fail}",
    "A: {Type: Fail, ErrorPath: States.UUID(), CausePath: $$.Execution.Id}",
    f"{MAP}  ToleratedFailureCount: 0\n  ItemsPath: $$.Execution.Input.items",
    f"{READ}{{InputType: CSV, CSVHeaderLocation: GIVEN, CSVHeaders: [a], CSVDelimiter: PIPE}}",
    f"{READ}{{{CSV}, ChunkBytes: 1}}",
    f"{READ}{{{CSV}, ManifestType: ATHENA_DATA}}",
    f"{READ}{{InputType: JSON, ItemsPointer: /a/b}}",
    f"{READ}{{InputType: MANIFEST, ManifestType: S3_INVENTORY}}",
    f"{READER}    Resource: {S3}:listObjectsV2",
    f"{LIST}{{Transformation: LOAD_AND_FLATTEN, InputType: JSONL}}",
    f"{BIG_MAP}  ResultWriter: {{WriterConfig: {{Transformation: FLATTEN, OutputType: JSON}}}}",
    f"{WRITER}WriterConfig: {{OutputType: JSONL}}",
    f"{WRITER}WriterConfig: {{OutputType: JSONL}}\n    Resource: {S3}:putObject\n    Parameters: {{}}",
    f"{'x' * 80}: {{Type: Succeed}}\nA: {{Type: Pass, Next: {'x' * 80}}}",
])  # fmt: skip
def test_what_the_language_allows_is_taken_without_a_word(states: str) -> None:
    text = machine(states)
    parse_definition(text, yaml=True)

    assert warnings(text) == []


NOT_YET: list[tuple[str, str]] = [
    ("InputType PARQUET", f"{READ}{{InputType: PARQUET}}  # HERE"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "states"), NOT_YET)
def test_what_a_big_map_may_have_and_cannot_run_yet_is_refused_by_name(name: str, states: str) -> None:
    text = machine(states)
    found = errors(text)

    assert {fault.code for fault in found} == {"not-yet-supported"}
    assert [fault.line for fault in found if f"{name}, which this release cannot run" in fault.what] == [
        marked_line(text)
    ]
    assert all(fault.remedy for fault in found)


@pytest.mark.parametrize(
    "resource", ["arn:aws:states:::aws-sdk:s3:getObject", "arn:aws:states:::s3:getObjects"]
)
def test_an_item_reader_takes_no_resource_of_a_task(resource: str) -> None:
    text = machine(f"{READER}    Resource: {resource}\n    ReaderConfig: {{InputType: JSON}}")

    assert [fault.code for fault in errors(text)] == ["invalid-resource"]
