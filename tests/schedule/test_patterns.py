import json
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_runner.errors import InvalidInput
from etl_runner.schedule.patterns import compile_pattern
from tests.shared_data import SHARED, shared_file

Json = Any

_CASES = SHARED / "corpus" / "event_patterns.jsonl" if SHARED else None


def _recorded() -> list[Json]:
    return [json.loads(line) for line in _CASES.read_text().splitlines()] if _CASES else []


def matches(pattern: Json, event: Json) -> bool:
    return compile_pattern(pattern).matches(event)


def refusal(pattern: Json) -> str:
    with pytest.raises(InvalidInput) as caught:
        compile_pattern(pattern)
    return str(caught.value)


@pytest.mark.parametrize("case", _recorded(), ids=lambda case: case["name"])
def test_every_recorded_case_agrees(case: Json) -> None:
    for pattern in (case["pattern"], json.dumps(case["pattern"])):
        try:
            outcome: bool | str = matches(pattern, case["event"])
        except InvalidInput:
            outcome = "error"

        assert outcome == case["expected"]


def test_the_recorded_cases_are_there() -> None:
    assert Path(shared_file("corpus", "event_patterns.jsonl")).is_file()
    assert len(_recorded()) == 85


@pytest.mark.parametrize(
    ("value", "found", "expected"),
    [
        ("a", "a", True),
        ("a", "A", False),
        (1, 1.0, True),
        (300, 3e2, True),
        (1, "1", False),
        ("1", 1, False),
        (1, True, False),
        (True, 1, False),
        (True, True, True),
        (None, None, True),
        (None, "null", False),
        ("", "", True),
        (0, False, False),
        (0, None, False),
        (12345678901234567890, 12345678901234567890, True),
        ("10.0.0.1", "10.0.0.1", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ({"exactly": "a"}, "a", True),
        ({"prefix": ""}, 5, False),
        ({"prefix": {"equals-ignore-case": "EvB"}}, "evbridge", True),
        ({"suffix": {"equals-ignore-case": ".PNG"}}, "a.png", True),
        ({"suffix": ".png"}, "a.PNG", False),
        ({"equals-ignore-case": "STRASSE"}, "straße", False),
        ({"exists": True}, None, True),
        ({"exists": True}, {"inner": 1}, False),
        ({"exists": False}, {"inner": 1}, True),
        ({"exists": False}, {}, True),
        ({"exists": True}, [], False),
        ({"exists": False}, [], True),
        ({"numeric": ["=", 5]}, 5.0, True),
        ({"numeric": [">=", 5, "<", 6]}, 5, True),
        ({"numeric": [">", 5]}, True, False),
        ({"numeric": ["<", 1e10]}, -9e9, True),
        ({"cidr": "10.0.0.0/24"}, "10.0.0.255", True),
        ({"cidr": "10.0.0.7/24"}, "10.0.0.1", True),
        ({"cidr": "10.0.0.0/24"}, "10.0.1.0", False),
        ({"cidr": "10.0.0.0/24"}, "not an address", False),
        ({"cidr": "10.0.0.0/24"}, 10, False),
        ({"cidr": "0.0.0.0/0"}, "::1", False),
        ({"cidr": "2001:db8::/32"}, "2001:db8:ffff::1", True),
        ({"cidr": "2001:db8::/32"}, "2001:db9::1", False),
        ({"wildcard": "*"}, "", True),
        ({"wildcard": "a*b"}, "ab", True),
        ({"wildcard": "a*b"}, "a\nb", True),
        ({"wildcard": "ab*b"}, "ab", False),
        ({"wildcard": "*.txt"}, "a.txt.bak", False),
        ({"wildcard": "a*c*e"}, "abcde", True),
        ({"wildcard": r"a\*b"}, "a*b", True),
        ({"wildcard": r"a\*b"}, "axb", False),
        ({"wildcard": r"a\\*"}, "a\\b", True),
        ({"wildcard": "*"}, 5, False),
        ({"anything-but": "a"}, "b", True),
        ({"anything-but": "a"}, None, True),
        ({"anything-but": "a"}, True, True),
        ({"anything-but": ["a", "b"]}, "b", False),
        ({"anything-but": [1, 2]}, 2.0, False),
        ({"anything-but": 1}, "1", True),
        ({"anything-but": {"prefix": ["a", "b"]}}, "cab", True),
        ({"anything-but": {"suffix": "b"}}, "cab", False),
        ({"anything-but": {"equals-ignore-case": ["A"]}}, "a", False),
        ({"anything-but": {"wildcard": ["*a*", "*b*"]}}, "xbx", False),
    ],
)
def test_a_value_is_tested_by_its_type_and_operator(value: Json, found: Json, expected: object) -> None:
    assert matches({"field": [value]}, {"field": found}) is expected


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        ({"a": ["x"]}, {"a": ["y", "x"]}, True),
        ({"a": ["x"]}, {"a": [["y"], ["x"]]}, True),
        ({"a": [{"anything-but": "x"}]}, {"a": ["x", "y"]}, True),
        ({"a": [{"anything-but": "x"}]}, {"a": ["x"]}, False),
        ({"a": {"b": ["x"]}}, {"a": [{"b": "y"}, {"b": ["z", "x"]}]}, True),
        ({"a": {"b": [1], "c": [2]}}, {"a": [{"b": 1}, {"c": 2}]}, False),
        ({"a": {"b": [1], "c": [2]}}, {"a": [{"b": 1, "c": 3}, {"b": 1, "c": 2}]}, True),
        ({"a": {"b": [1]}, "d": [4]}, {"a": [{"b": 1}], "d": [3, 4]}, True),
        ({"a": {"b": {"c": [1], "d": [2]}}}, {"a": [{"b": [{"c": 1}]}, {"b": {"c": 1, "d": 2}}]}, True),
        ({"a": {"b": {"c": [1], "d": [2]}}}, {"a": [{"b": [{"c": 1}, {"d": 2}]}]}, False),
        ({"a": {"b": {"c": [1]}, "d": [2]}}, {"a": [{"b": [{"c": 1}]}, {"d": 2}]}, False),
        ({"a": {"b": {"c": [1]}, "d": [2]}}, {"a": [{"b": [{"c": 0}, {"c": 1}], "d": 2}]}, True),
        ({"a": {"b": [1], "c": [{"exists": False}]}}, {"a": [{"b": 1}, {"c": 2}]}, False),
        ({"a": {"b": [1], "c": [{"exists": False}]}}, {"a": [{"b": 1}, {"d": 2}]}, True),
        ({"a": {"b": [{"exists": False}]}}, {}, True),
        ({"a": {"b": ["x"]}}, {"a.b": "x"}, True),
        ({"a.b": ["x"]}, {"a": {"b": "x"}}, True),
        ({"a": {"b": ["x"]}}, {"a": "x"}, False),
        ({"$or": [{"a": [1]}, {"b": [2]}]}, {"b": 2}, True),
        ({"$or": [{"a": [1]}, {"b": [2]}]}, {"a": 2, "b": 1}, False),
        ({"c": [3], "$or": [{"a": [1]}, {"b": [2]}]}, {"b": 2}, False),
        ({"d": {"$or": [{"a": [1]}, {"b": [2]}], "c": [3]}}, {"d": {"a": 1, "c": 3}}, True),
        ({"$or": [{"a": [1], "$or": [{"b": [1]}, {"c": [1]}]}, {"d": [1]}]}, {"a": 1, "c": 1}, True),
        ({"$or": [{"a": [1], "$or": [{"b": [1]}, {"c": [1]}]}, {"d": [1]}]}, {"a": 1}, False),
        ({"x": ["no"], "$or": [{"x": ["yes"]}, {"y": [1]}]}, {"x": "yes"}, True),
        ("""{"a": ["x"], "a": ["y"]}""", {"a": "y"}, True),
        ("""{"a": ["x"], "a": ["y"]}""", {"a": "x"}, False),
        ("""{"a": {"b": [1]}, "a": {"c": [2]}}""", {"a": {"c": 2}}, False),
        ("""{"a": {"b": [1]}, "a": {"c": [2]}}""", {"a": {"b": 1, "c": 2}}, True),
    ],
)  # fmt: skip
def test_fields_arrays_and_alternatives_combine_as_in_eventbridge(
    pattern: Json, event: Json, expected: object
) -> None:
    assert matches(pattern, event) is expected


