"""Map runs: children of a Distributed Map, started as there is room, until all have ended.

The engine's thread owns everything here. A run's children, its position in the items and the facts of the
executions that gave way to them are committed in one transaction, so a crash neither skips an item nor
starts one twice. Whether all children have ended is asked of the store, not counted.
"""

import random
from collections import Counter
from collections.abc import Callable, Container, Iterable
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any, Final

import structlog

from etl_runner.asl import model
from etl_runner.aws import AwsAccess
from etl_runner.engine.decided import Turn
from etl_runner.engine.feeder import Feeder
from etl_runner.engine.knocks import Item, Knock, MapRunNudge, MapRunUpdate
from etl_runner.engine.live import Live, LiveCache
from etl_runner.engine.map_children import Children
from etl_runner.engine.map_results import gather
from etl_runner.engine.map_run import STOPPED, UPDATABLE, Run, change, insertion, opened, redriven
from etl_runner.engine.turn import TurnMaker
from etl_runner.errors import Conflict, StatesError, StoreUnavailable
from etl_runner.jsontypes import Json, loads
from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.facts import Token
from etl_runner.machine.limits import AWS, Limits
from etl_runner.machine.map_plan import run_arn
from etl_runner.machine.state import OpenMapRun
from etl_runner.store.store import MapRunRow, Store
from etl_runner.store.tables import STATUSES
from etl_runner.store.unit import Row

_log = structlog.get_logger("map-run")

MOST_FAILED_COMMITS: Final = 5
"""A run whose children could not be committed so often, by themselves in the end, has failed."""


