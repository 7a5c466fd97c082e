import json
import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_runner.asl.choice import COMPARISONS
from etl_runner.asl.document import Source
from etl_runner.asl.draft import MAX_FAULTS
from etl_runner.asl.model import (
    ChoiceState,
    FailState,
    Jitter,
    MapMode,
    MapState,
    ParallelState,
    PassState,
    Place,
    TaskState,
    WaitState,
)
from etl_runner.asl.parse import lint, parse_definition, resources
from etl_runner.asl.rules import OPERATORS, PLACES
from etl_runner.asl.yaml_text import read_yaml
from etl_runner.errors import DefinitionError
from etl_runner.jsontypes import Json
from tests.asl.definitions import LAMBDA, errors, machine, marked_line

TASK = f"A:\n  Type: Task\n  Resource: {LAMBDA}\n  End: true\n  "
PASS = "A:\n  Type: Pass\n  End: true\n  "

ONE_FAULT: list[tuple[str, str]] = [
    # Types and fields
    ("unknown-state-type", "A:\n  Type: Paas  # HERE\n  End: true"),
    ("unknown-state-type", "A:\n  Type: 3  # HERE\n  End: true"),
    ("missing-field", "A: {End: true}  # HERE"),
    ("wrong-type", "A: []  # HERE"),
    ("unknown-field", f"{PASS}Nxt: B  # HERE"),
    ("unknown-field", "A:\n  Type: Succeed\n  End: true  # HERE"),
    ("unknown-field", "A:\n  Type: Fail\n  InputPath: $  # HERE"),
    ("unknown-field", "A:\n  Type: Wait\n  Seconds: 1\n  End: true\n  ResultPath: $.x  # HERE"),
    ("unknown-field", f"{PASS}Retry: []  # HERE"),
    ("wrong-type", f"{PASS}Comment: 3  # HERE"),
    ("wrong-type", "A:\n  Type: Pass\n  Next: B\n  End: 'true'  # HERE\nB: {Type: Succeed}"),
    ("not-one-of", f"{PASS}QueryLanguage: XPath  # HERE"),
    # Data flow
    ("invalid-path", f"{PASS}InputPath: input  # HERE"),
    ("invalid-path", f"{PASS}InputPath: States.UUID()  # HERE"),
    ("invalid-path", f"{PASS}OutputPath: $.  # HERE"),
    ("wrong-type", f"{PASS}OutputPath: [$]  # HERE"),
    ("invalid-reference-path", f"{PASS}ResultPath: $.a[*]  # HERE"),
    ("invalid-reference-path", f"{PASS}ResultPath: $$.Execution  # HERE"),
    ("invalid-expression", f"{PASS}Parameters:\n    a.$: b  # HERE"),
    ("invalid-expression", f"{PASS}Parameters:\n    a.$: States.Nope()  # HERE"),
    ("invalid-expression", f"{PASS}Parameters:\n    - a.$: ' $.b'  # HERE"),
    ("invalid-template", f"{PASS}Parameters:\n    a.$: 3  # HERE"),
    ("duplicate-template-field", f"{PASS}Parameters:\n    a: 1\n    a.$: $  # HERE"),
    # Task
    ("missing-field", "A:  # HERE\n  Type: Task\n  End: true"),
    ("wrong-type", "A:\n  Type: Task\n  End: true\n  Resource: [x]  # HERE"),
    ("invalid-resource", "A:\n  Type: Task\n  End: true\n  Resource: download  # HERE"),
    ("invalid-resource", "A:\n  Type: Task\n  End: true\n  Resource: '${Download'  # HERE"),
    ("out-of-range", f"{TASK}TimeoutSeconds: 0  # HERE"),
    ("out-of-range", f"{TASK}TimeoutSeconds: 100000000  # HERE"),
    ("wrong-type", f"{TASK}TimeoutSeconds: 1.5  # HERE"),
    ("wrong-type", f"{TASK}TimeoutSeconds: true  # HERE"),
    ("wrong-type", f"{TASK}HeartbeatSeconds: '${{H}}'  # HERE"),
    ("invalid-reference-path", f"{TASK}TimeoutSecondsPath: $..t  # HERE"),
    ("wrong-type", f"{TASK}Credentials:  # HERE"),
    ("missing-field", f"{TASK}Credentials: {{}}  # HERE"),
    ("wrong-type", f"{TASK}Credentials:\n      RoleArn: 5  # HERE"),
    # Wait
    ("missing-field", "A:  # HERE\n  Type: Wait\n  End: true"),
    ("exclusive-fields", "A:\n  Type: Wait\n  End: true\n  Seconds: 1\n  SecondsPath: $.s  # HERE"),
    ("out-of-range", "A:\n  Type: Wait\n  End: true\n  Seconds: -1  # HERE"),
    ("wrong-type", "A:\n  Type: Wait\n  End: true\n  Seconds: '1'  # HERE"),
    ("invalid-timestamp", "A:\n  Type: Wait\n  End: true\n  Timestamp: '2016-12-05T21:29:29'  # HERE"),
    ("invalid-timestamp", "A:\n  Type: Wait\n  End: true\n  Timestamp: '2016-13-05T21:29:29Z'  # HERE"),
    ("invalid-timestamp", "A:\n  Type: Wait\n  End: true\n  Timestamp: '2016-12-05 21:29:29Z'  # HERE"),
    ("invalid-timestamp", "A:\n  Type: Wait\n  End: true\n  Timestamp: soon  # HERE"),
    ("wrong-type", "A:\n  Type: Wait\n  End: true\n  TimestampPath: 5  # HERE"),
    # Fail
    ("exclusive-fields", "A:\n  Type: Fail\n  Error: a\n  ErrorPath: $.a  # HERE"),
    ("exclusive-fields", "A:\n  Type: Fail\n  Cause: a\n  CausePath: $.a  # HERE"),
    ("wrong-type", "A:\n  Type: Fail\n  Error: 404  # HERE"),
    ("invalid-expression", "A:\n  Type: Fail\n  ErrorPath: States.MathAdd(1, 2)  # HERE"),
    ("invalid-expression", "A:\n  Type: Fail\n  CausePath: oops  # HERE"),
    ("invalid-reference-path", "A:\n  Type: Fail\n  CausePath: $.a[*]  # HERE"),
    # Parallel
    ("missing-field", "A:  # HERE\n  Type: Parallel\n  End: true"),
    ("wrong-type", "A:\n  Type: Parallel\n  End: true\n  Branches: []  # HERE"),
    ("wrong-type", "A:\n  Type: Parallel\n  End: true\n  Branches:\n    - B  # HERE"),
    (
        "unknown-field",
        """
        A:
          Type: Parallel
          End: true
          Branches:
            - StartAt: B
              TimeoutSeconds: 3  # HERE
              States: {B: {Type: Succeed}}
        """,
    ),
    (
        "wrong-type",
        """
        A:
          Type: Parallel
          End: true
          Branches:
            - StartAt: B
              States: {}  # HERE
        """,
    ),
    # The two query languages
    ("wrong-query-language", f"{PASS}Output: 1  # HERE"),
    ("wrong-query-language", f"{TASK}Arguments: {{}}  # HERE"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "states"), ONE_FAULT)
