"""The two query languages side by side, and variables: what is taken, what is refused and where."""

from typing import Any

import pytest

from etl_runner.asl.jsonata import JsonataExpression, JsonataPayload
from etl_runner.asl.model import ChoiceState, FailState, MapState, QueryLanguage, State, TaskState, WaitState
from etl_runner.asl.parse import lint, parse_definition
from etl_runner.errors import DefinitionError
from tests.asl.definitions import LAMBDA, errors, machine, marked_line
from tests.asl.surroundings import Surroundings

ENV = Surroundings(input={"a": 1}, states={"input": {"a": 1}}, variables={"v": {"x": 7}})
JSONATA = "  QueryLanguage: JSONata\n"
PASS = f"A:\n  Type: Pass\n  End: true\n{JSONATA}"
TASK = f"A:\n  Type: Task\n  End: true\n  Resource: {LAMBDA}\n{JSONATA}"
WAIT = f"A:\n  Type: Wait\n  End: true\n{JSONATA}"
CHOICE = f"A:\n  Type: Choice\n{JSONATA}  Default: B\n"
CATCH = f"{TASK}  Catch:\n    - ErrorEquals: [E]\n      Next: B\n"
RULE = f"{CHOICE}  Choices:\n    - Next: B\n"
AFTER = "\nB: {Type: Succeed}"
PROCESSOR = "  ItemProcessor:\n    StartAt: I\n    States: {I: {Type: Pass, End: true}}\n"
MAP = f"A:\n  Type: Map\n  End: true\n{JSONATA}{PROCESSOR}"
BIG = (
    f"A:\n  Type: Map\n  End: true\n{JSONATA}"
    "  ItemProcessor:\n    ProcessorConfig: {Mode: DISTRIBUTED, ExecutionType: STANDARD}\n"
    "    StartAt: I\n    States: {I: {Type: Pass, End: true}}\n"
)
READER = f"{BIG}  ItemReader:\n    Resource: arn:aws:states:::s3:getObject\n"
PATHS = "A:\n  Type: Pass\n  End: true\n"


def first_state(states: str) -> State:
    return parse_definition(machine(states), yaml=True).scopes[0].states["A"]


