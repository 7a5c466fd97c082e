"""Which variables the states of a machine read: what DescribeStateMachine calls variableReferences."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Final

from etl_runner.asl.dataflow import JsonataExpression, JsonataPayload, Selector, Template
from etl_runner.asl.intrinsics import IntrinsicCall
from etl_runner.asl.model import Place, Scope


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
    elif isinstance(value, tuple | Mapping):
        for element in value.values() if isinstance(value, Mapping) else value:
            yield from names_read(element)
    else:
        kind: type = type(value)
        for name in _parts(kind):
            part = getattr(value, name)
            if part is not None and not isinstance(part, str):  # most of a state
                yield from names_read(part)


@cache
def _parts(kind: type) -> tuple[str, ...]:
    """The fields of a class of the model. A place reads nothing, and every state has one."""
    if kind is Place or not is_dataclass(kind):
        return ()
    return tuple(field.name for field in fields(kind))
