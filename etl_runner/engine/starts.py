"""Starting executions: each name once for what is kept, as often as asked for Express ones."""

import hashlib
import random
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog

from etl_runner.arn import execution_arn, express_execution_arn
from etl_runner.engine.decided import Turn
from etl_runner.engine.ids import IdSource
from etl_runner.engine.knocks import ExecutionExists, Started, StartRequest
from etl_runner.engine.live import Definitions, Live, LiveCache
from etl_runner.errors import Conflict, StoreError
from etl_runner.jsontypes import Json, dumps_canonical, dumps_text, loads
from etl_runner.machine import stimuli as s
from etl_runner.machine.decide import start
from etl_runner.machine.limits import Limits
from etl_runner.machine.state import Status
from etl_runner.store.outbox import ExpressStartRow
from etl_runner.store.store import ExecutionRow, Store
from etl_runner.store.unit import Row

_log = structlog.get_logger("engine")

_EXPRESS: Final = ":express:"
"""In the ARN of every Express execution, also of one that is kept because a task waits for it."""

_REMEMBERED: Final = (
    "state_machine_arn",
    "state_machine_name",
    "definition_id",
    "name",
    "input",
    "origin",
    "role_arn",
    "input_text",
    "state_machine_version_arn",
    "state_machine_alias_arn",
    "trace_header",
    "logging",
)
"""The fields of a StartRequest with which an Express execution can be started again."""


def input_hash(value: Json) -> str:
    """What tells one input from another when a name is used again."""
    return hashlib.sha256(dumps_canonical(value)).hexdigest()


class Starts:
    """Makes executions. Owned by the engine's thread."""

    def __init__(
        self,
        store: Store,
        cache: LiveCache,
        definitions: Definitions,
        rng: random.Random,
        limits: Limits,
    ) -> None:
        self._store = store
        self._cache = cache
        self._definitions = definitions
        self.ids = IdSource(rng)
        self._rng = rng
        self._limits = limits

    def take(self, turn: Turn, requests: Sequence[StartRequest]) -> None:
        """Start executions, each name once: in the store, and within this turn. Raises StoreError."""
        names = [(each.state_machine_arn, each.name) for each in requests if not each.express]
        known: dict[tuple[str, str], ExecutionRow | Live] = {}
        for at in range(0, len(names), 200):
            for row in self._store.executions_by_name(names[at : at + 200]):
                known[row.state_machine_arn, row.name] = row
        for request in requests:
            name = (request.state_machine_arn, request.name)
            found = None if request.express else known.get(name)
            if found is not None:
                self._found(turn, request, found)
                continue
            try:
                live = self._start(turn, request)
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 -- one request's fault must not stop the others
                _log.exception("an execution could not be started", name=request.name)
                turn.refused.append((request, error))
            else:
                if not request.express:
                    known[name] = live

    def _found(self, turn: Turn, request: StartRequest, found: ExecutionRow | Live) -> None:
        """The name is taken; see whether it is the same request again."""
        if _is_same(request, found):
            started_ms = found.machine.started_ms if isinstance(found, Live) else found.started_ms
            answer = Started(execution_id=found.id, arn=found.arn, started_ms=started_ms, existed=True)
            _to_ledger(turn, request, "exists", found.arn)
            turn.started.append((request, answer))
        elif request.reuse == "input":
            refusal = Conflict(
                f"an execution named {request.name!r} of {request.state_machine_name} exists with "
                "another input; choose another name"
            )
            turn.refused.append((request, refusal))
        else:
            turn.refused.append((request, ExecutionExists(found.arn)))

    def _start(self, turn: Turn, request: StartRequest) -> Live:
        arn = request.arn or self._arn(request)
        live = self.new_execution(
            turn,
            s.Start(
                execution_arn=arn,
                name=request.name,
                state_machine_arn=request.state_machine_arn,
                state_machine_name=request.state_machine_name,
                input=request.input,
                role_arn=request.role_arn,
                input_text=request.input_text,
                state_machine_version_arn=request.state_machine_version_arn,
                state_machine_alias_arn=request.state_machine_alias_arn,
                express=_EXPRESS in arn,
            ),
            definition_id=request.definition_id,
            origin=request.origin,
            request=request,
        )
        _to_ledger(turn, request, "started", arn)
        turn.started.append((request, Started(execution_id=live.id, arn=arn, started_ms=turn.now_ms)))
        return live

    def _arn(self, request: StartRequest) -> str:
        if not request.express:
            return execution_arn(request.state_machine_arn, request.name)
        unique = str(UUID(bytes=self._rng.randbytes(16), version=4))
        return express_execution_arn(request.state_machine_arn, request.name, unique)

    def new_execution(
        self,
        turn: Turn,
        stimulus: s.Start,
        *,
        definition_id: int,
        origin: str,
        map_run_id: int | None = None,
        logging: Json = None,
        request: StartRequest | None = None,
    ) -> Live:
        """Make an execution, its first facts decided, its row to be written with this turn."""
        express = request is not None and request.express
        definition = self._definitions.get(definition_id)
        tired = turn.patience.anew()
        machine, facts = start(definition, stimulus, turn.now_ms, self._rng, self._limits, tired)
        live = Live(
            id=self.ids.next(turn.now_ms),
            arn=stimulus.execution_arn,
            state_machine_arn=stimulus.state_machine_arn,
            name=stimulus.name,
            origin=origin,
            # Only of what has a name that may be asked for again: a child's is its item's number.
            input_sha256="" if express or map_run_id is not None else input_hash(stimulus.input),
            definition_id=definition_id,
            definition=definition,
            machine=machine,
            map_run_id=map_run_id,
            item_index=stimulus.item_index,
            new=True,
            fresh=facts,
            logging=asked_for(logging if request is None else request.logging),
            request=request,
            volatile=express,
            acknowledged=express and request is not None and request.arn is not None,
        )
        self._cache.add(live)
        turn.touched[live.id] = live
        return live


def _is_same(request: StartRequest, found: ExecutionRow | Live) -> bool:
    if request.tick is not None or request.event_match is not None:
        return True
    if request.reuse == "origin" and found.origin == request.origin:
        return True
    if found.input_sha256 != input_hash(request.input):
        return False
    status = found.machine.status if isinstance(found, Live) else found.status
    return request.reuse == "input" or status == Status.RUNNING


def _to_ledger(turn: Turn, request: StartRequest, outcome: str, arn: str) -> None:
    if request.tick is not None:
        turn.unit.ticks.append({**request.tick, "outcome": outcome, "execution_arn": arn})
    if request.event_match is not None:
        turn.unit.event_matches.append({**request.event_match, "outcome": outcome, "execution_arn": arn})


def asked_for(logging: Json) -> Json:
    """A logging configuration, None where it asks for nothing."""
    if not isinstance(logging, dict) or logging.get("level", "OFF") == "OFF":
        return None
    return logging if logging.get("destinations") else None


# --- Express ------------------------------------------------------------------------------------------------


def express_row(live: Live) -> Row:
    """The row with which an Express execution is run again after a crash."""
    assert live.request is not None
    remembered = {name: getattr(live.request, name) for name in _REMEMBERED}
    return {
        "id": live.id,
        "arn": live.arn,
        "started_ms": live.machine.started_ms,
        "request": dumps_text(remembered),
    }


def started_again(row: ExpressStartRow) -> StartRequest:
    """The request that lets an acknowledged Express execution run once more."""
    return StartRequest(**loads(row.request), express=True, arn=row.arn)
