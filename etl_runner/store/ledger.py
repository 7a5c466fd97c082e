"""The ledgers: what became of each tick and of each event under each rule, and how far each schedule is.

Rows are built here and committed by whoever makes the unit; reads give plain values.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, and_, select
from sqlalchemy.exc import DatabaseError

from etl_runner.store import tables as t
from etl_runner.store.database import unavailable
from etl_runner.store.store import Store
from etl_runner.store.unit import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class TickRow:
    """One tick of the ledger; see tables.Tick."""

    schedule: str
    due_ms: int
    fire_id: str
    outcome: str
    reason: str
    execution_arn: str | None
    recorded_ms: int
    lateness_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStateRow:
    """How far a schedule is; see tables.ScheduleState."""

    name: str
    expects: str
    paused: bool
    since_ms: int
    done_until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMatchRow:
    """One event under one rule; see tables.EventMatch."""

    event_id: str
    rule: str
    outcome: str
    reason: str
    execution_arn: str | None
    recorded_ms: int


def tick_row(
    schedule: str,
    due_ms: int,
    *,
    recorded_ms: int,
    outcome: str = "",
    reason: str = "",
    fire_id: str = "",
) -> Row:
    """A row of the tick ledger with every column; a launch fills in outcome and execution_arn."""
    return {
        "schedule": schedule,
        "due_ms": due_ms,
        "fire_id": fire_id,
        "outcome": outcome,
        "reason": reason,
        "execution_arn": None,
        "recorded_ms": recorded_ms,
        "lateness_ms": max(0, recorded_ms - due_ms),
    }


def schedule_state_row(name: str, *, expects: str, paused: bool, since_ms: int, done_until_ms: int) -> Row:
    """A schedule's state, which replaces the one before."""
    return {
        "name": name,
        "expects": expects,
        "paused": paused,
        "since_ms": since_ms,
        "done_until_ms": done_until_ms,
    }


def event_match_row(
    event_id: str, rule: str, *, recorded_ms: int, outcome: str = "", reason: str = ""
) -> Row:
    """A row of the event ledger with every column; a launch fills in outcome and execution_arn."""
    return {
        "event_id": event_id,
        "rule": rule,
        "outcome": outcome,
        "reason": reason,
        "execution_arn": None,
        "recorded_ms": recorded_ms,
    }


_TICK_COLUMNS = tuple(getattr(t.Tick, name) for name in TickRow.__dataclass_fields__)
_STATE_COLUMNS = tuple(getattr(t.ScheduleState, name) for name in ScheduleStateRow.__dataclass_fields__)
_MATCH_COLUMNS = tuple(getattr(t.EventMatch, name) for name in EventMatchRow.__dataclass_fields__)


class Ledger:
    """Reads of the ledgers, from any thread. Every method raises StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def schedule_states(self) -> dict[str, ScheduleStateRow]:
        """What every schedule that was ever seen left behind, by name."""
        with self._reading() as connection:
            rows = connection.execute(select(*_STATE_COLUMNS)).mappings()
            return {row["name"]: ScheduleStateRow(**row) for row in rows}

    def recorded_dues(self, schedule: str, *, after_ms: int, until_ms: int) -> frozenset[int]:
        """The due times in (after_ms, until_ms] that have a row already; fires by hand do not count."""
        query = select(t.Tick.due_ms).where(  # type: ignore[call-overload]
            t.Tick.schedule == schedule,
            t.Tick.due_ms > after_ms,
            t.Tick.due_ms <= until_ms,
            t.Tick.fire_id == "",
        )
        with self._reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def recorded_beyond_states(self) -> dict[str, frozenset[int]]:
        """The due times that have a row although their schedule's `done_until_ms` does not cover them."""
        # An outer join, because SQLite would turn an inner one round and read all ticks that ever were.
        query = select(t.ScheduleState.name, t.Tick.due_ms).join(  # type: ignore[call-overload]
            t.Tick,
            and_(
                t.Tick.schedule == t.ScheduleState.name,  # type: ignore[arg-type]
                t.Tick.due_ms > t.ScheduleState.done_until_ms,  # type: ignore[arg-type]
                t.Tick.fire_id == "",  # type: ignore[arg-type]
            ),
            isouter=True,
        )
        found: defaultdict[str, set[int]] = defaultdict(set)
        with self._reading() as connection:
            for schedule, due_ms in connection.execute(query):
                if due_ms is not None:
                    found[schedule].add(due_ms)
        return {schedule: frozenset(dues) for schedule, dues in found.items()}

    def ticks(
        self, schedule: str | None = None, limit: int = 100, *, before_ms: int | None = None
    ) -> list[TickRow]:
        """The newest ticks by due time, of one schedule or of all; `before_ms` leafs back in time."""
        query = select(*_TICK_COLUMNS).order_by(t.Tick.due_ms.desc(), t.Tick.schedule, t.Tick.fire_id)  # type: ignore[attr-defined]
        if schedule is not None:
            query = query.where(t.Tick.schedule == schedule)  # type: ignore[arg-type]
        if before_ms is not None:
            query = query.where(t.Tick.due_ms < before_ms)  # type: ignore[arg-type]
        with self._reading() as connection:
            return [TickRow(**row) for row in connection.execute(query.limit(limit)).mappings()]

    def fired(self, schedule: str, fire_id: str) -> TickRow | None:
        """The fire by hand with this id."""
        query = select(*_TICK_COLUMNS).where(
            t.Tick.schedule == schedule,  # type: ignore[arg-type]
            t.Tick.fire_id == fire_id,  # type: ignore[arg-type]
        )
        with self._reading() as connection:
            row = connection.execute(query.limit(1)).mappings().one_or_none()
        return None if row is None else TickRow(**row)

    def last_ticks(self, schedules: Collection[str]) -> dict[str, TickRow]:
        """The newest tick of each of these schedules that has one.

        One small query each: the primary key answers it from its end, while one GROUP BY over all would
        read the whole ledger.
        """
        found: dict[str, TickRow] = {}
        with self._reading() as connection:
            for name in schedules:
                query = (
                    select(*_TICK_COLUMNS)
                    .where(t.Tick.schedule == name)  # type: ignore[arg-type]
                    .order_by(t.Tick.due_ms.desc(), t.Tick.fire_id.desc())  # type: ignore[attr-defined]
                    .limit(1)
                )
                row = connection.execute(query).mappings().one_or_none()
                if row is not None:
                    found[name] = TickRow(**row)
        return found

    def matches_of(self, event_id: str) -> dict[str, EventMatchRow]:
        """What became of one event, by rule."""
        query = select(*_MATCH_COLUMNS).where(t.EventMatch.event_id == event_id)  # type: ignore[arg-type]
        with self._reading() as connection:
            return {row["rule"]: EventMatchRow(**row) for row in connection.execute(query).mappings()}

    def matches(self, limit: int = 100, *, before_ms: int | None = None) -> list[EventMatchRow]:
        """The newest matches of events and rules; `before_ms` leafs back in time."""
        order = (t.EventMatch.recorded_ms.desc(), t.EventMatch.event_id, t.EventMatch.rule)  # type: ignore[attr-defined]
        query = select(*_MATCH_COLUMNS).order_by(*order)
        if before_ms is not None:
            query = query.where(t.EventMatch.recorded_ms < before_ms)  # type: ignore[arg-type]
        with self._reading() as connection:
            return [EventMatchRow(**row) for row in connection.execute(query.limit(limit)).mappings()]

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._store.engine.connect() as connection:
                yield connection
        except DatabaseError as error:
            raise unavailable(error, self._store.path) from error
