"""How a state's data moves: paths, reference paths, expressions and payload templates.

JSON values are never changed in place anywhere in the project: that is why a template may hand out the
constant parts of a definition, and `$` the input itself, without copying them.
"""

from typing import Final, TypeAlias

from etl_runner.asl.filling import Maker, filling
from etl_runner.asl.intrinsics import IntrinsicCall, compile_call
from etl_runner.asl.java_order import in_java_order
from etl_runner.asl.jsonata import JsonataExpression, JsonataPayload
from etl_runner.asl.jsonpath import PathNotFound, PathSyntaxError
from etl_runner.asl.reference import ReferencePath, compile_reference_path
from etl_runner.asl.selector import WHOLE, Env, Selector, compile_selector
from etl_runner.errors import InvalidInput, StatesError
from etl_runner.jsontypes import Json, dumps_text

__all__ = [
    "WHOLE",
    "Env",
    "Expression",
    "JsonataExpression",
    "JsonataPayload",
    "PathNotFound",
    "Payload",
    "ReferencePath",
    "Selector",
    "Template",
    "apply_input_path",
    "apply_output_path",
    "compile_expression",
    "compile_reference_path",
    "compile_selector",
    "compile_template",
    "field_not_found",
    "invalid_path",
]

Expression: TypeAlias = Selector | IntrinsicCall
"""Anything with `.text` and `.evaluate(env)`."""

_SUFFIX: Final = ".$"
_NESTING_LIMIT: Final = 200
"""How deep a template may be; keeps a hostile definition off the stack's end."""


def compile_expression(text: str) -> Expression:
    """Compile a path (`$...`, `$$...`) or a call (`States.Name(...)`).

    Raises PathSyntaxError (an InvalidInput) with the offset at fault.
    """
    if text.startswith("$"):
        return compile_selector(text)
    if text.startswith("States."):
        return compile_call(text)
    raise PathSyntaxError("expected a path ('$...', '$$...') or a call ('States.Name(...)')", text, 0)


def field_not_found(expression: Selector, field: str, env: Env) -> str:
    """AWS's sentence for a path of a named field that leads nowhere."""
    return (
        f"The JSONPath '{expression.text}' specified for the field '{field}' "
        f"could not be found in the input '{dumps_text(expression.source(env))}'"
    )


def invalid_path(selector: Selector, error: PathNotFound) -> StatesError:
    """AWS's error for InputPath, OutputPath and the `*Path` fields when they lead nowhere."""
    return StatesError("States.Runtime", f"Invalid path '{selector.text}' : {error}")


def apply_input_path(selector: Selector | None, env: Env) -> Json:
    """Give what InputPath leaves of `env.input`; None is ASL's null and gives {}.

    Raises StatesError States.Runtime when the path leads nowhere.
    """
    if selector is None:
        return {}
    try:
        return selector.evaluate(env)
    except PathNotFound as error:
        raise invalid_path(selector, error) from None


apply_output_path: Final = apply_input_path
"""OutputPath follows the same rule, over the output."""


class Template:
    """A compiled payload template."""

    __slots__ = ("_make", "_value", "expressions")

    def __init__(self, value: Json, make: Maker | None, expressions: tuple[Expression, ...] = ()) -> None:
        self._value = value
        self._make = make
        self.expressions = expressions

    @property
    def constant(self) -> bool:
        """Whether it has no `.$` field, so that every evaluation gives the same object."""
        return self._make is None

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables that it reads, some perhaps more than once."""
        return tuple(name for expression in self.expressions for name in expression.variables)

    def evaluate(self, env: Env) -> Json:
        """Fill in the `name.$` fields.

        Raises StatesError States.Runtime when a path leads nowhere or a call fails: the names that AWS's
        guide has for it (States.ParameterPathFailure, States.IntrinsicFailure) are not what AWS answers.
        """
        return self._value if self._make is None else self._make(env)


Payload: TypeAlias = Template | JsonataPayload
"""What Parameters, Arguments, ItemSelector, Output, Assign ... hold: `.evaluate(env)` and `.constant`."""


def compile_template(value: Json) -> Template:
    """Compile a payload template (Parameters, ResultSelector, ItemSelector ...).

    In every object, however deep, a field `name.$` must hold a path or a call, and becomes `name` with what
    that gives. Raises InvalidInput naming the field at fault.
    """
    found: list[Expression] = []
    make = _compile(value, "", 0, found)
    return Template(value, make, tuple(found))


def _compile(value: Json, place: str, depth: int, found: list[Expression]) -> Maker | None:
    if not isinstance(value, dict | list):
        return None
    if depth > _NESTING_LIMIT:
        raise InvalidInput(f"the template stands more than {_NESTING_LIMIT} deep at {place[:60]!r}...")
    if isinstance(value, dict):
        return _compile_object(value, place, depth, found)
    return _compile_list(value, place, depth, found)


def _compile_object(value: dict[str, Json], place: str, depth: int, found: list[Expression]) -> Maker | None:
    fixed: dict[str, Json] = {}
    computed: dict[str, Json] = {}
    makers: list[tuple[str, Maker]] = []
    for key, item in value.items():
        where = f"{place}/{key}"
        by_path = key.endswith(_SUFFIX)
        maker = (
            _compile_field(key, item, where, found) if by_path else _compile(item, where, depth + 1, found)
        )
        name = key.removesuffix(_SUFFIX)
        if name in fixed or name in computed:
            raise InvalidInput(f"the field {where!r} gives {name!r} a second time; keep one of the two")
        (computed if by_path else fixed)[name] = item  # holds the place of what is made
        if maker is not None:
            makers.append((name, maker))
    if not makers:
        return None
    # As AWS orders them, so that texts made of the object are the same.
    return filling(fixed | {name: computed[name] for name in in_java_order(list(computed))}, makers)


def _compile_list(value: list[Json], place: str, depth: int, found: list[Expression]) -> Maker | None:
    compiled = [_compile(item, f"{place}/{index}", depth + 1, found) for index, item in enumerate(value)]
    makers = [(index, maker) for index, maker in enumerate(compiled) if maker is not None]
    return filling(value, makers) if makers else None


def _compile_field(key: str, value: Json, where: str, found: list[Expression]) -> Maker:
    if not isinstance(value, str):
        raise InvalidInput(
            f"the field {where!r} ends with '.$', so it must hold a path or an intrinsic call as a string; "
            f"found {dumps_text(value)[:100]}"
        )
    try:
        expression = compile_expression(value)
    except InvalidInput as error:
        raise InvalidInput(f"the field {where!r}: {error}") from None
    found.append(expression)
    if isinstance(expression, IntrinsicCall):
        return expression.evaluate

    def make(env: Env) -> Json:
        try:
            return expression.evaluate(env)
        except PathNotFound:
            if not expression.definite:
                return []  # AWS: a slice or wildcard of what is not there is empty
            raise StatesError("States.Runtime", field_not_found(expression, key, env)) from None

    return make