REFUSED: list[tuple[str, str]] = [
    # fields of the other language
    ("wrong-query-language", f"{PASS}  Parameters: {{}}  # HERE"),
    ("wrong-query-language", f"{PASS}  Result: 1  # HERE"),
    ("wrong-query-language", f"{PASS}  ResultPath: $  # HERE"),
    ("wrong-query-language", f"{PASS}  InputPath: $  # HERE"),
    ("wrong-query-language", f"{PASS}  OutputPath: $  # HERE"),
    ("wrong-query-language", f"{TASK}  ResultSelector: {{}}  # HERE"),
    ("wrong-query-language", f"{TASK}  TimeoutSecondsPath: $.t  # HERE"),
    ("wrong-query-language", f"{CATCH}      ResultPath: $.e  # HERE{AFTER}"),
    ("wrong-query-language", f"{MAP}  ItemsPath: $.a  # HERE"),
    ("wrong-query-language", f"{MAP}  MaxConcurrencyPath: $.a  # HERE"),
    ("wrong-query-language", f"{RULE}      Condition: true\n      Variable: $.a  # HERE{AFTER}"),
    ("wrong-query-language", f"{PATHS}  Output: 1  # HERE"),
    ("wrong-query-language", "A:\n  Type: Map\n  End: true\n  Items: [1]  # HERE\n" + PROCESSOR),
    # expressions
    ("invalid-jsonata", f"{PASS}  Output: '{{% 1 + %}}'  # HERE"),
    ("jsonata-root-read", f"{PASS}  Output: '{{% phone & $states.input.mail %}}'  # HERE"),
    ("invalid-jsonata", f"{PASS}  Output:\n    a: [{{b: '{{% ( %}}'}}]  # HERE"),
    ("invalid-jsonata", f"{PASS}  Output: '10 %}}'  # HERE"),
    ("invalid-jsonata", f"{PASS}  Output: '{{% 10'  # HERE"),
    ("invalid-jsonata", f"{PASS}  Assign:\n    x: '{{% [ %}}'  # HERE"),
    ("invalid-jsonata", f"{TASK}  Arguments: '{{% $.a[?(@.b < 1)] %}}'  # HERE"),
    ("invalid-jsonata", f"{TASK}  TimeoutSeconds: '{{% ) %}}'  # HERE"),
    ("invalid-jsonata", f"{TASK}  TimeoutSeconds: '{{% $t'  # HERE"),
    ("invalid-jsonata", f"{TASK}  TimeoutSeconds: ' {{% $t %}}'  # HERE"),
    ("wrong-type", f"{TASK}  TimeoutSeconds: '$t'  # HERE"),
    ("out-of-range", f"{TASK}  TimeoutSeconds: 0  # HERE"),
    ("wrong-type", f"{TASK}  Retry:\n    - ErrorEquals: [E]\n      MaxAttempts: '{{% 1 %}}'  # HERE"),
    ("invalid-timestamp", f"{WAIT}  Timestamp: soon  # HERE"),
    ("invalid-timestamp", "A:\n  Type: Wait\n  End: true\n  Timestamp: '{% $now() %}'  # HERE"),
    ("wrong-type", "A:\n  Type: Wait\n  End: true\n  Seconds: '{% 1 %}'  # HERE"),
    ("wrong-type", f"{MAP}  Items: {{a: 1}}  # HERE"),
    ("wrong-type", f"{MAP}  Items: abc  # HERE"),
    ("wrong-type", f"{READER}    ReaderConfig: {{InputType: JSON, MaxItems: '3'}}  # HERE"),
    # fields of $states that are not everywhere
    ("states-field-not-there", f"{TASK}  Arguments: {{a: '{{% $states.result.x %}}'}}  # HERE"),
    ("states-field-not-there", f"{TASK}  TimeoutSeconds: '{{% $states.result %}}'  # HERE"),
    ("states-field-not-there", f"{PASS}  Output: '{{% $states.result %}}'  # HERE"),
    ("states-field-not-there", f"{TASK}  Output: '{{% $states.errorOutput %}}'  # HERE"),
    ("states-field-not-there", f"{CATCH}      Output: '{{% $states.result %}}'  # HERE{AFTER}"),
    ("states-field-not-there", f"{MAP}  Items: '{{% $states.result %}}'  # HERE"),
    ("states-field-not-there", f"{RULE}      Condition: '{{% $states.errorOutput %}}'  # HERE{AFTER}"),
    # Choice
    ("missing-field", f"{CHOICE}  Choices:\n    - Next: B  # HERE{AFTER}"),
    ("wrong-type", f"{CHOICE}  Choices:\n    - Next: B\n      Condition: 'true'  # HERE{AFTER}"),
    ("wrong-type", f"{CHOICE}  Choices:\n    - Next: B\n      Condition: 1  # HERE{AFTER}"),
    ("invalid-jsonata", f"{CHOICE}  Choices:\n    - Next: B\n      Condition: '{{% %}}'  # HERE{AFTER}"),
    # Assign
    ("wrong-type", f"{PASS}  Assign: [1]  # HERE"),
    ("wrong-type", f"{PASS}  Assign: '{{% {{}} %}}'  # HERE"),
    ("invalid-variable-name", f"{PASS}  Assign:\n    top-level: 1  # HERE"),
    ("invalid-variable-name", f"{PASS}  Assign:\n    1x: 1  # HERE"),
    ("invalid-variable-name", f"{PASS}  Assign:\n    x.$: 1  # HERE"),
    ("invalid-variable-name", f"{PASS}  Assign:\n    states: 1  # HERE"),
    ("invalid-variable-name", f"{PATHS}  Assign:\n    {'x' * 81}: 1  # HERE"),
    ("invalid-variable-name", f"{PATHS}  Assign:\n    a b.$: $  # HERE"),
    ("invalid-expression", f"{PATHS}  Assign:\n    a.$: nothing  # HERE"),
    ("duplicate-template-field", f"{PATHS}  Assign:\n    a: 1\n    a.$: $  # HERE"),
    ("unknown-field", "A:\n  Type: Succeed\n  Assign: {a: 1}  # HERE"),
    ("unknown-field", "A:\n  Type: Fail\n  Assign: {a: 1}  # HERE"),
    # paths into variables
    ("invalid-path", f"{PATHS}  InputPath: $a-b  # HERE"),
    ("invalid-reference-path", f"{PATHS}  ResultPath: $v.x  # HERE"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "states"), REFUSED)
