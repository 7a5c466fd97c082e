"""A state whose expressions tell what they gave, and may be shown other surroundings than the machine's own.

Each expression of a state is wrapped; the machine runs the state as it is. So nothing in the machine knows of
being watched, and what is told is what it really used, in the order in which it used it.
"""

import dataclasses
import random
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

from etl_runner.asl import model
from etl_runner.asl.dataflow import (
    WHOLE,
    Env,
    JsonataExpression,
    JsonataPayload,
    ReferencePath,
    Selector,
    Template,
)
from etl_runner.asl.intrinsics import IntrinsicCall
from etl_runner.jsontypes import Json

Note = Callable[[str, Json], None]
"""Takes the name of a stage and the value that it gave."""

View = Callable[[Env], Env]
"""Gives the surroundings that an expression is to see in place of the machine's."""

S = TypeVar("S")

_STAGES: Final = {"input_path": "afterInputPath", "result_selector": "afterResultSelector"}
AFTER_SELECTOR: Final = "afterResultSelector"
AFTER_RESULT_PATH: Final = "afterResultPath"


class Seen:
    """An Env with parts of its own. `None` for a part means: as the machine has it."""

    __slots__ = ("_context", "_inner", "_variables", "input")

    def __init__(
        self,
        inner: Env,
        *,
        context: Callable[[Json], Json] | None = None,
        variables: Mapping[str, Json] | None = None,
    ) -> None:
        self._inner = inner
        self._context = context
        self._variables = variables
        self.input = inner.input

    @property
    def context(self) -> Json:
        """The context object; made from the machine's own where that is wanted."""
        own = self._inner.context
        return own if self._context is None else self._context(own)

    @property
    def rng(self) -> random.Random:
        """The machine's."""
        return self._inner.rng

    @property
    def variables(self) -> Mapping[str, Json]:
        """Those given, below those that the machine has."""
        return {**(self._variables or {}), **self._inner.variables}

    @property
    def states(self) -> Mapping[str, Json]:
        """The machine's; the context is asked for where it is read."""
        return {key: value for key, value in self._inner.states.items() if key != "context"}

    @property
    def now_ms(self) -> int:
        """The machine's."""
        return self._inner.now_ms


def plain_view(env: Env) -> Env:
    """The machine's own surroundings."""
    return env


class Watch:
    """Wraps a state's expressions: they see what `view` shows them, and `note` is told what they gave."""

    def __init__(self, note: Note, view: View = plain_view) -> None:
        self.note = note
        self.view = view

    def state(self, state: S, *, stands_in: bool = False) -> S:
        """Give the state with all its expressions wrapped.

        `stands_in` marks a task in the place of a Map or Parallel, of which AWS does not show Arguments.
        """
        return cast("S", self._object(state, _stages(state, stands_in=stands_in)))

    def _object(self, value: Any, stages: Mapping[str, str]) -> Any:
        changed = {
            field.name: wrapped
            for field in dataclasses.fields(value)
            if (wrapped := self._wrapped(getattr(value, field.name), stages.get(field.name, "")))
            is not getattr(value, field.name)
        }
        if "result_path" in changed and isinstance(value, model.Catcher):
            changed["result_path"] = value.result_path  # where an error goes is no stage of the result
        return dataclasses.replace(value, **changed) if changed else value

    def _wrapped(self, value: Any, stage: str) -> Any:
        match value:
            case Selector():
                return WatchedSelector(value, self, stage)
            case JsonataExpression():
                return WatchedExpression(value, self, stage)
            case Template() | JsonataPayload() | IntrinsicCall() | Identity():
                return WatchedPayload(value, self, stage)
            case ReferencePath():
                return WatchedPlace(value, self)
            case tuple() if any(dataclasses.is_dataclass(each) for each in value):
                return tuple(self._object(each, {}) for each in value)
            case model.ItemReader() | model.ItemBatcher() | model.ResultWriter():
                return self._object(value, {})
            case _ if hasattr(value, "matches"):
                return WatchedRule(value, self, stage)
            case _:
                return value


