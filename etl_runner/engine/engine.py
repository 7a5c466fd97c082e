"""The engine: one thread that takes turns, and the doors through which everyone else reaches it.

Doors, for any thread; a future is resolved after the commit, and its callbacks run in the engine's thread:
    start(StartRequest) -> Future[Started]                  StartExecution, ticks and events, async Express
    start_sync(StartRequest) -> Future[Ended]               StartSyncExecution (express and sync are set)
    stop, redrive, when_ended                               by the execution's number
    answer_task(token text, TokenSuccess | TokenFailure | TokenHeartbeat) -> Future[None]
    poll_activity(activity's ARN, worker) -> Future[ActivityTask | None]    waits up to a minute for a task
    update_map_run, record                                  bounds of a map run; ledger rows

Everything that changes an execution stands in one inbox; the thread empties it, decides, commits once, and
only then hands out tasks and answers callers. The rooms behind: starts, tokens, activities, redrive and
map_runs decide within a turn (turn.py puts it together, turn_taker.py commits it); effects.py does what
follows from facts, publish.py tells the world.
"""

import random
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Event, Thread
from typing import Final

import structlog

from etl_runner.aws import AwsAccess
from etl_runner.clock import Clock, SystemClock
from etl_runner.engine.activities import ActivityQueue
from etl_runner.engine.decided import Turn
from etl_runner.engine.dispatch import Dispatcher
from etl_runner.engine.effects import Effects
from etl_runner.engine.ends import Ends, fail, how_it_ended, pass_failure
from etl_runner.engine.inbox import Inbox, refuse, settle
from etl_runner.engine.knocks import (
    ActivityPoll,
    ActivityTask,
    Ended,
    Item,
    Knock,
    LedgerEntry,
    MapRunUpdate,
    Redriven,
    RedriveRequest,
    Started,
    StartRequest,
    TokenAnswer,
    TokenFailure,
    TokenHeartbeat,
    TokenSuccess,
    Told,
)
from etl_runner.engine.live import Definitions, Live, LiveCache
from etl_runner.engine.map_runs import MapRuns
from etl_runner.engine.policy import Policy
from etl_runner.engine.publish import Publisher
from etl_runner.engine.recovery import recover
from etl_runner.engine.starts import Starts
from etl_runner.engine.timers import Timers
from etl_runner.engine.tokens import TaskTokens
from etl_runner.engine.turn import TurnMaker, told_rows
from etl_runner.engine.turn_taker import TurnTaker
from etl_runner.errors import StoreError, StoreUnavailable
from etl_runner.machine import stimuli as s
from etl_runner.machine.state import Status
from etl_runner.store.store import Store
from etl_runner.store.unit import Row, Unit
from etl_runner.tasks.contract import Invoker, Progress

_log = structlog.get_logger("engine")

MAX_TURN: Final = 500
"""At most so many items in a turn, so that the first of them does not wait for the last for too long."""

IDLE_S: Final = 0.5
"""How long an idle engine sleeps before it looks at heartbeats again."""

MAX_BACKOFF_S: Final = 5.0

PUBLISH_S: Final = 5.0
"""How long the end waits for what is still to be published; the outbox keeps the rest."""

POLL_S: Final = 60.0
"""How long GetActivityTask waits for a task (API reference, "GetActivityTask")."""

