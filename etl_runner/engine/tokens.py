"""Task tokens: hand-outs that someone else answers (callbacks, `.sync` jobs, activities), by their text.

Each has a row, written with TaskScheduled and closed with the fact that closes the token, so that an answer
finds its execution without a million of them in memory. A heartbeat moves the row's deadline on, never the
history.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from etl_runner.arn import Arn
from etl_runner.asl import model
from etl_runner.engine.decided import TokenChanges, Turn
from etl_runner.engine.knocks import Item, Knock, TokenAnswer, TokenFailure, TokenHeartbeat, TokenSuccess
from etl_runner.engine.live import Live, LiveCache
from etl_runner.engine.timers import Timers
from etl_runner.errors import Conflict, InvalidInput
from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.state import OpenTask
from etl_runner.store.store import Store
from etl_runner.store.tokens import TokenKey, TokenReads, TokenRow
from etl_runner.store.unit import Row, Unit

HOLD_MS: Final = 500
"""How long an answer waits for its task to be submitted.

Whoever gets the message of a `.waitForTaskToken` task may answer before we have heard that it was sent; AWS's
histories always have TaskSubmitted first. A bound, because a Lambda function may answer its own token and
wait for that before it returns.
"""


class InvalidTaskToken(InvalidInput):
    """No task has this token. `code` and the message are AWS's."""

    code = "InvalidToken"

    def __init__(self) -> None:
        super().__init__("Invalid Token: 'Invalid token'")


class ClosedTaskToken(Conflict):
    """The task of this token was answered, timed out or is no longer wanted. `code` and message are AWS's."""

    code = "TaskTimedOut"

    def __init__(self) -> None:
        super().__init__("Task Timed Out: 'Provided task does not exist anymore'")


