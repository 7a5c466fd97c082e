"""How errors flow: retries, catches, and on to the state that owns the branch, up to the execution."""

import math
from collections.abc import Sequence
from typing import Final

from etl_runner.asl import model
from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json
from etl_runner.machine import facts as f
from etl_runner.machine.decision import Decision
from etl_runner.machine.flow import DATA_LIMIT, leave
from etl_runner.machine.state import Frame, Group

TIMEOUT: Final = "States.Timeout"
HEARTBEAT_TIMEOUT: Final = "States.HeartbeatTimeout"
RUNTIME: Final = "States.Runtime"


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
) -> None:
    """The work of the frame's state failed: retry it, catch it, or pass the error on.

    `names` are the names that Retry and Catch may match when they are more than `error` alone.
    """
    state = decision.state_of(frame)
    matched = tuple(names) or (error or "",)
    revoke_below(decision, frame)
    if isinstance(state, model.WorkState):
        if _retried(decision, frame, state, matched, error, cause):
            return
        _close_group(decision, frame, error, cause)
        catcher = next((c for c in state.catch if _matches(c.error_equals, matched)), None)
        if catcher is not None:
            decision.emit(
                f.StateFailed(frame=frame.id, error=error, cause=cause, caught=True, evaluation=evaluation)
            )
            _catch(decision, frame, catcher, error, cause)
            return
    decision.emit(f.StateFailed(frame=frame.id, error=error, cause=cause, evaluation=evaluation))
    _fail_frame(decision, frame, error, cause)


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


def _catch(
    decision: Decision, frame: Frame, catcher: model.Catcher, error: str | None, cause: str | None
) -> None:
    output: dict[str, Json] = {}
    if error is not None:
        output["Error"] = error
    if cause is not None:
        output["Cause"] = cause
    try:
        path = catcher.result_path
        leave(decision, frame, frame.data if path is None else path.put(frame.data, output), catcher.next)
    except StatesError as failure:
        _fail_frame(decision, frame, failure.error, failure.cause)


def _close_group(decision: Decision, frame: Frame, error: str | None, cause: str | None) -> None:
    group = frame.open
    if not isinstance(group, Group):
        return
    if group.items is None:
        decision.emit(f.ParallelFailed(frame=frame.id, error=error, cause=cause))
    else:
        decision.emit(f.MapFailed(frame=frame.id, error=error, cause=cause))


def _fail_frame(decision: Decision, frame: Frame, error: str | None, cause: str | None) -> None:
    """Nothing in the frame took the error: the state that owns the frame fails, or the execution does."""
    if frame.parent is None:
        decision.emit(f.ExecutionFailed(error=error, cause=cause))
        return
    parent = decision.machine.frames[frame.parent]
    decision.emit(f.FrameFailed(frame=frame.id, error=error, cause=cause))
    fail_state(decision, parent, error, cause)


def revoke_below(decision: Decision, frame: Frame) -> None:
    """Close every token under a frame, and abort the frames under it, innermost first."""
    work = frame.open
    if isinstance(work, Group):
        for child_id in sorted(work.children):
            revoke_below(decision, decision.machine.frames[child_id])
            decision.emit(f.FrameAborted(frame=child_id))
    elif work is not None:
        decision.emit(f.TokenRevoked(token=work.token))
