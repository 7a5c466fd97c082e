"""PutEvents as AWS has it, so that any EventBridge client can send events here.

JSON 1.1 protocol: POST / with `X-Amz-Target: AWSEvents.PutEvents`. With a token configured, the client's
session token must be that token (`aws_session_token` of boto3), or with access keys configured, the call
signed with one of them.
"""

import uuid
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from etl_runner.api.edge import Refused, blocking, parse_json, read_body
from etl_runner.api.operations import Operations
from etl_runner.api.sfn.caller import Callers
from etl_runner.api.sfn.errors import AwsError
from etl_runner.errors import EtlRunnerError
from etl_runner.jsontypes import Json, dumps

_log = structlog.get_logger("http")

TARGET: Final = "AWSEvents.PutEvents"
SERVICE: Final = "events"
MOST_ENTRIES: Final = 10
_JSON_1_1: Final = "application/x-amz-json-1.1"


async def put_events(request: Request) -> Response:
    """Answer one call of EventBridge's API; only PutEvents is there."""
    operations: Operations = request.app.state.operations
    target = request.headers.get("x-amz-target", "")
    if target != TARGET:
        found = f"{target!r} is not" if target else "without X-Amz-Target nothing is"
        return _error(
            400,
            "UnknownOperationException",
            f"{found} offered at /; there are AWSStepFunctions.*, {TARGET}, and /v1",
        )
    try:
        data = await read_body(request)
        callers: Callers = request.app.state.callers
        callers.of(request, data, service=SERVICE, now_ms=operations.rooms.clock.now_ms())
        body = parse_json(data)
    except Refused as refused:
        return _error(refused.status, "SerializationException", str(refused))
    except AwsError as error:
        return _error(error.status, error.code, error.message)
    entries = body.get("Entries") if isinstance(body, dict) else None
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_ENTRIES:
        found = f"{len(entries)} of them" if isinstance(entries, list) else "no list"
        return _error(
            400, "ValidationException", f"Entries must be a list of 1 to {MOST_ENTRIES}, found {found}"
        )
    try:
        answers = await blocking(operations.put_entries, entries)
    except EtlRunnerError as error:
        return _error(500, "InternalException", str(error))
    except Exception:  # noqa: BLE001 -- told without its details
        _log.exception("PutEvents broke down")
        return _error(500, "InternalException", "the service failed inside; its log says where")
    return _answer(
        200, {"FailedEntryCount": sum("ErrorCode" in each for each in answers), "Entries": answers}
    )


def _error(status: int, kind: str, message: str) -> Response:
    return _answer(status, {"__type": kind, "message": message})


def _answer(status: int, content: Json) -> Response:
    headers = {"x-amzn-requestid": str(uuid.uuid4())}
    return Response(dumps(content), status, headers, media_type=_JSON_1_1)