class TaskTokens:
    """All task tokens. Owned by the engine's thread."""

    def __init__(self, store: Store, cache: LiveCache, knock: Callable[[Item], None]) -> None:
        self._reads = TokenReads(store)
        self._cache = cache
        self._knock = knock
        self._heartbeats: Timers[TokenKey] = Timers(self._reads.lost)
        self._held: defaultdict[TokenKey, list[TokenAnswer]] = defaultdict(list)

    # --- answers, within a turn ---------------------------------------------------------------------------

    def look_up(self, turn: Turn, answers: Sequence[TokenAnswer]) -> None:
        """Find whose tokens these are. Raises StoreUnavailable."""
        turn.tokens.rows = self._reads.by_text([each.task_token for each in answers])

    def answer(self, turn: Turn, answer: TokenAnswer, decide: Callable[[Knock], bool]) -> None:
        """Take one answer: a heartbeat moves the deadline on, a result is decided."""
        row = turn.tokens.rows.get(answer.task_token)
        if row is None:
            turn.refused.append((answer, InvalidTaskToken()))
            return
        live = None if row.state == "closed" else self._cache.get(row.execution_id)
        frame_id = None if live is None else live.machine.tokens.get(row.token)
        if live is None or frame_id is None:
            turn.refused.append((answer, ClosedTaskToken()))
            return
        if answer.account not in {None, Arn.parse(live.arn).account}:
            turn.refused.append((answer, InvalidTaskToken()))
            return
        work = live.machine.frames[frame_id].open
        assert isinstance(work, OpenTask)
        if isinstance(answer.answer, TokenHeartbeat):
            self._beat(turn, row)
            turn.results.append((answer.done, None))
        elif self._too_early(turn, row, work, answer):
            turn.tokens.held.append((row.key, answer))
        elif decide(_knock_of(row, answer.answer)):
            turn.results.append((answer.done, None))
        else:
            turn.refused.append((answer, ClosedTaskToken()))

    @staticmethod
    def _beat(turn: Turn, row: TokenRow) -> None:
        if row.heartbeat_ms is None or row.heartbeat_due_ms is None:
            return
        due_ms = turn.now_ms + row.heartbeat_ms
        turn.unit.token_beats.append({**_named(row.key), "heartbeat_due_ms": due_ms})
        turn.tokens.beats.append((row.key, due_ms))

    @staticmethod
    def _too_early(turn: Turn, row: TokenRow, work: OpenTask, answer: TokenAnswer) -> bool:
        if work.submitted or row.activity_arn is not None:
            return False
        if answer.held_until_ms is None:
            answer.held_until_ms = turn.now_ms + HOLD_MS
        return turn.now_ms < answer.held_until_ms

    # --- facts, within a turn -----------------------------------------------------------------------------

    def scheduled(self, turn: Turn, live: Live, fact: f.TaskScheduled) -> None:
        """A task was handed out: write its row, unless it was closed again in the same turn."""
        frame_id = live.machine.tokens.get(fact.token)
        if frame_id is None or fact.task_token is None:
            return
        heartbeat_due_ms = None
        if fact.heartbeat_ms is not None and not fact.awaits_worker:
            heartbeat_due_ms = turn.now_ms + fact.heartbeat_ms
            turn.tokens.beats.append(((live.id, fact.token), heartbeat_due_ms))
        live.task_tokens.add(fact.token)
        turn.tokens.opened[live.id, fact.token] = {
            "execution_id": live.id,
            "token": fact.token,
            "text": fact.task_token,
            "state": "scheduled" if fact.awaits_worker else "started",
            "scheduled_ms": turn.now_ms,
            "activity_arn": resource_of(live, frame_id) if fact.awaits_worker else None,
            "heartbeat_ms": fact.heartbeat_ms,
            "heartbeat_due_ms": heartbeat_due_ms,
            "hand_outs": 0 if fact.awaits_worker else 1,
        }

    @staticmethod
    def fetched(turn: Turn, live: Live, fact: f.ActivityStarted) -> None:
        """A worker has fetched an activity's task: from now on it owes heartbeats."""
        frame_id = live.machine.tokens.get(fact.token)
        work = None if frame_id is None else live.machine.frames[frame_id].open
        if not isinstance(work, OpenTask):
            return
        key = (live.id, fact.token)
        due_ms = None if work.heartbeat_ms is None else turn.now_ms + work.heartbeat_ms
        turn.unit.token_fetches.append({**_named(key), "worker": fact.worker, "heartbeat_due_ms": due_ms})
        turn.unit.token_hand_outs.append(_named(key))
        turn.tokens.beats.append((key, due_ms))

    @staticmethod
    def closed(turn: Turn, live: Live, token: f.Token) -> None:
        """A token was closed that has a row."""
        live.task_tokens.discard(token)
        turn.unit.token_closes.append(_named((live.id, token)))
        turn.tokens.beats.append(((live.id, token), None))

    @staticmethod
    def handed_out_again(unit: Unit, live: Live, token: f.Token) -> None:
        """A start has handed a task out once more: that is counted."""
        if token in live.task_tokens:
            unit.token_hand_outs.append(_named((live.id, token)))

    # --- after the commit ---------------------------------------------------------------------------------

    def committed(self, changes: TokenChanges) -> None:
        """What a turn decided is on the disk."""
        for key, due_ms in changes.beats:
            self._heartbeats.set(key, due_ms)
        for key, answer in changes.held:
            self._held[key].append(answer)

    def submitted(self, key: TokenKey) -> None:
        """A task was submitted: let in the answers that were too early."""
        for answer in self._held.pop(key, ()):
            self._knock(answer)

    # --- time ---------------------------------------------------------------------------------------------

    def due(self, now_ms: int) -> list[Item]:
        """Knocks for the tasks not heard of in time, and the answers that have waited for long enough."""
        knocks: list[Item] = [
            Knock(execution_id=execution_id, stimulus=s.HeartbeatLoss(token=token))
            for execution_id, token in self._heartbeats.due(now_ms)
        ]
        if self._held:
            knocks.extend(self._ripe(now_ms))
        return knocks

    def _ripe(self, now_ms: int) -> list[TokenAnswer]:
        ripe = [
            key
            for key, answers in self._held.items()
            if any(now_ms >= (a.held_until_ms or 0) for a in answers)
        ]
        return [answer for key in ripe for answer in self._held.pop(key)]

    def next_due_ms(self) -> int:
        """When to look again."""
        soonest = self._heartbeats.next_due_ms()
        held = [answer.held_until_ms or 0 for answers in self._held.values() for answer in answers]
        return min([soonest, *held])

    def release(self) -> None:
        """The engine ends: let go of what is held, so that those who wait are told."""
        for key in list(self._held):
            self.submitted(key)


def resource_of(live: Live, frame_id: f.FrameId) -> str:
    """The resource of the task that a frame is in."""
    frame = live.machine.frames[frame_id]
    state = live.definition.scopes[frame.scope].states[frame.state or ""]
    assert isinstance(state, model.TaskState)
    return state.resource


def _knock_of(row: TokenRow, answer: TokenSuccess | TokenFailure) -> Knock:
    stimulus: s.Stimulus
    if isinstance(answer, TokenSuccess):
        stimulus = s.TaskSuccess(token=row.token, output=answer.output)
    else:
        stimulus = s.TaskFailure(token=row.token, error=answer.error, cause=answer.cause)
    return Knock(execution_id=row.execution_id, stimulus=stimulus)


def _named(key: TokenKey) -> Row:
    return {"b_execution_id": key[0], "b_token": key[1]}
