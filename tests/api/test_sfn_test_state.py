"""TestState by the developer guide: "Testing state machines with TestState API"."""

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

from etl_runner.api.sfn.actions.test_state import test_state as run_state
from etl_runner.api.sfn.call import Call
from etl_runner.api.sfn.errors import AwsError
from etl_runner.api.sfn.model import check, service_model
from etl_runner.clock import SystemClock
from etl_runner.machine.limits import AWS
from etl_runner.tasks.contract import Failed, Invocation, Sink, Succeeded

ROLE = "arn:aws:iam::123456789012:role/tester"
INVOKE = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke",
    "Parameters": {"FunctionName": "f"},
    "End": True,
}


class Router:
    """Does the work of every resource at once, as the test says."""

    def __init__(self, result: Any = None, error: str = "") -> None:
        self.result, self.error = result, error
        self.asked: list[Invocation] = []

    def invokable(self, resource: str) -> str | None:
        return "there is no such thing" if resource.endswith(":nothing") else None

    def start(self, invocation: Invocation, sink: Sink) -> None:
        self.asked.append(invocation)
        if self.error:
            sink.outcome(Failed(token=invocation.token, error=self.error, cause="why"))
        else:
            sink.outcome(Succeeded(token=invocation.token, output=self.result))


async def gone() -> None:
    """Nobody hangs up."""
    await asyncio.Event().wait()


def tell(definition: Any, given: Any = None, *, router: Router | None = None, **asked: Any) -> Any:
    parameters = {"definition": json.dumps(definition), "inspectionLevel": "DEBUG", **asked}
    if given is not None:
        parameters["input"] = json.dumps(given)
    for name in ("context", "variables"):
        if name in parameters:
            parameters[name] = json.dumps(parameters[name])
    if "result" in parameters.get("mock", {}):
        parameters["mock"] = {**parameters["mock"], "result": json.dumps(parameters["mock"]["result"])}
    rooms: Any = SimpleNamespace(clock=SystemClock(), router=router or Router(), limits=AWS)
    call = Call(
        parameters=check("TestState", parameters),
        account="123456789012",
        region="us-east-1",
        rooms=rooms,
        now_ms=SystemClock().now_ms(),
        request_id="request",
        left=gone,
    )
    found = asyncio.run(run_state(call))
    shape: Any = service_model().operation_model("TestState").output_shape
    assert found.keys() <= shape.members.keys()
    assert found.get("inspectionData", {}).keys() <= shape.members["inspectionData"].members.keys()
    return found


def refused(definition: Any, given: Any = None, **asked: Any) -> str:
    with pytest.raises(AwsError) as raised:
        tell(definition, given, **asked)
    return raised.value.message


# --- without a mock -----------------------------------------------------------------------------------------


def test_a_choice_names_the_state_that_it_leads_to() -> None:
    choices = [{"Variable": "$.number", "NumericEquals": n, "Next": f"Equals {n}"} for n in (1, 2)]
    choice = {"Type": "Choice", "Choices": choices, "Default": "No Match"}

    assert tell(choice, {"number": 2}, inspectionLevel="INFO") == {
        "output": '{"number": 2}',
        "nextState": "Equals 2",
        "status": "SUCCEEDED",
    }
    assert tell(choice, {"number": 3})["nextState"] == "No Match"


def test_each_filter_of_a_pass_is_shown() -> None:
    state = {
        "Type": "Pass",
        "InputPath": "$.payload",
        "Parameters": {"data": 1},
        "ResultPath": "$.result",
        "OutputPath": "$.result.data",
        "Next": "Another State",
    }

    assert tell(state, {"payload": {"foo": "bar"}}) == {
        "output": "1",
        "inspectionData": {
            "input": '{"payload": {"foo": "bar"}}',
            "afterInputPath": '{"foo":"bar"}',
            "afterParameters": '{"data":1}',
            "afterResultSelector": '{"data":1}',
            "afterResultPath": '{"payload":{"foo":"bar"},"result":{"data":1}}',
        },
        "nextState": "Another State",
        "status": "SUCCEEDED",
    }


def test_what_was_seen_up_to_a_failure_is_shown() -> None:
    found = tell({"Type": "Pass", "Parameters": {"x.$": "$.missing"}, "End": True}, {"a": 1})

    assert (found["status"], found["error"]) == ("FAILED", "States.Runtime")
    assert found["cause"].startswith("An error occurred while executing the state 'StateName'")
    assert found["inspectionData"].keys() == {"input", "afterInputPath"}


