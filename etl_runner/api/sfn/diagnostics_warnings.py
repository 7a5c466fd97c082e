"""AWS's three warnings about a definition (API reference, ValidateStateMachineDefinitionDiagnostic).

All three are of JSONPath: a text that looks like a path or a call, where it is taken as it stands.
"""

import re
from collections.abc import Iterator
from typing import Final

from etl_runner.asl.rules import OPERATORS
from etl_runner.errors import Fault
from etl_runner.jsontypes import Json, loads

NO_DOLLAR: Final = "no-dollar"
NO_PATH: Final = "no-path"
STATIC: Final = "pass-result-is-static"

_LOOKS_EVALUATED: Final = re.compile(r"\$(?:\$)?(?:\.|\[|$).*|States\.[A-Z]\w+\(.*\)", re.DOTALL)
_TEMPLATES: Final = ("Parameters", "ResultSelector", "ItemSelector")
_PLAIN: Final = ("Error", "Cause", *(name for name in OPERATORS if not name.endswith("Path")))


def warnings_of(text: str) -> list[Fault]:
    """The warnings of a definition that is right otherwise."""
    return list(_scope(loads(text), "", jsonata=False))


def _scope(scope: Json, path: str, *, jsonata: bool) -> Iterator[Fault]:
    jsonata = jsonata or scope.get("QueryLanguage") == "JSONata"
    for name, state in scope.get("States", {}).items():
        place = f"{path}/States/{name.replace('~', '~0').replace('/', '~1')}"
        if not jsonata and state.get("QueryLanguage") != "JSONata":
            yield from _state(state, place)
        for number, branch in enumerate(state.get("Branches", ())):
            yield from _scope(branch, f"{place}/Branches/{number}", jsonata=jsonata)
        for key in ("ItemProcessor", "Iterator"):
            if key in state:
                yield from _scope(state[key], f"{place}/{key}", jsonata=jsonata)


def _state(state: Json, path: str) -> Iterator[Fault]:
    for field in _TEMPLATES:
        for place, key in _evaluated(state.get(field), f"{path}/{field}"):
            what = f"The value of the field '{key}' looks like a JSONPath or an intrinsic function call"
            yield _warning(NO_DOLLAR, f"{what}, but its name does not end with '.$'", place)
    if state.get("Type") == "Pass":
        for place, key in _evaluated(state.get("Result"), f"{path}/Result"):
            what = (
                f"The value of the field '{key}' looks like a path, but the Result of a Pass state is static"
            )
            yield _warning(STATIC, what, place)
    yield from _fields(state, path)
    for number, rule in enumerate(state.get("Choices", ())):
        yield from _rule(rule, f"{path}/Choices/{number}")


def _rule(rule: Json, path: str) -> Iterator[Fault]:
    yield from _fields(rule, path)
    for key in ("And", "Or"):
        for number, inner in enumerate(rule.get(key, ())):
            yield from _rule(inner, f"{path}/{key}/{number}")
    if "Not" in rule:
        yield from _rule(rule["Not"], f"{path}/Not")


def _fields(holder: Json, path: str) -> Iterator[Fault]:
    for key in _PLAIN:
        value = holder.get(key)
        if isinstance(value, str) and _LOOKS_EVALUATED.fullmatch(value):
            what = f"The value of the field '{key}' looks like a path, but its name does not end with 'Path'"
            yield _warning(NO_PATH, what, f"{path}/{key}")


def _evaluated(value: Json, path: str) -> Iterator[tuple[str, str]]:
    """The places of texts that look like paths or calls, with the names of their fields."""
    if isinstance(value, dict):
        for key, inner in value.items():
            place = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
            if isinstance(inner, str):
                if not key.endswith(".$") and _LOOKS_EVALUATED.fullmatch(inner):
                    yield place, key
            else:
                yield from _evaluated(inner, place)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _evaluated(inner, f"{path}/{number}")


def _warning(code: str, what: str, path: str) -> Fault:
    return Fault(what=what, code=code, path=path, severity="warning")
