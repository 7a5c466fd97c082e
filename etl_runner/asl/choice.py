"""Choice rules: what makes a Choice state go one way or another.

A value of another type than the operator's never matches and is no error; a Variable that is not there is
one, except for IsPresent. Source: Amazon States Language, "Choice State", and recorded answers of AWS.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final, TypeAlias

from etl_runner.asl.jsonpath import PathNotFound
from etl_runner.asl.selector import Env, Selector, compile_selector
from etl_runner.asl.timestamps import instant
from etl_runner.errors import InvalidInput, StatesError
from etl_runner.jsontypes import Json, dumps_text

NESTING_LIMIT: Final = 50
"""How deep And, Or and Not may stand within each other; keeps a hostile definition off the stack's end."""

_Test: TypeAlias = Callable[[Json, Json], bool]


class OperandType(Enum):
    """What an operator compares with; the value says it in a message."""

    STRING = "a string"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    TIMESTAMP = "an RFC 3339 timestamp such as 2026-01-31T04:05:06Z"
    FLAG = "true or false "


def _has_type(value: Json, wanted: OperandType) -> bool:
    match wanted:
        case OperandType.STRING:
            return isinstance(value, str)
        case OperandType.NUMBER:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case OperandType.BOOLEAN | OperandType.FLAG:
            return isinstance(value, bool)
        case OperandType.TIMESTAMP:
            return isinstance(value, str) and instant(value) is not None


@dataclass(frozen=True, slots=True)
class Operator:
    """One of the 39: the type of its operand, the test, and whether the operand is given by a path."""

    operand: OperandType
    test: _Test
    by_path: bool = False


def _typed(wanted: OperandType, test: _Test) -> _Test:
    return lambda value, operand: (
        _has_type(value, wanted) and _has_type(operand, wanted) and test(value, operand)
    )


def _as_instants(compare: _Test) -> _Test:
    return lambda value, operand: compare(instant(value), instant(operand))


def string_matches(value: str, pattern: str) -> bool:
    r"""Whether `value` matches a pattern of StringMatches: `*` is any text, `\*` a star, `\\` a backslash.

    Takes time proportional to the length of the value times that of the pattern at worst.
    """
    first, *others = _literals(pattern)
    if not others:
        return value == first
    *middle, last = others
    if not value.startswith(first) or len(value) < len(first) + len(last) or not value.endswith(last):
        return False
    position, end = len(first), len(value) - len(last)
    for literal in middle:
        position = value.find(literal, position, end)
        if position < 0:
            return False
        position += len(literal)
    return True


@lru_cache(maxsize=1024)
def _literals(pattern: str) -> tuple[str, ...]:
    """The texts between the stars of a pattern."""
    literals = [""]
    characters = iter(pattern)
    for character in characters:
        if character == "*":
            literals.append("")
        elif character == "\\":
            escaped = next(characters, "")
            literals[-1] += escaped if escaped in ("*", "\\") else f"\\{escaped}"
        else:
            literals[-1] += character
    return tuple(literals)


def _table() -> dict[str, Operator]:
    table: dict[str, Operator] = {}

    def add(name: str, operand: OperandType, test: _Test) -> None:
        typed = _typed(operand, test)
        table[name] = Operator(operand, typed)
        table[f"{name}Path"] = Operator(operand, typed, by_path=True)

    orders: Mapping[str, _Test] = {
        "Equals": operator.eq,
        "LessThan": operator.lt,
        "GreaterThan": operator.gt,
        "LessThanEquals": operator.le,
        "GreaterThanEquals": operator.ge,
    }
    for suffix, compare in orders.items():
        add(f"String{suffix}", OperandType.STRING, compare)
        add(f"Numeric{suffix}", OperandType.NUMBER, compare)
        add(f"Timestamp{suffix}", OperandType.TIMESTAMP, _as_instants(compare))
    add("BooleanEquals", OperandType.BOOLEAN, operator.eq)
    table["StringMatches"] = Operator(OperandType.STRING, _typed(OperandType.STRING, string_matches))
    kinds: Mapping[str, Callable[[Json], bool]] = {
        "IsNull": lambda value: value is None,
        "IsNumeric": lambda value: _has_type(value, OperandType.NUMBER),
        "IsString": lambda value: isinstance(value, str),
        "IsBoolean": lambda value: isinstance(value, bool),
        "IsTimestamp": lambda value: _has_type(value, OperandType.TIMESTAMP),
        "IsPresent": lambda _value: True,
    }
    for name, is_so in kinds.items():
        table[name] = Operator(OperandType.FLAG, _flagged(is_so))
    return table


def _flagged(is_so: Callable[[Json], bool]) -> _Test:
    return lambda value, wanted: is_so(value) is wanted


COMPARISONS: Final[Mapping[str, Operator]] = _table()
"""The 39 comparison operators by name."""


