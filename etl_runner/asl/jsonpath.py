"""JSONPath in Jayway's dialect, which is what Step Functions runs."""

import re
from functools import lru_cache

from etl_runner.errors import EtlRunnerError, InvalidInput
from etl_runner.jsontypes import Json


class PathSyntaxError(InvalidInput):
    """A path that cannot be compiled: `reason`, the path's `text` and the `offset` (characters) at fault."""

    def __init__(self, reason: str, text: str, offset: int) -> None:
        self.reason = reason
        self.text = text
        self.offset = offset
        super().__init__(f"the path {text!r} cannot be read: {reason}, at offset {offset}")


class PathNotFound(EtlRunnerError):  # noqa: N818 -- reads as what it is where it is raised
    """A definite path that leads nowhere in the document it was given."""


_STEP = re.compile(r"\.([\w$@-]+)|\[(-?\d+)\]|\['([^'\\]+)'\]")


class Path:
    """A compiled path."""

    __slots__ = ("definite", "steps", "text")

    def __init__(self, text: str, steps: tuple[str | int, ...] | None) -> None:
        self.text = text
        self.definite = True
        self.steps = steps

    def evaluate(self, document: Json, root: Json | None = None) -> Json:  # noqa: ARG002 -- for filters
        """Give what the path stands for in `document`. Raises PathNotFound."""
        value = document
        for step in self.steps:
            if not isinstance(value, dict if isinstance(step, str) else list):
                raise PathNotFound(f"No results for path: {self.text}")
            try:
                value = value[step]
            except (KeyError, IndexError):
                raise PathNotFound(f"No results for path: {self.text}") from None
        return value


@lru_cache(maxsize=4096)
def compile_path(text: str) -> Path:
    """Compile a path. Raises PathSyntaxError."""
    steps: list[str | int] = []
    position = 1
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None:
            raise PathSyntaxError("only names and indexes are understood", text, position)
        steps.append(int(found[2]) if found[2] else found[1] or found[3])
        position = found.end()
    return Path(text, tuple(steps))
