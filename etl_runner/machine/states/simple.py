"""Pass, Choice, Succeed and Fail: states that are done as soon as they are entered."""

from etl_runner.asl import model
from etl_runner.asl.dataflow import (
    Env,
    Expression,
    JsonataExpression,
    PathNotFound,
    Selector,
    field_not_found,
)
from etl_runner.errors import RUNTIME, StatesError
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.machine.decision import Decision
from etl_runner.machine.failure import fail_state
from etl_runner.machine.flow import (
    conclude,
    effective_input,
    is_jsonata,
    leave_with,
    pass_on,
    pass_through,
)
from etl_runner.machine.state import Frame


def enter_pass(decision: Decision, frame: Frame, state: model.PassState) -> None:
    """Result wins over Parameters, Parameters over the input. In JSONata only Output says what comes out."""
    if is_jsonata(state):
        pass_through(decision, frame, state, state.next)
        return
    data = effective_input(decision, frame, state)
    if state.result is not None:
        result = state.result[0]
    elif state.parameters is not None:
        result = state.parameters.evaluate(decision.env(frame, data))
    else:
        result = data
    pass_on(decision, frame, state, result)


def enter_choice(decision: Decision, frame: Frame, state: model.ChoiceState) -> None:
    """Go where the first rule that holds leads, with that rule's Assign and Output; else with the state's."""
    jsonata = is_jsonata(state)
    data = effective_input(decision, frame, state)
    env = decision.env(frame, data)
    chosen = next((branch for branch in state.choices if _holds(branch, env)), None)
    if chosen is None:
        if state.default is None:
            raise StatesError(
                "States.NoChoiceMatched",
                "Failed to transition out of the state. The state does not point to a next state.",
            )
        pass_through(decision, frame, state, state.default)
    elif jsonata:
        conclude(decision, frame, env, data, output=chosen.output, assign=chosen.assign, to=chosen.next)
    else:
        leave_with(decision, frame, state, data, assign=chosen.assign, to=chosen.next)


def _holds(branch: model.ChoiceBranch, env: Env) -> bool:
    rule = branch.rule
    if isinstance(rule, bool):
        return rule
    if isinstance(rule, JsonataExpression):
        return rule.evaluate(env, "boolean") is True
    return rule.matches(env)


def enter_succeed(decision: Decision, frame: Frame, state: model.SucceedState) -> None:
    """End the scope with what InputPath and OutputPath, or Output, leave of the input."""
    pass_through(decision, frame, state, None)


def enter_fail(decision: Decision, frame: Frame, state: model.FailState) -> None:
    """Fail with the error and cause given, found by ErrorPath and CausePath, or told by JSONata."""
    error = _text(decision, frame, state.error, "ErrorPath")
    cause = _text(decision, frame, state.cause, "CausePath")
    fail_state(decision, frame, error, cause)


def _text(
    decision: Decision, frame: Frame, value: str | Expression | JsonataExpression | None, field: str
) -> str | None:
    if value is None or isinstance(value, str):
        return value
    env = decision.env(frame, frame.data)
    found: Json
    if isinstance(value, JsonataExpression):
        found = value.evaluate(env, "string")
        assert isinstance(found, str)
        return found
    try:
        found = value.evaluate(env)
    except PathNotFound as miss:
        assert isinstance(value, Selector)
        raise StatesError(RUNTIME, field_not_found(value, field, env)) from miss
    if not isinstance(found, str):
        raise StatesError(
            RUNTIME, f"The {field} '{value.text}' must give a string, but gave {dumps_text(found)}."
        )
    return found
