"""Calls of intrinsic functions: the text `States.Name(...)` and its evaluation."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NoReturn, TypeAlias

from etl_runner.asl.intrinsic_functions import INTRINSICS, BadArguments, Intrinsic
from etl_runner.asl.jsonpath import PathNotFound, PathSyntaxError
from etl_runner.asl.jsonpath_text import closing, end_of_quoted
from etl_runner.asl.selector import Env, Selector, compile_selector
from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps_text, loads

__all__ = ["INTRINSICS", "INTRINSIC_FAILURE", "NESTING_LIMIT", "IntrinsicCall", "compile_call"]

INTRINSIC_FAILURE: Final = "States.Runtime"
"""What AWS reports for a failed call; States.IntrinsicFailure stands in its guide only."""

NESTING_LIMIT: Final = 10
"""How deep calls may stand within each other (developer guide)."""


class _Constant:
    """A literal argument."""

    __slots__ = ("value",)

    def __init__(self, value: Json) -> None:
        self.value = value

    def evaluate(self, env: Env) -> Json:  # noqa: ARG002 -- as the other kinds of argument
        return self.value


class IntrinsicCall:
    """A compiled call. `text` is as written, without blanks around it."""

    __slots__ = ("_arguments", "_intrinsic", "name", "text")

    def __init__(self, text: str, name: str, intrinsic: Intrinsic, arguments: "Sequence[_Argument]") -> None:
        self.text = text
        self.name = name
        self._intrinsic = intrinsic
        self._arguments = tuple(arguments)

    def evaluate(self, env: Env) -> Json:
        """Give the call's result. Raises StatesError States.Runtime."""
        values: list[Json] = []
        for argument in self._arguments:
            try:
                values.append(argument.evaluate(env))
            except PathNotFound:
                if not isinstance(argument, Selector) or argument.definite:
                    self._fail_on_path(argument, env)
                values.append([])  # as in a template: a slice or wildcard of what is not there is empty
        try:
            return self._intrinsic.call(tuple(values), env.rng)
        except BadArguments as error:
            self._fail(f"Invalid arguments in {self.name}: {error}")

    def literals(self) -> Iterator[tuple[str, int, Json]]:
        """Give the literal arguments, inner calls included: function name, position from 0, value."""
        for position, argument in enumerate(self._arguments):
            if isinstance(argument, _Constant):
                yield self.name, position, argument.value
            elif isinstance(argument, IntrinsicCall):
                yield from argument.literals()

    def selectors(self) -> Iterator[Selector]:
        """Give the paths among the arguments, inner calls included."""
        for argument in self._arguments:
            if isinstance(argument, Selector):
                yield argument
            elif isinstance(argument, IntrinsicCall):
                yield from argument.selectors()

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables that its arguments read, some perhaps more than once."""
        return tuple(name for selector in self.selectors() for name in selector.variables)

    def _fail_on_path(self, argument: "_Argument", env: Env) -> NoReturn:
        path = argument.text if isinstance(argument, Selector) else ""
        found = dumps_text(argument.source(env)) if isinstance(argument, Selector) else ""
        self._fail(f"The JsonPath argument for the field '{path}' could not be found in the input '{found}'")

    def _fail(self, reason: str) -> NoReturn:
        raise StatesError(
            INTRINSIC_FAILURE, f"The function '{self.text}' had the following error: {reason}"
        ) from None

    def __repr__(self) -> str:
        return f"IntrinsicCall({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IntrinsicCall) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


_Argument: TypeAlias = _Constant | Selector | IntrinsicCall


def compile_call(text: str) -> IntrinsicCall:
    r"""Compile `States.Name(...)`.

    Arguments are strings in single quotes (with the escapes \' \\ \{ \}), numbers, true, false, null,
    paths and further calls. Raises PathSyntaxError with the offset at fault. How many arguments and of which
    types is checked when the call is made, as on AWS.
    """
    parser = _Parser(text)
    call = parser.call(1)
    parser.skip()
    if parser.position < len(text):
        raise parser.fault("expected the end after ')'")
    return call


_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_.])")
_WORD: Final = re.compile(r"(?:true|false|null)(?![A-Za-z0-9_.])")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def fault(self, reason: str, position: int | None = None) -> PathSyntaxError:
        return PathSyntaxError(reason, self.text, self.position if position is None else position)

    def skip(self) -> str:
        """Go past white space; give the next character, "" at the end."""
        while self.position < len(self.text) and self.text[self.position] in " \t\r\n":
            self.position += 1
        return self.text[self.position : self.position + 1]

    def call(self, depth: int) -> IntrinsicCall:
        self.skip()
        start = self.position
        if depth > NESTING_LIMIT:
            raise self.fault(f"calls may stand {NESTING_LIMIT} deep within each other, no deeper")
        found = _NAME.match(self.text, start)
        name = found[0] if found else ""
        intrinsic = INTRINSICS.get(name)
        if intrinsic is None:
            raise self.fault(
                f"there is no intrinsic function {name!r}; known: {', '.join(INTRINSICS)}", start
            )
        self.position += len(name)
        if self.skip() != "(":
            raise self.fault(f"expected '(' after {name}")
        self.position += 1
        arguments: list[_Argument] = []
        if self.skip() == ")":
            self.position += 1
        else:
            self.arguments(arguments, depth, is_template=name == "States.Format")
        return IntrinsicCall(self.text[start : self.position], name, intrinsic, arguments)

    def arguments(self, into: list[_Argument], depth: int, *, is_template: bool) -> None:
        while True:
            into.append(self.argument(depth, is_template=is_template and not into))
            sign = self.skip()
            if sign not in (",", ")"):
                raise self.fault("expected ',' or ')' after an argument")
            self.position += 1
            if sign == ")":
                return

    def argument(self, depth: int, *, is_template: bool) -> _Argument:
        sign = self.skip()
        start = self.position
        if sign == "'":
            return self.string(is_template=is_template)
        if sign == "$":
            self.position = self.end_of_path()
            path = self.text[start : self.position].rstrip()
            try:
                return compile_selector(path)
            except PathSyntaxError as error:
                raise self.fault(error.reason, start + error.offset) from None
        for pattern in (_NUMBER, _WORD):
            found = pattern.match(self.text, start)
            if found:
                self.position = found.end()
                return _Constant(loads(found[0]))
        if _NAME.match(self.text, start):
            return self.call(depth + 1)
        raise self.fault("expected a 'string', number, true, false, null, path or call")

    def string(self, *, is_template: bool) -> _Constant:
        start = self.position
        end = end_of_quoted(self.text, start)
        if end < 0:
            raise self.fault("the string is not closed", start)
        body = self.text[start + 1 : end]
        for escape in _ESCAPED.finditer(body):
            if escape[1] not in "'\\{}":
                raise self.fault(f"there is no escape {escape[0]!r}", start + 1 + escape.start())
        self.position = end + 1
        # A template keeps its escapes: States.Format must tell \{ from {.
        return _Constant(body if is_template else _ESCAPED.sub(r"\1", body))

    def end_of_path(self) -> int:
        position = self.position
        while position < len(self.text) and self.text[position] not in ",)":
            character = self.text[position]
            if character in "[(":
                close = closing(self.text, position, character, "]" if character == "[" else ")")
                if close < 0:
                    raise self.fault("the bracket is not closed", position)
                position = close
            position += 1
        return position
