"""JSONata expressions, as AWS runs them: text in, compiled expression out. The library stands behind here.

The root of an expression is undefined: everything is in `$states` and in variables. Two forms serve this.
An expression that never looks at its root (nearly all) is evaluated with `$states` as its *input*, which the
library reads only as far as it is asked for; any other with `$states` as a binding, which is converted
whole. A plain way such as `$states.input.order.id` is walked without the library, so that numbers pass
through it as they are: within the library they are doubles.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import jlens

from etl_runner.asl.filling import Maker, filling
from etl_runner.asl.jsonata_functions import FIXED, NAMES, WRITTEN, FunctionFailed, drawing
from etl_runner.asl.selector import Env
from etl_runner.errors import InvalidInput, QueryEvaluationError
from etl_runner.jsontypes import Json, dumps_text

__all__ = [
    "CLOSING",
    "OPENING",
    "JsonataExpression",
    "JsonataPayload",
    "JsonataSyntaxError",
    "compile_jsonata",
    "compile_jsonata_payload",
    "is_jsonata",
]

OPENING: Final = "{%"
CLOSING: Final = "%}"

TIMEOUT_S: Final = 1.0
"""How long one evaluation may take."""

MAX_ARRAY_ITEMS: Final = 1_000_000
MAX_STRING_BYTES: Final = 16 * 1024 * 1024
MAX_RESULT_BYTES: Final = 64 * 1024 * 1024
"""Far above any payload, below what endangers the service."""

_NESTING_LIMIT: Final = 200
_SHOWN: Final = 200

_UNDEFINED: Final[Any] = object()
_UNPLAIN: Final[Any] = object()

_PLAIN: Final = re.compile(r"\$([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*)*)", re.ASCII)
_DRAWS: Final = re.compile(r"\$(?:random|uuid)\b")
_SHUFFLES: Final = re.compile(r"\$shuffle\b")
_WRITTEN: Final = re.compile(r"\$(parse|range)\b")
_NAMED: Final = re.compile(r"\$(\w+)")
_EVALUATES: Final = re.compile(r"\$eval\b")
_CONTEXT: Final = re.compile(r"\$\$|\$(?![A-Za-z_])")
"""`$` and `$$`, which are the root, or what an expression is at."""

_WORDS: Final = frozenset({"and", "or", "in", "true", "false", "null"})

_LIMITS: Final[Mapping[str, Any]] = {
    "timeout": TIMEOUT_S,
    "max_array_length": MAX_ARRAY_ITEMS,
    "max_string_length": MAX_STRING_BYTES,
    "max_result_size": MAX_RESULT_BYTES,
}


class JsonataSyntaxError(InvalidInput):
    """A text that is no JSONata expression. `offset` is the place in it, `reason` what is wrong there."""

    def __init__(self, reason: str, text: str, offset: int) -> None:
        self.reason = reason
        self.text = text
        self.offset = offset
        super().__init__(f"the JSONata expression {self.shown} cannot be read at offset {offset}: {reason}")

    @property
    def shown(self) -> str:
        """The text as a message shows it: of a long one only what is around the offset."""
        if len(self.text) <= _SHOWN:
            return repr(self.text)
        start = max(self.offset - _SHOWN // 2, 0)
        return f"{'...' if start else ''}{self.text[start : start + _SHOWN]!r}..."


class JsonataExpression:
    """A compiled expression. `text` is without `{% %}`, `field` as messages name it ("Output/total")."""

    __slots__ = ("_query", "field", "text")

    def __init__(self, query: "_Query", field: str) -> None:
        self.text = query.text
        self.field = field
        self._query = query

    @property
    def variables(self) -> tuple[str, ...]:
        """The names that it reads and does not make itself, sorted: variables, and functions not known."""
        return self._query.names

    @property
    def reads(self) -> frozenset[str]:
        """The fields of `$states` that it names; none for one that takes `$states` as a whole."""
        return self._query.states_named

    @property
    def roots(self) -> tuple[str, ...]:
        """The names that it looks up at its root, where nothing is; sorted. `$` and `$$` are not followed."""
        return self._query.roots

    def evaluate(self, env: Env, expected: str | None = None) -> Json:
        """Give the value.

        `expected` is the type that the field takes: "array", "number", "string", "boolean", "object", or
        None for any. Raises QueryEvaluationError with AWS's sentence, `location` being the field.
        """
        try:
            value = self._query.evaluate(env)
        except jlens.JlensError as error:
            raise self._threw(f"{error.code}: {error}") from None
        except FunctionFailed as error:
            raise self._threw(str(error)) from None
        if value is _UNDEFINED:
            if self._query.gives_function(env):
                raise self._failed("returned an unsupported result type.")
            raise self._failed("returned nothing (undefined).")
        if expected is not None and (found := type_of(value)) != expected:
            raise self._failed(
                f"returned an unexpected result type. Expected '{expected}', but was '{found}' "
                f"for value: {dumps_text(value)}"
            )
        return value

    def _threw(self, what: str) -> QueryEvaluationError:
        return self._failed(f"threw an error during evaluation. {what}")

    def _failed(self, what: str) -> QueryEvaluationError:
        cause = f"The JSONata expression '{self.text}' specified for the field '{self.field}' {what}"
        return QueryEvaluationError(cause, self.field)

    def __repr__(self) -> str:
        return f"JsonataExpression({self.text!r}, {self.field!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonataExpression) and (other.text, other.field) == (self.text, self.field)

    def __hash__(self) -> int:
        return hash((self.text, self.field))


class _Query:
    """What a text compiles to, whatever field it stands in."""

    __slots__ = (
        "_draws",
        "_engine",
        "_evaluates",
        "_path",
        "_shuffles",
        "_use_input",
        "names",
        "roots",
        "states_named",
        "states_read",
        "text",
    )

    def __init__(self, text: str) -> None:
        self.text = text
        reads = _reads(text)
        bindings = dict(reads["bindings"])
        states = bindings.pop("states", {})
        self.states_named = frozenset() if states is True else frozenset(states)
        self.states_read = _STATES if states is True else self.states_named
        self.names = tuple(sorted(name for name in bindings if name not in NAMES))
        root = reads.get("input")
        named = isinstance(root, dict) and _CONTEXT.search(text) is None
        self.roots = tuple(sorted(root)) if named else ()
        self._path = _plain_path(text)
        self._use_input = "input" not in reads
        self._draws = _DRAWS.search(text) is not None
        self._evaluates = _EVALUATES.search(text) is not None
        self._shuffles = _SHUFFLES.search(text) is not None
        self._engine = _engine(self._wrapped('{"r":(%s)}'))

    def evaluate(self, env: Env) -> Json:
        """Give the value, _UNDEFINED for none. Raises JlensError and FunctionFailed."""
        if self._path is not None:
            value = self._walk(env)
            if value is not _UNPLAIN:
                return value
        result = self._run(self._engine, env)
        return result.get("r", _UNDEFINED)

    def gives_function(self, env: Env) -> bool:
        """Whether what seems undefined is a function, which JSON has no form for."""
        asking = _engine(self._wrapped('{"r":$type((%s))}'))
        return bool(self._run(asking, env).get("r") == "function")

    def _wrapped(self, form: str) -> str:
        before = "".join(WRITTEN[name] for name in sorted(set(_WRITTEN.findall(self.text))))
        if self._use_input:
            before = f"$states:=$;{before}"
        # The text was read as a whole already, so nothing in it can close what opens here.
        return f"({before}{form % self.text})"

    def _walk(self, env: Env) -> Json:
        assert self._path is not None
        root, names = self._path
        value: Json = self._states(env) if root == "states" else env.variables.get(root, _UNDEFINED)
        for name in names:
            if value.__class__ is dict:
                value = value.get(name, _UNDEFINED)
            elif value.__class__ is list:
                return _UNPLAIN  # a way through an array takes each of its elements
            else:
                return _UNDEFINED
        return value

    def _states(self, env: Env) -> dict[str, Json]:
        """Give the fields of `$states` that the expression reads: the context only if it does."""
        states = env.states
        if "context" in self.states_read and "context" not in states:
            first = {"input": states["input"]} if "input" in states else {}
            return {**first, "context": env.context, **states}  # in the order that AWS shows
        return states if isinstance(states, dict) else dict(states)

    def _run(self, engine: jlens.Expression, env: Env) -> dict[str, Json]:
        bindings: dict[str, Any] = {}
        if self.names:
            variables = env.variables
            bindings = {name: variables[name] for name in self.names if name in variables}
        if self._evaluates:
            bindings["eval"] = None  # hides JSONata's own function, which AWS does not have
        if self._draws:
            bindings.update(drawing(env.rng))
        given: Json = None
        if self._use_input:
            given = self._states(env) if self.states_read else {}
        elif self.states_read:
            states = self._states(env)
            bindings["states"] = {name: states[name] for name in self.states_read if name in states}
        seed = env.rng.getrandbits(53) if self._shuffles else None
        result: dict[str, Json] = engine.evaluate(given, bindings, now=env.now_ms, seed=seed, **_LIMITS)
        return result


_STATES: Final = frozenset({"input", "context", "result", "errorOutput"})


def _reads(text: str) -> Any:
    """Tell what an expression reads. Raises JsonataSyntaxError."""
    try:
        expression = jlens.Expression(text)
        ours = NAMES.intersection(_NAMED.findall(text))  # to name them all would take ten times as long
        return expression.reads(dict.fromkeys(ours, _any_function))
    except jlens.JlensError as error:
        reason = f"{error.code}: {error}"
        raise JsonataSyntaxError(reason, text, error.start or 0) from None


def _any_function(*_arguments: Json) -> None:
    """Stands for a function that reads its arguments only."""


def _engine(text: str) -> jlens.Expression:
    expression = jlens.Expression(text)
    for name, (function, signature) in FIXED.items():
        expression.register_function(name, function, signature)
    return expression


def _plain_path(text: str) -> tuple[str, tuple[str, ...]] | None:
    found = _PLAIN.fullmatch(text)
    if found is None:
        return None
    names = tuple(found[2].split(".")[1:])
    return None if _WORDS.intersection(names) else (found[1], names)


@lru_cache(maxsize=4096)
def _query(text: str) -> _Query:
    return _Query(text)


def compile_jsonata(text: str, field: str) -> JsonataExpression:
    """Compile an expression (without its `{% %}`) for a field; the last 4096 texts are kept.

    Raises JsonataSyntaxError with the offset in the text.
    """
    return JsonataExpression(_query(text.strip()), field)


def type_of(value: Json) -> str:
    """Name a value's type as AWS's messages do."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def is_jsonata(value: Json) -> bool:
    """Whether a value is a string that is an expression: `{% ... %}` and nothing around it."""
    return (
        isinstance(value, str)
        and len(value) >= len(OPENING) + len(CLOSING)
        and value.startswith(OPENING)
        and value.endswith(CLOSING)
    )


