"""Definitions for the tests of this folder, written as short YAML."""

import textwrap

from etl_runner.asl.parse import lint
from etl_runner.errors import Fault

MARK = "# HERE"
LAMBDA = "arn:aws:lambda:us-east-1:123456789012:function:f"


def machine(states: str) -> str:
    """A state machine in YAML from its states; the first one is A."""
    return f"StartAt: A\nStates:\n{textwrap.indent(textwrap.dedent(states).strip(), '  ')}\n"


def marked_line(text: str) -> int:
    """The number of the line that carries the mark."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if MARK in line)


def errors(text: str) -> list[Fault]:
    """What parse_definition refuses a YAML text for."""
    return [fault for fault in lint(text, yaml=True) if fault.severity == "error"]


def warnings(text: str) -> list[Fault]:
    """What lint has to say of a YAML text that is in order."""
    faults = lint(text, yaml=True)
    assert [fault for fault in faults if fault.severity == "error"] == []
    return faults
