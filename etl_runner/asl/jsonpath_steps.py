"""The steps of a compiled JSONPath and how they walk a document, after Jayway's rules.

A step hands each value it finds to the next one; the last one adds to what was found. "Definite so far"
decides whether a miss is an error (one place was meant) or nothing (one of many).
"""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Final, TypeAlias

from etl_runner.errors import EtlRunnerError, InvalidInput
from etl_runner.jsontypes import Json, dumps_text


class PathSyntaxError(InvalidInput):
    """A path that cannot be compiled: `reason`, the path's `text` and the `offset` (characters) at fault."""

    def __init__(self, reason: str, text: str, offset: int) -> None:
        self.reason = reason
        self.text = text
        self.offset = offset
        super().__init__(f"the path {text!r} cannot be read at offset {offset}: {reason}")


class PathNotFound(EtlRunnerError):  # noqa: N818 -- reads as what it is where it is raised
    """A path that gives no value in the document it was given."""


class PathRefused(PathNotFound):
    """A step that has no meaning here: an unknown function, a filter on a number.

    Unlike a mere miss, `*` does not pass over it; inside a filter it makes the whole filter say no.
    """


class PathUnusable(PathRefused):
    """What the path leads to cannot be used so, as the maximum of nothing. An error inside a filter too."""


MOST_LOOKS: Final = 1_000_000
"""How many places one evaluation may look at that multiply with each other: a second's work.

`$..*..*..*` comes to more places than anyone has time for, in a document that is small but deep.
"""


LOOKS: Final[ContextVar[list[int] | None]] = ContextVar("looks", default=None)
"""What is left of MOST_LOOKS for the evaluation under way, for the paths inside its filters."""


class Evaluation:
    """One walk: the root for `$` inside filters, and what was found.

    With `strict`, a missing name is an error even where many places are meant: filters that ask whether
    something exists need that.
    """

    __slots__ = ("_left", "_within", "found", "position", "root", "strict")

    def __init__(self, root: Json, left: list[int], *, strict: bool = False, within: bool = False) -> None:
        """`left` is what is left of MOST_LOOKS, `within` says that the walk is part of another."""
        self._left = left
        self._within = within
        self.root = root
        self.strict = strict
        self.found: list[Json] = []
        self.position = -1  # of the array element that `..` looked at last, see DescentStep

    def look(self, step: "Step", count: int) -> None:
        """Look at so many places. Those of a path's first step with many are no more than the document has.

        Raises PathUnusable.
        """
        if step.upstream_definite and not self._within:
            return
        self._left[0] -= count
        if self._left[0] < 0:
            raise PathUnusable(
                f"the path {step.place} leads to more than {MOST_LOOKS:,} places in this document; look at "
                "less of it at once"
            )


Predicate: TypeAlias = Callable[[Json, Json], bool]
"""(item, root) -> whether the item passes. May raise PathNotFound, which counts as no."""

PathFunction: TypeAlias = Callable[[Json, Sequence[Json]], Json]


class Step:
    """One link of a path."""

    definite: bool = True

    def __init__(self) -> None:
        self.next: Step | None = None
        self.upstream_definite = True
        self.after = ""  # the step before this one, as text
        self.place = "$"  # the path up to and with this step, in brackets, for messages

    def link(self, following: "Step") -> None:
        """Make `following` the next step."""
        self.next = following
        following.upstream_definite = self.upstream_definite and self.definite
        following.after = self.fragment()

    def emit(self, value: Json, walk: Evaluation) -> None:
        """Pass a value found on."""
        if self.next is None:
            walk.found.append(value)
        else:
            self.next.apply(value, walk)

    def emit_member(self, value: Json, walk: Evaluation) -> None:
        """Pass on the value of an object's member; see DescentStep for the condition."""
        if self.next is not None or walk.position < 0 or self.after == f"[{walk.position}]":
            self.emit(value, walk)

    def apply(self, value: Json, walk: Evaluation) -> None:
        """Look in `value`. Raises PathNotFound for a miss where one place was meant."""
        raise NotImplementedError

    def fits(self, value: Json, walk: Evaluation) -> bool:  # noqa: ARG002 -- some steps look at them
        """Whether `..` should try this step on `value`, an object or array it came across."""
        return False

    def fragment(self) -> str:
        """The step as text in bracket form."""
        raise NotImplementedError


