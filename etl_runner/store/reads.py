"""What operators read: lists, details, map runs, written objects. Nothing here changes anything.

Every query is led by an index, whatever the number of rows (tests/store/test_reads.py asks SQLite for its
plans). A list without a status is put together from the newest of each status: that reads a few rows of an
index, where filtering would read all. Executions are numbered in the order of their start (engine/ids.py),
so that "newest first" is the order of the ids.
"""

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    bindparam,
    func,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.exc import DatabaseError

from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json, dumps, loads
from etl_runner.machine.codec import decode_page
from etl_runner.machine.facts import Fact
from etl_runner.store import tables as t
from etl_runner.store.database import unavailable
from etl_runner.store.store import Store

MOST: Final = 1_000
"""The most rows of one page."""

_ID_BITS: Final = 21
_SLACK_MS: Final = 3_600_000
"""An id holds the time at which it was drawn; where the clock was set back it is ahead of `started_ms`."""

_E: Final = t.Execution.__table__  # type: ignore[attr-defined]
_F: Final = t.FactPage.__table__  # type: ignore[attr-defined]
_M: Final = t.MapRun.__table__  # type: ignore[attr-defined]
_W: Final = t.WrittenObject.__table__  # type: ignore[attr-defined]

_CHILD: Final = re.compile(r"(?P<run>[0-9a-f]{1,16})-(?P<index>\d{1,18})")
"""How the children of a map run are named (engine/map_runs.py)."""

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Row]):
    """Some rows, and the token with which to ask for those that follow (None: there are no more)."""

    rows: tuple[Row, ...]
    next_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionQuery:
    """Which executions to list. `machine` is a state machine's ARN, `map_run` the id of a map run.

    Without `map_run`, children of map runs are left out. `version` and `alias` are the ARNs under which they
    were started; `redriven` says whether they ever were. Times bound the start: it is at `after_ms` or later
    and before `before_ms`.
    """

    machine: str | None = None
    version: str | None = None
    alias: str | None = None
    redriven: bool | None = None
    status: str | None = None
    origin: str | None = None
    map_run: int | None = None
    after_ms: int | None = None
    before_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSummary:
    """One execution's row."""

    id: int
    arn: str
    state_machine_arn: str
    name: str
    definition_id: int
    status: str
    origin: str
    started_ms: int
    stopped_ms: int | None
    error: str | None
    cause: str | None
    working: bool
    wake_at_ms: int | None
    map_run_id: int | None
    item_index: int | None
    state_machine_version_arn: str | None = None
    state_machine_alias_arn: str | None = None
    trace_header: str | None = None
    redrive_count: int = 0
    redriven_ms: int | None = None
    items: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionDetail:
    """One execution's row, its definition's text, and all its facts as `(at_ms, facts)`, at one moment."""

    row: ExecutionSummary
    definition: str
    yaml: bool
    pages: list[tuple[int, list[Fact]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRunSummary:
    """One map run, and how many of its children (`counts`) and of their items have each status.

    `children_started` and `items_started` are in children; `items_known` are all that are known of: those
    that a reader has read so far. `pending_redrive` and `pending_redrive_items` have not succeeded, and are
    to be redriven; they are not in the counts of their status. `results_written` says that the results of
    all that have ended were gathered.
    """

    id: int
    arn: str
    execution_id: int
    token: int
    status: str
    started_ms: int
    stopped_ms: int | None
    children_started: int
    items_started: int
    items_known: int
    read_all: bool
    max_concurrency: int
    tolerated_count: int | None
    tolerated_percentage: float
    results_written: bool
    express: bool
    redrive_count: int
    redriven_ms: int | None
    counts: dict[str, int]
    item_counts: dict[str, int]
    pending_redrive: int
    pending_redrive_items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenRow:
    """One versioned S3 write of an execution or of a child of its map runs."""

    execution_id: int
    token: int
    position: int
    execution_arn: str
    state: str
    bucket: str
    key: str
    version_id: str | None
    etag: str | None
    bytes: int
    sha256: str | None
    replaced_version_id: str | None
    unchanged: bool
    at_ms: int


_SUMMARY: Final = tuple(_E.c[name] for name in ExecutionSummary.__dataclass_fields__)
# Made once: to make a statement takes SQLAlchemy as long as to run it.
_BY_ARN: Final = select(*_SUMMARY).where(_E.c.arn == bindparam("arn"))
_BY_ID: Final = select(*_SUMMARY).where(_E.c.id == bindparam("id"))
_FIRST_FACT: Final = (
    select(_F.c.format, _F.c.data).where(_F.c.execution_id == bindparam("id")).order_by(_F.c.seq).limit(1)
)
_PAGES_FROM: Final = (
    select(_F.c.at_ms, _F.c.format, _F.c.data)
    .where(_F.c.execution_id == bindparam("id"), _F.c.seq >= bindparam("first"))
    .order_by(_F.c.seq)
)
_WRITTEN: Final = tuple(
    _E.c.arn.label("execution_arn") if name == "execution_arn" else _W.c[name]
    for name in WrittenRow.__dataclass_fields__
)


class Reads:
    """Questions to one store, from any thread; each is answered by a read connection of its own.

    All methods raise StoreUnavailable.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    # --- executions ---------------------------------------------------------------------------------------

    def executions(
        self, query: ExecutionQuery, *, limit: int = 50, token: str | None = None
    ) -> Page[ExecutionSummary]:
        """List executions, newest first. Raises InvalidInput for a limit, status or token that cannot be."""
        if query.status is not None and query.status not in t.STATUSES:
            raise InvalidInput(f"there is no status {query.status!r}; there are {', '.join(t.STATUSES)}")
        check_limit(limit)
        asked = _asked(query)
        if token is not None:
            asked["below"] = _read_token(token, query)[0]
        statuses = t.STATUSES if query.status is None else (query.status,)
        newest = _newest(statuses, frozenset(asked.keys() & _CONDITIONS.keys()))
        with self.reading() as connection:
            found = connection.execute(newest, {**asked, "most": limit + 1}).mappings()
            rows = [ExecutionSummary(**row) for row in found]
        return _page(rows, limit, query, lambda row: [row.id])

    def by_arn(self, arn: str) -> ExecutionSummary | None:
        """The execution of an ARN."""
        return self._summary(_BY_ARN, {"arn": arn})

    def by_id(self, execution_id: int) -> ExecutionSummary | None:
        """The execution of an id."""
        return self._summary(_BY_ID, {"id": execution_id})

    def named(self, name: str, machines: Iterable[str]) -> list[ExecutionSummary]:
        """The executions of a name: one for each state machine that has one, or the child of a map run."""
        found = self._summaries(and_(_E.c.state_machine_arn.in_(list(machines)), _E.c.name == name))
        child = _CHILD.fullmatch(name)
        if child is not None and not found:
            run, index = int(child["run"], 16), int(child["index"])
            found = self._summaries(and_(_E.c.map_run_id == run, _E.c.item_index == index))
        return found

    def machines(self) -> list[str]:
        """The ARNs of all state machines that ever had an execution, those of map runs left out."""
        found: list[str] = []
        column = _E.c.state_machine_arn
        query = select(column).order_by(column).limit(1)
        with self.reading() as connection:
            # One step of the index per machine; DISTINCT would walk all of it.
            arn = connection.execute(query).scalar()
            while arn is not None:
                found.append(arn)
                arn = connection.execute(query.where(column > arn)).scalar()
        return [arn for arn in found if "/" not in arn]

    def counts(self, machine: str | None = None) -> dict[str, int]:
        """How many executions have each status, of one state machine or of all; children left out."""
        among = [_E.c.map_run_id.is_(None), _E.c.status.in_(t.STATUSES)]
        if machine is not None:
            among.append(_E.c.state_machine_arn == machine)
        query = select(_E.c.status, func.count()).where(*among).group_by(_E.c.status)
        with self.reading() as connection:
            counted = {str(status): int(count) for status, count in connection.execute(query)}
        return {status: counted.get(status, 0) for status in t.STATUSES}

    def detail(self, execution_id: int) -> ExecutionDetail | None:
        """Everything about one execution, read at one moment."""
        definition = select(t.Definition.text, t.Definition.yaml)  # type: ignore[call-overload]
        facts = select(_F.c.at_ms, _F.c.format, _F.c.data).where(_F.c.execution_id == execution_id)
        with self.reading() as connection:
            row = (
                connection.execute(select(*_SUMMARY).where(_E.c.id == execution_id)).mappings().one_or_none()
            )
            if row is None:
                return None
            text, yaml = connection.execute(definition.where(t.Definition.id == row["definition_id"])).one()
            pages = connection.execute(facts.order_by(_F.c.seq)).all()
        return ExecutionDetail(
            row=ExecutionSummary(**row),
            definition=text,
            yaml=yaml,
            pages=[(at_ms, decode_page(data, page_format=number)) for at_ms, number, data in pages],
        )

    def first_fact(self, execution_id: int) -> Fact | None:
        """The fact with which an execution began; None when there is no such execution."""
        with self._store.asking() as connection:
            row = connection.execute(_FIRST_FACT, {"id": execution_id}).one_or_none()
        return None if row is None else decode_page(row.data, page_format=row.format)[0]

    def pages_from(self, execution_id: int, seq: int) -> list[tuple[int, list[Fact]]]:
        """An execution's facts from number `seq` on, at which a page must begin, as `(at_ms, facts)`."""
        with self._store.asking() as connection:
            pages = connection.execute(_PAGES_FROM, {"id": execution_id, "first": seq}).all()
        return [(at_ms, decode_page(data, page_format=number)) for at_ms, number, data in pages]

    # --- map runs -----------------------------------------------------------------------------------------

    def map_runs(self, execution_id: int) -> list[MapRunSummary]:
        """The map runs that an execution started, oldest first."""
        return self._map_runs(_M.c.execution_id == execution_id)

    def map_run(self, arn: str) -> MapRunSummary | None:
        """The map run of an ARN."""
        return next(iter(self._map_runs(_M.c.arn == arn)), None)

    def map_run_arn(self, map_run_id: int) -> str | None:
        """The ARN of a map run by its id."""
        with self.reading() as connection:
            return connection.execute(select(_M.c.arn).where(_M.c.id == map_run_id)).scalar()

    def _map_runs(self, condition: ColumnElement[bool]) -> list[MapRunSummary]:
        with self.reading() as connection:
            runs = connection.execute(select(_M).where(condition).order_by(_M.c.id)).mappings().all()
            return [_summary(connection, run) for run in runs]

    # --- written objects ----------------------------------------------------------------------------------

    def written(self, execution_id: int, *, limit: int = 100, token: str | None = None) -> Page[WrittenRow]:
        """What an execution and the children of its map runs (and theirs) wrote to S3.

        Its own come first, then those of the children in the order of their start. Raises InvalidInput for a
        limit or token that cannot be.
        """
        check_limit(limit)
        place = tuple_(_W.c.execution_id, _W.c.token, _W.c.position)
        query = (
            select(*_WRITTEN)
            .join_from(_W, _E, _E.c.id == _W.c.execution_id)
            .where(_W.c.execution_id.in_(_family(execution_id)))
            .order_by(_W.c.execution_id, _W.c.token, _W.c.position)
            .limit(limit + 1)
        )
        if token is not None:
            query = query.where(place > tuple_(*_read_token(token, execution_id, parts=3)))
        with self.reading() as connection:
            rows = [WrittenRow(**row) for row in connection.execute(query).mappings()]
        return _page(rows, limit, execution_id, lambda row: [row.execution_id, row.token, row.position])

    # --- connections --------------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection whose queries all see the same moment."""
        try:
            with self._store.engine.connect() as connection:
                yield connection
        except DatabaseError as error:
            raise unavailable(error, self._store.path) from error

    def try_to_write(self) -> None:
        """Take the right to write and let go of it. Raises StoreUnavailable: locked, read-only or gone."""
        with self.reading() as connection:
            connection.execution_options(immediate=True).begin().rollback()

    def _summary(self, query: Select[Any], given: Mapping[str, Any]) -> ExecutionSummary | None:
        with self._store.asking() as connection:
            row = connection.execute(query, given).mappings().one_or_none()
        return None if row is None else ExecutionSummary(**row)

    def _summaries(self, condition: ColumnElement[bool]) -> list[ExecutionSummary]:
        with self.reading() as connection:
            found = connection.execute(select(*_SUMMARY).where(condition).order_by(_E.c.id)).mappings()
            return [ExecutionSummary(**row) for row in found]


def check_limit(limit: int, most: int = MOST) -> None:
    """Raise InvalidInput unless 1 <= limit <= most."""
    if not 1 <= limit <= most:
        raise InvalidInput(f"the limit is {limit}; it must be from 1 to {most:,}")


_CONDITIONS: Final[Mapping[str, ColumnElement[bool]]] = {
    "children": _E.c.map_run_id.is_(None),
    "map_run": _E.c.map_run_id == bindparam("map_run"),
    "machine": _E.c.state_machine_arn == bindparam("machine"),
    "origin": _E.c.origin == bindparam("origin"),
    "version": _E.c.state_machine_version_arn == bindparam("version"),
    "alias": _E.c.state_machine_alias_arn == bindparam("alias"),
    "redriven": _E.c.redrive_count > 0,
    "not_redriven": _E.c.redrive_count == 0,
    # The exact times, and the ids around them, which are what the index knows.
    "after": and_(_E.c.started_ms >= bindparam("after"), _E.c.id >= bindparam("after_id")),
    "before": and_(_E.c.started_ms < bindparam("before"), _E.c.id < bindparam("before_id")),
    "below": _E.c.id < bindparam("below"),
}
"""What a list may ask of executions, by name; the parameters are those of `_asked`."""


def _asked(query: ExecutionQuery) -> dict[str, Json]:
    """The conditions of a query by name, and their parameters."""
    asked: dict[str, Json] = {
        name: getattr(query, name)
        for name in ("map_run", "machine", "origin", "version", "alias")
        if getattr(query, name) is not None
    }
    if query.map_run is None:
        asked["children"] = None
    if query.redriven is not None:
        asked["redriven" if query.redriven else "not_redriven"] = None
    if query.after_ms is not None:
        asked |= {"after": query.after_ms, "after_id": _id_at(query.after_ms)}
    if query.before_ms is not None:
        asked |= {"before": query.before_ms, "before_id": _id_at(query.before_ms + _SLACK_MS)}
    return asked


def _id_at(at_ms: int) -> int:
    return min(max(at_ms, 0) << _ID_BITS, 2**63 - 1)


@lru_cache(maxsize=256)
def _newest(statuses: Sequence[str], conditions: frozenset[str]) -> Select[Any]:
    """The newest rows of each status, then the newest of those; up to the parameter `most`.

    To put such a statement together takes many times as long as to run it, so each kind is made once.
    """
    where = [condition for name, condition in _CONDITIONS.items() if name in conditions]
    branches = [
        select(*_SUMMARY)
        .where(_E.c.status == status, *where)
        .order_by(_E.c.id.desc())
        .limit(bindparam("most"))
        .subquery()
        for status in statuses
    ]
    together = union_all(*(select(branch) for branch in branches)).subquery()
    return select(together).order_by(together.c.id.desc()).limit(bindparam("most"))


_MAP_RUN_AS_IT_IS: Final = tuple(
    name
    for name in MapRunSummary.__dataclass_fields__
    if name in _M.c and name not in {"max_concurrency", "tolerated_percentage"}
)


def _summary(connection: Connection, run: RowMapping) -> MapRunSummary:
    children, items = _children(connection, run["id"])
    waiting, waiting_items = 0, 0
    if run["status"] == "RUNNING" and run["redrive_next"] < run["redrive_until"]:
        span = _E.c.item_index.between(run["redrive_next"], run["redrive_until"] - 1)
        lost, lost_items = _children(connection, run["id"], span)
        for status in ("FAILED", "TIMED_OUT", "ABORTED"):
            children[status] -= lost[status]
            items[status] -= lost_items[status]
            waiting += lost[status]
            waiting_items += lost_items[status]
    return MapRunSummary(
        **{name: run[name] for name in _MAP_RUN_AS_IT_IS},
        max_concurrency=run["max_concurrency"] or 0,
        tolerated_percentage=run["tolerated_percentage"] or 0.0,
        children_started=run["next_index"],
        counts=children,
        item_counts=items,
        pending_redrive=waiting,
        pending_redrive_items=waiting_items,
    )


def _children(
    connection: Connection, map_run_id: int, *more: ColumnElement[bool]
) -> tuple[dict[str, int], dict[str, int]]:
    """How many children have each status, and how many items are in them."""
    items = func.sum(func.coalesce(_E.c["items"], 1))
    query = (
        select(_E.c.status, func.count(), items)
        .where(_E.c.map_run_id == map_run_id, *more)
        .group_by(_E.c.status)
    )
    found = {str(status): (int(count), int(total)) for status, count, total in connection.execute(query)}
    return (
        {status: found.get(status, (0, 0))[0] for status in t.STATUSES},
        {status: found.get(status, (0, 0))[1] for status in t.STATUSES},
    )


def _family(execution_id: int) -> Select[Any]:
    """The id of an execution and those of the children of its map runs, and of theirs."""
    runs = select(_M.c.id).where(_M.c.execution_id == execution_id).cte("runs", recursive=True)
    inner = _M.alias("inner_run")
    child = _E.alias("child")
    runs = runs.union(
        select(inner.c.id)
        .join_from(runs, child, child.c.map_run_id == runs.c.id)
        .join(inner, inner.c.execution_id == child.c.id)
    )
    member = _E.alias("member")
    children = select(member.c.id).join_from(runs, member, member.c.map_run_id == runs.c.id)
    itself = select(_E.c.id).where(_E.c.id == execution_id)
    both = union_all(itself, children).subquery("family")
    return select(both.c.id)


def _page(rows: list[Row], limit: int, query: object, key: Any) -> Page[Row]:
    if len(rows) <= limit:
        return Page(rows=tuple(rows))
    return Page(rows=tuple(rows[:limit]), next_token=_make_token(key(rows[limit - 1]), query))


def _make_token(key: list[int], query: object) -> str:
    return urlsafe_b64encode(dumps([1, _digest(query), *key])).decode().rstrip("=")


def _read_token(token: str, query: object, *, parts: int = 1) -> list[int]:
    try:
        value: Json = loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        version, digest, *rest = value
        key: list[int] = rest
        sound = version == 1 and len(key) == parts and all(type(part) is int for part in key)
    except (ValueError, TypeError):
        sound, digest, key = False, "", []
    if not sound:
        raise InvalidInput("the token for the next page is none that was given out; begin without one")
    if digest != _digest(query):
        raise InvalidInput("the token for the next page belongs to another question; ask the same one again")
    return key


def _digest(query: object) -> str:
    shown = dumps(asdict(query) if isinstance(query, ExecutionQuery) else query)
    return hashlib.blake2b(shown, digest_size=6).hexdigest()