def test_a_fault_of_one_state_is_named_where_it_stands(code: str, states: str) -> None:
    text = machine(states)
    found = [(fault.code, fault.line) for fault in errors(text)]

    assert found == [(code, marked_line(text))]


NULL = "Choices:\n  - Variable: $.a\n    IsNull: true\n"

INSIDE = "Choices:\n  - Not:\n        Variable: $\n        IsNull: true\n"

RULES: list[tuple[str, str]] = [
    ("wrong-type", "Choices: []  # HERE"),
    ("wrong-type", "Choices: {}  # HERE"),
    ("wrong-type", "Choices:\n  - yes  # HERE"),
    ("missing-field", "Choices:\n  - {Variable: $.a, IsNull: true}  # HERE"),
    ("choice-rule-tests", "Choices:\n  - {Variable: $.a, Next: B}  # HERE"),
    ("choice-rule-tests", "Choices:\n  - {Variable: $.a, IsNull: true, IsString: true, Next: B}  # HERE"),
    ("choice-rule-tests", "Choices:\n  - {Not: {Variable: $, IsNull: true}, IsNull: true, Next: B}  # HERE"),
    ("missing-field", "Choices:\n  - {IsNull: true, Next: B}  # HERE"),
    ("invalid-path", "Choices:\n  - Variable: a  # HERE\n    IsNull: true\n    Next: B"),
    ("invalid-reference-path", "Choices:\n  - Variable: $..a  # HERE\n    IsNull: true\n    Next: B"),
    ("wrong-type", "Choices:\n  - Variable: $.a\n    StringEquals: 1  # HERE\n    Next: B"),
    ("wrong-type", "Choices:\n  - Variable: $.a\n    NumericEquals: '1'  # HERE\n    Next: B"),
    ("wrong-type", "Choices:\n  - Variable: $.a\n    BooleanEquals: 'true'  # HERE\n    Next: B"),
    ("wrong-type", "Choices:\n  - Variable: $.a\n    IsPresent: 1  # HERE\n    Next: B"),
    ("invalid-timestamp", "Choices:\n  - Variable: $.a\n    TimestampEquals: noon  # HERE\n    Next: B"),
    ("invalid-path", "Choices:\n  - Variable: $.a\n    StringEqualsPath: b  # HERE\n    Next: B"),
    ("unknown-field", f"{NULL}    StringEqual: b  # HERE\n    Next: B"),
    ("wrong-type", "Choices:\n  - And: []  # HERE\n    Next: B"),
    ("unknown-field", f"{INSIDE}        Next: B  # HERE\n    Next: B"),
    ("exclusive-fields", f"{INSIDE}    Variable: $  # HERE\n    Next: B"),
    ("choice-rule-tests", "Choices:\n  - Or:\n      - {Variable: $.a}  # HERE\n    Next: B"),
    ("wrong-query-language", f"{NULL}    Condition: x  # HERE\n    Next: B"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "rules"), RULES)