class NameStep(Step):
    """`.name`, `["name"]` or `["a","b"]`, which as the last step picks several into one object."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names

    def link(self, following: Step) -> None:
        """Make `following` the next step; several names then mean several places."""
        self.definite = len(self.names) == 1
        super().link(following)

    def apply(self, value: Json, walk: Evaluation) -> None:
        """Look the name up; or, with several, give an object of those that are there."""
        if not isinstance(value, dict):
            if self.upstream_definite:
                raise PathNotFound(self._no_object(value))
            return
        if len(self.names) > 1 and self.next is None:
            if walk.strict and any(name not in value for name in self.names):
                raise PathNotFound(f"Missing property in path {self.place}")
            walk.found.append({name: value[name] for name in self.names if name in value})
            return
        for name in self.names:
            if name in value:
                self.emit_member(value[name], walk)
            elif walk.strict:
                raise PathNotFound(f"No results for path: {self.place}")
            elif self.next is not None and self.upstream_definite and self.definite:
                raise PathNotFound(f"Missing property in path {self.place}")

    def _no_object(self, value: Json) -> str:
        before = self.place.removesuffix(self.fragment())
        return (
            f"Expected to find an object with property {self.fragment()} in path {before} "
            f"but found '{describe(value)}'."
        )

    def fits(self, value: Json, walk: Evaluation) -> bool:  # noqa: ARG002 -- an override
        """Whether the object has all the names."""
        if not isinstance(value, dict):
            return False
        return not self.definite or all(name in value for name in self.names)

    def fragment(self) -> str:
        """`['name']`."""
        return "[" + ",".join(f"'{name}'" for name in self.names) + "]"


class _ArrayStep(Step):
    def items(self, value: Json) -> list[Json] | None:
        """The array; None when there is none and that is no error."""
        if isinstance(value, list):
            return value
        if not self.upstream_definite:
            return None
        if value is None:
            raise PathNotFound(f"The path {self.place.removesuffix(self.fragment())} is null")
        raise PathNotFound(
            f"Filter: {self.fragment()} can only be applied to arrays. "
            f"Current context is: {dumps_text(value)}"
        )

    def fits(self, value: Json, walk: Evaluation) -> bool:  # noqa: ARG002, PLR6301, RUF100 -- an override
        """Arrays only."""
        return isinstance(value, list)


class IndexStep(_ArrayStep):
    """`[0]`, `[-1]` or `[0,2]`. An index beyond the array gives nothing."""

    def __init__(self, indexes: tuple[int, ...]) -> None:
        super().__init__()
        self.indexes = indexes
        self.definite = len(indexes) == 1

    def apply(self, value: Json, walk: Evaluation) -> None:
        """Give the elements."""
        items = self.items(value)
        if items is None:
            return
        size = len(items)
        walk.look(self, len(self.indexes))
        for index in self.indexes:
            if -size <= index < size:
                self.emit(items[index], walk)

    def fragment(self) -> str:
        """`[0,2]`."""
        return "[" + ",".join(map(str, self.indexes)) + "]"


class SliceStep(_ArrayStep):
    """`[a:b]`, `[a:]` or `[:b]`; a third number is read and ignored, as Jayway does."""

    definite = False

    def __init__(self, first: int | None, last: int | None) -> None:
        super().__init__()
        self.first = first
        self.last = last

    def apply(self, value: Json, walk: Evaluation) -> None:
        """Give the elements in order."""
        items = self.items(value)
        if items is None:
            return
        size = len(items)
        if self.first is None:
            last = self.last or 0
            indexes = range(min(size, last + size if last < 0 else last))
        elif self.last is None:
            indexes = range(max(0, self.first + size if self.first < 0 else self.first), size)
        else:
            # With both ends a negative number stays one and counts from the end element by element.
            indexes = range(max(self.first, -size), min(size, self.last))
        walk.look(self, len(indexes))
        for index in indexes:
            if index >= -size:
                self.emit(items[index], walk)

    def fragment(self) -> str:
        """`[1:3]`."""
        ends = ("" if end is None else str(end) for end in (self.first, self.last))
        return "[" + ":".join(ends) + "]"


class WildcardStep(Step):
    """`*`: every value of an object, every element of an array."""

    definite = False

    def apply(self, value: Json, walk: Evaluation) -> None:
        """Give them in order."""
        if not isinstance(value, dict | list):
            return
        walk.look(self, len(value))
        emit = self.emit_member if isinstance(value, dict) else self.emit
        for item in value.values() if isinstance(value, dict) else value:
            try:
                emit(item, walk)
            except PathRefused:
                raise
            except PathNotFound:
                if walk.strict:
                    raise

    def fits(self, value: Json, walk: Evaluation) -> bool:  # noqa: ARG002, PLR6301, RUF100 -- an override
        """Everything."""
        return True

    def fragment(self) -> str:  # noqa: PLR6301, RUF100 -- an override
        """`[*]`."""
        return "[*]"


class DescentStep(Step):
    """`..`: tries the next step on this value and on all objects and arrays below it, parents first.

    One oddity of Jayway is kept because it decides results: when a step on an array (`..[0]`, `..*`) is not
    the last, the step after it is tried on every element; but if that is a name or `*` and the last step,
    an object's members only count at the element whose `[index]` is the text of the step between, and from
    the first array on that holds everywhere. So `$..[0].b` works, `$..[0,1].b` gives nothing, and `$..*.b`
    only what it met before the first array.
    """

    definite = False

    def apply(self, value: Json, walk: Evaluation) -> None:
        """Walk down with a stack of its own: the document may be deeper than Python's."""
        target = self.next
        if target is None:
            raise PathUnusable("'..' needs something to look for")
        stack = [value]
        while stack:
            current = stack.pop()
            if not isinstance(current, dict | list):
                continue
            walk.look(self, 1 + len(current))
            if target.fits(current, walk):
                self._try(target, current, walk)
            children = current.values() if isinstance(current, dict) else current
            stack.extend(reversed([child for child in children if isinstance(child, dict | list)]))

    @staticmethod
    def _try(target: Step, current: Json, walk: Evaluation) -> None:
        after = target.next
        if after is None or isinstance(current, dict):
            target.apply(current, walk)
            return
        single = isinstance(after, WildcardStep) or (isinstance(after, NameStep) and len(after.names) == 1)
        remembers = single and after.next is None
        for position, item in enumerate(current):
            if remembers:
                walk.position = position
            after.apply(item, walk)

    def fragment(self) -> str:  # noqa: PLR6301, RUF100 -- an override
        """`..`."""
        return ".."