def test_a_mistake_is_refused_where_it_stands(code: str, states: str) -> None:
    text = machine(states)

    assert [(fault.code, fault.line) for fault in errors(text)] == [(code, marked_line(text))]


READS = (
    f"{READER}    Arguments: {{Bucket: '{{% $b %}}'}}\n"
    "    ReaderConfig: {InputType: JSON, MaxItems: '{% 2 %}'}\n"
    "  ItemBatcher: {MaxItemsPerBatch: '{% 1 %}', BatchInput: '{% $states.input %}'}\n"
    "  ResultWriter: {Resource: 'arn:aws:states:::s3:putObject', Arguments: {Bucket: b}}"
)
CHOOSES = (
    f"{CHOICE}  Choices:\n    - {{Next: B, Condition: true, Output: 1, Assign: {{x: 1}}}}\n"
    f"    - {{Next: B, Condition: '{{% $x %}}'}}\n  Assign: {{x: 2}}\n  Output: '{{% 1 %}}'{AFTER}"
)

TAKEN = [
    f"{PASS}  Output: [1, '{{% 2 %}}', {{a: ' {{% 3 %}} '}}]",
    f"{PASS}  Assign: {{ünï_2: 1, _x: 2, {'y' * 80}: 3}}",
    f"{TASK}  Arguments: '{{% $states.input %}}'\n  Credentials: {{RoleArn: '{{% $v %}}'}}",
    f"{TASK}  Arguments: text\n  TimeoutSeconds: '{{%$v%}}'\n  HeartbeatSeconds: 3",
    f"{WAIT}  Seconds: '{{% 3 %}}'",
    f"{WAIT}  Timestamp: '2026-01-01T00:00:00Z'",
    f"{MAP}  Items: [1, '{{% 2 %}}']\n  ItemSelector: {{a: '{{% 1 %}}'}}\n  MaxConcurrency: '{{% 1 %}}'",
    f"{MAP}  ToleratedFailurePercentage: '{{% 1 %}}'\n  ToleratedFailureCount: '{{% 1 %}}'",
    READS,
    CHOOSES,
    "A: {Type: Succeed, QueryLanguage: JSONata, Output: {a: '{% 1 %}'}}",
    "A: {Type: Fail, QueryLanguage: JSONata, Error: '{% $e %}', Cause: plain}",
    f"{PATHS}  InputPath: $v\n  OutputPath: $v.x[0]\n  Assign: {{a.$: $v, b: {{c.$: 'States.Array($v.x)'}}}}",
    "A: {Type: Fail, ErrorPath: $e, CausePath: '$c.x'}",
    "A: {Type: Wait, SecondsPath: $v.x, End: true}",
    "A: {Type: Choice, Choices: [{Variable: $v, StringEqualsPath: $w, Assign: {x.$: $v}, Next: B}]}" + AFTER,
    TASK.replace(JSONATA, "  TimeoutSecondsPath: $t\n  Credentials: {RoleArn.$: $r}\n"),
    f"{TASK}  Output: {{a: '{{% $states.result %}}'}}\n  Assign: {{a: '{{% [$states.result] %}}'}}",
    f"{CATCH}      Output: '{{% $states.errorOutput %}}'\n      Assign: {{a: '{{% $v %}}'}}{AFTER}",
    f"{PASS}  Output: '{{% $states %}}'",
]  # fmt: skip


