"""The functions a path may end with: `$.items.length()`, `$..price.max()`."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from etl_runner.asl.jsonpath_steps import PathFunction, PathUnusable
from etl_runner.jsontypes import Json


def is_number(value: Json) -> bool:
    """Whether it is a JSON number; booleans are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number_text(number: float) -> str:
    """Write a number as Jayway does where it compares one with a string."""
    return str(number) if isinstance(number, int) else repr(number)


def _flat(arguments: Sequence[Json]) -> list[Json]:
    """The arguments one after the other, arrays among them opened once."""
    flat: list[Json] = []
    for argument in arguments:
        if isinstance(argument, list):
            flat.extend(argument)
        else:
            flat.append(argument)
    return flat


def _numbers(value: Json, arguments: Sequence[Json]) -> list[float]:
    candidates = [*(value if isinstance(value, list) else ()), *_flat(arguments)]
    numbers = [float(item) for item in candidates if is_number(item)]
    if not numbers:
        raise PathUnusable("Aggregation function attempted to calculate value using empty array")
    return numbers


def _aggregation(fold: Callable[[list[float]], float]) -> PathFunction:
    return lambda value, arguments: fold(_numbers(value, arguments))


def _sum(numbers: list[float]) -> float:
    total = 0.0  # one after the other, as Java adds: sum() and fsum() round differently
    for number in numbers:
        total += number
    return total


def _deviation(numbers: list[float]) -> float:
    count, total, squares = len(numbers), _sum(numbers), _sum([number * number for number in numbers])
    return math.sqrt(max(0.0, squares / count - total * total / count / count))


def _length(value: Json, arguments: Sequence[Json]) -> Json:
    if arguments and isinstance(arguments[0], list):
        return len(arguments[0])
    return len(value) if isinstance(value, dict | list) else None


def _keys(value: Json, arguments: Sequence[Json]) -> Json:  # noqa: ARG001 -- all have one form
    return list(value) if isinstance(value, dict) else None


def _concat(value: Json, arguments: Sequence[Json]) -> Json:
    own = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
    return "".join(own + [_as_text(item) for item in _concat_arguments(arguments)])


def _concat_arguments(arguments: Sequence[Json]) -> list[Json]:
    return [item for item in _flat(arguments) if item is not None]


def _as_text(item: Json) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    return number_text(item) if is_number(item) else str(item)


def _append(value: Json, arguments: Sequence[Json]) -> Json:
    # Jayway appends to the document itself; here every evaluation sees the document as it was.
    return [*value, *arguments] if isinstance(value, list) else value


def _element(value: Json, index: int) -> Json:
    if not isinstance(value, list):
        raise PathUnusable("Aggregation function attempted to calculate value using empty array")
    try:
        return value[index]
    except IndexError:
        raise PathUnusable(f"Index {index} out of bounds for length {len(value)}") from None


def _index(value: Json, arguments: Sequence[Json]) -> Json:
    wanted = [item for item in _flat(arguments) if is_number(item)]
    if not wanted:
        raise PathUnusable("index() needs a number")
    return _element(value, int(wanted[0]))


FUNCTIONS: Final[Mapping[str, PathFunction]] = {
    "append": _append,
    "avg": _aggregation(lambda numbers: _sum(numbers) / len(numbers)),
    "concat": _concat,
    "first": lambda value, _: _element(value, 0),
    "index": _index,
    "keys": _keys,
    "last": lambda value, _: _element(value, -1),
    "length": _length,
    "max": _aggregation(max),
    "min": _aggregation(min),
    "size": _length,
    "stddev": _aggregation(_deviation),
    "sum": _aggregation(_sum),
}
"""By name. `length` and `size` are one."""
