"""How data flows through a state and on to the next one.

Data: InputPath -> Parameters -> work -> ResultSelector -> ResultPath (onto the raw input) -> OutputPath.
A caught error goes through the catcher's ResultPath only. Source: Amazon States Language, "Data"; the order
and OutputPath's absence after a catch are as AWS's recorded histories show them.
"""

from typing import Final

from etl_runner.asl import model
from etl_runner.asl.dataflow import WHOLE, ReferencePath, Selector, apply_input_path, apply_output_path
from etl_runner.errors import StatesError
from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES, Json, dumps
from etl_runner.machine import facts as f
from etl_runner.machine.decision import Decision
from etl_runner.machine.state import Frame

DATA_LIMIT: Final = "States.DataLimitExceeded"


def effective_input(decision: Decision, frame: Frame, state: model.StateBase) -> Json:
    """The frame's raw input through InputPath."""
    if state.input_path is WHOLE:
        return frame.data
    return apply_input_path(state.input_path, decision.env(frame, frame.data))


def check_size(output: Json, what: str) -> None:
    """Raise StatesError States.DataLimitExceeded when `output` is over 262,144 bytes as JSON."""
    if isinstance(output, str | list | dict) and len(dumps(output)) > PAYLOAD_LIMIT_BYTES:
        raise StatesError(
            DATA_LIMIT,
            f"The state/task '{what}' returned a result with a size exceeding the maximum number of bytes "
            "service limit.",
        )


def leave(decision: Decision, frame: Frame, output: Json, to: str | None) -> None:
    """Leave the frame's state with `output`, for the state `to` or, with None, for the end of the scope."""
    assert frame.state is not None
    if output is frame.data:
        decision.emit(f.StateExited(frame=frame.id))
    else:
        check_size(output, frame.state)
        decision.emit(f.StateExited(frame=frame.id, output=output))
    decision.ready.append((frame.id, to))


def pass_on(
    decision: Decision,
    frame: Frame,
    result: Json,
    *,
    result_path: ReferencePath | None,
    output_path: Selector | None,
    to: str | None,
) -> None:
    """Put a result where ResultPath says, take of it what OutputPath says, and leave."""
    output = frame.data if result_path is None else result_path.put(frame.data, result)
    if output_path is not WHOLE:
        output = apply_output_path(output_path, decision.env(frame, output))
    leave(decision, frame, output, to)


def finish_work(decision: Decision, frame: Frame, state: model.WorkState, result: Json) -> None:
    """The work of a Task, Parallel or Map is done: select, place, leave."""
    if state.result_selector is not None:
        result = state.result_selector.evaluate(decision.env(frame, result))
    pass_on(
        decision,
        frame,
        result,
        result_path=state.result_path,
        output_path=state.output_path,
        to=state.next,
    )
