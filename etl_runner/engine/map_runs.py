"""Map runs: children of a Distributed Map, started as there is room, until all have ended.

The engine's thread owns everything here. A run's children, its position in the items and the facts of the
executions that gave way to them are committed in one transaction, so a crash neither skips an item nor
starts one twice. Whether all children have ended is asked of the store, not counted.
"""

import random
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final

import structlog

from etl_runner.arn import child_execution_arn
from etl_runner.asl import model
from etl_runner.aws import AwsAccess
from etl_runner.engine.feeder import Feeder
from etl_runner.engine.knocks import Item, Knock, MapRunNudge
from etl_runner.engine.live import Live
from etl_runner.engine.map_results import gather
from etl_runner.engine.turn import Turn, TurnMaker
from etl_runner.errors import StatesError
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

    def __len__(self) -> int:
        return len(self._runs)

    # --- in a turn, before the commit ---------------------------------------------------------------------

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
            }
        )

    def close(self, turn: Turn, live: Live, token: Token, status: str) -> None:
        """The parent has closed the map run's token: note how it ended."""
        run = self._of(live.id, token)
        row = run.row if run is not None else self._store.map_run(live.id, token)
        if row is not None:
            turn.unit.map_run_changes.append(_change(row, run, status=status, stopped_ms=turn.now_ms))

    def refill(self, turn: Turn, maker: TurnMaker) -> bool:
        """Start children where there is room. True when there may be more to start at once."""
        more = False
        for run in list(self._runs.values()):
            if run.failure is None and run.room > 0 and not run.read_all:
                more = self._refill(turn, maker, run) or more
        return more

    def _refill(self, turn: Turn, maker: TurnMaker, run: Run) -> bool:
        started = 0
        while run.room > 0 and started < CHILDREN_PER_TURN:
            page = run.feeder.peek()
            if page is None:
                break
            part = page.inputs[run.taken : run.taken + min(run.room, CHILDREN_PER_TURN - started)]
            for child_input in part:
                self._start_child(turn, maker, run, child_input)
            started += len(part)
            run.taken += len(part)
            if run.taken < len(page.inputs):
                run.position = {**page.position, "skip": int(page.position["skip"]) + run.taken}
                break
            run.position, run.taken, run.read_all = page.after, 0, page.last
            run.feeder.pop()
            if run.read_all:
                # Its last children may have ended already, or there was none: look once this is committed.
                self._knock(MapRunNudge(map_run_id=run.row.id))
                break
        if started or run.read_all:
            turn.unit.map_run_changes.append(_change(run.row, run, status="RUNNING", stopped_ms=None))
        return started == CHILDREN_PER_TURN

    def _start_child(self, turn: Turn, maker: TurnMaker, run: Run, child_input: Json) -> None:
        parent, label = run.parent, run.plan["label"]
        name = f"{run.row.id:x}-{run.next_index}"
        child = maker.new_execution(
            turn,
            s.Start(
                execution_arn=child_execution_arn(parent.state_machine_arn, label, name),
                name=name,
                state_machine_arn=f"{parent.state_machine_arn}/{label}",
                state_machine_name=parent.machine.start.state_machine_name,
                role_arn=parent.machine.start.role_arn,
                input=child_input,
                scope=run.state.processor,
                item_index=run.next_index,
            ),
            definition_id=parent.definition_id,
            origin="map",
            map_run_id=run.row.id,
        )
        run.open.add(child.id)
        run.next_index += 1

    # --- after the commit ---------------------------------------------------------------------------------

    def begin(self, live: Live, work: OpenMapRun) -> None:
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
        self._knock(MapRunNudge(map_run_id=row.id))

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
        self.look(run.row.id)

    def look(self, run_id: int) -> None:
        """See whether a run has failed or has come to its end."""
        run = self._runs.get(run_id)
        if run is None or run.finishing:
            return
        if run.failure is None:
            run.failure = run.feeder.failure or self._over_tolerance(run)
            if run.failure is not None:
                self._stop_children(run)
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
        if run is not None:
            self._stop_children(run)
            self._forget(run)

    def void(self) -> set[int]:
        """A commit has failed: forget what was decided since. Gives the parents, to be begun again."""
        parents = {run.parent.id for run in self._runs.values()}
        for run in list(self._runs.values()):
            self._forget(run)
        return parents

    def forget_closed(self, execution_id: int, token: Token) -> None:
        """The parent has taken the run's answer."""
        run = self._of(execution_id, token)
        if run is not None:
            self._forget(run)

    def stop(self) -> None:
        """The process is ending: read no further. What is open goes on after the restart."""
        for run in self._runs.values():
            run.feeder.stop()

    def _finish(self, run: Run) -> None:
        try:
            output = gather(self._store, self._aws, run.row, run.plan)
            self._knock(
                Knock(execution_id=run.parent.id, stimulus=s.MapRunSuccess(token=run.token, output=output))
            )
        except StatesError as error:
            self._answer(run, error)
        except Exception as error:  # noqa: BLE001 -- a store or S3 fault that retries did not mend
            _log.exception("the results of a map run could not be written", map_run=run.row.arn)
            self._answer(run, StatesError("States.ResultWriterFailed", f"{type(error).__name__}: {error}"))

    def _answer(self, run: Run, error: StatesError) -> None:
        stimulus = s.MapRunFailure(token=run.token, error=error.error, cause=error.cause)
        self._knock(Knock(execution_id=run.parent.id, stimulus=stimulus))

    def _stop_children(self, run: Run) -> None:
        run.feeder.stop()
        for child_id in sorted(run.open):
            stop = s.Stop(error="States.MapRunStopped", cause="the map run was stopped")
            self._knock(Knock(execution_id=child_id, stimulus=stop))

    def _forget(self, run: Run) -> None:
        run.feeder.stop()
        self._runs.pop(run.row.id, None)
        self._by_token.pop((run.parent.id, run.token), None)

    def has(self, execution_id: int, token: Token) -> bool:
        """Whether this token is a map run's."""
        return (execution_id, token) in self._by_token

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
