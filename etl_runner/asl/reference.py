"""Reference paths: where ResultPath puts a result."""

from functools import lru_cache
from typing import Final, Self

from etl_runner.asl.jsonpath import PathSyntaxError, compile_path
from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps_text

STEPS_LIMIT: Final = 200
"""Far beyond any use; a put takes a stack frame for each step."""


class ReferencePath:
    """A path of names and indexes only, which can be written to."""

    __slots__ = ("_steps", "text")

    def __init__(self, text: str, steps: tuple[str | int, ...]) -> None:
        self.text = text
        self._steps = steps

    @classmethod
    def whole(cls) -> Self:
        """`$`: the value put replaces the document."""
        return cls("$", ())

    @property
    def head(self) -> str | None:
        """The name of the field that it starts with; None for `$` and for an index."""
        first = self._steps[0] if self._steps else None
        return first if isinstance(first, str) else None

    def put(self, document: Json, value: Json) -> Json:
        """Give a document like `document` with `value` in this place.

        `document` is not changed; what lies beside the way is shared with it. Objects missing on the way
        are made, and null counts as missing; an index must exist. Raises StatesError
        States.ResultPathMatchFailure where `document` has no room for it.
        """
        if not self._steps:
            return value
        return self._put(document, value, 0)

    def _put(self, document: Json, value: Json, depth: int) -> Json:
        if depth == len(self._steps):
            return value
        step = self._steps[depth]
        if isinstance(step, str):
            if document is None:
                document = {}
            if not isinstance(document, dict):
                raise self._no_room(document, depth)
            return {**document, step: self._put(document.get(step), value, depth + 1)}
        if not isinstance(document, list) or not -len(document) <= step < len(document):
            raise self._no_room(document, depth)
        changed = document.copy()
        changed[step] = self._put(document[step], value, depth + 1)
        return changed

    def _no_room(self, found: Json, depth: int) -> StatesError:
        way = "".join(f"[{step!r}]" for step in self._steps[:depth])
        return StatesError(
            "States.ResultPathMatchFailure",
            f"Unable to apply step {self._steps[depth]!r} of the ResultPath '{self.text}' "
            f"to what is at ${way}: {dumps_text(found)[:200]}",
        )

    def __repr__(self) -> str:
        return f"ReferencePath({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReferencePath) and other._steps == self._steps

    def __hash__(self) -> int:
        return hash(self._steps)


@lru_cache(maxsize=1024)
def compile_reference_path(text: str) -> ReferencePath:
    """Compile a reference path: names and single indexes from `$`. Raises PathSyntaxError for any other."""
    if not text.startswith("$"):
        raise PathSyntaxError("a reference path starts with '$'", text, 0)
    if text.startswith("$$"):
        raise PathSyntaxError("the context object cannot be written to", text, 1)
    steps = compile_path(text).steps
    if steps is None:
        raise PathSyntaxError("a reference path has only names and single indexes", text, 1)
    if len(steps) > STEPS_LIMIT:
        raise PathSyntaxError(f"a reference path has at most {STEPS_LIMIT} steps", text, 0)
    return ReferencePath(text, steps)
