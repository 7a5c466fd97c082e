"""A unit: everything that one turn, one tick or one event changes, committed together or not at all.

The hot path uses Core statements with many rows each on the SQLModel tables, no ORM objects.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Insert, Update, bindparam, insert, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError

from etl_runner.errors import Conflict, LostExecution
from etl_runner.store import tables as t

Row: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Unit:
    """Rows to be written, by table; column names are those of tables.py.

    `execution_changes` rows have `b_id` and every column of `_CHANGE`; `map_run_changes` likewise.
    """

    executions: list[Row] = field(default_factory=list)
    pages: list[Row] = field(default_factory=list)
    execution_changes: list[Row] = field(default_factory=list)
    map_runs: list[Row] = field(default_factory=list)
    map_run_changes: list[Row] = field(default_factory=list)
    written: list[Row] = field(default_factory=list)
    ticks: list[Row] = field(default_factory=list)
    event_matches: list[Row] = field(default_factory=list)
    schedule_states: list[Row] = field(default_factory=list)

    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not any(getattr(self, name) for name in self.__slots__)


_E: Final = t.Execution.__table__  # type: ignore[attr-defined]
_M: Final = t.MapRun.__table__  # type: ignore[attr-defined]

_CHANGE: Final = ("status", "stopped_ms", "error", "cause", "working", "wake_at_ms")
_MAP_CHANGE: Final = ("status", "stopped_ms", "source", "cursor", "next_index", "read_all")

_change_execution: Final[Update] = (
    update(_E).where(_E.c.id == bindparam("b_id")).values({name: bindparam(name) for name in _CHANGE})
)
_change_map_run: Final[Update] = (
    update(_M).where(_M.c.id == bindparam("b_id")).values({name: bindparam(name) for name in _MAP_CHANGE})
)
_insert_schedule_state: Final = sqlite_insert(t.ScheduleState)
_put_schedule_state: Final = _insert_schedule_state.on_conflict_do_update(
    index_elements=["name"],
    set_={
        name: _insert_schedule_state.excluded[name]
        for name in ("expects", "paused", "since_ms", "done_until_ms")
    },
)

# In an order that foreign keys allow.
_STATEMENTS: Final[Sequence[tuple[str, Insert | Update]]] = (
    ("map_runs", insert(t.MapRun)),
    ("executions", insert(t.Execution)),
    ("pages", insert(t.FactPage)),
    ("execution_changes", _change_execution),
    ("map_run_changes", _change_map_run),
    ("written", insert(t.WrittenObject)),
    ("ticks", insert(t.Tick)),
    ("event_matches", insert(t.EventMatch)),
    ("schedule_states", _put_schedule_state),
)


_LEDGERS: Final = ("ticks", "event_matches", "schedule_states")
"""Their rows come from several rooms, and may leave out what has a default."""


def _alike(rows: Sequence[Row]) -> Iterable[list[Row]]:
    """Rows with the same columns together: executemany takes the columns of the first for those of all."""
    groups: dict[frozenset[str], list[Row]] = {}
    for row in rows:
        groups.setdefault(frozenset(row), []).append(row)
    return groups.values()


def write(connection: Connection, unit: Unit) -> None:
    """Write a unit inside the transaction that `connection` is in.

    Raises LostExecution when another writer has already written a page of the same (execution, seq), and
    Conflict when a name, tick or event is already there.
    """
    for name, statement in _STATEMENTS:
        rows = getattr(unit, name)
        if not rows:
            continue
        try:
            for alike in _alike(rows) if name in _LEDGERS else (rows,):
                connection.execute(statement, alike)
        except IntegrityError as error:
            if name == "pages":
                raise LostExecution(
                    "another process has gone on with an execution of this store; it is loaded again"
                ) from error
            raise Conflict(f"a row of {name} is already there: {error.orig}") from error