class FilterStep(Step):
    """`[?(...)]`: an array's elements that pass; an object passes or not as a whole."""

    definite = False

    def __init__(self, predicate: Predicate) -> None:
        super().__init__()
        self._predicate = predicate

    def accepts(self, item: Json, walk: Evaluation) -> bool:
        """Whether the item passes. Raises PathUnusable."""
        walk.look(self, 1)
        try:
            return self._predicate(item, walk.root)
        except PathUnusable:
            raise
        except PathNotFound:
            return False

    def apply(self, value: Json, walk: Evaluation) -> None:
        """Give what passes, in order."""
        if isinstance(value, dict):
            if self.accepts(value, walk):
                self.emit(value, walk)
        elif isinstance(value, list):
            for item in value:
                if self.accepts(item, walk):
                    self.emit(item, walk)
        elif self.upstream_definite:
            raise PathRefused(
                f"Filter: {self.fragment()} can not be applied to primitives. "
                f"Current context is: {dumps_text(value)}"
            )

    def fits(self, value: Json, walk: Evaluation) -> bool:
        """What passes itself; for arrays that means the array, not its elements."""
        return self.accepts(value, walk)

    def fragment(self) -> str:  # noqa: PLR6301, RUF100 -- an override
        """`[?]`."""
        return "[?]"


class FunctionStep(Step):
    """`.name(arguments)`: arguments are constants, or paths from the root."""

    def __init__(self, name: str, function: PathFunction | None, arguments: "Sequence[Argument]") -> None:
        super().__init__()
        self.name = name
        self._function = function
        self.arguments = arguments

    def apply(self, value: Json, walk: Evaluation) -> None:
        """Call it. Raises PathRefused when there is no such function, PathUnusable when it fails."""
        if self._function is None:
            raise PathRefused(f"Function with name: {self.name} does not exist.")
        result = self._function(value, [argument(walk.root) for argument in self.arguments])
        walk.found.append(result)
        if self.next is not None:
            self.next.apply(result, walk)

    def fragment(self) -> str:
        """`.name()`."""
        return f".{self.name}()"


Argument: TypeAlias = Callable[[Json], Json]
"""root -> the argument's value."""

_KINDS: Final = {type(None): "null", bool: "boolean", int: "number", float: "number", str: "string"}


def describe(value: Json) -> str:
    """Name the JSON type of a value."""
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else _KINDS.get(type(value), type(value).__name__)