def test_a_fault_of_a_choice_rule_is_named_where_it_stands(code: str, rules: str) -> None:
    indented = rules.replace("\n", "\n  ")
    text = machine(f"A:\n  Type: Choice\n  Default: B\n  {indented}\nB: {{Type: Succeed}}")
    found = [(fault.code, fault.line) for fault in errors(text)]

    assert found == [(code, marked_line(text))]


TOP: list[tuple[str, str]] = [
    ("wrong-type", "[]  # HERE"),
    ("missing-field", "States: {A: {Type: Succeed}}  # HERE"),
    ("missing-field", "StartAt: A  # HERE"),
    ("no-such-state", "StartAt: B  # HERE\nStates: {A: {Type: Succeed}}"),
    ("wrong-type", "StartAt: 1  # HERE\nStates: {A: {Type: Succeed}}"),
    ("wrong-type", "StartAt: A\nStates: []  # HERE"),
    ("unknown-field", "StartAt: A\nstates: {}  # HERE\nStates: {A: {Type: Succeed}}"),
    ("not-one-of", "StartAt: A\nVersion: '2.0'  # HERE\nStates: {A: {Type: Succeed}}"),
    ("out-of-range", "StartAt: A\nTimeoutSeconds: 0  # HERE\nStates: {A: {Type: Succeed}}"),
    ("duplicate-key", "StartAt: A\nStates: {A: {Type: Succeed}}\nStartAt: A  # HERE"),
    ("not-a-json-value", "StartAt: A\nComment: 2026-01-31  # HERE\nStates: {A: {Type: Succeed}}"),
    ("not-one-of", "StartAt: A\nQueryLanguage: JMESPath  # HERE\nStates: {A: {Type: Succeed}}"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "text"), TOP)
def test_a_fault_of_the_whole_is_named_where_it_stands(code: str, text: str) -> None:
    found = [(fault.code, fault.line) for fault in errors(text)]

    assert ("missing-field", 1) in found or found == [(code, marked_line(text))]
    assert code in {code for code, _ in found}


def test_a_fault_in_json_has_line_column_path_and_a_remedy() -> None:
    text = (
        '{\n "StartAt": "A",\n "States": {\n  "A": {"Type": "Pass",\n   "Ende": true,\n   "Next": "C"},\n'
        '  "B": {"Type": "Succeed"}}}'
    )
    with pytest.raises(DefinitionError) as caught:
        parse_definition(text, file="a.asl.json")

    assert str(caught.value) == (
        "a.asl.json:5:4: the Pass state 'A' has the field 'Ende', which a Pass state does not have; "
        "did you mean 'End'? [unknown-field]\n"
        "a.asl.json:6:12: Next of the Pass state 'A' names the state 'C', which is not there; "
        "known here: A, B [no-such-state]\n"
        "a.asl.json:7:3: the state 'B' is named by no StartAt, Next, Default or Catch of its scope; "
        "lead to it or remove it [unreachable-state]"
    )
    assert [fault.path for fault in caught.value.faults] == ["/States/A/Ende", "/States/A/Next", "/States/B"]


