"""One turn: take what stands in the inbox, decide each, commit all together, then let the effects happen.

Group commit is what makes durability cheap: one fsync carries every execution that had something to do.
Nothing leaves a turn (no task, no answer to a caller) before its commit has returned.
"""

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import structlog

from etl_runner.clock import Clock
from etl_runner.engine.activities import ActivityQueue
from etl_runner.engine.decided import Turn
from etl_runner.engine.knocks import (
    ActivityPoll,
    Item,
    Knock,
    LedgerEntry,
    MapRunNudge,
    MapRunUpdate,
    RedriveRequest,
    StartRequest,
    TokenAnswer,
    Told,
)
from etl_runner.engine.live import Live, LiveCache
from etl_runner.engine.policy import Policy
from etl_runner.engine.redrive import redrive
from etl_runner.engine.starts import Starts, express_row
from etl_runner.engine.tokens import TaskTokens
from etl_runner.jsontypes import dumps_text
from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.codec import FORMAT, encode_page
from etl_runner.machine.decide import decide
from etl_runner.machine.state import Status, fold
from etl_runner.store.store import Store
from etl_runner.store.unit import Row, Unit

_log = structlog.get_logger("engine")

CAUSE_SHOWN: Final = 32_768


class TurnVoid(Exception):  # noqa: N818 -- not an error of anyone's: the turn is taken again in pieces
    """What this turn has decided must be thrown away."""


class TurnMaker:
    """Decides turns. Owned by the engine's thread; nothing here is locked."""

    def __init__(
        self,
        store: Store,
        cache: LiveCache,
        *,
        starts: Starts,
        tokens: TaskTokens,
        polls: ActivityQueue,
        clock: Clock,
        rng: random.Random,
        policy: Policy,
    ) -> None:
        self._store = store
        self._cache = cache
        self._starts = starts
        self._tokens = tokens
        self._polls = polls
        self._clock = clock
        self._rng = rng
        self._limits = policy.limits
        self._tell_status = policy.tell_status
        self.new_execution = starts.new_execution
        self._take: dict[type, Callable[[Turn, Any], None]] = {
            Knock: self._knock,
            TokenAnswer: self._answer,
            ActivityPoll: self._poll,
            RedriveRequest: self._redrive,
            LedgerEntry: _record,
            MapRunNudge: lambda turn, nudge: turn.nudged.append(nudge.map_run_id),
            MapRunUpdate: lambda turn, update: turn.map_run_updates.append(update),
            Told: _forget_told,
        }

    def new_id(self) -> int:
        """An id for an execution or a map run."""
        return self._starts.ids.next(self._clock.now_ms())

    def begin(self) -> Turn:
        """An empty turn, at the present time."""
        return Turn(now_ms=self._clock.now_ms())

    def take(self, turn: Turn, items: Sequence[Item]) -> None:
        """Decide all items. Raises StoreError when something cannot be loaded; then the turn is void."""
        requests = [item for item in items if isinstance(item, StartRequest)]
        if requests:
            self._starts.take(turn, requests)
        answers = [item for item in items if isinstance(item, TokenAnswer)]
        if answers:
            self._tokens.look_up(turn, answers)
        for item in items:
            if not isinstance(item, StartRequest):
                self._take[type(item)](turn, item)

    def _answer(self, turn: Turn, answer: TokenAnswer) -> None:
        self._tokens.answer(turn, answer, partial(self._decide, turn))

    def _poll(self, turn: Turn, poll: ActivityPoll) -> None:
        self._polls.take(turn, poll, partial(self._decide, turn))

    def _redrive(self, turn: Turn, request: RedriveRequest) -> None:
        redrive(turn, request, self._store, self._cache, partial(self._decide, turn))

    def _knock(self, turn: Turn, knock: Knock) -> None:
        turn.results.append((knock.done, self._decide(turn, knock)))

    # --- stimuli ------------------------------------------------------------------------------------------

    def _decide(self, turn: Turn, knock: Knock) -> bool:
        """Let a stimulus knock; whether it led to facts."""
        live = self._cache.get(knock.execution_id)
        if live is None:
            return False
        before = len(live.fresh)
        holder = _holder_state(live, knock) if knock.written else ""
        try:
            facts = decide(
                live.definition,
                live.machine,
                knock.stimulus,
                turn.now_ms,
                self._rng,
                self._limits,
                turn.patience.anew(),
            )
        except Exception as error:  # noqa: BLE001 -- a fault of ours must end this execution, not the service
            _log.exception("the machine broke down", execution=live.arn)
            facts = self._break_down(turn, live, error)
        live.fresh.extend(facts)
        if facts:
            turn.touched[live.id] = live
            if knock.written and not live.volatile:
                _record_written(turn, live, knock, facts, holder)
        return len(live.fresh) > before

    def _break_down(self, turn: Turn, live: Live, error: Exception) -> list[f.Fact]:
        """Fold the execution afresh (decide left it half changed) and end it with the reason.

        Raises TurnVoid when the execution has other facts in this turn: then its items are taken one by one.
        """
        turn.touched[live.id] = live  # whatever comes of it, this machine is not to be used again as it is
        if live.new or live.fresh:
            raise TurnVoid(f"{live.arn} broke down in the middle of a turn") from error
        live.machine = fold(live.pages if live.volatile else self._store.pages(live.id))
        stimulus = s.Breakdown(cause=breakdown_cause(error))
        return decide(live.definition, live.machine, stimulus, turn.now_ms, self._rng, self._limits)

    # --- rows ---------------------------------------------------------------------------------------------

    def seal(self, turn: Turn) -> None:
        """Turn the touched executions into rows."""
        turn.unit.tokens.extend(turn.tokens.opened.values())
        for live in turn.touched.values():
            if live.volatile:
                _seal_volatile(turn.unit, live)
                if _is_logged(live):
                    turn.to_tell.add(live.id)
            elif live.fresh:
                self._seal(turn, live)

    def _seal(self, turn: Turn, live: Live) -> None:
        unit, machine = turn.unit, live.machine
        ended = machine.status is not Status.RUNNING
        seq = machine.facts - len(live.fresh)
        unit.pages.append(
            {
                "execution_id": live.id,
                "seq": seq,
                "at_ms": turn.now_ms,
                "format": FORMAT,
                "data": encode_page(live.fresh),
            }
        )
        redriven = live.id in turn.redriven
        working, wake = live.working, machine.wake_at_ms()
        if live.new:
            unit.executions.append(_execution_row(live, turn.now_ms, working=working, wake_at_ms=wake))
        elif working != live.kept_working or wake != live.kept_wake_ms or ended or redriven:
            unit.execution_changes.append(
                {"b_id": live.id} | _changing(live, turn.now_ms, working=working, wake_at_ms=wake)
            )
        live.kept_working, live.kept_wake_ms = working, wake
        changed = live.new or ended or redriven
        if _is_logged(live) or (self._tell_status and changed and live.map_run_id is None):
            unit.outbox.append({"execution_id": live.id, "seq": seq})
            turn.to_tell.add(live.id)


