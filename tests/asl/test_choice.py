"""Choice rules, one claim at a time, and against what AWS answered."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_runner.asl.choice import COMPARISONS, compile_rule, string_matches
from etl_runner.asl.timestamps import instant
from etl_runner.errors import InvalidInput, StatesError
from tests.asl.surroundings import Surroundings
from tests.shared_data import SHARED


def holds(rule: Any, document: Any = None, context: Any = None) -> bool:
    return compile_rule(rule).matches(Surroundings(document, context))


def test_there_are_39_operators() -> None:
    assert len(COMPARISONS) == 39


@pytest.mark.parametrize(
    ("operator", "operand", "value", "expected"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", "1", 1, False),
        ("StringLessThan", "b", "a", True),
        ("StringGreaterThanEquals", "a", "a", True),
        ("NumericEquals", 1, 1.0, True),
        ("NumericEquals", 1, True, False),
        ("NumericEquals", 1, "1", False),
        ("NumericLessThanEquals", 2.5, 2, True),
        ("BooleanEquals", True, True, True),
        ("BooleanEquals", True, 1, False),
        ("TimestampEquals", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", True),
        ("TimestampEquals", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z", True),
        ("TimestampLessThan", "2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.0999999999Z", True),
        ("TimestampGreaterThan", "2026-01-01T00:00:00Z", "not a time", False),
        ("TimestampGreaterThanEquals", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", True),
        ("StringMatches", "log-*.txt", "log-1.txt", True),
        ("StringMatches", "log-*.txt", "log-1.csv", False),
        ("StringMatches", "*", "", True),
        ("StringMatches", "a\\*b", "a*b", True),
        ("StringMatches", "a\\*b", "aXb", False),
        ("StringMatches", "a\\\\*", "a\\b", True),
        ("StringMatches", "ab*ba", "aba", False),
        ("StringMatches", "*a*", 5, False),
        ("IsNull", True, None, True),
        ("IsNull", False, 0, True),
        ("IsNumeric", True, False, False),
        ("IsString", True, "", True),
        ("IsBoolean", True, False, True),
        ("IsTimestamp", True, "2026-01-01T00:00:00Z", True),
        ("IsTimestamp", True, "2026-01-01T00:00:00", False),
        ("IsTimestamp", True, "2026-01-01t00:00:00z", False),
        ("IsTimestamp", True, "2026-13-01T00:00:00Z", False),
        ("IsTimestamp", False, 5, True),
        ("IsPresent", True, None, True),
        ("IsPresent", False, None, False),
    ],
)
def test_an_operator_compares_by_type_and_value(
    operator: str,
    operand: Any,
    value: Any,
    expected: bool,
) -> None:
    assert holds({"Variable": "$.v", operator: operand}, {"v": value}) is expected


@pytest.mark.parametrize("operator", [name for name in COMPARISONS if name.endswith("Path")])
def test_every_path_operator_agrees_with_the_constant_form(operator: str) -> None:
    samples: list[Any] = [
        "a",
        "b",
        1,
        2,
        True,
        False,
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:01+00:00",
        None,
    ]
    constant_form = operator.removesuffix("Path")
    for value in samples:
        for operand in samples:
            by_path = holds({"Variable": "$.v", operator: "$.o"}, {"v": value, "o": operand})
            try:
                by_constant = holds({"Variable": "$.v", constant_form: operand}, {"v": value})
            except InvalidInput:
                by_constant = False

            assert by_path == by_constant


def test_a_missing_variable_is_a_runtime_error() -> None:
    with pytest.raises(StatesError) as caught:
        holds({"Variable": "$.x", "StringEquals": "a"}, {})

    assert caught.value.error == "States.Runtime"
    assert caught.value.cause == (
        "Invalid path '$.x': The choice state's condition path references an invalid value."
    )


def test_a_missing_operand_is_a_runtime_error() -> None:
    with pytest.raises(StatesError, match=r"Invalid path '\$\.o'"):
        holds({"Variable": "$.v", "StringEqualsPath": "$.o"}, {"v": "a"})


def test_is_present_is_false_for_what_is_missing() -> None:
    assert holds({"Variable": "$.x.y", "IsPresent": False}, {})
    assert not holds({"Variable": "$.x.y", "IsPresent": True}, {})


def test_and_or_not_combine_and_stop_as_soon_as_the_answer_is_known() -> None:
    there = {"Variable": "$.a", "IsPresent": True}
    missing = {"Variable": "$.gone", "StringEquals": "x"}

    assert holds({"Or": [there, missing]}, {"a": 1})
    assert not holds({"And": [{"Not": there}, missing]}, {"a": 1})
    assert holds({"Not": {"And": [there, {"Variable": "$.a", "NumericEquals": 2}]}}, {"a": 1})


def test_the_context_object_can_be_compared() -> None:
    assert holds({"Variable": "$$.Execution.Name", "StringEquals": "run"}, {}, {"Execution": {"Name": "run"}})


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({"Variable": "$.v"}, "exactly one comparison operator"),
        ({"Variable": "$.v", "StringEquals": "a", "IsNull": True}, "exactly one comparison operator"),
        ({"StringEquals": "a"}, "Variable is missing"),
        ({"Variable": "v", "StringEquals": "a"}, "Variable"),
        ({"Variable": "$.v[", "StringEqualsPath": "$..", "Next": "A"}, "StringEqualsPath"),
        ({"Variable": "$.v", "StringEquals": 1}, "StringEquals must be a string, found 1"),
        ({"Variable": "$.v", "NumericEquals": True}, "NumericEquals"),
        ({"Variable": "$.v", "TimestampEquals": "yesterday"}, "TimestampEquals"),
        ({"Variable": "$.v", "IsNull": "yes"}, "IsNull"),
        ({"Variable": "$.v", "StringEqualz": "a"}, "StringEqualz"),
        ({"And": []}, "And"),
        ({"And": [{"Variable": "$.v", "IsNull": 1}]}, "And/0/IsNull"),
        (
            {"Not": {"Or": [{"Variable": "$.v", "IsNull": True}, {"Variable": 1, "IsNull": True}]}},
            "Not/Or/1/Variable",
        ),
        ({"And": [{"Variable": "$.v", "IsNull": True}], "Variable": "$.v"}, "Variable"),
        ([], "must be an object"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_by_field(rule: Any, named: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        compile_rule(rule)

    assert named in str(caught.value)


def test_rules_nested_without_end_are_refused() -> None:
    rule: Any = {"Variable": "$.v", "IsNull": True}
    for _ in range(2000):
        rule = {"Not": rule}

    with pytest.raises(InvalidInput, match="deep within each other"):
        compile_rule(rule)


@given(pieces=st.lists(st.text(alphabet="ab*\\", max_size=4), min_size=1, max_size=5))
def test_a_pattern_made_from_pieces_matches_them_joined_by_anything(pieces: list[str]) -> None:
    pattern = "*".join(piece.replace("\\", "\\\\").replace("*", "\\*") for piece in pieces)

    assert string_matches("xy".join(pieces), pattern)


def test_a_hostile_pattern_is_matched_in_no_time() -> None:
    assert not string_matches("a" * 20_000, "*a" * 200 + "*b")


@given(first=st.datetimes(), second=st.datetimes())
def test_instants_order_as_times_do(first: Any, second: Any) -> None:
    texts = [f"{when.isoformat(timespec='microseconds')}Z" for when in (first, second)]
    moments = [instant(text) for text in texts]

    assert None not in moments
    assert (moments[0] < moments[1]) == (first < second)  # type: ignore[operator]


def recorded() -> Iterator[Any]:
    """(rule, input, whether AWS took the branch), from the recorded choice scenarios."""
    folder = SHARED / "conformance" / "choice_operators" if SHARED else None
    for path in sorted(folder.glob("*.json")) if folder else ():
        scenario = json.loads(path.read_text())
        # In what was recorded every time reads "date", so timestamps can only be told apart in the input.
        cases = iter(zip(scenario["inputs"], scenario["expected"]["cases"], strict=True))
        definition: Any = None
        for call in scenario["calls"]:
            if call["operation"] == "CreateStateMachine":
                number = int(call["parameters"]["definition"].removeprefix("@definitions[").removesuffix("]"))
                definition = scenario["definitions"][number]
            elif call["operation"] == "StartExecution":
                document, case = next(cases)
                rule = definition["States"]["CheckValues"]["Choices"][0]
                taken = case["output"]["TestResult.$"] == "ConditionTrue"
                yield pytest.param(
                    rule, document, taken, id=f"{path.name.split('.')[1]}-{json.dumps(document)}"
                )


RECORDED = list(recorded())


@pytest.mark.skipif(not RECORDED, reason="the recorded choice scenarios are not beside this checkout")
@pytest.mark.parametrize(("rule", "document", "taken"), RECORDED)
def test_a_rule_decides_as_aws_did(rule: Any, document: Any, taken: bool) -> None:
    assert holds(rule, document) is taken
