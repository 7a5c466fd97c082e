"""JSONata as AWS runs it: values, AWS's sentences, its own functions, and the bounds of an evaluation."""

import hashlib
import random
import uuid
from collections.abc import Iterator
from typing import Any

import jlens
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_runner.asl.java_random import next_double, next_int
from etl_runner.asl.jsonata import (
    JsonataSyntaxError,
    compile_jsonata,
    compile_jsonata_payload,
    is_jsonata,
)
from etl_runner.errors import InvalidInput, QueryEvaluationError
from etl_runner.jsontypes import loads
from tests.asl.surroundings import Surroundings
from tests.shared_data import SHARED, needs_shared

INPUT = {"n": 1, "text": "t", "list": [{"a": 1}, {"a": 2}], "empty": [], "nil": None, "deep": {"x": [[1]]}}


def value(text: str, given: Any = None, **variables: Any) -> Any:
    env = Surroundings(states={"input": INPUT if given is None else given}, variables=variables)
    return compile_jsonata(text, "Output").evaluate(env)


def sentence(text: str, given: Any = None, *, expected: str | None = None, **variables: Any) -> str:
    """What follows the expression and its field in AWS's sentence."""
    env = Surroundings(states={"input": INPUT if given is None else given}, variables=variables)
    with pytest.raises(QueryEvaluationError) as caught:
        compile_jsonata(text, "Output/x").evaluate(env, expected)
    assert (caught.value.error, caught.value.location) == ("States.QueryEvaluationError", "Output/x")
    start = f"The JSONata expression '{text}' specified for the field 'Output/x' "
    assert caught.value.cause.startswith(start)
    return caught.value.cause.removeprefix(start)


@pytest.mark.parametrize(("text", "expected"), [
    ("$states.input.n", 1),
    ("$states.input.text & 'x'", "tx"),
    ("$states.input.list.a", [1, 2]),
    ("$sum($states.input.list.a)", 3),
    ("$states.input.empty", []),
    ("$states.input.nil", None),
    ("$states.input.deep.x", [[1]]),
    ("$states.input.list[a=2]", {"a": 2}),
    ("$exists($states.input.nope)", False),
    ("$v.list.a", [1, 2]),
    ("$v.n + 1", 2),
    ("{'k': $v.nil}", {"k": None}),
    ("($x := 2; $x * $states.input.n)", 2),
    ("$variable := 1", 1),
    ("[1..3]", [1, 2, 3]),
    ("$exists($)", False),
    ("$exists($$)", False),
    ("$exists(input)", False),
    ("[$states.input.n, $exists($)]", [1, False]),
    ("$now()", "2026-01-01T00:00:00.000Z"),
    ("$millis()", 1_767_225_600_000),
])  # fmt: skip
def test_an_expression_gives_its_value(text: str, expected: Any) -> None:
    found = value(text, v=INPUT)

    assert found == expected
    assert type(found) is type(expected)


def test_numbers_pass_through_a_plain_way_as_they_are() -> None:
    given = {"big": 2**53 + 1, "fraction": 1.0, "huge": 10**30}

    assert [value(f"$states.input.{name}", given) for name in given] == list(given.values())
    assert type(value("$states.input.fraction", given)) is float
    assert value("$v.big", v=given) == 2**53 + 1


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@given(DOCUMENTS, st.lists(st.sampled_from("abc"), max_size=4))
def test_a_plain_way_gives_what_the_library_gives(document: Any, names: list[str]) -> None:
    text = ".".join(("$states.input", *names))
    library = jlens.Expression(f'{{"r":({text})}}')
    env = Surroundings(states={"input": document})
    known = library.evaluate(None, {"states": {"input": document}})

    try:
        assert {"r": compile_jsonata(text, "Output").evaluate(env)} == known
    except QueryEvaluationError:
        assert known == {}


