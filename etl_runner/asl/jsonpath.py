"""JSONPath in the dialect of Jayway's JsonPath, which Step Functions runs: text in, compiled path out.

Its leniencies are kept on purpose (`$.[0]`, `$.a.['b']`, one stray character at the end, bare names without
`$`): definitions that run on AWS rely on them. Documents are never changed.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

from etl_runner.asl.jsonpath_filter import compile_filter
from etl_runner.asl.jsonpath_functions import FUNCTIONS
from etl_runner.asl.jsonpath_steps import (
    LOOKS,
    MOST_LOOKS,
    Argument,
    DescentStep,
    Evaluation,
    FilterStep,
    FunctionStep,
    IndexStep,
    NameStep,
    PathNotFound,
    PathSyntaxError,
    PathUnusable,
    SliceStep,
    Step,
    WildcardStep,
)
from etl_runner.asl.jsonpath_text import closing, read_json, skip_spaces, unescape
from etl_runner.jsontypes import Json

__all__ = ["Path", "PathNotFound", "PathSyntaxError", "PathUnusable", "compile_path"]

_COUNTING: Final = ("length", "size")
_INT_MAX: Final = 2**31 - 1
_NESTING_MAX: Final = 50
"""Filters and function arguments within each other; keeps a hostile path from exhausting the stack."""


class Path:
    """A compiled path.

    `text` is as written, `definite` says whether it stands for one place, `steps` holds the names and
    indexes of a path that has nothing else (None for any other path).
    """

    __slots__ = (
        "_canonical",
        "_head",
        "_names_only",
        "definite",
        "ends_with_call",
        "from_root",
        "steps",
        "text",
    )

    def __init__(self, text: str, links: Sequence[Step], *, from_root: bool) -> None:
        self.text = text
        self.from_root = from_root
        self._head = links[0] if links else None
        self._canonical = "$" + "".join(link.fragment() for link in links)
        self.definite = all(link.definite for link in links)
        self.steps = _plain_steps(links)
        only_names = self.steps is not None and all(isinstance(step, str) for step in self.steps)
        self._names_only = self.steps if only_names else None
        self.ends_with_call = bool(links) and isinstance(links[-1], FunctionStep)

    @property
    def head(self) -> str | None:
        """The name that the path starts with, None when it starts with anything else than one name."""
        first = self._head
        return first.names[0] if isinstance(first, NameStep) and len(first.names) == 1 else None

    def evaluate(self, document: Json, root: Json | None = None) -> Json:
        """Give what the path stands for in `document`: a value if definite, else a list of all values found.

        `root` is what `$` inside a filter means, by default the document. Raises PathNotFound when a
        definite path leads nowhere, or the part of it before the first indefinite step does.
        """
        steps = self.steps
        if self._names_only:
            value = document
            try:
                for step in self._names_only:
                    value = value[step]
            except (KeyError, TypeError):
                pass  # the long way tells why
            else:
                return value
        elif steps is not None:
            value = document
            for step in steps:
                if value.__class__ is dict:
                    if step in value:
                        value = value[step]
                        continue
                elif value.__class__ is list and step.__class__ is int and -len(value) <= step < len(value):
                    value = value[step]
                    continue
                break  # the long way tells why
            else:
                return value
        return self.walk(document, document if root is None else root)

    def walk(self, document: Json, root: Json, *, strict: bool = False) -> Json:
        """Evaluate step by step. With `strict` no name may be missing anywhere. Raises PathNotFound."""
        if self._head is None:
            return document
        left = LOOKS.get()
        if left is not None:
            return self._found(self._head, document, Evaluation(root, left, strict=strict, within=True))
        left = [MOST_LOOKS]
        token = LOOKS.set(left)
        try:
            return self._found(self._head, document, Evaluation(root, left, strict=strict))
        finally:
            LOOKS.reset(token)

    def _found(self, head: Step, document: Json, walk: Evaluation) -> Json:
        head.apply(document, walk)
        if not self.definite:
            return walk.found
        if not walk.found:
            raise PathNotFound(f"No results for path: {self._canonical}")
        return walk.found[-1]

    def __repr__(self) -> str:
        return f"Path({self.text!r})"


def _plain_steps(links: Sequence[Step]) -> tuple[str | int, ...] | None:
    steps: list[str | int] = []
    for link in links:
        if isinstance(link, NameStep) and len(link.names) == 1:
            steps.append(link.names[0])
        elif isinstance(link, IndexStep) and link.definite:
            steps.append(link.indexes[0])
        else:
            return None
    return tuple(steps)


@lru_cache(maxsize=4096)
def compile_path(text: str) -> Path:
    """Compile a path; the last 4096 are kept. Raises PathSyntaxError with the offset at fault."""
    return _compile(text, 0)


def _compile(text: str, nesting: int) -> Path:
    if nesting > _NESTING_MAX:
        raise PathSyntaxError(f"paths are nested more than {_NESTING_MAX} deep", text, 0)
    source = text.rstrip(" ")
    if not source:
        raise PathSyntaxError("a path cannot be empty", text, 0)
    if source[0] not in "$@":
        source = f"$.{source}"
    if source.endswith("."):
        raise PathSyntaxError("a path must not end with '.' or '..'", text, len(text) - 1)
    try:
        links = _Parser(source, nesting).parse()
    except PathSyntaxError as error:
        shift = 2 if source[:2] == "$." and not text.startswith("$") else 0
        raise PathSyntaxError(error.reason, text, max(0, error.offset - shift)) from None
    return Path(text, links, from_root=source[0] == "$")


class _Parser:
    """Reads one path, left to right.

    Like Jayway it stops when at most one character is left after a step, whatever that character is.
    """

    def __init__(self, text: str, nesting: int) -> None:
        self.text = text
        self.nesting = nesting
        self.position = 1
        self.links: list[Step] = []

    def parse(self) -> list[Step]:
        if len(self.text) > 1 and self.text[1] not in ".[":
            raise self.fault("expected '.' or '['")
        while self.position < len(self.text) and (self.position == 1 or self.position + 1 < len(self.text)):
            self.read_step()
        return _linked(_scan_as_argument(self.links))

    def fault(self, reason: str, position: int | None = None) -> PathSyntaxError:
        return PathSyntaxError(reason, self.text, self.position if position is None else position)

    def read_step(self) -> None:
        if self.text[self.position] == ".":
            if self.text.startswith("..", self.position):
                self.links.append(DescentStep())
                self.position += 2
            else:
                self.position += 1
            if self.position >= len(self.text) or self.text[self.position] == ".":
                raise self.fault("expected a name, '[' or '*' after '.'")
        if self.text[self.position] == "[":
            self.read_bracket()
        elif self.text[self.position] == "*":
            self.position += 1
            self.links.append(WildcardStep())
        else:
            self.read_name()

    def read_name(self) -> None:
        start = self.position
        found = _NAME_END.search(self.text, start)
        end = found.start() if found else len(self.text)
        stop = self.text[end : end + 1]
        if stop == " ":
            raise self.fault("a name with a blank goes into brackets: ['my name']", end)
        if end == start and stop != "(":
            raise self.fault("expected a name")
        name = self.text[start:end]
        if stop != "(":
            self.position = end
            self.links.append(NameStep((name,)))
            return
        close = closing(self.text, end, "(", ")")
        if close < 0:
            raise self.fault(f"the arguments of {name}() are not closed", end)
        arguments = self.read_arguments(name, self.text[end + 1 : close], end + 1)
        # Without arguments Jayway goes on at the ')' and reads a name: `$.a.first().b` finds nothing.
        self.position = close if close == end + 1 else close + 1
        self.links.append(FunctionStep(name, FUNCTIONS.get(name), arguments))

    def read_arguments(self, function: str, text: str, offset: int) -> list[Argument]:
        arguments: list[Argument] = []
        for part in _split_arguments(text):
            if part[0] in "$@":
                arguments.append(self.read_path_argument(function, part))
            elif part[0] in '{"-0123456789':
                arguments.append(self.read_constant_argument(function, part, offset))
            # Anything else, 'text' in single quotes too, Jayway drops.
        return arguments

    def read_path_argument(self, function: str, text: str) -> Argument:
        path = _compile(text, self.nesting + 1)
        if function in _COUNTING and not path.ends_with_call:
            return _children_of(path, _compile(f"{text}[*]", self.nesting + 1))
        return path.evaluate

    def read_constant_argument(self, function: str, text: str, offset: int) -> Argument:
        try:
            value = read_json(text)
        except ValueError as error:
            raise self.fault(f"the argument {text!r} is not JSON: {error}", offset) from None
        return _refused(function) if function in _COUNTING else lambda _root: value

    def read_bracket(self) -> None:
        first = skip_spaces(self.text, self.position + 1)
        sign = self.text[first : first + 1]
        if sign in ("'", '"'):
            self.read_quoted_names(sign)
        elif sign and sign in "-:0123456789":
            self.read_indexes()
        elif sign == "*":
            end = skip_spaces(self.text, first + 1)
            if self.text[end : end + 1] != "]":
                raise self.fault("expected ']' after '*'", end)
            self.position = end + 1
            self.links.append(WildcardStep())
        elif sign == "?":
            self.read_filter(first)
        else:
            raise self.fault("expected a quoted name, an index, '*' or '?(' after '['", first)

    def read_quoted_names(self, quote: str) -> None:
        names: list[str] = []
        position = self.position + 1
        while True:
            position = skip_spaces(self.text, position)
            if self.text[position : position + 1] != quote:
                raise self.fault(f"expected a name in {quote}", position)
            end = position + 1
            while end < len(self.text) and self.text[end] != quote:
                end += 2 if self.text[end] == "\\" else 1
            if end >= len(self.text):
                raise self.fault("the name is not closed", position)
            names.append(unescape(self.text[position + 1 : end]))
            position = skip_spaces(self.text, end + 1)
            stop = self.text[position : position + 1]
            if stop not in (",", "]"):
                raise self.fault("expected ',' or ']' after the name", position)
            position += 1
            if stop == "]":
                break
        self.position = position
        self.links.append(NameStep(tuple(names)))

    def read_indexes(self) -> None:
        end = self.text.find("]", self.position)
        content = self.text[self.position + 1 : end].strip(" ")
        if end < 0 or not _INDEX_CHARACTERS.fullmatch(content):
            raise self.fault("expected numbers and ']'")
        if ":" in content:
            if " " in content or "," in content:
                raise self.fault("a slice has no blanks and no commas")
            parts = [*content.split(":"), ""]
            first, last = self.read_index(parts[0]), self.read_index(parts[1])
            if first is None and last is None:
                raise self.fault("a slice needs a start or an end")
            self.links.append(SliceStep(first, last))
        else:
            indexes = [self.read_index(part.strip(" ")) for part in content.split(",")]
            if None in indexes:
                raise self.fault("expected a number")
            self.links.append(IndexStep(tuple(index for index in indexes if index is not None)))
        self.position = end + 1

    def read_index(self, text: str) -> int | None:
        if not text:
            return None
        if not _INDEX.fullmatch(text) or not -_INT_MAX <= int(text) <= _INT_MAX:
            raise self.fault(f"{text!r} is not an index")
        return int(text)

    def read_filter(self, mark: int) -> None:
        opening = skip_spaces(self.text, mark + 1)
        if self.text[opening : opening + 1] != "(":
            raise self.fault("a filter reads [?(...)]", opening)
        close = closing(self.text, opening, "(", ")", regexes=True)
        end = skip_spaces(self.text, close + 1)
        if close < 0 or self.text[end : end + 1] != "]":
            raise self.fault("the filter is not closed with ')]'", opening)
        predicate = compile_filter(
            self.text, opening + 1, close, lambda inner: _compile(inner, self.nesting + 1)
        )
        self.links.append(FilterStep(predicate))
        self.position = end + 1


_NAME_END: Final = re.compile(r"[.\[( ]")
_INDEX: Final = re.compile(r"-?[0-9]+")
_INDEX_CHARACTERS: Final = re.compile(r"[-0-9:, ]+")


def _linked(links: list[Step]) -> list[Step]:
    place = "$"
    for link, following in pairwise(links):
        link.link(following)
    for link in links:
        place += link.fragment()
        link.place = place
    return links


def _scan_as_argument(links: list[Step]) -> list[Step]:
    """`$..price.max()` means `$.max($..price)`: one number for all that was found."""
    if len(links) < 2 or not isinstance(links[0], DescentStep) or not isinstance(links[-1], FunctionStep):
        return links
    last = links[-1]
    inner = _linked(links[:-1])
    if last.name in _COUNTING:
        inner = _linked([*inner, WildcardStep()])
        inner[-1].after = inner[-2].after  # to Jayway the path still ends one step earlier
    found = Path("", inner, from_root=True)
    return [FunctionStep(last.name, FUNCTIONS.get(last.name), [found.evaluate])]


def _children_of(path: Path, children: Path) -> Argument:
    """What length($.path) looks at: as Jayway has it, one step below what the path finds."""

    def found(root: Json) -> Json:
        values = children.evaluate(root)
        if not path.definite:
            return values
        if not values:
            raise PathNotFound(f"No results for path: {children.text}")
        return values[-1]

    return found


def _refused(function: str) -> Argument:
    def refuse(_root: Json) -> Json:
        raise PathUnusable(f"{function}() takes a path, not a constant")

    return refuse


def _split_arguments(text: str) -> list[str]:
    """Split at the commas that stand in no bracket and no double quotes."""
    parts: list[str] = []
    depth, start, quoted, escaped = 0, 0, False, False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]
