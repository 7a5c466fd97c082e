"""What a path or an intrinsic call is evaluated against, and the paths themselves: `$...` and `$$...`."""

import random
from typing import Final, Protocol

from etl_runner.asl.jsonpath import Path, PathSyntaxError, compile_path
from etl_runner.jsontypes import Json


class Env(Protocol):
    """What an expression may look at. Nothing here is ever changed by an evaluation, except `rng`'s state."""

    @property
    def input(self) -> Json:
        """What `$` stands for."""
        ...

    @property
    def context(self) -> Json:
        """What `$$` stands for: the context object."""
        ...

    @property
    def rng(self) -> random.Random:
        """Where States.UUID and States.MathRandom draw from; the shell seeds and records it."""
        ...


class Selector:
    """A compiled path: `$...` into the input, `$$...` into the context object."""

    __slots__ = ("_of_context", "path", "text")

    def __init__(self, text: str, path: Path, *, of_context: bool) -> None:
        self.text = text
        self.path = path
        self._of_context = of_context

    @property
    def definite(self) -> bool:
        """Whether it always stands for one place, so that a miss is an error and not an empty list."""
        return self.path.definite

    @property
    def of_context(self) -> bool:
        """Whether it is a `$$...` path, into the context object."""
        return self._of_context

    def evaluate(self, env: Env) -> Json:
        """Give the value it points at. Raises PathNotFound."""
        return self.path.evaluate(env.context if self._of_context else env.input)

    def source(self, env: Env) -> Json:
        """Give the document it points into, for messages."""
        return env.context if self._of_context else env.input

    def __repr__(self) -> str:
        return f"Selector({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selector) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


def compile_selector(text: str) -> Selector:
    """Compile a `$...` or `$$...` path. Raises PathSyntaxError (an InvalidInput) with the offset at fault."""
    if not text.startswith("$"):
        raise PathSyntaxError("a path starts with '$' (the input) or '$$' (the context object)", text, 0)
    if text.startswith("$$"):
        try:
            return Selector(text, compile_path(text[1:]), of_context=True)
        except PathSyntaxError as error:
            raise PathSyntaxError(error.reason, text, error.offset + 1) from None
    if text[1:2].isidentifier():
        raise PathSyntaxError("variables ($name) are not supported in this release", text, 1)
    return Selector(text, compile_path(text), of_context=False)


WHOLE: Final = compile_selector("$")
"""`$`: the whole input."""
