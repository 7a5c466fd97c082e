"""The 18 intrinsic functions, as functions of their argument values.

Sources: the AWS developer guide, "Intrinsic functions" (limits, arguments), and recorded answers of AWS
where the guide is silent: fractions are cut off except in MathAdd, which rounds; StringSplit takes its
second argument as a set of characters and drops empty pieces; Base64Decode passes over what is not Base64.
"""

import base64
import binascii
import hashlib
import random
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from etl_runner.asl.java_order import in_java_order
from etl_runner.asl.java_random import next_int
from etl_runner.jsontypes import Json, dumps_canonical, dumps_text, loads

Function: TypeAlias = Callable[[tuple[Json, ...], random.Random], Json]

TEXT_LIMIT: Final = 10_000
"""The most characters that Base64Encode, Base64Decode and Hash take."""

RANGE_LIMIT: Final = 1_000
"""The most elements that ArrayRange gives."""

_INT_MIN: Final = -(2**31)
_INT_MAX: Final = 2**31 - 1


class BadArguments(ValueError):  # noqa: N818 -- reads as what it is where it is raised
    """Arguments that the function refuses; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Intrinsic:
    """A function and how many arguments it takes; `most` None means any number."""

    function: Function
    least: int
    most: int | None

    def call(self, arguments: tuple[Json, ...], rng: random.Random) -> Json:
        """Call it. Raises BadArguments."""
        if len(arguments) < self.least or (self.most is not None and len(arguments) > self.most):
            wanted = str(self.least) if self.most == self.least else f"at least {self.least}"
            raise BadArguments(f"it takes {wanted} arguments, found {len(arguments)}")
        return self.function(arguments, rng)


def _text(value: Json, what: str) -> str:
    if not isinstance(value, str):
        raise BadArguments(f"the {what} must be a string, found {_shown(value)}")
    return value


def _short_text(value: Json, what: str) -> str:
    text = _text(value, what)
    if len(text) > TEXT_LIMIT:
        raise BadArguments(f"the {what} has {len(text)} characters, the limit is {TEXT_LIMIT}")
    return text


def _array(value: Json, what: str) -> list[Json]:
    if not isinstance(value, list):
        raise BadArguments(f"the {what} must be an array, found {_shown(value)}")
    return value


def _number(value: Json, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadArguments(f"the {what} must be a number, found {_shown(value)}")
    return value


def _whole(value: Json, what: str) -> int:
    """An integer; a fraction is cut off, as AWS does everywhere but in MathAdd."""
    return _in_range(int(_number(value, what)), what)


def _rounded(value: Json, what: str) -> int:
    number = _number(value, what)
    # Half rounds up, also for negative numbers: Java's Math.round.
    return _in_range(number if isinstance(number, int) else int((number + 0.5) // 1), what)


def _in_range(number: int, what: str) -> int:
    if not _INT_MIN <= number <= _INT_MAX:
        raise BadArguments(f"the {what} {number} is beyond 32 bits")
    return number


def _shown(value: Json) -> str:
    text = dumps_text(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


_FORMAT_PIECE: Final = re.compile(r"\\(.)|(\{\})|([{}])|([^\\{}]+|\\)", re.DOTALL)


def _format(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    template = _text(arguments[0], "first argument")
    pieces: list[str] = []
    used = 1
    for escaped, place, brace, plain in _FORMAT_PIECE.findall(template):
        if brace:
            raise BadArguments(f"the template has a lone {brace!r}; write it as '\\\\{brace}'")
        if place:
            if used == len(arguments):
                raise BadArguments(f"the template has more {{}} than the {used - 1} values given")
            pieces.append(_natural(arguments[used]))
            used += 1
        else:
            pieces.append((escaped if escaped in "{}'\\" else f"\\{escaped}") if escaped else plain)
    if used != len(arguments):
        raise BadArguments(f"the template has {used - 1} {{}} for {len(arguments) - 1} values")
    return "".join(pieces)


def _natural(value: Json) -> str:
    """What {} becomes; lists and objects as Java writes them: [a, b], {a=1, b=[]}."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(_natural, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}={_natural(each)}' for name, each in value.items())}}}"
    return dumps_text(value)


