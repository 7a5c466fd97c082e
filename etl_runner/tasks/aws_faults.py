"""What a failed boto3 call is called in a state machine.

AWS runs `aws-sdk` resources through its Java SDK 2 and the older, optimised ones (sns:publish ...) through
Java SDK 1; the two differ in error names and in the text of the cause. The recorded cases have both.
"""

import re
import uuid
from collections.abc import Container, Mapping
from typing import Any, Final

from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.tasks.aws_naming import camel, exception_name, modelled_error, service_title
from etl_runner.tasks.handlers import CAUSE_LIMIT

_COUNT_ATTEMPTS: Final = frozenset({"Sfn"})
"""Services whose causes tell how often the SDK tried (recorded in late 2025; older recordings have none)."""


def unusable(arguments: Json, faults: list[str]) -> StatesError:
    """The parameters do not fit the API's model; found before anything is called."""
    what = f"The Parameters '{dumps_text(arguments)}' could not be used to start the Task"
    return StatesError("States.Runtime", f"{what}: [{', '.join(faults)}]"[:CAUSE_LIMIT])


def unknown_fields(arguments: Mapping[str, Json], known: Container[str]) -> list[str]:
    """What is wrong with the names of parameters, one sentence for each that is not known."""
    return [
        f"The field '{name}' is not supported by Step Functions"
        for name in sorted(arguments)
        if name not in known
    ]


def not_reached(prefix: str, fault: Exception) -> StatesError:
    """No answer came: no connection, no credentials, or an answer that cannot be read."""
    return StatesError(f"{prefix}.SdkClientException", str(fault)[:CAUSE_LIMIT])


def refused(fault: Any, service_model: Any, operation_model: Any) -> StatesError:
    """An error answer to an aws-sdk call: S3.NoSuchKeyException, Ec2.Ec2Exception."""
    title = service_title(str(service_model.service_id))
    error = fault.response.get("Error", {})
    metadata = fault.response.get("ResponseMetadata", {})
    shape = _shape(error, service_model, operation_model)
    name = exception_name(shape) if shape else f"{title}Exception"
    details = [
        f"Service: {title}",
        f"Status Code: {metadata.get('HTTPStatusCode', 'null')}",
        f"Request ID: {metadata.get('RequestId') or 'null'}",
    ]
    if title == "S3":  # which always sends a second id; not every stand-in does
        details.append(f"Extended Request ID: {metadata.get('HostId') or metadata.get('RequestId')}")
    message = error.get("Message") or shape or error.get("Code", "")
    attempts = " (SDK Attempt Count: 1)" if title in _COUNT_ATTEMPTS else ""
    return StatesError(f"{title}.{name}", f"{message} ({', '.join(details)}){attempts}"[:CAUSE_LIMIT])


def invalid(fault: Exception, service_model: Any) -> StatesError:
    """Botocore found a value that the service would refuse, a text that is too short for one."""
    title = service_title(str(service_model.service_id))
    message = " ".join(re.sub(r"^Parameter validation failed:\s*", "", str(fault)).split())
    return StatesError(
        f"{title}.{title}Exception",
        f"{message} (Service: {title}, Status Code: 400, Request ID: {uuid.uuid4()})"[:CAUSE_LIMIT],
    )


def required(names: list[str], service_model: Any) -> StatesError:
    """Required parameters are null or not there; AWS lets the service itself say so."""
    title = service_title(str(service_model.service_id))
    return StatesError(
        f"{title}.{title}Exception",
        f"{_nulls(names)} (Service: {title}, Status Code: 400, Request ID: {uuid.uuid4()})",
    )


def refused_v1(fault: Any, service: Any, operation_model: Any) -> StatesError:
    """An error answer to an optimised integration: SNS.NotFoundException, SQS.AmazonSQSException.

    `service` is an aws_optimised.Service.
    """
    error = fault.response.get("Error", {})
    metadata = fault.response.get("ResponseMetadata", {})
    shape = _shape(error, service.model, operation_model)
    name = f"{service.title}.{exception_name(shape)}" if shape else _general(service)
    return v1(
        name,
        error.get("Message") or "",
        service,
        status=metadata.get("HTTPStatusCode", 0),
        code=error.get("Code", ""),
        request_id=metadata.get("RequestId") or "null",
    )


def invalid_v1(fault: Exception, service: Any) -> StatesError:
    """Botocore found a value that the service would refuse."""
    message = " ".join(re.sub(r"^Parameter validation failed:\s*", "", str(fault)).split())
    return v1(_general(service), message, service, status=400, code="ValidationException")


def required_v1(names: list[str], service: Any) -> StatesError:
    """Required parameters are null or not there, in the words that the service would have."""
    return v1(_general(service), _nulls(names), service, status=400, code="ValidationException")


def v1(
    name: str, message: str, service: Any, *, status: int, code: str, request_id: str | None = None
) -> StatesError:
    """An error in the words of Java SDK 1."""
    cause = (
        f"{message} (Service: {service.long_title}; Status Code: {status}; Error Code: {code}; "
        f"Request ID: {request_id or uuid.uuid4()}; Proxy: null)"
    )
    return StatesError(name, cause[:CAUSE_LIMIT])


def _general(service: Any) -> str:
    # The exception of a service that has no name of its own: DynamoDB.AmazonDynamoDBException.
    return f"{service.title}.{service.long_title.removesuffix('v2')}Exception"


def _nulls(names: list[str]) -> str:
    faults = [
        f"Value null at '{camel(name)}' failed to satisfy constraint: Member must not be null"
        for name in names
    ]
    return f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected: {'; '.join(faults)}"


def _shape(error: dict[str, str], service_model: Any, operation_model: Any) -> str | None:
    # A service that moved from the query protocol to JSON answers with the old code and the shape's name.
    codes = (error.get("QueryErrorCode", ""), error.get("Code", ""))
    found = (modelled_error(service_model, operation_model, code) for code in codes if code)
    return next((name for name in found if name), None)
