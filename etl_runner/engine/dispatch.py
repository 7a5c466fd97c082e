"""From facts to the outside world and back: tasks are handed out after the commit, answers become knocks."""

import hashlib
import time
from collections.abc import Callable
from threading import Lock

import structlog

from etl_runner.asl import model
from etl_runner.engine.knocks import Knock
from etl_runner.engine.live import Live
from etl_runner.machine import stimuli as s
from etl_runner.machine.facts import Token
from etl_runner.machine.state import Frame, OpenTask
from etl_runner.tasks.contract import (
    Failed,
    Invocation,
    Invoker,
    LogLine,
    Outcome,
    Pending,
    Progress,
    Succeeded,
)

_log = structlog.get_logger("task")


def token_text(execution_id: int, token: Token) -> str:
    """The token as invokers see it."""
    return f"{execution_id}:{token}"


def idempotency_key(execution_arn: str, token: Token) -> str:
    """The key of one hand-out: the same whenever this very attempt is handed out, also after a crash."""
    return hashlib.blake2b(f"{execution_arn}|{token}".encode(), digest_size=16).hexdigest()


class Dispatcher:
    """Hands tasks to the invoker and turns what comes back into knocks. It is the invokers' Sink."""

    def __init__(self, invoker: Invoker, knock: Callable[[Knock], None]) -> None:
        self._invoker = invoker
        self._knock = knock
        self._monotonic = time.monotonic
        self._lock = Lock()
        self._beats: dict[str, tuple[float, float]] = {}
        self._progress: dict[str, Progress | None] = {}

    def hand_out(self, live: Live, frame: Frame, task: OpenTask) -> None:
        """Start one open task."""
        state = live.definition.scopes[frame.scope].states[frame.state or ""]
        assert isinstance(state, model.TaskState)
        token = token_text(live.id, task.token)
        with self._lock:
            self._progress[token] = None
            if task.heartbeat_ms is not None and task.task_token is None:  # else see tokens.py
                period = task.heartbeat_ms / 1000
                self._beats[token] = (self._monotonic() + period, period)
        invocation = Invocation(
            token=token,
            resource=state.resource,
            arguments=task.arguments,
            idempotency_key=idempotency_key(live.arn, task.token),
            execution_arn=live.arn,
            state_name=state.name,
            attempt=frame.attempt,
            deadline_ms=task.deadline_ms,
            heartbeat_ms=task.heartbeat_ms,
            credentials=task.credentials,
            role_arn=live.machine.start.role_arn,
            task_token=task.task_token,
            submitted=task.submission,
        )
        try:
            self._invoker.start(invocation, self)
        except Exception as error:  # noqa: BLE001 -- an invoker's fault must not stop the engine
            _log.exception("the invoker failed to start a task", execution=live.arn, state=state.name)
            self.outcome(
                Failed(token=token, error="States.Runtime", cause=f"the task was not started: {error}")
            )

    def take_back(self, execution_id: int, token: Token) -> None:
        """Cancel a hand-out."""
        text = token_text(execution_id, token)
        self._forget(text)
        try:
            self._invoker.cancel(text)
        except Exception:  # noqa: BLE001 -- the same
            _log.exception("the invoker failed to cancel a task", token=text)

    def lost_heartbeats(self) -> list[Knock]:
        """Knocks for the tasks that have not been heard of in time."""
        now = self._monotonic()
        with self._lock:
            late = [token for token, (until, _) in self._beats.items() if until <= now]
            for token in late:
                del self._beats[token]
        knocks = []
        for text in late:
            execution_id, token_number = _parse(text)
            knocks.append(Knock(execution_id=execution_id, stimulus=s.HeartbeatLoss(token=token_number)))
        return knocks

    def progress_of(self, execution_arn: str) -> list[Progress]:
        """The latest progress of each open task of an execution."""
        with self._lock:
            told = [found for found in self._progress.values() if found is not None]
        return [found for found in told if found.execution_arn == execution_arn]

    def _forget(self, token: str) -> None:
        with self._lock:
            self._beats.pop(token, None)
            self._progress.pop(token, None)

    # --- Sink ---------------------------------------------------------------------------------------------

    def outcome(self, outcome: Outcome) -> None:
        """Turn the end of a hand-out into a knock."""
        execution_id, token = _parse(outcome.token)
        stimulus: s.Stimulus
        match outcome:
            case Succeeded(output=output):
                stimulus = s.TaskSuccess(token=token, output=output)
            case Failed(error=error, cause=cause):
                stimulus = s.TaskFailure(token=token, error=error, cause=cause)
            case Pending(output=output):
                stimulus = s.TaskSubmission(token=token, output=output)
        if not isinstance(outcome, Pending):
            self._forget(outcome.token)
        written = () if isinstance(outcome, Pending) else outcome.written
        self._knock(Knock(execution_id=execution_id, stimulus=stimulus, written=written))

    def heartbeat(self, token: str) -> None:
        """Note that a task's holder is alive."""
        with self._lock:
            found = self._beats.get(token)
            if found is not None:
                self._beats[token] = (self._monotonic() + found[1], found[1])

    def log(self, line: LogLine) -> None:
        """Write a task's line to our log."""
        _log.info(
            line.text,
            execution=line.execution_arn,
            state=line.state_name,
            token=line.token,
            stream=line.stream,
        )

    def progress(self, progress: Progress) -> None:
        """Keep the latest progress of a task that is still open; it is a sign of life too."""
        with self._lock:
            if progress.token in self._progress:
                self._progress[progress.token] = progress
        self.heartbeat(progress.token)


def _parse(text: str) -> tuple[int, Token]:
    execution_id, _, token = text.partition(":")
    return int(execution_id), int(token)