def test_a_task_is_really_done() -> None:
    router = Router({"n": 1})
    found = tell({**INVOKE, "ResultPath": "$.r"}, {"a": 1}, router=router, roleArn=ROLE)

    assert json.loads(found["output"]) == {"a": 1, "r": {"n": 1}}
    assert found["inspectionData"]["result"] == '{"n":1}'
    assert [each.arguments for each in router.asked] == [{"FunctionName": "f"}]


def test_a_task_that_fails_is_retriable_or_caught_or_failed() -> None:
    router = Router(error="Busy")
    retry, catch = [{"ErrorEquals": ["Busy"]}], [{"ErrorEquals": ["Busy"], "Next": "B"}]

    assert tell({**INVOKE, "Retry": retry}, router=router, roleArn=ROLE)["status"] == "RETRIABLE"
    assert tell({**INVOKE, "Catch": catch}, router=router, roleArn=ROLE)["status"] == "CAUGHT_ERROR"
    assert tell(INVOKE, router=router, roleArn=ROLE)["status"] == "FAILED"


def test_a_wait_is_really_waited_for() -> None:
    before = time.monotonic()
    found = tell({"Type": "Wait", "QueryLanguage": "JSONata", "Seconds": "{% 1 %}", "End": True}, {})

    assert found["status"] == "SUCCEEDED"
    assert time.monotonic() - before >= 1


def test_a_wait_of_more_than_five_minutes_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etl_runner.api.sfn.test_state_run.LIMIT_S", 0.01)
    found = tell({"Type": "Wait", "Seconds": 1, "End": True}, {})

    assert (found["status"], found["error"]) == ("FAILED", "States.Timeout")


def test_a_task_of_more_than_five_minutes_is_a_timeout_and_is_called_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Never(Router):
        cancelled = ""

        def start(self, invocation: Invocation, sink: Sink) -> None:
            """Nothing comes of it."""

        def cancel(self, token: str) -> None:
            self.cancelled = token

    monkeypatch.setattr("etl_runner.api.sfn.test_state_run.LIMIT_S", 0.01)
    router = Never()
    found = tell(INVOKE, {}, router=router, roleArn=ROLE)

    assert (found["status"], found["error"]) == ("FAILED", "States.Timeout")
    assert router.cancelled == "test-state:request"


def test_a_wait_whose_moment_has_passed_is_over() -> None:
    found = tell({"Type": "Wait", "Timestamp": "2020-01-01T00:00:00Z", "Next": "B"}, {"a": 1})

    assert (found["status"], found["nextState"], found["output"]) == ("SUCCEEDED", "B", '{"a": 1}')


def test_variables_are_given_and_assigned() -> None:
    state = {"Type": "Pass", "QueryLanguage": "JSONata", "Assign": {"b": "{% $a + 1 %}"}, "End": True}
    found = tell(state, {}, variables={"a": 1})

    assert json.loads(found["inspectionData"]["variables"]) == {"a": 1, "b": 2}


def test_the_request_and_answer_of_an_http_task_are_traced() -> None:
    parameters = {
        "Method": "GET",
        "ApiEndpoint": "https://example.com/get",
        "Authentication": {"ConnectionArn": "arn"},
        "Headers": {"h": "1"},
        "QueryParameters": {"q": "a b"},
        "RequestBody": {"m": 1},
    }
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::http:invoke",
        "Parameters": parameters,
        "End": True,
    }
    result = {"StatusCode": 200, "StatusText": "OK", "Headers": {"date": ["now"]}, "ResponseBody": {"x": 1}}
    found = tell(state, {}, router=Router(result), roleArn=ROLE, inspectionLevel="TRACE")["inspectionData"]

    assert found["request"] == {
        "protocol": "https",
        "method": "GET",
        "url": "https://example.com/get?q=a%20b",
        "headers": "[h: 1]",
        "body": '{"m":1}',
    }
    assert found["response"] == {
        "protocol": "https",
        "statusCode": "200",
        "statusMessage": "OK",
        "headers": "[date: now]",
        "body": '{"x":1}',
    }
    debug = tell(state, {}, router=Router(result), roleArn=ROLE)["inspectionData"]
    assert "request" not in debug


# --- with a mock --------------------------------------------------------------------------------------------


