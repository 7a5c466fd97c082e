"""Reading the fields of a JSONata state: which strings are expressions, and that each can be compiled."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from etl_runner.asl.document import Node, kind_of
from etl_runner.asl.draft import Report
from etl_runner.asl.jsonata import (
    CLOSING,
    OPENING,
    JsonataExpression,
    JsonataPayload,
    JsonataSyntaxError,
    compile_jsonata,
    compile_jsonata_payload,
    is_jsonata,
)
from etl_runner.asl.validate import value_of
from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json

INVALID: Final = "invalid-jsonata"
_REMEDY: Final = "write it as {% ... %}, with nothing before or after"


def field_name(state: Node, node: Node) -> str:
    """Name a place inside a state as AWS's messages do: `Output/total`, `Choices[0]/Condition`."""
    name = ""
    for key in node.path[len(state.path) :]:
        name += f"[{key}]" if isinstance(key, int) else f"/{key}" if name else key
    return name


def read_expression(node: Node, state: Node, subject: str, report: Report) -> JsonataExpression | None:
    """Compile a string that is an expression; a fault goes to the report, and None is given."""
    text = node.value[len(OPENING) : -len(CLOSING)]
    try:
        expression = compile_jsonata(text, field_name(state, node))
    except InvalidInput as error:
        what = f"{node.name} of {subject} is no JSONata expression: {_reason(error)}"
        report.fault(node, INVALID, what)
        return None
    for name in expression.roots:
        what = f"{node.name} of {subject} reads {name!r} at its root, where nothing is"
        report.fault(node, "jsonata-root-read", what, f"read $states.input.{name}, or a variable ${name}")
    for name, (places, where) in _ONLY_IN.items():
        if name in expression.reads and not places(state, expression.field):
            what = f"{node.name} of {subject} reads $states.{name}, which is only there in {where}"
            report.fault(node, "states-field-not-there", what, "read $states.input or a variable instead")
    return expression


def _after_the_work(state: Node, field: str) -> bool:
    return value_of(state, "Type") in {"Task", "Parallel", "Map"} and _AT_THE_END.match(field) is not None


def _in_a_catcher(_state: Node, field: str) -> bool:
    return _IN_A_CATCHER.match(field) is not None


_AT_THE_END: Final = re.compile(r"(?:Output|Assign)(?=[/\[]|$)")
_IN_A_CATCHER: Final = re.compile(r"Catch\[\d+\]/(?:Output|Assign)(?=[/\[]|$)")

_ONLY_IN: Final[Mapping[str, tuple[Callable[[Node, str], bool], str]]] = {
    "result": (_after_the_work, "Output and Assign of a Task, Parallel or Map"),
    "errorOutput": (_in_a_catcher, "Output and Assign of a Catch entry"),
}
"""Fields of `$states` that are not always there. AWS looks for reads of them elsewhere when it takes a
definition (developer guide, "Reserved variable: $states")."""


def is_half_open(value: Json) -> bool:
    """Whether a string begins or ends as an expression and does not do the other."""
    if not isinstance(value, str) or is_jsonata(value):
        return False
    return value.startswith(OPENING) or value.endswith(CLOSING)


def refuse_half_open(node: Node, subject: str, report: Report) -> None:
    """Refuse a string that begins or ends as an expression and does not do the other."""
    what = f"{node.name} of {subject} is {kind_of(node.value)}, which begins or ends as JSONata but not both"
    report.fault(node, INVALID, what, _REMEDY)


def read_payload(node: Node, state: Node, subject: str, report: Report) -> JsonataPayload | None:
    """Check each expression inside a value, so that each fault has its own place, and compile it all."""
    before = report.errors
    for inner in strings_in(node):
        if is_jsonata(inner.value):
            read_expression(inner, state, subject, report)
        elif is_half_open(inner.value):
            refuse_half_open(inner, subject, report)
    if report.errors > before:
        return None
    try:
        return compile_jsonata_payload(node.value, field_name(state, node))
    except InvalidInput as error:
        report.fault(node, "invalid-template", f"{node.name} of {subject}: {error}")
        return None


def read_items(node: Node, state: Node, subject: str, report: Report) -> JsonataPayload | None:
    """Read the Items of a Map: an array, or an expression that gives one."""
    if not isinstance(node.value, list) and not is_jsonata(node.value):
        what = f"{node.name} of {subject} has to be an array, or JSONata that gives one"
        report.fault(node, "wrong-type", what, f"found {kind_of(node.value)}")
        return None
    return read_payload(node, state, subject, report)


def read_condition(node: Node, state: Node, subject: str, report: Report) -> Any:
    """Read the Condition of a choice rule: true, false, or an expression that gives one of the two."""
    if isinstance(node.value, bool):
        return node.value
    if not is_jsonata(node.value):
        what = f"{node.name} of {subject} has to be true, false, or JSONata that gives one of the two"
        report.fault(node, "wrong-type", what, f"found {kind_of(node.value)}")
        return None
    return read_expression(node, state, subject, report)


def strings_in(node: Node) -> Iterator[Node]:
    """Give the strings inside a value, itself included, in document order."""
    if isinstance(node.value, str):
        yield node
    for _, item in node.members():
        yield from strings_in(item)
    for element in node.elements():
        yield from strings_in(element)


def _reason(error: InvalidInput) -> str:
    if isinstance(error, JsonataSyntaxError):
        return f"{error.reason}, at offset {error.offset} of {error.shown}"
    return str(error)
