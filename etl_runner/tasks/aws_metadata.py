"""SdkHttpMetadata and SdkResponseMetadata: what Java SDK 1 tells of the HTTP answer beside its content.

The names of the headers are those that AWS's own endpoints send (recorded). A stand-in for AWS sends others,
and says "close" where AWS keeps the connection; a state machine that was written against AWS must not notice.
"""

import datetime as dt
import re
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from etl_runner.jsontypes import Json, dumps


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpProfile:
    """The headers that a service sends, in the order of the SDK's table, and values that never change."""

    names: tuple[str, ...]
    fixed: Mapping[str, str] = field(default_factory=dict)


_PLAIN: Final = ("x-amzn-RequestId", "connection", "Content-Length", "Date", "Content-Type")
_PROFILES: Final = {
    "dynamodb": HttpProfile(
        names=(
            "Server", "Connection", "x-amzn-RequestId", "x-amz-crc32", "Content-Length", "Date",
            "Content-Type",
        ),
        fixed={"Server": "Server", "Content-Type": "application/x-amz-json-1.0"},
    ),
    "lambda": HttpProfile(
        names=(
            "X-Amz-Executed-Version", "x-amzn-Remapped-Content-Length", "Connection", "x-amzn-RequestId",
            "Content-Length", "Date", "X-Amzn-Trace-Id", "Content-Type",
        ),
        fixed={"x-amzn-Remapped-Content-Length": "0", "Content-Type": "application/json"},
    ),
    "json-1.0": HttpProfile(names=_PLAIN, fixed={"Content-Type": "application/x-amz-json-1.0"}),
    "json-1.1": HttpProfile(names=_PLAIN, fixed={"Content-Type": "application/x-amz-json-1.1"}),
    "rest-json": HttpProfile(names=_PLAIN, fixed={"Content-Type": "application/json"}),
    "query": HttpProfile(names=_PLAIN, fixed={"Content-Type": "text/xml"}),
}  # fmt: skip


def profile_of(model: Any) -> HttpProfile:
    """The headers of a service, by botocore's model of it."""
    own = _PROFILES.get(model.service_name)
    if own is not None:
        return own
    if model.metadata["protocol"] == "json":
        return _PROFILES[f"json-{model.metadata.get('jsonVersion', '1.0')}"]
    return _PROFILES.get(model.metadata["protocol"], _PROFILES["rest-json"])


def sdk_metadata(
    profile: HttpProfile, metadata: Mapping[str, Any], body: bytes | int | None = None
) -> dict[str, Json]:
    """The two metadata fields of a result, from boto3's ResponseMetadata.

    `body` is the body as AWS writes it, or its length: a stand-in's may have more white space. None takes
    the length that the answer gave.
    """
    given = {name.lower(): value for name, value in metadata.get("HTTPHeaders", {}).items()}
    request_id = metadata.get("RequestId") or given.get("x-amzn-requestid") or ""
    headers = {}
    for name in profile.names:
        value = _value(name, given, request_id, body)
        headers[name] = profile.fixed.get(name, value)
    return {
        "SdkHttpMetadata": {
            "AllHttpHeaders": {name: [value] for name, value in headers.items()},
            "HttpHeaders": dict(sorted(headers.items(), key=lambda item: item[0].lower())),
            "HttpStatusCode": metadata.get("HTTPStatusCode", 200),
        },
        "SdkResponseMetadata": {"RequestId": request_id},
    }


def lambda_metadata(
    request_id: str, size: int, *, status: int, version: str, given: Mapping[str, str] | None = None
) -> dict[str, Json]:
    """The metadata of lambda:invoke, whose answer has `size` bytes; for functions that run here too."""
    headers = {"x-amz-executed-version": version, "x-amzn-requestid": request_id, **(given or {})}
    answer = {"HTTPHeaders": headers, "RequestId": request_id, "HTTPStatusCode": status}
    return sdk_metadata(_PROFILES["lambda"], answer, size)


def trace_id() -> str:
    """A trace id as AWS Lambda sends it, of a trace that is not sampled."""
    now = int(dt.datetime.now(dt.UTC).timestamp())
    return f"Root=1-{now:08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"


def _value(name: str, given: Mapping[str, str], request_id: str, body: bytes | int | None) -> str:
    match name.lower():
        case "connection":
            return "keep-alive"
        case "content-length" if body is not None:
            return str(body if isinstance(body, int) else len(body))
        case "x-amz-crc32" if isinstance(body, bytes):
            return str(zlib.crc32(body))
        case "x-amzn-requestid":
            return request_id
        case "x-amzn-trace-id" if "x-amzn-trace-id" not in given:
            return trace_id()
        case "date" if "date" not in given:
            return dt.datetime.now(dt.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        case low:
            return given.get(low, "")


_EPOCH: Final = re.compile(rb'"\x7f(\d)(\d+)"')


def wire_body(model: Any, operation: Any, answer: Mapping[str, Any]) -> bytes | int | None:
    """The body of an answer as AWS's endpoint writes it; None where that cannot be told."""
    if model.metadata["protocol"] == "json":
        shape = operation.output_shape
        text = dumps(_wire(shape, answer)) if shape is not None else b"{}"
        return _EPOCH.sub(lambda found: b"%s.%sE9" % (found[1], found[2].rstrip(b"0") or b"0"), text)
    if operation.name == "Publish" and model.service_name == "sns":
        # The XML of PublishResponse, indented, with two ids of 36 characters (recorded: 294 bytes).
        number = answer.get("SequenceNumber")
        return 294 + (len(f"    <SequenceNumber>{number}</SequenceNumber>\n") if number else 0)
    return None


def _wire(shape: Any, value: Any) -> Json:
    match shape.type_name:
        case "structure" if isinstance(value, Mapping):
            return {
                inner.serialization.get("name", name): _wire(inner, value[name])
                for name, inner in shape.members.items()
                if value.get(name) is not None
            }
        case "list":
            return [_wire(shape.member, item) for item in value]
        case "map":
            return {key: _wire(shape.value, item) for key, item in value.items()}
        case "timestamp" if isinstance(value, dt.datetime):
            # Java writes a double: 1.713421621123E9.
            return f"\x7f{round(value.timestamp() * 1000)}"
        case "blob" if isinstance(value, bytes):
            return "=" * (4 * -(-len(value) // 3))
        case _:
            return value
