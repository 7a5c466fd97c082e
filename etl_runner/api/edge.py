"""What every request goes through: who may ask, how much may be sent, and how an error is told."""

import hmac
import ipaddress
from collections.abc import Callable
from typing import Any, Final, TypeVar

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from etl_runner.api import views
from etl_runner.errors import (
    Conflict,
    EtlRunnerError,
    NotFound,
    StatesError,
    StoreError,
    UserError,
)
from etl_runner.jsontypes import Json, dumps, loads

_log = structlog.get_logger("http")

TIMES_THE_INPUT: Final = 4
"""There is text around an input, and it need not come as compact JSON."""

LEAST_BODY_BYTES: Final = 1_048_576
"""So much may always be sent: not only inputs are, and where inputs are to be short, they are told so."""

DRAINED_BYTES: Final = 8 * 1_048_576
"""So much of a body that is too large is read and dropped, so that its sender gets to read the answer."""

AWS_PATH: Final = "/"
"""Where AWS's protocol has all its calls."""

_STRANGER: Final = (
    "from other machines this needs a token, and the service has none: set ETL_RUNNER_API_TOKEN there, or "
    "make signed calls of AWS's protocol at /"
)

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""Answered without a token, and then without details."""

STATUS_CODES: Final[tuple[tuple[type[EtlRunnerError], int], ...]] = (
    # The first that fits counts.
    (NotFound, 404),
    (Conflict, 409),
    (UserError, 400),
    (StatesError, 400),
    (StoreError, 503),
    (EtlRunnerError, 500),
)

T = TypeVar("T")


class Refused(Exception):  # noqa: N818 -- a refusal of the edge itself
    """A request that does not get as far as the operations: `status` and the error's type and sentence."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        self.status = status
        self.kind = kind
        super().__init__(message)


class JsonResponse(Response):
    """JSON as the rest of the project writes it."""

    media_type = "application/json"

    def render(self, content: Json) -> bytes:
        """The body's bytes."""
        return dumps(content)


async def blocking(call: Callable[..., T], *args: Any) -> T:
    """Run an operation in a thread: it reads the disk or waits for a commit."""
    return await run_in_threadpool(call, *args)


async def read_body(request: Request, *, most: int | None = None) -> bytes:
    """The whole body, of up to `most` bytes, by default what the largest input may need.

    Raises Refused 413 when it is too large.
    """
    if most is None:
        payload_bytes = request.app.state.operations.rooms.limits.payload_bytes
        most = max(LEAST_BODY_BYTES, TIMES_THE_INPUT * payload_bytes)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= most:
            parts.append(part)
        elif size > max(most, DRAINED_BYTES):
            break
    if size > most:
        raise Refused(413, "TooLarge", f"the request has more than {most:,} bytes; send less")
    return b"".join(parts)


async def read_json(request: Request) -> dict[str, Json]:
    """The body as a JSON object; an empty one is none. Raises Refused 400, 413 and 415."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A page in a browser may send other types to us without asking; this one it may not.
        raise Refused(415, "InvalidInput", "send the body with Content-Type: application/json")
    body = await read_body(request)
    value = parse_json(body) if body else {}
    if not isinstance(value, dict):
        raise Refused(400, "InvalidInput", f"the body must be a JSON object; it is a {type(value).__name__}")
    return value


def parse_json(body: bytes) -> Json:
    """Read JSON. Raises Refused 400."""
    try:
        return loads(body)
    except ValueError as error:
        raise Refused(400, "InvalidInput", f"the body is no JSON: {error}") from None


def error_response(error: Exception) -> Response:
    """What a caller is told of an error; what is not ours to explain is logged and told without details."""
    if isinstance(error, Refused):
        shown: dict[str, Json] = {"type": error.kind, "message": str(error)}
        return JsonResponse({"error": shown}, error.status)
    if isinstance(error, EtlRunnerError):
        status = next(code for kind, code in STATUS_CODES if isinstance(error, kind))
        return JsonResponse({"error": views.error(error)}, status)
    _log.error("a request broke down", exc_info=error)
    message = "the service failed inside; its log says where. Please report this"
    return JsonResponse({"error": {"type": "InternalError", "message": message}}, 500)


class Gate:
    """Lets in who bears the token; without a token, only who asks for this machine by its own name, from it.

    The name keeps out web pages that had theirs resolved to 127.0.0.1 (DNS rebinding). With `signed`, calls
    of AWS's protocol pass: their signatures are looked at further in.
    """

    def __init__(self, app: ASGIApp, token: str | None, *, signed: bool = False) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        self._signed = signed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        passes = self._signed and (scope["method"], scope["path"]) == ("POST", AWS_PATH)
        refused = None if passes else self._refusal(headers, scope)
        if refused is None:
            await self._app(scope, receive, send)
            return
        response = error_response(refused)
        if refused.status == 401:
            response.headers["www-authenticate"] = "Bearer"
        await response(scope, receive, send)

    def _refusal(self, headers: dict[bytes, bytes], scope: Scope) -> Refused | None:
        path = scope["path"]
        if self._token is None:
            host = headers.get(b"host", b"").decode("latin-1")
            if not is_local(scope):
                # Only where access keys let the service listen to other machines without a token.
                return None if path in OPEN_PATHS else Refused(401, "Unauthorized", _STRANGER)
            if is_loopback(host):
                return None
            return Refused(
                403,
                "Forbidden",
                f"the service was asked for as {host!r}; without a token it answers only as localhost or "
                "127.0.0.1. Set ETL_RUNNER_API_TOKEN to let others in",
            )
        if bears(headers, self._token) or path in OPEN_PATHS:
            return None
        missing = "this needs the header Authorization: Bearer TOKEN, with our token"
        wrong = "the token given is not this service's"
        return Refused(401, "Unauthorized", wrong if _given(headers) else missing)


def bears(headers: dict[bytes, bytes], token: bytes) -> bool:
    """Whether a request bears the token: as bearer, or as AWS's session token, which boto3 can send."""
    # Compared in constant time, so that the answer's delay does not tell how much of it was right.
    return hmac.compare_digest(_given(headers), token)


def _given(headers: dict[bytes, bytes]) -> bytes:
    """The token that a request bears, empty when it bears none."""
    scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer":
        given = headers.get(b"x-amz-security-token", b"")
    return given.strip()


def is_local(scope: Scope) -> bool:
    """Whether a request comes from this machine, as far as the connection tells."""
    client = scope.get("client")
    return client is None or is_loopback(client[0])


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine from inside."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    # Clients of Step Functions put `sync-` before the host of StartSyncExecution and TestState.
    name = name.strip("[]").lower().removeprefix("sync-")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
