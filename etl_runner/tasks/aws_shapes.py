"""JSON to the parameters of a boto3 call and its answer back to JSON, along the API model's shapes.

Step Functions writes members in Pascal case whatever the API has, times as ISO-8601 text, and blobs as
text. A blob that is no UTF-8 text comes back in base64: JSON could not hold it otherwise.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps, dumps_text
from etl_runner.tasks.aws_naming import member
from etl_runner.tasks.handlers import size_exceeded

_NUMBERS: Final = {"integer": "an INTEGER", "long": "a LONG", "float": "a FLOAT", "double": "a DOUBLE"}
_BOOLEANS: Final = {"true": True, "false": False}


def members_by_name(shape: Any) -> dict[str, str]:
    """Name in a definition -> name in the API, both as the API has it and as Step Functions writes it."""
    names = {name: name for name in shape.members}
    return {member(name): name for name in names} | names


@dataclass(frozen=True, slots=True)
class _Giving:
    """What is being turned into parameters: the SDK whose ways it has, and what does not fit."""

    sdk: Literal[1, 2]
    faults: list[str]


def to_parameters(shape: Any, value: Json, faults: list[str], *, sdk: Literal[1, 2] = 2) -> dict[str, Any]:
    """Turn Parameters into keyword arguments of a boto3 call; what does not fit is added to `faults`.

    null stands for a field that is not there, as on AWS. `sdk`: which SDK for Java AWS reads the parameters
    with, 1 for the optimised integrations and 2 for aws-sdk; each takes some values for what they mean:
    1 a text for DynamoDB's attribute value and "true" for a boolean, 2 any JSON for a text.
    """
    return _structure(shape, value, "Parameters", _Giving(sdk, faults)) or {}


def _structure(shape: Any, value: Json, name: str, giving: _Giving) -> dict[str, Any] | None:
    if giving.sdk == 1 and shape.name == "AttributeValue" and isinstance(value, str):
        return {"S": value}  # the class has a constructor that takes a text
    if not isinstance(value, Mapping):
        giving.faults.append(f"The value for the field '{name}' must be an OBJECT")
        return None
    names = members_by_name(shape)
    made: dict[str, Any] = {}
    for key, inner in value.items():
        if key not in names:
            giving.faults.append(f"The field '{key}' is not supported by Step Functions")
        elif inner is not None:
            made[names[key]] = _to_boto(shape.members[names[key]], inner, key, giving)
    return made


def _to_boto(shape: Any, value: Json, name: str, giving: _Giving) -> Any:
    if getattr(shape, "is_document_type", False) or (shape.serialization or {}).get("jsonvalue"):
        return value
    value = _as_read(shape.type_name, value, giving.sdk)
    match shape.type_name:
        case "structure":
            return _structure(shape, value, name, giving)
        case "list":
            if isinstance(value, list):
                return [_to_boto(shape.member, item, name, giving) for item in value]
            kind = "an ARRAY"
        case "map":
            if isinstance(value, Mapping):
                return {key: _to_boto(shape.value, item, name, giving) for key, item in value.items()}
            kind = "an OBJECT"
        case "blob":
            # Recorded on AWS: s3:putObject with a Body of {"a":1} or false stores that JSON text.
            return value.encode() if isinstance(value, str) else dumps(value)
        case _:
            kind = _scalar_fault(shape.type_name, value)
            if not kind:
                return int(value) if shape.type_name in {"integer", "long"} else value
    giving.faults.append(f"The value for the field '{name}' must be {kind}")
    return None


def _as_read(type_name: str, value: Json, sdk: Literal[1, 2]) -> Json:
    """What an SDK takes a value for, where it is of another type than it should be."""
    if type_name == "string" and sdk == 2 and isinstance(value, Mapping | list):
        return dumps_text(value)  # sfn:startExecution with an Input of {"a": 1}
    if type_name == "boolean" and sdk == 1 and isinstance(value, str):
        return _BOOLEANS.get(value, value)
    return value


def _scalar_fault(type_name: str, value: Json) -> str:
    """Say what a value of this type must be, "" when it is that."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match type_name:
        case "string" | "character":
            return "" if isinstance(value, str) else "a STRING"
        case "boolean":
            return "" if isinstance(value, bool) else "a BOOLEAN"
        case "integer" | "long":
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return "" if is_number and whole else _NUMBERS[type_name]
        case "float" | "double":
            return "" if is_number else _NUMBERS[type_name]
        case "timestamp":
            return "" if isinstance(value, str) or is_number else "a TIMESTAMP"
        case _:
            return ""


