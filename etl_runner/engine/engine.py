"""The engine: one thread that takes turns, and the doors through which everyone else reaches it.

Doors (any thread): `start`, `stop`, `record`, `when_ended`. Everything that changes an execution stands in
one inbox; the thread empties it, decides, commits once, and only then hands out tasks and answers callers.
"""

import random
from collections import defaultdict, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock, Thread
from typing import Final

import structlog

from etl_runner.aws import AwsAccess
from etl_runner.clock import Clock, SystemClock
from etl_runner.engine.dispatch import Dispatcher
from etl_runner.engine.inbox import Inbox, refuse, settle
from etl_runner.engine.knocks import Item, Knock, LedgerEntry, Started, StartRequest
from etl_runner.engine.live import Definitions, Live, LiveCache
from etl_runner.engine.map_runs import MapRuns
from etl_runner.engine.timers import Timers
from etl_runner.engine.turn import Turn, TurnMaker, TurnVoid, breakdown_cause
from etl_runner.errors import (
    Conflict,
    EtlRunnerError,
    LostExecution,
    NotFound,
    StoreError,
    StoreUnavailable,
)
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

MOST_NAMED: Final = 20
"""The log line about what goes on after a start names so many executions."""


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
        self._inbox = Inbox()
        self._waiting: deque[Item] = deque()
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
        self._workers.shutdown(wait=True, cancel_futures=True)
        self._stopping.set()
        self._inbox.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout=grace_s + 10)
        self._inbox.close()
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
        """A future that gives the status with which an execution ends (at once when it has).

        Raises NotFound and StoreUnavailable.
        """
        future: Future[Status] = Future()
        with self._ends_lock:
            self._ends[execution_id].append(future)
        if self._cache.peek(execution_id) is not None:
            return future  # it leaves the memory before its end is told, so this end is still to be told
        row = self._store.execution(execution_id)
        if row is None:
            with self._ends_lock:
                self._ends.pop(execution_id, None)
            raise NotFound(f"there is no execution with the number {execution_id}")
        if row.status != Status.RUNNING:
            self._resolve_end(execution_id, Status(row.status))
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
        orphans = self._store.orphans()
        passed_over = set(orphans)
        count, executions = 0, list[str]()
        for execution_id in self._store.open_working():
            live = None if execution_id in passed_over else self._cache.get(execution_id)
            if live is not None and (handed_out := self._resume(live)):
                count += handed_out
                executions.append(live.arn)
        for execution_id in orphans:
            self._inbox.put(Knock(execution_id=execution_id, stimulus=s.Stop(error="States.MapRunStopped")))
        if count:
            _log.info(
                "handed out again what was open",
                tasks=count,
                executions=executions[:MOST_NAMED],
                and_more=max(0, len(executions) - MOST_NAMED),
            )

    def _resume(self, live: Live) -> int:
        count, now_ms = 0, self._clock.now_ms()
        for frame, work in live.machine.open_work():
            if isinstance(work, OpenMapRun):
                self._map_runs.begin_soon(live.id)
            elif live.holds(frame) and (work.deadline_ms is None or work.deadline_ms > now_ms):
                # One whose time ran out meanwhile is not begun again: the first turn finds it timed out.
                self._dispatcher.hand_out(live, frame, work)
                count += 1
        return count

    def _run(self) -> None:
        backoff = 0.0
        while not (self._stopping.is_set() and not self._waiting and self._inbox.empty()):
            try:
                self.step(self._patience())
                backoff = 0.0
            except Exception as error:  # noqa: BLE001 -- whatever it is, this thread must not end of it
                backoff = min(backoff * 2 or 0.1, MAX_BACKOFF_S)
                self._in_trouble(error)
                if self._stopping.wait(backoff):
                    break
        for item in self._waiting:
            refuse(item, StoreUnavailable(f"etl-runner is stopping, and could not commit: {self._trouble}"))

    def step(self, timeout_s: float = 0.0) -> None:
        """Take what has come in (waiting for the first up to `timeout_s`) and what is due, in one turn.

        The thread does nothing else; tests without a thread call it themselves. Raises StoreUnavailable when
        nothing can be committed: what was taken is kept, and comes before anything else in the next step.
        """
        waiting = self._waiting
        if not waiting:
            waiting.extend(self._inbox.collect(timeout_s, MAX_TURN))
            waiting.extend(self._dispatcher.lost_heartbeats())
            waiting.extend(self._timers.due(self._clock.now_ms()))
        self._turn(waiting)
        self._at_ease()

    def _patience(self) -> float:
        if self._stopping.is_set():
            return 0.0
        soonest = self._timers.next_due_ms()
        return min(IDLE_S, max(0.0, (soonest - self._clock.now_ms()) / 1000))

    def _at_ease(self) -> None:
        if self._trouble is not None:
            _log.info("the store works again")
            self._trouble = None

    def _in_trouble(self, error: Exception) -> None:
        if not isinstance(error, StoreError):
            _log.error("the engine failed inside and goes on", exc_info=error)
        elif self._trouble is None:
            _log.error("nothing can be committed; work waits until the cause is gone", error=str(error))
        self._trouble = str(error)

    def _turn(self, items: deque[Item]) -> None:
        """Take all items in one turn, or, when one of them spoils it, each in a turn of its own.

        What is settled leaves `items`, so that a store that fails half way does not see it a second time.
        """
        try:
            turn = self._commit(items, refill=not self._parked)
        except StoreUnavailable:
            raise
        except (TurnVoid, Conflict, LostExecution):
            pass
        except Exception:  # noqa: BLE001 -- a fault of ours: find the item it comes from, and let the others go on
            _log.exception("a turn broke down; its items are taken one by one")
        else:
            items.clear()
            self._after(turn)
            return
        while items:
            turns = self._alone(items[0])
            items.popleft()
            for turn in turns:
                self._after(turn)

    def _alone(self, item: Item) -> list[Turn]:
        """Take one item in a turn of its own. When that fails too, it alone is refused."""
        for attempt in (1, 2):
            try:
                return [self._commit([item], refill=False)]
            except StoreUnavailable:
                raise
            except (TurnVoid, Conflict, LostExecution) as error:
                # Loaded again, the second time: another process may have gone on with the execution.
                if attempt == 2:
                    return self._spoiled(item, error)
            except Exception as error:  # noqa: BLE001 -- this item's own fault
                return self._spoiled(item, error)
        raise AssertionError("both attempts return")

    def _spoiled(self, item: Item, error: Exception) -> list[Turn]:
        """Nothing can come of an item. Where it was an answer, its execution would wait for ever: end it."""
        ours = not isinstance(error, EtlRunnerError)
        _log.error("a request was refused", error=str(error), exc_info=error if ours else None)
        refuse(item, error)
        if not isinstance(item, Knock) or isinstance(error, LostExecution):
            return []
        stimulus = s.Breakdown(cause=breakdown_cause(error))
        try:
            return [self._commit([Knock(execution_id=item.execution_id, stimulus=stimulus)], refill=False)]
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 -- it cannot even be ended
            _log.exception("an execution could not be ended", execution_id=item.execution_id)
            return []

    def _commit(self, items: Sequence[Item], *, refill: bool) -> Turn:
        """Decide and commit. When it raises, nothing was committed and what was decided is forgotten."""
        turn = self._maker.begin()
        try:
            self._map_runs.catch_up(self._cache)
            self._maker.take(turn, items)
            for run_id in turn.nudged:
                self._map_runs.look(run_id)
            if refill:
                self._map_runs.refill(turn, self._maker)
            self._register_map_runs(turn)
            self._maker.seal(turn)
            if not turn.unit.is_empty():
                self._store.commit(turn.unit)
        except BaseException:
            for execution_id in turn.touched:
                self._cache.drop(execution_id)
            self._map_runs.void(turn.touched)
            raise
        return turn

    def _register_map_runs(self, turn: Turn) -> None:
        """The rows of map runs go with the facts that open and close them."""
        for live in turn.touched.values():
            for fact in live.fresh:
                match fact:
                    case f.MapRunStarted(token=token, plan=plan):
                        live.map_tokens.add(token)
                        self._map_runs.register(turn, self._maker, live, token, plan)
                    case f.MapRunSucceeded(token=token):
                        self._map_runs.close(turn, live, token, "SUCCEEDED")
                    case f.MapRunFailed(token=token):
                        self._map_runs.close(turn, live, token, "FAILED")
                    case f.TokenRevoked(token=token) if token in live.map_tokens:
                        self._map_runs.close(turn, live, token, "ABORTED")
                    case _:
                        pass

    def _after(self, turn: Turn) -> None:
        """It is on the disk: hand out, take back, answer."""
        self.turns += 1
        self._map_runs.committed()
        for request, started in turn.started:
            settle(request.done, started)
        for live in turn.touched.values():
            fresh, live.fresh = live.fresh, []
            live.new = False
            try:
                self._effects(live, fresh)
            except Exception:  # noqa: BLE001 -- must not keep the others from their effects
                _log.exception("what follows from facts could not be done", execution=live.arn)
            self._timers.set(live.id, live.kept_wake_ms)
            if live.machine.status is not Status.RUNNING:
                self._ended(live)
        for request, error in turn.refused:
            refuse(request, error)
        for knock, led_to_facts in turn.answers:
            settle(knock.done, led_to_facts)
        for entry in turn.entries:
            settle(entry.done, value=True)
        self._cache.trim()

    def _effects(self, live: Live, fresh: Sequence[f.Fact]) -> None:
        machine = live.machine
        for fact in fresh:
            match fact:
                case f.TaskScheduled(token=token):
                    frame_id = machine.tokens.get(token)
                    if frame_id is None or self._parked:
                        continue  # closed again in the same turn, or left for the next start
                    frame = machine.frames[frame_id]
                    assert isinstance(frame.open, OpenTask)
                    self._dispatcher.hand_out(live, frame, frame.open)
                case f.MapRunStarted():
                    self._map_runs.begin_soon(live.id)
                case f.TokenRevoked(token=token) if token in live.map_tokens:
                    live.map_tokens.discard(token)
                    self._map_runs.cancel(live.id, token)
                case f.TokenRevoked(token=token) | f.TaskTimedOut(token=token):
                    self._dispatcher.take_back(live.id, token)
                case f.MapRunSucceeded(token=token) | f.MapRunFailed(token=token):
                    live.map_tokens.discard(token)
                    self._map_runs.forget_closed(live.id, token)
                case f.StateEntered():
                    self.transitions += 1
                case _:
                    pass

    def _ended(self, live: Live) -> None:
        self._cache.drop(live.id)
        if live.map_run_id is not None:
            self._map_runs.child_ended(live)
        self._resolve_end(live.id, live.machine.status)

    def _resolve_end(self, execution_id: int, status: Status) -> None:
        with self._ends_lock:
            futures = self._ends.pop(execution_id, [])
        for future in futures:
            settle(future, status)
