"""The HTTP edge: our own REST under /v1, health, and AWS's protocol at /: Step Functions and PutEvents.

Errors are `{"error": {"type", "message", "faults"?}}` with 400, 401, 403, 404, 409, 413, 415 or 503. In
paths, an execution is named by its ARN or by WORKFLOW/NAME, percent-encoded as one segment.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from etl_runner.api.aws_events import put_events
from etl_runner.api.edge import (
    AWS_PATH,
    Gate,
    JsonResponse,
    Refused,
    bears,
    blocking,
    error_response,
    is_local,
    read_json,
)
from etl_runner.api.operations import Operations
from etl_runner.api.sfn.caller import Callers
from etl_runner.api.sfn.protocol import PREFIX, answer
from etl_runner.arn import DEFAULT_ACCOUNT, DEFAULT_REGION
from etl_runner.clock import from_datetime
from etl_runner.jsontypes import Json

LONGEST_WAIT_S: Final = 60.0

Handler = Callable[["Asked"], Awaitable[Response]]


class Asked:
    """One request with its parameters, each of which may be taken once; what is left over is refused."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.operations: Operations = request.app.state.operations
        self._query = dict(request.query_params)

    def text(self, name: str) -> str | None:
        """A parameter of the query, None when it is not there."""
        return self._query.pop(name, None)

    def number(self, name: str, default: int) -> int:
        """A whole number of the query. Raises Refused 400."""
        text = self.text(name)
        if text is None:
            return default
        if not text.isdecimal() or len(text) > 18:
            raise Refused(400, "InvalidInput", f"{name} is {text!r}; it must be a whole number")
        return int(text)

    def seconds(self, name: str, default: float) -> float:
        """A number of seconds of the query. Raises Refused 400."""
        text = self.text(name)
        try:
            value = default if text is None else float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise Refused(400, "InvalidInput", f"{name} is {text!r}; it must be a number of seconds")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """A flag of the query: true or false. Raises Refused 400."""
        text = self.text(name)
        if text not in {None, "true", "false"}:
            raise Refused(400, "InvalidInput", f"{name} is {text!r}; it must be true or false")
        return default if text is None else text == "true"

    def moment(self, name: str) -> int | None:
        """An ISO time of the query in epoch milliseconds; without an offset it is UTC. Raises Refused 400."""
        text = self.text(name)
        if text is None:
            return None
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            raise Refused(
                400, "InvalidInput", f"{name} is {text!r}; it must be a time such as 2026-01-31T04:00:00Z"
            ) from None
        return from_datetime(when if when.tzinfo else when.replace(tzinfo=UTC))

    def done(self) -> None:
        """Refuse what nobody has asked about: a name that is misspelt would change the answer in silence."""
        if self._query:
            raise Refused(400, "InvalidInput", f"there is no parameter {', '.join(sorted(self._query))} here")

    async def body(self, **expected: type | tuple[type, ...]) -> dict[str, Json]:
        """The body's fields; one that is not expected or of another type is refused with 400."""
        found = await read_json(self.request)
        for name, value in found.items():
            if name not in expected:
                known = ", ".join(expected) or "none"
                raise Refused(400, "InvalidInput", f"there is no field {name!r} here; there are: {known}")
            if not isinstance(value, expected[name]):
                kind = type(value).__name__
                raise Refused(400, "InvalidInput", f"the field {name!r} is of the wrong type ({kind})")
        return found


# --- executions ---------------------------------------------------------------------------------------------


async def list_executions(asked: Asked) -> Response:
    """GET /v1/executions?workflow&status&origin&mapRun&after&before&limit&next."""
    filters: dict[str, Any] = {
        "workflow": asked.text("workflow"),
        "status": asked.text("status"),
        "origin": asked.text("origin"),
        "map_run": asked.text("mapRun"),
        "after_ms": asked.moment("after"),
        "before_ms": asked.moment("before"),
        "limit": asked.number("limit", 50),
        "token": asked.text("next"),
    }
    asked.done()
    return JsonResponse(await blocking(lambda: asked.operations.list_executions(**filters)))


async def start_execution(asked: Asked) -> Response:
    """POST /v1/executions {"workflow", "input", "name"?}: 201, or 200 when it was there before."""
    body = await asked.body(workflow=str, input=object, name=(str, type(None)))
    if "workflow" not in body:
        raise Refused(400, "InvalidInput", "the field 'workflow' is missing: name the workflow to start")
    start = asked.operations.start_execution
    found = await blocking(start, body["workflow"], body.get("input", {}), body.get("name"))
    return JsonResponse(found, 200 if found["existed"] else 201)


async def show_execution(asked: Asked, execution: str) -> Response:
    """GET /v1/executions/EXECUTION."""
    asked.done()
    return JsonResponse(await blocking(asked.operations.get_execution, execution))


async def show_history(asked: Asked, execution: str) -> Response:
    """GET /v1/executions/EXECUTION/history?after&limit&newestFirst&includeData."""
    options: dict[str, Any] = {
        "after": asked.number("after", 0),
        "limit": asked.number("limit", 1_000),
        "newest_first": asked.flag("newestFirst", default=False),
        "include_data": asked.flag("includeData", default=True),
    }
    asked.done()
    return JsonResponse(await blocking(lambda: asked.operations.history(execution, **options)))