@pytest.mark.parametrize("states", TAKEN)
def test_what_the_languages_allow_is_taken(states: str) -> None:
    assert errors(machine(states)) == []


def test_a_jsonata_machine_has_no_jsonpath_states_at_any_depth() -> None:
    text = (
        "StartAt: A\nQueryLanguage: JSONata\nStates:\n  A:\n    Type: Map\n    End: true\n"
        "    ItemProcessor:\n      StartAt: I\n      States:\n        I:\n          Type: Pass\n"
        "          End: true\n          QueryLanguage: JSONPath  # HERE\n"
    )

    assert [(fault.code, fault.line) for fault in errors(text)] == [
        ("query-language-downgrade", marked_line(text))
    ]


def test_states_inside_take_the_language_of_the_machine_and_not_of_the_state_around_them() -> None:
    inside = "I: {Type: Pass, Parameters: {a.$: $.a}, End: true}"
    of_a_state = machine(f"{MAP}".replace("I: {Type: Pass, End: true}", inside))
    of_a_machine = of_a_state.replace("StartAt: A\n", "StartAt: A\nQueryLanguage: JSONata\n", 1)

    assert errors(of_a_state) == []
    assert [fault.code for fault in errors(of_a_machine)] == ["wrong-query-language"]
    scopes = parse_definition(of_a_state, yaml=True).scopes
    assert scopes[0].states["A"].query_language is QueryLanguage.JSONATA
    assert scopes[1].states["I"].query_language is QueryLanguage.JSONPATH


def test_numbers_and_texts_that_are_expressions_become_expressions() -> None:
    task = first_state(f"{TASK}  TimeoutSeconds: '{{% 60 * 2 %}}'\n  HeartbeatSeconds: 3")
    wait = first_state(f"{WAIT}  Timestamp: '{{% $now() %}}'")
    fail = first_state("A: {Type: Fail, QueryLanguage: JSONata, Error: '{% $v.x %}', Cause: c}")
    assert isinstance(task, TaskState)
    assert isinstance(wait, WaitState)
    assert isinstance(fail, FailState)

    assert isinstance(task.timeout_seconds, JsonataExpression)
    assert (task.timeout_seconds.field, task.timeout_seconds.evaluate(ENV)) == ("TimeoutSeconds", 120)
    assert task.heartbeat_seconds == 3
    assert isinstance(wait.timestamp, JsonataExpression)
    assert isinstance(fail.error, JsonataExpression)
    assert fail.cause == "c"


def test_a_distributed_map_has_its_expressions_where_it_reads_numbers() -> None:
    state = first_state(READS)
    assert isinstance(state, MapState)
    assert state.item_reader is not None
    assert state.item_batcher is not None

    assert isinstance(state.item_reader.max_items_path, JsonataExpression)
    assert state.item_reader.max_items_path.field == "ItemReader/ReaderConfig/MaxItems"
    assert "MaxItems" not in state.item_reader.config
    assert isinstance(state.item_batcher.max_items, JsonataExpression)
    assert isinstance(state.item_batcher.batch_input, JsonataPayload)
    assert isinstance(state.item_reader.parameters, JsonataPayload)


def test_a_choice_in_jsonata_has_conditions() -> None:
    state = first_state(CHOOSES)
    assert isinstance(state, ChoiceState)
    first, second = state.choices

    assert first.rule is True
    assert first.output is not None
    assert first.assign is not None
    assert first.assign.evaluate(ENV) == {"x": 1}
    assert isinstance(second.rule, JsonataExpression)
    assert second.rule.field == "Choices[1]/Condition"
    assert state.assign is not None
    assert state.output is not None


def test_assign_in_jsonpath_is_a_template() -> None:
    state = first_state(f"{PATHS}  Assign: {{a.$: $v.x, b: {{c.$: $.a}}, d: $v}}")

    assert state.assign is not None
    assert state.assign.evaluate(ENV) == {"a": 7, "b": {"c": 1}, "d": "$v"}


