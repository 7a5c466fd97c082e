"""What an expression is evaluated against, and the paths themselves: `$...`, `$$...` and `$name...`."""

import random
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from etl_runner.asl.jsonpath import Path, PathNotFound, PathSyntaxError, compile_path
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
        """Where random numbers and UUIDs are drawn from; the shell seeds and records it."""
        ...

    @property
    def variables(self) -> Mapping[str, Json]:
        """All variables that can be seen at the state's entry; those of inner scopes hide outer ones."""
        ...

    @property
    def states(self) -> Mapping[str, Json]:
        """What JSONata's `$states` stands for: "input", and where they exist "result" and "errorOutput".

        "context" may be left out: an expression that reads it then asks for `context`, which is costly.
        """
        ...

    @property
    def now_ms(self) -> int:
        """The time that JSONata's `$now` and `$millis` give, in epoch milliseconds."""
        ...


class PlainEnv:
    """The part of an Env that nothing outside of an execution has: no variables, no states, no time."""

    __slots__ = ()

    @property
    def variables(self) -> Mapping[str, Json]:
        """None at all."""
        return _NOTHING

    @property
    def states(self) -> Mapping[str, Json]:
        """Nothing."""
        return _NOTHING

    @property
    def now_ms(self) -> int:
        """The epoch."""
        return 0


_NOTHING: Final[Mapping[str, Json]] = MappingProxyType({})


class Selector:
    """A compiled path: `$...` into the input, `$$...` into the context object, `$name...` into a variable."""

    __slots__ = ("_evaluate", "_of_context", "path", "text", "variable")

    def __init__(
        self, text: str, path: Path, *, of_context: bool = False, variable: str | None = None
    ) -> None:
        self.text = text
        self.path = path
        self.variable = variable
        self._of_context = of_context
        self._evaluate = path.evaluate

    @property
    def definite(self) -> bool:
        """Whether it always stands for one place, so that a miss is an error and not an empty list."""
        return self.path.definite

    @property
    def of_context(self) -> bool:
        """Whether it is a `$$...` path, into the context object."""
        return self._of_context

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables that it reads: one or none."""
        return () if self.variable is None else (self.variable,)

    def evaluate(self, env: Env) -> Json:
        """Give the value it points at. Raises PathNotFound, also for a variable that has no value."""
        if self.variable is not None:
            return self._evaluate(self._value(env, self.variable))
        return self._evaluate(env.context if self._of_context else env.input)

    def source(self, env: Env) -> Json:
        """Give the document it points into, for messages; null for a variable without a value."""
        if self.variable is not None:
            return env.variables.get(self.variable)
        return env.context if self._of_context else env.input

    def _value(self, env: Env, variable: str) -> Json:
        try:
            return env.variables[variable]
        except KeyError:
            raise PathNotFound(f"The variable '{variable}' has no value") from None

    def __repr__(self) -> str:
        return f"Selector({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selector) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


_VARIABLE: Final = re.compile(r"\$([^\W\d]\w*)(?![^.\[\s])")
"""`$name` up to where its path starts; any other `$x` is a path of Jayway's leniency."""


def compile_selector(text: str) -> Selector:
    """Compile a `$...`, `$$...` or `$name...` path.

    Raises PathSyntaxError (an InvalidInput) with the offset at fault.
    """
    if not text.startswith("$"):
        raise PathSyntaxError("a path starts with '$' (the input) or '$$' (the context object)", text, 0)
    if text.startswith("$$"):
        return Selector(text, _compiled(text, 1), of_context=True)
    found = _VARIABLE.match(text)
    if found is not None:
        return Selector(text, _compiled(text, found.end() - 1), variable=found[1])
    return Selector(text, compile_path(text))


def _compiled(text: str, cut: int) -> Path:
    """Compile what follows the first `cut` characters, with a `$` as its first."""
    try:
        return compile_path("$" + text[cut + 1 :])
    except PathSyntaxError as error:
        raise PathSyntaxError(error.reason, text, error.offset + cut) from None


WHOLE: Final = compile_selector("$")
"""`$`: the whole input."""