async def show_written(asked: Asked, execution: str) -> Response:
    """GET /v1/executions/EXECUTION/written?limit&next."""
    limit, token = asked.number("limit", 100), asked.text("next")
    asked.done()
    return JsonResponse(await blocking(lambda: asked.operations.written(execution, limit=limit, token=token)))


async def wait_for_execution(asked: Asked, execution: str) -> Response:
    """GET /v1/executions/EXECUTION/wait?timeout: as it stands at its end, or after `timeout` seconds."""
    timeout_s = min(asked.seconds("timeout", 20.0), LONGEST_WAIT_S)
    asked.done()
    execution_id = await blocking(asked.operations.execution_id, execution)
    ends: Ends = asked.request.app.state.ends
    await ends.wait(await blocking(asked.operations.ending, execution_id), execution_id, timeout_s)
    return JsonResponse(await blocking(asked.operations.get_execution, execution))


async def stop_execution(asked: Asked, execution: str) -> Response:
    """POST /v1/executions/EXECUTION/stop {"error"?, "cause"?}."""
    body = await asked.body(error=(str, type(None)), cause=(str, type(None)))
    stop = asked.operations.stop_execution
    return JsonResponse(await blocking(stop, execution, body.get("error"), body.get("cause")))


class Ends:
    """Waits for executions without holding a thread, however many callers there are.

    `closing` is set when the service is stopping, for others who wait.
    """

    def __init__(self) -> None:
        self.closing = asyncio.Event()
        self._events: dict[int, asyncio.Event] = {}

    async def wait(self, end: "Future[Any]", execution_id: int, timeout_s: float) -> None:
        """Wait until the execution has ended, or for `timeout_s` seconds."""
        event = self._events.get(execution_id)
        if event is None:
            event = self._events[execution_id] = asyncio.Event()
            loop = asyncio.get_running_loop()

            def ended(_: object) -> None:
                with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(self._ended, execution_id)

            end.add_done_callback(ended)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await event.wait()

    def release(self) -> None:
        """Let all waiters go, for the service is stopping: they are told how their execution stands."""
        self.closing.set()
        for execution_id in list(self._events):
            self._ended(execution_id)

    def _ended(self, execution_id: int) -> None:
        event = self._events.pop(execution_id, None)
        if event is not None:
            event.set()


OF_EXECUTION: Final[dict[tuple[str, str], Callable[[Asked, str], Awaitable[Response]]]] = {
    ("GET", ""): show_execution,
    ("GET", "history"): show_history,
    ("GET", "written"): show_written,
    ("GET", "wait"): wait_for_execution,
    ("POST", "stop"): stop_execution,
}


async def of_execution(asked: Asked) -> Response:
    """Find the execution and what is asked of it in a path that may hold WORKFLOW/NAME, encoded or not."""
    raw: bytes = asked.request.scope.get("raw_path") or asked.request.url.path.encode()
    parts = raw.partition(b"?")[0].decode("latin-1").removeprefix("/v1/executions/").split("/")
    actions = {action for _, action in OF_EXECUTION if action}
    action = parts.pop() if len(parts) > 1 and parts[-1] in actions else ""
    execution = unquote("/".join(parts))
    handler = OF_EXECUTION.get((asked.request.method, action))
    if handler is None:
        raise Refused(405, "InvalidInput", f"{asked.request.method} is not for {action or 'an execution'}")
    return await handler(asked, execution)


# --- workflows, schedules, events ---------------------------------------------------------------------------


async def list_workflows(asked: Asked) -> Response:
    """GET /v1/workflows."""
    asked.done()
    return JsonResponse({"workflows": await blocking(asked.operations.workflows)})


async def show_workflow(asked: Asked) -> Response:
    """GET /v1/workflows/NAME."""
    asked.done()
    return JsonResponse(await blocking(asked.operations.workflow, asked.request.path_params["name"]))


async def list_schedules(asked: Asked) -> Response:
    """GET /v1/schedules."""
    asked.done()
    return JsonResponse({"schedules": await blocking(asked.operations.schedules)})


async def next_ticks(asked: Asked) -> Response:
    """GET /v1/schedules/NAME/next?count, and /v1/next?count for all of them together."""
    name, count = asked.request.path_params.get("name"), asked.number("count", 5)
    asked.done()
    return JsonResponse({"ticks": await blocking(asked.operations.schedule_next, name, count)})


async def pause_schedule(asked: Asked) -> Response:
    """POST /v1/schedules/NAME/pause {}."""
    await asked.body()
    return JsonResponse(await blocking(asked.operations.pause, asked.request.path_params["name"]))


async def resume_schedule(asked: Asked) -> Response:
    """POST /v1/schedules/NAME/resume {}."""
    await asked.body()
    return JsonResponse(await blocking(asked.operations.resume, asked.request.path_params["name"]))