REFERENCES: list[tuple[str, dict[str, tuple[str, ...]]]] = [
    (TAKEN[0], {}),
    (TAKEN[2], {"A": ("v",)}),
    (READS, {"A": ("b",)}),
    (CHOOSES, {"A": ("x",)}),
    (TAKEN[12], {"A": ("v",)}),
    (TAKEN[13], {"A": ("c", "e")}),
    (TAKEN[15], {"A": ("v", "w")}),
    (TAKEN[16], {"A": ("r", "t")}),
    (f"{CATCH}      Output: '{{% $o %}}'\n      Assign: {{a: '{{% $i %}}'}}{AFTER}", {"A": ("i", "o")}),
    (MAP.replace("I: {Type: Pass, End: true}", "I: {Type: Pass, InputPath: $q, End: true}")
     + "  Items: '{% $p %}'", {"A": ("p",), "I": ("q",)}),
]  # fmt: skip


@pytest.mark.parametrize(("states", "names"), REFERENCES)
def test_the_variables_that_a_state_reads_are_known(states: str, names: Any) -> None:
    assert dict(parse_definition(machine(states), yaml=True).variable_references) == names


LOOP = """
S: {Type: Pass, Assign: {x: 1}, Next: A}
A:
  Type: Map
  ItemProcessor:
    StartAt: I
    States:
      I:
        Type: Pass
        End: true
        Assign:
          x: 2  # HERE
  End: true
"""


def test_a_scope_inside_does_not_assign_what_has_a_value_outside() -> None:
    text = machine(LOOP).replace("StartAt: A", "StartAt: S", 1)

    assert [(fault.code, fault.line) for fault in errors(text)] == [
        ("variable-of-outer-scope", marked_line(text))
    ]


@pytest.mark.parametrize("change", [
    ("x: 2", "y: 2"),
    ("S: {Type: Pass, Assign: {x: 1}, Next: A}", "S: {Type: Pass, Assign: {z: 1}, Next: A}"),
    ("Processor:\n", "Processor:\n    ProcessorConfig: {Mode: DISTRIBUTED, ExecutionType: STANDARD}\n"),
])  # fmt: skip
def test_names_of_scopes_that_do_not_meet_are_free(change: tuple[str, str]) -> None:
    text = machine(LOOP.replace(*change)).replace("StartAt: A", "StartAt: S", 1)

    assert errors(text) == []


def test_a_name_that_is_assigned_outside_only_afterwards_is_free_inside() -> None:
    states = LOOP.replace("S: {Type: Pass, Assign: {x: 1}, Next: A}", "").replace(
        "\n  End: true\n", "\n  Next: S\nS: {Type: Pass, Assign: {x: 1}, End: true}\n"
    )
    again = states.replace("Assign: {x: 1}, End: true", "Assign: {x: 1}, Next: C") + (
        "C: {Type: Choice, Choices: [{Variable: $.a, IsNull: true, Next: A}], Default: D}\n"
        "D: {Type: Succeed}\n"
    )

    assert errors(machine(states)) == []
    assert [fault.code for fault in errors(machine(again))] == ["variable-of-outer-scope"]


def test_an_express_state_machine_has_only_what_those_can_do() -> None:
    text = machine("""
    A: {Type: Task, Resource: 'arn:aws:states:::sqs:sendMessage.waitForTaskToken', Next: B}
    B: {Type: Task, Resource: 'arn:aws:states:::batch:submitJob.sync', End: true}
    """)

    with pytest.raises(DefinitionError) as caught:
        parse_definition(text, yaml=True, express=True)
    assert [fault.code for fault in caught.value.faults] == ["express-unsupported"] * 2
    assert [fault.pointer for fault in caught.value.faults] == ["/States/A/Resource", "/States/B/Resource"]
    assert [fault for fault in lint(text, yaml=True) if fault.severity == "error"] == []
