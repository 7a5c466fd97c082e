"""Regular expressions in path filters: Java's, matched in time that a definition's author cannot blow up.

Python's re goes back and forth and can take for ever on `(a+)+b`. Here a pattern is turned into a graph that
is walked with all its possibilities at once, one character after the other: time grows with the length of
the text times the size of the pattern, never faster. Lookaround, back references, possessive repetition and
inner anchors have no such graph; a pattern that needs them is left to re, if nothing in it repeats a
repetition or an alternative, and refused otherwise.
"""

import re
from dataclasses import dataclass, field
from typing import Final, TypeAlias

STATES_LIMIT: Final = 2_000
"""The most states of a graph; `a{1000}{1000}` would have a million."""

NESTING_LIMIT: Final = 50

_MEMORY_LIMIT: Final = 256
"""How many steps from one set of states to the next a pattern remembers."""

BACKTRACKING_TEXT_LIMIT: Final = 1_000
"""The longest text, in characters, that a pattern left to re is tried on; longer ones do not match."""


class RegexError(ValueError):
    """A regular expression that cannot be used."""


class _NoGraph(Exception):  # noqa: N818 -- not an error, a way out
    """The pattern has something that only backtracking can do."""


_Step: TypeAlias = "tuple[re.Pattern[str] | None, list[int]]"
"""One state: the character it takes (None: none) and the states after it."""


@dataclass(slots=True)
class _Graph:
    """States by number; state 0 is where every match ends."""

    states: list[_Step] = field(default_factory=lambda: [(None, [])])

    def add(self, atom: re.Pattern[str] | None, after: list[int]) -> int:
        if len(self.states) >= STATES_LIMIT:
            raise RegexError(f"has more than {STATES_LIMIT} states")
        self.states.append((atom, after))
        return len(self.states) - 1

    def reach(self, start: set[int]) -> set[int]:
        """`start` and all that is reached from it without taking a character."""
        reached, waiting = set(start), list(start)
        while waiting:
            atom, after = self.states[waiting.pop()]
            if atom is None:
                fresh = [state for state in after if state not in reached]
                reached.update(fresh)
                waiting.extend(fresh)
        return reached


class Regex:
    """A compiled regular expression; it matches a text as a whole."""

    __slots__ = ("_backtracking", "_graph", "_memory", "_start")

    def __init__(self, graph: _Graph | None, start: int, backtracking: re.Pattern[str] | None) -> None:
        self._graph = graph
        self._start = start
        self._backtracking = backtracking
        self._memory: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def matches(self, text: str) -> bool:
        """Whether the whole text matches."""
        if self._graph is None:
            pattern = self._backtracking
            return (
                pattern is not None and len(text) <= BACKTRACKING_TEXT_LIMIT and bool(pattern.fullmatch(text))
            )
        current = frozenset(self._graph.reach({self._start}))
        for character in text:
            current = self._next(self._graph, current, character)
            if not current:
                return False
        return 0 in current

    def _next(self, graph: _Graph, current: frozenset[int], character: str) -> frozenset[int]:
        key = (current, character)
        known = self._memory.get(key)
        if known is None:
            taken: set[int] = set()
            for state in current:
                atom, after = graph.states[state]
                if atom is not None and atom.fullmatch(character):
                    taken.update(after)
            known = frozenset(graph.reach(taken))
            if len(self._memory) < _MEMORY_LIMIT:
                self._memory[key] = known
        return known


_FLAGS: Final = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}
_JAVA_CLASSES: Final = {
    r"\p{Lower}": "[a-z]",
    r"\p{Upper}": "[A-Z]",
    r"\p{Alpha}": "[a-zA-Z]",
    r"\p{Digit}": "[0-9]",
    r"\p{Alnum}": "[a-zA-Z0-9]",
    r"\p{Space}": r"\s",
    r"\p{L}": r"[^\W\d_]",
}
_JAVA_CLASS: Final = re.compile(r"\\p\{\w+\}")
_REPETITION: Final = re.compile(r"[*+]|\{\d+,\d*\}")
_SET_OPERATIONS: Final = ("[[", "&&", "--", "~~", "||")
"""What Python may one day read as operations on classes, and Java reads so already in part."""
_REPEATED_GROUP: Final = re.compile(r"\)(?:[*+]|\{\d+,\d*\})")


def compile_regex(body: str, flags: str) -> Regex:
    """Compile `/body/flags`. Raises RegexError."""
    pattern = _JAVA_CLASS.sub(_python_class, body)
    options = re.ASCII  # Java's \d, \w and \b know ASCII only
    for flag in flags:
        options |= _FLAGS.get(flag, re.RegexFlag(0))
    graph = _Graph()
    try:
        return Regex(graph, _Builder(pattern, options, graph).build(), None)
    except _NoGraph:
        return Regex(None, 0, _backtracking(pattern, options))
    except re.error as error:
        raise RegexError(f"is not valid: {error}") from None


def _backtracking(pattern: str, options: re.RegexFlag) -> re.Pattern[str]:
    if _REPEATED_GROUP.search(pattern) or len(_REPETITION.findall(pattern)) > 2:
        raise RegexError("mixes lookaround, references or anchors with too much repetition")
    if any(operation in pattern for operation in _SET_OPERATIONS):
        raise RegexError("has a class within a class, which is not supported")
    try:
        return re.compile(pattern, options)
    except (re.error, RecursionError, OverflowError) as error:
        raise RegexError(f"is not valid: {error}") from None


