"""The result of a map run: an array of the children's results, or files that ResultWriter puts in S3."""

from collections.abc import Iterator
from typing import Final

from msgspec import UNSET

from etl_runner.arn import child_execution_arn
from etl_runner.aws import AwsAccess
from etl_runner.clock import to_iso
from etl_runner.engine.map_run import Run
from etl_runner.engine.redrive import redrive_status
from etl_runner.errors import StatesError
from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES, Json, dumps_text, loads
from etl_runner.machine.facts import Fact
from etl_runner.machine.state import fold
from etl_runner.s3.results import RESULT_WRITER_FAILED, entries_of, write_results
from etl_runner.store.store import ExecutionRow, Store

PUT_OBJECT: Final = ":states:::s3:putObject"


def gather(store: Store, aws: AwsAccess, run: Run, limit_bytes: int = PAYLOAD_LIMIT_BYTES) -> Json:
    """Give the Map state's result; of a run that failed, write what a ResultWriter asks for and give null.

    A result that is not written may have `limit_bytes`. Raises StatesError for one that is too large or
    cannot be written.
    """
    if run.failure is not None and run.next_index == 0:
        return None  # nothing has begun, so there is nothing to tell of
    writer = run.plan.get("writer") or {"resource": "", "config": {}}
    if not writer["resource"]:
        if run.failure is not None:
            return None
        return _in_the_state(store, run, writer["config"], limit_bytes)
    if not writer["resource"].endswith(PUT_OBJECT):
        raise StatesError(
            RESULT_WRITER_FAILED,
            f"the ResultWriter has the Resource {writer['resource']}; it takes arn:aws{PUT_OBJECT}",
        )
    bucket, prefix = _place(writer["parameters"])
    try:
        return write_results(
            bucket, prefix, run.row.arn, _results(store, run), config=writer["config"], s3=aws.client("s3")
        )
    except StatesError as error:
        # Whatever S3 says ("S3.NoSuchBucket"), the state fails by the one name that AWS documents for it.
        raise StatesError(RESULT_WRITER_FAILED, str(error)) from error


def _place(parameters: Json) -> tuple[str, str]:
    """Bucket and Prefix. Raises StatesError where they are no texts."""
    given = parameters if isinstance(parameters, dict) else {}
    bucket, prefix = given.get("Bucket"), given.get("Prefix", "")
    if not isinstance(bucket, str) or not bucket or not isinstance(prefix, str):
        raise StatesError(
            RESULT_WRITER_FAILED,
            "the ResultWriter's Parameters need Bucket, and may have Prefix, as texts; "
            f"they are {dumps_text(parameters)}",
        )
    return bucket, prefix


def _in_the_state(store: Store, run: Run, config: Json, limit_bytes: int) -> Json:
    """The results as the state's own, bounded by what a state's output may have; lines as one text."""
    results: list[bytes] = []
    size = 2
    for child in _results(store, run):
        for entry in entries_of(child, config.get("Transformation", "COMPACT")):
            size += len(entry) + 1
            if size > limit_bytes:
                raise StatesError(
                    "States.DataLimitExceeded",
                    "The state/task returned a result with a size exceeding the maximum number of bytes "
                    "service limit. Use a ResultWriter, which puts the results of the children in S3.",
                )
            results.append(entry)
    if config.get("OutputType") == "JSONL":
        return "".join(f"{entry.decode()}\n" for entry in results)
    return [loads(entry) for entry in results]


def _results(store: Store, run: Run) -> Iterator[Json]:
    for child, pages in store.children(run.row.id):
        yield _ended(child, pages)
    if run.failure is not None:
        yield from _pending(run)


def _ended(child: ExecutionRow, pages: list[tuple[int, list[Fact]]]) -> Json:
    """One child as AWS records it, its keys in AWS's order."""
    machine = fold(pages)
    ended_ms = pages[-1][0]
    status, reason = redrive_status(child.status, None, machine.redrives, ended_ms)
    result: dict[str, Json] = {}
    if machine.cause is not None:
        result["Cause"] = machine.cause
    if machine.error is not None:
        result["Error"] = machine.error
    result |= {
        "ExecutionArn": child.arn,
        "Input": dumps_text(machine.start.input),
        "InputDetails": {"Included": True},
        "Name": child.name,
    }
    if machine.output is not UNSET:
        result |= {"Output": dumps_text(machine.output), "OutputDetails": {"Included": True}}
    if machine.redriven_ms is not None:
        result["RedriveDate"] = to_iso(machine.redriven_ms)
    result |= {"RedriveCount": machine.redrives, "RedriveStatus": status}
    if reason is not None:
        result["RedriveStatusReason"] = reason
    return result | {
        "StartDate": to_iso(child.started_ms),
        "StateMachineArn": child.state_machine_arn,
        "Status": child.status,
        "StopDate": to_iso(ended_ms),
    }


def _pending(run: Run) -> Iterator[Json]:
    """The children that were read and never started, since the run failed before."""
    parent, label, index = run.parent, run.plan["label"], run.next_index
    taken = run.taken
    for page in run.feeder.ahead():
        for child in page.children[taken:]:
            name = f"{run.row.id:x}-{index}"
            yield {
                "ExecutionArn": child_execution_arn(parent.state_machine_arn, label, name),
                "Input": dumps_text(child.input),
                "InputDetails": {"Included": True},
                "Name": name,
                "RedriveCount": 0,
                "StateMachineArn": f"{parent.state_machine_arn}/{label}",
                "Status": "PENDING",
            }
            index += 1
        taken = 0
