"""How data flows through a state and on to the next one.

JSONPath: InputPath -> Parameters -> work -> ResultSelector -> ResultPath (onto the raw input) -> OutputPath;
a caught error goes through the catcher's ResultPath only. Assign sees what ResultPath would place. Source:
Amazon States Language, "Data"; the order and OutputPath's absence after a catch are as AWS's recorded
histories show them.

JSONata: Arguments -> work -> Output, all of them over the raw input. In both, whatever is evaluated on the
way out sees the variables as they were at the state's entry, also those that the same Assign changes.
"""

from typing import Final

from msgspec import UNSET, UnsetType

from etl_runner.asl import model
from etl_runner.asl.dataflow import (
    WHOLE,
    Env,
    Payload,
    apply_input_path,
    apply_output_path,
)
from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps
from etl_runner.machine import facts as f
from etl_runner.machine.decision import Decision
from etl_runner.machine.state import Frame

DATA_LIMIT: Final = "States.DataLimitExceeded"
_JSONATA: Final = model.QueryLanguage.JSONATA


def is_jsonata(state: model.StateBase) -> bool:
    """Whether a state writes its expressions in JSONata."""
    return state.query_language is _JSONATA


def effective_input(decision: Decision, frame: Frame, state: model.StateBase) -> Json:
    """The frame's raw input through InputPath."""
    if state.input_path is WHOLE:
        return frame.data
    return apply_input_path(state.input_path, decision.env(frame, frame.data))


def check_size(decision: Decision, data: Json, what: str, did: str = "returned a result") -> None:
    """Raise StatesError States.DataLimitExceeded when `data` is over the payload limit as JSON.

    `what` is the state or task in AWS's sentence, `did` what it did with the data.
    """
    if isinstance(data, str | list | dict) and len(dumps(data)) > decision.limits.payload_bytes:
        raise StatesError(
            DATA_LIMIT,
            f"The state/task '{what}' {did} with a size exceeding the maximum number of bytes service limit.",
        )


def assigned(
    decision: Decision, frame: Frame, assign: Payload | None, env: Env
) -> dict[str, Json] | UnsetType:
    """What an Assign of the frame's state gives: a value for each variable; UNSET when there is none.

    Raises StatesError when an expression fails, or States.DataLimitExceeded when the values are too large.
    """
    if assign is None:
        return UNSET
    values: dict[str, Json] = assign.evaluate(env)
    if not values:
        return UNSET
    limits = decision.limits
    total = 0
    for name, value in values.items():
        size = len(dumps(value))
        total += size
        if size > limits.variable_bytes:
            raise StatesError(
                DATA_LIMIT,
                f"The variable '{name}' was assigned a value with {size} bytes; a variable may have at most "
                f"{limits.variable_bytes}.",
            )
    if total > limits.assign_bytes:
        raise StatesError(
            DATA_LIMIT,
            f"The Assign field gives variables with {total} bytes together; it may give at most "
            f"{limits.assign_bytes}.",
        )
    _check_total(decision, frame, values, total)
    return values


def _check_total(decision: Decision, frame: Frame, values: dict[str, Json], more: int) -> None:
    """Hold all variables of the execution to their limit; counted only once so much was ever assigned."""
    most = decision.limits.variables_bytes
    machine = decision.machine
    if machine.assigned_bytes + more <= most:
        return
    total = more
    for holder in machine.frames.values():
        replaced = values if holder is frame else {}
        total += sum(len(dumps(v)) for name, v in (holder.variables or {}).items() if name not in replaced)
    if total > most:
        raise StatesError(
            DATA_LIMIT,
            f"The variables of the execution would have {total} bytes; at most {most} are allowed.",
        )


def leave(
    decision: Decision,
    frame: Frame,
    output: Json,
    to: str | None,
    variables: dict[str, Json] | UnsetType = UNSET,
) -> None:
    """Leave the frame's state with `output`, for the state `to` or, with None, for the end of the scope.

    `variables` are given their values with it.
    """
    if output is frame.data:
        output = UNSET
    else:
        assert frame.state is not None
        check_size(decision, output, frame.state)
    decision.emit(f.StateExited(frame=frame.id, output=output, assigned=variables))
    decision.ready.append((frame.id, to))


def conclude(
    decision: Decision,
    frame: Frame,
    env: Env,
    default: Json,
    *,
    output: Payload | None,
    assign: Payload | None,
    to: str | None,
) -> None:
    """Leave a JSONata state with what its Output gives, or with `default`."""
    variables = assigned(decision, frame, assign, env)
    leave(decision, frame, default if output is None else output.evaluate(env), to, variables)


def pass_on(decision: Decision, frame: Frame, state: model.PassState | model.WorkState, result: Json) -> None:
    """Put a result where ResultPath says, take of it what OutputPath says, and leave."""
    assign, path = state.assign, state.result_path
    variables = UNSET if assign is None else assigned(decision, frame, assign, decision.env(frame, result))
    output = frame.data if path is None else path.put(frame.data, result)
    if state.output_path is not WHOLE:
        output = apply_output_path(state.output_path, decision.env(frame, output))
    leave(decision, frame, output, state.next, variables)


def pass_through(decision: Decision, frame: Frame, state: model.StateBase, to: str | None) -> None:
    """Leave a state that has no result of its own (Choice by Default, Wait, Succeed)."""
    if is_jsonata(state):
        env = decision.env(frame, frame.data)
        conclude(decision, frame, env, frame.data, output=state.output, assign=state.assign, to=to)
        return
    data = effective_input(decision, frame, state)
    leave_with(decision, frame, state, data, assign=state.assign, to=to)


def leave_with(
    decision: Decision,
    frame: Frame,
    state: model.StateBase,
    data: Json,
    *,
    assign: Payload | None,
    to: str | None,
) -> None:
    """Leave a JSONPath state that gives on its effective input `data`, through OutputPath."""
    if assign is None and state.output_path is WHOLE:
        leave(decision, frame, data, to)
        return
    env = decision.env(frame, data)
    variables = assigned(decision, frame, assign, env)
    output = data if state.output_path is WHOLE else apply_output_path(state.output_path, env)
    leave(decision, frame, output, to, variables)


def finish_work(decision: Decision, frame: Frame, state: model.WorkState, result: Json) -> None:
    """The work of a Task, Parallel or Map is done: select, place, leave."""
    if is_jsonata(state):
        env = decision.env(frame, frame.data, result=result)
        conclude(decision, frame, env, result, output=state.output, assign=state.assign, to=state.next)
        return
    if state.result_selector is not None:
        result = state.result_selector.evaluate(decision.env(frame, result))
    pass_on(decision, frame, state, result)
