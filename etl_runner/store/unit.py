"""A unit: everything that one turn, one tick or one event changes, committed together or not at all.

The hot path uses Core statements with many rows each on the SQLModel tables, no ORM objects.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Delete, Insert, Update, bindparam, delete, insert, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError

from etl_runner.errors import Conflict, LostExecution
from etl_runner.store import tables as t

Row: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Unit:
    """Rows to be written, by table; column names are those of tables.py.

    `execution_changes` rows have `b_id` and every column of `_CHANGE`, and `redrives` likewise;
    `map_run_changes` have `b_id` and the columns that change, `child_items` `b_id` and `items`. Rows that
    change or close a task token name it by `b_execution_id` and `b_token`; those that leave the outbox name
    themselves by `b_execution_id` and `b_seq`.
    """

    executions: list[Row] = field(default_factory=list)
    pages: list[Row] = field(default_factory=list)
    execution_changes: list[Row] = field(default_factory=list)
    map_runs: list[Row] = field(default_factory=list)
    map_run_changes: list[Row] = field(default_factory=list)
    child_items: list[Row] = field(default_factory=list)
    redrives: list[Row] = field(default_factory=list)
    tokens: list[Row] = field(default_factory=list)
    token_fetches: list[Row] = field(default_factory=list)
    token_beats: list[Row] = field(default_factory=list)
    token_closes: list[Row] = field(default_factory=list)
    token_hand_outs: list[Row] = field(default_factory=list)
    express_starts: list[Row] = field(default_factory=list)
    express_ends: list[Row] = field(default_factory=list)
    outbox: list[Row] = field(default_factory=list)
    told: list[Row] = field(default_factory=list)
    written: list[Row] = field(default_factory=list)
    ticks: list[Row] = field(default_factory=list)
    event_matches: list[Row] = field(default_factory=list)
    schedule_states: list[Row] = field(default_factory=list)

    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not any(getattr(self, name) for name in self.__slots__)


_E: Final = t.Execution.__table__  # type: ignore[attr-defined]
_M: Final = t.MapRun.__table__  # type: ignore[attr-defined]
_T: Final = t.TaskToken.__table__  # type: ignore[attr-defined]
_O: Final = t.Outbox.__table__  # type: ignore[attr-defined]
_S: Final = t.ExpressStart.__table__  # type: ignore[attr-defined]

_CHANGE: Final = ("status", "stopped_ms", "error", "cause", "working", "wake_at_ms")

_change_execution: Final[Update] = (
    update(_E).where(_E.c.id == bindparam("b_id")).values({name: bindparam(name) for name in _CHANGE})
)
_count_items: Final[Update] = update(_E).where(_E.c.id == bindparam("b_id")).values(items=bindparam("items"))
_change_map_run: Final[Update] = update(_M).where(_M.c.id == bindparam("b_id"))
_REDRIVE: Final = ("redrive_count", "redriven_ms", "redrive_token")
_redrive: Final[Update] = (
    update(_E).where(_E.c.id == bindparam("b_id")).values({name: bindparam(name) for name in _REDRIVE})
)
_one_token: Final[Update] = update(_T).where(
    _T.c.execution_id == bindparam("b_execution_id"), _T.c.token == bindparam("b_token")
)
_fetch_token: Final[Update] = _one_token.values(
    state="started", worker=bindparam("worker"), heartbeat_due_ms=bindparam("heartbeat_due_ms")
)
_beat_token: Final[Update] = _one_token.values(heartbeat_due_ms=bindparam("heartbeat_due_ms"))
_close_token: Final[Update] = _one_token.values(state="closed", heartbeat_due_ms=None)
_count_hand_out: Final[Update] = _one_token.values(hand_outs=_T.c.hand_outs + 1)
_end_express: Final[Delete] = delete(_S).where(_S.c.arn == bindparam("b_arn"))
_tell: Final[Delete] = delete(_O).where(
    _O.c.execution_id == bindparam("b_execution_id"), _O.c.seq == bindparam("b_seq")
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
_STATEMENTS: Final[Sequence[tuple[str, Insert | Update | Delete]]] = (
    ("map_runs", insert(t.MapRun)),
    ("executions", insert(t.Execution)),
    ("pages", insert(t.FactPage)),
    ("execution_changes", _change_execution),
    ("map_run_changes", _change_map_run),
    ("child_items", _count_items),
    ("redrives", _redrive),
    ("tokens", insert(t.TaskToken)),
    ("token_fetches", _fetch_token),
    ("token_beats", _beat_token),
    ("token_hand_outs", _count_hand_out),
    ("token_closes", _close_token),
    ("express_starts", insert(t.ExpressStart)),
    ("express_ends", _end_express),
    ("outbox", insert(t.Outbox)),
    ("told", _tell),
    ("written", insert(t.WrittenObject)),
    ("ticks", insert(t.Tick)),
    ("event_matches", insert(t.EventMatch)),
    ("schedule_states", _put_schedule_state),
)


_VARIOUS: Final = ("executions", "map_run_changes", "ticks", "event_matches", "schedule_states")
"""Their rows may leave out what has a default, or what does not change."""


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
            for alike in _alike(rows) if name in _VARIOUS else (rows,):
                connection.execute(statement, alike)
        except IntegrityError as error:
            if name == "pages":
                raise LostExecution(
                    "another process has gone on with an execution of this store; it is loaded again"
                ) from error
            raise Conflict(f"a row of {name} is already there: {error.orig}") from error
