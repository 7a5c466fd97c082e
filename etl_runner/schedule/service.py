"""The schedule service: every tick that is due gets one row in the ledger and at most one execution.

How nothing is lost and nothing is done twice:

- Which ticks are due is a function of the expression, of `done_until_ms` and of the time (due.py).
- A tick's row is committed together with its execution, and its key is (schedule, due time).
- `done_until_ms` never passes a tick that is not known to be committed (in_flight.py). It may lag behind:
  after a crash the rows in the ledger say which of the ticks after it were already done.
"""

import heapq
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, RLock, Thread
from typing import Final

import structlog

from etl_runner.clock import Clock
from etl_runner.errors import InvalidInput, NotFound
from etl_runner.schedule.alarm import Alarm
from etl_runner.schedule.by_hand import FireByHand, Fired
from etl_runner.schedule.commits import committed, error_of
from etl_runner.schedule.due import ScheduleSpec, ScheduleState, due_ticks
from etl_runner.schedule.in_flight import InFlight
from etl_runner.schedule.launcher import Launcher, Row
from etl_runner.schedule.status import NextTick, ScheduleStatus, Standing, status_of, upcoming
from etl_runner.store.ledger import Ledger, TickRow, schedule_state_row, tick_row
from etl_runner.store.store import Store

__all__ = ["Fired", "NextTick", "ScheduleService", "ScheduleSpec", "ScheduleStatus"]

_log = structlog.get_logger("schedule")

NAP_S: Final = 5.0
"""Look at the clock at least this often: it may have been set."""

BUSY_MS: Final = 1_000
"""How long to wait when what is due cannot be handed over at once."""

MAX_IN_FLIGHT: Final = 10_000
"""No more ticks are handed over while so many are not committed; they stay due."""


@dataclass(slots=True)
class _Live:
    """What is known of one schedule. `spec` is None while the configuration does not name it.

    `cursor_ms`: its ticks up to there were decided. `recorded`: due times after it that have their rows
    already, from before a crash. `sent` is the state row last handed over.
    """

    spec: ScheduleSpec | None
    expects: str
    paused: bool
    since_ms: int
    cursor_ms: int
    recorded: frozenset[int] = frozenset()
    sent: Row | None = None

    def next_due(self) -> int | None:
        return None if self.spec is None else self.spec.next_after(max(self.cursor_ms, self.since_ms))


