"""The result of a map run: an array of the children's results, or files that ResultWriter puts in S3."""

from collections.abc import Iterator
from typing import Final

from msgspec import UNSET

from etl_runner.aws import AwsAccess
from etl_runner.clock import to_iso
from etl_runner.errors import StatesError
from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES, Json, dumps_text, loads
from etl_runner.machine.state import fold
from etl_runner.s3.results import RESULT_WRITER_FAILED, entries_of, write_results
from etl_runner.store.store import MapRunRow, Store

PUT_OBJECT: Final = ":states:::s3:putObject"


def gather(store: Store, aws: AwsAccess, row: MapRunRow, plan: Json) -> Json:
    """Give the Map state's result. Raises StatesError when it is too large or cannot be written."""
    writer = plan.get("writer") or {"resource": "", "config": {}}
    if not writer["resource"]:
        return _in_the_state(store, row, writer["config"].get("Transformation", "COMPACT"))
    if not writer["resource"].endswith(PUT_OBJECT):
        raise StatesError(
            RESULT_WRITER_FAILED,
            f"the ResultWriter has the Resource {writer['resource']}; it takes arn:aws{PUT_OBJECT}",
        )
    bucket, prefix = _place(writer["parameters"])
    try:
        return write_results(
            bucket, prefix, row.arn, _results(store, row), config=writer["config"], s3=aws.client("s3")
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


def _in_the_state(store: Store, row: MapRunRow, transformation: str) -> list[Json]:
    """The results as the state's own, bounded by what a state's output may have."""
    results: list[Json] = []
    size = 2
    for child in _results(store, row):
        for entry in entries_of(child, transformation):
            size += len(entry) + 1
            if size > PAYLOAD_LIMIT_BYTES:
                raise StatesError(
                    "States.DataLimitExceeded",
                    "The state/task returned a result with a size exceeding the maximum number of bytes "
                    "service limit. Use a ResultWriter, which puts the results of the children in S3.",
                )
            results.append(loads(entry))
    return results


def _results(store: Store, row: MapRunRow) -> Iterator[Json]:
    for child, pages in store.children(row.id):
        machine = fold(pages)
        result: dict[str, Json] = {
            "ExecutionArn": child.arn,
            "Input": dumps_text(machine.start.input),
            "InputDetails": {"Included": True},
            "Name": child.name,
            "StartDate": to_iso(child.started_ms),
            "StateMachineArn": child.state_machine_arn,
            "Status": child.status,
            "StopDate": to_iso(pages[-1][0]),
        }
        if machine.output is not UNSET:
            result["Output"] = dumps_text(machine.output)
            result["OutputDetails"] = {"Included": True}
        if machine.error is not None:
            result["Error"] = machine.error
        if machine.cause is not None:
            result["Cause"] = machine.cause
        yield result
