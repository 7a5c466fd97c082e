"""HTTP requests that tasks make themselves: http:invoke, apigateway:invoke, eks:call."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlsplit

from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps, loads
from etl_runner.tasks.aws_faults import unknown_fields
from etl_runner.tasks.handlers import CAUSE_LIMIT, size_exceeded

METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
TIMEOUT_S: Final = 60.0
"""The longest that AWS waits for the answer to http:invoke (developer guide, "HTTP task limitations")."""


def request_faults(arguments: Mapping[str, Json], fields: Container[str]) -> list[str]:
    """What is wrong with the parameters that every HTTP request has, and with names beyond `fields`."""
    faults = unknown_fields(arguments, fields)
    faults += [
        f"The field '{name}' is required but was missing"
        for name in ("ApiEndpoint", "Method")
        if not isinstance(arguments.get(name), str)
    ]
    if arguments.get("Method", METHODS[0]) not in METHODS:
        faults.append(f"The field 'Method' must be one of {', '.join(METHODS)}")
    return faults


@dataclass(slots=True, kw_only=True)
class HttpRequest:
    """A request to be sent. `query` holds pairs, already encoded as the task asked for it, unquoted."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    query: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def full_url(self) -> str:
        """The URL with its query."""
        if not self.query:
            return self.url
        pairs = "&".join(f"{quote(name, safe='[]')}={quote(value, safe='')}" for name, value in self.query)
        return f"{self.url}{'&' if urlsplit(self.url).query else '?'}{pairs}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """An answer. `body` is JSON where it says that it is JSON, else its text."""

    status: int
    reason: str
    headers: dict[str, list[str]]
    body: Json

    def as_json(self) -> dict[str, Json]:
        """The result of a task."""
        return {
            "Headers": self.headers,
            "ResponseBody": self.body,
            "StatusCode": self.status,
            "StatusText": self.reason,
        }


def send(
    request: HttpRequest, task: str, *, limit_bytes: int, timeout_s: float | None = None, verify: Any = True
) -> HttpAnswer:
    """Send a request once. Raises StatesError: States.Http.Socket when no answer comes, and for a big one."""
    import httpx  # noqa: PLC0415 -- a tenth of a second that only such tasks need pay

    patience_s = TIMEOUT_S if timeout_s is None else max(1.0, min(timeout_s, TIMEOUT_S))
    try:
        with (
            httpx.Client(timeout=patience_s, verify=verify) as client,
            client.stream(
                request.method, request.full_url, headers=request.headers, content=request.body
            ) as answer,
        ):
            return HttpAnswer(
                status=answer.status_code,
                reason=answer.reason_phrase,
                headers=_headers(answer.headers.raw),
                body=_body(_read(answer, task, limit_bytes), answer.headers.get("content-type", "")),
            )
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        what = f"{type(fault).__name__}: {fault}" if str(fault) else type(fault).__name__
        raise StatesError("States.Http.Socket", what[:CAUSE_LIMIT]) from fault


def json_body(value: Json) -> bytes:
    """A body: text as it is, anything else as its JSON."""
    return value.encode() if isinstance(value, str) else dumps(value)


def given_headers(value: Json) -> dict[str, str]:
    """Headers of a task: lists are joined by commas."""
    if not isinstance(value, Mapping):
        return {}
    return {
        name: ",".join(str(each) for each in one) if isinstance(one, list) else str(one)
        for name, one in value.items()
    }


def pairs(value: Json) -> list[tuple[str, str]]:
    """Query parameters of a task: lists repeat their name."""
    if not isinstance(value, Mapping):
        return []
    return [
        (name, text(each))
        for name, one in value.items()
        for each in (one if isinstance(one, list) else [one])
    ]


def text(value: Json) -> str:
    """A value in a URL."""
    return value if isinstance(value, str) else dumps(value).decode()


def _headers(items: list[tuple[bytes, bytes]]) -> dict[str, list[str]]:
    made: dict[str, list[str]] = {}
    for name, value in items:
        made.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return made


def _read(answer: Any, task: str, limit_bytes: int) -> bytes:
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > limit_bytes:
            raise StatesError("States.DataLimitExceeded", size_exceeded(task))
    return bytes(body)


def _body(body: bytes, content_type: str) -> Json:
    shown = body.decode(errors="replace")
    if "json" not in content_type:
        return shown
    try:
        return loads(body)
    except ValueError:
        return shown
