"""What is read of task tokens: whose they are, which wait for a worker, whose heartbeat is due."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from sqlalchemy import literal_column, select

from etl_runner.store import tables as t
from etl_runner.store.store import Store

TokenKey: TypeAlias = tuple[int, int]
"""(execution id, number of the token in it)."""

_T: Final = t.TaskToken.__table__  # type: ignore[attr-defined]

# Literals: SQLite uses an index on part of a table only where the query's own text shows that it may.
_SCHEDULED: Final = _T.c.state == literal_column("'scheduled'")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A task token's row; see tables.TaskToken."""

    execution_id: int
    token: int
    text: str
    state: str
    scheduled_ms: int
    activity_arn: str | None
    worker: str | None
    heartbeat_ms: int | None
    heartbeat_due_ms: int | None
    hand_outs: int

    @property
    def key(self) -> TokenKey:
        """Which it is."""
        return self.execution_id, self.token


_COLUMNS: Final = tuple(_T.c[name] for name in TokenRow.__dataclass_fields__)


class TokenReads:
    """Questions about task tokens, from any thread. All raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def by_text(self, texts: Sequence[str]) -> dict[str, TokenRow]:
        """The tokens of these texts, those that there are."""
        found: dict[str, TokenRow] = {}
        with self._store.reading() as connection:
            for at in range(0, len(texts), 200):
                query = select(*_COLUMNS).where(_T.c.text.in_(texts[at : at + 200]))
                rows = [TokenRow(**row) for row in connection.execute(query).mappings()]
                found.update((row.text, row) for row in rows)
        return found

    def of(self, execution_id: int) -> list[TokenRow]:
        """All tokens of an execution, in their order."""
        query = select(*_COLUMNS).where(_T.c.execution_id == execution_id).order_by(_T.c.token)
        with self._store.reading() as connection:
            return [TokenRow(**row) for row in connection.execute(query).mappings()]

    def waiting(self, activity_arn: str, limit: int) -> list[TokenRow]:
        """The tasks of an activity that no worker has fetched, oldest first."""
        query = (
            select(*_COLUMNS)
            .where(_SCHEDULED, _T.c.activity_arn == activity_arn)
            .order_by(_T.c.scheduled_ms, _T.c.execution_id, _T.c.token)
            .limit(limit)
        )
        with self._store.reading() as connection:
            return [TokenRow(**row) for row in connection.execute(query).mappings()]

    def lost(self, until_ms: int, limit: int) -> list[tuple[int, TokenKey]]:
        """(heartbeat_due_ms, key) of the tokens whose heartbeat is due up to `until_ms`, soonest first."""
        due = _T.c.heartbeat_due_ms
        query = (
            select(due, _T.c.execution_id, _T.c.token)
            .where(due.isnot(None), due <= until_ms)
            .order_by(due)
            .limit(limit)
        )
        with self._store.reading() as connection:
            return [(int(at), (int(of), int(token))) for at, of, token in connection.execute(query)]
