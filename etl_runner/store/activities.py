"""The registry of activities."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from etl_runner.store import tables as t
from etl_runner.store.store import Store

_A: Final = t.Activity.__table__  # type: ignore[attr-defined]
_T: Final = t.ResourceTag.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityRow:
    """A registered activity; see tables.Activity."""

    arn: str
    name: str
    created_ms: int
    encryption: str | None = None


_COLUMNS: Final = tuple(_A.c[name] for name in ActivityRow.__dataclass_fields__)


class Activities:
    """Registers activities, from any thread. What is changed is on the disk when a method returns.

    All raise StoreUnavailable.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, activity: ActivityRow, tags: Mapping[str, str] | None = None) -> ActivityRow:
        """Register an activity with its tags.

        Gives the one that is there when its ARN is registered already; then its tags stay as they are.
        """
        values = {name: getattr(activity, name) for name in ActivityRow.__dataclass_fields__}
        keep = sqlite_insert(t.Activity).on_conflict_do_nothing(index_elements=["arn"])
        with self._store.writing() as connection:
            if connection.execute(keep, values).rowcount:
                _forget_tags(connection, activity.arn)
                rows = [
                    {"resource_arn": activity.arn, "key": key, "value": value}
                    for key, value in (tags or {}).items()
                ]
                if rows:
                    connection.execute(insert(_T), rows)
            row = connection.execute(select(*_COLUMNS).where(_A.c.arn == activity.arn)).mappings().one()
            return ActivityRow(**row)

    def get(self, arn: str) -> ActivityRow | None:
        """The activity of an ARN."""
        with self._store.reading() as connection:
            row = connection.execute(select(*_COLUMNS).where(_A.c.arn == arn)).mappings().one_or_none()
        return None if row is None else ActivityRow(**row)

    def count(self, prefix: str) -> int:
        """How many activities there are whose ARN begins with `prefix`."""
        query = select(func.count()).where(_A.c.arn >= prefix, _A.c.arn < prefix + "\U0010ffff")
        with self._store.reading() as connection:
            count: int = connection.execute(query).scalar_one()
        return count

    def page(self, *, limit: int, after: str = "", prefix: str = "") -> list[ActivityRow]:
        """Up to `limit` activities by ARN, those behind the ARN `after` whose ARN begins with `prefix`."""
        query = select(*_COLUMNS).where(_A.c.arn > after).order_by(_A.c.arn).limit(limit)
        if prefix:
            query = query.where(_A.c.arn >= prefix, _A.c.arn < prefix + "\U0010ffff")
        with self._store.asking() as connection:
            return [ActivityRow(**row) for row in connection.execute(query).mappings()]

    def delete(self, arn: str) -> bool:
        """Take an activity off the register, with its tags; False when it is not on it."""
        with self._store.writing() as connection:
            _forget_tags(connection, arn)
            return connection.execute(delete(_A).where(_A.c.arn == arn)).rowcount > 0


def _forget_tags(connection: Connection, arn: str) -> None:
    connection.execute(delete(_T).where(_T.c.resource_arn == arn))
