"""StartSyncExecution."""

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET

from etl_runner.api.edge import blocking
from etl_runner.api.sfn.call import Action, Call, Reply
from etl_runner.api.sfn.describe import included
from etl_runner.api.sfn.errors import AwsError
from etl_runner.api.sfn.starting import find_target, start_request, type_not_supported
from etl_runner.api.sfn.waiting import unless_left
from etl_runner.engine.knocks import Ended, StartRequest
from etl_runner.jsontypes import dumps_text

MEMORY_MB: Final = 64
"""AWS bills Express executions in steps of 64 MB; how much ours take nobody measures."""


async def start_sync_execution(call: Call) -> Reply:
    """StartSyncExecution: answered when the execution has ended, with what became of it."""
    request = await blocking(_request, call)
    ended = await unless_left(call, call.rooms.engine.start_sync(request))
    if ended is None:
        raise AwsError("ServiceUnavailableException", "The service is stopping; start it anew.", 503)
    return _told(call, request, ended)


def _request(call: Call) -> StartRequest:
    given = call.parameters
    target = find_target(call.rooms, given["stateMachineArn"])
    if not target.express:
        raise type_not_supported()
    return start_request(
        target,
        limits=call.rooms.limits,
        name=given.get("name"),
        input_text=given.get("input", "{}"),
        trace_header=given.get("traceHeader"),
        sync=True,
    )


def _told(call: Call, request: StartRequest, ended: Ended) -> Reply:
    told: Reply = {
        "executionArn": ended.arn,
        "stateMachineArn": request.state_machine_arn,
        "name": request.name,
        "startDate": ended.started_ms / 1000,
        "stopDate": ended.stopped_ms / 1000,
        "status": ended.status.value,
        "error": ended.error,
        "cause": ended.cause,
        "traceHeader": request.trace_header,
        "billingDetails": {
            "billedMemoryUsedInMB": MEMORY_MB,
            "billedDurationInMilliseconds": ended.billed_ms,
        },
    }
    told = {name: value for name, value in told.items() if value is not None}
    if call.parameters.get("includedData") == "METADATA_ONLY":
        return told | included("input", None) | included("output", None)
    input_text = request.input_text or dumps_text(request.input)
    told |= included("input", input_text)
    if ended.output is UNSET:
        return told | {"outputDetails": {"included": True}}
    # What comes out as it went in keeps its text, as in histories.
    unchanged = ended.output is request.input
    return told | included("output", input_text if unchanged else dumps_text(ended.output))


ACTIONS: Final[Mapping[str, Action]] = {"StartSyncExecution": start_sync_execution}