def missing_members(shape: Any, given: Mapping[str, Any]) -> list[str]:
    """The API's names of required members that are not given, in the order of the model."""
    return [name for name in shape.required_members if name not in given]


def to_json(shape: Any, answer: Mapping[str, Any], task: str, limit_bytes: int) -> dict[str, Json]:
    """Turn boto3's answer into JSON. Raises StatesError States.DataLimitExceeded for one that is too big."""
    room = _Room(task, limit_bytes)
    streamed = {name for name, value in answer.items() if hasattr(value, "read")}
    plain = {name: value for name, value in answer.items() if name not in streamed}
    made = _members(shape, plain, room)
    made |= _members(shape, {name: answer[name] for name in streamed}, room)  # what is read comes last on AWS
    room.check(len(dumps(made)))
    return made


def to_json_v1(shape: Any, answer: Mapping[str, Any]) -> dict[str, Json]:
    """Turn boto3's answer into JSON as Java SDK 1 has it: members with a capital, times in milliseconds.

    SDK 1 keeps the API's own casing otherwise (MD5OfMessageBody where SDK 2 has Md5OfMessageBody).
    """
    return in_order(
        {
            name[:1].upper() + name[1:]: _from_boto_v1(inner, answer[name])
            for name, inner in (shape.members if shape is not None else {}).items()
            if answer.get(name) is not None
        }
    )


def in_order(made: dict[str, Json]) -> dict[str, Json]:
    """Order the members of a result by name, as the recorded results have them."""
    return dict(sorted(made.items()))


def _from_boto_v1(shape: Any, value: Any) -> Json:
    match shape.type_name:
        case "structure" if isinstance(value, Mapping) and not getattr(shape, "is_document_type", False):
            return to_json_v1(shape, value)
        case "list":
            return [_from_boto_v1(shape.member, item) for item in value]
        case "map":
            return {key: _from_boto_v1(shape.value, item) for key, item in value.items()}
        case "blob" if isinstance(value, bytes | bytearray):
            return base64.b64encode(value).decode()
        case "timestamp" if isinstance(value, datetime):
            return round(value.timestamp() * 1000)
        case _:
            return value


def check_size(result: Json, task: str, limit_bytes: int) -> None:
    """Raise StatesError States.DataLimitExceeded when a result is over the payload limit."""
    _Room(task, limit_bytes).check(len(dumps(result)))


class _Room(NamedTuple):
    """What a result may have, and whom one is blamed on that has more."""

    task: str
    limit_bytes: int

    def check(self, size: int) -> None:
        if size > self.limit_bytes:
            raise StatesError("States.DataLimitExceeded", size_exceeded(self.task))


def _members(shape: Any, value: Mapping[str, Any], room: "_Room") -> dict[str, Json]:
    return in_order(
        {
            member(name): _from_boto(inner, value[name], room)
            for name, inner in (shape.members if shape is not None else {}).items()
            if value.get(name) is not None
        }
    )


def _from_boto(shape: Any, value: Any, room: _Room) -> Json:
    if hasattr(value, "read"):
        return _text(_read(value, room))
    match shape.type_name:
        case "structure" if isinstance(value, Mapping) and not getattr(shape, "is_document_type", False):
            return _members(shape, value, room)
        case "list":
            return [_from_boto(shape.member, item, room) for item in value]
        case "map":
            return {key: _from_boto(shape.value, item, room) for key, item in value.items()}
        case "blob":
            return _text(value) if isinstance(value, bytes | bytearray) else value
        case "timestamp" if isinstance(value, datetime):
            return instant(value)
        case _:
            return value


def _read(stream: Any, room: _Room) -> bytes:
    try:
        data: bytes = stream.read(room.limit_bytes + 1)
    finally:
        stream.close()  # what is left of a larger object is not read
    room.check(len(data))
    return data


def _text(data: bytes | bytearray) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return base64.b64encode(data).decode()


def instant(when: datetime) -> str:
    """Write a time as Java's Instant does: 2026-01-31T04:05:06Z, with milliseconds where there are any."""
    when = when.astimezone(UTC)
    text = when.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{when.microsecond // 1000:03d}Z" if when.microsecond >= 1000 else f"{text}Z"


def json_text(value: Json) -> str:
    """A message as a service takes it: text as it is, anything else as its JSON text."""
    return value if isinstance(value, str) else dumps_text(value)
