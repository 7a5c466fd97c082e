"""AWS's own additions to JSONata: `$partition $range $hash $random $uuid $parse`.

Source: Step Functions developer guide, "JSONata functions provided by Step Functions". They follow the
intrinsic functions of the same purpose, except that `$random` gives a fraction as JSONata's does.
Arguments are checked by signatures, as those of JSONata's own functions; one that is undefined makes the
result undefined.
"""

import math
import random
import uuid
from collections.abc import Callable, Mapping
from typing import Final

from etl_runner.asl.intrinsic_functions import INTRINSICS, BadArguments
from etl_runner.asl.java_random import next_double
from etl_runner.jsontypes import Json, loads

_ALMOST: Final = 1e-9
"""So that the last number of 0, 0.1 ... 1 is not lost to the rounding of the division."""

RANGE_LIMIT: Final = 1_000_000
"""The most elements that $range gives; those of JSONata's own `..` are bounded alike."""


class FunctionFailed(ValueError):  # noqa: N818 -- reads as what it is where it is raised
    """A function refuses its arguments; the text is JSONata's code and sentence."""


def _partition(items: list[Json] | None, size: float | None) -> Json:
    if items is None or size is None:
        return None
    step = int(size)
    if step < 1:
        raise FunctionFailed(f"D3061: The size of a partition must be a positive number, found {size}")
    return [items[start : start + step] for start in range(0, len(items), step)]


def _range(first: float | None, last: float | None, step: float | None) -> Json:
    if first is None or last is None or step is None:
        return None
    if step == 0:
        raise FunctionFailed("D3061: The step of a range must not be zero")
    count = math.floor((last - first) / step + _ALMOST) + 1
    if count > RANGE_LIMIT:
        raise FunctionFailed(f"D2014: The size of the sequence must not exceed {RANGE_LIMIT}. Found {count}")
    return [first + index * step for index in range(max(count, 0))]


def _hash(data: Json, algorithm: str | None) -> Json:
    if data is None or algorithm is None:
        return None
    try:
        # It draws nothing: the source of randomness is there because all intrinsic functions have one.
        return INTRINSICS["States.Hash"].function((data, algorithm), _NO_RANDOM)
    except BadArguments as error:
        raise FunctionFailed(f"D3061: {error}") from None


_NO_RANDOM: Final = random.Random(0)  # noqa: S311 -- never drawn from


def _parse(text: str | None) -> Json:
    """Give `{"v": value}`: a function that gives null would be taken for one that gives nothing."""
    if text is None:
        return None
    try:
        return {"v": loads(text)}
    except ValueError as error:
        raise FunctionFailed(f"D3061: The argument of $parse is not JSON: {error}") from None


FIXED: Final[Mapping[str, tuple[Callable[..., Json], str]]] = {
    "partition": (_partition, "<an:a>"),
    "etl_range": (_range, "<nnn:a>"),
    "hash": (_hash, "<xs:s>"),
    "etl_parse": (_parse, "<s:o>"),
}
"""Functions of nothing but their arguments, with their JSONata signatures."""

WRITTEN: Final[Mapping[str, str]] = {
    "parse": "$parse:=function($text)<s:x>{$etl_parse($text).v};",
    "range": "$range:=function($first,$last,$step)<nnn:a>{$etl_range($first,$last,$step).($)};",
}
"""Functions in JSONata over one of ours: what parse reads may be null, and what range gives is a sequence.

A sequence of one is that one, a sequence of none is nothing: AWS gives 1 for `$range(1, 9, 9)`.
"""


def drawing(rng: random.Random) -> dict[str, Callable[..., Json]]:
    """Give the functions that draw from a source of randomness."""

    def draw(*arguments: Json) -> Json:
        if not arguments:
            return rng.random()
        seed = arguments[0]
        if isinstance(seed, bool) or not isinstance(seed, int | float) or len(arguments) > 1:
            position = min(len(arguments), 2)
            raise FunctionFailed(
                f'T0410: Argument {position} of function "random" does not match function signature'
            )
        return next_double(int(seed))

    def make_uuid(*arguments: Json) -> Json:
        if arguments:
            raise FunctionFailed('T0410: Argument 1 of function "uuid" does not match function signature')
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))

    return {"random": draw, "uuid": make_uuid}


NAMES: Final = frozenset({"partition", "range", "hash", "random", "uuid", "parse"})
"""The names that AWS adds to JSONata's own; `$random` takes the place of JSONata's."""
