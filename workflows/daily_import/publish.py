"""What readers may rely on: a manifest per source and day, written last; and a report of the run."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from botocore.exceptions import ClientError

from etl_runner.jsontypes import dumps_canonical, loads
from etl_runner.s3 import client, put_versioned
from workflows.daily_import.errors import PartMissing, TooManyRejects
from workflows.daily_import.refine import part_name
from workflows.daily_import.transform import VERSION

REJECTS_TOLERATED: Final = 0.01
"""Of all rows of one source and day."""

_JSON: Final = "application/json"
_MESSAGE_LIMIT: Final = 500


def publish(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Check that the parts cover the raw file and write `_MANIFEST.json`.

    Takes `{source, date, raw, settings, chunks}` with the number of chunks. Gives `{source, status:
    "published", rows, rejects, parts, bytes, manifest: {bucket, key, versionId}}`. The manifest holds nothing
    that differs from run to run. Raises PartMissing and TooManyRejects; the manifest then stays as it was.
    """
    source, day, raw = event["source"]["name"], event["date"], event["raw"]
    bucket = event["settings"]["resourcesBucket"]
    parts = list(_parts(bucket, f"refined/{source}/dt={day}", raw, event["chunks"]))
    _check_cover(parts, raw)
    rows, rejects = sum(part["rows"] for part in parts), sum(part["rejects"] for part in parts)
    if rejects > REJECTS_TOLERATED * (rows + rejects):
        raise TooManyRejects(
            f"{source}: {rejects} of {rows + rejects} rows of {day} were rejected, more than "
            f"{REJECTS_TOLERATED:.0%}; see rejects/{source}/dt={day}/"
        )
    manifest = {
        "source": source,
        "date": day,
        "transform": VERSION,
        "raw": raw,
        "rows": rows,
        "rejects": rejects,
        "parts": parts,
    }
    key = f"resources/{source}/dt={day}/_MANIFEST.json"
    receipt = put_versioned(
        bucket,
        key,
        dumps_canonical(manifest),
        idempotency_key=f"{context.idempotency_key}:{key}",
        content_type=_JSON,
    )
    return {
        "source": source,
        "status": "published",
        "rows": rows,
        "rejects": rejects,
        "parts": len(parts),
        "bytes": raw["bytes"],
        "manifest": {"bucket": bucket, "key": key, "versionId": receipt.version_id},
    }


def _parts(bucket: str, folder: str, raw: Mapping[str, Any], chunks: int) -> Iterator[dict[str, Any]]:
    """What is stored of each expected part; the names follow from the raw version, so none is listed."""
    for index in range(chunks):
        key = f"{folder}/{part_name(raw['versionId'], raw['etag'], index)}"
        try:
            head = client().head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise PartMissing(f"part {index} of {chunks} is not there: s3://{bucket}/{key}") from error
            raise
        told = head["Metadata"]
        yield {
            "key": key,
            "versionId": head.get("VersionId"),
            "bytes": head["ContentLength"],
            "start": int(told["start"]),
            "end": int(told["end"]),
            "rows": int(told["rows"]),
            "rejects": int(told["rejects"]),
        }


def _check_cover(parts: list[dict[str, Any]], raw: Mapping[str, Any]) -> None:
    """Each part must begin where the one before it ends, and the last end with the file."""
    for before, after in pairwise(parts):
        if before["end"] != after["start"]:
            raise PartMissing(
                f"{raw['key']}: a part ends at byte {before['end']} and the next begins at {after['start']}; "
                "parts of another chunk size are among them; run the date again"
            )
    if parts and parts[-1]["end"] != raw["bytes"]:
        raise PartMissing(
            f"{raw['key']} has {raw['bytes']} bytes, but the last part ends at {parts[-1]['end']}"
        )


def record_failure(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Note why a source failed, where the summary finds it when the source's own execution has ended.

    Takes `{source, date, settings, error: {Error, Cause}}`; gives `{source, error, message}`.
    """
    source, day = event["source"]["name"], event["date"]
    error = event["error"]
    note = {"source": source, "error": error.get("Error", ""), "message": _message(error.get("Cause", ""))}
    key = _note_key(day, source)
    put_versioned(
        event["settings"]["resourcesBucket"],
        key,
        dumps_canonical(note),
        idempotency_key=f"{context.idempotency_key}:{key}",
        content_type=_JSON,
    )
    return note


def summarize(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Write the report of a day.

    Takes `{date, settings, sources, results}`: the sources that were to be imported and what their
    executions gave; a source without a published result has failed. Gives the counts, the failed sources
    and `report: {bucket, key, versionId}`. The report holds nothing that differs from run to run.
    """
    day, bucket = event["date"], event["settings"]["resourcesBucket"]
    published = {
        result["source"]: result
        for result in event["results"]
        if isinstance(result, Mapping) and result.get("status") == "published"
    }
    names = [source["name"] for source in event["sources"]]
    report = {
        "date": day,
        "sources": len(names),
        "published": len(published),
        "rows": sum(result["rows"] for result in published.values()),
        "rejects": sum(result["rejects"] for result in published.values()),
        "bytes": sum(result["bytes"] for result in published.values()),
        "failed": [_note(bucket, day, name) for name in names if name not in published],
    }
    key = f"_runs/{day}.json"
    receipt = put_versioned(
        bucket,
        key,
        dumps_canonical(report | {"results": [published[name] for name in names if name in published]}),
        idempotency_key=f"{context.idempotency_key}:{key}",
        content_type=_JSON,
    )
    return report | {"report": {"bucket": bucket, "key": key, "versionId": receipt.version_id}}


def _note_key(day: str, source: str) -> str:
    return f"_runs/{day}/failures/{source}.json"


def _note(bucket: str, day: str, source: str) -> dict[str, Any]:
    try:
        answer = client().get_object(Bucket=bucket, Key=_note_key(day, source))
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        return {"source": source, "error": "Unknown", "message": "its execution ended without saying why"}
    return dict(loads(answer["Body"].read()))


def _message(cause: str) -> str:
    """The sentence within a function's cause; request ids and stack traces differ from run to run."""
    try:
        told = loads(cause)
    except ValueError:
        return cause[:_MESSAGE_LIMIT]
    message = told.get("errorMessage", cause) if isinstance(told, Mapping) else cause
    return str(message)[:_MESSAGE_LIMIT]
