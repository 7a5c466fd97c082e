"""Ticks that were handed to the launcher and are not known to be on the disk yet.

A tick leaves here only when it has its row in the ledger. Handing one over again does no harm: the row's key
(schedule, due time) and the execution's name are unique, so a second execution cannot come of it.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Final

import structlog

from etl_runner.errors import Conflict, StoreError
from etl_runner.schedule.commits import error_of
from etl_runner.schedule.due import ScheduleSpec, execution_name, tick_input
from etl_runner.schedule.launcher import Launcher, Row
from etl_runner.store.ledger import Ledger, tick_row

_log = structlog.get_logger("schedule")

RETRY_MS: Final = 1_000
"""How long a tick rests that could not be committed; the engine itself waits for a store in trouble."""

ATTEMPTS: Final = 3
"""So often a launch is tried whose name is taken by what has no row; then it has failed."""

REASON_LIMIT: Final = 2_000


@dataclass(slots=True, eq=False)
class _Piece:
    """Rows that are committed together: one tick with its execution (`spec`), or ticks without one."""

    schedule: str
    first_due_ms: int
    rows: list[Row]
    spec: ScheduleSpec | None = None
    future: "Future[Any]" = field(default_factory=Future)
    attempts: int = 0
    rested_from_ms: int = 0


class InFlight:
    """What is under way. `poke` is called, from any thread, when something failed and wants a `settle`.

    All methods are called by one thread at a time.
    """

    def __init__(self, launcher: Launcher, ledger: Ledger, poke: Callable[[], None]) -> None:
        self._launcher = launcher
        self._ledger = ledger
        self._poke = poke
        self._open: defaultdict[str, set[_Piece]] = defaultdict(set)
        self._resting: list[_Piece] = []
        self._settled: SimpleQueue[_Piece] = SimpleQueue()
        self.count = 0

    def launch(self, spec: ScheduleSpec, due_ms: int, now_ms: int, *, reason: str = "") -> None:
        """Start the execution of a tick; a refusal becomes a row of its own."""
        row = tick_row(spec.name, due_ms, recorded_ms=now_ms, reason=reason)
        piece = _Piece(schedule=spec.name, first_due_ms=due_ms, rows=[row], spec=spec)
        self._begin(piece, now_ms)

    def record(self, schedule: str, rows: Sequence[Row], now_ms: int, *, state: Row | None = None) -> None:
        """Write rows of ticks that start nothing, and the schedule's state in the same transaction."""
        first_due_ms = min(row["due_ms"] for row in rows)
        piece = _Piece(schedule=schedule, first_due_ms=first_due_ms, rows=list(rows))
        self._begin(piece, now_ms, state)

    def lowest(self, schedule: str) -> int | None:
        """The earliest due time of a schedule that is under way."""
        return min((piece.first_due_ms for piece in self._open.get(schedule, ())), default=None)

    def futures(self) -> "list[Future[Any]]":
        """What is to be waited for."""
        resting = set(self._resting)
        return [piece.future for pieces in self._open.values() for piece in pieces - resting]

    def settle(self, now_ms: int) -> set[str]:
        """Take note of what has ended and try again what has rested; gives the schedules concerned."""
        touched = set()
        while True:
            try:
                piece = self._settled.get_nowait()
            except Empty:
                break
            touched.add(piece.schedule)
            error = error_of(piece.future)
            if error is None:
                self._end(piece)
            else:
                self._failed(piece, error, now_ms)
        resting, self._resting = self._resting, []
        for piece in resting:
            # A clock that was set back must not make it rest for longer.
            if piece.rested_from_ms <= now_ms < piece.rested_from_ms + RETRY_MS:
                self._resting.append(piece)
            else:
                self._send(piece, now_ms)
        return touched

    # --- one piece ----------------------------------------------------------------------------------------

    def _begin(self, piece: _Piece, now_ms: int, state: Row | None = None) -> None:
        self._open[piece.schedule].add(piece)
        self.count += 1
        self._send(piece, now_ms, state)

    def _end(self, piece: _Piece) -> None:
        pieces = self._open[piece.schedule]
        pieces.discard(piece)
        self.count -= 1
        if not pieces:
            del self._open[piece.schedule]

    def _send(self, piece: _Piece, now_ms: int, state: Row | None = None) -> None:
        """Hand it over. The state goes along the first time only: later it would be old."""
        piece.attempts += 1
        try:
            if piece.spec is not None:
                piece.future = self._launch(piece.spec, piece.rows[0])
            else:
                states = () if state is None else (state,)
                piece.future = self._launcher.record(ticks=piece.rows, schedule_states=states)
        except Exception as error:  # noqa: BLE001 -- whatever it is, this tick gets a row and the others go on
            self._failed(piece, error, now_ms)
        else:
            piece.future.add_done_callback(lambda future: self._done(piece, future))

    def _launch(self, spec: ScheduleSpec, row: Row) -> "Future[Any]":
        return self._launcher.launch(
            workflow=spec.workflow,
            name=execution_name(spec.name, row["due_ms"]),
            input=tick_input(spec, row["due_ms"]),
            origin=f"schedule:{spec.name}",
            tick=row,
        )

    def _done(self, piece: _Piece, future: "Future[Any]") -> None:
        """Called by the engine's thread: say so, and nothing more."""
        self._settled.put(piece)
        if error_of(future) is not None:
            self._poke()

    def _failed(self, piece: _Piece, error: BaseException, now_ms: int) -> None:
        if isinstance(error, Conflict):
            self._taken(piece, error, now_ms)
        elif piece.spec is None or isinstance(error, StoreError | CancelledError):
            self._rest(piece, error, now_ms)
        else:
            self._refused(piece, error, now_ms)

    def _taken(self, piece: _Piece, error: Conflict, now_ms: int) -> None:
        """A row was there already (this tick was committed before), or the name was taken meanwhile."""
        dues = [row["due_ms"] for row in piece.rows]
        try:
            there = self._ledger.recorded_dues(piece.schedule, after_ms=min(dues) - 1, until_ms=max(dues))
        except StoreError as trouble:
            self._rest(piece, trouble, now_ms)
            return
        piece.rows = [row for row in piece.rows if row["due_ms"] not in there]
        if not piece.rows:
            self._end(piece)
        elif piece.attempts < ATTEMPTS:
            self._send(piece, now_ms)
        elif piece.spec is None:
            self._rest(piece, error, now_ms)
        else:
            self._refused(piece, error, now_ms)

    def _refused(self, piece: _Piece, error: BaseException, now_ms: int) -> None:
        """No execution will come of this tick: its row says why."""
        due_ms = piece.rows[0]["due_ms"]
        reason = (str(error) or type(error).__name__)[:REASON_LIMIT]
        _log.error(
            "a tick could not start its workflow", schedule=piece.schedule, due_ms=due_ms, reason=reason
        )
        piece.rows = [tick_row(piece.schedule, due_ms, recorded_ms=now_ms, outcome="failed", reason=reason)]
        piece.spec, piece.attempts = None, 0
        self._send(piece, now_ms)

    def _rest(self, piece: _Piece, error: BaseException, now_ms: int) -> None:
        if piece.attempts == 1:
            _log.warning(
                "ticks could not be committed; they are tried again",
                schedule=piece.schedule,
                ticks=len(piece.rows),
                error=str(error) or type(error).__name__,
            )
        piece.rested_from_ms = now_ms
        self._resting.append(piece)
