"""How errors flow: retries, catches, and on to the state that owns the branch, up to the execution."""

import math
from collections.abc import Sequence
from typing import Final

from msgspec import UnsetType

from etl_runner.asl import model
from etl_runner.errors import RUNTIME, QueryEvaluationError, StatesError
from etl_runner.jsontypes import Json
from etl_runner.machine import facts as f
from etl_runner.machine.decision import Decision
from etl_runner.machine.flow import DATA_LIMIT, assigned, check_size, is_jsonata, leave
from etl_runner.machine.state import ROOT, Frame, Group, OpenMapRun

TIMEOUT: Final = "States.Timeout"
HEARTBEAT_TIMEOUT: Final = "States.HeartbeatTimeout"


def fail_evaluation(
    decision: Decision, frame: Frame, error: StatesError, *, before_work: bool = False
) -> None:
    """An expression of the frame's state failed; AWS's cause says where.

    `before_work` says that the state had not come to its work yet: a Parallel or Map fails as such then.
    """
    cause = _located(frame, error)
    if isinstance(error, QueryEvaluationError):
        _show_evaluation(decision, frame, cause, error.location)
    unopened = before_work and isinstance(error, QueryEvaluationError)
    fail_state(decision, frame, error.error, cause, evaluation=True, unopened=unopened)


def _located(frame: Frame, error: StatesError) -> str:
    if error.error == DATA_LIMIT:
        return error.cause
    return (
        f"An error occurred while executing the state '{frame.state}' "
        f"(entered at the event id #{frame.entered_event}). {error.cause}"
    )


def _show_evaluation(decision: Decision, frame: Frame, cause: str, location: str | None) -> None:
    """What was open below the state goes first, so that the error is the last thing in its way."""
    revoke_below(decision, frame)
    decision.emit(f.StateEvaluationFailed(frame=frame.id, cause=cause, location=location))


def fail_state(
    decision: Decision,
    frame: Frame,
    error: str | None,
    cause: str | None,
    *,
    names: Sequence[str] = (),
    evaluation: bool = False,
    unopened: bool = False,
    absent: str | None = "",
) -> None:
    """The work of the frame's state failed: retry it, catch it, or pass the error on.

    `names` are the names that Retry and Catch may match when they are more than `error` alone. `unopened`
    says that a Parallel or Map failed before it opened its group. `absent` is what a catcher's error output
    shows for an error or cause that is None: AWS shows null for a task whose answer had none, and an empty
    string otherwise.
    """
    state = decision.state_of(frame)
    matched = tuple(names) or (error or "",)
    revoke_below(decision, frame, quiet=RUNTIME in matched)
    if isinstance(state, model.WorkState):
        if _retried(decision, frame, state, matched, error, cause):
            return
        if RUNTIME not in matched:
            _close_group(decision, frame, state, error, cause, unopened=unopened)
        catcher = next((c for c in state.catch if matches(c.error_equals, matched)), None)
        if catcher is not None:
            failed = f.StateFailed(
                frame=frame.id, error=error, cause=cause, caught=True, evaluation=evaluation
            )
            failure = _catch(decision, frame, state, catcher, failed, absent)
            if failure is None:
                return
            error, cause, evaluation = failure.error, _located(frame, failure), True
    decision.emit(f.StateFailed(frame=frame.id, error=error, cause=cause, evaluation=evaluation))
    _fail_frame(decision, frame, error, cause, absent)


def matches(error_equals: Sequence[str], names: Sequence[str]) -> bool:
    """Whether Retry's or Catch's ErrorEquals takes an error.

    States.Runtime is never taken. States.TaskFailed takes all but timeouts; States.ALL takes the rest.
    Source: developer guide, "Handling errors in Step Functions workflows".
    """
    if RUNTIME in names:
        return False
    for wanted in error_equals:
        if wanted == "States.ALL" or wanted in names:
            return True
        if wanted == "States.TaskFailed" and TIMEOUT not in names:
            return True
    return False


def _retried(
    decision: Decision,
    frame: Frame,
    state: model.WorkState,
    names: Sequence[str],
    error: str | None,
    cause: str | None,
) -> bool:
    for place, retrier in enumerate(state.retry):
        if not matches(retrier.error_equals, names):
            continue
        count = frame.retries.get(place, 0)
        if count >= retrier.max_attempts:
            return False
        decision.emit(
            f.RetryScheduled(
                frame=frame.id,
                token=decision.machine.next_token,
                retrier=place,
                until_ms=decision.now_ms + retry_delay_ms(decision, retrier, count),
                error=error,
                cause=cause,
            )
        )
        return True
    return False