def test_the_pause_before_a_retry_grows_with_those_that_were() -> None:
    retry = [{"ErrorEquals": ["E"], "IntervalSeconds": 2, "MaxAttempts": 3, "BackoffRate": 2.0}]
    mock = {"errorOutput": {"error": "E", "cause": "c"}}
    found = tell({**INVOKE, "Retry": retry}, {}, mock=mock, stateConfiguration={"retrierRetryCount": 1})

    assert found["status"] == "RETRIABLE"
    assert found["inspectionData"]["errorDetails"] == {"retryIndex": 0, "retryBackoffIntervalSeconds": 4}


def test_an_error_is_caught_once_its_retries_are_used_up() -> None:
    state = {
        **INVOKE,
        "Retry": [{"ErrorEquals": ["E"], "MaxAttempts": 3}],
        "Catch": [{"ErrorEquals": ["E"], "ResultPath": "$.error", "Next": "Handle"}],
    }
    mock = {"errorOutput": {"error": "E", "cause": "c"}}
    found = tell(state, {"data": "v"}, mock=mock, stateConfiguration={"retrierRetryCount": 3})

    assert found["inspectionData"]["errorDetails"] == {"catchIndex": 0}
    assert (found["status"], found["nextState"]) == ("CAUGHT_ERROR", "Handle")
    assert json.loads(found["output"]) == {"data": "v", "error": {"Error": "E", "Cause": "c"}}


PROCESSOR = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
DISTRIBUTED = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **PROCESSOR}


def test_what_a_map_makes_of_its_items_is_shown() -> None:
    state = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "ItemSelector": {"value.$": "$$.Map.Item.Value", "index.$": "$$.Map.Item.Index"},
        "ItemBatcher": {"MaxItemsPerBatch": 2},
        "ItemProcessor": DISTRIBUTED,
        "MaxConcurrencyPath": "$.most",
        "ToleratedFailurePercentage": 50,
        "End": True,
    }
    found = tell(state, {"items": [7, 8, 9], "most": 4}, mock={"result": [1]})["inspectionData"]
    selected = [{"value": value, "index": index} for index, value in enumerate([7, 8, 9])]

    assert json.loads(found["afterItemsPath"]) == [7, 8, 9]
    assert json.loads(found["afterItemSelector"]) == selected
    assert json.loads(found["afterItemBatcher"]) == [{"Items": selected[:2]}, {"Items": selected[2:]}]
    assert (found["maxConcurrency"], found["toleratedFailurePercentage"]) == (4, 50)


@pytest.mark.parametrize(("failed", "status"), [(0, "SUCCEEDED"), (1, "SUCCEEDED"), (2, "FAILED")])
def test_a_map_fails_with_more_failures_than_it_tolerates(failed: int, status: str) -> None:
    state = {"Type": "Map", "ItemProcessor": DISTRIBUTED, "ToleratedFailurePercentage": 34, "End": True}
    configuration = {"mapIterationFailureCount": failed}
    found = tell(state, [1, 2, 3], mock={"result": [1, 2, 3]}, stateConfiguration=configuration)

    assert found["status"] == status


def test_the_data_of_an_item_reader_is_read() -> None:
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
        "Parameters": {"Bucket": "b", "Key": "k"},
    }
    selector = {"x.$": "$$.Map.Item.Value.a"}
    state = {
        "Type": "Map",
        "ItemReader": reader,
        "ItemSelector": selector,
        "ItemProcessor": DISTRIBUTED,
        "End": True,
    }
    found = tell(state, {}, mock={"result": [1]}, stateConfiguration={"mapItemReaderData": "a,b\n1,2\n3,4\n"})

    assert json.loads(found["inspectionData"]["afterItemSelector"]) == [{"x": "1"}, {"x": "3"}]


