"""Map runs: listed, described, changed while they run."""

from collections.abc import Mapping
from typing import Final

from etl_runner.api.edge import blocking
from etl_runner.api.sfn.arns import read_arn
from etl_runner.api.sfn.call import Action, Call, Reply, committed
from etl_runner.api.sfn.describe import find_execution, find_map_run, seconds
from etl_runner.api.sfn.errors import validation_error
from etl_runner.api.sfn.paging import make_token, page_size, place_of
from etl_runner.arn import Arn
from etl_runner.engine.map_runs import MapRunNotRunning
from etl_runner.jsontypes import Json
from etl_runner.store.reads import MapRunSummary, Reads

_COLUMNS: Final = {
    "maxConcurrency": "max_concurrency",
    "toleratedFailureCount": "tolerated_count",
    "toleratedFailurePercentage": "tolerated_percentage",
}


def list_map_runs(call: Call) -> Reply:
    """ListMapRuns: those that an execution started, in the order of their start."""
    given, reads = call.parameters, Reads(call.rooms.store)
    row = find_execution(reads, given["executionArn"])
    size, question = page_size(given), ["map runs", row.arn]
    after = place_of(given.get("nextToken"), question, int) or 0
    runs = [run for run in reads.map_runs(row.id) if run.id > after]
    reply: Reply = {"mapRuns": [_listed(run, row.arn) for run in runs[:size]]}
    return reply | ({"nextToken": make_token(question, runs[size - 1].id)} if len(runs) > size else {})


def describe_map_run(call: Call) -> Reply:
    """DescribeMapRun. Of redrives it says nothing until there was one."""
    reads = Reads(call.rooms.store)
    run = find_map_run(reads, call.parameters["mapRunArn"])
    parent = reads.by_id(run.execution_id)
    assert parent is not None
    times: dict[str, Json] = {"stopDate": seconds(run.stopped_ms), "redriveDate": seconds(run.redriven_ms)}
    return {
        "mapRunArn": run.arn,
        "executionArn": parent.arn,
        "status": run.status,
        "startDate": run.started_ms / 1000,
        "maxConcurrency": run.max_concurrency,
        "toleratedFailurePercentage": float(run.tolerated_percentage),
        "toleratedFailureCount": run.tolerated_count or 0,
        **_counts(run),
        **({"redriveCount": run.redrive_count} if run.redrive_count else {}),
        **{name: at for name, at in times.items() if at is not None},
    }


def _counts(run: MapRunSummary) -> Reply:
    waiting = max(0, run.items_known - run.items_started)
    # How many items a child will have that is not made yet is known where each has one.
    to_be_made = waiting if run.items_started == run.children_started else 0
    return {
        "itemCounts": _by_status(run, run.item_counts, waiting, run.pending_redrive_items),
        "executionCounts": _by_status(run, run.counts, to_be_made, run.pending_redrive),
    }


def _by_status(run: MapRunSummary, counts: Mapping[str, int], pending: int, to_redrive: int) -> Reply:
    shown = {
        "pending": pending,
        "running": counts["RUNNING"],
        "succeeded": counts["SUCCEEDED"],
        "failed": counts["FAILED"],
        "timedOut": counts["TIMED_OUT"],
        "aborted": counts["ABORTED"],
    }
    ended = sum(counts.values()) - counts["RUNNING"]
    total = sum(shown.values()) + to_redrive
    redriven = {"failuresNotRedrivable": 0, "pendingRedrive": to_redrive} if run.redrive_count else {}
    return {**shown, "total": total, "resultsWritten": ended if run.results_written else 0, **redriven}


def _listed(run: MapRunSummary, execution_arn: str) -> Reply:
    arn = Arn.parse(execution_arn)
    labelled = read_arn(run.arn, "mapRun").names[0]
    machine = f"arn:{arn.partition}:states:{arn.region}:{arn.account}:stateMachine:{labelled}"
    shown: Reply = {
        "executionArn": execution_arn,
        "mapRunArn": run.arn,
        "stateMachineArn": machine,
        "startDate": run.started_ms / 1000,
    }
    return shown if run.stopped_ms is None else {**shown, "stopDate": run.stopped_ms / 1000}


async def update_map_run(call: Call) -> Reply:
    """UpdateMapRun: answered once the new bounds are on the disk, which hold from then on."""
    given = call.parameters
    run = await blocking(find_map_run, Reads(call.rooms.store), given["mapRunArn"])
    changes = {column: given[name] for name, column in _COLUMNS.items() if name in given}
    try:
        await committed(call.rooms.engine.update_map_run(run.id, changes))
    except MapRunNotRunning:
        raise validation_error(
            f"Map Run already completed: '{run.arn}'", "CANNOT_UPDATE_COMPLETED_MAP_RUN"
        ) from None
    return {}


ACTIONS: Final[Mapping[str, Action]] = {
    "ListMapRuns": list_map_runs,
    "DescribeMapRun": describe_map_run,
    "UpdateMapRun": update_map_run,
}
