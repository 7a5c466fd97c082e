"""`states:startExecution`: an execution of a state machine, of this service or of AWS."""

import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps_text, loads
from etl_runner.tasks import aws_faults
from etl_runner.tasks.aws_naming import exception_name
from etl_runner.tasks.aws_optimised import (
    TOKENS,
    Action,
    Answer,
    Given,
    Optimised,
    Service,
    send,
    task_failed,
    with_metadata,
)
from etl_runner.tasks.aws_shapes import check_size, to_json_v1
from etl_runner.tasks.integration import CALLBACK, PLAIN, SYNC, SYNC2, Integration, Jobs, ServiceCall
from etl_runner.tasks.nested import NestedExecutions, NestedRefused, leads_here

SERVICE = Service(
    name="states", boto3_name="stepfunctions", title="StepFunctions", long_title="AWSStepFunctions"
)
_FIELDS: Final = ("Input", "Name", "StateMachineArn", "TraceHeader")
_RUNNING: Final = frozenset({"RUNNING", "PENDING_REDRIVE"})
_REDRIVES: Final = ("RedriveCount", "RedriveStatus", "RedriveStatusReason")
_ENDED_NOW: Final = 5
"""How long an execution may take to end that was asked to."""


def execution_name(call: ServiceCall) -> str:
    """The name of an execution that was given none: derived, so that a second hand-out starts nothing."""
    return str(uuid.uuid5(TOKENS, f"{call.idempotency_key} execution"))


def prepare(given: Given, call: ServiceCall) -> Given:
    """Fill in what is not given, and make text of an input that is none."""
    made = {**given, "Name": given.get("Name") or execution_name(call)}
    if "Input" in made and not isinstance(made["Input"], str):
        made["Input"] = dumps_text(made["Input"])
    return made


def refusal(fault: NestedRefused) -> StatesError:
    """What this service itself refused, in the words of Java SDK 1."""
    return aws_faults.v1(
        f"{SERVICE.title}.{exception_name(fault.code)}", fault.message, SERVICE, status=400, code=fault.code
    )


class StartExecution(Optimised):
    """Starts executions through the door to this service, others through the API."""

    def call(self, call: ServiceCall) -> Json:
        """Start an execution. Raises StatesError, named as AWS names it."""
        nested = _door(call, call.arguments)
        if nested is None:
            return super().call(call)
        action = self.actions["startExecution"]
        operation = SERVICE.model.operation_model(action.api_name)
        parameters = self._parameters(action, operation, call)
        _check_account(call, parameters["stateMachineArn"])
        return with_metadata(SERVICE, operation, _start(nested, parameters, call))

    def jobs(self, resource: str) -> Jobs | None:
        """Who looks after an execution that a `.sync` resource started."""
        if resource.endswith(SYNC):
            return Executions(parsed=False)
        return Executions(parsed=True) if resource.endswith(SYNC2) else None


def _door(call: ServiceCall, arguments: Json) -> NestedExecutions | None:
    """The door, for what is this service's: what it knows, and all that stands where the execution does."""
    arn = arguments.get("StateMachineArn") if isinstance(arguments, Mapping) else None
    if call.nested is None or not isinstance(arn, str):
        return None
    return call.nested if leads_here(call.nested, call.execution_arn, arn) else None


def _check_account(call: ServiceCall, arn: str) -> None:
    """Hold a start to accounts: state machines have no policies of their own that could let others in.

    Whoever acts, the role of Credentials or else the state machine's own, is of one account and may start
    what is of that account. Raises StatesError as AWS words it.
    """
    account = (call.role_arn or call.execution_arn).split(":")[4:5]
    if account == arn.split(":")[4:5]:
        return
    role = (call.role_arn or call.own_role_arn).rpartition("/")[2]
    session = call.execution_arn.rpartition(":")[2]
    message = (
        f"User: arn:aws:sts::{''.join(account)}:assumed-role/{role}/{session} is not authorized to perform: "
        f"states:StartExecution on resource: {arn} because no resource-based policy allows the "
        "states:StartExecution action"
    )
    name = f"{SERVICE.title}.{SERVICE.long_title}Exception"  # the API's model knows no error of this code
    raise aws_faults.v1(name, message, SERVICE, status=400, code="AccessDeniedException")


