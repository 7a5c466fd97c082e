"""The AWS JSON 1.0 protocol: POST / with `X-Amz-Target: AWSStepFunctions.ACTION`."""

import asyncio
import inspect
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, cast

import structlog
from starlette.requests import Request
from starlette.responses import Response

from etl_runner.api.edge import LEAST_BODY_BYTES, Refused, blocking, parse_json, read_body
from etl_runner.api.operations import Operations
from etl_runner.api.sfn.actions import actions
from etl_runner.api.sfn.call import Call, Reply
from etl_runner.api.sfn.caller import Caller, Callers
from etl_runner.api.sfn.errors import AwsError
from etl_runner.api.sfn.model import check
from etl_runner.errors import StoreError
from etl_runner.jsontypes import Json, dumps
from etl_runner.machine.limits import Limits

_log = structlog.get_logger("http")

PREFIX: Final = "AWSStepFunctions."
SERVICE: Final = "states"
_OF_ACCOUNTS: Final = frozenset(
    {
        "stateMachineArn",
        "stateMachineVersionArn",
        "stateMachineAliasArn",
        "executionArn",
        "activityArn",
        "mapRunArn",
        "resourceArn",
    }
)
"""Parameters that name what belongs to an account."""

LIKELY_TIMES: Final = 8
"""A definition or a payload is JSON in JSON in a call, where each of its characters may take several."""

_JSON_1_0: Final = "application/x-amz-json-1.0"


async def answer(request: Request) -> Response:
    """Answer one call of Step Functions' API."""
    request_id = str(uuid.uuid4())
    try:
        content, status = await _reply(request, request_id), 200
    except Exception as broken:  # noqa: BLE001 -- told without its details, see _told
        error = _told(broken, request, request_id)
        content, status = error.body(), error.status
    return Response(dumps(content), status, {"x-amzn-requestid": request_id}, media_type=_JSON_1_0)


def _told(broken: Exception, request: Request, request_id: str) -> AwsError:
    match broken:
        case AwsError():
            return broken
        case Refused(status=413):
            return AwsError("RequestEntityTooLargeException", str(broken), 413)
        case Refused():
            return AwsError("SerializationException", str(broken), broken.status)
        case StoreError():
            return AwsError("ServiceUnavailableException", str(broken), 503)
        case _:
            target = request.headers.get("x-amz-target")
            _log.error("a call broke down", target=target, request_id=request_id, exc_info=broken)
            return AwsError("InternalFailure", "The service failed inside; its log says where.", 500)


async def _reply(request: Request, request_id: str) -> Reply:
    operations: Operations = request.app.state.operations
    rooms = operations.rooms
    now_ms = rooms.clock.now_ms()
    body = await read_body(request, most=_most_body_bytes(rooms.limits))
    callers: Callers = request.app.state.callers
    caller = callers.of(request, body, service=SERVICE, now_ms=now_ms)
    name = request.headers.get("x-amz-target", "").removeprefix(PREFIX)
    action = actions().get(name)
    if action is None:
        raise AwsError("UnknownOperationException", f"The operation {name!r} is not offered here.")
    parameters = _checked(name, parse_json(body) if body else {}, rooms.limits)
    _check_account(caller, name, parameters)
    call = Call(
        parameters=parameters,
        account=caller.account,
        region=caller.region,
        rooms=rooms,
        now_ms=now_ms,
        request_id=request_id,
        left=partial(_left, request),
        only=caller.account if caller.key_id else None,
    )
    if inspect.iscoroutinefunction(action):
        return await cast("Callable[[Call], Awaitable[Reply]]", action)(call)
    return await blocking(cast("Callable[[Call], Reply]", action), call)


def _check_account(caller: Caller, action: str, parameters: dict[str, Json]) -> None:
    """A key is for one account: what others have is no business of its bearer. Raises AwsError."""
    if not caller.key_id:
        return
    named = [parameters[name] for name in sorted(_OF_ACCOUNTS & parameters.keys())]
    named += [each["stateMachineVersionArn"] for each in parameters.get("routingConfiguration", ())]
    for arn in named:
        parts = arn.split(":")
        if len(parts) > 5 and parts[2] == SERVICE and parts[4] != caller.account:
            raise AwsError(
                "AccessDeniedException",
                f"User: arn:aws:iam::{caller.account}:user/{caller.key_id} is not authorized to perform: "
                f"{SERVICE}:{action} on resource: {arn}",
            )


async def _left(request: Request) -> None:
    """Wait until the client has hung up, or the service is stopping."""
    closing: asyncio.Event = request.app.state.ends.closing
    waits: set[asyncio.Future[Any]] = {
        asyncio.ensure_future(_hung_up(request)),
        asyncio.ensure_future(closing.wait()),
    }
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()


async def _hung_up(request: Request) -> None:
    """For after the body was read: nothing else can come then."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _most_body_bytes(limits: Limits) -> int:
    return LIKELY_TIMES * max(limits.definition_bytes, limits.payload_bytes, LEAST_BODY_BYTES)


def _checked(name: str, parameters: Json, limits: Limits) -> dict[str, Json]:
    """The parameters that the model knows. Raises AwsError for what it forbids."""
    if not isinstance(parameters, dict):
        raise AwsError("SerializationException", "Start of structure or map was expected in the body.")
    return check(name, parameters, limits)
