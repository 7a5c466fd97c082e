"""`apigateway:invoke`: a request to a stage of an API of Amazon API Gateway."""

from typing import Any, Final
from urllib.parse import urlsplit

from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.tasks import aws_faults
from etl_runner.tasks.aws_optimised import WITH_CALLBACK, Action, Optimised, Service
from etl_runner.tasks.aws_shapes import check_size
from etl_runner.tasks.handlers import CAUSE_LIMIT
from etl_runner.tasks.http_calls import HttpRequest, given_headers, json_body, pairs, request_faults, send
from etl_runner.tasks.integration import Integration, ServiceCall

SERVICE = Service(
    name="apigateway", boto3_name="apigateway", title="ApiGateway", long_title="AmazonApiGateway"
)
_FIELDS: Final = (
    "AllowNullValues",
    "ApiEndpoint",
    "AuthType",
    "Headers",
    "Method",
    "Path",
    "QueryParameters",
    "RequestBody",
    "Stage",
)
_AUTHS: Final = ("NO_AUTH", "IAM_ROLE", "RESOURCE_POLICY")
_ERROR_STATUS: Final = 400


class ApiGateway(Optimised):
    """Speaks HTTP with an API, signed where AuthType asks for it."""

    def call(self, call: ServiceCall) -> Json:
        """Send the request. Raises StatesError ApiGateway.<status> for an answer of 4xx and 5xx."""
        faults = check_values(call.arguments)
        if faults:
            raise aws_faults.unusable(call.arguments, faults)
        request = _request(call.arguments)
        if call.arguments.get("AuthType", _AUTHS[0]) != _AUTHS[0]:
            _sign(request, call)
        answer = send(request, self.name, limit_bytes=call.limit_bytes, timeout_s=call.remaining_s)
        if answer.status >= _ERROR_STATUS:
            body = answer.body if isinstance(answer.body, str) else dumps_text(answer.body)
            raise StatesError(f"ApiGateway.{answer.status}", body[:CAUSE_LIMIT])
        shown = answer.as_json()
        check_size(shown, self.name, call.limit_bytes)
        return shown


def check_values(arguments: Json) -> list[str]:
    """Why the parameters cannot be used."""
    if not isinstance(arguments, dict):
        return ["The parameters must be an OBJECT"]
    faults = request_faults(arguments, _FIELDS)
    if arguments.get("AuthType", _AUTHS[0]) not in _AUTHS:
        faults.append(f"The field 'AuthType' must be one of {', '.join(_AUTHS)}")
    return faults


def _request(given: dict[str, Any]) -> HttpRequest:
    endpoint = given["ApiEndpoint"]
    base = endpoint if "://" in endpoint else f"https://{endpoint}"
    stage, path = given.get("Stage") or "", given.get("Path") or ""
    url = base.rstrip("/") + (f"/{stage}" if stage else "") + (f"/{path.lstrip('/')}" if path else "/")
    headers = given_headers(given.get("Headers"))
    body = given.get("RequestBody")
    if body is not None or given.get("AllowNullValues"):
        headers.setdefault("Content-Type", "application/json")
    return HttpRequest(
        method=given["Method"],
        url=url,
        headers=headers,
        query=pairs(given.get("QueryParameters")),
        body=b"" if body is None and not given.get("AllowNullValues") else json_body(body),
    )


def _sign(request: HttpRequest, call: ServiceCall) -> None:
    from botocore.auth import SigV4Auth  # noqa: PLC0415 -- a tenth of a second that only calls need pay
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    signer = call.client("apigateway")._request_signer  # noqa: SLF001 -- botocore offers no other way to them
    credentials = signer._credentials.get_frozen_credentials()  # noqa: SLF001 -- the same
    host = urlsplit(request.url).hostname or ""
    region = host.split(".")[2] if host.endswith(".amazonaws.com") else signer.region_name
    signed = AWSRequest(request.method, request.full_url, request.headers, request.body)
    SigV4Auth(credentials, "execute-api", region).add_auth(signed)
    request.headers = dict(signed.headers.items())


INTEGRATION: Integration = ApiGateway(
    SERVICE,
    "Send a request to an API of Amazon API Gateway",
    Action(
        name="invoke",
        forms=WITH_CALLBACK,
        fields=_FIELDS,
        required=("ApiEndpoint", "Method"),
    ),
)
