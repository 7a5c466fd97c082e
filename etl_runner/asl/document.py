"""Definition text turned into plain values that remember where they stood.

`read_document` reads JSON (json_text.py) or YAML (yaml_text.py) into a Document: a root Node, or the faults
that kept it from being read. A Node is a value with its place; parse.py walks Nodes, so that every fault it
finds has a line, a column and a JSON path.
"""

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from etl_runner.asl.model import Place
from etl_runner.errors import Fault
from etl_runner.jsontypes import Json

MAX_DEPTH: Final = 100
"""How deep objects and arrays may nest. Far above any real definition, far below Python's own stack."""

PathKeys: TypeAlias = tuple[str | int, ...]

_LINE_END: Final = re.compile(r"\r\n?|\n")


class Mark:
    """Where a value starts (`at`), where its key does (`key`, -1: none), and the same for what is inside."""

    __slots__ = ("at", "inside", "key")

    def __init__(self, at: int, key: int = -1) -> None:
        self.at = at
        self.key = key
        self.inside: dict[str, Mark] | list[Mark] | None = None


class TextFault(Exception):  # noqa: N818 -- it carries a Fault to be, and never leaves this package
    """A text that cannot be read any further: what is wrong at which character offset, and the remedy."""

    def __init__(self, at: int, code: str, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.at = at
        self.code = code
        self.what = what
        self.remedy = remedy


class Source:
    """A text and its lines: turns character offsets into places."""

    def __init__(self, text: str, file: str = "") -> None:
        self.text = text
        self.file = file
        self._starts = [0, *(found.end() for found in _LINE_END.finditer(text))]

    def place(self, at: int) -> Place:
        """Give the line and column of a character offset."""
        line = bisect.bisect_right(self._starts, at)
        return Place(line=line, column=at - self._starts[line - 1] + 1)

    def fault(
        self,
        at: int,
        code: str,
        what: str,
        remedy: str = "",
        *,
        path: PathKeys = (),
        severity: str = "error",
    ) -> Fault:
        """Make a Fault that stands at a character offset."""
        place = self.place(at)
        return Fault(
            what=what,
            remedy=remedy,
            code=code,
            file=self.file,
            line=place.line,
            column=place.column,
            path=json_path(path),
            severity=severity,
        )


def json_path(keys: PathKeys) -> str:
    """Write a way into a document as `/States/Fetch/Retry/0`; `~` and `/` in keys as RFC 6901 has it."""
    return "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in keys)


class Node:
    """A value of a document, with its place."""

    __slots__ = ("_mark", "path", "source", "value")

    def __init__(self, source: Source, value: Json, mark: Mark, path: PathKeys = ()) -> None:
        self.source = source
        self.value = value
        self._mark = mark
        self.path = path

    @property
    def at(self) -> int:
        """Where the value starts, as a character offset."""
        return self._mark.at

    @property
    def key_at(self) -> int:
        """Where its key starts; where it starts itself when it has none."""
        return self._mark.key if self._mark.key >= 0 else self._mark.at

    @property
    def place(self) -> Place:
        """Line and column of the value."""
        return self.source.place(self.at)

    @property
    def key_place(self) -> Place:
        """Line and column of its key."""
        return self.source.place(self.key_at)

    @property
    def name(self) -> str:
        """Its own key or index, as text; empty for the whole document."""
        return str(self.path[-1]) if self.path else ""

    def members(self) -> Iterator[tuple[str, "Node"]]:
        """Give the fields of an object in document order; nothing for any other value."""
        inside = self._mark.inside
        if isinstance(inside, dict):
            for key, mark in inside.items():
                yield key, Node(self.source, self.value[key], mark, (*self.path, key))

    def elements(self) -> Iterator["Node"]:
        """Give the elements of an array in order; nothing for any other value."""
        inside = self._mark.inside
        if isinstance(inside, list):
            for index, mark in enumerate(inside):
                yield Node(self.source, self.value[index], mark, (*self.path, index))

    def get(self, key: str) -> "Node | None":
        """Give one field of an object, None when it is not there (or this is no object)."""
        inside = self._mark.inside
        if isinstance(inside, dict) and key in inside:
            return Node(self.source, self.value[key], inside[key], (*self.path, key))
        return None

    def find(self, path: str) -> "Node":
        """Follow a JSON path such as `/States/Fetch/Retry/0`. Raises KeyError where it leads nowhere."""
        node = self
        for part in path.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            elements = list(node.elements())
            inner = elements[int(key)] if elements and int(key) < len(elements) else node.get(key)
            if inner is None:
                raise KeyError(path)
            node = inner
        return node


@dataclass(frozen=True, slots=True)
class Document:
    """What was read: `root` is None when the text could not be read; `faults` says why, or what else."""

    source: Source
    root: Node | None
    faults: tuple[Fault, ...] = field(default=())


def kind_of(value: Json) -> str:
    """Name a JSON value's kind in a sentence: `an object`, `a string`, `null`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {_short(str(value))}"
        case str():
            return f"the string {_short(repr(value))}"
        case list():
            return "an array" if value else "an empty array"
        case _:
            return "an object" if value else "an empty object"


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:60]}...{text[-10:]}"
