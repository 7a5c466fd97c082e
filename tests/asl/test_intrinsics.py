"""The intrinsic functions: their rules one by one, and what AWS answered."""

import json
import random
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_runner.asl.intrinsics import INTRINSICS, NESTING_LIMIT, compile_call
from etl_runner.asl.jsonpath import PathSyntaxError
from etl_runner.errors import StatesError
from tests.asl.surroundings import Surroundings
from tests.shared_data import SHARED


def call(text: str, document: Any = None, context: Any = None) -> Any:
    return compile_call(text).evaluate(Surroundings(document, context))


def test_there_are_18_functions() -> None:
    assert len(INTRINSICS) == 18


@pytest.mark.parametrize(
    ("text", "document", "expected"),
    [
        ("States.Format('no place')", {}, "no place"),
        ("States.Format('{}-{}', $.a, 2)", {"a": "x"}, "x-2"),
        ("States.Format('{} {} {}', null, true, 1.5)", {}, "null true 1.5"),
        (r"States.Format('\{\} is {}, it\'s', 'a')", {}, "{} is a, it's"),
        ("States.Format($.t, 1)", {"t": r"\{{}\}"}, "{1}"),
        ("States.Format('{} of {}', $.a, $.o)", {"a": ["x", 1], "o": {}}, "[x, 1] of {}"),
        (
            "States.Format('{}', $)",
            {"a": 1, "b": [], "c": {"d": None, "e": [True]}},
            "{a=1, b=[], c={d=null, e=[true]}}",
        ),
        ("States.StringToJson($.s)", {"s": '{"n": [1, 2.5]}'}, {"n": [1, 2.5]}),
        ("States.StringToJson('')", {}, None),
        ('States.StringToJson(\'{"a":{"b":1}}\')', {}, {"a": {"b": 1}}),
        ("States.JsonToString($.o)", {"o": {"b": [1, None], "a": "é"}}, '{"b":[1,null],"a":"é"}'),
        ("States.Array()", {}, []),
        ("States.Array('Foo', 2020, $.o, null)", {"o": {"r": 1}}, ["Foo", 2020, {"r": 1}, None]),
        ("States.ArrayPartition($.a,4)", {"a": list(range(9))}, [[0, 1, 2, 3], [4, 5, 6, 7], [8]]),
        ("States.ArrayPartition($.a, 2.6)", {"a": [1, 2, 3]}, [[1, 2], [3]]),
        ("States.ArrayContains($.a, $.b)", {"a": [{"x": [1]}], "b": {"x": [1.0]}}, True),
        ("States.ArrayContains($.a, true)", {"a": [1, 0]}, False),
        ("States.ArrayRange(1, 9, 2)", {}, [1, 3, 5, 7, 9]),
        ("States.ArrayRange(5, 1, -2)", {}, [5, 3, 1]),
        ("States.ArrayRange(5, 1, 1)", {}, []),
        ("States.ArrayGetItem($.a, 1)", {"a": [1, None]}, None),
        ("States.ArrayLength($.a)", {"a": [1, 2]}, 2),
        ("States.ArrayUnique($.a)", {"a": [3, 1, 3.0, "1", True, 1]}, [3, 1, "1", True]),
        ("States.Base64Encode('Data to encode')", {}, "RGF0YSB0byBlbmNvZGU="),
        ("States.Base64Decode('RGF0YSB0byBlbmNvZGU=')", {}, "Data to encode"),
        ("States.Base64Decode(' YWJjZA ')", {}, "abcd"),
        ("States.Hash('input data', 'SHA-1')", {}, "aaff4a450a104cd177d28d18d74485e8cae074b7"),
        ("States.Hash('hello', 'MD5')", {}, "5d41402abc4b2a76b9719d911017c592"),
        (
            "States.JsonMerge($.a, $.b, false)",
            {"a": {"k": {"x": 1}, "l": 1}, "b": {"k": {"y": 2}}},
            {"k": {"y": 2}, "l": 1},
        ),
        ("States.MathAdd(111, -1)", {}, 110),
        ("States.MathAdd($.a, $.b)", {"a": 1.6, "b": 2.7}, 5),
        ("States.StringSplit('1+2,3.4', '.+,')", {}, ["1", "2", "3", "4"]),
        ("States.StringSplit(',a,,b,', ',')", {}, ["a", "b"]),
        ("States.StringSplit('abc', '')", {}, ["abc"]),
        ("States.MathAdd(States.ArrayLength($.a),-1)", {"a": [1, 2]}, 1),
        ("States.ArrayGetItem( States.StringSplit($.k , '/'), 0)", {"k": "in/x.csv"}, "in"),
        ("States.ArrayGetItem($.a[?(@.n > 1)].n, 0)", {"a": [{"n": 1}, {"n": 2}]}, 2),
        ("States.ArrayLength($['a,)'])", {"a,)": [1]}, 1),
        ("States.Array($.a.length(), $..n)", {"a": [{"n": 1}]}, [1, [1]]),
    ],
)
def test_a_call_gives_what_the_guide_says(text: str, document: Any, expected: Any) -> None:
    result = call(text, document)

    assert json.dumps(result) == json.dumps(expected)


