"""`http:invoke`: a request to any HTTPS API, authorised by an EventBridge connection."""

from typing import Any, Final
from urllib.parse import urlsplit

from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.tasks import aws_faults
from etl_runner.tasks.aws_optimised import Action, Optimised, Service
from etl_runner.tasks.aws_shapes import check_size
from etl_runner.tasks.connections import authorise
from etl_runner.tasks.handlers import CAUSE_LIMIT
from etl_runner.tasks.http_calls import (
    HttpRequest,
    given_headers,
    json_body,
    pairs,
    request_faults,
    send,
    text,
)
from etl_runner.tasks.integration import Integration, ServiceCall

SERVICE = Service(name="http", boto3_name="events", title="Http", long_title="StepFunctionsHttp")
_FIELDS: Final = (
    "ApiEndpoint",
    "Authentication",
    "Headers",
    "InvocationConfig",
    "Method",
    "QueryParameters",
    "RequestBody",
    "Transform",
)
_FORMATS: Final = ("INDICES", "REPEAT", "COMMAS", "BRACKETS", "NONE")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_SUCCESS: Final = range(200, 300)


class Http(Optimised):
    """Speaks HTTP with anyone."""

    def call(self, call: ServiceCall) -> Json:
        """Send the request. Raises StatesError States.Http.StatusCode.<status> unless it is a success."""
        faults = check_values(call.arguments)
        if faults:
            raise aws_faults.unusable(call.arguments, faults)
        request = _request(call)
        connection = connection_arn(call.arguments)
        if connection:
            authorise(request, connection, call)
        answer = send(request, self.name, limit_bytes=call.limit_bytes, timeout_s=call.remaining_s)
        shown = answer.as_json()
        shown["Headers"] = {name.lower(): values for name, values in answer.headers.items()}
        if answer.status not in _SUCCESS:
            raise StatesError(f"States.Http.StatusCode.{answer.status}", dumps_text(shown)[:CAUSE_LIMIT])
        check_size(shown, self.name, call.limit_bytes)
        return shown


def connection_arn(arguments: Json) -> str | None:
    """The ARN of the connection, in either of the places that AWS takes it from."""
    for name in ("Authentication", "InvocationConfig"):
        held = arguments.get(name)
        if isinstance(held, dict) and isinstance(held.get("ConnectionArn"), str):
            return str(held["ConnectionArn"])
    return None


def check_values(arguments: Json) -> list[str]:
    """Why the parameters cannot be used."""
    if not isinstance(arguments, dict):
        return ["The parameters must be an OBJECT"]
    faults = request_faults(arguments, _FIELDS)
    endpoint = urlsplit(str(arguments.get("ApiEndpoint", "https://")))
    if endpoint.scheme != "https" and endpoint.hostname not in _LOOPBACK:
        faults.append("The field 'ApiEndpoint' must be an HTTPS URL")
    if connection_arn(arguments) is None:
        faults.append("The field 'Authentication' with the ConnectionArn of a connection is required")
    return faults


def _request(call: ServiceCall) -> HttpRequest:
    given: dict[str, Any] = call.arguments
    region = call.execution_arn.split(":")[3] if call.execution_arn.count(":") > 3 else ""
    request = HttpRequest(
        method=given["Method"],
        url=given["ApiEndpoint"],
        headers={
            "User-Agent": f"Amazon|StepFunctions|HttpInvoke|{region}",
            "Range": f"bytes=0-{call.limit_bytes}",
            **given_headers(given.get("Headers")),
        },
        query=pairs(given.get("QueryParameters")),
    )
    body = given.get("RequestBody")
    transform = given.get("Transform") or {}
    if body is None:
        return request
    if transform.get("RequestBodyEncoding") == "URL_ENCODED" and isinstance(body, dict):
        options = transform.get("RequestEncodingOptions") or {}
        form = url_encoded(body, options.get("ArrayFormat", _FORMATS[0]))
        request.body = HttpRequest(method="", url="", query=form).full_url.removeprefix("?").encode()
        _default(request.headers, "Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")
    else:
        request.body = json_body(body)
        _default(request.headers, "Content-Type", "application/json")
    return request


def url_encoded(body: dict[str, Json], array_format: str) -> list[tuple[str, str]]:
    """The pairs of a form, arrays as ArrayFormat asks for them. Raises StatesError for another format."""
    if array_format not in _FORMATS:
        raise aws_faults.unusable(body, [f"The field 'ArrayFormat' must be one of {', '.join(_FORMATS)}"])
    return [pair for name, value in body.items() for pair in _pairs(name, value, array_format)]


def _pairs(name: str, value: Json, array_format: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [
            pair for key, inner in value.items() for pair in _pairs(f"{name}[{key}]", inner, array_format)
        ]
    if not isinstance(value, list):
        return [(name, text(value))]
    match array_format:
        case "COMMAS":
            return [(name, ",".join(text(each) for each in value))]
        case "BRACKETS":
            return [(f"{name}[]", text(each)) for each in value]
        case "REPEAT":
            return [(name, text(each)) for each in value]
        case "NONE":
            return [(name, text(value))]
        case _:
            return [
                pair
                for place, each in enumerate(value)
                for pair in _pairs(f"{name}[{place}]", each, array_format)
            ]


def _default(headers: dict[str, str], name: str, value: str) -> None:
    if not any(known.lower() == name.lower() for known in headers):
        headers[name] = value


INTEGRATION: Integration = Http(
    SERVICE,
    "Send a request to an HTTPS API, authorised by an EventBridge connection",
    Action(
        name="invoke",
        fields=_FIELDS,
        required=("ApiEndpoint", "Method"),
    ),
)