class ScheduleService:
    """Fires the schedules of the configuration. `open` starts the clockwork; tests call `tick` instead."""

    def __init__(self, store: Store, launcher: Launcher, clock: Clock, *, grace_s: float = 300) -> None:
        self._ledger = Ledger(store)
        self._launcher = launcher
        self._clock = clock
        self._grace_ms = int(grace_s * 1000)
        self._lock = RLock()
        self._lives: dict[str, _Live] | None = None
        self._heap: list[tuple[int, str]] = []
        self._dirty: set[str] = set()
        self._wake = Event()
        self._in_flight = InFlight(launcher, self._ledger, self._wake.set)
        self._by_hand = FireByHand(launcher, self._ledger)
        self._states_sent: SimpleQueue[tuple[Future[bool], list[Row]]] = SimpleQueue()
        self._state_futures: set[Future[bool]] = set()
        self._alarm = Alarm(self._wake.set)
        self._closing = Event()
        self._thread = Thread(target=self._run, name="schedules", daemon=True)

    # --- clockwork ----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin to fire."""
        self._alarm.open()
        self._thread.start()

    def close(self, grace_s: float = 10.0) -> None:
        """Fire no more, and let what was handed over be committed for up to `grace_s` seconds.

        To be called while the launcher still commits. What is not committed by then is due again at the next
        start.
        """
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=grace_s)
        self._alarm.close()
        with self._lock:
            wait_for(self._in_flight.futures(), timeout=grace_s)
            now_ms = self._clock.now_ms()
            self._settle(now_ms)
            self._keep()
            wait_for(self._state_futures, timeout=grace_s)

    def tick(self, now_ms: int | None = None) -> int | None:
        """Do all that is due, and give the moment at which to look again (None: nothing is to come)."""
        with self._lock:
            now_ms = self._clock.now_ms() if now_ms is None else now_ms
            self._settle(now_ms)
            stuck: list[tuple[int, str]] = []
            while self._heap and self._heap[0][0] <= now_ms and self._in_flight.count < MAX_IN_FLIGHT:
                due_ms, name = heapq.heappop(self._heap)
                live = self._all()[name]
                try:
                    self._plan(name, live, now_ms)
                except Exception as error:  # noqa: BLE001 -- one schedule's trouble must not stop the others
                    _log.warning("due ticks wait", schedule=name, error=str(error))
                    stuck.append((due_ms, name))
                else:
                    self._push(name, live)
            for entry in stuck:
                heapq.heappush(self._heap, entry)
            self._keep()
            if not self._heap:
                return None
            soonest = self._heap[0][0]
            return soonest if soonest > now_ms else now_ms + BUSY_MS

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._alarm.set(self.tick())
            except Exception:  # noqa: BLE001 -- the clockwork must outlive every fault; it looks again after a nap
                _log.exception("looking for due ticks failed")
            self._wake.wait(NAP_S)
            self._wake.clear()

    # --- configuration ------------------------------------------------------------------------------------

    def apply(self, schedules: Iterable[ScheduleSpec]) -> None:
        """Take these schedules for the ones there are.

        One whose expression, zone, start and end are as before goes on; any other counts its ticks from now.
        Raises InvalidInput when a name comes twice, StoreUnavailable when the store cannot be read; then
        nothing has changed.
        """
        specs: dict[str, ScheduleSpec] = {}
        for spec in schedules:
            if specs.setdefault(spec.name, spec) is not spec:
                raise InvalidInput(f"there are two schedules named {spec.name!r}; give each its own name")
        with self._lock:
            lives = self._all()
            now_ms = self._clock.now_ms()
            for name, live in lives.items():
                self._plan(name, live, now_ms)  # what came due under the old ones is theirs
            for name in specs.keys() - lives.keys():
                lives[name] = _Live(spec=None, expects="", paused=False, since_ms=now_ms, cursor_ms=now_ms)
            for name, live in lives.items():
                self._take_over(name, live, specs.get(name), now_ms)
            self._heap = []
            for name, live in lives.items():
                self._push(name, live)
            self._keep()
        self._wake.set()

    def _take_over(self, name: str, live: _Live, spec: ScheduleSpec | None, now_ms: int) -> None:
        expects = "" if spec is None else spec.expects
        live.spec = spec
        if expects != live.expects:
            live.expects = expects
            live.since_ms = live.cursor_ms = now_ms
            self._dirty.add(name)

    def _all(self) -> dict[str, _Live]:
        """Every schedule that was ever seen, read from the store the first time."""
        if self._lives is None:
            beyond = self._ledger.recorded_beyond_states()
            self._lives = {
                row.name: _Live(
                    spec=None,
                    expects=row.expects,
                    paused=row.paused,
                    since_ms=row.since_ms,
                    cursor_ms=row.done_until_ms,
                    recorded=beyond.get(row.name, frozenset()),
                )
                for row in self._ledger.schedule_states().values()
            }
        return self._lives

    # --- ticks --------------------------------------------------------------------------------------------

    def _plan(self, name: str, live: _Live, now_ms: int) -> None:
        """Decide what is due of one schedule and hand it over."""
        if live.spec is None or now_ms <= live.cursor_ms:
            return
        state = ScheduleState(paused=live.paused, since_ms=live.since_ms, done_until_ms=live.cursor_ms)
        dues = due_ticks(live.spec, state, now_ms, recorded=live.recorded, grace_ms=self._grace_ms)
        silent = [due for due in dues if due.action != "fire"]
        if silent:
            # These come before those that fire. Their rows and the new state are one transaction, so that
            # after a crash the older ones are not summed up a second time.
            live.cursor_ms = silent[-1].due_ms
            rows = [
                tick_row(name, due.due_ms, recorded_ms=now_ms, outcome=due.action, reason=due.reason)
                for due in silent
            ]
            if not live.paused:
                _log.warning("ticks were missed", schedule=name, ticks=sum(due.count for due in silent))
            self._in_flight.record(name, rows, now_ms, state=self._state_row(name, live))
        for due in dues:
            if due.action == "fire":
                self._in_flight.launch(live.spec, due.due_ms, now_ms, reason=due.reason)
        live.cursor_ms = now_ms
        if dues or live.recorded:
            self._dirty.add(name)
        live.recorded = frozenset(due_ms for due_ms in live.recorded if due_ms > now_ms)

    def _push(self, name: str, live: _Live) -> None:
        due_ms = live.next_due()
        if due_ms is not None:
            heapq.heappush(self._heap, (due_ms, name))

    def _settle(self, now_ms: int) -> None:
        self._dirty |= self._in_flight.settle(now_ms)
        with suppress(Empty):
            while True:
                future, rows = self._states_sent.get_nowait()
                self._state_futures.discard(future)
                if error_of(future) is not None:
                    for row in rows:
                        self._all()[row["name"]].sent = None
                        self._dirty.add(row["name"])

    def _keep(self) -> None:
        """Hand over the states that have changed; they are committed with what was handed over before."""
        rows = []
        for name in self._dirty:
            live = self._all()[name]
            row = self._state_row(name, live)
            if row != live.sent:
                live.sent = row
                rows.append(row)
        self._dirty.clear()
        if rows:
            self._send_states(rows)

    def _send_states(self, rows: list[Row]) -> "Future[bool]":
        try:
            future = self._launcher.record(schedule_states=rows)
        except Exception as error:  # noqa: BLE001 -- tried again with the next tick
            future = Future()
            future.set_exception(error)
        self._state_futures.add(future)
        future.add_done_callback(lambda done: self._states_sent.put((done, rows)))
        return future

    def _state_row(self, name: str, live: _Live) -> Row:
        """The state as it may be committed now: not past a tick that is still under way."""
        lowest = self._in_flight.lowest(name)
        done_until_ms = live.cursor_ms if lowest is None else min(live.cursor_ms, lowest - 1)
        return schedule_state_row(
            name,
            expects=live.expects,
            paused=live.paused,
            since_ms=live.since_ms,
            done_until_ms=done_until_ms,
        )

    # --- what operators do --------------------------------------------------------------------------------

    def pause(self, name: str) -> None:
        """Let the schedule's ticks from now on be recorded as paused. Returns once it is on the disk.

        Raises NotFound, or StoreUnavailable when it could not be committed in time.
        """
        self._set_paused(name, paused=True)

    def resume(self, name: str) -> None:
        """Let the schedule's ticks from now on fire again. Returns and raises as `pause` does."""
        self._set_paused(name, paused=False)

    def _set_paused(self, name: str, *, paused: bool) -> None:
        with self._lock:
            live = self._live(name)
            self._plan(name, live, self._clock.now_ms())  # what is due by now was due before
            live.paused = paused
            live.sent = self._state_row(name, live)
            future = self._send_states([live.sent])
        committed(future, f"the pause of schedule {name!r}" if paused else f"the resumption of {name!r}")

    def fire(self, name: str, now_ms: int | None = None, *, fire_id: str | None = None) -> Fired:
        """Start the schedule's workflow now, whatever its expression says and even while it is paused.

        With a `fire_id` of the caller's (1 to 32 small letters, digits and underscores) asking again starts
        nothing new. Returns once it is on the disk. Raises NotFound (schedule or workflow), InvalidInput,
        Conflict (that fire has failed before), StatesError (the input's template fails), StoreUnavailable.
        """
        with self._lock:
            spec = self._standing(name, self._live(name)).spec
        return self._by_hand.fire(spec, self._clock.now_ms() if now_ms is None else now_ms, fire_id)

    # --- what operators ask -------------------------------------------------------------------------------

    def next(self, name: str | None = None, count: int = 5) -> list[NextTick]:
        """The next ticks of one schedule, or of all together, soonest first. Raises NotFound."""
        with self._lock:
            standings = self._standings() if name is None else {name: self._standing(name, self._live(name))}
        return upcoming(standings, self._clock.now_ms(), count)

    def ticks(
        self, name: str | None = None, limit: int = 100, *, before_ms: int | None = None
    ) -> list[TickRow]:
        """The newest rows of the ledger, of one schedule or of all. Raises NotFound and StoreUnavailable."""
        with self._lock:
            if name is not None and name not in self._all():
                raise self._unknown(name)
        return self._ledger.ticks(name, limit, before_ms=before_ms)

    def describe(self) -> list[ScheduleStatus]:
        """Every schedule of the configuration, by name. Raises StoreUnavailable."""
        with self._lock:
            standings = self._standings()
        last = self._ledger.last_ticks(standings)
        now_ms = self._clock.now_ms()
        return [status_of(standing, now_ms, last.get(name)) for name, standing in sorted(standings.items())]

    def _standings(self) -> dict[str, Standing]:
        return {name: self._standing(name, live) for name, live in self._all().items() if live.spec}

    def _standing(self, name: str, live: _Live) -> Standing:
        if live.spec is None:
            raise self._unknown(name)
        return Standing(
            spec=live.spec, paused=live.paused, since_ms=live.since_ms, done_until_ms=live.cursor_ms
        )

    def _live(self, name: str) -> _Live:
        live = self._all().get(name)
        if live is None or live.spec is None:
            raise self._unknown(name)
        return live

    def _unknown(self, name: str) -> NotFound:
        names = ", ".join(sorted(each for each, live in self._all().items() if live.spec)) or "none"
        return NotFound(f"there is no schedule {name!r}; there are: {names}")
