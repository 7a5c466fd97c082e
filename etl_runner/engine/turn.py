"""One turn: take what stands in the inbox, decide each, commit all together, then let the effects happen.

Group commit is what makes durability cheap: one fsync carries every execution that had something to do.
Nothing leaves a turn (no task, no answer to a caller) before its commit has returned.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from etl_runner.arn import execution_arn
from etl_runner.clock import Clock
from etl_runner.engine.ids import IdSource
from etl_runner.engine.knocks import Item, Knock, LedgerEntry, MapRunNudge, Started, StartRequest
from etl_runner.engine.live import Definitions, Live, LiveCache
from etl_runner.errors import Conflict, StoreError
from etl_runner.jsontypes import Json, dumps_canonical
from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.codec import FORMAT, encode_page
from etl_runner.machine.decide import decide, start
from etl_runner.machine.state import Status, fold
from etl_runner.store.store import ExecutionRow, Store
from etl_runner.store.unit import Row, Unit

_log = structlog.get_logger("engine")

CAUSE_SHOWN: Final = 32_768


class TurnVoid(Exception):  # noqa: N818 -- not an error of anyone's: the turn is taken again in pieces
    """What this turn has decided must be thrown away."""


@dataclass(slots=True)
class Turn:
    """What one turn has decided: the unit to commit, and what follows once it is committed."""

    now_ms: int
    unit: Unit = field(default_factory=Unit)
    touched: dict[int, Live] = field(default_factory=dict)
    started: list[tuple[StartRequest, Started]] = field(default_factory=list)
    answers: list[tuple[Knock, bool]] = field(default_factory=list)
    entries: list[LedgerEntry] = field(default_factory=list)
    refused: list[tuple[StartRequest, Exception]] = field(default_factory=list)
    nudged: list[int] = field(default_factory=list)


def input_hash(value: Json) -> str:
    """What tells one input from another when a name is used again."""
    return hashlib.sha256(dumps_canonical(value)).hexdigest()


class TurnMaker:
    """Decides turns. Owned by the engine's thread; nothing here is locked."""

    def __init__(
        self, store: Store, cache: LiveCache, definitions: Definitions, clock: Clock, rng: random.Random
    ) -> None:
        self._store = store
        self._cache = cache
        self._definitions = definitions
        self._clock = clock
        self._rng = rng
        self._ids = IdSource(rng)

    def new_id(self) -> int:
        """An id for an execution or a map run."""
        return self._ids.next(self._clock.now_ms())

    def begin(self) -> Turn:
        """An empty turn, at the present time."""
        return Turn(now_ms=self._clock.now_ms())

    def take(self, turn: Turn, items: Sequence[Item]) -> None:
        """Decide all items. Raises StoreError when something cannot be loaded; then the turn is void."""
        requests = [item for item in items if isinstance(item, StartRequest)]
        if requests:
            self._start_all(turn, requests)
        for item in items:
            if isinstance(item, Knock):
                self._knock(turn, item)
            elif isinstance(item, LedgerEntry):
                turn.unit.ticks.extend(item.ticks)
                turn.unit.event_matches.extend(item.event_matches)
                turn.unit.schedule_states.extend(item.schedule_states)
                turn.entries.append(item)
            elif isinstance(item, MapRunNudge):
                turn.nudged.append(item.map_run_id)

    # --- starting -----------------------------------------------------------------------------------------

    def _start_all(self, turn: Turn, requests: Sequence[StartRequest]) -> None:
        """Start executions, each name once: in the store, and within this turn."""
        names = [(request.state_machine_arn, request.name) for request in requests]
        known: dict[tuple[str, str], ExecutionRow | Live] = {}
        for at in range(0, len(names), 200):
            for row in self._store.executions_by_name(names[at : at + 200]):
                known[row.state_machine_arn, row.name] = row
        for request, name in zip(requests, names, strict=True):
            found = known.get(name)
            if found is None:
                try:
                    known[name] = self._start(turn, request)
                except StoreError:
                    raise
                except Exception as error:  # noqa: BLE001 -- one request's fault must not stop the others
                    _log.exception("an execution could not be started", name=request.name)
                    turn.refused.append((request, error))
                continue
            self._found(turn, request, found)

    def _found(self, turn: Turn, request: StartRequest, found: ExecutionRow | Live) -> None:
        """The name is taken. The same input is the same request (StartExecution is idempotent so)."""
        same = found.input_sha256 == input_hash(request.input)
        if same or request.tick is not None or request.event_match is not None:
            started_ms = found.machine.started_ms if isinstance(found, Live) else found.started_ms
            answer = Started(execution_id=found.id, arn=found.arn, started_ms=started_ms, existed=True)
            self._ledger(turn, request, "exists", found.arn)
            turn.started.append((request, answer))
        else:
            turn.refused.append(
                (
                    request,
                    Conflict(
                        f"an execution named {request.name!r} of {request.state_machine_name} exists with "
                        "another input; choose another name"
                    ),
                )
            )

    def _start(self, turn: Turn, request: StartRequest) -> Live:
        arn = execution_arn(request.state_machine_arn, request.name)
        live = self.new_execution(
            turn,
            s.Start(
                execution_arn=arn,
                name=request.name,
                state_machine_arn=request.state_machine_arn,
                state_machine_name=request.state_machine_name,
                input=request.input,
                role_arn=request.role_arn,
            ),
            definition_id=request.definition_id,
            origin=request.origin,
        )
        self._ledger(turn, request, "started", arn)
        turn.started.append((request, Started(execution_id=live.id, arn=arn, started_ms=turn.now_ms)))
        return live

    def new_execution(
        self,
        turn: Turn,
        stimulus: s.Start,
        *,
        definition_id: int,
        origin: str,
        map_run_id: int | None = None,
    ) -> Live:
        """Make an execution, its first facts decided, its row to be written with this turn."""
        definition = self._definitions.get(definition_id)
        machine, facts = start(definition, stimulus, turn.now_ms, self._rng)
        live = Live(
            id=self.new_id(),
            arn=stimulus.execution_arn,
            state_machine_arn=stimulus.state_machine_arn,
            name=stimulus.name,
            origin=origin,
            input_sha256=input_hash(stimulus.input),
            definition_id=definition_id,
            definition=definition,
            machine=machine,
            map_run_id=map_run_id,
            item_index=stimulus.item_index,
            new=True,
            fresh=facts,
        )
        self._cache.add(live)
        turn.touched[live.id] = live
        return live

    @staticmethod
    def _ledger(turn: Turn, request: StartRequest, outcome: str, arn: str) -> None:
        if request.tick is not None:
            turn.unit.ticks.append({**request.tick, "outcome": outcome, "execution_arn": arn})
        if request.event_match is not None:
            turn.unit.event_matches.append({**request.event_match, "outcome": outcome, "execution_arn": arn})

    # --- stimuli ------------------------------------------------------------------------------------------

    def _knock(self, turn: Turn, knock: Knock) -> None:
        live = self._cache.get(knock.execution_id)
        if live is None:
            turn.answers.append((knock, False))
            return
        before = len(live.fresh)
        holder = _holder_state(live, knock) if knock.written else ""
        try:
            facts = decide(live.definition, live.machine, knock.stimulus, turn.now_ms, self._rng)
        except Exception as error:  # noqa: BLE001 -- a fault of ours must end this execution, not the service
            _log.exception("the machine broke down", execution=live.arn)
            facts = self._break_down(turn, live, error)
        live.fresh.extend(facts)
        if facts:
            turn.touched[live.id] = live
            if knock.written:
                _record_written(turn, live, knock, facts, holder)
        turn.answers.append((knock, len(live.fresh) > before))

    def _break_down(self, turn: Turn, live: Live, error: Exception) -> list[f.Fact]:
        """Fold the execution afresh (decide left it half changed) and end it with the reason.

        Raises TurnVoid when the execution has other facts in this turn: then its items are taken one by one.
        """
        turn.touched[live.id] = live  # whatever comes of it, this machine is not to be used again as it is
        if live.new or live.fresh:
            raise TurnVoid(f"{live.arn} broke down in the middle of a turn") from error
        live.machine = fold(self._store.pages(live.id))
        stimulus = s.Breakdown(cause=breakdown_cause(error))
        return decide(live.definition, live.machine, stimulus, turn.now_ms, self._rng)

    # --- rows ---------------------------------------------------------------------------------------------

    def seal(self, turn: Turn) -> None:
        """Turn the touched executions into rows."""
        unit = turn.unit
        for live in turn.touched.values():
            if not live.fresh:
                continue
            machine = live.machine
            unit.pages.append(
                {
                    "execution_id": live.id,
                    "seq": machine.facts - len(live.fresh),
                    "at_ms": turn.now_ms,
                    "format": FORMAT,
                    "data": encode_page(live.fresh),
                }
            )
            working, wake = live.working, machine.wake_at_ms()
            if live.new:
                unit.executions.append(_execution_row(live, turn.now_ms, working=working, wake_at_ms=wake))
            elif (
                working != live.kept_working
                or wake != live.kept_wake_ms
                or machine.status is not Status.RUNNING
            ):
                unit.execution_changes.append(
                    {"b_id": live.id} | _changing(live, turn.now_ms, working=working, wake_at_ms=wake)
                )
            live.kept_working, live.kept_wake_ms = working, wake


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
    return {
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
    } | _changing(live, now_ms, working=working, wake_at_ms=wake_at_ms)
