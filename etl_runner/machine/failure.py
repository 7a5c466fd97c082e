"""How errors flow: retries, catches, and on to the state that owns the branch, up to the execution."""

import math
from collections.abc import Sequence
from typing import Final

from etl_runner.asl import model
from etl_runner.errors import RUNTIME, StatesError
from etl_runner.jsontypes import Json
from etl_runner.machine import facts as f
from etl_runner.machine.decision import Decision
from etl_runner.machine.flow import DATA_LIMIT, check_size, leave
from etl_runner.machine.state import ROOT, Frame, Group

TIMEOUT: Final = "States.Timeout"
HEARTBEAT_TIMEOUT: Final = "States.HeartbeatTimeout"


def fail_evaluation(decision: Decision, frame: Frame, error: StatesError) -> None:
    """An expression of the frame's state failed; AWS's cause says where."""
    cause = error.cause
    if error.error != DATA_LIMIT:
        cause = (
            f"An error occurred while executing the state '{frame.state}' "
            f"(entered at the event id #{frame.entered_event}). {cause}"
        )
    fail_state(decision, frame, error.error, cause, evaluation=True)


def fail_state(
    decision: Decision,
    frame: Frame,
    error: str | None,
    cause: str | None,
    *,
    names: Sequence[str] = (),
    evaluation: bool = False,
    absent: str | None = "",
) -> None:
    """The work of the frame's state failed: retry it, catch it, or pass the error on.

    `names` are the names that Retry and Catch may match when they are more than `error` alone. `absent` is
    what a catcher's error output shows for an error or cause that is None: AWS shows null for a task whose
    answer had none, and an empty string otherwise.
    """
    state = decision.state_of(frame)
    matched = tuple(names) or (error or "",)
    revoke_below(decision, frame, quiet=RUNTIME in matched)
    if isinstance(state, model.WorkState):
        if _retried(decision, frame, state, matched, error, cause):
            return
        if RUNTIME not in matched:
            _close_group(decision, frame, error, cause)
        catcher = next((c for c in state.catch if _matches(c.error_equals, matched)), None)
        if catcher is not None:
            try:
                output = _caught(frame, catcher, error, cause, absent)
            except StatesError as failure:
                error, cause, evaluation = failure.error, failure.cause, True
            else:
                decision.emit(
                    f.StateFailed(
                        frame=frame.id, error=error, cause=cause, caught=True, evaluation=evaluation
                    )
                )
                leave(decision, frame, output, catcher.next)
                return
    decision.emit(f.StateFailed(frame=frame.id, error=error, cause=cause, evaluation=evaluation))
    _fail_frame(decision, frame, error, cause, absent)


def _matches(error_equals: Sequence[str], names: Sequence[str]) -> bool:
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
        if not _matches(retrier.error_equals, names):
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


def _caught(
    frame: Frame, catcher: model.Catcher, error: str | None, cause: str | None, absent: str | None
) -> Json:
    """The output of a state whose error was caught. Raises StatesError where it has no room."""
    assert frame.state is not None
    if catcher.result_path is None:
        return frame.data
    shown: dict[str, Json] = {
        "Error": absent if error is None else error,
        "Cause": absent if cause is None else cause,
    }
    output = catcher.result_path.put(frame.data, shown)
    check_size(output, frame.state)
    return output


def _close_group(decision: Decision, frame: Frame, error: str | None, cause: str | None) -> None:
    group = frame.open
    if not isinstance(group, Group):
        return
    if group.items is None:
        decision.emit(f.ParallelFailed(frame=frame.id, error=error, cause=cause))
    else:
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
        decision.emit(f.TokenRevoked(token=work.token))
