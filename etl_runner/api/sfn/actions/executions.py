"""Executions: start, stop, describe, list."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from etl_runner.api.edge import blocking
from etl_runner.api.sfn.call import Action, Call, Reply, committed
from etl_runner.api.sfn.describe import described, find_execution, find_map_run, listed
from etl_runner.api.sfn.errors import AwsError, invalid_token, validation_error
from etl_runner.api.sfn.paging import page_size
from etl_runner.api.sfn.starting import find_target, start_request, type_not_supported
from etl_runner.engine.knocks import ExecutionExists, StartRequest
from etl_runner.errors import InvalidInput
from etl_runner.store.reads import ExecutionQuery, Reads

PENDING_REDRIVE: Final = "PENDING_REDRIVE"


async def start_execution(call: Call) -> Reply:
    """StartExecution: answered once the execution is on the disk."""
    request = await blocking(_start_request, call)
    try:
        started = await committed(call.rooms.engine.start(request))
    except ExecutionExists as taken:
        raise AwsError(taken.code, str(taken)) from None
    return {"executionArn": started.arn, "startDate": started.started_ms / 1000}


def _start_request(call: Call) -> StartRequest:
    given = call.parameters
    return start_request(
        find_target(call.rooms, given["stateMachineArn"]),
        limits=call.rooms.limits,
        name=given.get("name"),
        input_text=given.get("input", "{}"),
        trace_header=given.get("traceHeader"),
    )


async def stop_execution(call: Call) -> Reply:
    """StopExecution: answered once the end is on the disk; for one that had ended, when it did."""
    given, reads = call.parameters, Reads(call.rooms.store)
    row = await blocking(find_execution, reads, given["executionArn"])
    await committed(call.rooms.engine.stop(row.id, error=given.get("error"), cause=given.get("cause")))
    ended = await blocking(reads.by_id, row.id)
    stopped_ms = None if ended is None else ended.stopped_ms  # none where it was redriven meanwhile
    return {"stopDate": (stopped_ms or call.now_ms) / 1000}


def describe_execution(call: Call) -> Reply:
    """DescribeExecution."""
    reads = Reads(call.rooms.store)
    row = find_execution(reads, call.parameters["executionArn"])
    map_run_arn = None if row.map_run_id is None else reads.map_run_arn(row.map_run_id)
    data = call.parameters.get("includedData") != "METADATA_ONLY"
    return described(row, call.rooms.histories, call.now_ms, map_run_arn=map_run_arn, data=data)


def list_executions(call: Call) -> Reply:
    """ListExecutions: of a state machine, version or alias, or the children of a map run; newest first."""
    given, reads = call.parameters, Reads(call.rooms.store)
    machine_arn, map_run_arn = given.get("stateMachineArn"), given.get("mapRunArn")
    if (machine_arn is None) == (map_run_arn is None):
        raise validation_error("Must specify either a stateMachineArn or a mapRunArn, but not both")
    map_run = None if map_run_arn is None else find_map_run(reads, map_run_arn)
    status, redriven = given.get("statusFilter"), given.get("redriveFilter")
    query = replace(
        _of_machine(call, str(machine_arn)) if map_run is None else ExecutionQuery(map_run=map_run.id),
        status=status,
        redriven=None if redriven is None else redriven == "REDRIVEN",
    )
    if status == PENDING_REDRIVE:
        return {"executions": []}  # what is redriven here runs at once
    try:
        page = reads.executions(query, limit=page_size(given), token=given.get("nextToken"))
    except InvalidInput:
        raise invalid_token() from None
    shown = [listed(row, map_run_arn) for row in page.rows]
    if map_run is not None:
        shown = [{**each, "itemCount": row.items or 1} for each, row in zip(shown, page.rows, strict=True)]
    return {"executions": shown} | ({} if page.next_token is None else {"nextToken": page.next_token})


def _of_machine(call: Call, arn: str) -> ExecutionQuery:
    """Which executions the ARN of a state machine, a version or an alias stands for."""
    target = find_target(call.rooms, arn)
    if target.express:
        raise type_not_supported()
    if arn == target.arn:
        return ExecutionQuery(machine=arn)
    by_alias = target.alias_arn is not None
    return ExecutionQuery(
        machine=target.arn, alias=arn if by_alias else None, version=None if by_alias else arn
    )


ACTIONS: Final[Mapping[str, Action]] = {
    "StartExecution": start_execution,
    "StopExecution": stop_execution,
    "DescribeExecution": describe_execution,
    "ListExecutions": list_executions,
}
