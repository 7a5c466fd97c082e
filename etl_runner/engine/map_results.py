"""The result of a map run: an array of the children's outputs, or files that ResultWriter puts in S3."""

from collections.abc import Iterator
from typing import Final

from msgspec import UNSET

from etl_runner.aws import AwsAccess
from etl_runner.clock import to_iso
from etl_runner.errors import StatesError
from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES, Json, dumps, dumps_text
from etl_runner.machine.facts import Fact
from etl_runner.machine.state import fold
from etl_runner.s3.results import write_results
from etl_runner.store.store import MapRunRow, Store

PUT_OBJECT: Final = "arn:aws:states:::s3:putObject"


def gather(store: Store, aws: AwsAccess, row: MapRunRow, plan: Json) -> Json:
    """Give the Map state's result. Raises StatesError when it is too large or cannot be written."""
    writer = plan.get("writer")
    if writer is None:
        return _outputs(store, row)
    if writer["resource"] != PUT_OBJECT:
        raise StatesError(
            "States.ResultWriterFailed",
            f"the ResultWriter resource {writer['resource']} is not supported yet",
        )
    return write_results(
        writer["parameters"]["Bucket"],
        writer["parameters"].get("Prefix", ""),
        row.arn,
        _results(store, row),
        s3=aws.client("s3"),
    )


def _outputs(store: Store, row: MapRunRow) -> list[Json]:
    outputs: list[Json] = []
    size = 2
    for child, facts in store.children(row.id):
        output = _output(facts) if child.status == "SUCCEEDED" else None
        if child.status != "SUCCEEDED":
            continue
        size += len(dumps(output)) + 1
        if size > PAYLOAD_LIMIT_BYTES:
            raise StatesError(
                "States.DataLimitExceeded",
                "The state/task returned a result with a size exceeding the maximum number of bytes service "
                "limit. Use a ResultWriter, which puts the results of the children in S3.",
            )
        outputs.append(output)
    return outputs


def _output(facts: list[Fact]) -> Json:
    output = fold([(0, facts)]).output
    return None if output is UNSET else output


def _results(store: Store, row: MapRunRow) -> Iterator[Json]:
    for child, facts in store.children(row.id):
        machine = fold([(child.started_ms, facts)])
        result: dict[str, Json] = {
            "ExecutionArn": child.arn,
            "Input": dumps_text(machine.start.input),
            "InputDetails": {"Included": True},
            "Name": child.name,
            "StartDate": to_iso(child.started_ms),
            "StateMachineArn": child.state_machine_arn,
            "Status": child.status,
        }
        if machine.output is not UNSET:
            result["Output"] = dumps_text(machine.output)
            result["OutputDetails"] = {"Included": True}
        if machine.error is not None:
            result["Error"] = machine.error
        if machine.cause is not None:
            result["Cause"] = machine.cause
        yield result