def _python_class(found: re.Match[str]) -> str:
    try:
        return _JAVA_CLASSES[found[0]]
    except KeyError:
        raise RegexError(f"has the class {found[0]}, which is not supported") from None


_ATOM: Final = re.compile(
    r"\\[dDwWsS]|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[^A-Za-z0-9]|\\[tnrf]|[^\\()\[\]{}|*+?^$]|[\]}]"
)
_REPEAT: Final = re.compile(r"([*+?])|\{(\d+)(,(\d*))?\}")
_TREE: TypeAlias = "tuple[str, list[_TREE], re.Pattern[str] | None, int, int | None]"
"""(kind, parts, atom, least, most): kind is "atom", "all", "any" or "repeat"."""


class _Builder:
    """Reads a pattern into a tree, then the tree into the graph, from the end to the beginning."""

    def __init__(self, pattern: str, options: re.RegexFlag, graph: _Graph) -> None:
        self.pattern = pattern
        self.options = options
        self.graph = graph
        self.position = 0
        self.depth = 0
        self.work = 0

    def build(self) -> int:
        if self.options & (re.VERBOSE | re.MULTILINE):
            raise _NoGraph
        if self.pattern.startswith("^"):
            self.position = 1  # the whole text is matched anyway
        if self.pattern.endswith("$") and not self.pattern.endswith("\\$"):
            self.pattern = self.pattern[:-1]
        tree = self.alternatives()
        if self.position < len(self.pattern):
            raise _NoGraph
        return self.states(tree, 0)

    def alternatives(self) -> _TREE:
        self.depth += 1
        if self.depth > NESTING_LIMIT:
            raise RegexError(f"has groups nested more than {NESTING_LIMIT} deep")
        parts = [self.sequence()]
        while self.pattern.startswith("|", self.position):
            self.position += 1
            parts.append(self.sequence())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else ("any", parts, None, 0, 0)

    def sequence(self) -> _TREE:
        parts: list[_TREE] = []
        while self.position < len(self.pattern) and self.pattern[self.position] not in "|)":
            parts.append(self.repeated(self.atom()))
        return ("all", parts, None, 0, 0)

    def atom(self) -> _TREE:
        if self.pattern.startswith("(", self.position):
            self.position += 3 if self.pattern.startswith("(?:", self.position) else 1
            if self.pattern.startswith("?", self.position):
                raise _NoGraph
            inner = self.alternatives()
            if not self.pattern.startswith(")", self.position):
                raise _NoGraph
            self.position += 1
            return inner
        end = self.end_of_class() if self.pattern.startswith("[", self.position) else self.end_of_atom()
        text = self.pattern[self.position : end]
        self.position = end
        return ("atom", [], re.compile(text, self.options), 0, 0)

    def end_of_atom(self) -> int:
        found = _ATOM.match(self.pattern, self.position)
        if found is None:
            raise _NoGraph
        return found.end()

    def end_of_class(self) -> int:
        end = self.position + 1
        if self.pattern.startswith("^", end):
            end += 1
        if self.pattern.startswith("]", end):
            end += 1
        while end < len(self.pattern) and self.pattern[end] != "]":
            if self.pattern[end] == "[" or self.pattern.startswith(("&&", "--", "~~", "||"), end):
                raise RegexError("has a class within a class, which is not supported")
            end += 2 if self.pattern[end] == "\\" else 1
        return end + 1

    def repeated(self, tree: _TREE) -> _TREE:
        found = _REPEAT.match(self.pattern, self.position)
        if found is None:
            return tree
        self.position = found.end()
        if self.pattern.startswith("+", self.position):
            raise _NoGraph
        if self.pattern.startswith("?", self.position):
            self.position += 1  # lazy: the same texts match as a whole
        if found[1]:
            least, most = (1 if found[1] == "+" else 0), (1 if found[1] == "?" else None)
        else:
            least = int(found[2])
            most = least if found[3] is None else (int(found[4]) if found[4] else None)
            if most is not None and most < least:
                raise RegexError(f"repeats at least {least} and at most {most} times")
        return ("repeat", [tree], None, least, most)

    def states(self, tree: _TREE, after: int) -> int:
        """Add the states of `tree`, followed by `after`; give the first."""
        kind, parts, atom, least, most = tree
        self.work += 1
        if self.work > 10 * STATES_LIMIT or max(least, most or 0) > STATES_LIMIT:
            raise RegexError(f"repeats more than can be held in {STATES_LIMIT} states")
        if kind == "atom":
            return self.graph.add(atom, [after])
        if kind == "any":
            return self.graph.add(None, [self.states(part, after) for part in parts])
        if kind == "all":
            for part in reversed(parts):
                after = self.states(part, after)
            return after
        if most is None:
            loop = self.graph.add(None, [after])
            self.graph.states[loop][1].append(self.states(parts[0], loop))
            after = loop
        else:
            end = after
            for _ in range(most - least):
                after = self.graph.add(None, [end, self.states(parts[0], after)])
        for _ in range(least):
            after = self.states(parts[0], after)
        return after
