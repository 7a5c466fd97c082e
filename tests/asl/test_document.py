import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_runner.asl.bounds import DEFINITION_LIMIT_BYTES
from etl_runner.asl.document import MAX_DEPTH, Document, Source
from etl_runner.asl.json_text import read_json
from etl_runner.asl.parse import lint
from etl_runner.asl.yaml_text import read_yaml
from etl_runner.jsontypes import Json


def from_json(text: str) -> Document:
    return read_json(Source(text))


def from_yaml(text: str) -> Document:
    return read_yaml(Source(text))


def value(document: Document) -> Json:
    assert document.faults == ()
    assert document.root is not None
    return document.root.value


JSON_TEXT = '{\n  "a": [1,\n    {"b c": null}],\n\t"d/~": "x"\n}'
YAML_TEXT = "# words\na: [1,\n  {b c: null}]\nd/~: x\n"


@pytest.mark.parametrize(
    ("path", "line", "column", "key_line", "key_column"),
    [
        ("", 1, 1, 1, 1),
        ("/a", 2, 8, 2, 3),
        ("/a/0", 2, 9, 2, 9),
        ("/a/1/b c", 3, 13, 3, 6),
        ("/d~1~0", 4, 9, 4, 2),
    ],
)
def test_every_json_value_and_key_has_its_place(
    path: str, line: int, column: int, key_line: int, key_column: int
) -> None:
    root = from_json(JSON_TEXT).root
    assert root is not None
    node = root.find(path)

    assert (line, column) == (node.place.line, node.place.column)
    assert (key_line, key_column) == (node.key_place.line, node.key_place.column)


@pytest.mark.parametrize(
    ("path", "line", "column", "key_line", "key_column"),
    [
        ("/a", 2, 4, 2, 1),
        ("/a/1/b c", 3, 9, 3, 4),
        ("/d~1~0", 4, 6, 4, 1),
    ],
)
def test_every_yaml_value_and_key_has_its_place(
    path: str, line: int, column: int, key_line: int, key_column: int
) -> None:
    root = from_yaml(YAML_TEXT).root
    assert root is not None
    node = root.find(path)

    assert (line, column) == (node.place.line, node.place.column)
    assert (key_line, key_column) == (node.key_place.line, node.key_place.column)


def test_json_and_yaml_of_the_same_thing_give_the_same_value() -> None:
    assert value(from_json(JSON_TEXT)) == value(from_yaml(YAML_TEXT))


@pytest.mark.parametrize(
    ("text", "line", "column", "word"),
    [
        ("", 1, 1, "empty"),
        ("  \n ", 1, 1, "empty"),
        ('{"a": 1,}', 1, 9, "remove the comma"),
        ('{\n"a" 1}', 2, 5, "':' after the field name"),
        ("[1 2]", 1, 4, "',' or ']'"),
        ("{} {}", 1, 4, "complete"),
        ("{'a': 1}", 1, 2, "double quotes"),
        ("{a: 1}", 1, 2, "double quotes"),
        ('{"a": tru}', 1, 7, "'tru'"),
        ('{"a": NaN}', 1, 7, "'NaN'"),
        ("[01]", 1, 2, "leading zero"),
        ("[1.]", 1, 2, "'1.'"),
        ("[1e999]", 1, 2, "double"),
        (f"[{'9' * 5000}]", 1, 2, "5000 digits"),
        ('["a\tb"]', 1, 4, "\\u0009"),
        ('["a\nb"]', 1, 4, "control character"),
        ('["\\x"]', 1, 3, "escape"),
        ('["\\ud800"]', 1, 2, "surrogate"),
        ('["abc', 1, 2, "closing quote"),
        ("{} // words", 1, 4, "Comment"),
        ("{", 1, 2, "end of the text"),
    ],
)
def test_a_json_mistake_is_named_where_it_stands(text: str, line: int, column: int, word: str) -> None:
    document = from_json(text)
    (fault,) = document.faults

    assert document.root is None
    assert (line, column) == (fault.line, fault.column)
    assert word in f"{fault.what}; {fault.remedy}"


