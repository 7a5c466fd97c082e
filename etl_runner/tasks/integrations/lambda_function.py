"""Lambda functions that live in AWS: `lambda:invoke`, and a function's own ARN as Resource.

Functions that are bound here run here (python_functions.py); what is not bound comes this way.
"""

import base64
import re
from typing import Any, Final

from etl_runner.arn import DEFAULT_REGION
from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps, loads
from etl_runner.tasks import aws_faults
from etl_runner.tasks.aws_optimised import WITH_CALLBACK, Action, Optimised, send
from etl_runner.tasks.aws_shapes import check_size
from etl_runner.tasks.functions import Reference
from etl_runner.tasks.integration import Integration, ServiceCall
from etl_runner.tasks.lambda_calls import (
    INVOKE_FIELDS,
    SERVICE,
    check_values,
    failed,
    invoke_result,
    missing,
    payload,
)

_ARN: Final = re.compile(r"arn:aws[a-z-]*:lambda:")


class Functions(Optimised):
    """Calls functions through the Lambda API."""

    def claims(self, resource: str) -> bool:
        """Whether this is lambda:invoke in whatever form, or a function's ARN."""
        return super().claims(resource) or _ARN.match(resource) is not None

    def accepts(self, resource: str) -> str | None:
        """None for lambda:invoke in its forms and for what reads as a function's ARN."""
        if _ARN.match(resource) is None:
            return super().accepts(resource)
        if Reference.reads_as_arn(resource):
            return None
        return f"{resource} is no function's ARN; it should read arn:aws:lambda:REGION:ACCOUNT:function:NAME"

    def check_arguments(self, resource: str, template: Json) -> list[str]:
        """What is wrong with the names of lambda:invoke's parameters; a function takes any."""
        return [] if _ARN.match(resource) else super().check_arguments(resource, template)

    def call(self, call: ServiceCall) -> Json:
        """Call the function. Raises StatesError: the function's own error, or the service's."""
        if _ARN.match(call.resource):
            answer, body = _invoke({"FunctionName": call.resource}, dumps(call.arguments), call)
            result = _parsed(body)
            check_size(result, call.resource, call.limit_bytes)
            return result
        faults = check_values(call.arguments)
        if faults:
            raise aws_faults.unusable(call.arguments, faults)
        given = {name: value for name, value in call.arguments.items() if value is not None}
        answer, body = _invoke(given, dumps(payload(given.pop("Payload", None))), call)
        metadata = answer["ResponseMetadata"]
        shown = invoke_result(
            _parsed(body),
            answer["StatusCode"],
            size=len(body),
            version=answer.get("ExecutedVersion", "$LATEST"),
            request_id=metadata.get("RequestId"),
            headers=metadata.get("HTTPHeaders"),
        )
        if "LogResult" in answer:
            shown["LogResult"] = answer["LogResult"]
        check_size(shown, "lambda", call.limit_bytes)
        return shown


def _invoke(given: dict[str, Any], event: bytes, call: ServiceCall) -> tuple[dict[str, Any], bytes]:
    name = given["FunctionName"]
    client_context = given.get("ClientContext")
    if client_context is not None and not isinstance(client_context, str):
        given["ClientContext"] = base64.b64encode(dumps(client_context)).decode()

    def refused(fault: Any, _call: ServiceCall) -> StatesError | None:
        if fault.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
            return None
        metadata = fault.response.get("ResponseMetadata", {})
        account = call.execution_arn.split(":")[4] if call.execution_arn.count(":") > 4 else ""
        region = call.execution_arn.split(":")[3] if account else DEFAULT_REGION
        qualified = f"{name}:{given['Qualifier']}" if given.get("Qualifier") else name
        request_id = metadata.get("RequestId") or ""
        return missing(qualified, region=region, account=account, request_id=request_id)

    operation = SERVICE.model.operation_model("Invoke")
    answer = send(SERVICE, operation, {**given, "Payload": event}, call, refused=refused)
    body: bytes = answer["Payload"].read() if "Payload" in answer else b""
    if answer.get("FunctionError"):
        raise failed(body)
    return answer, body


def _parsed(body: bytes) -> Json:
    if not body:
        return ""
    try:
        return loads(body)
    except ValueError:
        return body.decode(errors="replace")


INTEGRATION: Integration = Functions(
    SERVICE,
    "Call a Lambda function: one bound here, or one that lives in AWS",
    Action(name="invoke", forms=WITH_CALLBACK, fields=INVOKE_FIELDS, required=("FunctionName",)),
)