def test_faults_without_number_are_cut_short_and_nothing_is_built_on_them() -> None:
    states = {f"S{number}": {"Type": "Map", "Retry": [{"JitterStrategy": "?"}]} for number in range(1_000)}
    with pytest.raises(DefinitionError) as caught:
        parse_definition(json.dumps({"StartAt": "S0", "States": states}))

    assert len(caught.value.faults) == MAX_FAULTS


def test_a_field_of_another_state_type_is_refused_with_its_home() -> None:
    (fault,) = errors(machine("A: {Type: Wait, Seconds: 1, End: true, Parameters: {}}"))

    assert fault.remedy == "Parameters is for Task, Pass, Parallel, Map; remove it"


def test_the_operators_are_those_that_the_choice_rules_know() -> None:
    assert len(OPERATORS) == 39
    assert set(OPERATORS) == set(COMPARISONS)


FULL = f"""
Comment: all of it
StartAt: A
Version: "1.0"
TimeoutSeconds: 900
States:
  A:
    Type: Task
    Resource: {LAMBDA}
    Parameters: {{a.$: $.a}}
    ResultSelector: {{b.$: $.b}}
    ResultPath: $.c
    InputPath: null
    TimeoutSecondsPath: $.t
    HeartbeatSeconds: 5
    Credentials: {{RoleArn: arn:aws:iam::123456789012:role/r}}
    Retry:
      - {{ErrorEquals: [E], IntervalSeconds: 2, MaxAttempts: 0, BackoffRate: 1, MaxDelaySeconds: 9,
         JitterStrategy: FULL}}
    Catch:
      - {{ErrorEquals: [States.ALL], Next: F, ResultPath: null}}
    Next: C
  C:
    Type: Choice
    Choices: [{{Variable: $.a, IsPresent: true, Next: P, Comment: yes}}]
    Default: W
  W: {{Type: Wait, Timestamp: "2026-01-31T04:05:06Z", Next: M}}
  P:
    Type: Parallel
    Branches:
      - StartAt: P1
        States: {{P1: {{Type: Pass, Result: null, End: true}}}}
      - StartAt: P2
        States:
          P2:
            Type: Map
            Iterator: {{StartAt: P3, States: {{P3: {{Type: Succeed}}}}}}
            End: true
    Next: M
  M:
    Type: Map
    MaxConcurrencyPath: $.n
    ItemReader:
      Resource: arn:aws:states:::s3:getObject
      Parameters: {{Bucket: b, Key: k}}
      ReaderConfig: {{InputType: CSV, CSVHeaderLocation: FIRST_ROW, MaxItemsPath: $.m, ChunkBytes: 16777216}}
    ItemBatcher: {{MaxItemsPerBatch: 10, BatchInput: {{x.$: $.x}}}}
    ResultWriter:
      Resource: arn:aws:states:::s3:putObject
      Parameters: {{Bucket: b, Prefix: p}}
    Label: imports
    ToleratedFailurePercentage: 5
    ToleratedFailureCountPath: $.f
    ItemSelector: {{i.$: $$.Map.Item.Value}}
    ItemProcessor:
      ProcessorConfig: {{Mode: DISTRIBUTED, ExecutionType: EXPRESS}}
      StartAt: M1
      States: {{M1: {{Type: Task, Resource: {LAMBDA}, End: true}}}}
    End: true
  F: {{Type: Fail, Error: Bad, CausePath: "States.Format('{{}}', $.c)"}}
"""


