"""Which variables the states of a machine read: what DescribeStateMachine calls variableReferences."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from etl_runner.asl.dataflow import JsonataExpression, JsonataPayload, Selector, Template
from etl_runner.asl.intrinsics import IntrinsicCall
from etl_runner.asl.model import Scope


def variable_references(scopes: Iterable[Scope]) -> dict[str, tuple[str, ...]]:
    """Give the names that each state reads, sorted; states that read none are left out.

    A state that has scopes inside does not answer for what their states read.
    """
    found = {name: sorted(set(names_read(state))) for scope in scopes for name, state in scope.states.items()}
    return {name: tuple(names) for name, names in found.items() if names}


_COMPILED: Final = (Selector, IntrinsicCall, Template, JsonataExpression, JsonataPayload)


def names_read(value: Any) -> Iterator[str]:
    """Give the names of variables that a part of the model reads, some more than once."""
    if isinstance(value, _COMPILED):
        yield from value.variables
    elif is_dataclass(value):
        for field in fields(value):
            yield from names_read(getattr(value, field.name))
    elif isinstance(value, tuple | Mapping):
        for element in value.values() if isinstance(value, Mapping) else value:
            yield from names_read(element)