def test_arguments_may_come_from_the_context_object() -> None:
    assert (
        call("States.Format('{}/{}', $$.Execution.Name, $.a)", {"a": 1}, {"Execution": {"Name": "n"}})
        == "n/1"
    )


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("States.Format('{}')", {}),
        ("States.Format('{}', 1, 2)", {}),
        ("States.Format('{')", {}),
        ("States.Format('{{}}', 1)", {}),
        ("States.Format(1)", {}),
        ("States.StringToJson('{')", {}),
        ("States.StringToJson($.s)", {"s": "[" * 5_000 + "]" * 5_000}),
        ("States.StringToJson($.o)", {"o": 1}),
        ("States.ArrayPartition($.a, 0)", {"a": [1]}),
        ("States.ArrayPartition($.a, 0.6)", {"a": [1]}),
        ("States.ArrayPartition('a', 1)", {}),
        ("States.ArrayContains('abc', 'a')", {}),
        ("States.ArrayRange(1, 1001, 1)", {}),
        ("States.ArrayRange(1, 10, 0)", {}),
        ("States.ArrayRange('1', 10, 1)", {}),
        ("States.ArrayGetItem($.a, 1)", {"a": [1]}),
        ("States.ArrayGetItem($.a, -1)", {"a": [1]}),
        ("States.ArrayGetItem($.a, '0')", {"a": [1]}),
        ("States.ArrayLength('abc')", {}),
        ("States.ArrayUnique($.o)", {"o": {}}),
        ("States.Base64Encode($.s)", {"s": "a" * 10_001}),
        ("States.Base64Encode(1)", {}),
        ("States.Base64Decode($.s)", {"s": "A" * 10_001}),
        ("States.Hash('a', 'SHA256')", {}),
        ("States.Hash('a', 'sha-256')", {}),
        ("States.Hash($.s, 'MD5')", {"s": "a" * 10_001}),
        ("States.JsonMerge($.a, $.a, true)", {"a": {}}),
        ("States.JsonMerge($.a, $.b, false)", {"a": {}, "b": []}),
        ("States.MathRandom(1, 1)", {}),
        ("States.MathRandom(5, 1)", {}),
        ("States.MathRandom(1, 5, 'seed')", {}),
        ("States.MathAdd(2147483647, 1)", {}),
        ("States.MathAdd(true, 1)", {}),
        ("States.MathAdd('1', 1)", {}),
        ("States.StringSplit(1, ',')", {}),
        ("States.StringSplit('a', null)", {}),
        ("States.UUID(1)", {}),
        ("States.ArrayLength()", {}),
        ("States.Hash('a', 'MD5', 1)", {}),
    ],
)
def test_arguments_beyond_the_rules_fail_the_call(text: str, document: Any) -> None:
    with pytest.raises(StatesError) as caught:
        call(text, document)

    name = text.split("(", maxsplit=1)[0]
    assert caught.value.error == "States.Runtime"
    assert caught.value.cause.startswith(
        f"The function '{text}' had the following error: Invalid arguments in {name}"
    )


def test_a_missing_argument_path_fails_with_the_sentence_of_aws() -> None:
    with pytest.raises(StatesError) as caught:
        call("States.Format('{}', $.nope)", {"other": 1})

    assert caught.value.cause == (
        "The function 'States.Format('{}', $.nope)' had the following error: "
        "The JsonPath argument for the field '$.nope' could not be found in the input '{\"other\":1}'"
    )


def test_merged_objects_have_their_keys_in_the_order_that_aws_shows() -> None:
    given = {"first": {"a": 1, "b": 2, "d": 3}, "second": {"a": 4, "c": 3, "d": 4}}

    assert list(call("States.JsonMerge($.first, $.second, false)", given)) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("path", ["$.nope[*]", "$.nope[1:]", "$.nope.deeper[*].name", "$..nope"])