@dataclass(frozen=True, slots=True)
class And:
    """All of its rules hold; they are tried in order until one does not."""

    rules: "tuple[Rule, ...]"

    def matches(self, env: Env) -> bool:
        """Whether the rule holds. Raises StatesError States.Runtime for a path that leads nowhere."""
        return all(rule.matches(env) for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Or:
    """One of its rules holds; they are tried in order until one does."""

    rules: "tuple[Rule, ...]"

    def matches(self, env: Env) -> bool:
        """Whether the rule holds. Raises StatesError States.Runtime for a path that leads nowhere."""
        return any(rule.matches(env) for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Not:
    """Its rule does not hold."""

    rule: "Rule"

    def matches(self, env: Env) -> bool:
        """Whether the rule holds. Raises StatesError States.Runtime for a path that leads nowhere."""
        return not self.rule.matches(env)


@dataclass(frozen=True, slots=True)
class Present:
    """IsPresent: whether the variable is there at all, be it null."""

    variable: Selector
    wanted: bool

    def matches(self, env: Env) -> bool:
        """Whether the rule holds."""
        try:
            self.variable.evaluate(env)
        except PathNotFound:
            return not self.wanted
        return self.wanted


@dataclass(frozen=True, slots=True)
class Comparison:
    """A variable against a constant, or against what a path gives."""

    variable: Selector
    name: str
    operand: Json | Selector
    test: _Test

    def matches(self, env: Env) -> bool:
        """Whether the rule holds. Raises StatesError States.Runtime for a path that leads nowhere."""
        operand = _value(self.operand, env) if isinstance(self.operand, Selector) else self.operand
        return self.test(_value(self.variable, env), operand)


Rule: TypeAlias = And | Or | Not | Present | Comparison


def _value(selector: Selector, env: Env) -> Json:
    try:
        return selector.evaluate(env)
    except PathNotFound:
        raise StatesError(
            "States.Runtime",
            f"Invalid path '{selector.text}': The choice state's condition path references an invalid value.",
        ) from None


def compile_rule(rule: Json) -> Rule:
    """Compile one choice rule; Next and Comment are left to whoever asks.

    Raises InvalidInput naming the field at fault (`And/0/Variable`).
    """
    return _compile(rule, "", 0)


_ASIDE: Final = frozenset({"Next", "Comment"})
_JOINED: Final = ("And", "Or", "Not")


def _compile(rule: Json, place: str, depth: int) -> Rule:
    if depth > NESTING_LIMIT:
        raise InvalidInput(f"{place}: And, Or and Not stand more than {NESTING_LIMIT} deep within each other")
    if not isinstance(rule, dict):
        raise InvalidInput(f"{place or 'the rule'} must be an object, found {dumps_text(rule)[:60]}")
    fields = {name: value for name, value in rule.items() if name not in _ASIDE}
    joined = [name for name in _JOINED if name in fields]
    if joined:
        if len(fields) > 1:
            raise InvalidInput(
                f"{place or 'the rule'} has {joined[0]}, so it cannot have {_others(fields, joined)}"
            )
        return _joined(joined[0], fields[joined[0]], f"{place}{joined[0]}", depth)
    return _comparison(fields, place)


def _others(fields: Mapping[str, Json], known: list[str]) -> str:
    return ", ".join(name for name in fields if name != known[0])


def _joined(name: str, value: Json, place: str, depth: int) -> Rule:
    if name == "Not":
        return Not(_compile(value, f"{place}/", depth + 1))
    if not isinstance(value, list) or not value:
        raise InvalidInput(f"{place} must be an array of at least one rule, found {dumps_text(value)[:60]}")
    rules = tuple(_compile(item, f"{place}/{index}/", depth + 1) for index, item in enumerate(value))
    return And(rules) if name == "And" else Or(rules)


def _comparison(fields: Mapping[str, Json], place: str) -> Rule:
    names = [name for name in fields if name != "Variable"]
    unknown = [name for name in names if name not in COMPARISONS]
    if unknown:
        raise InvalidInput(f"{place}{unknown[0]} is no comparison operator of a choice rule")
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise InvalidInput(f"{place or 'the rule'} must have exactly one comparison operator, found {found}")
    if "Variable" not in fields:
        raise InvalidInput(f"{place}Variable is missing: {names[0]} needs to know what to compare")
    variable = _selector(fields["Variable"], f"{place}Variable")
    name, comparison = names[0], COMPARISONS[names[0]]
    operand = fields[name]
    if comparison.by_path:
        return Comparison(variable, name, _selector(operand, place + name), comparison.test)
    if not _has_type(operand, comparison.operand):
        raise InvalidInput(
            f"{place}{name} must be {comparison.operand.value.strip()}, found {dumps_text(operand)[:60]}"
        )
    if name == "IsPresent":
        return Present(variable, operand)
    return Comparison(variable, name, operand, comparison.test)


def _selector(value: Json, place: str) -> Selector:
    if not isinstance(value, str):
        raise InvalidInput(f"{place} must be a path ('$...' or '$$...'), found {dumps_text(value)[:60]}")
    try:
        return compile_selector(value)
    except InvalidInput as error:
        raise InvalidInput(f"{place}: {error}") from None
