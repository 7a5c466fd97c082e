"""The rows of state machines: what they are now, what they were, their versions, aliases and tags.

Who calls `writing` sees to it that nobody else decides at the same time (engine/state_machines.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, update

from etl_runner.jsontypes import Json, dumps_text, loads
from etl_runner.store import tables as t
from etl_runner.store.store import Store

_D: Final = t.Definition.__table__  # type: ignore[attr-defined]
_R: Final = t.StateMachineRevision.__table__  # type: ignore[attr-defined]
_S: Final = t.StateMachine.__table__  # type: ignore[attr-defined]
_V: Final = t.StateMachineVersion.__table__  # type: ignore[attr-defined]
_A: Final = t.StateMachineAlias.__table__  # type: ignore[attr-defined]
_T: Final = t.ResourceTag.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What a state machine was at one time; see tables.StateMachineRevision."""

    id: int
    machine_arn: str
    revision_id: str | None
    definition_id: int
    role_arn: str
    logging: Json
    tracing: Json
    encryption: Json
    created_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A state machine; see tables.StateMachine."""

    arn: str
    account: str
    region: str
    name: str
    type: str
    revision: int
    last_version: int
    published_as: str | None
    created_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A published version; see tables.StateMachineVersion."""

    machine_arn: str
    number: int
    revision: int
    description: str
    created_ms: int

    @property
    def arn(self) -> str:
        """The version's ARN."""
        return f"{self.machine_arn}:{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A name for versions; `routing` holds (number, weight)."""

    id: int
    machine_arn: str
    name: str
    description: str
    routing: tuple[tuple[int, int], ...]
    created_ms: int
    updated_ms: int

    @property
    def arn(self) -> str:
        """The alias's ARN."""
        return f"{self.machine_arn}:{self.name}"


class StateMachineRows:
    """Reads and writes of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @contextmanager
    def writing(self) -> Iterator["Writes"]:
        """One transaction. Raises StoreUnavailable; then nothing of it is there."""
        with self._store.writing() as connection:
            yield Writes(connection)

    # --- reads --------------------------------------------------------------------------------------------

    def machine(self, arn: str) -> Machine | None:
        """A state machine by its ARN."""
        found = self._rows(select(_S).where(_S.c.arn == arn))
        return Machine(**found[0]) if found else None

    def machines(
        self, account: str, region: str, *, after: str, limit: int
    ) -> list[tuple[Machine, Revision]]:
        """The state machines of an account in a region by name, those after a name."""
        query = select(_S).where(_S.c.account == account, _S.c.region == region, _S.c.name > after)
        found = [Machine(**row) for row in self._rows(query.order_by(_S.c.name).limit(limit))]
        revisions = self._revisions([each.revision for each in found])
        return [(each, revisions[each.revision]) for each in found]

    def named(self, name: str) -> list[Machine]:
        """The state machines of a name, whatever account and region they are of."""
        return [Machine(**row) for row in self._rows(select(_S).where(_S.c.name == name).order_by(_S.c.arn))]

    def everywhere(self, *, limit: int) -> list[tuple[Machine, Revision]]:
        """The state machines of all accounts and regions, by name."""
        query = select(_S).order_by(_S.c.name, _S.c.arn).limit(limit)
        found = [Machine(**row) for row in self._rows(query)]
        revisions = self._revisions([each.revision for each in found])
        return [(each, revisions[each.revision]) for each in found]

    def count(self, account: str, region: str) -> int:
        """How many state machines an account has in a region."""
        query = select(func.count()).where(_S.c.account == account, _S.c.region == region)
        with self._store.reading() as connection:
            count: int = connection.execute(query).scalar_one()
        return count

    def revision(self, revision: int) -> Revision:
        """A revision by its row's number."""
        return self._revisions([revision])[revision]

    def revision_at(self, machine_arn: str, definition_id: int, at_ms: int) -> Revision | None:
        """What a state machine, which may be gone, was at a time, when it had this definition."""
        had = (_R.c.machine_arn == machine_arn, _R.c.definition_id == definition_id)
        # A start may be decided in the same moment as a change, so that the clock alone does not tell.
        until = select(_R).where(*had, _R.c.created_ms <= at_ms).order_by(_R.c.id.desc()).limit(1)
        found = self._rows(until) or self._rows(select(_R).where(*had).order_by(_R.c.id).limit(1))
        return _revision(found[0]) if found else None

    def version(self, machine_arn: str, number: int) -> Version | None:
        """A version by its number."""
        found = self._rows(select(_V).where(_V.c.machine_arn == machine_arn, _V.c.number == number))
        return Version(**found[0]) if found else None

    def version_of(self, machine_arn: str, revision: int) -> Version | None:
        """The newest version that a revision has."""
        query = select(_V).where(_V.c.machine_arn == machine_arn, _V.c.revision == revision)
        found = self._rows(query.order_by(_V.c.number.desc()).limit(1))
        return Version(**found[0]) if found else None

    def versions(self, machine_arn: str, *, before: int | None, limit: int) -> list[Version]:
        """The versions of a state machine, newest first, those before a number."""
        query = select(_V).where(_V.c.machine_arn == machine_arn)
        if before is not None:
            query = query.where(_V.c.number < before)
        return [Version(**row) for row in self._rows(query.order_by(_V.c.number.desc()).limit(limit))]

    def alias(self, machine_arn: str, name: str) -> Alias | None:
        """An alias by its name."""
        found = self._rows(select(_A).where(_A.c.machine_arn == machine_arn, _A.c.name == name))
        return _alias(found[0]) if found else None

    def aliases(self, machine_arn: str, *, after: int = 0, limit: int | None = None) -> list[Alias]:
        """The aliases of a state machine in the order in which they were made, those after an id."""
        query = select(_A).where(_A.c.machine_arn == machine_arn, _A.c.id > after).order_by(_A.c.id)
        return [_alias(row) for row in self._rows(query.limit(limit))]

    def tags(self, resource_arn: str) -> dict[str, str]:
        """The tags of a resource."""
        rows = self._rows(select(_T).where(_T.c.resource_arn == resource_arn).order_by(_T.c.id))
        return {row["key"]: row["value"] for row in rows}

    def definition_since(self, definition_id: int) -> int:
        """When a definition was first seen."""
        query = select(_D.c.created_ms).where(_D.c.id == definition_id)
        return int(self._rows(query)[0]["created_ms"])

    def _revisions(self, ids: Sequence[int]) -> dict[int, Revision]:
        rows = self._rows(select(_R).where(_R.c.id.in_(ids)))
        return {row["id"]: _revision(row) for row in rows}

    def _rows(self, query: Any) -> list[dict[str, Any]]:
        with self._store.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