def _string_to_json(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    text = _text(arguments[0], "argument")
    if not text.strip():
        return None
    try:
        return loads(text)
    except ValueError as error:
        raise BadArguments(f"the argument is not JSON: {error}") from None


def _json_to_string(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    return dumps_text(arguments[0])


def _to_array(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    return list(arguments)


def _array_partition(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    items, size = _array(arguments[0], "first argument"), _whole(arguments[1], "chunk size")
    if size < 1:
        raise BadArguments(f"the chunk size must be at least 1, found {_shown(arguments[1])}")
    return [items[start : start + size] for start in range(0, len(items), size)]


def _array_contains(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    wanted = _identity(arguments[1])
    return any(_identity(item) == wanted for item in _array(arguments[0], "first argument"))


def _identity(value: Json) -> bytes:
    """A text that is the same for equal JSON values: 1 and 1.0 are, 1 and true are not."""
    return dumps_canonical(_unified(value))


def _unified(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_unified(item) for item in value]
    if isinstance(value, dict):
        return {key: _unified(item) for key, item in value.items()}
    return value


def _array_range(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    first, last = _whole(arguments[0], "first argument"), _whole(arguments[1], "second argument")
    step = _whole(arguments[2], "step")
    if step == 0:
        raise BadArguments("the step must not be zero")
    numbers = range(first, last + (1 if step > 0 else -1), step)
    if len(numbers) > RANGE_LIMIT:
        raise BadArguments(f"the range has {len(numbers)} elements, the limit is {RANGE_LIMIT}")
    return list(numbers)


def _array_get_item(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    items, index = _array(arguments[0], "first argument"), _whole(arguments[1], "index")
    if not 0 <= index < len(items):
        raise BadArguments(f"the index {index} is not in an array of {len(items)}")
    return items[index]


def _array_length(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    return len(_array(arguments[0], "argument"))


def _array_unique(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    first_seen: dict[bytes, Json] = {}
    for item in _array(arguments[0], "argument"):
        first_seen.setdefault(_identity(item), item)
    return list(first_seen.values())


def _base64_encode(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    return base64.b64encode(_short_text(arguments[0], "argument").encode()).decode()


_NOT_BASE64: Final = re.compile(r"[^A-Za-z0-9+/]")


def _base64_decode(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    letters = _NOT_BASE64.sub("", _short_text(arguments[0], "argument"))
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4)).decode(errors="replace")
    except binascii.Error as error:
        raise BadArguments(f"the argument is not Base64: {error}") from None


_ALGORITHMS: Final = {
    "MD5": "md5",
    "SHA-1": "sha1",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
}


def _hash(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    data, name = arguments
    if data is None:
        raise BadArguments("there is nothing to hash in null")
    text = _short_text(data if isinstance(data, str) else dumps_text(data), "data")
    algorithm = _ALGORITHMS.get(_text(name, "algorithm"))
    if algorithm is None:
        raise BadArguments(f"the algorithm {name!r} is none of {', '.join(_ALGORITHMS)}")
    return hashlib.new(algorithm, text.encode(), usedforsecurity=False).hexdigest()


def _json_merge(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    first, second, deep = arguments
    for value, what in ((first, "first"), (second, "second")):
        if not isinstance(value, dict):
            raise BadArguments(f"the {what} argument must be an object, found {_shown(value)}")
    if deep is not False:
        raise BadArguments(f"the third argument must be false (deep merging is not offered): {_shown(deep)}")
    merged = {**first, **second}
    return {name: merged[name] for name in in_java_order(list(merged))}


def _math_random(arguments: tuple[Json, ...], rng: random.Random) -> Json:
    start, end = _whole(arguments[0], "start"), _whole(arguments[1], "end")
    if start >= end:
        raise BadArguments(f"the start {start} must be less than the end {end}, which is not included")
    if len(arguments) == 2:
        return rng.randrange(start, end)
    return start + next_int(int(_number(arguments[2], "seed")), end - start)


def _math_add(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    return _in_range(_rounded(arguments[0], "first number") + _rounded(arguments[1], "second number"), "sum")


def _string_split(arguments: tuple[Json, ...], _rng: random.Random) -> Json:
    text, separators = _text(arguments[0], "first argument"), _text(arguments[1], "separators")
    pieces = re.split(f"[{re.escape(separators)}]", text) if separators else [text]
    return [piece for piece in pieces if piece]


def _uuid(_arguments: tuple[Json, ...], rng: random.Random) -> Json:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


INTRINSICS: Final[Mapping[str, Intrinsic]] = {
    "States.Array": Intrinsic(_to_array, 0, None),
    "States.ArrayContains": Intrinsic(_array_contains, 2, 2),
    "States.ArrayGetItem": Intrinsic(_array_get_item, 2, 2),
    "States.ArrayLength": Intrinsic(_array_length, 1, 1),
    "States.ArrayPartition": Intrinsic(_array_partition, 2, 2),
    "States.ArrayRange": Intrinsic(_array_range, 3, 3),
    "States.ArrayUnique": Intrinsic(_array_unique, 1, 1),
    "States.Base64Decode": Intrinsic(_base64_decode, 1, 1),
    "States.Base64Encode": Intrinsic(_base64_encode, 1, 1),
    "States.Format": Intrinsic(_format, 1, None),
    "States.Hash": Intrinsic(_hash, 2, 2),
    "States.JsonMerge": Intrinsic(_json_merge, 3, 3),
    "States.JsonToString": Intrinsic(_json_to_string, 1, 1),
    "States.MathAdd": Intrinsic(_math_add, 2, 2),
    "States.MathRandom": Intrinsic(_math_random, 2, 3),
    "States.StringSplit": Intrinsic(_string_split, 2, 2),
    "States.StringToJson": Intrinsic(_string_to_json, 1, 1),
    "States.UUID": Intrinsic(_uuid, 0, 0),
}
"""By name, all 18."""
