"""Wildcards of event patterns: a star stands for any number of characters, a backslash escapes a star."""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

Token: TypeAlias = str | None
"""One literal character, or None for a wildcard."""

COMPLEXITY_LIMIT: Final = 10
_MOST_STATES: Final = 5_000


def tokens(text: str) -> tuple[Token, ...]:
    """Split a wildcard text. Raises ValueError with a sentence for two stars in a row or a bad escape."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "*":
            if found and found[-1] is None:
                raise ValueError(f"two wildcards in a row at character {at}; write one *")
            found.append(None)
        elif char == "\\":
            at += 1
            if text[at : at + 1] not in {"*", "\\"}:
                raise ValueError(
                    f"a backslash at character {at} escapes neither * nor a backslash; double it"
                )
            found.append(text[at])
        else:
            found.append(char)
        at += 1
    return tuple(found)


def matches(pattern: Sequence[str], value: str) -> bool:
    """Say whether `value` is the literal pieces of a pattern, in order, with anything between them.

    Taking each piece at its first chance is enough, so the time grows with the value's length only.
    """
    if len(pattern) == 1:
        return value == pattern[0]
    first, *middle, last = pattern
    if len(value) < len(first) + len(last) or not value.startswith(first) or not value.endswith(last):
        return False
    at, end = len(first), len(value) - len(last)
    for piece in middle:
        found = value.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def pieces(of: Iterable[Token]) -> tuple[str, ...]:
    """The literal text between the wildcards; one piece when there is no wildcard."""
    found = [""]
    for token in of:
        if token is None:
            found.append("")
        else:
            found[-1] += token
    return tuple(found)


def too_complex(patterns: Iterable[tuple[Token, ...]]) -> bool:
    """Say whether EventBridge would call these wildcards of one field too complex.

    Its measure is the number of prefixes of all patterns that one value can match at the same time, at the
    worst value: "aaa" matches all seven prefixes of `*a*a*a*`. AWS does not publish its limit; ten lies
    between what it is known to take (seven) and to refuse (eleven).
    """
    distinct = sorted(set(patterns), key=repr)
    letters: set[Token] = {token for pattern in distinct for token in pattern} | {None}  # None: any other one
    start = _closure({(number, 0) for number in range(len(distinct))}, distinct)
    seen, pending = {start}, [start]
    while pending:
        state = pending.pop()
        for letter in letters:
            step = _closure(_step(state, letter, distinct), distinct)
            if sum(1 for _, at in step if at) > COMPLEXITY_LIMIT or len(seen) > _MOST_STATES:
                return True
            if step not in seen:
                seen.add(step)
                pending.append(step)
    return False


def _step(
    state: frozenset[tuple[int, int]], letter: Token, patterns: Sequence[tuple[Token, ...]]
) -> set[tuple[int, int]]:
    reached = set()
    for number, at in state:
        if at and patterns[number][at - 1] is None:
            reached.add((number, at))
        if at < len(patterns[number]) and letter is not None and patterns[number][at] == letter:
            reached.add((number, at + 1))
    return reached


def _closure(
    state: set[tuple[int, int]], patterns: Sequence[tuple[Token, ...]]
) -> frozenset[tuple[int, int]]:
    """A wildcard may stand for nothing: who is before it is after it too. No two stand in a row."""
    after = {(n, at + 1) for n, at in state if at < len(patterns[n]) and patterns[n][at] is None}
    return frozenset(state | after)
