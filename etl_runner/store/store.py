"""The store as the rest of the service sees it: commit a unit, and read what the engine needs to go on.

What operators read (lists, histories, ledgers) is in reads.py.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, Select, and_, bindparam, func, literal_column, select
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DatabaseError, DataError, NotSupportedError, ProgrammingError

from etl_runner.errors import StoreUnavailable
from etl_runner.machine.codec import decode_page
from etl_runner.machine.facts import Fact
from etl_runner.store import tables as t
from etl_runner.store.database import open_store, unavailable
from etl_runner.store.lock import StoreLock
from etl_runner.store.unit import Unit, write


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRow:
    """The columns of an execution that the engine works with."""

    id: int
    arn: str
    state_machine_arn: str
    name: str
    definition_id: int
    scope: int
    status: str
    origin: str
    input_sha256: str
    started_ms: int
    stopped_ms: int | None
    working: bool
    wake_at_ms: int | None
    map_run_id: int | None
    item_index: int | None
    logging: str | None
    redrive_count: int
    redriven_ms: int | None
    redrive_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRunRow:
    """A map run's row; see tables.MapRun."""

    id: int
    arn: str
    execution_id: int
    token: int
    status: str
    started_ms: int
    stopped_ms: int | None
    source: str | None
    cursor: str | None
    next_index: int
    read_all: bool
    max_concurrency: int | None = None
    tolerated_count: int | None = None
    tolerated_percentage: float | None = None
    items_started: int = 0
    items_known: int = 0
    results_written: bool = False
    express: bool = False
    redrive_count: int = 0
    redriven_ms: int | None = None
    redrive_next: int = 0
    redrive_until: int = 0


class Count(NamedTuple):
    """How many children, and how many items are in them."""

    children: int = 0
    items: int = 0


_EXECUTION_COLUMNS = tuple(getattr(t.Execution, name) for name in ExecutionRow.__dataclass_fields__)
# Made once: to make a statement takes SQLAlchemy as long as to run it.
EXECUTIONS: Final = select(*_EXECUTION_COLUMNS)
_BY_ID: Final = EXECUTIONS.where(t.Execution.id == bindparam("id"))  # type: ignore[arg-type]
_BY_ARN: Final = EXECUTIONS.where(t.Execution.arn == bindparam("arn"))  # type: ignore[arg-type]
_BY_NAME: Final = EXECUTIONS.where(
    t.Execution.state_machine_arn == bindparam("machine"),  # type: ignore[arg-type]
    t.Execution.name.in_(bindparam("names", expanding=True)),  # type: ignore[attr-defined]
)

_MAP_RUN_COLUMNS = tuple(getattr(t.MapRun, name) for name in MapRunRow.__dataclass_fields__)


# A literal: SQLite uses an index on part of a table only where the query's own text shows that it may.
_RUNNING: Final = t.Execution.status == literal_column("'RUNNING'")


