"""Executions over Step Functions' API: start, stop, describe, list, as boto3 sees them."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from etl_runner.tasks.contract import Invocation, Outcome
from tests.api.sfn_stage import Served, refusal, serving, told
from tests.engine.harness import PASS, TASK, fail, single
from tests.engine.harness import echo as harness_echo

WAIT = single({"Type": "Wait", "Seconds": 3600, "End": True})
FAIL = single({"Type": "Fail", "Error": "Broken", "Cause": "on purpose"})
VALUES = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("executions")) as served:
        yield served


@pytest.fixture(scope="module")
def echo(api: Served) -> str:
    return api.machine(single(PASS))


# --- start --------------------------------------------------------------------------------------------------


def test_an_execution_without_a_name_gets_a_uuid(api: Served, echo: str) -> None:
    answer = told(api.sfn.start_execution(stateMachineArn=echo))

    name = answer["executionArn"].rpartition(":")[2]
    assert sorted(answer) == ["executionArn", "startDate"]
    assert str(uuid.UUID(name)) == name


@pytest.mark.parametrize("name", ["a b", "a:b", "a/b", 'a"b', "a\u0085b", "a\ud7ffb\ufffe", "tab\t"])
def test_a_name_with_a_forbidden_character_is_refused(api: Served, echo: str, name: str) -> None:
    found = refusal(api.sfn.start_execution, stateMachineArn=echo, name=name)

    assert found == ("InvalidName", f"Invalid Name: '{name}'")


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("not some json", f"Unrecognized token 'not': was expecting {VALUES}"),
        ("{'not'", "Unexpected character (''' (code 39)): was expecting double-quote to start field name"),
        ("", "Invalid execution input."),
    ],
    ids=["no token", "no quotes", "empty"],
)  # fmt: skip
def test_an_input_that_is_no_json_is_refused(api: Served, echo: str, given: str, fault: str) -> None:
    found = refusal(api.sfn.start_execution, stateMachineArn=echo, input=given)

    assert found == ("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{fault}'")


def test_an_input_of_too_many_bytes_is_refused(api: Served, echo: str) -> None:
    code, _ = refusal(api.sfn.start_execution, stateMachineArn=echo, input=f'"{"é" * 200_000}"')

    assert code == "InvalidExecutionInput"


@pytest.mark.parametrize("given", ["2", '"some text"', "null", '{"a" :  [1]}'])
def test_an_input_is_described_as_it_was_sent(api: Served, echo: str, given: str) -> None:
    described = api.run(echo, input=given)

    assert (described["input"], described["status"]) == (given, "SUCCEEDED")


def test_a_name_may_be_started_again_while_it_runs_and_with_the_same_input_alone(api: Served) -> None:
    machine = api.machine(WAIT)
    once = told(api.sfn.start_execution(stateMachineArn=machine, name="x", input='{"a": 1}'))
    again = told(api.sfn.start_execution(stateMachineArn=machine, name="x", input='{"a": 1}'))
    other = refusal(api.sfn.start_execution, stateMachineArn=machine, name="x", input='{"a": 2}')
    api.sfn.stop_execution(executionArn=once["executionArn"])
    ended = refusal(api.sfn.start_execution, stateMachineArn=machine, name="x", input='{"a": 1}')

    taken = ("ExecutionAlreadyExists", f"Execution Already Exists: '{once['executionArn']}'")
    assert (again, other, ended) == (once, taken, taken)


def test_what_is_no_state_machine_cannot_be_started(api: Served) -> None:
    missing = "arn:aws:states:us-east-1:123456789012:stateMachine:nowhere"
    activity = "arn:aws:states:us-east-1:123456789012:activity:a"
    labelled = f"{missing}/Label"

    assert refusal(api.sfn.start_execution, stateMachineArn=missing) == (
        "StateMachineDoesNotExist",
        f"State Machine Does Not Exist: '{missing}'",
    )
    assert refusal(api.sfn.start_execution, stateMachineArn="nonsense") == (
        "InvalidArn",
        "Invalid Arn: 'Invalid ARN prefix: nonsense'",
    )
    assert refusal(api.sfn.start_execution, stateMachineArn=activity) == (
        "InvalidArn",
        "Invalid Arn: 'Resource type not valid in this context: activity'",
    )
    assert refusal(api.sfn.start_execution, stateMachineArn=labelled)[0] == "ValidationException"


# --- describe -----------------------------------------------------------------------------------------------


def test_a_running_execution_is_described_without_an_end(api: Served) -> None:
    machine = api.machine(WAIT)
    execution = api.start(machine, name="waits", traceHeader="Root=1-5")
    described = api.described(execution)

    del described["startDate"]
    assert described == {
        "executionArn": execution,
        "stateMachineArn": machine,
        "name": "waits",
        "status": "RUNNING",
        "input": "{}",
        "inputDetails": {"included": True},
        "redriveCount": 0,
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": "Execution is RUNNING and cannot be redriven",
        "traceHeader": "Root=1-5",
    }


def test_an_execution_that_succeeded_is_described_with_its_output(api: Served, echo: str) -> None:
    described = api.run(echo, input='{"a":1}')

    assert described["output"] == '{"a":1}'
    assert described["outputDetails"] == {"included": True}
    assert described["redriveStatusReason"] == "Execution is SUCCEEDED and cannot be redriven"
    assert described["stopDate"] >= described["startDate"]


def test_an_execution_that_failed_is_described_with_error_and_cause(api: Served) -> None:
    described = api.run(api.machine(FAIL))

    about = {name: described[name] for name in ("status", "error", "cause", "redriveStatus")}
    assert about == {
        "status": "FAILED",
        "error": "Broken",
        "cause": "on purpose",
        "redriveStatus": "REDRIVABLE",
    }
    assert "output" not in described
    assert "redriveStatusReason" not in described


def test_an_execution_that_timed_out_is_described_without_error_and_cause(api: Served) -> None:
    described = api.run(api.machine({**WAIT, "TimeoutSeconds": 1}))

    assert described["status"] == "TIMED_OUT"
    assert "error" not in described
    assert "cause" not in described


def test_of_an_execution_the_metadata_alone_may_be_asked_for(api: Served, echo: str) -> None:
    described = api.described(api.run(echo)["executionArn"], includedData="METADATA_ONLY")

    assert (described["inputDetails"], described["outputDetails"]) == ({"included": False},) * 2
    assert "input" not in described
    assert "output" not in described


def test_what_is_no_execution_cannot_be_described(api: Served) -> None:
    missing = "arn:aws:states:us-east-1:123456789012:execution:m:x"
    express = "arn:aws:states:us-east-1:123456789012:express:m:x:1"

    assert refusal(api.sfn.describe_execution, executionArn=missing) == (
        "ExecutionDoesNotExist",
        f"Execution Does Not Exist: '{missing}'",
    )
    assert refusal(api.sfn.describe_execution, executionArn=express) == (
        "InvalidArn",
        "Invalid Arn: 'Resource type not valid in this context: express'",
    )


# --- stop ---------------------------------------------------------------------------------------------------


def test_a_stopped_execution_has_the_error_and_cause_that_were_given(api: Served) -> None:
    execution = api.start(api.machine(WAIT))
    stopped = told(api.sfn.stop_execution(executionArn=execution, error="Enough", cause="of this"))
    again = told(api.sfn.stop_execution(executionArn=execution))
    described = api.described(execution)

    assert stopped == again == {"stopDate": described["stopDate"]}
    assert (described["status"], described["error"], described["cause"]) == ("ABORTED", "Enough", "of this")


# --- list ---------------------------------------------------------------------------------------------------


def names_of(answer: dict[str, Any]) -> list[str]:
    return [each["name"] for each in answer["executions"]]


def test_executions_are_listed_newest_first_in_pages(api: Served) -> None:
    machine = api.machine(single(PASS))
    for number in range(5):
        api.run(machine, name=f"run-{number}")
    first = api.sfn.list_executions(stateMachineArn=machine, maxResults=2)
    second = api.sfn.list_executions(stateMachineArn=machine, maxResults=3, nextToken=first["nextToken"])

    assert names_of(first) + names_of(second) == ["run-4", "run-3", "run-2", "run-1", "run-0"]
    assert "nextToken" not in second
    assert sorted(first["executions"][0]) == [
        "executionArn", "name", "redriveCount", "startDate", "stateMachineArn", "status", "stopDate",
    ]  # fmt: skip


def test_executions_are_listed_by_status(api: Served) -> None:
    machine = api.machine(WAIT)
    api.sfn.stop_execution(executionArn=api.start(machine, name="stopped"))
    api.start(machine, name="running")
    listed = {
        status: names_of(api.sfn.list_executions(stateMachineArn=machine, statusFilter=status))
        for status in ("RUNNING", "ABORTED", "SUCCEEDED", "PENDING_REDRIVE")
    }

    assert listed == {"RUNNING": ["running"], "ABORTED": ["stopped"], "SUCCEEDED": [], "PENDING_REDRIVE": []}


def test_a_page_of_another_list_is_refused(api: Served, echo: str) -> None:
    api.run(echo)
    api.run(echo)
    token = api.sfn.list_executions(stateMachineArn=echo, maxResults=1)["nextToken"]
    elsewhere = refusal(api.sfn.list_executions, stateMachineArn=echo, statusFilter="FAILED", nextToken=token)
    invented = refusal(api.sfn.list_executions, stateMachineArn=echo, nextToken="invented")

    assert {elsewhere, invented} == {("InvalidToken", "Invalid Token: 'Invalid token'")}


def test_executions_of_a_version_and_of_an_alias_are_told_and_listed_as_such(api: Served) -> None:
    machine = api.machine(single(PASS), publish=True)
    version = f"{machine}:1"
    alias = api.sfn.create_state_machine_alias(
        name="live", routingConfiguration=[{"stateMachineVersionArn": version, "weight": 100}]
    )["stateMachineAliasArn"]
    by_version, by_alias = api.run(version, name="v"), api.run(alias, name="a")
    api.run(machine, name="m")

    assert (by_version["stateMachineArn"], by_version["stateMachineVersionArn"]) == (machine, version)
    assert "stateMachineAliasArn" not in by_version
    assert (by_alias["stateMachineVersionArn"], by_alias["stateMachineAliasArn"]) == (version, alias)
    assert names_of(api.sfn.list_executions(stateMachineArn=version)) == ["a", "v"]
    assert names_of(api.sfn.list_executions(stateMachineArn=alias)) == ["a"]
    assert names_of(api.sfn.list_executions(stateMachineArn=machine)) == ["m", "a", "v"]


def test_lists_of_nothing_of_both_and_of_express_are_refused(api: Served) -> None:
    express = api.machine(single(PASS), type="EXPRESS")
    run = "arn:aws:states:us-east-1:123456789012:mapRun:m/L:1"

    assert refusal(api.sfn.list_executions)[0] == "ValidationException"
    assert (
        refusal(api.sfn.list_executions, stateMachineArn=express, mapRunArn=run)[0] == "ValidationException"
    )
    assert refusal(api.sfn.list_executions, mapRunArn=run) == (
        "ResourceNotFound",
        f"Resource not found: '{run}'",
    )
    assert refusal(api.sfn.list_executions, stateMachineArn=express) == (
        "StateMachineTypeNotSupported",
        "This operation is not supported by this type of state machine",
    )  # fmt: skip


# --- redrive ------------------------------------------------------------------------------------------------


def test_a_failed_execution_goes_on_from_where_it_failed(api: Served) -> None:
    machine = api.machine(single({**TASK, "Comment": "redriven"}))
    answers = iter([fail("Broken"), harness_echo])

    def answer(invocation: Invocation) -> list[Outcome]:
        return next(answers)(invocation)

    api.stage.script.behaviours["Only"] = answer
    failed = api.run(machine)
    redriven = told(api.sfn.redrive_execution(executionArn=failed["executionArn"], clientToken="once"))
    again = told(api.sfn.redrive_execution(executionArn=failed["executionArn"], clientToken="once"))
    ended = api.ended(failed["executionArn"])
    listed = api.sfn.list_executions(stateMachineArn=machine, redriveFilter="REDRIVEN")["executions"]

    assert (failed["status"], ended["status"], ended["redriveCount"]) == ("FAILED", "SUCCEEDED", 1)
    assert redriven == again == {"redriveDate": ended["redriveDate"]}
    assert [each["redriveCount"] for each in listed] == [1]
    assert api.sfn.list_executions(stateMachineArn=machine, redriveFilter="NOT_REDRIVEN")["executions"] == []


def test_an_execution_that_succeeded_cannot_be_redriven(api: Served, echo: str) -> None:
    ended = api.run(echo)

    assert refusal(api.sfn.redrive_execution, executionArn=ended["executionArn"]) == (
        "ExecutionNotRedrivable",
        "Execution is SUCCEEDED and cannot be redriven",
    )
