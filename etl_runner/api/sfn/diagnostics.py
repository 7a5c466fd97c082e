"""From faults of a definition to what AWS answers: the InvalidDefinition error, and diagnostics."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from etl_runner.api.sfn.diagnostics_texts import NO_END, SCHEMA, Keys, Place, Told, tell
from etl_runner.api.sfn.errors import AwsError
from etl_runner.api.sfn.jackson import fault_of
from etl_runner.errors import Fault
from etl_runner.jsontypes import Json, loads

ERROR: Final = "ERROR"
WARNING: Final = "WARNING"

_REQUIRED: Final = re.compile(r"These fields are required: \[(\w+)\]")
_LABEL: Final = "invalid-label"
_OF_JSON: Final = frozenset({"invalid-json", "not-a-json-value"})
_BAD_CHARACTER: Final = re.compile(r" has the character (.+), which ", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One thing that AWS says of a definition. `location` None: it names none."""

    severity: str
    code: str
    message: str
    location: str | None

    def __str__(self) -> str:
        """As it stands in the text of InvalidDefinition; a missing location is a Java null there."""
        return f"{self.code}: {self.message} at {'null' if self.location is None else self.location}"

    def as_json(self) -> dict[str, Json]:
        """A ValidateStateMachineDefinitionDiagnostic."""
        found = {"severity": self.severity, "code": self.code, "message": self.message}
        return found if self.location is None else {**found, "location": self.location}


def invalid_definition(text: str, faults: Iterable[Fault]) -> AwsError:
    """The error that CreateStateMachine gives for a definition with these faults; warnings are no part."""
    errors = [fault for fault in faults if fault.severity == "error"]
    label = next((fault for fault in errors if fault.code == _LABEL), None)
    if label is not None:
        return AwsError("InvalidDefinition", _label_text(text, label))
    told = ", ".join(str(each) for each in diagnose(text, errors))
    return AwsError("InvalidDefinition", f"Invalid State Machine Definition: '{told}'")


def diagnose(text: str, faults: Sequence[Fault]) -> list[Diagnostic]:
    """Say the faults of a definition as AWS says them, in their order."""
    document = _document(text)
    faults = [_in_words_of_jackson(text, fault) for fault in faults]
    return [
        Diagnostic(
            severity=severity,
            code=told.code,
            message=told.message,
            location=None if told.location is None else _pointer(told.location),
        )
        for severity, told in _together(_told(document, fault) for fault in faults)
    ]


def _in_words_of_jackson(text: str, fault: Fault) -> Fault:
    """A fault of the JSON itself as the parser says it whose sentences AWS passes on."""
    if fault.code not in _OF_JSON:
        return fault
    why = fault_of(text)
    return replace(fault, what=why) if why else fault


def _document(text: str) -> Json:
    try:
        return loads(text)
    except ValueError:
        return None  # the faults say so


def _told(document: Json, fault: Fault) -> tuple[str, Told]:
    keys, value, parent = _place(document, fault.path)
    place = Place(fault, keys, value, parent)
    if fault.severity == "error":
        return ERROR, tell(place)
    # AWS's three warnings have their codes; ours are told in the same form.
    code = fault.code.upper().replace("-", "_") or SCHEMA
    return WARNING, Told(code=code, message=fault.what[:1].upper() + fault.what[1:], location=keys)


def _place(document: Json, path: str) -> tuple[Keys, Json, Json]:
    """Follow a JSON pointer: its keys, what stands there, and the object or array around it."""
    keys: list[str | int] = []
    value, parent = document, None
    for part in path.split("/")[1:]:
        key: str | int = part.replace("~1", "/").replace("~0", "~")
        parent = value
        if key == "ItemProcessor" and isinstance(parent, dict) and key not in parent and "Iterator" in parent:
            key = "Iterator"  # its old name; whoever walks the machine cannot tell which one was written
        if isinstance(parent, list) and part.isdigit():
            key = int(part)
            value = parent[key] if key < len(parent) else None
        else:
            value = parent.get(key) if isinstance(parent, dict) else None
        keys.append(key)
    return tuple(keys), value, parent


def _pointer(keys: Keys) -> str:
    """A way into a document as AWS writes it: `/States/Both/Branches[0]/StartAt`; "/" is the whole."""
    return "".join(f"[{key}]" if isinstance(key, int) else f"/{key}" for key in keys) or "/"


def _together(told: Iterable[tuple[str, Told]]) -> Iterator[tuple[str, Told]]:
    """Put what an object lacks into one sentence, as AWS does; say nothing twice."""
    merged: list[tuple[str, Told]] = []
    lacking: dict[Keys | None, int] = {}
    for severity, each in told:
        field = _REQUIRED.fullmatch(each.message)
        at = lacking.get(each.location) if field else None
        if field and at is not None:
            message = f"{merged[at][1].message[:-1]}, {field[1]}]"
            merged[at] = (severity, Told(code=each.code, message=message, location=each.location))
            continue
        if field:
            lacking[each.location] = len(merged)
        if (severity, each) not in merged:
            merged.append((severity, each))
    # The one that is about all states comes after those about single ones.
    yield from sorted(merged, key=lambda each: each[1].code == NO_END)


def _label_text(text: str, fault: Fault) -> str:
    """The text for a Label that cannot be.

    It follows the recordings to the letter: there a wrong Label is told as a Python ValueError with the whole
    definition behind it.
    """
    bad = _BAD_CHARACTER.search(fault.what)
    _, label, _ = _place(_document(text), fault.path)
    if bad:
        said = f"Label contains invalid character: {bad[1]}"
    elif label == "":
        said = "Label cannot be empty"
    else:
        said = "Label cannot exceed 40 characters"
    return f"Error=ValueError Args={[said]!r} in definition '{text}'."


def faults_of_resources(
    tasks: Iterable[tuple[str, str]], accepts: Callable[[str], str | None]
) -> list[Fault]:
    """The faults of resources that nobody here can do. `tasks` are (resource, path of its state)."""
    return [
        Fault(what=reason, code="unknown-resource", path=f"{path}/Resource")
        for resource, path in tasks
        if (reason := accepts(resource)) is not None
    ]