def _start(nested: NestedExecutions, parameters: Mapping[str, Any], call: ServiceCall) -> Answer:
    try:
        started = nested.start(
            state_machine_arn=parameters["stateMachineArn"],
            name=parameters["name"],
            input_text=parameters.get("input", "{}"),
            origin=f"task:{call.idempotency_key}",
            awaited=call.resource.endswith((SYNC, SYNC2)),
        ).result()
    except NestedRefused as fault:
        raise refusal(fault) from fault
    request_id = str(uuid.uuid4())
    return {
        "executionArn": started.arn,
        "startDate": datetime.fromtimestamp(started.started_ms / 1000, UTC),
        "ResponseMetadata": {"RequestId": request_id, "HTTPStatusCode": 200, "HTTPHeaders": {}},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Executions:
    """Executions that a `.sync` task waits for. `parsed`: input and output as JSON, not as its text."""

    parsed: bool

    def poll(self, call: ServiceCall, submitted: Json) -> Json | None:
        """The description of the execution once it has ended, None while it runs.

        Raises StatesError States.TaskFailed when it ended otherwise than well.
        """
        shown = self._describe(call, submitted["ExecutionArn"])
        if shown["Status"] in _RUNNING:
            return None
        if self.parsed:
            shown |= {name: loads(shown[name]) for name in ("Input", "Output") if name in shown}
        if shown["Status"] != "SUCCEEDED":
            raise task_failed(shown)
        check_size(shown, SERVICE.name, call.limit_bytes)
        return shown

    def stop(self, call: ServiceCall, submitted: Json) -> None:
        """Stop the execution."""
        arn = submitted["ExecutionArn"]
        nested = _door(call, {"StateMachineArn": _machine_of(arn)})
        if nested is None:
            operation = SERVICE.model.operation_model("StopExecution")
            send(SERVICE, operation, {"executionArn": arn}, call)
            return
        try:
            nested.stop(arn)
        except NestedRefused as fault:
            raise refusal(fault) from fault

    def when_ended(self, call: ServiceCall, submitted: Json) -> Future[object] | None:
        """This service tells when an execution of its own has ended; AWS has to be asked."""
        arn = submitted["ExecutionArn"]
        nested = _door(call, {"StateMachineArn": _machine_of(arn)})
        try:
            return None if nested is None else nested.when_ended(arn)
        except NestedRefused as fault:
            raise refusal(fault) from fault

    def _describe(self, call: ServiceCall, arn: str) -> dict[str, Json]:
        nested = _door(call, {"StateMachineArn": _machine_of(arn)})
        operation = SERVICE.model.operation_model("DescribeExecution")
        if nested is None:
            answer: Answer = send(SERVICE, operation, {"executionArn": arn}, call)
        else:
            try:
                answer = nested.describe(arn)
            except NestedRefused as fault:
                raise refusal(fault) from fault
            dates = {name: answer[name] for name in ("startDate", "stopDate") if answer.get(name)}
            answer |= {name: datetime.fromtimestamp(at, UTC) for name, at in dates.items()}
        shown = to_json_v1(operation.output_shape, answer)
        shown = {name: shown[name] for name in sorted(shown)}
        for name in ("InputDetails", "OutputDetails"):
            if name in shown:
                shown[name] = {"Included": bool(shown[name].get("Included"))}
        # Recorded: what is told of redrives stands in the results of tasks with Credentials alone.
        hidden = () if call.role_arn else _REDRIVES
        return {name: value for name, value in shown.items() if name not in hidden}


def _machine_of(execution_arn: str) -> str:
    """The state machine of a (standard or express) execution's ARN."""
    parts = execution_arn.split(":")
    return ":".join([*parts[:5], "stateMachine", parts[6]])


INTEGRATION: Integration = StartExecution(
    SERVICE,
    "Start an execution of a state machine, of this service or of AWS; .sync waits for its end",
    Action(
        name="startExecution",
        forms=(PLAIN, SYNC, SYNC2, CALLBACK),
        fields=_FIELDS,
        required=("StateMachineArn",),
        prepare=prepare,
    ),
)