def retry_delay_ms(decision: Decision, retrier: model.Retrier, count: int) -> int:
    """How long to wait before retry number `count` + 1, jitter drawn; at most a century, lest it overflow."""
    delay_s = min(retrier.interval_seconds * math.pow(retrier.backoff_rate, min(count, 1000)), 3.2e9)
    if retrier.max_delay_seconds is not None:
        delay_s = min(delay_s, retrier.max_delay_seconds)
    if retrier.jitter is model.Jitter.FULL:
        delay_s = decision.rng.uniform(0, delay_s)
    return round(delay_s * 1000)


def _catch(
    decision: Decision,
    frame: Frame,
    state: model.WorkState,
    catcher: model.Catcher,
    failed: f.StateFailed,
    absent: str | None,
) -> StatesError | None:
    """Leave a state whose error a catcher takes. Gives the error that this led to, when it could not."""
    try:
        output, variables = _caught(decision, frame, state, catcher, failed, absent)
    except StatesError as failure:
        if isinstance(failure, QueryEvaluationError):
            _show_evaluation(decision, frame, _located(frame, failure), failure.location)
        return failure
    decision.emit(failed)
    leave(decision, frame, output, catcher.next, variables)
    return None


def _caught(
    decision: Decision,
    frame: Frame,
    state: model.WorkState,
    catcher: model.Catcher,
    failed: f.StateFailed,
    absent: str | None,
) -> tuple[Json, dict[str, Json] | UnsetType]:
    """The output of a state whose error was caught, and the variables that the catcher assigns.

    Raises StatesError where the output has no room or an expression fails.
    """
    assert frame.state is not None
    shown: dict[str, Json] = {
        "Error": absent if failed.error is None else failed.error,
        "Cause": absent if failed.cause is None else failed.cause,
    }
    output: Json
    if is_jsonata(state):
        env = decision.env(frame, frame.data, error_output=shown)
        variables = assigned(decision, frame, catcher.assign, env)
        output = shown if catcher.output is None else catcher.output.evaluate(env)
    else:
        variables = assigned(decision, frame, catcher.assign, decision.env(frame, shown))
        output = frame.data if catcher.result_path is None else catcher.result_path.put(frame.data, shown)
    if output is not frame.data:
        check_size(decision, output, frame.state)
    return output, variables


def _close_group(
    decision: Decision,
    frame: Frame,
    state: model.WorkState,
    error: str | None,
    cause: str | None,
    *,
    unopened: bool,
) -> None:
    if not (unopened or isinstance(frame.open, Group)):
        return
    if isinstance(state, model.ParallelState):
        decision.emit(f.ParallelFailed(frame=frame.id, error=error, cause=cause))
    elif isinstance(state, model.MapState):
        decision.emit(f.MapFailed(frame=frame.id, error=error, cause=cause))


def _fail_frame(
    decision: Decision, frame: Frame, error: str | None, cause: str | None, absent: str | None
) -> None:
    """Nothing in the frame took the error: the state that owns the frame fails, or the execution does.

    States.Runtime, which nothing may take, ends the execution from wherever it arose; AWS shows no failure of
    the states around it.
    """
    if frame.parent is None or error == RUNTIME:
        end_execution(decision, f.ExecutionFailed(error=error, cause=cause))
        return
    parent = decision.machine.frames[frame.parent]
    aborted = isinstance(decision.state_of(frame), model.WorkState | model.WaitState)
    decision.emit(f.FrameFailed(frame=frame.id, error=error, cause=cause, aborted=aborted))
    fail_state(decision, parent, error, cause, absent=absent)


def end_execution(
    decision: Decision, last: f.ExecutionFailed | f.ExecutionTimedOut | f.ExecutionAborted
) -> None:
    """End the execution other than by success: close all that is open, then say why."""
    revoke_below(decision, decision.machine.frames[ROOT], quiet=True)
    decision.emit(last)


def revoke_below(decision: Decision, frame: Frame, *, quiet: bool = False) -> None:
    """Close every token under a frame, and abort the frames under it, innermost first."""
    work = frame.open
    if isinstance(work, Group):
        for child_id in sorted(work.children):
            revoke_below(decision, decision.machine.frames[child_id], quiet=quiet)
            decision.emit(f.FrameAborted(frame=child_id, quiet=quiet))
    elif work is not None:
        aborted = isinstance(work, OpenMapRun) and not quiet
        decision.emit(f.TokenRevoked(token=work.token, map_run=aborted))