@pytest.mark.parametrize(
    ("pattern", "place", "part"),
    [
        ([], "at /:", "an empty array, not an object"),
        ({}, "at /:", "an empty object"),
        ({"a": "b"}, "at /a:", "the string 'b'"),
        ({"a": {"b": {}}}, "at /a/b:", "an empty object"),
        ({"a": {"b": 5}}, "at /a/b:", "the number 5"),
        ({"a": []}, "at /a:", "an empty array"),
        ({"a": [["x"]]}, "at /a/0:", "an array of 1"),
        ({"a": ["x", {}]}, "at /a/1:", "0 operators"),
        ({"a": [{"prefix": "a", "suffix": "b"}]}, "at /a/0:", "2 operators"),
        ('{"a": [{"prefix": "a", "prefix": "b"}]}', "at /a/0:", "2 operators"),
        ({"a": [{"Prefix": "a"}]}, "at /a/0/Prefix:", "no operator 'Prefix'"),
        ({"a/b": [{"prefix": 1}]}, "at /a~1b/0/prefix:", "the number 1"),
        ({"a": [{"prefix": ["x"]}]}, "at /a/0/prefix:", "takes a string"),
        ({"a": [{"prefix": {"suffix": "x"}}]}, "at /a/0/prefix/suffix:", "prefix knows no 'suffix'"),
        ({"a": [{"suffix": {"equals-ignore-case": 1}}]}, "/a/0/suffix/equals-ignore-case:", "the number 1"),
        ({"a": [{"equals-ignore-case": None}]}, "at /a/0/equals-ignore-case:", "null"),
        ({"a": [{"exists": "true"}]}, "at /a/0/exists:", "true or false"),
        ({"a": [{"numeric": []}]}, "at /a/0/numeric:", "an empty array"),
        ({"a": [{"numeric": ["<", "5"]}]}, "at /a/0/numeric/1:", "the string '5'"),
        ({"a": [{"numeric": ["<", True]}]}, "at /a/0/numeric/1:", "true"),
        ({"a": [{"numeric": ["!=", 5]}]}, "at /a/0/numeric/0:", "= < <= > >="),
        ({"a": [{"numeric": ["<", 5, ">", 1]}]}, "at /a/0/numeric:", "no range"),
        ({"a": [{"numeric": ["=", 5, "<", 9]}]}, "at /a/0/numeric:", "no range"),
        ({"a": [{"numeric": [">", 5, "<", 5]}]}, "at /a/0/numeric:", "is empty"),
        ('{"a": [{"numeric": ["<", 1e999]}]}', "at /a/0/numeric/1:", "too large"),
        ({"a": [{"cidr": "10.0.0.0"}]}, "at /a/0/cidr:", "no range of addresses"),
        ({"a": [{"cidr": "10.0.0.0/32"}]}, "at /a/0/cidr:", "no range of addresses"),
        ({"a": [{"cidr": "10.0.0.256/8"}]}, "at /a/0/cidr:", "no range of addresses"),
        ({"a": [{"cidr": "2001:db8::/128"}]}, "at /a/0/cidr:", "no range of addresses"),
        ({"a": [{"cidr": "10.0.0.0/-1"}]}, "at /a/0/cidr:", "no range of addresses"),
        ({"a": [{"wildcard": "a**b"}]}, "at /a/0/wildcard:", "two wildcards in a row"),
        ({"a": [{"wildcard": r"a\b"}]}, "at /a/0/wildcard:", "backslash"),
        ({"a": [{"wildcard": "a\\"}]}, "at /a/0/wildcard:", "backslash"),
        ({"a": [{"wildcard": 5}]}, "at /a/0/wildcard:", "the number 5"),
        ({"a": [{"wildcard": "*:*:*:*:*:*x"}]}, "at /a:", "too complex"),
        ({"a": [{"wildcard": "x*" + "ab" * 12}]}, "at /a:", "too complex"),
        ({"a": [{"wildcard": f"{c}*aaaa"} for c in "****"]}, "at /a/0/wildcard:", "two wildcards"),
        ({"a": [{"anything-but": None}]}, "at /a/0/anything-but:", "null"),
        ({"a": [{"anything-but": []}]}, "at /a/0/anything-but:", "an empty array"),
        ({"a": [{"anything-but": ["x", 1]}]}, "at /a/0/anything-but:", "mixes strings and numbers"),
        ({"a": [{"anything-but": ["x", True]}]}, "at /a/0/anything-but/1:", "true"),
        ({"a": [{"anything-but": {"numeric": ["=", 1]}}]}, "at /a/0/anything-but/numeric:", "knows no"),
        ({"a": [{"anything-but": {"prefix": ""}}]}, "at /a/0/anything-but/prefix:", "empty"),
        ({"a": [{"anything-but": {"wildcard": "a**"}}]}, "at /a/0/anything-but/wildcard:", "two wildcards"),
        ({"a": [{"anything-but": {"prefix": "a", "suffix": "b"}}]}, "at /a/0/anything-but:", "2 keys"),
        ({"$or": [{"a": [1]}]}, "at /$or:", "at least two"),
        ({"$or": {"a": [1]}}, "at /$or:", "an object"),
        ({"$or": [{"a": [1]}, 5]}, "at /$or/1:", "the number 5"),
        ({"$or": [{"a": [1]}, {"prefix": ["x"]}]}, "at /$or/1/prefix:", "reserved"),
        ({"$or": [{"a": [1]}, {}]}, "at /$or/1:", "an empty object"),
    ],
)  # fmt: skip
def test_what_eventbridge_refuses_is_refused_with_its_place(pattern: Json, place: str, part: str) -> None:
    sentence = refusal(pattern)

    assert place in sentence
    assert part in sentence