@pytest.mark.parametrize(
    ("text", "line", "column", "word"),
    [
        ("", 1, 1, "empty"),
        ("a: {b: 1", 1, 9, "'}'"),
        ("a: 1\n---\nb: 2", 2, 1, "second YAML document"),
        ("%YAML 1.1\n---\na: no", 2, 1, "1.2"),
        ("a: *b", 1, 4, "anchor"),
        ("a: &a [*a]", 1, 8, "anchor"),
        ("? [a]\n: b", 1, 3, "no string"),
        ("1: b", 1, 1, "quotes"),
        ("b: &b {c: 1}\na:\n  <<: *b", 3, 3, "merge"),
        ("\x01", 1, 1, "not allowed"),
        ('a: "\\UFFFFFFFF"', 1, 1, "cannot be read"),
        ('a: "\\ud800"', 1, 4, "surrogate"),
        ("a: .nan", 1, 4, "JSON has no form"),
        ("a: -.inf", 1, 4, "JSON has no form"),
        ("a: 2026-01-31", 1, 4, "date"),
        ("a: 2026-01-31T04:05:06Z", 1, 4, "put it in quotes"),
        ("a: 0123", 1, 4, "octal"),
        ("a: !!binary aGk=", 1, 4, "!!binary"),
        ("a: !!timestamp 2026-01-31", 1, 4, "date"),
        ("a: !Sub x", 1, 4, "CloudFormation"),
        ("a: !!set {b}", 1, 4, "!!set"),
    ],
)
def test_a_yaml_mistake_is_named_where_it_stands(text: str, line: int, column: int, word: str) -> None:
    (fault,) = from_yaml(text).faults

    assert (line, column) == (fault.line, fault.column)
    assert word in f"{fault.what}; {fault.remedy}"


@pytest.mark.parametrize("read", [from_json, from_yaml])
def test_a_duplicate_key_is_a_fault_with_both_places(read: Callable[[str], Document]) -> None:
    (fault,) = read('{"a": 1,\n "b": 2,\n "a": 3}').faults

    assert (fault.code, fault.line, fault.column, fault.path) == ("duplicate-key", 3, 2, "/a")
    assert "1:2" in fault.what


def test_yaml_words_of_version_1_1_stay_words() -> None:
    text = "{a: NO, b: on, c: y, d: 1_000, e: 12:30, f: 0x1F, g: 0o17, h: True, i: ~, j: '1', k: 1e3, l: .5}"

    assert value(from_yaml(text)) == {
        "a": "NO",
        "b": "on",
        "c": "y",
        "d": "1_000",
        "e": "12:30",
        "f": 31,
        "g": 15,
        "h": True,
        "i": None,
        "j": "1",
        "k": 1000.0,
        "l": 0.5,
    }


def test_an_anchor_stands_for_its_value_in_each_place() -> None:
    assert value(from_yaml("a: &a\n  x: &x [1]\nb: *a\nc: *x\n")) == {
        "a": {"x": [1]},
        "b": {"x": [1]},
        "c": [1],
    }


def test_aliases_of_aliases_cannot_fill_the_memory() -> None:
    text = "a0: &a0 [1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
    )
    (fault,) = from_yaml(text).faults

    assert "aliases" in fault.what


@pytest.mark.parametrize("read", [from_json, from_yaml])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_nesting_is_a_fault_and_no_crash(read: Callable[[str], Document], opening: str) -> None:
    (fault,) = read(opening * 20_000).faults

    assert fault.code == "too-deeply-nested"
    assert value(from_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)) is not None


@pytest.mark.parametrize("read", [from_json, from_yaml])
def test_big_integers_keep_all_their_digits(read: Callable[[str], Document]) -> None:
    assert value(read(f"[{2**200}, -{2**70}]")) == [2**200, -(2**70)]


def test_a_definition_of_more_than_a_mebibyte_is_refused() -> None:
    (fault,) = lint(" " * (DEFINITION_LIMIT_BYTES + 1))

    assert fault.code == "definition-too-large"


def test_a_text_that_no_file_can_hold_is_refused() -> None:
    (fault,) = lint('{"Comment": "\ud800"}')

    assert (fault.code, fault.line, fault.column) == ("invalid-text", 1, 14)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)  # fmt: skip


@given(data=json_values, indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
def test_json_reads_what_the_standard_library_writes(
    *, data: Json, indent: int | None, ascii_only: bool
) -> None:
    assert data == value(from_json(json.dumps(data, indent=indent, ensure_ascii=ascii_only)))


@given(st.text())
def test_any_text_gives_a_value_or_faults(text: str) -> None:
    for document in (from_json(text), from_yaml(text)):
        assert document.root is not None or document.faults
