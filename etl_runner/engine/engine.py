"""The engine: one thread that takes turns, and the doors through which everyone else reaches it.

Doors (any thread): `start`, `stop`, `record`, `submit`. Everything that changes an execution stands in one
inbox; the thread empties it, decides, commits once, and only then hands out tasks and answers callers.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Final

import structlog

from etl_runner.aws import AwsAccess
from etl_runner.clock import Clock, SystemClock
from etl_runner.engine.dispatch import Dispatcher
from etl_runner.engine.knocks import Item, Knock, LedgerEntry, Started, StartRequest
from etl_runner.engine.live import Definitions, Live, LiveCache
from etl_runner.engine.map_runs import MapRuns
from etl_runner.engine.timers import Timers
from etl_runner.engine.turn import Turn, TurnMaker, TurnVoid
from etl_runner.errors import Conflict, LostExecution, StoreError, StoreUnavailable
from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.state import OpenMapRun, OpenTask, Status
from etl_runner.store.store import Store
from etl_runner.tasks.contract import Invoker, Progress

_log = structlog.get_logger("engine")

MAX_TURN: Final = 500
"""At most so many items in a turn, so that the first of them does not wait for the last for too long."""

IDLE_S: Final = 0.5
"""How long an idle engine sleeps before it looks at heartbeats again."""

MAX_BACKOFF_S: Final = 5.0


class Engine:
    """Runs executions. `close` drains it; a killed one loses nothing that was acknowledged."""

    def __init__(
        self,
        *,
        store: Store,
        invoker: Invoker,
        aws: AwsAccess | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._store = store
        self._invoker = invoker
        self._clock = clock or SystemClock()
        rng = rng or random.SystemRandom()
        definitions = Definitions(store)
        self._cache = LiveCache(store, definitions)
        self._maker = TurnMaker(store, self._cache, definitions, self._clock, rng)
        self._timers = Timers(store)
        self._inbox: SimpleQueue[Item | None] = SimpleQueue()
        self._dispatcher = Dispatcher(invoker, self._inbox.put)
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="engine-io")
        self._map_runs = MapRuns(
            store=store,
            aws=aws or AwsAccess(),
            knock=self._inbox.put,
            workers=self._workers,
            rng=rng,
        )
        self._ends: defaultdict[int, list[Future[Status]]] = defaultdict(list)
        self._ends_lock = Lock()
        self._begin_again: set[int] = set()
        self._stopping = Event()
        self._parked = False
        self._trouble: str | None = None
        self._thread = Thread(target=self._run, name="engine", daemon=True)
        self.turns = 0
        self.transitions = 0

    # --- doors --------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Hand out again what was handed out when the last process ended, and begin to take turns."""
        self._recover()
        self._thread.start()

    def close(self, grace_s: float = 30.0) -> None:
        """Hand out nothing more, let what runs finish within `grace_s` seconds, commit it, and end.

        What does not finish in time stays open in the store and is handed out again at the next start.
        """
        self._parked = True
        self._map_runs.stop()
        self._invoker.close(grace_s)
        self._stopping.set()
        self._inbox.put(None)
        self._thread.join(timeout=grace_s + 10)
        self._workers.shutdown(wait=True, cancel_futures=True)
        with self._ends_lock:
            for futures in self._ends.values():
                for future in futures:
                    future.cancel()

    def start(self, request: StartRequest) -> Future[Started]:
        """Ask for an execution; the future is resolved once it is on the disk.

        It fails with Conflict when the name is taken by another input, or with what the definition's start
        state raised.
        """
        self._inbox.put(request)
        return request.done

    def stop(self, execution_id: int, *, error: str | None = None, cause: str | None = None) -> Future[bool]:
        """Ask for the end of an execution; True once it is committed, False when it had ended before."""
        done: Future[bool] = Future()
        stimulus = s.Stop(error=error, cause=cause)
        self._inbox.put(Knock(execution_id=execution_id, stimulus=stimulus, done=done))
        return done

    def record(self, entry: LedgerEntry) -> Future[bool]:
        """Commit ledger rows with the next turn."""
        self._inbox.put(entry)
        return entry.done

    def when_ended(self, execution_id: int) -> Future[Status]:
        """A future that gives the status with which an execution ends (at once when it has)."""
        future: Future[Status] = Future()
        with self._ends_lock:
            self._ends[execution_id].append(future)
        row = self._store.execution(execution_id)
        if row is None or row.status != Status.RUNNING:
            self._resolve_end(execution_id, Status(row.status) if row else Status.ABORTED)
        return future

    def progress_of(self, execution_arn: str) -> list[Progress]:
        """What the running tasks of an execution last said of their progress."""
        return self._dispatcher.progress_of(execution_arn)

    @property
    def trouble(self) -> str | None:
        """Why nothing can be committed at present; None when all is well."""
        return self._trouble

    # --- the thread ---------------------------------------------------------------------------------------

    def _recover(self) -> None:
        count = 0
        for execution_id in self._store.open_working():
            count += self._resume(execution_id)
        for execution_id in self._store.orphans():
            self._inbox.put(Knock(execution_id=execution_id, stimulus=s.Stop(error="States.MapRunStopped")))
        if count:
            _log.info("handed out again what was open", tasks=count)

    def _resume(self, execution_id: int) -> int:
        live = self._cache.get(execution_id)
        if live is None:
            return 0
        open_work = live.machine.open_work()
        for frame, work in open_work:
            if isinstance(work, OpenMapRun):
                self._map_runs.begin(live, work)
            elif not work.submitted:
                self._dispatcher.hand_out(live, frame, work)
        return len(open_work)

    def _run(self) -> None:
        backoff = 0.0
        waiting: list[Item] = []
        while True:
            waiting.extend(self._collect(0.0 if waiting else self._patience()))
            if self._stopping.is_set() and not waiting:
                return
            waiting.extend(self._dispatcher.lost_heartbeats())
            try:
                waiting.extend(self._timers.due(self._clock.now_ms()))
                self._turn(waiting)
                waiting, backoff = [], 0.0
                self._at_ease()
            except StoreError as error:
                backoff = min(backoff * 2 or 0.1, MAX_BACKOFF_S)
                self._in_trouble(error)
                if self._stopping.wait(backoff):
                    return

    def _patience(self) -> float:
        soonest = self._timers.next_due_ms()
        if soonest is None:
            return IDLE_S
        return min(IDLE_S, max(0.0, (soonest - self._clock.now_ms()) / 1000))

    def _collect(self, timeout_s: float) -> list[Item]:
        """Everything that stands in the inbox, waiting for the first up to `timeout_s`."""
        items: list[Item] = []
        try:
            item = self._inbox.get(timeout=timeout_s) if timeout_s > 0 else self._inbox.get_nowait()
            while True:
                if item is not None:
                    items.append(item)
                if len(items) >= MAX_TURN:
                    return items
                item = self._inbox.get_nowait()
        except Empty:
            return items

    def _at_ease(self) -> None:
        if self._trouble is not None:
            _log.info("the store works again")
            self._trouble = None

    def _in_trouble(self, error: StoreError) -> None:
        if self._trouble is None:
            _log.error("nothing can be committed; work waits until the cause is gone", error=str(error))
        self._trouble = str(error)

    def _turn(self, items: Sequence[Item]) -> None:
        """Take all items in one turn, or, when one of them spoils it, each in a turn of its own."""
        try:
            self._take(items)
        except StoreUnavailable:
            raise
        except (TurnVoid, Conflict, LostExecution):
            for item in items:
                self._turn_alone(item)
        except Exception:  # noqa: BLE001 -- a fault of ours: find the item it comes from, and let the others go on
            _log.exception("a turn broke down; its items are taken one by one")
            for item in items:
                self._turn_alone(item)

    def _turn_alone(self, item: Item) -> None:
        for attempt in (1, 2):
            try:
                self._take([item])
            except (TurnVoid, LostExecution) as error:
                # Loaded again, the second time: another process may have gone on with the execution.
                if attempt == 2:
                    self._refuse(item, error)
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 -- this item's own fault: it alone is refused
                self._refuse(item, error)
                return
            else:
                return

    @staticmethod
    def _refuse(item: Item, error: Exception) -> None:
        _log.error("a request was refused by the store", error=str(error))
        done = getattr(item, "done", None)
        if done is not None and not done.done():
            done.set_exception(error)

    def _take(self, items: Sequence[Item]) -> None:
        turn = self._maker.begin()
        more = False
        try:
            self._maker.take(turn, items)
            for run_id in turn.nudged:
                self._map_runs.look(run_id)
            if not self._parked:
                more = self._map_runs.refill(turn, self._maker)
            self._register_map_runs(turn)
            self._maker.seal(turn)
            if not turn.unit.is_empty():
                self._store.commit(turn.unit)
        except BaseException:
            self._void(turn)
            raise
        self._after(turn)
        if more:
            self._inbox.put(LedgerEntry())

    def _register_map_runs(self, turn: Turn) -> None:
        """The rows of map runs go with the facts that open and close them."""
        for live in turn.touched.values():
            for fact in live.fresh:
                match fact:
                    case f.MapRunStarted(token=token, plan=plan):
                        self._map_runs.register(turn, self._maker, live, token, plan)
                    case f.MapRunSucceeded(token=token):
                        self._map_runs.close(turn, live, token, "SUCCEEDED")
                    case f.MapRunFailed(token=token):
                        self._map_runs.close(turn, live, token, "FAILED")
                    case f.TokenRevoked(token=token) if self._map_runs.has(live.id, token):
                        self._map_runs.close(turn, live, token, "ABORTED")
                    case _:
                        pass

    def _void(self, turn: Turn) -> None:
        """Forget what was decided: what is in memory is ahead of the store."""
        for execution_id in turn.touched:
            self._cache.drop(execution_id)
        for execution_id in self._map_runs.void():
            self._cache.drop(execution_id)
            self._begin_again.add(execution_id)

    def _after(self, turn: Turn) -> None:
        """It is on the disk: hand out, take back, answer."""
        self.turns += 1
        for live in turn.touched.values():
            fresh, live.fresh = live.fresh, []
            live.new = False
            self._effects(live, fresh)
            self._timers.set(live.id, live.kept_wake_ms)
            if live.machine.status is not Status.RUNNING:
                self._ended(live)
        for request, started in turn.started:
            request.done.set_result(started)
        for request, error in turn.refused:
            request.done.set_exception(error)
        for knock, led_to_facts in turn.answers:
            if knock.done is not None:
                knock.done.set_result(led_to_facts)
        for entry in turn.entries:
            entry.done.set_result(True)
        if self._begin_again:
            self._begin_map_runs_again()
        self._cache.trim()

    def _begin_map_runs_again(self) -> None:
        """After a commit that failed: go on with the map runs from where the store says they are."""
        again, self._begin_again = self._begin_again, set()
        for execution_id in again:
            live = self._cache.get(execution_id)
            for _, work in [] if live is None else live.machine.open_work():
                if live is not None and isinstance(work, OpenMapRun):
                    self._map_runs.begin(live, work)

    def _effects(self, live: Live, fresh: Sequence[f.Fact]) -> None:
        machine = live.machine
        for fact in fresh:
            match fact:
                case f.TaskScheduled(token=token) | f.MapRunStarted(token=token):
                    frame_id = machine.tokens.get(token)
                    if frame_id is None or self._parked:
                        continue  # closed again in the same turn, or left for the next start
                    frame = machine.frames[frame_id]
                    if isinstance(frame.open, OpenTask):
                        self._dispatcher.hand_out(live, frame, frame.open)
                    elif isinstance(frame.open, OpenMapRun):
                        self._map_runs.begin(live, frame.open)
                case f.TokenRevoked(token=token) | f.TaskTimedOut(token=token):
                    if self._map_runs.has(live.id, token):
                        self._map_runs.cancel(live.id, token)
                    else:
                        self._dispatcher.take_back(live.id, token)
                case f.MapRunSucceeded(token=token) | f.MapRunFailed(token=token):
                    self._map_runs.forget_closed(live.id, token)
                case f.StateEntered():
                    self.transitions += 1
                case _:
                    pass

    def _ended(self, live: Live) -> None:
        self._cache.drop(live.id)
        self._dispatcher.forget_execution(live.arn)
        if live.map_run_id is not None:
            self._map_runs.child_ended(live)
        self._resolve_end(live.id, live.machine.status)

    def _resolve_end(self, execution_id: int, status: Status) -> None:
        with self._ends_lock:
            futures = self._ends.pop(execution_id, [])
        for future in futures:
            if not future.done():
                future.set_result(status)