class MapRunNotRunning(Conflict):
    """The map run has ended, so that nothing of it can be changed."""


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
        limits: Limits = AWS,
    ) -> None:
        self._limits = limits
        self._store = store
        self._aws = aws
        self._knock = knock
        self._workers = workers
        self._rng = rng
        self._runs: dict[int, Run] = {}
        self._by_token: dict[tuple[int, Token], int] = {}
        self._changed: set[int] = set()
        self._fresh: dict[tuple[int, Token], Row] = {}
        self._to_begin: set[int] = set()
        self._to_stop: set[tuple[int, Token]] = set()
        self._failed_commits: Counter[int] = Counter()
        self._children = Children(store, self._fail, self._nudge)
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
            self._knock_stops(() if row is None else self._store.open_children(row.id))
            self._to_stop.discard((execution_id, token))

    def register(self, turn: Turn, maker: TurnMaker, live: Live, token: Token, plan: Json) -> None:
        """A map run is being opened: its row is written with the fact that opens it."""
        row = insertion(opened(maker.new_id(), live, token, plan, turn.now_ms))
        self._fresh[live.id, token] = row
        turn.unit.map_runs.append(row)

    def reopen(self, turn: Turn, live: Live, fact: f.MapRunRedriven) -> None:
        """A map run is being taken up again. Raises StoreUnavailable."""
        row = self._store.map_run_by_arn(run_arn(live.arn, fact.plan, fact.run))
        if row is not None:
            changed = change(redriven(row, fact.token, fact.count, turn.now_ms))
            self._fresh[live.id, fact.token] = changed
            turn.unit.map_run_changes.append(changed)

    def close(self, turn: Turn, live: Live, token: Token, status: str) -> None:
        """The parent has closed the map run's token: note how it ended."""
        fresh = self._fresh.get((live.id, token))
        if fresh is not None:
            fresh.update(status=status, stopped_ms=turn.now_ms)
            return
        run = self._of(live.id, token)
        if run is not None:
            run.save(turn, status=status, stopped_ms=turn.now_ms, results_written=run.results_written)
            return
        row = self._store.map_run(live.id, token)
        if row is not None:
            closed = replace(row, status=status, stopped_ms=turn.now_ms)
            turn.unit.map_run_changes.append(change(closed))

    def refill(self, turn: Turn, maker: TurnMaker) -> None:
        """Start children where there is room. Raises StoreError.

        After a commit that failed, the runs that were in it take turns, so that the one at fault is found.
        """
        suspects = [self._runs[run_id] for run_id in self._failed_commits if run_id in self._runs]
        if any(self._refill(turn, maker, run) for run in suspects):
            return
        for run in list(self._runs.values()):
            self._refill(turn, maker, run)

    def _refill(self, turn: Turn, maker: TurnMaker, run: Run) -> bool:
        wanted = run.failure is None and run.token in run.parent.machine.tokens
        if not wanted or run.room <= 0 or run.all_started:
            return False
        known = run.row.id in self._changed
        self._changed.add(run.row.id)
        changed = self._children.refill(turn, maker, run)
        if not changed and not known:
            self._changed.discard(run.row.id)
        return changed

    def take(self, turn: Turn) -> None:
        """Do what was asked for of map runs: change their bounds, see how they stand. Raises StoreError."""
        for update in turn.map_run_updates:
            self._update(turn, update)
        for run_id in turn.nudged:
            self.look(run_id)

    def _update(self, turn: Turn, update: MapRunUpdate) -> None:
        changes = {name: value for name, value in update.changes.items() if name in UPDATABLE}
        run = self._runs.get(update.map_run_id)
        if run is not None and run.token in run.parent.machine.tokens:
            self._changed.add(run.row.id)
            run.save(turn, **_whole(run.row, run.plan, changes))
            turn.results.append((update.done, None))
            self._nudge(run)
            return
        row = self._store.map_run_by_id(update.map_run_id)
        if row is None or row.status != "RUNNING":
            refusal = MapRunNotRunning("the map run is not running, so nothing of it can be changed")
            turn.refused.append((update, refusal))
            return
        turn.unit.map_run_changes.append(change(replace(row, **changes)))
        turn.results.append((update.done, None))

    # --- after the commit ---------------------------------------------------------------------------------

    def committed(self) -> None:
        """What was changed since the last commit is on the disk."""
        for run_id in self._changed:
            self._failed_commits.pop(run_id, None)
        self._changed.clear()
        self._fresh.clear()

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
        feeder = Feeder(
            state=state,
            plan=work.plan,
            source=None if row.source is None else loads(row.source),
            position=None if row.cursor is None else loads(row.cursor),
            aws=self._aws,
            nudge=lambda: self._knock(MapRunNudge(map_run_id=row.id)),
            rng=random.Random(self._rng.getrandbits(64)),  # noqa: S311 -- the feeder's thread needs its own
            limit_bytes=self._limits.payload_bytes,
        )
        run = Run(
            row=row,
            parent=live,
            state=state,
            plan=work.plan,
            feeder=feeder,
            next_index=row.next_index,
            # Earlier releases did not count items, and tolerated children.
            items_started=row.next_index if row.max_concurrency is None else row.items_started,
            open=self._store.open_children(row.id),
        )
        run.failed, run.failed_items = self._lost(row)
        self._runs[row.id] = run
        self._by_token[live.id, work.token] = row.id
        self._give_up(run)
        if not row.read_all and run.failure is None:
            feeder.start()
        self._nudge(run)

    def _lost(self, row: MapRunRow) -> tuple[int, int]:
        """How many children did not succeed, and their items; those to be redriven left out."""
        counts = self._store.children_by_status(row.id)
        waiting = {}
        if row.redrive_next < row.redrive_until:
            waiting = self._store.children_by_status(row.id, first=row.redrive_next, until=row.redrive_until)
        children = items = 0
        for status in STATUSES:
            if status not in {"SUCCEEDED", "RUNNING"}:
                for sign, found in ((1, counts.get(status)), (-1, waiting.get(status))):
                    children += 0 if found is None else sign * found.children
                    items += 0 if found is None else sign * found.items
        return children, items

    def child_ended(self, child: Live) -> None:
        """A child's end is committed."""
        run = self._runs.get(child.map_run_id or 0)
        if run is not None:
            run.ended(child)
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
            failure = run.feeder.failure or run.over_tolerance()
            if failure is not None:
                self._fail(run, failure)
        if run.open or not (run.all_started or run.failure is not None):
            return
        if "RUNNING" in self._store.children_by_status(run_id):
            return
        run.finishing = True
        run.failure = run.failure or run.over_tolerance()
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

    def void(self, touched: Container[int], error: BaseException) -> None:
        """A commit has failed: runs that were changed are begun again from where the store says they are."""
        for run in list(self._runs.values()):
            if run.row.id in self._changed and not isinstance(error, StoreUnavailable):
                self._failed_commits[run.row.id] += 1
                _log.warning("children could not be committed", map_run=run.row.arn, error=str(error))
            if run.row.id in self._changed or run.parent.id in touched:
                self._forget(run)
                self._to_begin.add(run.parent.id)
        if self._to_begin and not self._stopped:
            self._knock(MapRunNudge(map_run_id=0))
        self._changed.clear()
        self._fresh.clear()

    def forget_closed(self, execution_id: int, token: Token) -> None:
        """The parent has taken the run's answer."""
        run = self._of(execution_id, token)
        if run is not None:
            self._failed_commits.pop(run.row.id, None)
            self._forget(run)

    def stop(self) -> None:
        """The process is ending: read no further. What is open goes on after the restart. Any thread."""
        self._stopped = True
        for run in list(self._runs.values()):
            run.feeder.stop()

    def _finish(self, run: Run) -> None:
        try:
            output = gather(self._store, self._aws, run, self._limits.payload_bytes)
            run.results_written = True
            if run.failure is not None:
                self._answer(run, run.failure)
                return
            self._knock(
                Knock(execution_id=run.parent.id, stimulus=s.MapRunSuccess(token=run.token, output=output))
            )
        except StatesError as error:
            self._answer(run, run.failure or error)
        except StoreUnavailable:
            run.finishing = False  # the next look asks the store too, and so waits until it can be read
            self._knock(MapRunNudge(map_run_id=run.row.id))
        except Exception as error:  # noqa: BLE001 -- a store or S3 fault that retries did not mend
            _log.exception("the results of a map run could not be written", map_run=run.row.arn)
            lost = StatesError("States.ResultWriterFailed", f"{type(error).__name__}: {error}")
            self._answer(run, run.failure or lost)

    def _answer(self, run: Run, error: StatesError) -> None:
        stimulus = s.MapRunFailure(token=run.token, error=error.error, cause=error.cause)
        self._knock(Knock(execution_id=run.parent.id, stimulus=stimulus))

    def _give_up(self, run: Run) -> None:
        """A run whose children cannot be committed fails; else they would be tried again for ever."""
        failed = self._failed_commits[run.row.id]
        if failed < MOST_FAILED_COMMITS:
            if not failed:
                del self._failed_commits[run.row.id]
            return
        _log.error("the children of a map run cannot be committed; it fails", map_run=run.row.arn)
        cause = f"its children from {run.next_index} on could not be committed; the log says why"
        self._fail(run, StatesError("States.Runtime", cause))

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
            stop = s.Stop(error=STOPPED, cause="the map run was stopped")
            self._knock(Knock(execution_id=child_id, stimulus=stop))

    def _forget(self, run: Run) -> None:
        run.feeder.stop()
        self._runs.pop(run.row.id, None)
        self._by_token.pop((run.parent.id, run.token), None)

    def _of(self, execution_id: int, token: Token) -> Run | None:
        run_id = self._by_token.get((execution_id, token))
        return None if run_id is None else self._runs.get(run_id)


def _whole(row: MapRunRow, plan: Json, changes: dict[str, Any]) -> dict[str, Any]:
    """Changes of a run, with what the row of an earlier release left to its plan."""
    if row.tolerated_percentage is not None:
        return changes
    tolerated = plan["tolerated"]
    given = {
        "max_concurrency": int(plan["concurrency"]),
        "tolerated_count": tolerated.get("count"),
        "tolerated_percentage": tolerated["percentage"],
    }
    return given | changes
