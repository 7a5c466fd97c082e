"""Facts: what has happened in one execution, in the past tense, in order. They are the only truth.

A turn of the engine decides some facts and commits them together as one page. The machine's state is the
fold of all pages (state.py); AWS's execution history is a projection of them (aws_history.py). Facts carry
everything that was not deterministic (deadlines, drawn jitter), so that folding them asks nobody.

The shapes are persisted: a field may be added with a default, never renamed or given another meaning.
`codec.py` reads and writes them and refuses versions it does not know.
"""

from typing import TypeAlias

from msgspec import UNSET, Struct, UnsetType

from etl_runner.errors import QUERY_EVALUATION
from etl_runner.jsontypes import Json

FrameId: TypeAlias = int
"""Number of a frame in its execution: 0 is the execution itself, each branch or iteration is one more."""

Token: TypeAlias = int
"""Number of a hand-out (task attempt, timer, map run) in its execution. Opened once, closed once."""


class _Fact(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="fact"):
    """What all facts share: immutable, written with their name, defaults left out."""


class ExecutionStarted(_Fact, frozen=True, tag=True):
    """The first fact. `scope` is 0, or the processor's scope in a child of a map run.

    `input_text` is the input as it was sent, where that is not how we write it: AWS shows the text itself.
    `express`: it is Express, so that its time is bounded and its events are not.
    """

    execution_arn: str
    name: str
    state_machine_arn: str
    state_machine_name: str
    input: Json
    role_arn: str = ""
    scope: int = 0
    deadline_ms: int | None = None
    item_index: int | None = None
    input_text: str | None = None
    state_machine_version_arn: str | None = None
    state_machine_alias_arn: str | None = None
    express: bool = False


class FrameOpened(_Fact, frozen=True, tag=True):
    """A branch (Parallel) or an iteration (inline Map) began. `index` counts from 0.

    Without `input` the frame takes its parent group's input (Parallel) or items[index] (Map).
    """

    frame: FrameId
    parent: FrameId
    scope: int
    index: int
    input: Json | UnsetType = UNSET


class FrameSucceeded(_Fact, frozen=True, tag=True):
    """A branch or iteration reached its end; its output is what its last state left."""

    frame: FrameId


class FrameFailed(_Fact, frozen=True, tag=True):
    """A branch or iteration failed; the state that owns it fails with the same error.

    `aborted` says that the state it was in is one whose end AWS shows as aborted (Task, Wait, Parallel, Map).
    """

    frame: FrameId
    error: str | None = None
    cause: str | None = None
    aborted: bool = False


class FrameAborted(_Fact, frozen=True, tag=True):
    """A branch or iteration was ended because a sibling failed or the execution ended.

    `quiet` says that it was the whole execution that ended: AWS shows no events for what that takes along.
    """

    frame: FrameId
    quiet: bool = False


class StateEntered(_Fact, frozen=True, tag=True):
    """A frame entered a state; its input is what the frame holds."""

    frame: FrameId
    state: str


class StateExited(_Fact, frozen=True, tag=True):
    """A frame left its state. Without `output` the output is the state's input, unchanged.

    `assigned` are the variables that got a value, in the frame's own scope.
    """

    frame: FrameId
    output: Json | UnsetType = UNSET
    assigned: dict[str, Json] | UnsetType = UNSET


class StateEvaluationFailed(_Fact, frozen=True, tag=True):
    """A JSONata expression of the state that the frame is in failed; what comes of it follows.

    `location` is the field at fault, where AWS names one.
    """

    frame: FrameId
    cause: str
    error: str = QUERY_EVALUATION
    location: str | None = None


class StateFailed(_Fact, frozen=True, tag=True):
    """A state gave up: no retrier took the error. `caught` says that a catcher did.

    `evaluation` marks an error that arose in evaluating the state itself, not in its work.
    """

    frame: FrameId
    error: str | None = None
    cause: str | None = None
    caught: bool = False
    evaluation: bool = False


class TaskScheduled(_Fact, frozen=True, tag=True):
    """A task was handed out. `deadline_ms` is absolute; `heartbeat_ms` and `timeout_ms` are periods.

    `awaits_worker` marks an activity, which begins only when a worker fetches it (ActivityStarted).
    `task_token` is the text under which someone else answers it, drawn at random; None where nobody else may.
    """

    frame: FrameId
    token: Token
    arguments: Json
    timeout_ms: int | None = None
    deadline_ms: int | None = None
    heartbeat_ms: int | None = None
    credentials: Json = None
    awaits_worker: bool = False
    task_token: str | None = None


class ActivityStarted(_Fact, frozen=True, tag=True):
    """A worker fetched an activity's task; the token stays open."""

    token: Token
    worker: str | None = None


class TaskSubmitted(_Fact, frozen=True, tag=True):
    """The service took the work over; the task stays open until someone answers its token."""

    token: Token
    output: Json


class TaskSucceeded(_Fact, frozen=True, tag=True):
    """The task answered. Closes the token."""

    token: Token
    output: Json


class TaskFailed(_Fact, frozen=True, tag=True):
    """The task failed. Closes the token."""

    token: Token
    error: str | None = None
    cause: str | None = None


class TaskTimedOut(_Fact, frozen=True, tag=True):
    """The task missed its deadline or a heartbeat. Closes the token."""

    token: Token
    heartbeat: bool = False


class TokenRevoked(_Fact, frozen=True, tag=True):
    """What the token was handed out for is no longer wanted. Closes it; a later answer decides nothing.

    `map_run` says that it was a map run which a sibling's failure took along: AWS shows that one's end.
    """

    token: Token
    map_run: bool = False