FORMS = (
    "$states.input",
    "$states.input.a",
    "$states.input.a.b[0]",
    "[$states.input.a]",
    "$states.input.*",
    "$states.input.**.a",
    "$states.input.a ~> $string",
    "$count($states.input.a)",
    "$map($states.input.a, function($v) { $v.b })",
    "$states.input[a = 1]",
    "$states.input{a: b}",
    "$merge([$states.input, {'z': 1}])",
    "$keys($states)",
)


@given(DOCUMENTS, st.sampled_from(FORMS))
def test_states_as_the_input_gives_what_states_as_a_binding_gives(document: Any, text: str) -> None:
    env = Surroundings(context={}, states={"input": document})
    library = jlens.Expression(f'{{"r":({text})}}')
    states = {"input": document} | ({"context": {}} if text == "$keys($states)" else {})

    try:
        known = library.evaluate(None, {"states": states})
    except jlens.JlensError as error:
        with pytest.raises(QueryEvaluationError, match=error.code):
            compile_jsonata(text, "Output").evaluate(env)
        return
    try:
        assert {"r": compile_jsonata(text, "Output").evaluate(env)} == known
    except QueryEvaluationError:
        assert known == {}


@pytest.mark.parametrize("text", ["$", "$$", "n", "$states.input.nope", "$nope", "$states.result", "()"])
def test_nothing_is_an_error_and_the_root_is_nothing(text: str) -> None:
    assert sentence(text) == "returned nothing (undefined)."


@pytest.mark.parametrize("text", ["function($x){$x}", "$fn := function($x){$x}", "$sum"])
def test_a_function_is_no_result(text: str) -> None:
    assert sentence(text) == "returned an unsupported result type."


@pytest.mark.parametrize(("text", "expected", "found"), [
    ("true", "array", "'boolean' for value: true"),
    ("null", "array", "'null' for value: null"),
    ("1", "array", "'number' for value: 1"),
    ("$states.input.text", "array", "'string' for value: \"t\""),
    ("{'foo': 'bar'}", "array", "'object' for value: {\"foo\":\"bar\"}"),
    ("[1]", "number", "'array' for value: [1]"),
])  # fmt: skip
def test_a_result_of_another_type_is_named(text: str, expected: str, found: str) -> None:
    assert sentence(text, expected=expected) == (
        f"returned an unexpected result type. Expected '{expected}', but was {found}"
    )


@pytest.mark.parametrize(("text", "thrown"), [
    ("$randomSeeded($states.input.n)", "T1006: Attempted to invoke a non-function"),
    ("$eval('1')", "T1006: Attempted to invoke a non-function"),
    ("1 + 'a'", 'T2002: The right side of the "+" operator must evaluate to a number'),
    ("$number('x')", 'D3030: Unable to cast value to a number: "x"'),
    ("$error('boo')", "D3137: boo"),
])  # fmt: skip
def test_what_the_library_throws_has_its_code(text: str, thrown: str) -> None:
    assert sentence(text) == f"threw an error during evaluation. {thrown}"


