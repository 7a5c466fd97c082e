"""ValidateStateMachineDefinition: everything that is wrong with a definition, and what is odd about it."""

from collections.abc import Mapping
from typing import Final

from etl_runner.api.sfn.call import Action, Call, Reply
from etl_runner.api.sfn.definitions import tasks_of
from etl_runner.api.sfn.diagnostics import ERROR, WARNING, diagnose, faults_of_resources
from etl_runner.api.sfn.diagnostics_warnings import warnings_of
from etl_runner.asl.parse import lint, parse_definition
from etl_runner.errors import Fault

MOST: Final = 100
"""The default of maxResults, and its greatest value."""


def validate_definition(call: Call) -> Reply:
    """ValidateStateMachineDefinition. `severity` WARNING asks for warnings beside errors."""
    given = call.parameters
    text, express = given["definition"], given.get("type") == "EXPRESS"
    faults = find_faults(call, text, express=express)
    fails = any(fault.severity == "error" for fault in faults)
    found = diagnose(text, faults)
    if given.get("severity", ERROR) != WARNING:
        found = [each for each in found if each.severity == ERROR]
    most = given.get("maxResults") or MOST
    return {
        "result": "FAIL" if fails else "OK",
        "diagnostics": [each.as_json() for each in found[:most]],
        "truncated": len(found) > most,
    }


def find_faults(call: Call, text: str, *, express: bool) -> list[Fault]:
    """All faults and warnings of a definition, resources that nobody here can do among them."""
    bounds = call.rooms.limits.bounds
    faults = lint(text, express=express, bounds=bounds)
    if any(fault.severity == "error" for fault in faults):
        return faults
    machine = parse_definition(text, express=express, bounds=bounds)
    return [
        *faults,
        *warnings_of(text),
        *faults_of_resources(tasks_of(machine), call.rooms.router.invokable),
    ]


ACTIONS: Final[Mapping[str, Action]] = {"ValidateStateMachineDefinition": validate_definition}
