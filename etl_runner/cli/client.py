"""The service over HTTP, its errors given back as the errors of etl_runner.errors."""

import ipaddress
import os
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from etl_runner import errors
from etl_runner.cli.exits import NotAllowed, Unreachable
from etl_runner.errors import EtlRunnerError, Fault, InvalidInput
from etl_runner.jsontypes import Json, dumps, loads

DEFAULT_URL: Final = "http://127.0.0.1:8083"

CONNECT_S: Final = 5.0
ANSWER_S: Final = 45.0
"""Longer than the service itself waits for a commit (30 s), so that it gets to say why."""

_ERRORS: Final[dict[str, type[EtlRunnerError]]] = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, EtlRunnerError)
    and not issubclass(kind, errors.DefinitionError | errors.ConfigError | errors.StatesError)
}


class Client:
    """One service. Methods raise Unreachable, NotAllowed, and what the service raised."""

    def __init__(self, url: str, token: str | None = None) -> None:
        if token is not None and not (token.isascii() and token.isprintable()):
            raise InvalidInput(
                "the token has characters that no header can hold; look at ETL_RUNNER_API_TOKEN"
            )
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.url = url.rstrip("/")
        try:
            parsed = httpx.URL(self.url)
            if parsed.scheme not in {"http", "https"} or not parsed.host:
                raise ValueError("it needs http:// or https:// and a host")  # noqa: TRY301 -- told below
            self._http = httpx.Client(
                base_url=self.url,
                headers=headers,
                timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
                # A proxy of the environment is for the world outside, never for this machine.
                trust_env=not _is_here(parsed.host),
            )
        except (httpx.InvalidURL, ValueError, UnicodeError) as error:
            raise InvalidInput(
                f"{url!r} is no address of a service ({error}); it should read like {DEFAULT_URL}"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **query: object) -> Json:
        """GET a path; parameters that are None are left out, flags are written as true and false."""
        return self._ask("GET", path, params=_query(query))

    def post(self, path: str, body: Json) -> Json:
        """POST a JSON body."""
        content = dumps(body)
        return self._ask("POST", path, content=content, headers={"Content-Type": "application/json"})

    def _ask(self, method: str, path: str, **given: Any) -> Json:
        try:
            response = self._http.request(method, path, **given)
        except httpx.ConnectError as error:
            raise Unreachable(
                f"no etl-runner answers at {self.url} ({_why(error)}); start it with `etl-runner serve`, or "
                "say where it is with --url or ETL_RUNNER_URL"
            ) from error
        except httpx.TimeoutException as error:
            raise Unreachable(
                f"the service at {self.url} did not answer in time; look at its log, or ask again"
            ) from error
        except httpx.HTTPError as error:
            raise Unreachable(f"the connection to {self.url} broke off ({_why(error)}); ask again") from error
        return self._answer(response)

    def _answer(self, response: httpx.Response) -> Json:
        try:
            answer = loads(response.content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Unreachable(
                f"what answers at {self.url} is no etl-runner (HTTP {response.status_code}); check --url and "
                "ETL_RUNNER_URL"
            )
        if response.is_success or "error" not in answer:
            return answer
        raise _raised(answer["error"], response.status_code)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def of_execution(execution: str, action: str = "") -> str:
    """The path of an execution, which may hold slashes and colons."""
    path = f"/v1/executions/{quote(execution, safe='')}"
    return f"{path}/{action}" if action else path


def of_schedule(name: str, action: str) -> str:
    """The path of a schedule."""
    return f"/v1/schedules/{quote(name, safe='')}/{action}"


def _query(given: dict[str, object]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in given.items()
        if value is not None
    }


def _raised(shown: Json, status: int) -> EtlRunnerError:
    """The error that the service told of."""
    kind, message = str(shown.get("type", "")), str(shown.get("message", ""))
    if status in {401, 403}:
        return NotAllowed(f"{message}; give the service's token with --token or ETL_RUNNER_API_TOKEN")
    if "faults" in shown:
        fields = ("file", "line", "column", "severity", "code", "what", "remedy")
        faults = [Fault(**{name: each[name] for name in fields}) for each in shown["faults"]]
        return errors.ConfigError(faults)
    if kind == "StatesError":
        error, _, cause = message.partition(": ")
        return errors.StatesError(error, cause)
    found = _ERRORS.get(kind)
    if found is not None:
        return found(message)
    return InvalidInput(message) if status < 500 else EtlRunnerError(message)


def _why(error: Exception) -> str:
    """The plain reason in an error of the network: `Connection refused`."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
            return os.strerror(cause.errno)
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
