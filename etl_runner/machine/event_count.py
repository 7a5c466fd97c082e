"""How many AWS history events a fact amounts to.

The machine must know: AWS names events by number in its error texts ("entered at the event id #2") and ends
an execution at 25,000 of them (Step Functions quotas, "Maximum execution event history size").
aws_history.py writes exactly as many events as are counted here; a test holds the two together.
"""

from typing import Final

from etl_runner.machine import facts as f

EVENT_LIMIT: Final = 25_000

_FIXED: Final[dict[type, int]] = {
    f.ExecutionStarted: 1,
    f.StateEntered: 1,
    f.StateExited: 1,
    f.StateFailed: 0,
    f.TaskScheduled: 2,  # ...Scheduled and ...Started
    f.TaskSubmitted: 1,
    f.TaskSucceeded: 1,
    f.TaskFailed: 1,
    f.TaskTimedOut: 1,
    f.TokenRevoked: 0,
    f.RetryScheduled: 0,
    f.WaitScheduled: 0,
    f.TimerFired: 0,
    f.ParallelStarted: 1,
    f.ParallelSucceeded: 1,
    f.ParallelFailed: 1,
    f.MapStarted: 1,
    f.MapSucceeded: 1,
    f.MapFailed: 1,
    f.MapRunStarted: 2,  # MapStateStarted and MapRunStarted
    f.MapRunSucceeded: 2,  # MapRunSucceeded and MapStateSucceeded
    f.MapRunFailed: 2,  # MapRunFailed and MapStateFailed
    f.ExecutionSucceeded: 1,
    f.ExecutionFailed: 1,
    f.ExecutionTimedOut: 1,
    f.ExecutionAborted: 1,
    # A Parallel's branches come and go without events of their own; a Map's iterations have them.
    f.FrameOpened: 0,
    f.FrameSucceeded: 0,
    f.FrameFailed: 0,
    f.FrameAborted: 0,
}


def events_of(fact: f.Fact) -> int:
    """How many events `fact` stands for, iterations of an inline Map apart (state.py adds one for each)."""
    return _FIXED[type(fact)]
