"""Event patterns as EventBridge has them: which events start a workflow. Pure.

`compile_pattern` checks a pattern and makes it ready; `Pattern.matches` asks it about one event.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.schedule.pattern_compile import Pairs, compile_alternatives
from etl_runner.schedule.pattern_match import Matcher

LONGEST_PATTERN: Final = 4_096
"""The most characters of compact JSON in a pattern (EventBridge service quotas)."""


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """A checked pattern."""

    matchers: tuple[Matcher, ...]

    def matches(self, event: Json) -> bool:
        """Say whether the pattern matches an event.

        Raises InvalidInput when the event is no JSON object or nested more than 400 deep.
        """
        if not isinstance(event, Mapping):
            raise InvalidInput(f"an event is a JSON object; this one is of type {type(event).__name__}")
        return any(matcher.matches(event) for matcher in self.matchers)


def compile_pattern(pattern: Json | str) -> Pattern:
    """Check a pattern, given as a JSON value or as JSON text, and make it ready.

    In text the last of duplicate keys counts, field by field: two objects of the same name are merged.
    Raises InvalidInput naming the place in the pattern.
    """
    if isinstance(pattern, str):
        size = len(pattern)
        pattern = _read(pattern)
    else:
        size = len(_text_of(pattern))
    if size > LONGEST_PATTERN:
        raise InvalidInput(
            f"the event pattern has {size:,} characters; the most is {LONGEST_PATTERN:,};"
            " split it into two rules"
        )
    return Pattern(tuple(Matcher(alternative) for alternative in compile_alternatives(pattern)))


def _read(text: str) -> Json:
    try:
        return json.loads(text, object_pairs_hook=Pairs, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the event pattern is no JSON text: {error}; correct it there") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _text_of(pattern: Json) -> str:
    try:
        return dumps_text(pattern)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the event pattern is no JSON value: {error}") from None
