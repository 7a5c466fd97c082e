"""Map runs: children of a Distributed Map, started as there is room, until all have ended.

The engine's thread owns everything here. A run's children, its position in the items and the facts of the
executions that gave way to them are committed in one transaction, so a crash neither skips an item nor
starts one twice. Whether all children have ended is asked of the store, not counted.
"""

import random
from collections.abc import Callable, Container, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final

import structlog

from etl_runner.arn import child_execution_arn
from etl_runner.asl import model
from etl_runner.aws import AwsAccess
from etl_runner.engine.decided import Turn
from etl_runner.engine.feeder import Feeder
from etl_runner.engine.knocks import Item, Knock, MapRunNudge
from etl_runner.engine.live import Live, LiveCache
from etl_runner.engine.map_results import gather
from etl_runner.engine.turn import TurnMaker
from etl_runner.errors import StatesError, StoreError, StoreUnavailable
from etl_runner.jsontypes import Json, dumps_text, loads
from etl_runner.machine import stimuli as s
from etl_runner.machine.facts import Token
from etl_runner.machine.map_plan import run_arn
from etl_runner.machine.state import OpenMapRun, Status
from etl_runner.store.store import MapRunRow, Store
from etl_runner.store.unit import Row

_log = structlog.get_logger("map-run")

DEFAULT_CONCURRENCY: Final = 1_000
"""How many children a map run without MaxConcurrency may have at once on this node."""

CHILDREN_PER_TURN: Final = 200
THRESHOLD_EXCEEDED: Final = "States.ExceedToleratedFailureThreshold"


@dataclass(slots=True)
class Run:
    """One map run in memory. `taken` counts the children made of the feeder's next page."""

    row: MapRunRow
    parent: Live
    token: Token
    state: model.MapState
    plan: Json
    feeder: Feeder
    open: set[int] = field(default_factory=set)
    succeeded: int = 0
    failed: int = 0
    position: Json = None
    taken: int = 0
    next_index: int = 0
    read_all: bool = False
    failure: StatesError | None = None
    finishing: bool = False
    nudged: bool = False

    @property
    def room(self) -> int:
        """How many more children may be open."""
        return int(self.plan["concurrency"] or DEFAULT_CONCURRENCY) - len(self.open)


