"""How AWS says what is wrong with a definition: one text for each kind of fault.

The texts are those that CreateStateMachine and ValidateStateMachineDefinition were seen to answer. A kind of
fault that AWS has no known text for is told in its style, with our own sentence.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from etl_runner.asl.jsonata import CLOSING, OPENING
from etl_runner.asl.rules import AT_MOST_ONE, OPERATORS, STATE_TYPES
from etl_runner.errors import Fault
from etl_runner.jsontypes import Json

SCHEMA: Final = "SCHEMA_VALIDATION_FAILED"
TARGET: Final = "MISSING_TRANSITION_TARGET"
BAD_JSON: Final = "INVALID_JSON_DESCRIPTION"
NO_END: Final = "MISSING_END_STATE"

Keys = tuple[str | int, ...]
"""The way to a value in a document; integers are indexes."""

_PAYLOADS: Final = frozenset(
    {"Parameters", "ResultSelector", "ItemSelector", "Credentials", "BatchInput", "Assign"}
)
_TESTS: Final = ("And", "Or", "Not", "Variable", "Condition")
_GROUPS: Final = (("Next", "End"), *(group for groups in AT_MOST_ONE.values() for group in groups))
_ORDERS: Final = {"JitterStrategy": "NONE, FULL"}
"""Enumerations that AWS tells in another order than ours."""

_SYNTAX: Final = re.compile(r" is no JSONata expression: (?:\w\d+: )?(.*), at offset \d+ of ", re.DOTALL)
_RANGE: Final = re.compile(r"between ([-\d.,]+) and ([-\d.,]+)|at least ([-\d.,]+)")
_TYPES: Final = (
    ("has to be a whole number", "Integer"),
    ("has to be a number", "Number"),
    ("has to be true or false", "Boolean"),
    ("has to be an array", "Array"),
    ("has to be an object", "Object"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What AWS says of a fault: its code, its sentence, and where; None is the document as a text."""

    code: str
    message: str
    location: Keys | None


@dataclass(frozen=True, slots=True)
class Place:
    """A fault in its document: `keys` lead to `value`, which stands in `parent`."""

    fault: Fault
    keys: Keys
    value: Json
    parent: Json

    @property
    def field(self) -> str:
        """The field's name."""
        return str(self.keys[-1]) if self.keys else ""

    @property
    def around(self) -> Keys:
        """The way to the object that has the field."""
        return self.keys[:-1]

    def said(self, pattern: str) -> str:
        """What our own sentence has in place of the pattern's group; empty when it does not match."""
        found = re.search(pattern, self.fault.what)
        return found[1] if found else ""


_Teller = Callable[[Place], Told]


def tell(place: Place) -> Told:
    """Say a fault as AWS does."""
    return _TELLERS.get(place.fault.code, _our_own)(place)


def _schema(message: str, location: Keys) -> Told:
    return Told(code=SCHEMA, message=message, location=location)


def _our_own(place: Place) -> Told:
    what = place.fault.what
    return _schema(what[:1].upper() + what[1:], place.keys)


def _always(message: str, code: str = SCHEMA) -> _Teller:
    return lambda place: Told(code=code, message=message, location=place.keys)


def _unreadable(place: Place) -> Told:
    at = f"line: {place.fault.line}, column: {place.fault.column}"
    return Told(code=BAD_JSON, message=f"{place.fault.what} at [{at}]", location=None)


def _wrong_type(place: Place) -> Told:
    if place.value in ([], {}, ""):
        return _schema("Value cannot be empty", place.keys)
    wanted = next((name for said, name in _TYPES if said in place.fault.what), "String")
    if wanted == "String" and isinstance(place.value, str):
        return _our_own(place)
    return _schema(f"Expected value of type {wanted}", place.keys)


def _missing(place: Place) -> Told:
    group = place.said(r" has none of ([\w, ]+)$")
    if group:
        return _schema(f"This object should have only one of the following fields: [{group}]", place.keys)
    field = place.said(r" (?:has|and) no (\w+)$") or place.said(r"does not say which (\w+)") or "Resource"
    if place.field == "Credentials":
        return _schema("The field 'RoleArn' is required but was missing", place.keys)
    if field == "CSVHeaderLocation":
        return _schema(f"The field '{field}' is required", place.keys)
    at = place.around if isinstance(place.value, str) else place.keys  # CSVHeaderLocation asks for CSVHeaders
    return _schema(f"These fields are required: [{field}]", at)


