"""What a Distributed Map with a ResultWriter leaves in S3, in the files and the form of Step Functions.

Under `prefix/<map run id>/`: SUCCEEDED_n.json, FAILED_n.json (failed, timed out and aborted children) and
PENDING_n.json (never started), each a JSON array, and manifest.json, written last: who finds the manifest
finds all of it.
"""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Final, Self

from etl_runner.arn import Arn
from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json, dumps, dumps_text
from etl_runner.s3.connection import client
from etl_runner.s3.write import put_versioned
from etl_runner.s3.writer import VersionedWriter

FILE_BYTES: Final = 5 * 1000**3
"""Step Functions begins another file when one reaches 5 GB."""

_FILE_OF_STATUS: Final = {
    "SUCCEEDED": "SUCCEEDED",
    "FAILED": "FAILED",
    "TIMED_OUT": "FAILED",
    "ABORTED": "FAILED",
    "PENDING": "PENDING",
}
_CONTENT_TYPE: Final = "application/json"


def write_results(
    bucket: str,
    prefix: str,
    map_run_arn: str,
    children: Iterable[Mapping[str, Json]],
    *,
    file_bytes: int = FILE_BYTES,
    s3: Any = None,
) -> dict[str, Json]:
    """Write the outcome of a map run's children; give what becomes the Map state's result.

    `children` are `{"ExecutionArn", "Name", "Input", "Output" | "Error" and "Cause", "Status", "StartDate",
    "StopDate", ...}` and are taken one at a time; Input and Output become JSON texts if they are not texts.
    Writing the same children in the same order again makes no new versions.
    Returns `{"MapRunArn", "ResultWriterDetails": {"Bucket", "Key"}}`.
    Raises InvalidInput for a status it does not know, StatesError when S3 refuses or stays away.
    """
    s3 = s3 if s3 is not None else client()
    run_id = Arn.parse(map_run_arn).resource.rpartition(":")[2]
    folder = "/".join(part for part in (prefix.strip("/"), run_id) if part)
    with ExitStack() as open_files:
        files = {
            name: open_files.enter_context(_RollingFile(s3, bucket, folder, name, file_bytes))
            for name in ("FAILED", "PENDING", "SUCCEEDED")
        }
        for child in children:
            files[_file_of(child)].add(_record(child))
    manifest = {
        "DestinationBucket": bucket,
        "MapRunArn": map_run_arn,
        "ResultFiles": {name: file.written for name, file in files.items()},
    }
    key = f"{folder}/manifest.json"
    put_versioned(
        bucket,
        key,
        dumps(manifest),
        idempotency_key=f"{run_id}/manifest",
        content_type=_CONTENT_TYPE,
        s3=s3,
    )
    return {"MapRunArn": map_run_arn, "ResultWriterDetails": {"Bucket": bucket, "Key": key}}


def _file_of(child: Mapping[str, Json]) -> str:
    file = _FILE_OF_STATUS.get(child.get("Status", ""))
    if file is None:
        raise InvalidInput(
            f"the child {child.get('Name')!r} of the map run has status {child.get('Status')!r}; "
            f"results take {', '.join(_FILE_OF_STATUS)}"
        )
    return file


def _record(child: Mapping[str, Json]) -> bytes:
    record = dict(child)
    for name in ("Input", "Output"):
        if name in record:
            if not isinstance(record[name], str):
                record[name] = dumps_text(record[name])
            record.setdefault(f"{name}Details", {"Included": True})
    return dumps(record)


class _RollingFile:
    """SUCCEEDED_0.json, SUCCEEDED_1.json ...: JSON arrays, another one when one is full. None when empty."""

    def __init__(self, s3: Any, bucket: str, folder: str, name: str, file_bytes: int) -> None:
        self.written: list[dict[str, Json]] = []
        self._s3 = s3
        self._bucket = bucket
        self._folder = folder
        self._name = name
        self._file_bytes = file_bytes
        self._writer: VersionedWriter | None = None

    def add(self, record: bytes) -> None:
        if self._writer is not None and self._writer.size + len(record) + 2 > self._file_bytes:
            self._finish()
        if self._writer is None:
            number = len(self.written)
            self._writer = VersionedWriter(
                self._bucket,
                f"{self._folder}/{self._name}_{number}.json",
                idempotency_key=f"{self._folder.rpartition('/')[2]}/{self._name}_{number}",
                content_type=_CONTENT_TYPE,
                s3=self._s3,
            )
            self._writer.__enter__()
            self._writer.write(b"[")
        else:
            self._writer.write(b",")
        self._writer.write(record)

    def _finish(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        with writer:
            writer.write(b"]")
        self.written.append({"Key": writer.receipt.key, "Size": writer.receipt.size})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._finish()
        elif self._writer is not None:
            self._writer.__exit__(kind, error, trace)
