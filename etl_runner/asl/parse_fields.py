"""Reading one field: its value checked after its Kind, and compiled where it is an expression."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from etl_runner.asl.dataflow import (
    compile_expression,
    compile_reference_path,
    compile_selector,
    compile_template,
)
from etl_runner.asl.document import Node, kind_of
from etl_runner.asl.draft import Report
from etl_runner.asl.intrinsics import IntrinsicCall
from etl_runner.asl.jsonpath import PathSyntaxError
from etl_runner.asl.rules import MAX_LABEL_LENGTH, Field, Kind
from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json

_TIMESTAMP: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d):(\d\d)(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
_RESOURCE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_SUBSTITUTION: Final = re.compile(r"\$\{[A-Za-z0-9_.:-]+\}")
_BAD_IN_LABEL: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f?*<>{}\[\]:;,\\|^~$#%&`\"]")
_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_CALL_NAME: Final = re.compile(r"States\.\w+")
_SUFFIX: Final = ".$"

_FAIL_FUNCTIONS: Final = frozenset(
    {
        "States.Format",
        "States.JsonToString",
        "States.ArrayGetItem",
        "States.Base64Encode",
        "States.Base64Decode",
        "States.Hash",
        "States.UUID",
    }
)
"""The intrinsic functions that ErrorPath and CausePath take: those that can give a string."""

_NUMBER_ARGUMENTS: Final[Mapping[str, tuple[int, ...]]] = {
    "States.MathAdd": (0, 1),
    "States.MathRandom": (0, 1, 2),
    "States.ArrayRange": (0, 1, 2),
    "States.ArrayPartition": (1,),
    "States.ArrayGetItem": (1,),
}
"""Arguments of intrinsic functions that are numbers: a literal of another kind there can never work."""


class Refused(Exception):  # noqa: N818 -- becomes a fault where it is caught
    """A value that its field does not take."""

    def __init__(self, code: str, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.remedy = remedy


def read_value(node: Node, field: Field, subject: str, report: Report) -> Any:
    """Check and compile the value of a field; faults go to the report, and the value is then None."""
    if node.value is None and field.nullable:
        return None
    try:
        return _READERS[field.kind](node.value, field)
    except Refused as refused:
        what = f"{node.name} of {subject} {refused.what}"
        report.fault(node, refused.code, what, refused.remedy)
        return None


def read_template(node: Node, subject: str, report: Report) -> Any:
    """Check a payload template field by field, so that each fault has its own place, and compile it."""
    before = report.errors
    _check_template(node, subject, report)
    if report.errors > before:
        return None
    try:
        return compile_template(node.value)
    except InvalidInput as error:
        report.fault(node, "invalid-template", f"{node.name} of {subject}: {error}")
        return None


def _check_template(node: Node, subject: str, report: Report) -> None:
    for element in node.elements():
        _check_template(element, subject, report)
    for key, item in node.members():
        if not key.endswith(_SUFFIX):
            _check_template(item, subject, report)
            continue
        name = key.removesuffix(_SUFFIX)
        if node.get(name) is not None:
            what = f"{key!r} and {name!r} in {subject} both give the field {name!r}"
            report.fault(item, "duplicate-template-field", what, "keep one of the two", at_key=True)
        if not isinstance(item.value, str):
            what = f"{key!r} in {subject} ends with '.$', so it has to hold a path or an intrinsic call"
            remedy = f"found {kind_of(item.value)}; drop the '.$' if the value is meant as it is"
            report.fault(item, "invalid-template", what, remedy)
            continue
        try:
            _expression(item.value)
        except Refused as refused:
            report.fault(item, refused.code, f"{key!r} in {subject} {refused.what}", refused.remedy)


def wrong_type(wanted: str, value: Json) -> Refused:
    """Say that a value is of another kind than its field takes."""
    return Refused("wrong-type", f"has to be {wanted}", f"found {kind_of(value)}")


def _text(value: Json, _field: Field) -> str:
    if not isinstance(value, str):
        raise wrong_type("a string", value)
    return value


def _texts(value: Json, _field: Field) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise wrong_type("an array of strings that is not empty", value)
    return value


def _flag(value: Json, _field: Field) -> bool:
    if not isinstance(value, bool):
        raise wrong_type("true or false", value)
    return value


def _integer(value: Json, field: Field) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type("a whole number", value)
    _check_range(value, field)
    return value


def _number(value: Json, field: Field) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type("a number", value)
    _check_range(value, field)
    return value


def _check_range(value: float, field: Field) -> None:
    if not field.low <= value <= field.high:
        if field.high == float("inf"):
            wanted = f"at least {field.low:,}"
        else:
            wanted = f"between {field.low:,} and {field.high:,}"
        raise Refused(
            "out-of-range", f"has to be {wanted}", f"found {kind_of(value).removeprefix('the number ')}"
        )


def _one_of(value: Json, field: Field) -> str:
    if not isinstance(value, str) or value not in field.values:
        raise Refused("not-one-of", f"has to be one of {', '.join(field.values)}", f"found {kind_of(value)}")
    return value


def _timestamp(value: Json, _field: Field) -> str:
    if isinstance(value, str) and is_timestamp(value):
        return value
    raise Refused(
        "invalid-timestamp",
        "has to be an RFC 3339 time with 'T' and a zone, such as 2026-01-31T04:05:06Z",
        f"found {kind_of(value)}",
    )


def is_timestamp(text: str) -> bool:
    """Whether a text is an RFC 3339 time as ASL takes it: a capital T, and a capital Z or an offset."""
    found = _TIMESTAMP.fullmatch(text)
    if found is None or int(found[2]) > 59:
        return False
    try:
        datetime.fromisoformat(f"{found[1]}:00+00:00")
    except ValueError:
        return False
    return True


def _state_name(value: Json, _field: Field) -> str:
    if not isinstance(value, str):
        raise wrong_type("the name of a state", value)
    return value


def _error_names(value: Json, _field: Field) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise wrong_type("an array of error names that is not empty", value)
    if not all(isinstance(name, str) for name in value):
        other = next(name for name in value if not isinstance(name, str))
        raise wrong_type("an array of error names", other)
    if "States.ALL" in value and len(value) > 1:
        raise Refused(
            "states-all-not-alone",
            "names States.ALL together with other errors, and it has to stand alone",
            "States.ALL takes every error already; remove the others or move it to an entry of its own",
        )
    return tuple(value)


def _resource(value: Json, _field: Field) -> str:
    if not isinstance(value, str):
        raise wrong_type("an ARN", value)
    plain = _SUBSTITUTION.sub("x:x", value)
    if "${" in plain:
        raise Refused(
            "invalid-resource", f"is {value!r}, whose substitution is not closed", "write it as ${Name}"
        )
    if _RESOURCE.fullmatch(plain) is None:
        raise Refused(
            "invalid-resource",
            f"is {value!r}, which is no ARN",
            "name what does the work, such as arn:aws:lambda:us-east-1:123456789012:function:NAME",
        )
    return value


def _label(value: Json, _field: Field) -> str:
    text = _text(value, _field)
    if not 1 <= len(text) <= MAX_LABEL_LENGTH:
        raise Refused(
            "invalid-label", f"has to have 1 to {MAX_LABEL_LENGTH} characters", f"found {len(text)}"
        )
    bad = _BAD_IN_LABEL.search(text)
    if bad:
        raise Refused(
            "invalid-label",
            f"has the character {bad[0]!r}, which a part of an ARN cannot have",
            "use letters, digits, '-' and '_'",
        )
    return text


def _pointer(value: Json, _field: Field) -> str:
    text = _text(value, _field)
    if _POINTER.fullmatch(text) is None:
        raise Refused("invalid-pointer", f"is {text!r}, which is no JSON Pointer", "write it as /field/inner")
    return text


def _path(value: Json, _field: Field) -> Any:
    text = _path_text(value)
    try:
        return compile_selector(text)
    except InvalidInput as error:
        raise Refused("invalid-path", f"is no path: {_reason(error)}") from None


def _place(value: Json, field: Field) -> Any:
    selector = _path(value, field)
    if not selector.definite:
        raise Refused(
            "invalid-reference-path",
            f"is {value!r}, which may stand for several places, and it has to name one",
            "use names and single indexes only, such as $.items[0].count",
        )
    return selector


def _reference(value: Json, _field: Field) -> Any:
    text = _text(value, _field)
    try:
        return compile_reference_path(text)
    except InvalidInput as error:
        raise Refused(
            "invalid-reference-path",
            f"is no reference path: {_reason(error)}",
            "use names and single indexes only, such as $.items[0].count",
        ) from None


def _path_text(value: Json) -> str:
    if not isinstance(value, str):
        raise wrong_type("a path", value)
    if not value.startswith("$"):
        raise Refused(
            "invalid-path",
            f"is {value!r}, and a path starts with '$'",
            "write it as $.field, $$.Execution.Id or $variable",
        )
    return value


def _expression(value: str) -> Any:
    """Compile a path or an intrinsic call. Raises Refused."""
    try:
        expression = compile_expression(value)
    except InvalidInput as error:
        what = f"is no valid path and no valid intrinsic call: {_reason(error)}"
        raise Refused("invalid-expression", what) from None
    if isinstance(expression, IntrinsicCall):
        _check_literals(expression)
    return expression


def _check_literals(call: IntrinsicCall) -> None:
    for name, position, value in call.literals():
        if position in _NUMBER_ARGUMENTS.get(name, ()) and (
            isinstance(value, bool) or not isinstance(value, int | float)
        ):
            what = f"calls {name} with {kind_of(value)} as argument {position + 1}, which has to be a number"
            raise Refused("invalid-expression", what, "write the number without quotes")


def _fail_expression(value: Json, field: Field) -> Any:
    expression = _expression(_text(value, field))
    if isinstance(expression, IntrinsicCall):
        name = _CALL_NAME.match(expression.text)
        if name is None or name[0] not in _FAIL_FUNCTIONS:
            functions = ", ".join(sorted(_FAIL_FUNCTIONS))
            raise Refused(
                "invalid-expression",
                f"calls {expression.text!r}, which gives no string",
                f"use one of {functions}",
            )
    elif not expression.definite:
        raise Refused(
            "invalid-reference-path", f"is {value!r}, which may stand for several places", "name one of them"
        )
    return expression


def _reason(error: InvalidInput) -> str:
    if isinstance(error, PathSyntaxError):
        return f"{error.reason}, at offset {error.offset} of {error.text!r}"
    return str(error)


_READERS: Final[Mapping[Kind, Callable[[Json, Field], Any]]] = {
    Kind.RESULT: lambda value, _field: (value,),
    Kind.TEXT: _text,
    Kind.TEXTS: _texts,
    Kind.FLAG: _flag,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.ONE_OF: _one_of,
    Kind.TIMESTAMP: _timestamp,
    Kind.STATE_NAME: _state_name,
    Kind.ERROR_NAMES: _error_names,
    Kind.RESOURCE: _resource,
    Kind.LABEL: _label,
    Kind.POINTER: _pointer,
    Kind.PATH: _path,
    Kind.PLACE: _place,
    Kind.REFERENCE: _reference,
    Kind.EXPRESSION: _fail_expression,
}
"""The kinds that are one value; the others have their own readers in parse_states.py."""
