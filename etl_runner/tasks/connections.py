"""EventBridge connections: how http:invoke shows an API who is asking.

What a connection knows stands in a secret of its own in Secrets Manager, under the names of EventBridge's
API in small letters with underscores. It goes into the request and nowhere else.
"""

import base64
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps, loads
from etl_runner.tasks.handlers import CAUSE_LIMIT
from etl_runner.tasks.http_calls import HttpRequest, send, text
from etl_runner.tasks.integration import ServiceCall

_EARLY_S: Final = 60.0
_DEFAULT_LIFE_S: Final = 300.0
"""Of an OAuth token whose answer does not say how long it is good for."""

FAILED: Final = "Events.ConnectionResource.ConnectionNotFound"


class Tokens:
    """OAuth tokens by connection, kept until shortly before they expire."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[str, float]] = {}

    def get(self, key: str) -> str | None:
        """The token, None when there is none that is good for a while."""
        with self._lock:
            found = self._kept.get(key)
        return found[0] if found is not None and found[1] > time.monotonic() else None

    def put(self, key: str, token: str, life_s: float) -> None:
        """Keep a token."""
        with self._lock:
            self._kept[key] = (token, time.monotonic() + max(0.0, life_s - _EARLY_S))


_tokens = Tokens()


def authorise(request: HttpRequest, connection_arn: str, call: ServiceCall) -> None:
    """Put into a request what its connection says. Raises StatesError when the connection cannot be had."""
    kind, secret = _read(connection_arn, call)
    match kind:
        case "BASIC":
            pair = f"{secret.get('username', '')}:{secret.get('password', '')}"
            request.headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        case "API_KEY":
            request.headers[str(secret.get("api_key_name"))] = str(secret.get("api_key_value"))
        case _:
            request.headers["Authorization"] = f"Bearer {_token(connection_arn, secret, call)}"
    _add(request, secret.get("invocation_http_parameters") or {})


def _read(connection_arn: str, call: ServiceCall) -> tuple[str, dict[str, Any]]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 -- slow to import

    name = connection_arn.split("/")[1] if "/" in connection_arn else connection_arn
    try:
        about = call.send("events", "describe_connection", {"Name": name})
        held = call.send("secretsmanager", "get_secret_value", {"SecretId": about["SecretArn"]})
    except (BotoCoreError, ClientError) as fault:
        what = f"The connection {connection_arn} could not be used: {fault}"
        raise StatesError(FAILED, what[:CAUSE_LIMIT]) from fault
    return str(about["AuthorizationType"]), loads(held["SecretString"])


def _token(connection_arn: str, secret: Mapping[str, Any], call: ServiceCall) -> str:
    # A connection whose secret was changed must not go on with its old token.
    key = f"{connection_arn} {hash(dumps(secret))}"
    found = _tokens.get(key)
    if found is None:
        answer = send(
            _token_request(secret), "http", limit_bytes=call.limit_bytes, timeout_s=call.remaining_s
        )
        granted = answer.body if isinstance(answer.body, dict) else {}
        token = granted.get("access_token")
        if not isinstance(token, str):
            raise StatesError(
                "Events.ConnectionResource.ConnectionNotAuthorized",
                f"The authorization endpoint of {connection_arn} answered with status {answer.status} and "
                "no access_token",
            )
        life_s = granted.get("expires_in", _DEFAULT_LIFE_S)
        _tokens.put(key, token, float(life_s) if isinstance(life_s, int | float | str) else _DEFAULT_LIFE_S)
        found = token
    return found


def _token_request(secret: Mapping[str, Any]) -> HttpRequest:
    client = secret.get("client_parameters") or secret
    fields = {
        "grant_type": "client_credentials",
        "client_id": str(client.get("client_id")),
        "client_secret": str(client.get("client_secret")),
    }
    request = HttpRequest(
        method=str(secret.get("http_method", "POST")), url=str(secret.get("authorization_endpoint"))
    )
    extra = secret.get("oauth_http_parameters") or secret.get("o_auth_http_parameters") or {}
    fields |= {each["key"]: text(each["value"]) for each in extra.get("body_parameters") or ()}
    if request.method == "GET":
        request.query = list(fields.items())
    else:
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"
        form = HttpRequest(method="", url="", query=list(fields.items()))
        request.body = form.full_url.removeprefix("?").encode()
    _add(request, {**extra, "body_parameters": None})
    return request


def _add(request: HttpRequest, extra: Mapping[str, Json]) -> None:
    """Add what a connection wants in each request: headers, query and (to a JSON object) body fields."""
    for each in extra.get("header_parameters") or ():
        request.headers[each["key"]] = text(each["value"])
    for each in extra.get("query_string_parameters") or ():
        request.query.append((each["key"], text(each["value"])))
    fields = extra.get("body_parameters")
    if fields:
        body = loads(request.body) if request.body else {}
        if isinstance(body, dict):
            request.body = dumps(body | {each["key"]: each["value"] for each in fields})