@pytest.mark.parametrize(("text", "expected"), [
    ("$partition([1,2,3,4,5], 2)", [[1, 2], [3, 4], [5]]),
    ("$partition([], 2)", []),
    ("$partition([1], 5)", [[1]]),
    ("$range(0, 10, 3)", [0, 3, 6, 9]),
    ("$range(5, 1, -2)", [5, 3, 1]),
    ("$range(1, 2, 0.5)", [1, 1.5, 2]),
    ("$range(0, 1, 0.1)[10]", 1),
    ("$range(1, 9, 9)", 1),
    ("$exists($range(2, 1, 1))", False),
    ("[$range(1, 2, 1), 5]", [1, 2, 5]),
    ("$random(42)", 0.7275636800328681),
    ("$random(42.9)", 0.7275636800328681),
    ("[1..2].$random(0)", [0.730967787376657, 0.730967787376657]),
    ("$hash('input', 'SHA-1')", hashlib.sha1(b"input", usedforsecurity=False).hexdigest()),
    ("$hash({'a': 1}, 'SHA-256')", hashlib.sha256(b'{"a":1}').hexdigest()),
    ("$parse('{\"a\": [1, null]}')", {"a": [1, None]}),
    ("$parse('null')", None),
    ("$parse('[[1]]')", [[1]]),
    ("$exists($partition($nope, 1))", False),
    ("$exists($parse($nope))", False),
])  # fmt: skip
def test_the_functions_that_aws_adds(text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(("text", "thrown"), [
    ("$partition([1], 0)", "D3061: The size of a partition must be a positive number"),
    ("$partition([1])", 'T0410: Argument 2 of function "partition"'),
    ("$range(1, 2, 0)", "D3061: The step of a range must not be zero"),
    ("$range(0, 10000000, 1)", "D2014"),
    ("$range(1, 2)", 'T0410: Argument 3 of function "range"'),
    ("$hash('a', 'CRC')", "D3061"),
    ("$hash('a')", 'T0410: Argument 2 of function "hash"'),
    ("$random('a')", 'T0410: Argument 1 of function "random"'),
    ("$random(1, 2)", 'T0410: Argument 2 of function "random"'),
    ("$uuid(1)", 'T0410: Argument 1 of function "uuid"'),
    ("$parse('{')", "D3061: The argument of $parse is not JSON"),
    ("$parse(1)", "T0410"),
])  # fmt: skip
def test_their_arguments_are_checked(text: str, thrown: str) -> None:
    assert sentence(text).startswith(f"threw an error during evaluation. {thrown}")


def test_what_is_random_is_drawn_from_the_environment() -> None:
    text = "[$random(), $uuid(), $shuffle([1..20])]"
    first, second = (
        compile_jsonata(text, "Output").evaluate(Surroundings(rng=random.Random(7))) for _ in range(2)
    )

    assert first == second
    assert 0 <= first[0] < 1
    assert uuid.UUID(first[1]).version == 4
    assert first[2:] != list(range(1, 21))


@pytest.mark.parametrize(
    ("seed", "number"), [(42, 0.7275636800328681), (0, 0.730967787376657), (-1, 0.26894263088050496)]
)
def test_the_numbers_of_a_seed_are_those_of_java(seed: int, number: float) -> None:
    assert next_double(seed) == number
    assert next_int(seed, 2**26) == int(number * 2**26)


def test_states_as_a_whole_has_its_fields_in_the_order_that_aws_shows() -> None:
    env = Surroundings(context={"a": 1}, states={"input": 1, "result": 2})

    assert list(compile_jsonata("$states", "Output").evaluate(env)) == ["input", "context", "result"]


def test_the_context_is_asked_for_only_by_an_expression_that_reads_it() -> None:
    class Asked(Surroundings):
        times = 0

        def __getattribute__(self, name: str) -> Any:
            if name == "context":
                Asked.times += 1
            return super().__getattribute__(name)

    env = Asked(context={"Execution": {"Id": "arn"}}, states={"input": INPUT})
    Asked.times = 0
    for text in ("$states.input.n", "$states.input.n + 1", "$exists($)", "'$states.context'"):
        compile_jsonata(text, "Output").evaluate(env)

    assert Asked.times == 0
    assert compile_jsonata("$states.context.Execution.Id & '!'", "Output").evaluate(env) == "arn!"
    assert compile_jsonata("$states.context.Execution.Id", "Output").evaluate(env) == "arn"
    assert Asked.times == 2


@pytest.mark.parametrize(("text", "names"), [
    ("$states.input.a", ()),
    ("$b + $a.c", ("a", "b")),
    ("($x := 1; $x + $y)", ("y",)),
    ("function($v){ $v + $k }(1)", ("k",)),
    ("$map($list, function($v){ $v })", ("list",)),
    ("'$no' & $partition($yes, 1)", ("yes",)),
])  # fmt: skip
def test_the_variables_that_it_reads_are_known(text: str, names: tuple[str, ...]) -> None:
    assert compile_jsonata(text, "Output").variables == names


@pytest.mark.parametrize(
    ("text", "offset"), [("1 +", 3), ("(1", 2), ("1 ) + (2", 2), ("1; 2", 1), ("", 0), ("$.a[?(@.b)]", 4)]
)
def test_what_is_no_expression_is_refused_with_its_place(text: str, offset: int) -> None:
    with pytest.raises(JsonataSyntaxError) as caught:
        compile_jsonata(text, "Output")

    assert caught.value.offset == offset


@pytest.mark.parametrize("text", [
    "($f := function() { $f() }; $f())",
    "($f := function($s) { $f($s & $s) }; $f('aaaaaaaa'))",
    "($f := function() { 1 + $f() }; $f())",
    "[1..100000000]",
    "$pad('a', 1000000000)",
    f"$match('{'a' * 50}!', /(a+)+$/)",
])  # fmt: skip
def test_an_evaluation_is_bounded(text: str) -> None:
    assert sentence(text).startswith("threw an error during evaluation. ")


def test_a_payload_has_expressions_anywhere_inside() -> None:
    payload = compile_jsonata_payload(
        {"a": "{% $states.input.n %}", "b": [0, "{% $v %}", {"c": "{%'x'%}"}], "d": " {% 1 %} ", "e.$": "$"},
        "Arguments",
    )
    env = Surroundings(states={"input": INPUT}, variables={"v": None})

    assert payload.evaluate(env) == {"a": 1, "b": [0, None, {"c": "x"}], "d": " {% 1 %} ", "e.$": "$"}
    assert [one.field for one in payload.expressions] == ["Arguments/a", "Arguments/b[1]", "Arguments/b[2]/c"]
    assert payload.variables == ("v",)
    assert not payload.constant


def test_a_payload_without_expressions_is_handed_out_as_it_is() -> None:
    constant = {"a": [1, {"b": None}]}
    payload = compile_jsonata_payload(constant, "Output")

    assert payload.constant
    assert payload.evaluate(Surroundings()) is constant


def test_the_type_of_a_payload_is_checked() -> None:
    env = Surroundings()

    assert compile_jsonata_payload([1, "{% 2 %}"], "Items").evaluate(env, "array") == [1, 2]
    with pytest.raises(QueryEvaluationError, match="Expected 'array', but was 'object'"):
        compile_jsonata_payload({"a": 1}, "Items").evaluate(env, "array")
    with pytest.raises(QueryEvaluationError, match="Expected 'array', but was 'boolean' for value: true"):
        compile_jsonata_payload("{% true %}", "Items").evaluate(env, "array")


def test_a_payload_that_is_too_deep_is_refused() -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]

    with pytest.raises(InvalidInput, match="deep"):
        compile_jsonata_payload(deep, "Output")


