"""JSONPath against what Jayway's JsonPath answers, and what only we promise.

data/jayway_answers.jsonl holds answers of json-path 2.10.0 for paths of our own over
data/jayway_documents.json. Left out are a few places where we differ on purpose: append() does not change the
document here, function arguments may contain commas, quotes and calls, and a bare word may follow `==`.
"""

import copy
import json
import re
from pathlib import Path as File
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_runner.asl.jsonpath import PathNotFound, PathSyntaxError, compile_path
from etl_runner.asl.jsonpath_regex import compile_regex
from tests.shared_data import SHARED

DATA = File(__file__).parent / "data"
DOCUMENTS = json.loads((DATA / "jayway_documents.json").read_text())
ANSWERS = [json.loads(line) for line in (DATA / "jayway_answers.jsonl").read_text().splitlines()]


def answer(path: str, document: Any) -> dict[str, Any]:
    """What we answer, in the shape of the recorded answers."""
    try:
        compiled = compile_path(path)
    except PathSyntaxError:
        return {"compile_error": True, "definite": None, "error": False}
    try:
        value = compiled.evaluate(document)
    except PathNotFound:
        return {"compile_error": False, "definite": compiled.definite, "error": True}
    return {"compile_error": False, "definite": compiled.definite, "error": False, "value": value}


def differing(cases: list[dict[str, Any]], documents: dict[str, Any]) -> list[tuple[Any, Any]]:
    """(expected, got) where we differ; texts are compared, so that 1, 1.0 and true stay three things."""
    wrong = []
    for case in cases:
        expected = {name: case[name] for name in case if name not in ("path", "document")}
        got = answer(case["path"], documents[case.get("document", "")])
        if json.dumps(got) != json.dumps(expected):
            wrong.append((case, got))
    return wrong


def test_every_path_gives_jayways_answer() -> None:
    assert len(ANSWERS) > 800
    assert differing(ANSWERS, DOCUMENTS) == []


def test_every_case_of_the_corpus_gives_jayways_answer() -> None:
    if SHARED is None:
        pytest.skip("the shared cases are not beside this checkout")
    lines = (SHARED / "corpus" / "jsonpath_jayway.jsonl").read_text().splitlines()
    document = json.loads((SHARED / "corpus" / "jsonpath_jayway_doc.json").read_text())

    assert differing([json.loads(line) for line in lines], {"": document}) == []


def test_no_path_changes_the_document() -> None:
    documents = copy.deepcopy(DOCUMENTS)
    for case in ANSWERS:
        answer(case["path"], documents[case["document"]])
    answer("$.numbers.append(1)", documents["machine"])

    assert documents == DOCUMENTS


@pytest.mark.parametrize(
    ("path", "document", "expected"),
    [
        ("$.[0]", [5], 5),
        ("$.Snapshots.[0].State", {"Snapshots": [{"State": "done"}]}, "done"),
        ("$.[*].['bucket','key']", [{"bucket": "b", "key": "k", "x": 1}], [{"bucket": "b", "key": "k"}]),
        ("$.[?(@.OU > 0)]", [{"OU": 1}, {"OU": 0}], [{"OU": 1}]),
        ("$[?(@.workerId == $[0].workerId)].n", [{"workerId": "a", "n": 1}, {"workerId": "b", "n": 2}], [1]),
        ("$.error-info", {"error-info": 1}, 1),
        ("$[?(@.status==Failed)].id", [{"status": "Failed", "id": 7}], [7]),
        ("$.a.append(3)", {"a": [1]}, [1, 3]),
        ('$.concat("a,b",$.c)', {"c": "d"}, "a,bd"),
    ],
)
def test_lenient_forms_of_deployed_workflows_are_understood(path: str, document: Any, expected: Any) -> None:
    assert compile_path(path).evaluate(document) == expected