class MapRuns:
    """All map runs of this process."""

    def __init__(
        self,
        *,
        store: Store,
        aws: AwsAccess,
        knock: Callable[[Item], None],
        workers: Executor,
        rng: random.Random,
    ) -> None:
        self._store = store
        self._aws = aws
        self._knock = knock
        self._workers = workers
        self._rng = rng
        self._runs: dict[int, Run] = {}
        self._by_token: dict[tuple[int, Token], int] = {}
        self._changed: set[int] = set()
        self._to_begin: set[int] = set()
        self._to_stop: set[tuple[int, Token]] = set()
        self._stopped = False

    def __len__(self) -> int:
        return len(self._runs)

    # --- in a turn, before the commit ---------------------------------------------------------------------

    def catch_up(self, cache: LiveCache) -> None:
        """Do what earlier turns left to be done and what needs the store. Raises StoreUnavailable."""
        while self._to_begin and not self._stopped:
            execution_id = next(iter(self._to_begin))
            live = cache.get(execution_id)
            for _, work in [] if live is None else live.machine.open_work():
                if live is not None and isinstance(work, OpenMapRun):
                    self._begin(live, work)
            self._to_begin.discard(execution_id)
        while self._to_stop:
            execution_id, token = next(iter(self._to_stop))
            row = self._store.map_run(execution_id, token)
            self._knock_stops([] if row is None else self._store.open_children(row.id))
            self._to_stop.discard((execution_id, token))

    def register(self, turn: Turn, maker: TurnMaker, live: Live, token: Token, plan: Json) -> None:
        """A map run is being opened: its row is written with the fact that opens it."""
        run_id = maker.new_id()
        turn.unit.map_runs.append(
            {
                "id": run_id,
                "arn": run_arn(live.arn, plan, token),
                "execution_id": live.id,
                "token": token,
                "status": "RUNNING",
                "started_ms": turn.now_ms,
                "stopped_ms": None,
            }
        )

    def close(self, turn: Turn, live: Live, token: Token, status: str) -> None:
        """The parent has closed the map run's token: note how it ended."""
        for opened in turn.unit.map_runs:
            if (opened["execution_id"], opened["token"]) == (live.id, token):
                opened["status"], opened["stopped_ms"] = status, turn.now_ms
                return
        run = self._of(live.id, token)
        row = run.row if run is not None else self._store.map_run(live.id, token)
        if row is not None:
            turn.unit.map_run_changes.append(_change(row, run, status=status, stopped_ms=turn.now_ms))

    def refill(self, turn: Turn, maker: TurnMaker) -> None:
        """Start children where there is room."""
        for run in list(self._runs.values()):
            wanted = run.failure is None and run.token in run.parent.machine.tokens
            if wanted and run.room > 0 and not run.read_all:
                self._refill(turn, maker, run)

    def _refill(self, turn: Turn, maker: TurnMaker, run: Run) -> None:
        started = 0
        while run.room > 0 and started < CHILDREN_PER_TURN:
            page = run.feeder.peek()
            if page is None:
                break
            self._changed.add(run.row.id)
            part = page.inputs[run.taken : run.taken + min(run.room, CHILDREN_PER_TURN - started)]
            if not all(self._start_child(turn, maker, run, child_input) for child_input in part):
                break
            started += len(part)
            run.taken += len(part)
            if run.taken < len(page.inputs):
                run.position = {**page.position, "skip": int(page.position["skip"]) + run.taken}
                break
            run.position, run.taken, run.read_all = page.after, 0, page.last
            run.feeder.pop()
            if run.read_all:
                break
        if started or run.read_all:
            turn.unit.map_run_changes.append(_change(run.row, run, status="RUNNING", stopped_ms=None))
        if run.read_all or started == CHILDREN_PER_TURN:
            # There is more to start; or the last have ended already, or there was none at all: look again.
            self._nudge(run)

    def _start_child(self, turn: Turn, maker: TurnMaker, run: Run, child_input: Json) -> bool:
        """Start one child. False when that is not possible; the run has failed then."""
        parent, label = run.parent, run.plan["label"]
        name = f"{run.row.id:x}-{run.next_index}"
        stimulus = s.Start(
            execution_arn=child_execution_arn(parent.state_machine_arn, label, name),
            name=name,
            state_machine_arn=f"{parent.state_machine_arn}/{label}",
            state_machine_name=parent.machine.start.state_machine_name,
            role_arn=parent.machine.start.role_arn,
            input=child_input,
            scope=run.state.processor,
            item_index=run.next_index,
        )
        try:
            child = maker.new_execution(
                turn, stimulus, definition_id=parent.definition_id, origin="map", map_run_id=run.row.id
            )
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 -- one item's fault must not stop every turn that comes
            _log.exception("a child of a map run could not be started", map_run=run.row.arn, child=name)
            cause = f"the child {name} could not be started: {type(error).__name__}: {error}"
            self._fail(run, StatesError("States.Runtime", cause))
            return False
        run.open.add(child.id)
        run.next_index += 1
        return True

    # --- after the commit ---------------------------------------------------------------------------------

    def committed(self) -> None:
        """What was changed since the last commit is on the disk."""
        self._changed.clear()

    def begin_soon(self, execution_id: int) -> None:
        """Begin the open map runs of an execution with the next turn."""
        if not self._stopped:
            self._to_begin.add(execution_id)
            self._knock(MapRunNudge(map_run_id=0))

    def _begin(self, live: Live, work: OpenMapRun) -> None:
        """Begin a map run, or go on with it after a restart: the row says how far it had come."""
        row = self._store.map_run(live.id, work.token)
        if row is None or row.id in self._runs:
            return
        frame = live.machine.frames[live.machine.tokens[work.token]]
        state = live.definition.scopes[frame.scope].states[frame.state or ""]
        assert isinstance(state, model.MapState)
        position = None if row.cursor is None else loads(row.cursor)
        feeder = Feeder(
            state=state,
            plan=work.plan,
            source=None if row.source is None else loads(row.source),
            position=position,
            aws=self._aws,
            nudge=lambda: self._knock(MapRunNudge(map_run_id=row.id)),
            rng=random.Random(self._rng.getrandbits(64)),  # noqa: S311 -- the feeder's thread needs its own
        )
        counts = self._store.children_by_status(row.id)
        run = Run(
            row=row,
            parent=live,
            token=work.token,
            state=state,
            plan=work.plan,
            feeder=feeder,
            open=set(self._store.open_children(row.id)),
            succeeded=counts.get("SUCCEEDED", 0),
            failed=sum(n for status, n in counts.items() if status not in {"SUCCEEDED", "RUNNING"}),
            position=position,
            next_index=row.next_index,
            read_all=row.read_all,
        )
        self._runs[row.id] = run
        self._by_token[live.id, work.token] = row.id
        if not run.read_all:
            feeder.start()
        self._nudge(run)

    def child_ended(self, child: Live) -> None:
        """A child's end is committed."""
        run = self._runs.get(child.map_run_id or 0)
        if run is None:
            return
        run.open.discard(child.id)
        if child.machine.status is Status.SUCCEEDED:
            run.succeeded += 1
        else:
            run.failed += 1
        self._nudge(run)

    def look(self, run_id: int) -> None:
        """See whether a run has failed or has come to its end."""
        run = self._runs.get(run_id)
        if run is None:
            return
        run.nudged = False
        if run.finishing or self._stopped:
            return
        if run.failure is None:
            failure = run.feeder.failure or self._over_tolerance(run)
            if failure is not None:
                self._fail(run, failure)
        if run.open or not (run.read_all or run.failure is not None):
            return
        if self._store.children_by_status(run_id).get("RUNNING", 0):
            return
        run.finishing = True
        run.failure = run.failure or self._over_tolerance(run)
        if run.failure is not None:
            self._answer(run, run.failure)
        else:
            self._workers.submit(self._finish, run)

    def cancel(self, execution_id: int, token: Token) -> None:
        """The parent wants no more of it: stop reading, stop the children."""
        run = self._of(execution_id, token)
        if run is None:
            self._to_stop.add((execution_id, token))
            self._knock(MapRunNudge(map_run_id=0))
        else:
            self._knock_stops(run.open)
            self._forget(run)

    def void(self, touched: Container[int]) -> None:
        """A commit has failed: runs that were changed are begun again from where the store says they are."""
        for run in list(self._runs.values()):
            if run.row.id in self._changed or run.parent.id in touched:
                self._forget(run)
                self._to_begin.add(run.parent.id)
        self._changed.clear()

    def forget_closed(self, execution_id: int, token: Token) -> None:
        """The parent has taken the run's answer."""
        run = self._of(execution_id, token)
        if run is not None:
            self._forget(run)

    def stop(self) -> None:
        """The process is ending: read no further. What is open goes on after the restart. Any thread."""
        self._stopped = True
        for run in list(self._runs.values()):
            run.feeder.stop()

    def _finish(self, run: Run) -> None:
        try:
            output = gather(self._store, self._aws, run.row, run.plan)
            self._knock(
                Knock(execution_id=run.parent.id, stimulus=s.MapRunSuccess(token=run.token, output=output))
            )
        except StatesError as error:
            self._answer(run, error)
        except StoreUnavailable:
            run.finishing = False  # the next look asks the store too, and so waits until it can be read
            self._knock(MapRunNudge(map_run_id=run.row.id))
        except Exception as error:  # noqa: BLE001 -- a store or S3 fault that retries did not mend
            _log.exception("the results of a map run could not be written", map_run=run.row.arn)
            self._answer(run, StatesError("States.ResultWriterFailed", f"{type(error).__name__}: {error}"))

    def _answer(self, run: Run, error: StatesError) -> None:
        stimulus = s.MapRunFailure(token=run.token, error=error.error, cause=error.cause)
        self._knock(Knock(execution_id=run.parent.id, stimulus=stimulus))

    def _fail(self, run: Run, failure: StatesError) -> None:
        """The run has failed: its children are stopped, and its parent is told when all have ended."""
        run.failure = failure
        run.feeder.stop()
        self._knock_stops(run.open)
        self._nudge(run)

    def _nudge(self, run: Run) -> None:
        if not run.nudged:
            run.nudged = True
            self._knock(MapRunNudge(map_run_id=run.row.id))

    def _knock_stops(self, children: Iterable[int]) -> None:
        for child_id in sorted(children):
            stop = s.Stop(error="States.MapRunStopped", cause="the map run was stopped")
            self._knock(Knock(execution_id=child_id, stimulus=stop))

    def _forget(self, run: Run) -> None:
        run.feeder.stop()
        self._runs.pop(run.row.id, None)
        self._by_token.pop((run.parent.id, run.token), None)

    def _of(self, execution_id: int, token: Token) -> Run | None:
        run_id = self._by_token.get((execution_id, token))
        return None if run_id is None else self._runs.get(run_id)

    @staticmethod
    def _over_tolerance(run: Run) -> StatesError | None:
        """Source: developer guide, "Setting failure thresholds for Distributed Map states"."""
        tolerated = run.plan["tolerated"]
        count, percentage = tolerated.get("count"), tolerated["percentage"]
        over = count is not None and run.failed > count
        if count is None or percentage:
            if percentage == 0:
                over = over or run.failed > 0
            elif run.read_all:
                over = over or run.failed * 100 > percentage * run.next_index
        if not over:
            return None
        return StatesError(THRESHOLD_EXCEEDED, "The specified tolerated failure threshold was exceeded")


def _change(row: MapRunRow, run: Run | None, *, status: str, stopped_ms: int | None) -> Row:
    if run is None:
        return {
            "b_id": row.id,
            "status": status,
            "stopped_ms": stopped_ms,
            "source": row.source,
            "cursor": row.cursor,
            "next_index": row.next_index,
            "read_all": row.read_all,
        }
    source = run.feeder.source
    return {
        "b_id": row.id,
        "status": status,
        "stopped_ms": stopped_ms,
        "source": None if source is None else dumps_text(source),
        "cursor": None if run.position is None else dumps_text(run.position),
        "next_index": run.next_index,
        "read_all": run.read_all,
    }