@pytest.mark.parametrize(
    ("config", "more"),
    [({}, {}), ({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, {"Source": "STATE_DATA"})],
    ids=["inline", "distributed"],
)
def test_a_state_inside_of_a_map_runs_for_its_first_item(config: Any, more: Any) -> None:
    inner = {"Type": "Pass", "Parameters": {"item.$": "$$.Map.Item"}, "End": True}
    processor = {"ProcessorConfig": config, "StartAt": "P", "States": {"P": inner}}
    machine = {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": processor, "End": True}}}
    found = tell(machine, {"n": 1}, stateName="P")

    assert json.loads(found["output"]) == {"item": {"Index": 0, "Value": {"n": 1}, **more}}


def test_a_sync_mock_is_held_to_what_is_polled() -> None:
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": "arn"},
        "End": True,
    }
    described = {"ExecutionArn": "a", "StateMachineArn": "s", "Status": "SUCCEEDED", "StartDate": "d"}

    assert tell(state, {}, mock={"result": described})["status"] == "SUCCEEDED"
    told = refused(state, {}, mock={"result": {"ExecutionArn": "a"}})
    assert told == "Mock result schema validation error: Required field 'StateMachineArn' is missing"


@pytest.mark.parametrize(
    ("resource", "arguments", "result", "field"),
    [
        (
            "sqs:sendMessage",
            {"QueueUrl": "q", "MessageBody": "m"},
            {"MD5OfMessageBody": 1},
            "MD5OfMessageBody",
        ),
        (
            "aws-sdk:sqs:sendMessage",
            {"QueueUrl": "q", "MessageBody": "m"},
            {"Md5OfMessageBody": 1},
            "Md5OfMessageBody",
        ),
        ("dynamodb:getItem", {"TableName": "t", "Key": {}}, {"Item": {"a": {"BOOL": "x"}}}, "BOOL"),
        ("aws-sdk:dynamodb:getItem", {"TableName": "t", "Key": {}}, {"Item": {"a": {"Bool": "x"}}}, "Bool"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mock_is_held_to_names_as_the_integration_writes_them(
    resource: str, arguments: Any, result: Any, field: str
) -> None:
    state = {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{resource}",
        "Parameters": arguments,
        "End": True,
    }
    kind = "a boolean" if field.lower() == "bool" else "a string"

    assert refused(state, {}, mock={"result": result}) == (
        f"Mock result schema validation error: Field '{field}' must be {kind}"
    )


@pytest.mark.parametrize(
    "resource",
    ["arn:aws:states:::sqs:sendMessage.waitForTaskToken", "arn:aws:lambda:us-east-1:123456789012:function:f"],
)
def test_what_anyone_may_answer_is_not_held_to_an_api(resource: str) -> None:
    state = {"Type": "Task", "Resource": resource, "Parameters": {"a": 1}, "End": True}

    assert tell(state, {}, mock={"result": 5})["output"] == "5"


# --- what is refused ----------------------------------------------------------------------------------------

MAP = {"Type": "Map", "ItemProcessor": PROCESSOR, "End": True}
SUPPORTED = "Supported state types include: [Task, Wait, Pass, Succeed, Fail, Choice]"
ONE_OF_TWO = "A test mock should have only one of the following fields: [result, errorOutput]."


@pytest.mark.parametrize(
    ("definition", "asked", "told"),
    [
        (MAP, {}, f"TestState API does not support Map or Parallel states. {SUPPORTED}"),
        (INVOKE, {}, "RoleArn must be specified when testing a Task state"),
        (INVOKE, {"context": {}}, "TestState does not support Context when a mock is not specified."),
        (INVOKE, {"mock": {}}, ONE_OF_TWO),
        (MAP, {"mock": {"result": 1}}, "Mocked result must be an array."),
        (INVOKE, {"mock": {"result": 1}}, "Mocked result must be a JSON object."),
        (
            {"Type": "Parallel", "Branches": [PROCESSOR], "End": True},
            {"mock": {"result": [1, 2]}},
            "Mocked result must have one element for each branch of the Parallel state.",
        ),
        (
            MAP,
            {"mock": {"errorOutput": {"error": "E"}}, "stateConfiguration": {"errorCausedByState": "Q"}},
            "State 'Q' not found in the definition of state 'StateName'",
        ),
        (
            {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}},
            {"stateName": "B"},
            "State 'B' not found in the state machine definition",
        ),
    ],
)
def test_what_cannot_be_tested_is_refused(definition: Any, asked: Any, told: str) -> None:
    assert refused(definition, {} if definition is not MAP else [], **asked) == told


def test_work_that_nobody_can_do_is_no_definition() -> None:
    told = refused({**INVOKE, "Resource": "arn:aws:states:::lambda:nothing"}, {}, roleArn=ROLE)

    assert "The resource provided arn:aws:states:::lambda:nothing is not recognized." in told
    assert told.endswith(" at /States/StateName/Resource'")


def test_a_state_is_held_to_the_language() -> None:
    told = refused({"Type": "Pass"}, {})

    assert (
        "This object should have only one of the following fields: [Next, End] at /States/StateName" in told
    )
