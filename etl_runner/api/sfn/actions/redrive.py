"""RedriveExecution."""

from collections.abc import Mapping
from typing import Final

from etl_runner.api.edge import blocking
from etl_runner.api.sfn.call import Action, Call, Reply, committed
from etl_runner.api.sfn.describe import find_execution
from etl_runner.api.sfn.errors import AwsError
from etl_runner.engine.redrive import NotRedrivable
from etl_runner.store.reads import ExecutionSummary, Reads

BY_MAP_RUN: Final = "Execution was started by a Map Run and is redriven with it"


async def redrive_execution(call: Call) -> Reply:
    """RedriveExecution: answered once what goes on is on the disk."""
    row = await blocking(_find, call)
    try:
        redriven = await committed(call.rooms.engine.redrive(row.id, call.parameters.get("clientToken")))
    except NotRedrivable as refused:
        raise AwsError(refused.code, str(refused)) from None
    return {"redriveDate": redriven.redriven_ms / 1000}


def _find(call: Call) -> ExecutionSummary:
    row = find_execution(Reads(call.rooms.store), call.parameters["executionArn"])
    if row.map_run_id is not None:
        raise AwsError(NotRedrivable.code, BY_MAP_RUN)
    return row


ACTIONS: Final[Mapping[str, Action]] = {"RedriveExecution": redrive_execution}
