"""The request and the answer of an HTTP Task under test (TestState, inspectionLevel TRACE).

The request is shown as the state's definition makes it. What the connection adds to it is a secret and is
shown to nobody, whether or not it is asked for: it never comes this far.
"""

from typing import Final
from urllib.parse import urlsplit

from etl_runner.jsontypes import Json, dumps_text, loads
from etl_runner.tasks.http_calls import HttpRequest, given_headers, json_body, pairs

RESOURCE: Final = ":states:::http:invoke"


def request_shown(arguments: Json) -> Json:
    """An InspectionDataRequest of the arguments of http:invoke."""
    given = arguments if isinstance(arguments, dict) else {}
    request = HttpRequest(
        method=str(given.get("Method", "")),
        url=str(given.get("ApiEndpoint", "")),
        headers=given_headers(given.get("Headers")),
        query=pairs(given.get("QueryParameters")),
    )
    shown = {
        "protocol": urlsplit(request.url).scheme,
        "method": request.method,
        "url": request.full_url,
        "headers": _headers({name: [value] for name, value in request.headers.items()}),
    }
    body = given.get("RequestBody")
    return shown if body is None else {**shown, "body": json_body(body).decode()}


def response_shown(result: Json, cause: str | None) -> Json:
    """An InspectionDataResponse of the result of http:invoke, or of the cause of a failure that has one."""
    answer = result if isinstance(result, dict) else _read(cause)
    if not isinstance(answer, dict) or "StatusCode" not in answer:
        return None
    body = answer.get("ResponseBody")
    return {
        "protocol": "https",
        "statusCode": str(answer["StatusCode"]),
        "statusMessage": str(answer.get("StatusText", "")),
        "headers": _headers(answer.get("Headers") or {}),
        "body": body if isinstance(body, str) else dumps_text(body),
    }


def _read(cause: str | None) -> Json:
    try:
        return loads(cause or "")
    except ValueError:
        return None  # it was cut, or no answer came


def _headers(headers: dict[str, list[str]]) -> str:
    told = (f"{name}: {value}" for name, values in headers.items() for value in values)
    return f"[{', '.join(told)}]"