def _unknown(place: Place) -> Told:
    return _schema(f"Field '{place.field}' is not supported", place.around)


def _exclusive(place: Place) -> Told:
    fields = place.parent if isinstance(place.parent, dict) else {}
    if place.field == "Variable":
        return _schema(
            f"The object must have only one of the following fields, [{', '.join(_TESTS)}]", place.around
        )
    for group in _GROUPS:
        if place.field in group and sum(name in fields for name in group) > 1:
            return _schema(
                f"There should only be one of the following fields: [{', '.join(group)}]", place.around
            )
    return _unknown(place)


def _rule_tests(place: Place) -> Told:
    compared = [name for name in place.value if name in OPERATORS] if isinstance(place.value, dict) else []
    if len(compared) > 1:
        return _schema(
            f"There should only be one of the following fields: [{', '.join(compared)}]", place.keys
        )
    return _schema(
        f"The object must have only one of the following fields, [{', '.join(_TESTS)}]", place.keys
    )


def _other_language(place: Place) -> Told:
    is_jsonata = place.said(r" is for (JSONata|JSONPath) ") == "JSONPath"
    here, there = ("JSONata", "JSONPath") if is_jsonata else ("JSONPath", "JSONata")
    message = (
        f"The QueryLanguage is set to '{here}', but field '{place.field}' is only supported for the "
        f"'{there}' QueryLanguage"
    )
    return _schema(message, place.around)


def _downgrade(place: Place) -> Told:
    message = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine"
    return _schema(message, place.around)


def _range(place: Place) -> Told:
    found = _RANGE.search(place.fault.what)
    low, high = (found[1] or found[3], found[2]) if found else ("", "")
    value = place.value
    over = high and isinstance(value, int | float) and value > float(high.replace(",", ""))
    bound = (high if over else low).replace(",", "")
    return _schema(f"{'Maximum' if over else 'Minimum'} value is {bound}", place.keys)


def _one_of(place: Place) -> Told:
    values = _ORDERS.get(place.field) or place.said(r"has to be one of ([^;]+)$")
    return _schema(f"Value should be one of the following: [{values}]", place.keys)


def _type(place: Place) -> Told:
    message = f"The field 'Type' should have one of these values: [{', '.join(STATE_TYPES)}]"
    return _schema(message, place.keys)


def _resource(place: Place) -> Told:
    if place.around and place.around[-1] in {"ItemReader", "ResultWriter"}:
        return _schema("The field 'Resource' does not match any of the allowed values", place.keys)
    return _schema("Value is not a valid resource ARN", place.keys)


def _unknown_resource(place: Place) -> Told:
    message = (
        f"The resource provided {place.value} is not recognized. The value is not a valid resource ARN, or "
        "the resource is not available in this region."
    )
    return _schema(message, place.keys)


def _express(place: Place) -> Told:
    resource = place.value if isinstance(place.value, str) else ""
    if not resource:
        message = "The field 'Mode' with value 'DISTRIBUTED' is not supported inside 'EXPRESS' state machines"
        return _schema(message, (*place.keys, "ItemProcessor", "ProcessorConfig", "Mode"))
    if ":activity:" in resource:
        return _schema("Express state machine does not support Activity ARN", place.keys)
    if resource.endswith(".waitForTaskToken"):
        # AWS's text has this space at its end.
        message = "Express state machine does not support '.waitForTaskToken' service integration "
        return _schema(message, place.keys)
    return _schema("Express state machine does not support '.sync' service integration", place.keys)


def _template(place: Place) -> Told:
    """AWS names the field of the state that holds the template, not the way inside it."""
    for depth, key in enumerate(place.keys):
        if key in _PAYLOADS:
            return _schema(_expected(place.field), place.keys[: depth + 1])
    return _schema(_expected(place.field), place.around)


def _expected(field: str) -> str:
    return f"The value for the field '{field}' must be a valid JSONPath or a valid intrinsic function call"


