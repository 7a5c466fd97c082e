"""Parameters held to botocore's model of Step Functions, told as AWS tells what is wrong with them.

The model is read at the first call and each action's rules are made once: `serve` starts without it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from etl_runner.api.sfn.errors import AwsError, validation_error
from etl_runner.jsontypes import Json
from etl_runner.machine.limits import AWS, Limits

if TYPE_CHECKING:
    from botocore.model import ServiceModel

ENUM_ORDERS: Final = {
    # AWS tells the members in the order of a hash table. Recorded; for others the model's order is told.
    "ExecutionStatus": ("SUCCEEDED", "TIMED_OUT", "PENDING_REDRIVE", "ABORTED", "FAILED", "RUNNING"),
}

_ASCII: Final = (r"\p{ASCII}", r"[\x00-\x7F]")
"""The one class of Java's patterns that the model has and Python has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a shape asks of a value. `told` renders one as AWS does in messages; None hides it."""

    name: str
    kind: str
    sensitive: bool = False
    least: float | None = None
    most: float | None = None
    pattern: str = ""
    enum: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    members: Mapping[str, "Rule"] | None = None
    item: "Rule | None" = None


def check(action: str, parameters: dict[str, Json], limits: Limits = AWS) -> dict[str, Json]:
    """The parameters that the model has, without those that are null or unknown (AWS ignores them).

    Payloads and definitions may have what `limits` say in place of what the model says.
    Raises AwsError: SerializationException for a wrong type, ValidationException with everything else.
    """
    rule = input_rule(action)
    given = _typed(rule, parameters)
    errors = list(_faults(rule, given, "", _lengths(limits)))
    if errors:
        plural = "" if len(errors) == 1 else "s"
        raise validation_error(f"{len(errors)} validation error{plural} detected: {'; '.join(errors)}")
    found: dict[str, Json] = given
    return found


@cache
def service_model() -> "ServiceModel":
    """Botocore's model of Step Functions."""
    from botocore.loaders import Loader  # noqa: PLC0415 -- botocore takes a while to import
    from botocore.model import ServiceModel  # noqa: PLC0415 -- the same

    return ServiceModel(Loader().load_service_model("stepfunctions", "service-2"), "stepfunctions")


@cache
def input_rule(action: str) -> Rule:
    """The rule for an action's parameters."""
    shape = service_model().operation_model(action).input_shape
    assert shape is not None
    return _rule(shape)


def _rule(shape: Any) -> Rule:  # Shape has what we ask for only in its subclasses
    about: Mapping[str, Any] = shape.metadata
    return Rule(
        name=shape.name,
        kind=shape.type_name,
        sensitive=bool(about.get("sensitive")),
        least=about.get("min"),
        most=about.get("max"),
        pattern=about.get("pattern", ""),
        enum=ENUM_ORDERS.get(shape.name, tuple(about.get("enum", ()))),
        required=tuple(about.get("required", ())),
        members={name: _rule(each) for name, each in shape.members.items()}
        if shape.type_name == "structure"
        else None,
        item=_rule(shape.member) if shape.type_name == "list" else None,
    )


# --- types --------------------------------------------------------------------------------------------------

_TYPES: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "string": ((str,), "a String"),
    "integer": ((int,), "an Integer"),
    "long": ((int,), "a Long"),
    "float": ((int, float), "a Float"),
    "double": ((int, float), "a Double"),
    "boolean": ((bool,), "a Boolean"),
    "structure": ((dict,), ""),
    "list": ((list,), ""),
}


def _typed(rule: Rule, value: Json) -> Json:
    """The value as the shape has it. Raises AwsError SerializationException."""
    types, told = _TYPES[rule.kind]
    if not isinstance(value, types) or (isinstance(value, bool) and rule.kind != "boolean"):
        raise AwsError("SerializationException", _mistyped(value, told))
    if rule.members is not None:
        assert isinstance(value, dict)
        known = ((name, rule.members.get(name), each) for name, each in value.items() if each is not None)
        return {name: _typed(member, each) for name, member, each in known if member is not None}
    if rule.item is not None:
        assert isinstance(value, list)
        return [None if each is None else _typed(rule.item, each) for each in value]
    return value


def _mistyped(value: Json, told: str) -> str:
    if isinstance(value, dict):
        return "Start of structure or map found where not expected."
    if isinstance(value, list):
        return "Start of list found where not expected"
    if not told:
        return "Unexpected field type"
    found = "STRING" if isinstance(value, str) else "NUMBER"
    found = str(value).upper() if isinstance(value, bool) else found
    return f"{found}_VALUE can not be converted to {told}"


# --- constraints --------------------------------------------------------------------------------------------


def _lengths(limits: Limits) -> Mapping[str, int]:
    """The shapes whose greatest length a setting may lift. Characters, as the model counts, not bytes."""
    payload = limits.payload_bytes
    return {"SensitiveData": payload, "SensitiveDataJobInput": payload, "Definition": limits.definition_bytes}


def _faults(rule: Rule, value: Json, place: str, lengths: Mapping[str, int]) -> Iterator[str]:
    if rule.members is not None:
        for name, member in rule.members.items():
            at = f"{place}.{name}" if place else name
            if name in value:
                yield from _faults(member, value[name], at, lengths)
            elif name in rule.required:
                yield f"Value null at '{at}' failed to satisfy constraint: Member must not be null"
        return
    for broken in _broken(rule, value, lengths.get(rule.name, rule.most)):
        yield _fault(rule, value, place, broken)
    if rule.item is not None:
        for number, each in enumerate(value, 1):
            at = f"{place}.{number}.member"
            if each is None:
                yield f"Value null at '{at}' failed to satisfy constraint: Member must not be null"
            else:
                yield from _faults(rule.item, each, at, lengths)


def _broken(rule: Rule, value: Json, most: float | None) -> Iterator[str]:
    numeric = rule.kind in {"integer", "long", "float", "double"}
    what, size = ("value", value) if numeric else ("length", 0 if rule.kind == "boolean" else len(value))
    if rule.pattern and _compiled(rule.pattern).fullmatch(value) is None:
        yield f"satisfy regular expression pattern: {rule.pattern}"
    if most is not None and size > most:
        yield f"have {what} less than or equal to {most}"
    if rule.least is not None and size < rule.least:
        yield f"have {what} greater than or equal to {rule.least}"
    if rule.enum and value not in rule.enum:
        yield f"satisfy enum value set: [{', '.join(rule.enum)}]"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of the model, which is written for Java."""
    return re.compile(pattern.replace(r"\p{ASCII}", r"[\x00-\x7f]"))


def _fault(rule: Rule, value: Json, place: str, broken: str) -> str:
    told = "Value" if rule.sensitive else f"Value '{shown(rule, value)}'"
    return f"{told} at '{place}' failed to satisfy constraint: Member must {broken}"


def shown(rule: Rule, value: Json) -> str:
    """A value as AWS's service, a Java program, writes it in messages."""
    if rule.sensitive:
        return "***Sensitive Data Redacted***"
    if rule.members is not None:
        given = (f"{name}={shown(each, value[name])}" for name, each in rule.members.items() if name in value)
        return f"{rule.name}({', '.join(given)})"
    if rule.item is not None:
        item = rule.item
        return f"[{', '.join('null' if each is None else shown(item, each) for each in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