class JsonataPayload:
    """A JSON value with `{% %}` strings anywhere in it, compiled."""

    __slots__ = ("_expression", "_make", "_value", "expressions", "field")

    def __init__(self, value: Json, field: str) -> None:
        self.field = field
        self.expressions: tuple[JsonataExpression, ...] = ()
        found: list[JsonataExpression] = []
        self._value = value
        self._make = _compile(value, field, found, 0)
        self.expressions = tuple(found)
        self._expression = found[0] if isinstance(value, str) and found else None

    @property
    def constant(self) -> bool:
        """Whether it has no expression, so that every evaluation gives the same object."""
        return self._make is None

    @property
    def variables(self) -> tuple[str, ...]:
        """The names that it reads, some perhaps more than once; see JsonataExpression."""
        return tuple(name for expression in self.expressions for name in expression.variables)

    def evaluate(self, env: Env, expected: str | None = None) -> Json:
        """Give the value with its expressions filled in.

        `expected` names the type that the whole has to have, see JsonataExpression. Raises
        QueryEvaluationError, also for a literal of another type.
        """
        if self._expression is not None:
            return self._expression.evaluate(env, expected)
        value = self._value if self._make is None else self._make(env)
        if expected is not None and (found := type_of(value)) != expected:
            cause = (
                f"The field '{self.field}' has an unexpected type. Expected '{expected}', but was '{found}' "
                f"for value: {dumps_text(value)}"
            )
            raise QueryEvaluationError(cause, self.field)
        return value


def compile_jsonata_payload(value: Json, field: str) -> JsonataPayload:
    """Compile a payload (Arguments, Output, Assign ...) for a field.

    Raises InvalidInput: JsonataSyntaxError for an expression, or for a payload that is too deep.
    """
    return JsonataPayload(value, field)


def _compile(value: Json, field: str, found: list[JsonataExpression], depth: int) -> Maker | None:
    if is_jsonata(value):
        expression = compile_jsonata(value[len(OPENING) : -len(CLOSING)], field)
        found.append(expression)
        return expression.evaluate
    if not isinstance(value, dict | list):
        return None
    if depth > _NESTING_LIMIT:
        raise InvalidInput(f"the payload stands more than {_NESTING_LIMIT} deep at {field[:60]!r}...")
    makers = [
        (key, maker)
        for key, where, item in _inside(value, field)
        if (maker := _compile(item, where, found, depth + 1)) is not None
    ]
    return filling(value, makers) if makers else None


def _inside(value: Json, field: str) -> Iterator[tuple[Any, str, Json]]:
    """Give what is inside an object or array: key, name in messages, value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, f"{field}/{key}", item
    else:
        for index, item in enumerate(value):
            yield index, f"{field}[{index}]", item