def test_a_slice_or_wildcard_of_what_is_not_there_is_an_empty_argument(path: str) -> None:
    assert call(f"States.ArrayLength({path})", {"other": 1}) == 0


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("States.Nope(1)", 0),
        ("States.Array(1", 14),
        ("States.Array(1,)", 15),
        ("States.Array 1", 13),
        ("States.Array('a)", 13),
        ("States.Array(x)", 13),
        ("States.Array(1) 2", 16),
        ("States.Array(01)", 13),
        ("States.Array($.a[)", 16),
        ("States.Array($..)", 15),
        (r"States.Array('a\nb')", 15),
        (r'States.Format("a")', 14),
        (r"States.Format('say \"hi\"')", 19),
        ("States.Array($x!)", 14),
    ],
)
def test_a_syntax_error_names_the_place(text: str, offset: int) -> None:
    with pytest.raises(PathSyntaxError) as caught:
        compile_call(text)

    assert caught.value.offset == offset


def test_calls_nest_ten_deep_and_no_deeper() -> None:
    def nested(depth: int) -> str:
        return "States.Array(" * depth + ")" * depth

    assert call(nested(NESTING_LIMIT)) is not None
    with pytest.raises(PathSyntaxError, match="10 deep"):
        compile_call(nested(NESTING_LIMIT + 1))


def test_randomness_comes_from_the_env_alone() -> None:
    first, second = Surroundings(rng=random.Random(7)), Surroundings(rng=random.Random(7))
    texts = ["States.UUID()", "States.MathRandom(1, 1000000)"]

    results = [[compile_call(text).evaluate(env) for text in texts] for env in (first, second)]

    assert results[0] == results[1]
    assert uuid.UUID(results[0][0]).version == 4
    assert results[0][0] != compile_call("States.UUID()").evaluate(first)


def test_a_seeded_random_number_is_that_of_java() -> None:
    # new java.util.Random(seed).nextInt(bound)
    assert [call(f"States.MathRandom(0, {bound}, 42)") for bound in (9, 10, 100, 16)] == [8, 0, 30, 11]
    assert call("States.MathRandom(0, 1500000000, -10)") == 579281283


@given(items=st.lists(st.integers()), size=st.integers(1, 7))
def test_partitions_join_back(items: list[int], size: int) -> None:
    parts = call(f"States.ArrayPartition($, {size})", items)

    assert [item for part in parts for item in part] == items
    assert all(len(part) == size for part in parts[:-1])


@given(text=st.text(max_size=50))
def test_encoded_text_decodes_back(text: str) -> None:
    assert call("States.Base64Decode(States.Base64Encode($))", text) == text


@given(text=st.text(max_size=30))
def test_a_string_literal_gives_the_string_it_spells(text: str) -> None:
    spelled = "".join(f"\\{character}" if character in "\\'{}" else character for character in text)

    assert call(f"States.Array('{spelled}')") == [text]
    assert call(f"States.Format('{spelled}')") == text


@given(
    document=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_json_survives_being_a_string(document: Any) -> None:
    assert call("States.StringToJson(States.JsonToString($))", document) == document


def recorded() -> Iterator[Any]:
    """(call, input, result), from the recorded scenarios in JSONPath mode."""
    folder = SHARED / "conformance" / "intrinsic_functions" if SHARED else None
    for path in sorted(folder.glob("*.json")) if folder else ():
        scenario = json.loads(path.read_text())
        state = scenario["definitions"][0]["States"]["State_0"]
        if "Parameters" not in state:
            continue  # JSONata has no intrinsic functions
        for document, outcome in zip(scenario["inputs"], scenario["outcomes"], strict=True):
            text = state["Parameters"]["FunctionResult.$"]
            expected = outcome["output"]["FunctionResult"]
            yield pytest.param(
                text, document, expected, id=f"{path.name.split('.')[1]}-{json.dumps(document)}"
            )


RECORDED = list(recorded())


@pytest.mark.skipif(not RECORDED, reason="the recorded scenarios are not beside this checkout")
@pytest.mark.parametrize(("text", "document", "expected"), RECORDED)
def test_a_call_gives_what_aws_gave(text: str, document: Any, expected: Any) -> None:
    assert json.dumps(call(text, document), sort_keys=True) == json.dumps(expected, sort_keys=True)
