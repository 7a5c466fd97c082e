"""What DescribeExecution, ListExecutions and RedriveExecution say of an execution."""

from etl_runner.api.sfn.arns import read_arn
from etl_runner.api.sfn.call import Reply
from etl_runner.api.sfn.errors import AwsError
from etl_runner.api.sfn.histories import Histories
from etl_runner.engine.redrive import redrive_status
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.machine.facts import ExecutionStarted
from etl_runner.machine.state import Status
from etl_runner.store.reads import ExecutionSummary, MapRunSummary, Reads


def does_not_exist(arn: str) -> AwsError:
    """ExecutionDoesNotExist."""
    return AwsError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")


def find_execution(reads: Reads, arn: str) -> ExecutionSummary:
    """The execution of an ARN. Raises AwsError InvalidArn and ExecutionDoesNotExist, and StoreError."""
    read_arn(arn, "execution")
    found = reads.by_arn(arn)
    if found is None:
        raise does_not_exist(arn)
    return found


def find_map_run(reads: Reads, arn: str) -> MapRunSummary:
    """The map run of an ARN. Raises AwsError InvalidArn and ResourceNotFound, and StoreError."""
    read_arn(arn, "mapRun")
    found = reads.map_run(arn)
    if found is None:
        raise AwsError("ResourceNotFound", f"Resource not found: '{arn}'", members={"resourceName": arn})
    return found


def listed(row: ExecutionSummary, map_run_arn: str | None = None) -> Reply:
    """An execution as ListExecutions has it; with `map_run_arn` as a child of that map run."""
    shown: Reply = {
        "executionArn": row.arn,
        "stateMachineArn": row.state_machine_arn,
        "name": row.name,
        "status": row.status,
        "startDate": row.started_ms / 1000,
        "redriveCount": row.redrive_count,
    }
    told: dict[str, Json] = {
        "stopDate": seconds(row.stopped_ms),
        "mapRunArn": map_run_arn,
        "stateMachineVersionArn": row.state_machine_version_arn,
        "stateMachineAliasArn": row.state_machine_alias_arn,
        "redriveDate": seconds(row.redriven_ms),
    }
    return shown | {name: value for name, value in told.items() if value is not None}


def described(
    row: ExecutionSummary, histories: Histories, now_ms: int, *, map_run_arn: str | None, data: bool = True
) -> Reply:
    """An execution as DescribeExecution has it; without `data`, of inputs and outputs only that they are.

    Raises StoreError.
    """
    shown = listed(row, map_run_arn)
    shown |= included("input", input_text(histories.start(row)) if data else None)
    if row.status == Status.SUCCEEDED:
        shown |= included("output", output_text(row, histories) if data else None)
    elif row.status != Status.TIMED_OUT:  # of that, error and cause are told in the history alone
        failure = {"error": row.error, "cause": row.cause}
        shown |= {name: text for name, text in failure.items() if text is not None}
    if row.trace_header is not None:
        shown["traceHeader"] = row.trace_header
    return shown | _redrive_status(row, histories, now_ms)


def included(name: str, text: str | None) -> Reply:
    """A payload with its details; without a text, only that it was left out."""
    details: Reply = {f"{name}Details": {"included": text is not None}}
    return details if text is None else {name: text, **details}


def input_text(start: ExecutionStarted) -> str:
    """The input as it was sent."""
    return dumps_text(start.input) if start.input_text is None else start.input_text


def output_text(row: ExecutionSummary, histories: Histories) -> str:
    """The output of an execution that succeeded. Raises StoreError."""
    text: str = histories.last(row)["executionSucceededEventDetails"]["output"]
    return text


def _redrive_status(row: ExecutionSummary, histories: Histories, now_ms: int) -> Reply:
    by_map_run = row.map_run_id is not None
    status, reason = redrive_status(
        row.status, row.stopped_ms, row.redrive_count, now_ms, by_map_run=by_map_run
    )
    if reason is None:
        reason = histories.redrive_refusal(row)
    if reason is None:
        return {"redriveStatus": status}
    return {"redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": reason}


def seconds(at_ms: int | None) -> float | None:
    """A time as answers have it."""
    return None if at_ms is None else at_ms / 1000