class RetryScheduled(_Fact, frozen=True, tag=True):
    """A retrier took an error: the state's work starts again when the timer fires. Opens a token.

    `retrier` is its place in Retry; `until_ms` has the drawn jitter in it.
    """

    frame: FrameId
    token: Token
    retrier: int
    until_ms: int
    error: str | None = None
    cause: str | None = None


class WaitScheduled(_Fact, frozen=True, tag=True):
    """A Wait state waits until `until_ms`. Opens a token."""

    frame: FrameId
    token: Token
    until_ms: int


class Paused(_Fact, frozen=True, tag=True):
    """A frame entered a state and stopped there so that others get their turn. Opens a token.

    What the state does is done when the timer fires.
    """

    frame: FrameId
    token: Token
    until_ms: int


class TimerFired(_Fact, frozen=True, tag=True):
    """The time of a Wait, a retry or a pause has come. Closes the token."""

    token: Token


class ParallelStarted(_Fact, frozen=True, tag=True):
    """A Parallel state is about to open its branches, each with `input`."""

    frame: FrameId
    branches: int
    input: Json


class ParallelSucceeded(_Fact, frozen=True, tag=True):
    """All branches of a Parallel state succeeded."""

    frame: FrameId


class ParallelFailed(_Fact, frozen=True, tag=True):
    """A branch failed, and with it the Parallel state's work."""

    frame: FrameId
    error: str | None = None
    cause: str | None = None


class MapStarted(_Fact, frozen=True, tag=True):
    """An inline Map is about to open its iterations, at most `concurrency` at a time."""

    frame: FrameId
    items: list[Json]
    concurrency: int


class MapSucceeded(_Fact, frozen=True, tag=True):
    """All iterations of an inline Map succeeded."""

    frame: FrameId


class MapFailed(_Fact, frozen=True, tag=True):
    """An iteration failed, and with it the inline Map's work."""

    frame: FrameId
    error: str | None = None
    cause: str | None = None


class MapRunStarted(_Fact, frozen=True, tag=True):
    """A Distributed Map was handed to a map run. Opens a token.

    `plan` is all that the map run needs, resolved: see machine/map_plan.py.
    """

    frame: FrameId
    token: Token
    plan: Json


class MapRunRefused(_Fact, frozen=True, tag=True):
    """A Distributed Map was begun, but one of its fields gave nothing to run with; StateFailed follows.

    `length` is the number of items, 0 where an ItemReader would have brought them.
    """

    frame: FrameId
    length: int


class MapRunSucceeded(_Fact, frozen=True, tag=True):
    """The map run ended within its tolerated failures. Closes the token."""

    token: Token
    output: Json


class MapRunFailed(_Fact, frozen=True, tag=True):
    """The map run failed. Closes the token."""

    token: Token
    error: str | None = None
    cause: str | None = None


class MapRunRedriven(_Fact, frozen=True, tag=True):
    """A map run that had failed was taken up again with a redriven execution. Opens a token.

    `run` is the token that it was first started with, whose number is part of its ARN. `count` says how often
    it was redriven, this time included.
    """

    frame: FrameId
    token: Token
    run: Token
    plan: Json
    count: int


class ExecutionSucceeded(_Fact, frozen=True, tag=True):
    """The execution reached its end; its output is what the top frame holds."""


class ExecutionFailed(_Fact, frozen=True, tag=True):
    """An error that nothing caught ended the execution."""

    error: str | None = None
    cause: str | None = None


class ExecutionTimedOut(_Fact, frozen=True, tag=True):
    """The state machine's TimeoutSeconds passed."""

    error: str | None = None
    cause: str | None = None


class ExecutionAborted(_Fact, frozen=True, tag=True):
    """Someone stopped the execution."""

    error: str | None = None
    cause: str | None = None


class ExecutionRedriven(_Fact, frozen=True, tag=True):
    """An execution that had ended without success goes on; what had not succeeded in it starts again.

    `count` says how often that has happened, this time included. `deadline_ms` is its new one. `anew` says
    that the state which failed starts from its beginning, whatever its work had come to.
    """

    count: int
    deadline_ms: int | None = None
    anew: bool = False


class GroupRedriven(_Fact, frozen=True, tag=True):
    """A Parallel or inline Map that had failed is about to revive its branches or iterations."""

    frame: FrameId


class FrameRedriven(_Fact, frozen=True, tag=True):
    """A branch or iteration that had failed or was aborted is alive again, in the state in which it ended."""

    frame: FrameId
    parent: FrameId


Fact: TypeAlias = (
    ExecutionStarted
    | FrameOpened
    | FrameSucceeded
    | FrameFailed
    | FrameAborted
    | StateEntered
    | StateExited
    | StateEvaluationFailed
    | StateFailed
    | TaskScheduled
    | ActivityStarted
    | TaskSubmitted
    | TaskSucceeded
    | TaskFailed
    | TaskTimedOut
    | TokenRevoked
    | RetryScheduled
    | WaitScheduled
    | Paused
    | TimerFired
    | ParallelStarted
    | ParallelSucceeded
    | ParallelFailed
    | MapStarted
    | MapSucceeded
    | MapFailed
    | MapRunStarted
    | MapRunRefused
    | MapRunSucceeded
    | MapRunFailed
    | MapRunRedriven
    | ExecutionSucceeded
    | ExecutionFailed
    | ExecutionTimedOut
    | ExecutionAborted
    | ExecutionRedriven
    | GroupRedriven
    | FrameRedriven
)