def test_text_that_is_no_json_is_refused() -> None:
    assert "no JSON text" in refusal('{"a": [')
    assert "no JSON text" in refusal('{"a": [NaN]}')


def test_a_pattern_that_is_too_long_too_deep_or_too_branched_is_refused() -> None:
    deep: Json = ["x"]
    for _ in range(150):
        deep = {"a": deep}
    branches = {f"f{n}": {"$or": [{str(m): [1]} for m in range(10)]} for n in range(4)}

    assert "4,096" in refusal({"a": ["x" * 5000]})
    assert "deep" in refusal(deep)
    assert "1,000 alternatives" in refusal(branches)


def test_an_event_that_is_no_object_or_nested_without_end_is_refused() -> None:
    endless: Json = "x"
    for _ in range(600):
        endless = [endless]

    with pytest.raises(InvalidInput, match="JSON object"):
        matches({"a": ["x"]}, ["x"])
    with pytest.raises(InvalidInput, match="deep at 'a'"):
        matches({"a": ["x"]}, {"a": endless})


def test_hostile_values_are_answered_in_no_time() -> None:
    began = process_time()
    wildcard = compile_pattern({"a": [{"wildcard": "*a*a*a*b"}]})
    objects = compile_pattern({"a": {"b": [1], "c": [2], "d": [3]}})
    event = {"a": [{"b": n, "c": n + 1, "d": n} for n in range(20_000)]}

    assert not wildcard.matches({"a": "a" * 200_000})
    assert not objects.matches(event)
    assert process_time() - began < 3


