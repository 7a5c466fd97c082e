"""What calls of Lambda functions have in common, wherever the function runs: arguments, results, errors."""

import uuid
from collections.abc import Mapping
from typing import Final

from etl_runner.arn import DEFAULT_REGION
from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, loads
from etl_runner.tasks import aws_faults
from etl_runner.tasks.aws_metadata import lambda_metadata
from etl_runner.tasks.aws_optimised import Service
from etl_runner.tasks.functions import Reference
from etl_runner.tasks.handlers import CAUSE_LIMIT
from etl_runner.tasks.integration import PREFIX

SERVICE: Final = Service(name="lambda", boto3_name="lambda", title="Lambda", long_title="AWSLambda")
INVOKE: Final = f"{PREFIX}lambda:invoke"
INVOKE_FIELDS: Final = ("ClientContext", "FunctionName", "InvocationType", "LogType", "Payload", "Qualifier")
INVOCATION_TYPES: Final = ("RequestResponse", "Event", "DryRun")
_NO_TYPE: Final = "The cause could not be determined because Lambda did not return an error type."


def check_values(arguments: Json) -> list[str]:
    """Why these arguments of lambda:invoke cannot be used, in AWS's words where they are known."""
    if not isinstance(arguments, Mapping):
        return ["The parameters must be an OBJECT"]
    faults = aws_faults.unknown_fields(arguments, INVOKE_FIELDS)
    name = arguments.get("FunctionName")
    if not isinstance(name, str):
        missing = "is required but was missing" if name is None else "must be a STRING"
        faults.append(f"The field 'FunctionName' {missing}")
    kind = arguments.get("InvocationType") or INVOCATION_TYPES[0]
    if kind not in INVOCATION_TYPES:
        faults.append(f"The field 'InvocationType' must be one of {', '.join(INVOCATION_TYPES)}")
    return faults


def payload(value: Json) -> Json:
    """What the function gets for Payload: null is `{}`, a string that holds JSON is that JSON.

    Source: recorded on AWS (Payload "0.0" reaches the function as a number, "[]" as a list).
    """
    if value is None:
        return {}
    if isinstance(value, str):
        try:
            return loads(value)
        except ValueError:
            return value
    return value


def invoke_result(
    result: Json,
    status: int,
    *,
    size: int,
    version: str = "$LATEST",
    request_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Json]:
    """The result of lambda:invoke as AWS shapes it. `size` is that of the function's answer in bytes."""
    metadata = lambda_metadata(
        request_id or str(uuid.uuid4()), size, status=status, version=version, given=headers
    )
    return {"ExecutedVersion": version, "Payload": result, **metadata, "StatusCode": status}


def missing(name: str, *, region: str = DEFAULT_REGION, account: str, request_id: str = "") -> StatesError:
    """The function does not exist; Lambda names it with its qualifier."""
    found = Reference.parse(name) or Reference(name=name)
    arn = (
        f"arn:{found.partition or 'aws'}:lambda:{found.region or region}:"
        f"{found.account or account}:function:{found.name}:{found.qualifier}"
    )
    return aws_faults.v1(
        "Lambda.ResourceNotFoundException",
        f"Function not found: {arn}",
        SERVICE,
        status=404,
        code="ResourceNotFoundException",
        request_id=request_id or None,
    )


def failed(body: bytes) -> StatesError:
    """The error of a function that failed: its type, and what Lambda answered as the cause."""
    text = body.decode(errors="replace")
    try:
        told = loads(body)
    except ValueError:
        told = None
    kind = told.get("errorType") if isinstance(told, dict) else None
    if isinstance(kind, str) and kind:
        return StatesError(kind, text[:CAUSE_LIMIT])
    return StatesError("Lambda.Unknown", f"{_NO_TYPE} Returned payload: {text}"[:CAUSE_LIMIT])