class Writes:
    """What one transaction changes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_revision(self, revision: Revision) -> int:
        """Keep a revision; its `id` is not looked at. Gives the one it got."""
        row = _json_row(revision, "logging", "tracing", "encryption")
        del row["id"]
        key = self._connection.execute(insert(_R), row).inserted_primary_key
        assert key is not None
        return int(key[0])

    def add_machine(self, machine: Machine) -> None:
        """Keep a new state machine."""
        self._connection.execute(insert(_S), _row(machine))

    def set_revision(self, arn: str, revision: int) -> None:
        """Let a state machine be another revision."""
        self._connection.execute(update(_S).where(_S.c.arn == arn).values(revision=revision))

    def delete_machine(self, arn: str) -> None:
        """Forget a state machine with its versions, aliases and tags; its revisions stay."""
        self._connection.execute(delete(_S).where(_S.c.arn == arn))
        self._connection.execute(delete(_T).where(_T.c.resource_arn == arn))

    def add_version(self, version: Version) -> None:
        """Keep a version; its number is the state machine's last."""
        self._connection.execute(insert(_V), _row(version))
        of_machine = update(_S).where(_S.c.arn == version.machine_arn)
        self._connection.execute(of_machine.values(last_version=version.number))

    def delete_version(self, machine_arn: str, number: int) -> None:
        """Forget a version."""
        self._connection.execute(delete(_V).where(_V.c.machine_arn == machine_arn, _V.c.number == number))

    def add_alias(self, alias: Alias) -> None:
        """Keep an alias; its `id` is not looked at."""
        row = _json_row(alias, "routing")
        del row["id"]
        self._connection.execute(insert(_A), row)

    def change_alias(self, alias: Alias) -> None:
        """Change description, routing and time of an alias."""
        changed = {"description": alias.description, "updated_ms": alias.updated_ms}
        routing = dumps_text(alias.routing)
        self._connection.execute(update(_A).where(_A.c.id == alias.id).values(routing=routing, **changed))

    def delete_alias(self, alias_id: int) -> None:
        """Forget an alias."""
        self._connection.execute(delete(_A).where(_A.c.id == alias_id))

    def set_tags(self, resource_arn: str, tags: Mapping[str, str]) -> None:
        """Let a resource have exactly these tags."""
        self._connection.execute(delete(_T).where(_T.c.resource_arn == resource_arn))
        rows = [{"resource_arn": resource_arn, "key": key, "value": value} for key, value in tags.items()]
        if rows:
            self._connection.execute(insert(_T), rows)


def _row(value: Any) -> dict[str, Any]:
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _json_row(value: Any, *columns: str) -> dict[str, Any]:
    return {name: dumps_text(each) if name in columns else each for name, each in _row(value).items()}


def _revision(row: dict[str, Any]) -> Revision:
    parsed = {name: loads(row[name]) for name in ("logging", "tracing", "encryption")}
    return Revision(**{**row, **parsed})


def _alias(row: dict[str, Any]) -> Alias:
    routing = tuple((int(number), int(weight)) for number, weight in loads(row["routing"]))
    return Alias(**{**row, "routing": routing})
