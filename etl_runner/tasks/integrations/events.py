"""`events:putEvents`: events to a bus of EventBridge, with the execution among their resources."""

from typing import Any, Final

from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.tasks import aws_faults
from etl_runner.tasks.aws_optimised import WITH_CALLBACK, Action, Answer, Given, Optimised, Service
from etl_runner.tasks.aws_shapes import json_text, to_json_v1
from etl_runner.tasks.integration import Integration, ServiceCall

SERVICE = Service(name="events", boto3_name="events", title="EventBridge", long_title="EventBridge")
_NO_SOURCE: Final = {
    "ErrorCode": "InvalidArgument",
    "ErrorMessage": "Parameter Source is not valid. Reason: Source is a required argument.",
}


def prepare(given: Given, call: ServiceCall) -> Given:
    """Make text of each Detail, and add state machine and execution to the resources, as AWS does."""
    entries = given.get("Entries")
    if not isinstance(entries, list):
        return given
    return {**given, "Entries": [_entry(entry, call) for entry in entries]}


def _entry(entry: Json, call: ServiceCall) -> Json:
    if not isinstance(entry, dict):
        return entry
    resources = entry.get("Resources") or []
    made = {**entry, "Resources": [*resources, call.state_machine_arn, call.execution_arn]}
    if entry.get("Detail") is not None:
        made["Detail"] = json_text(entry["Detail"])
    return made


def result(_service: Service, operation: Any, answer: Answer) -> Json:
    """The entries, without metadata. Raises StatesError when the bus refused one of them."""
    made = to_json_v1(operation.output_shape, answer)
    entries = [_refusal(entry) for entry in made.get("Entries", [])]
    shown = {"Entries": entries, "FailedEntryCount": made.get("FailedEntryCount", 0)}
    if shown["FailedEntryCount"]:
        raise StatesError("EventBridge.FailedEntry", dumps_text(shown))
    return shown


def _refusal(entry: Json) -> Json:
    # AWS says it so (recorded); stand-ins have words of their own for it.
    if entry.get("ErrorCode") == "InvalidArgument" and "Source" in entry.get("ErrorMessage", ""):
        return _NO_SOURCE
    return entry


def refused(fault: Any, _call: ServiceCall) -> StatesError | None:
    """An error answer in the words of Java SDK 2, which this integration uses."""
    operation = SERVICE.model.operation_model("PutEvents")
    return aws_faults.refused(fault, SERVICE.model, operation)


INTEGRATION: Integration = Optimised(
    SERVICE,
    "Send events to an EventBridge bus; the task fails when one of them is refused",
    Action(
        name="putEvents",
        forms=WITH_CALLBACK,
        required=("Entries",),
        prepare=prepare,
        result=result,
        refused=refused,
    ),
)
