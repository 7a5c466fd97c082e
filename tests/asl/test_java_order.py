"""The order of computed fields."""

import random
from types import SimpleNamespace
from typing import Any

import pytest

from etl_runner.asl.dataflow import compile_template
from etl_runner.asl.java_order import in_java_order


def made(template: dict[str, Any], given: Any) -> list[str]:
    env: Any = SimpleNamespace(input=given, context={}, rng=random.Random(0), variables={})
    return list(compile_template(template).evaluate(env))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["Bucket", "Key", "Body"], ["Bucket", "Body", "Key"]),
        (["StateMachineArn", "Input", "Name"], ["Input", "StateMachineArn", "Name"]),
        (["Iterations", "Values"], ["Values", "Iterations"]),
        (["LambdaOutput", "ContextObjectValue"], ["ContextObjectValue", "LambdaOutput"]),
        (["encoded", "decoded"], ["decoded", "encoded"]),
    ],
)
def test_keys_come_in_the_order_that_aws_shows(keys: list[str], expected: list[str]) -> None:
    assert in_java_order(keys) == expected


def test_keys_of_one_bucket_keep_their_order() -> None:
    assert in_java_order(["Aa", "BB"]) == ["Aa", "BB"]
    assert in_java_order(["BB", "Aa"]) == ["BB", "Aa"]


def test_a_letter_beyond_the_basic_plane_counts_as_its_two_halves() -> None:
    assert in_java_order(["\U0001f600", "a"]) == ["a", "\U0001f600"]


def test_constant_fields_come_first_and_computed_ones_in_java_order() -> None:
    template = {"Bucket.$": "$.a", "Key.$": "$.a", "kept": {"in.$": "$.a"}, "Body.$": "$.a", "last": 1}

    assert made(template, {"a": 1}) == ["kept", "last", "Bucket", "Body", "Key"]


def test_thirteen_keys_take_thirty_two_buckets() -> None:
    keys = [chr(ord("a") + place) for place in range(13)]

    assert in_java_order(keys[:12]) == keys[:12]
    assert in_java_order(["q", *keys]) == [*keys, "q"]