@pytest.mark.parametrize(
    ("path", "document", "sentence"),
    [
        ("$.x", {}, "No results for path: $['x']"),
        ("$.a.x", {}, "Missing property in path $['a']"),
        (
            "$.a.x",
            {"a": 1},
            "Expected to find an object with property ['x'] in path $['a'] but found 'number'.",
        ),
        ("$.a[0]", {"a": None}, "The path $['a'] is null"),
        ("$.a[3]", {"a": [1]}, "No results for path: $['a'][3]"),
        ("$.a[0]", {"a": {}}, "Filter: [0] can only be applied to arrays. Current context is: {}"),
    ],
)
def test_a_miss_says_where_the_way_ended(path: str, document: Any, sentence: str) -> None:
    with pytest.raises(PathNotFound) as caught:
        compile_path(path).evaluate(document)

    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("path", "offset"),
    [
        ("$.a[abc]", 4),
        ("$.a b", 3),
        ("$x", 1),
        ("$.a[?(@.b = 1)]", 10),
        ("$.a['b]", 4),
        ("$.a[0", 3),
        ("$.a.", 3),
    ],
)
def test_a_syntax_error_names_the_place(path: str, offset: int) -> None:
    with pytest.raises(PathSyntaxError) as caught:
        compile_path(path)

    assert caught.value.offset == offset
    assert repr(path) in str(caught.value)


def test_a_root_of_its_own_serves_the_filters() -> None:
    path = compile_path("@[?(@ > $.limit)]")

    assert path.evaluate([1, 2, 3], {"limit": 1}) == [2, 3]


@pytest.mark.parametrize(
    "path",
    [
        "$" + "[?(@" * 3000,
        "$.a[?(" + "(" * 3000 + "@.x" + ")" * 3000 + ")]",
        "$." + "sum($." * 500 + "a" + ")" * 500,
    ],
)
def test_a_path_nested_without_end_is_refused(path: str) -> None:
    with pytest.raises(PathSyntaxError):
        compile_path(path)


def test_a_document_deeper_than_the_stack_can_be_searched() -> None:
    document: Any = {"x": 1}
    for _ in range(5000):
        document = {"a": document}

    assert compile_path("$..x").evaluate(document) == [1]


@pytest.mark.parametrize(
    "pattern", ["(a+)+b", "(a|a)*b", "(a*)*b", "a*a*a*a*a*a*a*a*b", "(.*)(.*)(.*)(.*)b", "(a{0,20}){0,20}b"]
)
def test_a_hostile_regular_expression_is_answered_in_no_time(pattern: str) -> None:
    path = compile_path(f"$[?(@ =~ /{pattern}/)]")

    assert path.evaluate(["a" * 3000]) == []


@pytest.mark.parametrize(
    "pattern", ["(a{1000}){1000}", "((){2000}){2000}", "a{99999}", "(a*)*(?=b)b", "[a-z&&[b]]"]
)
def test_a_regular_expression_too_big_to_hold_is_refused(pattern: str) -> None:
    with pytest.raises(PathSyntaxError, match="regular expression"):
        compile_path(f"$[?(@ =~ /{pattern}/)]")


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("a(?=b)b", "ab", True),
        (r"(a)\1", "aa", True),
        (r"\p{Lower}+", "ab", True),
        ("^a$", "a", True),
        (r"\w", "é", False),
    ],
)
def test_what_has_no_graph_is_still_matched(pattern: str, text: str, expected: bool) -> None:
    assert compile_regex(pattern, "").matches(text) is expected


@given(
    pattern=st.recursive(
        st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", ""]),
        lambda inner: (
            st.tuples(inner, inner).map("".join)
            | st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})")
            | st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{1,}", "*?"])).map(
                lambda pair: f"({pair[0]}){pair[1]}"
            )
        ),
        max_leaves=6,
    ),
    text=st.text(alphabet="ab1", max_size=6),
)
def test_a_regular_expression_matches_what_pythons_matches(pattern: str, text: str) -> None:
    assert compile_regex(pattern, "").matches(text) == (re.fullmatch(pattern, text) is not None)


NAMES = st.text(min_size=1, max_size=8).filter(lambda text: "\\" not in text)


@given(names=st.lists(NAMES | st.integers(0, 2), min_size=1, max_size=6))
def test_what_is_built_along_names_and_indexes_is_found_there(names: list[str | int]) -> None:
    document: Any = "here"
    for name in reversed(names):
        document = {name: document} if isinstance(name, str) else [document] * (name + 1)
    quoted = [
        f"['{name.replace(chr(39), chr(92) + chr(39))}']" if isinstance(name, str) else f"[{name}]"
        for name in names
    ]
    path = compile_path("$" + "".join(quoted))

    assert path.evaluate(document) == "here"
    assert path.walk(document, document) == "here"
    assert path.definite


@given(text=st.text(alphabet="$@.[]()'\"*?:,-0aab !=<>&|~/\\", max_size=24))
def test_any_text_compiles_or_is_refused_and_nothing_else_happens(text: str) -> None:
    answer(f"${text}", DOCUMENTS["library"])
