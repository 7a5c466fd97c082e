"""A `...Path` field that leads to nothing, or to a value that its field cannot be."""

from typing import Any

import pytest

from etl_runner.jsontypes import Json
from tests.machine.shell import PASS, Run, scope, single

WAIT = {"Type": "Wait", "End": True}
MAP = {"Type": "Map", "ItemProcessor": scope("E", PASS), "ItemsPath": "$.items", "End": True}
CONFIG = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
SPREAD = MAP | {"ItemProcessor": scope("E", PASS) | {"ProcessorConfig": CONFIG}}


def cause(state: dict[str, Any], given: Json) -> str:
    """Why an execution of one state failed, without the place."""
    run = Run(single(state), given)
    assert run.machine.error == "States.Runtime"
    return str(run.machine.cause).partition("(entered at the event id #2). ")[2]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.5, "1.5"), ("soon", "soon"), (None, "null"), (True, "true"), ({"a": [1]}, '{"a":[1]}')],
)
def test_a_wait_shows_what_is_no_number_of_seconds_as_json(value: Json, shown: str) -> None:
    assert cause(WAIT | {"SecondsPath": "$.s"}, {"s": value}) == (
        f"The SecondsPath parameter cannot be parsed as a long value: $.s == {shown}"
    )


@pytest.mark.parametrize(("value", "shown"), [("2016-12-05T21:29:29", "2016-12-05T21:29:29"), (None, "null")])
def test_a_wait_shows_what_is_no_moment_as_json(value: Json, shown: str) -> None:
    assert cause(WAIT | {"TimestampPath": "$.s"}, {"s": value}).endswith(f": $.s == {shown}")


@pytest.mark.parametrize("items", [5, None, "abc", {"a": 1}])
def test_an_inline_map_takes_arrays_only(items: Json) -> None:
    assert cause(MAP, {"items": items}) == 'Reference path "$.items" must point to array.'


@pytest.mark.parametrize(
    ("state", "field"),
    [
        (MAP, "MaxConcurrencyPath"),
        (MAP | {"MaxConcurrency": 1}, "InputPath"),
        (SPREAD, "ToleratedFailureCountPath"),
        (SPREAD, "ToleratedFailurePercentagePath"),
    ],
)
def test_a_path_that_leads_nowhere_is_named(state: dict[str, Any], field: str) -> None:
    assert cause(state | {field: "$.no"}, {"items": [1]}) == (
        "Invalid path '$.no' : No results for path: $['no']"
    )


TASK = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:f", "End": True}


def test_a_task_runs_in_no_role_whose_name_is_no_text() -> None:
    told = cause(TASK | {"Credentials": {"RoleArn.$": "$.role"}}, {"role": 5})

    assert told == "The RoleArn of Credentials must be a string, but was: 5"


def test_an_expression_that_gives_no_name_of_a_role_is_an_evaluation_that_failed() -> None:
    state = TASK | {"QueryLanguage": "JSONata", "Credentials": {"RoleArn": "{% $states.input.role %}"}}
    run = Run(single(state), {"role": 5})

    assert run.machine.error == "States.QueryEvaluationError"
    assert str(run.machine.cause).endswith(
        "The field 'Credentials/RoleArn' has an unexpected type. Expected 'string', but was 'number' "
        "for value: 5"
    )


@pytest.mark.parametrize("value", [-1.1, 100.5, 101])
def test_a_percentage_has_two_bounds(value: float) -> None:
    state = SPREAD | {"ToleratedFailurePercentagePath": "$.p"}

    assert cause(state, {"items": [1], "p": value}) == "ToleratedFailurePercentage must be between 0 and 100."