def _is_logged(live: Live) -> bool:
    """Whether the log may have to hear of what was just decided: FATAL is only about ends without success."""
    if live.logging is None:
        return False
    status = live.machine.status
    return live.logging["level"] != "FATAL" or status not in {Status.RUNNING, Status.SUCCEEDED}


def told_rows(told: Told) -> list[Row]:
    """The rows that leave the outbox."""
    return [{"b_execution_id": execution_id, "b_seq": seq} for execution_id, seq in told.pages]


def _record(turn: Turn, entry: LedgerEntry) -> None:
    turn.unit.ticks.extend(entry.ticks)
    turn.unit.event_matches.extend(entry.event_matches)
    turn.unit.schedule_states.extend(entry.schedule_states)
    turn.results.append((entry.done, True))


def _forget_told(turn: Turn, told: Told) -> None:
    turn.unit.told.extend(told_rows(told))


def _seal_volatile(unit: Unit, live: Live) -> None:
    """An Express execution leaves a row only if it was acknowledged and goes on, and only until it ends."""
    ended = live.machine.status is not Status.RUNNING
    live.kept_wake_ms = live.machine.wake_at_ms()
    if live.acknowledged and ended:
        unit.express_ends.append({"b_arn": live.arn})
    elif not (live.acknowledged or ended) and live.request is not None and not live.request.sync:
        unit.express_starts.append(express_row(live))
        live.acknowledged = True


def breakdown_cause(error: Exception) -> str:
    """The cause of an execution that ended because we failed."""
    # What failed may be the writing of this very text; keep what can be written.
    text = f"{type(error).__name__}: {error}".encode(errors="replace").decode()
    return f"etl-runner failed inside: {text}. Please report this."


def _holder_state(live: Live, knock: Knock) -> str:
    """The name of the state whose task is answering."""
    token = getattr(knock.stimulus, "token", 0)
    frame_id = live.machine.tokens.get(token)
    return "" if frame_id is None else live.machine.frames[frame_id].state or ""


def _record_written(turn: Turn, live: Live, knock: Knock, facts: Sequence[f.Fact], state: str) -> None:
    """Receipts are recorded with the fact that ends their task; a late answer records nothing."""
    closed = facts[0]
    if not isinstance(closed, f.TaskSucceeded | f.TaskFailed):
        return
    for position, receipt in enumerate(knock.written):
        turn.unit.written.append(
            {
                "execution_id": live.id,
                "token": closed.token,
                "position": position,
                "state": state,
                "bucket": receipt["Bucket"],
                "key": receipt["Key"],
                "version_id": receipt.get("VersionId"),
                "etag": receipt.get("ETag"),
                "bytes": receipt.get("Bytes", 0),
                "sha256": receipt.get("Sha256"),
                "replaced_version_id": receipt.get("ReplacedVersionId"),
                "unchanged": bool(receipt.get("Unchanged", False)),
                "at_ms": turn.now_ms,
            }
        )


def _changing(live: Live, now_ms: int, *, working: bool, wake_at_ms: int | None) -> Row:
    machine = live.machine
    ended = machine.status is not Status.RUNNING
    cause = machine.cause
    return {
        "status": machine.status.value,
        "stopped_ms": now_ms if ended else None,
        "error": machine.error,
        "cause": cause if cause is None else cause[:CAUSE_SHOWN],
        "working": working,
        "wake_at_ms": wake_at_ms,
    }


def _execution_row(live: Live, now_ms: int, *, working: bool, wake_at_ms: int | None) -> Row:
    row = {
        "id": live.id,
        "arn": live.arn,
        "state_machine_arn": live.state_machine_arn,
        "name": live.name,
        "definition_id": live.definition_id,
        "scope": live.machine.start.scope,
        "origin": live.origin,
        "input_sha256": live.input_sha256,
        "started_ms": live.machine.started_ms,
        "map_run_id": live.map_run_id,
        "item_index": live.item_index,
        "redrive_count": 0,
    } | _changing(live, now_ms, working=working, wake_at_ms=wake_at_ms)
    first = live.machine.start
    seldom = {
        "state_machine_version_arn": first.state_machine_version_arn,
        "state_machine_alias_arn": first.state_machine_alias_arn,
        "trace_header": None if live.request is None else live.request.trace_header,
        "logging": None if live.logging is None else dumps_text(live.logging),
    }
    # Most have none of these, and every column of ten thousand rows costs.
    row.update({name: value for name, value in seldom.items() if value is not None})
    return row
