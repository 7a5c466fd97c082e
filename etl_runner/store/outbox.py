"""What is still to be told to the world, and the Express executions that are to begin again."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from etl_runner.store import tables as t
from etl_runner.store.store import Store

_O: Final = t.Outbox.__table__  # type: ignore[attr-defined]
_S: Final = t.ExpressStart.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressStartRow:
    """An asynchronous Express execution that has not ended; see tables.ExpressStart."""

    id: int
    arn: str
    started_ms: int
    request: str


def pages_to_tell(store: Store, limit: int) -> list[tuple[int, int]]:
    """`(execution_id, seq)` of pages that wait in the outbox. Raises StoreUnavailable."""
    query = select(_O.c.execution_id, _O.c.seq).order_by(_O.c.execution_id, _O.c.seq).limit(limit)
    with store.reading() as connection:
        return [(int(execution_id), int(seq)) for execution_id, seq in connection.execute(query)]


def express_starts(store: Store) -> list[ExpressStartRow]:
    """All Express executions that were acknowledged and have not ended. Raises StoreUnavailable."""
    columns = [_S.c[name] for name in ExpressStartRow.__dataclass_fields__]
    with store.reading() as connection:
        rows = connection.execute(select(*columns).order_by(_S.c.id)).mappings()
        return [ExpressStartRow(**row) for row in rows]
