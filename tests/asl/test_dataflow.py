"""Paths, reference paths, expressions and payload templates."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_runner.asl.dataflow import (
    WHOLE,
    PathNotFound,
    ReferencePath,
    apply_input_path,
    apply_output_path,
    compile_expression,
    compile_reference_path,
    compile_selector,
    compile_template,
)
from etl_runner.asl.jsonpath import PathSyntaxError
from etl_runner.errors import InvalidInput, StatesError
from tests.asl.surroundings import Surroundings


def filled(template: Any, document: Any = None, context: Any = None) -> Any:
    return compile_template(template).evaluate(Surroundings(document, context))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.text(alphabet="abc-_ é.'", min_size=1, max_size=4)


# Selectors


def test_one_dollar_means_the_input_and_two_the_context_object() -> None:
    env = Surroundings({"a": "input"}, {"a": "context"})

    assert compile_selector("$.a").evaluate(env) == "input"
    assert compile_selector("$$.a").evaluate(env) == "context"
    assert compile_selector("$$").evaluate(env) == {"a": "context"}
    assert WHOLE.evaluate(env) is env.input


@pytest.mark.parametrize(
    ("text", "offset"),
    [("a.b", 0), ("", 0), ("$name!", 1), ("$.a[b]", 4), ("$$.a[b]", 5), ("@.a", 0)],
)
def test_what_is_no_path_is_refused_with_its_place(text: str, offset: int) -> None:
    with pytest.raises(PathSyntaxError) as caught:
        compile_selector(text)

    assert caught.value.offset == offset


def test_a_variable_is_read_by_its_name_and_a_path_into_its_value() -> None:
    env = Surroundings(None, variables={"order": {"lines": [1, 2]}})

    assert compile_selector("$order.lines[1]").evaluate(env) == 2
    assert compile_selector("$order").evaluate(env) == {"lines": [1, 2]}
    with pytest.raises(PathNotFound, match="'other' has no value"):
        compile_selector("$other").evaluate(env)


def test_selectors_of_equal_text_are_equal() -> None:
    assert compile_selector("$.a") == compile_selector("$.a")
    assert len({compile_selector("$.a"), compile_selector("$.a"), compile_selector("$$.a")}) == 2


# InputPath and OutputPath


def test_a_null_path_gives_an_empty_object() -> None:
    assert apply_input_path(None, Surroundings({"a": 1})) == {}
    assert apply_output_path(None, Surroundings({"a": 1})) == {}


def test_an_input_path_that_leads_nowhere_fails_with_the_sentence_of_aws() -> None:
    with pytest.raises(StatesError) as caught:
        apply_input_path(compile_selector("$.NoSuchOutputPath"), Surroundings({}))

    assert caught.value.error == "States.Runtime"
    assert (
        caught.value.cause == "Invalid path '$.NoSuchOutputPath' : No results for path: $['NoSuchOutputPath']"
    )


# Reference paths


@pytest.mark.parametrize(
    ("path", "document", "expected"),
    [
        ("$", {"a": 1}, "new"),
        ("$.a", {"a": 1, "b": 2}, {"a": "new", "b": 2}),
        ("$.x", {"b": 2}, {"b": 2, "x": "new"}),
        ("$.x.y.z", {"b": 2}, {"b": 2, "x": {"y": {"z": "new"}}}),
        ("$['x y'].z", {}, {"x y": {"z": "new"}}),
        ("$.a[1]", {"a": [1, 2, 3]}, {"a": [1, "new", 3]}),
        ("$.a[-1].k", {"a": [1, {"l": 2}]}, {"a": [1, {"l": 2, "k": "new"}]}),
        ("$.a.b", {"a": None}, {"a": {"b": "new"}}),
        ("$.a", None, {"a": "new"}),
    ],
)
def test_a_value_is_put_where_the_path_says(path: str, document: Any, expected: Any) -> None:
    before = copy.deepcopy(document)

    assert compile_reference_path(path).put(document, "new") == expected
    assert document == before


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("$.a", "text"),
        ("$.a", [1]),
        ("$.a.b", {"a": 5}),
        ("$.a.b", {"a": [1]}),
        ("$.a[0]", {"a": []}),
        ("$.a[0]", {"a": {}}),
        ("$.a[0]", {}),
        ("$[0]", {}),
    ],
)
def test_a_place_that_cannot_be_is_a_result_path_match_failure(path: str, document: Any) -> None:
    with pytest.raises(StatesError) as caught:
        compile_reference_path(path).put(document, "new")

    assert caught.value.error == "States.ResultPathMatchFailure"
    assert path in caught.value.cause


@pytest.mark.parametrize(
    "path",
    ["$.a[*]", "$..a", "$.a[0,1]", "$.a[0:1]", "$.a[?(@.b)]", "$.a.length()", "$$.a", "a", "@.a", "$.*"],
)
def test_only_names_and_single_indexes_can_be_written_to(path: str) -> None:
    with pytest.raises(PathSyntaxError):
        compile_reference_path(path)


def test_the_whole_path_is_the_dollar() -> None:
    assert ReferencePath.whole() == compile_reference_path("$")


@given(document=st.dictionaries(NAMES, JSON), names=st.lists(NAMES, min_size=1, max_size=4), value=JSON)
def test_what_was_put_is_found_and_nothing_else_changed(document: Any, names: list[str], value: Any) -> None:
    path = "$" + "".join("['" + name.replace("'", "\\'") + "']" for name in names)
    before = copy.deepcopy(document)
    try:
        changed = compile_reference_path(path).put(document, value)
    except StatesError:
        assert document == before
        return

    assert compile_selector(path).evaluate(Surroundings(changed)) == value
    assert document == before
    assert all(changed[key] is document[key] for key in document if key != names[0])


# Templates


def test_fields_that_end_in_dollar_are_filled_in_and_come_last() -> None:
    template = {"z": 1, "a.$": "$.x", "list": [{"b.$": "$$.y"}, "$.x"], "c.$": "States.Format('{}!', $.x)"}

    result = filled(template, {"x": 5}, {"y": 6})

    assert list(result.items()) == [("z", 1), ("list", [{"b": 6}, "$.x"]), ("a", 5), ("c", "5!")]


def test_constant_parts_are_handed_out_without_a_copy() -> None:
    constant = {"a": [1, {"b": 2}]}
    template = compile_template({"same": constant, "x.$": "$.x"})

    assert template.evaluate(Surroundings({"x": 1}))["same"] is constant
    assert not template.constant
    assert compile_template(constant).constant
    assert compile_template(constant).evaluate(Surroundings()) is constant


@given(value=JSON.filter(lambda value: ".$" not in repr(value)))
def test_a_template_without_dollar_fields_is_itself(value: Any) -> None:
    assert filled(value) == value


@given(document=st.dictionaries(NAMES, JSON, min_size=1))
def test_a_template_of_paths_rebuilds_the_document(document: dict[str, Any]) -> None:
    template = {f"{name}.$": "$['" + name.replace("'", "\\'") + "']" for name in document}

    assert filled(template, document) == document


def test_a_path_that_leads_nowhere_fails_with_the_sentence_of_aws() -> None:
    with pytest.raises(StatesError) as caught:
        filled({"deep": [{"a.$": "$.x"}]}, {"y": 1})

    assert caught.value.error == "States.Runtime"
    assert caught.value.cause == (
        "The JSONPath '$.x' specified for the field 'a.$' could not be found in the input '{\"y\":1}'"
    )


def test_a_failed_call_fails_the_template() -> None:
    with pytest.raises(StatesError, match=r"States\.Runtime"):
        filled({"a.$": "States.ArrayLength($.x)"}, {"x": 1})


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ({"a.$": 1}, "'/a.$'"),
        ({"x": [{"a.$": "plain"}]}, "'/x/0/a.$'"),
        ({"a.$": "$.b[c]"}, "'/a.$'"),
        ({"a.$": "States.Nope()"}, "States.Nope"),
        ({"a.$": {"b": 1}}, "'/a.$'"),
        ({"a.$": "$.x", "a": 1}, "a second time"),
        ({"a": 1, "a.$": "$.x"}, "a second time"),
        ({"a.$": "$name!"}, "'/a.$'"),
    ],
)
def test_a_field_that_cannot_be_filled_is_refused_by_place(template: Any, named: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        compile_template(template)

    assert named in str(caught.value)


def test_a_template_nested_without_end_is_refused() -> None:
    template: Any = {"a.$": "$"}
    for _ in range(3000):
        template = {"b": template}

    with pytest.raises(InvalidInput, match="deep"):
        compile_template(template)


# Expressions


def test_an_expression_is_a_path_or_a_call() -> None:
    env = Surroundings({"a": [1, 2]})

    assert compile_expression("$.a[1]").evaluate(env) == 2
    assert compile_expression("States.ArrayLength($.a)").evaluate(env) == 2
    assert compile_expression("States.ArrayLength($.a)").text == "States.ArrayLength($.a)"
    with pytest.raises(InvalidInput):
        compile_expression("plain text")
    with pytest.raises(PathNotFound):
        compile_expression("$.b").evaluate(env)
