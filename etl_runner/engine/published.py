"""What the world is told of executions, in AWS's shapes: status changes for EventBridge, lines for the log.

Source: developer guide, "Automating Step Functions event delivery with EventBridge" and "Using CloudWatch
Logs to log execution history"; what they leave open is as recorded events show it.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET

from etl_runner.clock import to_datetime
from etl_runner.engine.redrive import redrive_status
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.machine import facts as f
from etl_runner.machine.aws_events import HistoryEvent
from etl_runner.machine.state import Machine, Status

SOURCE: Final = "aws.states"
DETAIL_TYPE: Final = "Step Functions Execution Status Change"

DATA_LIMIT_BYTES: Final = 248 * 1024
"""Input and output together; longer ones are left out of the event."""

_FATAL: Final = frozenset({"ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"})
_ERRORS: Final = ("Failed", "Aborted", "TimedOut")
_DATA: Final = frozenset({"inputDetails", "outputDetails", "resultDetails", "errorDetails", "causeDetails"})

CHANGES: Final = (
    f.ExecutionStarted,
    f.ExecutionSucceeded,
    f.ExecutionFailed,
    f.ExecutionTimedOut,
    f.ExecutionAborted,
    f.ExecutionRedriven,
)
"""The facts that change an execution's status."""


def status_event(machine: Machine, at_ms: int) -> dict[str, Json]:
    """The entry for PutEvents that tells of the status that an execution has had since `at_ms`."""
    start, status = machine.start, machine.status
    stopped_ms = None if status is Status.RUNNING else at_ms
    redrivable, reason = redrive_status(status, stopped_ms, machine.redrives, at_ms)
    given = dumps_text(start.input) if start.input_text is None else start.input_text
    output = None if machine.output is UNSET or status is not Status.SUCCEEDED else dumps_text(machine.output)
    shown = len(given.encode()) + len((output or "").encode()) <= DATA_LIMIT_BYTES
    detail: dict[str, Json] = {
        "executionArn": start.execution_arn,
        "stateMachineArn": start.state_machine_arn,
        "name": start.name,
        "status": status.value,
        "startDate": machine.started_ms,
        "stopDate": stopped_ms,
        "input": given if shown else None,
        "output": output if shown else None,
        "stateMachineVersionArn": start.state_machine_version_arn,
        "stateMachineAliasArn": start.state_machine_alias_arn,
        "redriveCount": machine.redrives,
        "redriveDate": machine.redriven_ms,
        "redriveStatus": redrivable,
        "redriveStatusReason": reason,
        "inputDetails": {"included": shown},
        "outputDetails": None if output is None else {"included": shown},
        "error": machine.error,
        "cause": machine.cause,
    }
    return {
        "Time": to_datetime(at_ms),
        "Source": SOURCE,
        "DetailType": DETAIL_TYPE,
        "Resources": [start.execution_arn],
        "Detail": dumps_text(detail),
    }


def is_logged(kind: str, level: str) -> bool:
    """Whether an event of this type is logged at a level (ALL, ERROR, FATAL or OFF)."""
    match level:
        case "ALL":
            return True
        case "ERROR":
            return kind.endswith(_ERRORS) or kind == "FailStateEntered"
        case "FATAL":
            return kind in _FATAL
        case _:
            return False


def log_line(event: HistoryEvent, execution_arn: str, redrives: int) -> str:
    """One event of a history as the log has it. Its data is there if the event has it."""
    given: dict[str, Json] = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
    # Where data is left out, AWS's log does not say that it was not truncated either.
    details = {
        key: value for key, value in given.items() if key not in _DATA or key.removesuffix("Details") in given
    }
    return dumps_text(
        {
            "id": str(event["id"]),
            "type": event["type"],
            "details": details,
            "previous_event_id": str(event["previousEventId"]),
            "event_timestamp": str(event["timestamp"]),
            "execution_arn": execution_arn,
            "redrive_count": str(redrives),
        }
    )


def log_groups(logging: Json) -> Sequence[tuple[str, str]]:
    """`(region, name)` of the log groups that a logging configuration names."""
    found = []
    for destination in logging.get("destinations") or ():
        arn = (destination.get("cloudWatchLogsLogGroup") or {}).get("logGroupArn", "")
        parts = arn.split(":")
        if len(parts) >= 7 and parts[2] == "logs":
            found.append((parts[3], parts[6]))
    return found
