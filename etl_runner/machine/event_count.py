"""How many AWS history events a fact amounts to.

The machine must know: AWS names events by number in its error texts ("entered at the event id #2") and ends
an execution when it has so many of them (limits.py).
aws_history.py writes exactly as many events as are counted here; a test holds the two together.
"""

from typing import Final

from etl_runner.machine import facts as f

DEPENDS: Final = -1
"""The count depends on the frame or on the fact's own fields: state.py knows."""

EVENTS: Final[dict[type, int]] = {
    f.ExecutionStarted: 1,
    f.StateEntered: 1,
    f.StateExited: 1,
    f.StateEvaluationFailed: 1,
    f.StateFailed: 0,
    f.TaskScheduled: DEPENDS,  # ...Scheduled and ...Started; an activity starts later
    f.ActivityStarted: 1,
    f.TaskSubmitted: 1,
    f.TaskSucceeded: 1,
    f.TaskFailed: 1,
    f.TaskTimedOut: 1,
    f.TokenRevoked: DEPENDS,  # a map run that is aborted with its branch has an event
    f.RetryScheduled: 0,
    f.WaitScheduled: 0,
    f.Paused: 0,
    f.TimerFired: 0,
    f.ParallelStarted: 1,
    f.ParallelSucceeded: 1,
    f.ParallelFailed: 1,
    f.MapStarted: 1,
    f.MapSucceeded: 1,
    f.MapFailed: 1,
    f.MapRunStarted: 2,  # MapStateStarted and MapRunStarted
    f.MapRunRefused: 1,  # MapStateStarted alone
    f.MapRunSucceeded: 2,  # MapRunSucceeded and MapStateSucceeded
    f.MapRunFailed: 2,  # MapRunFailed and MapStateFailed
    f.MapRunRedriven: 1,
    f.ExecutionSucceeded: 1,
    f.ExecutionFailed: 1,
    f.ExecutionTimedOut: 1,
    f.ExecutionAborted: 1,
    f.ExecutionRedriven: 1,
    f.GroupRedriven: 0,
    f.FrameRedriven: 0,
    # A Parallel's branches come and go without events of their own, a Map's iterations have them; and where a
    # branch or iteration is cut off in the middle of a state, so has that state.
    f.FrameOpened: DEPENDS,
    f.FrameSucceeded: DEPENDS,
    f.FrameFailed: DEPENDS,
    f.FrameAborted: DEPENDS,
}
"""How many events a fact of each type stands for, or DEPENDS."""