DEFAULT_POLICY: Final = Policy()
_WAKE: Final = s.Wake()


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
        policy: Policy = DEFAULT_POLICY,
    ) -> None:
        self._store = store
        self._invoker = invoker
        aws = aws or AwsAccess()
        self._clock = clock or SystemClock()
        rng = rng or random.SystemRandom()
        self.definitions = definitions = Definitions(store)
        self._cache = cache = LiveCache(store, definitions)
        self._inbox = Inbox()
        self._timers: Timers[int] = Timers(store.due)
        self._tokens = TaskTokens(store, cache, self._inbox.put)
        self._polls = ActivityQueue(store, cache, self._inbox.put)
        self._maker = TurnMaker(
            store,
            cache,
            starts=Starts(store, cache, definitions, rng, policy.limits),
            tokens=self._tokens,
            polls=self._polls,
            clock=self._clock,
            rng=rng,
            policy=policy,
        )
        self._waiting: deque[Item] = deque()
        self._dispatcher = Dispatcher(invoker, self._inbox.put)
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="engine-io")
        self._map_runs = MapRuns(
            store=store,
            aws=aws,
            knock=self._inbox.put,
            workers=self._workers,
            rng=rng,
            limits=policy.limits,
        )
        self._effects = Effects(
            maker=self._maker,
            tokens=self._tokens,
            polls=self._polls,
            map_runs=self._map_runs,
            dispatcher=self._dispatcher,
            knock=self._inbox.put,
        )
        self._taker = TurnTaker(store, cache, self._maker, self._effects, self._map_runs)
        self._publisher = Publisher(store, definitions, aws, self._inbox.put, tell_status=policy.tell_status)
        self._ends = Ends(store, cache)
        self._stopping = Event()
        self._trouble: str | None = None
        self._thread = Thread(target=self._run, name="engine", daemon=True)
        self.turns = 0

    # --- doors --------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Hand out again what was handed out when the last process ended, and begin to take turns."""
        self._recover()
        self._thread.start()
        self._publisher.open()

    def close(self, grace_s: float = 30.0) -> None:
        """Hand out nothing more, let what runs finish within `grace_s` seconds, commit it, and end.

        What does not finish in time stays open in the store and is handed out again at the next start.
        """
        self._effects.parked = True
        self._map_runs.stop()
        self._invoker.close(grace_s)
        self._workers.shutdown(wait=True, cancel_futures=True)
        self._stopping.set()
        self._inbox.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout=grace_s + 10)
        self._let_go()
        self._publisher.close(PUBLISH_S)
        self._forget_told()
        self._inbox.close()

    def _let_go(self) -> None:
        """Tell all who still wait for something that it will not come from this process."""
        for poll in self._polls.release():
            settle(poll.done, None)
        self._tokens.release()
        self._ends.cancel()
        stopped = StoreUnavailable("etl-runner is stopping; what was asked for did not come to its end")
        for live in list(self._cache):
            if live.request is not None:
                fail(live.request.ended, stopped)

    def _forget_told(self) -> None:
        """No turn is taken any more: what was told last leaves the outbox here, or is told again."""
        left = self._inbox.collect(0.0, MAX_TURN)
        unit = Unit(told=[row for item in left if isinstance(item, Told) for row in told_rows(item)])
        for item in left:
            refuse(item, StoreUnavailable("etl-runner is stopping; ask again when it runs"))
        if unit.told:
            with suppress(StoreError):
                self._store.commit(unit)

    def start(self, request: StartRequest) -> Future[Started]:
        """Ask for an execution; the future is resolved once it is on the disk.

        It fails with Conflict when the name is taken by another input, or with what the definition's start
        state raised.
        """
        self._inbox.put(request)
        return request.done

    def start_sync(self, request: StartRequest) -> Future[Ended]:
        """Run an Express execution and wait for its end; a crash on the way ends it without a trace.

        The future fails as that of `start` does, and with StoreUnavailable when the engine stops first.
        """
        assert request.express, "only Express executions are waited for so"
        assert request.sync, "only Express executions are waited for so"
        request.done.add_done_callback(partial(pass_failure, request.ended))
        self._inbox.put(request)
        return request.ended

    def answer_task(
        self,
        task_token: str,
        answer: TokenSuccess | TokenFailure | TokenHeartbeat,
        *,
        account: str | None = None,
    ) -> Future[None]:
        """Tell what became of a task by its token (SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat).

        With `account`, no other one's tasks can be answered: their tokens are invalid then. The future is
        resolved after the commit; it fails with InvalidTaskToken or ClosedTaskToken.
        """
        told = TokenAnswer(task_token=task_token, answer=answer, account=account)
        self._inbox.put(told)
        return told.done

    def poll_activity(
        self, activity_arn: str, worker: str | None = None, *, timeout_s: float = POLL_S
    ) -> Future[ActivityTask | None]:
        """Ask for the oldest task of an activity, waiting for one; None when none came in time.

        Cancel the future when the worker has gone. Whether the activity exists is for the caller to see.
        """
        until_ms = self._clock.now_ms() + int(timeout_s * 1000)
        poll = ActivityPoll(activity_arn=activity_arn, worker=worker, until_ms=until_ms)
        self._inbox.put(poll)
        return poll.done

    def redrive(self, execution_id: int, client_token: str | None = None) -> Future[Redriven]:
        """Let an execution that ended without success go on.

        The future is resolved after the commit. It fails with NotRedrivable (redrive.py) or NotFound.
        """
        request = RedriveRequest(execution_id=execution_id, client_token=client_token)
        self._inbox.put(request)
        return request.done

    def update_map_run(self, map_run_id: int, changes: Row) -> Future[None]:
        """Change the bounds of a map run (UpdateMapRun); the future is resolved after the commit.

        `changes` are some of max_concurrency, tolerated_count and tolerated_percentage. It fails with
        MapRunNotRunning (map_runs.py).
        """
        update = MapRunUpdate(map_run_id=map_run_id, changes=changes)
        self._inbox.put(update)
        return update.done

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
        return self._ends.when(execution_id)

    def progress_of(self, execution_arn: str) -> list[Progress]:
        """What the running tasks of an execution last said of their progress."""
        return self._dispatcher.progress_of(execution_arn)

    @property
    def transitions(self) -> int:
        """How many states have been entered since the start."""
        return self._effects.transitions

    @property
    def trouble(self) -> str | None:
        """Why nothing can be committed at present; None when all is well."""
        return self._trouble

    # --- the thread ---------------------------------------------------------------------------------------

    def _recover(self) -> None:
        recover(
            self._store,
            self._cache,
            dispatcher=self._dispatcher,
            map_runs=self._map_runs,
            knock=self._inbox.put,
            now_ms=self._clock.now_ms(),
        )

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
            waiting.extend(self._due(self._clock.now_ms()))
        self._taker.take(waiting, self._after)
        self._at_ease()

    def _due(self, now_ms: int) -> list[Item]:
        for poll in self._polls.expired(now_ms):
            settle(poll.done, None)
        wakes = [Knock(execution_id=each, stimulus=_WAKE) for each in self._timers.due(now_ms)]
        return [*wakes, *self._tokens.due(now_ms)]

    def _patience(self) -> float:
        if self._stopping.is_set():
            return 0.0
        soonest = min(self._timers.next_due_ms(), self._tokens.next_due_ms())
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

    def _after(self, turn: Turn) -> None:
        """It is on the disk: hand out, take back, answer."""
        self.turns += 1
        self._map_runs.committed()
        self._tokens.committed(turn.tokens)
        self._polls.committed(turn.polls)
        for request, started in turn.started:
            settle(request.done, started)
        for live in turn.touched.values():
            self._after_one(turn, live)
        for item, error in turn.refused:
            refuse(item, error)
        for done, result in turn.results:
            settle(done, result)
        for poll, task in turn.polls.served:
            settle(poll.done, task)
        if turn.unit.told:
            self._publisher.forget((row["b_execution_id"], row["b_seq"]) for row in turn.unit.told)
        self._cache.trim()

    def _after_one(self, turn: Turn, live: Live) -> None:
        fresh, live.fresh = live.fresh, []
        live.new = False
        if live.volatile:
            live.pages.append((turn.now_ms, fresh))
        else:
            live.request = None
        if live.id in turn.to_tell:
            self._publisher.put(live, turn.now_ms, fresh)
        try:
            self._effects.follow(live, fresh)
        except Exception:  # noqa: BLE001 -- must not keep the others from their effects
            _log.exception("what follows from facts could not be done", execution=live.arn)
        if live.volatile and live.kept_wake_ms is not None:
            self._timers.hold(live.id, live.kept_wake_ms)
        else:
            self._timers.set(live.id, live.kept_wake_ms)
        if live.machine.status is not Status.RUNNING:
            self._ended(live, turn.now_ms)

    def _ended(self, live: Live, now_ms: int) -> None:
        self._cache.drop(live.id)
        if live.map_run_id is not None:
            self._map_runs.child_ended(live)
        if live.request is not None:
            settle(live.request.ended, how_it_ended(live, now_ms))
        self._ends.tell(live.id, live.machine.status)