class Store:
    """One open store. Reads may come from any thread; commits take turns."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises StoreUnavailable or StoreTooNew."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"the folder of the store {path} cannot be made ({error.strerror}); name another place, or "
                "give the service's user the right to write there"
            ) from error
        self._file_lock = StoreLock(path)
        try:
            self.engine: Engine = open_store(path)
        except BaseException:
            self._file_lock.release()
            raise
        self._lone = self.engine.execution_options(lone=True)  # with the same connections
        self._writer: Connection | None = None
        self._lock = Lock()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self.engine.dispose()
        self._file_lock.release()

    def commit(self, unit: Unit) -> None:
        """Write a unit in one transaction; when this returns it is on the disk.

        Raises LostExecution, Conflict (see unit.write) or StoreUnavailable; then nothing of it is there.
        """
        with self._lock:
            try:
                if self._writer is None:
                    self._writer = self.engine.connect().execution_options(immediate=True)
                with self._writer.begin():
                    write(self._writer, unit)
            except (DataError, NotSupportedError, ProgrammingError):
                # A row that cannot be written is the fault of who made it. To call the store unavailable
                # would make the engine try it for ever, and everything else wait.
                self._drop_writer()
                raise
            except DatabaseError as error:
                self._drop_writer()
                raise unavailable(error, self.path) from error
            except BaseException:
                self._drop_writer()
                raise

    def _drop_writer(self) -> None:
        """After a failed commit take a new connection: the old one's state is not worth guessing at."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.invalidate()
            writer.close()

    # --- definitions --------------------------------------------------------------------------------------

    def put_definition(self, text: str, *, yaml: bool, now_ms: int) -> int:
        """Keep a definition's text once; gives its id."""
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        row = {"sha256": sha256, "yaml": yaml, "text": text, "created_ms": now_ms}
        keep = sqlite_insert(t.Definition).on_conflict_do_nothing(index_elements=["sha256"])
        with self.writing() as connection:
            connection.execute(keep, row)
            found = connection.execute(select(t.Definition.id).where(t.Definition.sha256 == sha256))  # type: ignore[call-overload]
            return int(found.scalar_one())

    def definition_text(self, definition_id: int) -> tuple[str, bool]:
        """Give a definition's text and whether it is YAML."""
        with self._reading() as connection:
            row = connection.execute(
                select(t.Definition.text, t.Definition.yaml).where(t.Definition.id == definition_id)  # type: ignore[call-overload]
            ).one()
        return str(row[0]), bool(row[1])

    # --- executions ---------------------------------------------------------------------------------------

    def execution(self, execution_id: int) -> ExecutionRow | None:
        """One execution by its id."""
        return next(iter(self._executions(_BY_ID, {"id": execution_id})), None)

    def execution_by_arn(self, arn: str) -> ExecutionRow | None:
        """One execution by its ARN."""
        return next(iter(self._executions(_BY_ARN, {"arn": arn})), None)

    def executions_by_name(self, names: Sequence[tuple[str, str]]) -> list[ExecutionRow]:
        """The executions that already have one of these (state machine ARN, name)."""
        by_machine: dict[str, list[str]] = {}
        for arn, name in names:
            by_machine.setdefault(arn, []).append(name)
        found: list[ExecutionRow] = []
        for arn, of_machine in by_machine.items():
            found.extend(self._executions(_BY_NAME, {"machine": arn, "names": of_machine}))
        return found

    def pages(self, execution_id: int) -> list[tuple[int, list[Fact]]]:
        """All facts of an execution, as `(at_ms, facts)` in order."""
        with self.asking() as connection:
            rows = connection.execute(
                select(t.FactPage.at_ms, t.FactPage.format, t.FactPage.data)  # type: ignore[call-overload]
                .where(t.FactPage.execution_id == execution_id)
                .order_by(t.FactPage.seq)
            ).all()
        return [(at_ms, decode_page(data, page_format=page_format)) for at_ms, page_format, data in rows]

    def open_working(self) -> list[int]:
        """The running executions with something handed out: what recovery has to hand out again."""
        with self._reading() as connection:
            query = select(t.Execution.id).where(_RUNNING, t.Execution.working)  # type: ignore[call-overload]
            return list(connection.execute(query.order_by(t.Execution.id)).scalars())

    def due(self, until_ms: int, limit: int) -> list[tuple[int, int]]:
        """(wake_at_ms, id) of executions to be woken up to `until_ms`, soonest first."""
        wake = t.Execution.wake_at_ms
        with self._reading() as connection:
            query = (
                select(wake, t.Execution.id)  # type: ignore[call-overload]
                .where(wake.isnot(None), wake <= until_ms)  # type: ignore[union-attr, operator]
                .order_by(wake)
                .limit(limit)
            )
            return [(int(at), int(execution_id)) for at, execution_id in connection.execute(query)]

    def _executions(self, query: Select[Any], given: Mapping[str, Any]) -> list[ExecutionRow]:
        with self.asking() as connection:
            return [ExecutionRow(**row) for row in connection.execute(query, given).mappings()]

    # --- map runs -----------------------------------------------------------------------------------------

    def map_run(self, execution_id: int, token: int) -> MapRunRow | None:
        """The map run that an execution holds by this token."""
        return self._map_run(and_(t.MapRun.execution_id == execution_id, t.MapRun.token == token))  # type: ignore[arg-type]

    def map_run_by_id(self, map_run_id: int) -> MapRunRow | None:
        """One map run by its id."""
        return self._map_run(t.MapRun.id == map_run_id)

    def map_run_by_arn(self, arn: str) -> MapRunRow | None:
        """The map run of an ARN."""
        return self._map_run(t.MapRun.arn == arn)

    def _map_run(self, condition: object) -> MapRunRow | None:
        with self._reading() as connection:
            query = select(*_MAP_RUN_COLUMNS).where(condition)  # type: ignore[arg-type]
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else MapRunRow(**row)

    def children_by_status(
        self, map_run_id: int, *, first: int | None = None, until: int | None = None
    ) -> dict[str, Count]:
        """How many children of a map run have each status, and how many items are in them.

        `first` and `until` (exclusive) bound the item_index.
        """
        wanted = [t.Execution.map_run_id == map_run_id]
        if first is not None and until is not None:
            wanted += [t.Execution.item_index >= first, t.Execution.item_index < until]  # type: ignore[operator]
        with self._reading() as connection:
            query = (
                select(
                    t.Execution.status,  # type: ignore[call-overload]
                    func.count(),
                    func.sum(func.coalesce(t.Execution.items, 1)),
                )
                .where(*wanted)
                .group_by(t.Execution.status)
            )
            return {
                str(status): Count(children=int(children), items=int(items))
                for status, children, items in connection.execute(query)
            }

    def unsuccessful_children(
        self, map_run_id: int, first: int, until: int, limit: int
    ) -> list[tuple[int, int, int]]:
        """(item_index, id, items) of children that ended without success, from `first` up to `until`."""
        child = t.Execution
        with self._reading() as connection:
            query = (
                select(child.item_index, child.id, func.coalesce(child.items, 1))  # type: ignore[call-overload]
                .where(
                    child.map_run_id == map_run_id,
                    child.item_index >= first,  # type: ignore[operator]
                    child.item_index < until,  # type: ignore[operator]
                    child.status.in_(("FAILED", "TIMED_OUT", "ABORTED")),  # type: ignore[attr-defined]
                )
                .order_by(child.item_index)
                .limit(limit)
            )
            return [(int(index), int(of), int(items)) for index, of, items in connection.execute(query)]

    def orphans(self) -> list[int]:
        """Running children whose map run has ended, and theirs: the process died before it stopped them."""
        with self._reading() as connection:
            query = (
                select(t.Execution.id)  # type: ignore[call-overload]
                .join(t.MapRun, t.MapRun.id == t.Execution.map_run_id)
                # What is said of `working` is always so; it leads SQLite to the index of open executions,
                # where it would else go through every child that there ever was.
                .where(_RUNNING, t.Execution.working.in_((False, True)), t.MapRun.status != "RUNNING")  # type: ignore[attr-defined]
            )
            found = list(connection.execute(query).scalars())
            for execution_id in found:  # grows while it is gone through
                below = (
                    select(t.Execution.id)  # type: ignore[call-overload]
                    .join(t.MapRun, t.MapRun.id == t.Execution.map_run_id)
                    .where(
                        t.MapRun.execution_id == execution_id,
                        t.MapRun.status == "RUNNING",
                        t.Execution.status == "RUNNING",
                    )
                )
                found.extend(connection.execute(below).scalars())
        return found

    def open_children(self, map_run_id: int) -> dict[int, int]:
        """The ids of a map run's running children, in item order, and how many items each has."""
        with self._reading() as connection:
            query = (
                select(t.Execution.id, func.coalesce(t.Execution.items, 1))  # type: ignore[call-overload]
                .where(t.Execution.map_run_id == map_run_id, t.Execution.status == "RUNNING")
                .order_by(t.Execution.item_index)
            )
            return {int(of): int(items) for of, items in connection.execute(query)}

    def children(
        self, map_run_id: int, *, batch: int = 200
    ) -> Iterable[tuple[ExecutionRow, list[tuple[int, list[Fact]]]]]:
        """All children of a map run in item order with their pages, read a few at a time."""
        after = -1
        while True:
            with self._reading() as connection:
                query = (
                    select(*_EXECUTION_COLUMNS)
                    .where(t.Execution.map_run_id == map_run_id, t.Execution.item_index > after)  # type: ignore[arg-type, operator]
                    .order_by(t.Execution.item_index)  # type: ignore[arg-type]
                    .limit(batch)
                )
                rows = [ExecutionRow(**row) for row in connection.execute(query).mappings()]
            if not rows:
                return
            pages = self._pages_of([row.id for row in rows])
            for row in rows:
                yield row, pages[row.id]
            last = rows[-1].item_index
            assert last is not None
            after = last

    def _pages_of(self, execution_ids: Sequence[int]) -> dict[int, list[tuple[int, list[Fact]]]]:
        """The facts of several executions as `(at_ms, facts)`, read at once."""
        pages: dict[int, list[tuple[int, list[Fact]]]] = {each: [] for each in execution_ids}
        with self._reading() as connection:
            query = (
                select(t.FactPage.execution_id, t.FactPage.at_ms, t.FactPage.format, t.FactPage.data)  # type: ignore[call-overload]
                .where(t.FactPage.execution_id.in_(execution_ids))  # type: ignore[attr-defined]
                .order_by(t.FactPage.execution_id, t.FactPage.seq)
            )
            for execution_id, at_ms, page_format, data in connection.execute(query):
                pages[execution_id].append((at_ms, decode_page(data, page_format=page_format)))
        return pages

    # --- connections --------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction of its own, for what no turn of the engine changes. On the disk when it is left.

        Raises StoreUnavailable, and whatever the block raises; then nothing of it is there.
        """
        with self._lock, self._reading() as connection:
            writer = connection.execution_options(immediate=True)
            with writer.begin():
                yield writer

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection whose queries all see the same moment. Raises StoreUnavailable."""
        with self._reading() as connection:
            yield connection

    @contextmanager
    def asking(self) -> Iterator[Connection]:
        """A connection for one query, which needs no transaction. Raises StoreUnavailable."""
        with self._reading(self._lone) as connection:
            yield connection

    @contextmanager
    def _reading(self, engine: Engine | None = None) -> Iterator[Connection]:
        try:
            with (engine or self.engine).connect() as connection:
                yield connection
        except DatabaseError as error:
            raise unavailable(error, self.path) from error