def test_a_definition_becomes_a_model_with_everything_compiled() -> None:
    parsed = parse_definition(FULL, yaml=True)
    top = parsed.scopes[0].states
    task, wait, fan_out, each, fail = top["A"], top["W"], top["P"], top["M"], top["F"]

    assert (parsed.comment, parsed.version, parsed.timeout_seconds) == ("all of it", "1.0", 900)
    assert [(scope.id, scope.owner, scope.start_at) for scope in parsed.scopes] == [
        (0, "", "A"),
        (1, "P", "P1"),
        (2, "P", "P2"),
        (3, "P2", "P3"),
        (4, "M", "M1"),
    ]
    assert isinstance(task, TaskState)
    assert (task.input_path, task.next, task.heartbeat_seconds) == (None, "C", 5)
    assert getattr(task.timeout_seconds, "text", None) == "$.t"
    assert (task.retry[0].jitter, task.retry[0].max_attempts) == (Jitter.FULL, 0)
    assert (task.catch[0].next, task.catch[0].result_path) == ("F", None)
    assert task.place == Place(line=7, column=3)
    assert isinstance(top["C"], ChoiceState)
    assert (top["C"].default, top["C"].choices[0].next) == ("W", "P")
    assert isinstance(wait, WaitState)
    assert (wait.seconds, wait.timestamp) == (None, "2026-01-31T04:05:06Z")
    assert isinstance(fan_out, ParallelState)
    assert fan_out.branches == (1, 2)
    constant = parsed.scopes[1].states["P1"]
    assert isinstance(constant, PassState)
    assert (constant.result, constant.next) == ((None,), None)
    assert isinstance(each, MapState)
    assert (each.mode, each.execution_type, each.processor) == (MapMode.DISTRIBUTED, "EXPRESS", 4)
    assert each.item_reader is not None
    assert each.item_reader.config == {
        "InputType": "CSV",
        "CSVHeaderLocation": "FIRST_ROW",
        "ChunkBytes": 16777216,
    }
    assert each.item_reader.max_items_path is not None
    assert each.item_batcher is not None
    assert each.item_batcher.max_items == 10
    assert isinstance(fail, FailState)
    assert (fail.error, getattr(fail.cause, "text", None)) == ("Bad", "States.Format('{}', $.c)")


def test_json_and_yaml_of_one_definition_give_equal_resources() -> None:
    found = resources(parse_definition(FULL, yaml=True))

    assert [(resource, scope, state) for resource, scope, state, _ in found] == [
        (LAMBDA, 0, "A"),
        ("arn:aws:states:::s3:getObject", 0, "M"),
        ("arn:aws:states:::s3:putObject", 0, "M"),
        (LAMBDA, 4, "M1"),
    ]


def test_the_old_name_of_item_selector_is_the_same_field() -> None:
    inner = "Iterator: {StartAt: B, States: {B: {Type: Succeed}}}"
    text = machine(f"A: {{Type: Map, Parameters: {{a: 1}}, {inner}, End: true}}")
    state = parse_definition(text, yaml=True).scopes[0].states["A"]

    assert isinstance(state, MapState)
    assert state.item_selector is not None
    assert state.parameters is None


def test_a_definition_of_200_states_is_read_in_a_moment() -> None:
    states: dict[str, Json] = {
        f"S{number}": {
            "Type": "Task",
            "Resource": LAMBDA,
            "Parameters": {
                "a.$": f"$.items[{number}]",
                "b.$": "States.Format('{}-{}', $.x, $.y)",
                "c": [1, 2],
            },
            "ResultPath": f"$.r{number}",
            "Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 3}],
            "Next": f"S{number + 1}",
        }
        for number in range(200)
    }
    text = json.dumps({"StartAt": "S0", "States": {**states, "S200": {"Type": "Succeed"}}}, indent=2)
    started = time.perf_counter()
    parse_definition(text)

    assert (
        time.perf_counter() - started < 1.0
    )  # measured at about 30 ms; the bound only catches a wrong growth


VALUES: list[Json] = [
    None, True, False, 0, -1, 3, 1.5, "", "$", "$.a", "$$.b", "$..*", "$x", "A", "B", "States.UUID()",
    "States.Format(", "arn:x:y", "{% 1 %}", "${X}", [], {}, [[]], [{}], {"": {}}, {"a.$": "$"},
    ["States.ALL"], 10**30, "Task", "Map", "{% $x.y + 1 %}", "{% ( %}", "{% 1", "JSONata", "JSONPath", "$v.x",
    {"states": "{% $states %}"}, {"a-b": 1},
]  # fmt: skip


NAMES = sorted({name for table in PLACES.values() for name in table})


