"""Zuora's batch query interface: submit, look, fetch. Nothing here logs, and no error holds a credential."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from workflows.subscriber_export.errors import UnexpectedAnswer, ZuoraRefused, ZuoraUnavailable
from workflows.subscriber_export.settings import Private

_BASE: Final = "/apps/api/batch-query/"
_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_BLOCK: Final = 1 << 20


@contextmanager
def connection(private: Private) -> Iterator[httpx.Client]:
    """A client that knows where Zuora is and who asks."""
    auth = httpx.BasicAuth(private.zuora_user, private.zuora_password)
    with httpx.Client(base_url=private.zuora_url, auth=auth, timeout=_TIMEOUT) as http:
        yield http


def submit(http: httpx.Client, queries: Mapping[str, str], idempotency_key: str) -> str:
    """Submit the queries as one job and give its id; the same key always gives the same job.

    Raises ZuoraUnavailable, ZuoraRefused, UnexpectedAnswer.
    """
    body = {
        "format": "csv",
        "version": "1.0",
        "name": "Fulfilment-Queries",
        "encrypted": "none",
        "useQueryLabels": "true",
        "dateTimeUtc": "true",
        "queries": [{"name": name, "query": query, "type": "zoqlexport"} for name, query in queries.items()],
    }
    with _translated("submit the export"):
        answer = http.post(_BASE, json=body, headers={"Idempotency-Key": idempotency_key})
    job_id = _body(answer, "submit the export").get("id")
    if not isinstance(job_id, str) or not job_id:
        raise UnexpectedAnswer("Zuora took the export but gave no job id")
    return job_id


def job(http: httpx.Client, job_id: str) -> Mapping[str, Any]:
    """The job as Zuora tells it. Raises ZuoraUnavailable, ZuoraRefused, UnexpectedAnswer."""
    with _translated("look at the job"):
        answer = http.get(f"{_BASE}jobs/{job_id}")
    return _body(answer, f"look at job {job_id}")


def file(http: httpx.Client, file_id: str) -> Iterator[bytes]:
    """The bytes of a result file. Raises ZuoraUnavailable, also when it ends early, and ZuoraRefused."""
    with _translated(f"fetch file {file_id}"), http.stream("GET", f"{_BASE}file/{file_id}") as answer:
        _check(answer, f"fetch file {file_id}")
        yield from answer.iter_bytes(_BLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a job's description means: `status` is "pending", "completed" or "failed".

    `files` names every result file of a completed job as `{query, fileId}`; `reason` says why it failed.
    """

    status: str
    files: tuple[Mapping[str, str], ...] = ()
    reason: str = ""


_PENDING: Final = {"submitted", "pending", "executing", "processing"}
_FAILED: Final = {"error", "aborted", "cancelled"}


def read_job(told: Mapping[str, Any]) -> Reading:
    """Judge a job by its own status and by that of every batch.

    One batch that ended otherwise than completed fails the job, whatever the job itself says. Raises
    UnexpectedAnswer for a status that the interface does not have, and for a result without a file.
    """
    status, batches = told.get("status"), told.get("batches") or ()
    ended_badly = [one for one in batches if one.get("status") in _FAILED]
    if status in _FAILED or ended_badly:
        what = [f"{one.get('name')}: {one.get('message') or one.get('status')}" for one in ended_badly]
        return Reading(
            status="failed", reason=f"the job is {status}; {'; '.join(what) or 'no batch says why'}"
        )
    known = {status, *(one.get("status") for one in batches)}
    if not known <= _PENDING | {"completed"}:
        raise UnexpectedAnswer(f"a job or batch has a status that is not known: {sorted(map(str, known))}")
    if known != {"completed"}:
        return Reading(status="pending")
    return Reading(status="completed", files=tuple(found for one in batches for found in _files(one)))


def _files(batch: Mapping[str, Any]) -> list[Mapping[str, str]]:
    ids = batch.get("segments") or [batch.get("fileId")]
    if not all(isinstance(one, str) and one for one in ids):
        raise UnexpectedAnswer(f"batch {batch.get('name')} is completed but names no file")
    return [{"query": str(batch.get("name")), "fileId": one} for one in ids]


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise ZuoraUnavailable(f"Zuora could not be reached to {doing}: {type(error).__name__}") from error


def _check(answer: httpx.Response, doing: str) -> None:
    status = answer.status_code
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS:
        raise ZuoraUnavailable(f"Zuora answered {status} to the request to {doing}")
    if status != httpx.codes.OK:
        raise ZuoraRefused(f"Zuora answered {status} to the request to {doing}")


def _body(answer: httpx.Response, doing: str) -> Mapping[str, Any]:
    _check(answer, doing)
    try:
        body = answer.json()
    except ValueError as error:
        raise UnexpectedAnswer(f"Zuora's answer to the request to {doing} is not JSON") from error
    if not isinstance(body, Mapping):
        raise UnexpectedAnswer(f"Zuora's answer to the request to {doing} is not a JSON object")
    if body.get("errorCode"):  # it says so with status 200
        raise ZuoraRefused(f"Zuora refused to {doing}: {body['errorCode']} {body.get('message', '')}".strip())
    return body
