import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from etl_runner.api.sfn.actions.validate import validate_definition
from etl_runner.api.sfn.call import Call
from etl_runner.api.sfn.model import check
from etl_runner.clock import SystemClock
from etl_runner.machine.limits import AWS


async def gone() -> None:
    """Nobody hangs up."""
    await asyncio.Event().wait()


def validated(states: Any, **asked: Any) -> Any:
    definition = json.dumps({"StartAt": next(iter(states)), "States": states})
    router = SimpleNamespace(invokable=lambda resource: "unknown" if resource.endswith(":query") else None)
    rooms: Any = SimpleNamespace(clock=SystemClock(), router=router, limits=AWS)
    call = Call(
        parameters=check("ValidateStateMachineDefinition", {"definition": definition, **asked}),
        account="111111111111",
        region="us-east-1",
        rooms=rooms,
        now_ms=0,
        request_id="request",
        left=gone,
    )
    return validate_definition(call)


CALLBACK = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": True}


def test_a_right_definition_is_ok() -> None:
    assert validated({"A": {"Type": "Succeed"}}) == {"result": "OK", "diagnostics": [], "truncated": False}


def test_an_express_machine_is_held_to_what_it_can_do() -> None:
    found = validated({"A": CALLBACK}, type="EXPRESS")

    assert found["diagnostics"] == [
        {
            "severity": "ERROR",
            "code": "SCHEMA_VALIDATION_FAILED",
            "message": "Express state machine does not support '.waitForTaskToken' service integration ",
            "location": "/States/A/Resource",
        }
    ]
    assert validated({"A": CALLBACK}, type="STANDARD")["result"] == "OK"


def test_warnings_are_told_only_when_they_are_asked_for_and_make_no_failure() -> None:
    quiet, loud = validated({"A": CALLBACK}), validated({"A": CALLBACK}, severity="WARNING")

    assert (quiet["result"], quiet["diagnostics"]) == ("OK", [])
    assert loud["result"] == "OK"
    assert {each["severity"] for each in loud["diagnostics"]} == {"WARNING"}


def test_a_resource_that_is_not_offered_fails() -> None:
    task = {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:query", "End": True}
    found = validated({"A": task})

    assert found["result"] == "FAIL"
    assert "is not recognized" in found["diagnostics"][0]["message"]
    assert found["diagnostics"][0]["location"] == "/States/A/Resource"


def test_more_than_was_asked_for_is_cut_off_and_said_so() -> None:
    states = {"A": {"Type": "Succeed", "One": 1, "Two": 2, "Three": 3}}

    some, all_ = validated(states, maxResults=2), validated(states, maxResults=0)

    assert (len(some["diagnostics"]), some["truncated"]) == (2, True)
    assert (len(all_["diagnostics"]), all_["truncated"]) == (3, False)


@pytest.mark.parametrize(
    ("state", "code", "location"),
    [
        ({"Type": "Pass", "Parameters": {"a": {"b": "$.x"}}, "End": True}, "NO_DOLLAR", "Parameters/a/b"),
        ({"Type": "Pass", "Parameters": {"a": "States.UUID()"}, "End": True}, "NO_DOLLAR", "Parameters/a"),
        ({"Type": "Pass", "Result": {"a": [1, {"b": "$$.Task"}]}, "End": True}, "PASS_RESULT_IS_STATIC",
         "Result/a[1]/b"),
        ({"Type": "Fail", "Error": "$.error"}, "NO_PATH", "Error"),
    ],
)  # fmt: skip
def test_a_path_that_is_never_looked_up_is_warned_of(state: Any, code: str, location: str) -> None:
    [found] = validated({"A": state}, severity="WARNING")["diagnostics"]

    assert (found["severity"], found["code"], found["location"]) == ("WARNING", code, f"/States/A/{location}")


@pytest.mark.parametrize("text", ["costs $5", "$", "$x", "States", "a $.b"])
def test_a_text_with_a_dollar_is_no_path(text: str) -> None:
    state = {"Type": "Fail", "Error": text}

    assert bool(validated({"A": state}, severity="WARNING")["diagnostics"]) is (text == "$")


def test_the_resource_in_a_map_of_the_old_form_is_named() -> None:
    task = {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:query", "End": True}
    state = {"Type": "Map", "Iterator": {"StartAt": "B", "States": {"B": task}}, "End": True}
    [found] = validated({"A": state})["diagnostics"]

    assert found["location"] == "/States/A/Iterator/States/B/Resource"
    assert "arn:aws:states:::dynamodb:query" in found["message"]