def _places(node: Json, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [way, *(place for key, item in inner for place in _places(item, (*way, key)))]


def _mutate(node: Json, chance: random.Random) -> Json:
    """Put an odd value, another part of the definition, or nothing, in a place picked at random."""
    places = [place for place in _places(node) if place]
    if not places:
        return node
    place = chance.choice(places)
    holder = node
    for key in place[:-1]:
        holder = holder[key]
    match chance.randrange(4):
        case 0:
            holder[place[-1]] = json.loads(json.dumps(chance.choice(VALUES)))
        case 1:
            other = node
            for key in chance.choice(places):
                other = other[key]
            holder[place[-1]] = json.loads(json.dumps(other))
        case 2:
            del holder[place[-1]]
        case 3 if isinstance(holder, dict):
            value = holder.pop(place[-1])
            holder[chance.choice(NAMES)] = value if chance.random() < 0.5 else chance.choice(VALUES)
        case _:
            holder.append("A")
    return node


def _full_value() -> Json:
    root = read_yaml(Source(FULL)).root
    assert root is not None
    return root.value


FULL_VALUE = _full_value()

FULL_JSONATA: Json = {
    "QueryLanguage": "JSONata",
    "StartAt": "A",
    "States": {
        "A": {
            "Type": "Task",
            "Resource": LAMBDA,
            "Arguments": {"a": "{% $states.input.a %}", "b": ["{% $x + 1 %}", 2]},
            "TimeoutSeconds": "{% $t %}",
            "Credentials": {"RoleArn": "{% $r %}"},
            "Output": "{% $states.result %}",
            "Assign": {"x": 1, "y": "{% $states.result.y %}"},
            "Retry": [{"ErrorEquals": ["States.Timeout"], "MaxAttempts": 2}],
            "Catch": [
                {
                    "ErrorEquals": ["E"],
                    "Next": "F",
                    "Output": {"e": "{% $states.errorOutput %}"},
                    "Assign": {"e": 1},
                }
            ],
            "Next": "C",
        },
        "C": {
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% $x > 1 %}", "Next": "M", "Assign": {"x": 2}},
                {"Condition": True, "Next": "W", "Output": 1},
            ],
            "Default": "F",
        },
        "W": {"Type": "Wait", "Seconds": "{% $x %}", "Next": "M"},
        "M": {
            "Type": "Map",
            "Items": [1, "{% $x %}"],
            "ItemSelector": {"v": "{% $states.context.Map.Item.Value %}"},
            "MaxConcurrency": "{% 1 %}",
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "Arguments": {"Bucket": "b", "Key": "{% $k %}"},
                "ReaderConfig": {"InputType": "JSON", "MaxItems": "{% 3 %}", "ItemsPointer": "/a"},
            },
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "I",
                "States": {
                    "I": {"Type": "Pass", "Output": "{% $states.input %}", "Assign": {"z": 1}, "End": True}
                },
            },
            "End": True,
        },
        "F": {"Type": "Fail", "Error": "{% $e %}", "Cause": "plain"},
    },
}


@pytest.mark.parametrize("whole", [FULL_VALUE, FULL_JSONATA], ids=["JSONPath", "JSONata"])
@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), times=st.integers(1, 6))
def test_no_mutation_of_a_definition_makes_parsing_raise_anything_else(
    whole: Json, seed: int, times: int
) -> None:
    chance = random.Random(seed)
    mutated = json.loads(json.dumps(whole))
    for _ in range(times):
        mutated = _mutate(mutated, chance)
    text = json.dumps(mutated)

    assert _accepted(text) is all(fault.severity == "warning" for fault in lint(text))


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 2_000), gone=st.integers(0, 20), new=st.text(max_size=5), yaml=st.booleans())
def test_no_text_makes_parsing_raise_anything_else(*, at: int, gone: int, new: str, yaml: bool) -> None:
    text = FULL if yaml else json.dumps(FULL_VALUE)
    text = text[:at] + new + text[at + gone :]

    assert _accepted(text, yaml=yaml) is all(fault.severity == "warning" for fault in lint(text, yaml=yaml))


def _accepted(text: str, *, yaml: bool = False) -> bool:
    try:
        parse_definition(text, yaml=yaml)
    except DefinitionError as error:
        faults = error.faults
    else:
        return True
    assert faults
    assert all(fault.line and fault.code and fault.what for fault in faults)
    return False