async def fire_schedule(asked: Asked) -> Response:
    """POST /v1/schedules/NAME/fire {"fireId"?}: 201, or 200 when that fire id was there before."""
    body = await asked.body(fireId=(str, type(None)))
    found = await blocking(asked.operations.fire, asked.request.path_params["name"], body.get("fireId"))
    return JsonResponse(found, 200 if found["existed"] else 201)


async def list_ticks(asked: Asked) -> Response:
    """GET /v1/ticks?schedule&limit&before."""
    schedule, limit, before_ms = asked.text("schedule"), asked.number("limit", 100), asked.moment("before")
    asked.done()
    rows = await blocking(lambda: asked.operations.ticks(schedule, limit=limit, before_ms=before_ms))
    return JsonResponse({"ticks": rows})


async def list_events(asked: Asked) -> Response:
    """GET /v1/events?limit&before: which event started what."""
    limit, before_ms = asked.number("limit", 100), asked.moment("before")
    asked.done()
    rows = await blocking(lambda: asked.operations.event_matches(limit=limit, before_ms=before_ms))
    return JsonResponse({"matches": rows})


async def put_full_events(asked: Asked) -> Response:
    """POST /v1/events {"events": [...]}: each with its own answer."""
    body = await asked.body(events=list)
    return JsonResponse(await blocking(asked.operations.put_events, body.get("events", [])))


# --- health -------------------------------------------------------------------------------------------------


async def show_health(asked: Asked) -> Response:
    """GET /healthz: 200, or 503 when nothing can be committed. Details only for who may see them."""
    health = await blocking(asked.operations.health)
    token: str | None = asked.request.app.state.token
    scope = asked.request.scope
    shown = is_local(scope) if token is None else bears(dict(scope["headers"]), token.encode())
    status = 503 if health["status"] == "unavailable" else 200
    return JsonResponse(health if shown else {"status": health["status"]}, status)


async def show_ready(asked: Asked) -> Response:
    """GET /readyz: 200 when work is taken, else 503."""
    health = await blocking(asked.operations.health)
    ready = health["status"] != "unavailable"
    return JsonResponse({"ready": ready}, 200 if ready else 503)


# --- AWS's protocol -----------------------------------------------------------------------------------------


async def aws_call(request: Request) -> Response:
    """POST /: whose call it is stands in X-Amz-Target."""
    of_step_functions = request.headers.get("x-amz-target", "").startswith(PREFIX)
    return await (answer if of_step_functions else put_events)(request)


# --- the application ----------------------------------------------------------------------------------------


def _endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return await handler(Asked(request))
        except Exception as error:  # noqa: BLE001 -- told without its details, see error_response
            return error_response(error)

    return endpoint


ROUTES: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "/healthz", show_health),
    ("GET", "/readyz", show_ready),
    ("GET", "/v1/executions", list_executions),
    ("POST", "/v1/executions", start_execution),
    ("GET", "/v1/executions/{execution:path}", of_execution),
    ("POST", "/v1/executions/{execution:path}", of_execution),
    ("GET", "/v1/workflows", list_workflows),
    ("GET", "/v1/workflows/{name}", show_workflow),
    ("GET", "/v1/schedules", list_schedules),
    ("GET", "/v1/next", next_ticks),
    ("GET", "/v1/schedules/{name}/next", next_ticks),
    ("POST", "/v1/schedules/{name}/pause", pause_schedule),
    ("POST", "/v1/schedules/{name}/resume", resume_schedule),
    ("POST", "/v1/schedules/{name}/fire", fire_schedule),
    ("GET", "/v1/ticks", list_ticks),
    ("GET", "/v1/events", list_events),
    ("POST", "/v1/events", put_full_events),
)


async def _other(request: Request, error: Exception) -> Response:
    """Starlette's own refusals (no such path, no such method) in our shape."""
    assert isinstance(error, HTTPException)
    kind = "NotFound" if error.status_code == 404 else "InvalidInput"
    message = "there is nothing at this path; see /v1/workflows" if kind == "NotFound" else error.detail
    if request.url.path == "/":
        message = "AWS's API is here, by POST; our own is under /v1, as /v1/workflows and /v1/executions"
    return JsonResponse({"error": {"type": kind, "message": message}}, error.status_code)


def create_app(
    operations: Operations, *, api_token: str | SecretStr | None = None, callers: Callers | None = None
) -> Starlette:
    """The application over the operations of one service; with a token, all but health asks for it.

    `callers` tells who makes calls of AWS's protocol; with its keys, those are signed.
    """
    callers = callers or Callers(account=DEFAULT_ACCOUNT, region=DEFAULT_REGION)
    token = api_token.get_secret_value() if isinstance(api_token, SecretStr) else api_token
    app = Starlette(
        routes=[
            Route(AWS_PATH, aws_call, methods=["POST"]),  # the first, since it is asked for most often
            *(Route(path, _endpoint(handler), methods=[method]) for method, path, handler in ROUTES),
        ],
        middleware=[Middleware(Gate, token=token, signed=callers.signed)],
        exception_handlers={HTTPException: _other},
    )
    app.state.operations = operations
    app.state.token = token
    app.state.ends = Ends()
    app.state.callers = callers
    return app
