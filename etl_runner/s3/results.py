"""What a Distributed Map with a ResultWriter leaves in S3, in the files and the form of Step Functions.

Under `prefix/<map run id>/`: SUCCEEDED_n.json, FAILED_n.json (failed, timed out and aborted children) and
PENDING_n.json (never started), each a JSON array, and manifest.json, written last: who finds the manifest
finds all of it. With OutputType JSONL they are lines, in files that end with .jsonl.

Source: developer guide, "ResultWriter (Map)".
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from etl_runner.arn import Arn
from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json, dumps, dumps_text, loads
from etl_runner.s3.connection import client
from etl_runner.s3.write import put_versioned
from etl_runner.s3.writer import VersionedWriter

RESULT_WRITER_FAILED: Final = "States.ResultWriterFailed"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How entries become a file."""

    suffix: str
    content_type: str
    before: bytes
    between: bytes
    after: bytes


_FORMS: Final = {
    "JSON": _Form(suffix="json", content_type=_CONTENT_TYPE, before=b"[", between=b",", after=b"]"),
    "JSONL": _Form(suffix="jsonl", content_type="application/jsonl", before=b"", between=b"\n", after=b"\n"),
}


def write_results(
    bucket: str,
    prefix: str,
    map_run_arn: str,
    children: Iterable[Mapping[str, Json]],
    *,
    config: Mapping[str, Json] | None = None,
    file_bytes: int = FILE_BYTES,
    s3: Any = None,
) -> dict[str, Json]:
    """Write the outcome of a map run's children; give what becomes the Map state's result.

    `children` are `{"ExecutionArn", "Name", "Input", "Output" | "Error" and "Cause", "Status", "StartDate",
    "StopDate", ...}` and are taken one at a time; Input and Output become JSON texts if they are not texts.
    `config` is WriterConfig: Transformation (NONE by default, see entries_of) and OutputType (JSON, JSONL).
    Writing the same children in the same order again makes no new versions.
    Returns `{"MapRunArn", "ResultWriterDetails": {"Bucket", "Key"}}`.
    Raises InvalidInput for a status it does not know, StatesError when S3 refuses or stays away.
    """
    config = config or {}
    transformation, form = config.get("Transformation", "NONE"), _FORMS[config.get("OutputType", "JSON")]
    s3 = s3 if s3 is not None else client()
    run_id = Arn.parse(map_run_arn).resource.rpartition(":")[2]
    folder = "/".join(part for part in (prefix.strip("/"), run_id) if part)
    with ExitStack() as open_files:
        files = {
            name: open_files.enter_context(_RollingFile(s3, bucket, folder, name, file_bytes, form))
            for name in ("FAILED", "PENDING", "SUCCEEDED")
        }
        for child in children:
            file = files[_file_of(child)]
            for entry in entries_of(child, transformation):
                file.add(entry)
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


def entries_of(child: Mapping[str, Json], transformation: str) -> Iterator[bytes]:
    """The JSON texts that one child adds to the results.

    NONE gives its whole record, COMPACT its output, FLATTEN the elements of an output that is an array. A
    child that did not succeed has no output, and its record stands in the results whatever is asked for.
    """
    if transformation == "NONE" or child.get("Status") != "SUCCEEDED":
        yield _record(child)
        return
    output = child.get("Output")
    # An output is kept as text; read and written again it has no line breaks, which JSONL needs.
    output = loads(output) if isinstance(output, str) else output
    if transformation == "FLATTEN" and isinstance(output, list):
        yield from map(dumps, output)
    else:
        yield dumps(output)


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
    """SUCCEEDED_0.json, SUCCEEDED_1.json ...: another one when one is full, and none without an entry."""

    def __init__(self, s3: Any, bucket: str, folder: str, name: str, file_bytes: int, form: _Form) -> None:
        self.written: list[dict[str, Json]] = []
        self._s3 = s3
        self._bucket = bucket
        self._folder = folder
        self._name = name
        self._file_bytes = file_bytes
        self._form = form
        self._writer: VersionedWriter | None = None

    def add(self, record: bytes) -> None:
        if self._writer is not None and self._writer.size + len(record) + 2 > self._file_bytes:
            self._finish()
        if self._writer is None:
            name = f"{self._name}_{len(self.written)}"
            self._writer = VersionedWriter(
                self._bucket,
                f"{self._folder}/{name}.{self._form.suffix}",
                idempotency_key=f"{self._folder.rpartition('/')[2]}/{name}",
                content_type=self._form.content_type,
                s3=self._s3,
            )
            self._writer.__enter__()
            self._writer.write(self._form.before)
        else:
            self._writer.write(self._form.between)
        self._writer.write(record)

    def _finish(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        with writer:
            writer.write(self._form.after)
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