def _stages(state: object, *, stands_in: bool) -> Mapping[str, str]:
    """The names under which AWS shows what a state's fields gave, by field."""
    if isinstance(state, model.PassState) and state.result is not None:
        return {}  # its input is not looked at
    if getattr(state, "query_language", None) is model.QueryLanguage.JSONATA:
        return {} if stands_in else {"parameters": "afterArguments"}
    return {**_STAGES, "parameters": "afterParameters"}


class WatchedSelector(Selector):
    """A path that tells what it gave."""

    __slots__ = ("_inner", "_stage", "_watch")

    def __init__(self, inner: Selector, watch: Watch, stage: str) -> None:
        super().__init__(inner.text, inner.path, of_context=inner.of_context, variable=inner.variable)
        self._inner = inner
        self._watch = watch
        self._stage = stage

    def evaluate(self, env: Env) -> Json:
        """As the path itself does."""
        value = self._inner.evaluate(self._watch.view(env))
        if self._stage:
            self._watch.note(self._stage, value)
        return value

    def source(self, env: Env) -> Json:
        """As the path itself does."""
        return self._inner.source(self._watch.view(env))

    __hash__ = Selector.__hash__

    def __eq__(self, other: object) -> bool:
        # The whole input is told from other paths by identity or equality; this one must be asked.
        return self is other


class WatchedExpression(JsonataExpression):
    """A JSONata expression that tells what it gave."""

    __slots__ = ("_inner", "_stage", "_watch")

    def __init__(self, inner: JsonataExpression, watch: Watch, stage: str) -> None:
        self.text = inner.text
        self.field = inner.field
        self._inner = inner
        self._watch = watch
        self._stage = stage

    def evaluate(self, env: Env, expected: str | None = None) -> Json:
        """As the expression itself does."""
        value = self._inner.evaluate(self._watch.view(env), expected)
        if self._stage:
            self._watch.note(self._stage, value)
        return value


class WatchedPayload:
    """A payload template, JSONata payload or call that tells what it gave."""

    __slots__ = ("_inner", "_stage", "_watch", "text")

    constant: Final = False

    def __init__(self, inner: Any, watch: Watch, stage: str) -> None:
        self._inner = inner
        self._watch = watch
        self._stage = stage
        self.text = getattr(inner, "text", "")

    def evaluate(self, env: Env, *wanted: Any, **more: Any) -> Json:
        """As the payload itself does."""
        value = self._inner.evaluate(self._watch.view(env), *wanted, **more)
        if self._stage:
            self._watch.note(self._stage, value)
        return value


class Identity:
    """Parameters that are not there: what goes in comes out."""

    __slots__ = ()

    constant: Final = False
    text: Final = "$"

    def evaluate(self, env: Env, expected: str | None = None) -> Json:  # noqa: ARG002 -- as payloads have it
        """The input."""
        return env.input


class WatchedRule:
    """A choice rule that tells whether it held."""

    __slots__ = ("_inner", "_stage", "_watch")

    def __init__(self, inner: Any, watch: Watch, stage: str) -> None:
        self._inner = inner
        self._watch = watch
        self._stage = stage

    def matches(self, env: Env) -> bool:
        """As the rule itself does."""
        holds = bool(self._inner.matches(self._watch.view(env)))
        if self._stage:
            self._watch.note(self._stage, holds)
        return holds


class WatchedPlace(ReferencePath):
    """A ResultPath that tells what it was given and what it made."""

    __slots__ = ("_inner", "_watch")

    def __init__(self, inner: ReferencePath, watch: Watch) -> None:
        super().__init__(inner.text, inner._steps)  # noqa: SLF001 -- a kind of its own of the same class
        self._inner = inner
        self._watch = watch

    def put(self, document: Json, value: Json) -> Json:
        """As the path itself does."""
        self._watch.note(AFTER_SELECTOR, value)
        made = self._inner.put(document, value)
        self._watch.note(AFTER_RESULT_PATH, made)
        return made


class Nowhere(ReferencePath):
    """A ResultPath of null: the result is dropped. A place, so that it can be watched as one."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("null", ())

    def put(self, document: Json, value: Json) -> Json:  # noqa: ARG002 -- that is the point
        """The document as it is."""
        return document


def whole() -> Selector:
    """`$`, as an object of its own: the machine does not pass over it as it does over the usual one."""
    return Selector(WHOLE.text, WHOLE.path)
