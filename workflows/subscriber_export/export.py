"""Submitting the export, looking at its job, fetching its files."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from botocore.exceptions import ClientError

from etl_runner.s3 import VersionedWriter, client, note_found
from workflows.subscriber_export import zuora
from workflows.subscriber_export.queries import queries_for
from workflows.subscriber_export.settings import private

_GROWTH: Final = 1.5
_MOST_LOOKS: Final = 500
"""A bound for exports that wait 0 seconds between looks, as tests do."""


def submit_export(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Submit the queries of an export.

    Takes `{plan, idempotencyKey}`; the key is the execution's name, so that a retry finds the job that the
    first try submitted. Gives `{jobId, status: "pending", waitSeconds, waited, looks}`.
    """
    plan = event["plan"]
    wanted = queries_for(
        plan["type"], date.fromisoformat(plan["deliveryDate"]), date.fromisoformat(plan["today"])
    )
    with zuora.connection(private()) as http:
        job_id = zuora.submit(http, wanted, event["idempotencyKey"])
    return {"jobId": job_id, "status": "pending", "waitSeconds": plan["waitSeconds"], "waited": 0, "looks": 0}


def get_job(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Look at the job once.

    Takes `{plan, job}`; gives the job with `status` "pending", "completed", "failed" or "overdue", the next
    wait (each half as long again as the one before, up to the plan's longest), `files: [{query, fileId}]` and
    `reason`.
    """
    plan, job = event["plan"], event["job"]
    with zuora.connection(private()) as http:
        reading = zuora.read_job(zuora.job(http, job["jobId"]))
    waited, looks = job["waited"] + job["waitSeconds"], job["looks"] + 1
    status, reason = reading.status, reading.reason
    if status == "pending" and (waited >= plan["patienceSeconds"] or looks >= _MOST_LOOKS):
        status, reason = "overdue", f"the job is not done after {waited} seconds and {looks} looks"
    return {
        "jobId": job["jobId"],
        "status": status,
        "waitSeconds": min(plan["maxWaitSeconds"], int(job["waitSeconds"] * _GROWTH)),
        "waited": waited,
        "looks": looks,
        "files": list(reading.files),
        "reason": reason,
    }


def fetch_file(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Stream one result file to the bucket, unless it is there: a file of Zuora's never changes.

    Takes `{plan, file: {query, fileId}}`; gives `{query, bucket, key, versionId, etag, bytes}`.
    """
    plan, file = event["plan"], event["file"]
    bucket = plan["bucket"]
    key = f"zuoraExport/{file['query']}_{plan['deliveryDate']}_{file['fileId']}.csv"
    try:
        head = client().head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
    else:
        note_found(bucket, key, head)
        return _told(file, bucket, key, head.get("VersionId"), head["ETag"], head["ContentLength"])
    size = 0
    with (
        zuora.connection(private()) as http,
        VersionedWriter(
            bucket, key, idempotency_key=f"{context.idempotency_key}:{key}", content_type="text/csv"
        ) as writer,
    ):
        for block in zuora.file(http, file["fileId"]):
            writer.write(block)
            size += len(block)
            context.progress(size, None, "bytes fetched")
    receipt = writer.receipt
    return _told(file, bucket, key, receipt.version_id, receipt.etag, size)


def _told(
    file: Mapping[str, str], bucket: str, key: str, version_id: str | None, etag: str, size: int
) -> dict[str, Any]:
    return {
        "query": file["query"],
        "bucket": bucket,
        "key": key,
        "versionId": version_id,
        "etag": etag,
        "bytes": size,
    }
