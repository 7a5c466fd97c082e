"""The comparisons of path filters. Values of different types are never ordered; a number may equal a text."""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

from etl_runner.asl.jsonpath_functions import is_number, number_text
from etl_runner.asl.jsonpath_regex import Regex
from etl_runner.asl.jsonpath_steps import PathNotFound, PathUnusable
from etl_runner.jsontypes import Json

Comparison: TypeAlias = Callable[[Json, Json], bool]
"""(left, right) -> whether it holds. May raise PathNotFound: then the whole filter says no."""


class _Missing:
    """What stands for a path in a filter that leads nowhere; it equals nothing, itself included."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


def _kind(value: Json) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict | list):
        return "json"
    if value is None:
        return "null"
    return "regex" if isinstance(value, Regex) else "missing"


def _same(left: Json, right: Json) -> bool:
    """Whether two JSON values are the same to the last type: 1 is neither 1.0 nor true."""
    if left.__class__ is not right.__class__:
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(value, right[key]) for key, value in left.items())
    return bool(left == right)


def _equal(left: Json, right: Json) -> bool:
    left_kind, right_kind = _kind(left), _kind(right)
    if left_kind == right_kind:
        if left_kind == "json":
            return _same(left, right)
        return left_kind not in ("missing", "regex") and bool(left == right)
    if left_kind == "text" and right_kind == "number":
        return bool(left == number_text(right))
    if left_kind == "number" and right_kind == "text":
        return bool(_number_of(right) == left)
    return False


def _number_of(text: str) -> Decimal | None:
    if not text or text.strip() != text or "_" in text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _not_equal(left: Json, right: Json) -> bool:
    return not _equal(left, right)


def _type_equal(left: Json, right: Json) -> bool:
    return _kind(left) == _kind(right) and _equal(left, right)


def _type_not_equal(left: Json, right: Json) -> bool:
    return not _type_equal(left, right)


def _ordered(compare: Comparison) -> Comparison:
    def holds(left: Json, right: Json) -> bool:
        comparable = (is_number(left) and is_number(right)) or (
            isinstance(left, str) and isinstance(right, str)
        )
        return comparable and compare(left, right)

    return holds


def _elements(value: Json) -> list[Json] | None:
    """The list to look into; None for an object, which holds nothing to look for.

    Raises PathNotFound for anything else, and PathUnusable for a list of lists or objects, as Jayway does.
    """
    if isinstance(value, dict):
        return None
    if not isinstance(value, list):
        raise PathNotFound("expected a list")
    if any(isinstance(item, dict | list) for item in value):
        raise PathUnusable("Could not determine value type: a filter's list may hold plain values only")
    return value


def _holds(items: list[Json], wanted: Json) -> bool:
    return any(_equal(wanted, item) for item in items)


def _in(left: Json, right: Json) -> bool:
    items = _elements(right)
    return items is not None and _holds(items, left)


def _not_in(left: Json, right: Json) -> bool:
    return not _in(left, right)


def _contains(left: Json, right: Json) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return right in left
    if not isinstance(left, dict | list):
        return False
    items = _elements(left)
    return items is not None and _holds(items, right)


def _pair(left: Json, right: Json) -> tuple[list[Json], list[Json]] | None:
    right_items = _elements(right)
    if right_items is None:
        return None
    left_items = _elements(left)
    return None if left_items is None else (left_items, right_items)


def _subset_of(left: Json, right: Json) -> bool:
    pair = _pair(left, right)
    return pair is not None and all(_holds(pair[1], item) for item in pair[0])


def _any_of(left: Json, right: Json) -> bool:
    pair = _pair(left, right)
    return pair is not None and any(_holds(pair[1], item) for item in pair[0])


def _none_of(left: Json, right: Json) -> bool:
    pair = _pair(left, right)
    return pair is not None and not any(_holds(pair[1], item) for item in pair[0])


def _size(left: Json, right: Json) -> bool:
    if not is_number(right):
        return False
    return isinstance(left, str | list) and len(left) == int(right)


def _empty(left: Json, right: Json) -> bool:
    if not isinstance(left, str | list | dict):
        return False
    if isinstance(left, dict):
        raise PathUnusable("'empty' asks about a text or a list; found an object")
    if not isinstance(right, bool):
        raise PathNotFound("expected true or false")
    return (not left) == right


def _matches(left: Json, right: Json) -> bool:
    if isinstance(left, Regex) == isinstance(right, Regex):
        return False
    regex, subject = (left, right) if isinstance(left, Regex) else (right, left)
    subjects = (_elements(subject) or []) if isinstance(subject, list) else [subject]
    return any(regex.matches(_subject(item)) for item in subjects)


def _subject(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return number_text(value)
    return value if isinstance(value, str) else ""


def _exists(left: Json, right: Json) -> bool:
    if not isinstance(left, bool) or not isinstance(right, bool):
        raise PathNotFound("expected true or false")
    return left == right


def _never(left: Json, right: Json) -> bool:
    # all, type and matches parse but, given text or a list literal, match nothing in Jayway.
    raise PathNotFound(f"{left!r} and {right!r} cannot be compared so")


OPERATORS: Final[Mapping[str, Comparison]] = {
    "==": _equal,
    "!=": _not_equal,
    "===": _type_equal,
    "!==": _type_not_equal,
    "<": _ordered(lambda left, right: bool(left < right)),
    "<=": _ordered(lambda left, right: bool(left <= right)),
    ">": _ordered(lambda left, right: bool(left > right)),
    ">=": _ordered(lambda left, right: bool(left >= right)),
    "=~": _matches,
    "ALL": _never,
    "ANYOF": _any_of,
    "CONTAINS": _contains,
    "EMPTY": _empty,
    "EXISTS": _exists,
    "IN": _in,
    "MATCHES": _never,
    "NIN": _not_in,
    "NONEOF": _none_of,
    "SIZE": _size,
    "SUBSETOF": _subset_of,
    "TYPE": _never,
}
"""By name in capitals; names may be written in any case."""