_values = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "b", "ab"]))
_events = st.recursive(
    _values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=12,
)


def _leaves(value: Json, path: str, chain: tuple[Json, ...]) -> list[tuple[str, Json, tuple[Json, ...]]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, f"{path}.{key}", chain)]
    if isinstance(value, list):
        inside = [
            (inner, (*chain, (id(value), n)) if isinstance(inner, dict | list) else chain)
            for n, inner in enumerate(value)
        ]
        return [leaf for inner, chained in inside for leaf in _leaves(inner, path, chained)]
    return [(path, value, chain)]


def _same_elements(one: tuple[Json, ...], other: tuple[Json, ...]) -> bool:
    return all(dict(one)[array] == index for array, index in other if array in dict(one))


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), _events), _values, _values)
def test_two_fields_match_exactly_when_two_leaves_of_the_same_elements_do(
    event: Json, first: Json, second: Json
) -> None:
    leaves = _leaves(event, "", ())
    same = [[leaf for leaf in leaves if leaf[0] == path and _equal(leaf[1], value)] for path, value in
            ((".a.b", first), (".a.c", second))]  # fmt: skip
    expected = any(_same_elements(one[2], other[2]) for one in same[0] for other in same[1])

    assert matches({"a": {"b": [first], "c": [second]}}, event) is expected


def _equal(one: Json, other: Json) -> bool:
    return type(one) is type(other) and bool(one == other)
