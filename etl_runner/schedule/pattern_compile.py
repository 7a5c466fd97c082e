"""Event patterns checked and turned into alternatives: a field's dotted path and the tests of its values.

The language is that of EventBridge ("Comparison operators for use in event patterns" in its user guide; the
details after AWS's open event-ruler, which it runs on). What it refuses is refused here, with the JSON path
of the place. Duplicate keys are allowed as there: the last one counts, and `$or` next to a field of the same
name overrides it in that branch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from math import isfinite
from typing import Final, NoReturn, TypeAlias

from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json
from etl_runner.schedule import pattern_wildcard as wildcard

Test: TypeAlias = Callable[[Json], bool]
"""A test of one value that is no object and no array."""

MOST_ALTERNATIVES: Final = 1_000  # what EventBridge lets $or multiply to
_MAX_DEPTH: Final = 100
_OR: Final = "$or"
_RESERVED_IN_OR: Final = frozenset({
    *("exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric"),
    *("cidr", "=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case", "date-after"),
    *("date-on-or-after", "date-before", "date-on-or-before", "in-date-range", "ip-address-in-range"),
    "ip-address-not-in-range",
})  # fmt: skip


class PatternRefused(InvalidInput):
    """A pattern that cannot be used. `path` is the way of keys and indexes to what is wrong."""

    def __init__(self, sentence: str, path: tuple[str | int, ...]) -> None:
        super().__init__(sentence)
        self.path = path


class Pairs(list[tuple[str, Json]]):
    """A JSON object that keeps duplicate keys, as the reader of JSON text gives it."""


@dataclass(frozen=True, slots=True)
class Field:
    """The tests of one field, any of which may hold; `absent_ok` when the field may be missing."""

    tests: tuple[Test, ...]
    absent_ok: bool


Alternative: TypeAlias = Mapping[str, Field]


def compile_alternatives(pattern: Json) -> tuple[Alternative, ...]:
    """Check a pattern and give its alternatives: it matches when every field of one of them does.

    Raises PatternRefused, an InvalidInput naming the place.
    """
    if not _is_object(pattern):
        _refuse((), f"it is {_kind(pattern)}, not an object", "write {field: [values]}")
    return tuple(_object([{}], pattern, (), "", in_or=False))


def _object(
    alternatives: list[dict[str, Field]], value: Json, at: tuple[str | int, ...], prefix: str, *, in_or: bool
) -> list[dict[str, Field]]:
    pairs = list(_pairs(value))
    if not pairs:
        _refuse(at, "it is an empty object", "name a field in it or leave it out")
    if len(at) > _MAX_DEPTH:
        _refuse(at, f"it is nested more than {_MAX_DEPTH} deep", "flatten it")
    for name, inner in pairs:
        here = (*at, name)
        path = f"{prefix}.{name}" if prefix else name
        if name == _OR:
            alternatives = _either(alternatives, inner, here, prefix)
        elif in_or and name in _RESERVED_IN_OR:
            _refuse(here, f"{name!r} is reserved and no field name inside of $or", "rename the field")
        elif _is_object(inner):
            alternatives = _object(alternatives, inner, here, path, in_or=in_or)
        elif type(inner) is list:
            field = _field(inner, here)
            for alternative in alternatives:
                alternative[path] = field
        else:
            _refuse(here, f"it is {_kind(inner)}; a field holds an object or an array", "put it in [ ]")
    return alternatives


def _either(
    alternatives: list[dict[str, Field]], value: Json, at: tuple[str | int, ...], prefix: str
) -> list[dict[str, Field]]:
    if type(value) is not list or len(value) < 2:
        _refuse(at, f"$or holds {_kind(value)}", "give it an array of at least two objects")
    result: list[dict[str, Field]] = []
    for index, branch in enumerate(value):
        if not _is_object(branch):
            _refuse((*at, index), f"it is {_kind(branch)}", "only objects stand in the array of $or")
        copies = [dict(alternative) for alternative in alternatives]
        result += _object(copies, branch, (*at, index), prefix, in_or=True)
        if len(result) > MOST_ALTERNATIVES:
            _refuse(
                at,
                f"$or multiplies to more than {MOST_ALTERNATIVES:,} alternatives",
                "split the rule in several",
            )
    return result


def _field(values: Sequence[Json], at: tuple[str | int, ...]) -> Field:
    if not values:
        _refuse(at, "it is an empty array", "name at least one value, or leave the field out")
    tests: list[Test] = []
    absent_ok = False
    wildcards: list[tuple[wildcard.Token, ...]] = []
    for index, value in enumerate(values):
        here = (*at, index)
        if not _is_object(value):
            tests.append(_exact(value, here))
            continue
        pairs = list(_pairs(value))
        if len(pairs) != 1:
            _refuse(here, f"it has {len(pairs)} operators", "each object of the array holds exactly one")
        operator, operand = pairs[0]
        here = (*here, operator)
        if operator == "exists":
            absent_ok = absent_ok or not _exists(operand, here)
            if operand:
                tests.append(_anything)
            continue
        if operator == "wildcard":
            wildcards.append(_wildcard_tokens(operand, here))
        tests.append(_operator(operator, operand, here))
    if wildcards and wildcard.too_complex(wildcards):
        _refuse(at, "its wildcards are too complex", "use fewer * or fewer repetitions after a *")
    return Field(tests=tuple(tests), absent_ok=absent_ok)


def _operator(operator: str, operand: Json, at: tuple[str | int, ...]) -> Test:
    match operator:
        case "prefix" | "suffix":
            return _affix(operator, operand, at)
        case "equals-ignore-case":
            return _same_ignoring_case(_text(operand, at))
        case "exactly":
            return _exact(_text(operand, at), at)
        case "wildcard":
            return _glob(_wildcard_tokens(operand, at))
        case "numeric":
            return _numeric(operand, at)
        case "cidr":
            return _cidr(_text(operand, at), at)
        case "anything-but":
            return _anything_but(operand, at)
        case _:
            known = "prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, exists and cidr"
            raise _refusal(at, f"there is no operator {operator!r}", f"there are {known}, in small letters")


def _anything(_: Json) -> bool:
    return True


def _exact(value: Json, at: tuple[str | int, ...]) -> Test:
    """Numbers are equal by value, addresses by what they name, and true is not 1."""
    if isinstance(value, str):
        address = address_of(value)
        if address is None:
            return lambda found: isinstance(found, str) and found == value
        return lambda found: isinstance(found, str) and address_of(found) == address
    if value is None or isinstance(value, bool):
        return lambda found: found is value
    if isinstance(value, int | float):
        number = _number(value, at)
        return lambda found: _is_number(found) and found == number
    raise _refusal(
        at, f"it is {_kind(value)}", "a value is a string, a number, true, false, null or an operator"
    )


def _same(value: Json, at: tuple[str | int, ...]) -> Test:
    """As _exact for strings and numbers, but an address is only its text (anything-but has it so)."""
    return (lambda found: bool(found == value)) if isinstance(value, str) else _exact(value, at)


def _affix(operator: str, operand: Json, at: tuple[str | int, ...]) -> Test:
    begins = operator == "prefix"
    if _is_object(operand):
        name, inner = _only_pair(operand, at)
        if name != "equals-ignore-case":
            _refuse((*at, name), f"{operator} knows no {name!r}", "it takes a string or equals-ignore-case")
        folded = _text(inner, (*at, name)).lower()
        return lambda found: isinstance(found, str) and _has_affix(found.lower(), folded, begins=begins)
    text = _text(operand, at)
    return lambda found: isinstance(found, str) and _has_affix(found, text, begins=begins)


def _has_affix(value: str, affix: str, *, begins: bool) -> bool:
    return value.startswith(affix) if begins else value.endswith(affix)


def _same_ignoring_case(text: str) -> Test:
    folded = text.lower()
    return lambda found: isinstance(found, str) and found.lower() == folded


def _glob(of: tuple[wildcard.Token, ...]) -> Test:
    pieces = wildcard.pieces(of)
    return lambda found: isinstance(found, str) and wildcard.matches(pieces, found)


def _wildcard_tokens(operand: Json, at: tuple[str | int, ...]) -> tuple[wildcard.Token, ...]:
    try:
        return wildcard.tokens(_text(operand, at))
    except ValueError as error:
        _refuse(at, *str(error).split("; ", 1))


def _exists(operand: Json, at: tuple[str | int, ...]) -> bool:
    if not isinstance(operand, bool):
        _refuse(at, f"it is {_kind(operand)}", "exists takes true or false")
    return operand


def _anything_but(operand: Json, at: tuple[str | int, ...]) -> Test:
    """Any value passes that none of the tests inside holds for; a missing field does not."""
    make: Callable[[Json, tuple[str | int, ...]], Test] = _same
    texts_only = _is_object(operand)
    if texts_only:
        name, operand = _only_pair(operand, at)
        at = (*at, name)
        if name not in {"prefix", "suffix", "equals-ignore-case", "wildcard"}:
            _refuse(
                at,
                f"anything-but knows no {name!r}",
                "it takes prefix, suffix, equals-ignore-case or wildcard",
            )
        make = (
            _nonempty_affix(name) if name.endswith("fix") else lambda each, here: _operator(name, each, here)
        )
    values = operand if type(operand) is list else [operand]
    if not values:
        _refuse(at, "it is an empty array", "name at least one value")
    for index, value in enumerate(values):
        here = (*at, index) if type(operand) is list else at
        if not (isinstance(value, str) or (_is_number(value) and not texts_only)):
            _refuse(
                here,
                f"it is {_kind(value)}",
                "anything-but takes strings" + (" or numbers" * (not texts_only)),
            )
    if len({isinstance(value, str) for value in values}) > 1:
        _refuse(at, "it mixes strings and numbers", "use one kind")
    tests = [make(value, at) for value in values]
    return lambda found: not any(test(found) for test in tests)


def _nonempty_affix(operator: str) -> Callable[[Json, tuple[str | int, ...]], Test]:
    def make(text: Json, at: tuple[str | int, ...]) -> Test:
        if not text:
            _refuse(at, f"its {operator} is empty, so nothing could match", "give it at least one character")
        return _affix(operator, text, at)

    return make


_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "=": lambda found, bound: found == bound,
    "<": lambda found, bound: found < bound,
    "<=": lambda found, bound: found <= bound,
    ">": lambda found, bound: found > bound,
    ">=": lambda found, bound: found >= bound,
}


def _numeric(operand: Json, at: tuple[str | int, ...]) -> Test:
    if type(operand) is not list or len(operand) not in {2, 4}:
        _refuse(at, f"it is {_kind(operand)}", 'numeric takes one or two bounds, as in [">", 0, "<=", 5]')
    bounds: list[tuple[str, int | float]] = []
    for index in range(0, len(operand), 2):
        sign, number = operand[index], operand[index + 1]
        if not isinstance(sign, str) or sign not in _COMPARE:
            _refuse((*at, index), f"it is {_kind(sign)}", f"write one of {' '.join(_COMPARE)}")
        if not _is_number(number):
            _refuse((*at, index + 1), f"it is {_kind(number)}", f"write a number after {sign}")
        bounds.append((sign, _number(number, (*at, index + 1))))
    if len(bounds) == 2:
        (low_sign, low), (high_sign, high) = bounds
        if low_sign not in {">", ">="} or high_sign not in {"<", "<="}:
            _refuse(at, f"{low_sign} and {high_sign} are no range", "write > or >= first, then < or <=")
        if low >= high:
            _refuse(at, f"the range from {low} to {high} is empty", "the first number must be the lower one")
    return lambda found: _is_number(found) and all(_COMPARE[sign](found, bound) for sign, bound in bounds)


def _cidr(text: str, at: tuple[str | int, ...]) -> Test:
    base, slash, bits = text.partition("/")
    address = address_of(base)
    network: IPv4Network | IPv6Network | None = None
    whole = slash and bits.isascii() and bits.isdecimal() and len(bits) <= 3
    # EventBridge takes up to /31 and /127; a single address is an exact value.
    if whole and address is not None and int(bits) < address.max_prefixlen:
        network = ip_network((address.packed, int(bits)), strict=False)
    if network is None:
        _refuse(at, f"{text!r} is no range of addresses", "write one as 10.0.0.0/24 or 2001:db8::/32")
    within = network

    def test(found: Json) -> bool:
        address = address_of(found) if isinstance(found, str) else None
        return address is not None and address.version == within.version and address in within

    return test


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    """The IP address that a text writes in either form, or None."""
    if len(text) > 45 or not text or text[-1] not in "0123456789abcdefABCDEF:":
        return None
    parts = text.split(".")
    if len(parts) == 4:  # leading zeros are allowed and decimal, which ipaddress refuses
        if all(part.isascii() and part.isdecimal() and int(part) < 256 for part in parts):
            return IPv4Address(bytes(int(part) for part in parts))
        return None
    if "." in text or "%" in text:
        return None
    try:
        address = IPv6Address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address


def _text(value: Json, at: tuple[str | int, ...]) -> str:
    if not isinstance(value, str):
        _refuse(at, f"it is {_kind(value)}", "this operator takes a string")
    return value


def _number(value: Json, at: tuple[str | int, ...]) -> int | float:
    if isinstance(value, float) and not isfinite(value):
        _refuse(at, "its number is too large", "use one within the range of a double")
    number: int | float = value
    return number


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_object(value: Json) -> bool:
    return isinstance(value, Mapping | Pairs)


def _pairs(value: Mapping[str, Json] | Pairs) -> Iterable[tuple[str, Json]]:
    return value if isinstance(value, Pairs) else value.items()


def _only_pair(value: Json, at: tuple[str | int, ...]) -> tuple[str, Json]:
    pairs = list(_pairs(value))
    if len(pairs) != 1:
        _refuse(at, f"it has {len(pairs)} keys", "it must have exactly one")
    return pairs[0]


def _kind(value: Json) -> str:
    if _is_object(value):
        return "an object"
    if isinstance(value, list):
        return f"an array of {len(value)}" if value else "an empty array"
    if isinstance(value, str):
        return f"the string {value[:60]!r}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"the number {value}"


def _refuse(at: Sequence[str | int], what: str, remedy: str) -> NoReturn:
    raise _refusal(at, what, remedy)


def _refusal(at: Sequence[str | int], what: str, remedy: str) -> PatternRefused:
    place = "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in at)
    sentence = f"the event pattern cannot be used at {place or '/'}: {what}; {remedy}"
    return PatternRefused(sentence, tuple(at))
