"""Whether an event has what an alternative of a pattern asks for.

Fields are found by dotted path, through arrays. When two fields of a pattern lie within the same array of
objects, both must be found in the same element. So a walk gives, for each part of the event, which *sets* of
fields can be satisfied there together: the parts of an object add up, of an array's elements one is chosen.
A set is a bit mask, and only masks that no other one contains are kept.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json
from etl_runner.schedule.pattern_compile import Alternative, Test

MAX_DEPTH: Final = 400


class Matcher:
    """One alternative, ready to be asked. `matches` may be called from any thread."""

    def __init__(self, alternative: Alternative) -> None:
        self._bits: Mapping[str, int] = {path: 1 << number for number, path in enumerate(alternative)}
        self._tests: Mapping[str, tuple[Test, ...]] = {path: alternative[path].tests for path in alternative}
        self._absent_ok = [path for path in alternative if alternative[path].absent_ok]
        # Names of the way to a field; all else in an event is passed over without a look.
        self._ways = frozenset(
            ".".join(steps[:end])
            for steps in (path.split(".") for path in alternative)
            for end in range(1, len(steps) + 1)
        )

    def matches(self, event: Mapping[str, Json]) -> bool:
        """Say whether the event satisfies every field. Raises InvalidInput for one nested too deep."""
        seen: set[str] = set()
        masks = self._object(event, "", seen, 0)
        absent = 0
        for path in self._absent_ok:
            if path not in seen:
                absent |= self._bits[path]
        every = (1 << len(self._bits)) - 1
        return any(mask | absent == every for mask in masks)

    def _object(self, value: Mapping[str, Json], prefix: str, seen: set[str], depth: int) -> set[int]:
        masks = {0}
        for name, inner in value.items():
            path = f"{prefix}.{name}" if prefix else name
            if path in self._ways:
                found = self._value(inner, path, seen, depth + 1)
                if found != {0}:
                    masks = _largest(mask | more for mask in masks for more in found)
        return masks

    def _value(self, value: Json, path: str, seen: set[str], depth: int) -> set[int]:
        if depth > MAX_DEPTH:
            raise InvalidInput(f"the event is nested more than {MAX_DEPTH} deep at {path!r}; flatten it")
        if isinstance(value, dict):
            return self._object(value, path, seen, depth)
        if isinstance(value, list):
            return self._array(value, path, seen, depth)
        tests = self._tests.get(path)
        if tests is None:
            return {0}
        seen.add(path)
        return {self._bits[path]} if any(test(value) for test in tests) else {0}

    def _array(self, values: list[Json], path: str, seen: set[str], depth: int) -> set[int]:
        # A plain element binds nothing: it may serve its own field beside any chosen object.
        plain = 0
        chosen: set[int] = {0}
        for value in values:
            found = self._value(value, path, seen, depth + 1)
            if isinstance(value, dict | list):
                chosen |= found
            else:
                plain |= max(found)
        return _largest(plain | mask for mask in chosen)


def _largest(masks: Iterable[int]) -> set[int]:
    distinct = set(masks)
    if len(distinct) == 1:
        return distinct
    return {
        mask for mask in distinct if not any(mask != other and mask | other == other for other in distinct)
    }
