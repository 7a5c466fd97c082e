"""Pass, Choice, Succeed and Fail: states that are done as soon as they are entered."""

from etl_runner.asl import model
from etl_runner.asl.dataflow import (
    WHOLE,
    Expression,
    PathNotFound,
    Selector,
    apply_output_path,
    field_not_found,
)
from etl_runner.errors import RUNTIME, StatesError
from etl_runner.machine.decision import Decision
from etl_runner.machine.failure import fail_state
from etl_runner.machine.flow import effective_input, leave, pass_on
from etl_runner.machine.state import Frame


def enter_pass(decision: Decision, frame: Frame, state: model.PassState) -> None:
    """Result wins over Parameters, Parameters over the input."""
    data = effective_input(decision, frame, state)
    if state.result is not None:
        result = state.result[0]
    elif state.parameters is not None:
        result = state.parameters.evaluate(decision.env(frame, data))
    else:
        result = data
    pass_on(
        decision, frame, result, result_path=state.result_path, output_path=state.output_path, to=state.next
    )


def enter_choice(decision: Decision, frame: Frame, state: model.ChoiceState) -> None:
    """Go where the first rule that holds leads."""
    data = effective_input(decision, frame, state)
    env = decision.env(frame, data)
    chosen = next((branch.next for branch in state.choices if branch.rule.matches(env)), state.default)
    if chosen is None:
        raise StatesError(
            "States.NoChoiceMatched", "No choice rule holds and the Choice state has no Default."
        )
    output = data if state.output_path is WHOLE else apply_output_path(state.output_path, env)
    leave(decision, frame, output, chosen)


def enter_succeed(decision: Decision, frame: Frame, state: model.SucceedState) -> None:
    """End the scope with what InputPath and OutputPath leave of the input."""
    data = effective_input(decision, frame, state)
    if state.output_path is not WHOLE:
        data = apply_output_path(state.output_path, decision.env(frame, data))
    leave(decision, frame, data, None)


def enter_fail(decision: Decision, frame: Frame, state: model.FailState) -> None:
    """Fail with the error and cause given, or found by ErrorPath and CausePath."""
    error = _text(decision, frame, state.error, "ErrorPath")
    cause = _text(decision, frame, state.cause, "CausePath")
    fail_state(decision, frame, error, cause)


def _text(decision: Decision, frame: Frame, value: str | Expression | None, field: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    env = decision.env(frame, frame.data)
    try:
        found = value.evaluate(env)
    except PathNotFound as miss:
        assert isinstance(value, Selector)
        raise StatesError(RUNTIME, field_not_found(value, field, env)) from miss
    if not isinstance(found, str):
        raise StatesError(
            RUNTIME, f"The {field} '{value.text}' must give a string, but gave {type(found).__name__}."
        )
    return found