def _path(place: Place) -> Told:
    in_rule = "Choices" in place.keys
    if not in_rule:
        return _schema("Value must be a valid JSONPath.", place.keys)
    if isinstance(place.value, str) and not place.value.startswith("$"):
        reason = "Reference path didn't start with '$'"
        return _schema(f"Value is not a Reference Path: {reason}", place.keys)
    return _schema("Value is not a Reference Path", place.keys)


def _jsonata(place: Place) -> Told:
    text = place.value if isinstance(place.value, str) else ""
    if text.startswith(OPENING) is not text.endswith(CLOSING):
        return _schema("JSONata string must start with {% and end with %}", place.keys)
    found = _SYNTAX.search(place.fault.what)
    if found is None:
        return _our_own(place)
    return Told(code="INVALID_JSONATA_EXPRESSION", message=found[1], location=place.keys)


def _root_read(place: Place) -> Told:
    name = place.said(r" reads '(.*)' at its root")
    message = f"Reference to '{name}' at the top level is not supported."
    return Told(code="UNSUPPORTED_JSONATA_EXPRESSION", message=message, location=place.keys)


def _variable(place: Place) -> Told:
    if place.field == "states":
        message = "Cannot assign to reserved variable '$states'."
        return Told(code="RESERVED_VARIABLE_NAME", message=message, location=place.keys)
    message = f"Invalid variable name '{place.field}': the variable name contains invalid characters."
    return Told(code="INVALID_VARIABLE_NAME", message=message, location=place.keys)


def _no_target(place: Place) -> Told:
    return Told(code=TARGET, message=f"Missing 'Next' target: {place.value}", location=place.keys)


def _unreachable(place: Place) -> Told:
    return Told(code=TARGET, message=f'State "{place.field}" is not reachable.', location=place.keys)


def _no_end(_place: Place) -> Told:
    return Told(code=NO_END, message="Workflow has no terminal state", location=None)


def _named(code: str, message: str) -> _Teller:
    return lambda place: Told(
        code=code, message=message.format(name=place.field, value=place.value), location=place.keys
    )


_TELLERS: Final[Mapping[str, _Teller]] = {
    "empty-definition": lambda place: Told(
        code="MISSING_DESCRIPTION", message=place.fault.what, location=None
    ),
    **dict.fromkeys(
        (
            "invalid-json",
            "invalid-yaml",
            "invalid-text",
            "not-a-json-value",
            "number-out-of-range",
            "duplicate-key",
        ),
        _unreadable,
    ),
    "wrong-type": _wrong_type,
    "missing-field": _missing,
    "unknown-field": _unknown,
    "distributed-only": _unknown,
    "exclusive-fields": _exclusive,
    "missing-transition": _always("This object should have only one of the following fields: [Next, End]"),
    "choice-rule-tests": _rule_tests,
    "wrong-query-language": _other_language,
    "query-language-downgrade": _downgrade,
    "out-of-range": _range,
    "not-one-of": _one_of,
    "unknown-state-type": _type,
    "invalid-timestamp": _always("String does not match RFC3339 timestamp"),
    "invalid-resource": _resource,
    "unknown-resource": _unknown_resource,
    "express-unsupported": _express,
    "invalid-expression": _template,
    "invalid-template": _template,
    "invalid-path": _path,
    "invalid-reference-path": _always("Value is not a Reference Path"),
    "invalid-jsonata": _jsonata,
    "jsonata-root-read": _root_read,
    "states-all-not-alone": _always("States.ALL must appear alone and at end of list"),
    "states-all-not-last": _always("States.ALL must appear alone and at end of list"),
    "no-such-state": _no_target,
    "state-of-another-scope": _no_target,
    "unreachable-state": _unreachable,
    "no-terminal-state": _no_end,
    "duplicate-state-name": _named("DUPLICATE_STATE_NAME", "Duplicate State name: {name}"),
    "duplicate-label": _named("DUPLICATE_LABEL_NAME", "Duplicate label name: {value}"),
    "invalid-state-name": _named("INVALID_STATE_NAME", "Invalid State name: {name}"),
    "too-deeply-nested": lambda place: Told(
        code="TOO_DEEPLY_NESTED", message=place.fault.what, location=place.keys
    ),
    "invalid-variable-name": _variable,
}