@pytest.mark.parametrize(
    ("text", "answer"),
    [("{% 1 %}", True), ("{%1%}", True), ("{%%}", True), ("{%}", False), (" {% 1 %}", False), (1, False)],
)
def test_an_expression_is_the_whole_string(text: Any, answer: bool) -> None:
    assert is_jsonata(text) is answer


def _recorded_failures() -> Iterator[tuple[str, str]]:
    """The expressions whose failure AWS recorded, with what it said of them."""
    start = "The JSONata expression '"
    for path in sorted(SHARED.glob("conformance/*/*.json")) if SHARED else ():
        for entry in loads(path.read_text())["expected"].values():
            for event in entry.get("events", ()) if isinstance(entry, dict) else ():
                cause = event.get("evaluationFailedEventDetails", {}).get("cause", "")
                if start in cause:
                    rest = cause.partition(start)[2]
                    text, _, rest = rest.partition("' specified for the field '")
                    yield text, rest.partition("' ")[2]


@needs_shared
def test_the_recorded_failures_have_the_same_sentences_here() -> None:
    recorded = sorted(set(_recorded_failures()))

    for text, said in recorded:
        items = loads(said.rpartition("for value: ")[2]) if text == "$ItemsVar" else None
        variables = {} if items is None and said.endswith("(undefined).") else {"ItemsVar": items}
        expected = "array" if "Expected" in said else None
        given = {"FunctionInput": {"fst": 1}}
        assert sentence(text, given, expected=expected, **variables) == said
    assert len(recorded) >= 8
