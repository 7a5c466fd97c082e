"""State machines as the API has them: made, changed, published, named by aliases, and found to be started.

Workflows from files are state machines too; the file is their home, so that nothing here changes them. Every
change is one transaction, on the disk when the method returns, and one is decided at a time: what was read
before a change still holds when it is written (the store belongs to this process alone).
"""

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import Final

from etl_runner.arn import Arn
from etl_runner.asl.document import Source
from etl_runner.asl.model import StateMachine
from etl_runner.asl.yaml_text import read_yaml
from etl_runner.clock import Clock
from etl_runner.engine.live import Definitions
from etl_runner.engine.machine_shapes import (
    Changes,
    Described,
    HomeIsAFile,
    New,
    OtherRevision,
    QuotaReached,
    Target,
    VersionInUse,
    next_version,
    of_file,
    settings,
    target_of,
    version_number,
)
from etl_runner.engine.workflows import Workflow, Workflows
from etl_runner.errors import Conflict, NotFound
from etl_runner.jsontypes import dumps_text, loads
from etl_runner.machine.limits import AWS, Limits
from etl_runner.store.state_machines import Alias, Machine, Revision, StateMachineRows, Version
from etl_runner.store.store import Store

_CACHED: Final = 10_000
"""So many targets are kept; then the memory starts anew."""


class StateMachines:
    """All state machines of a store and of the files."""

    def __init__(
        self,
        store: Store,
        workflows: Workflows,
        clock: Clock,
        definitions: Definitions | None = None,
        *,
        limits: Limits = AWS,
    ) -> None:
        """`definitions` are the engine's, so that each is parsed once."""
        self._store = store
        self._rows = StateMachineRows(store)
        self._workflows = workflows
        self._clock = clock
        self._deciding = Lock()
        self._targets: dict[str, list[tuple[int, Target]]] = {}
        self._definitions = definitions or Definitions(store)
        self._limits = limits
        self._rng = random.Random()  # noqa: S311 -- which version is started is no secret
        self._since: dict[int, int] = {}  # definition -> when a file first had it

    # --- the machines -------------------------------------------------------------------------------------

    def create(self, new: New) -> Described:
        """Make a state machine; the same again gives what there is.

        Role and tags are not looked at, as on AWS. Raises Conflict when there is another of this name, and
        QuotaReached.
        """
        with self._deciding:
            found = self.find(new.arn)
            if found is not None:
                return self._again(new, found)
            most = self._limits.state_machines
            if self._rows.count(new.account, new.region) >= most:
                raise QuotaReached(f"there are {most:,} state machines, which is the most; delete some")
            now_ms = self._clock.now_ms()
            revision = Revision(
                id=0,
                machine_arn=new.arn,
                revision_id=None,
                definition_id=self._keep(new.definition, new.parsed, now_ms),
                role_arn=new.role_arn,
                logging=new.logging,
                tracing=new.tracing,
                encryption=new.encryption,
                created_ms=now_ms,
            )
            version = None
            with self._rows.writing() as writes:
                revision = replace(revision, id=writes.add_revision(revision))
                machine = Machine(
                    arn=new.arn,
                    account=new.account,
                    region=new.region,
                    name=new.name,
                    type=new.type,
                    revision=revision.id,
                    last_version=0,
                    published_as=new.publish_as,
                    created_ms=now_ms,
                )
                writes.add_machine(machine)
                writes.set_tags(new.arn, new.tags)  # also none: those of one that was deleted are not its own
                if new.publish_as is not None:
                    version = next_version(machine, revision, new.publish_as, now_ms)
                    writes.add_version(version)
            self._targets.clear()
            return Described(machine=machine, revision=revision, version=version)

    def _again(self, new: New, found: Described) -> Described:
        """What CreateStateMachine of an existing name comes to."""
        text = self.definition(found.revision.definition_id)
        if found.file:
            same = loads(new.definition) == loads(text) and new.type == found.machine.type
        else:
            has = (found.machine.type, found.machine.published_as, text, *settings(found.revision))
            wants = (new.type, new.publish_as, new.definition, new.logging, new.tracing, new.encryption)
            same = has == wants
        if not same:
            raise Conflict(f"there is another state machine {new.arn}")
        return replace(found, version=self._rows.version(new.arn, 1))

    def update(self, arn: str, changes: Changes, *, publish_as: str | None = None) -> Described:
        """Change a state machine; what changes nothing makes no revision.

        With `publish_as` the revision gets a version of that description, unless it has one. Raises NotFound,
        HomeIsAFile and QuotaReached.
        """
        with self._deciding:
            found = self._own(arn)
            now_ms = self._clock.now_ms()
            old, definition = found.revision, changes.definition
            fresh = replace(
                old,
                definition_id=old.definition_id
                if definition is None
                else self._keep(definition, changes.parsed, now_ms),
                role_arn=old.role_arn if changes.role_arn is None else changes.role_arn,
                logging=old.logging if changes.logging is None else changes.logging,
                tracing=old.tracing if changes.tracing is None else changes.tracing,
                encryption=old.encryption if changes.encryption is None else changes.encryption,
            )
            version = None if publish_as is None or fresh != old else self._rows.version_of(arn, old.id)
            publishes = publish_as is not None and version is None
            if publishes:
                self._check_versions(arn)
            if fresh != old or publishes:
                with self._rows.writing() as writes:
                    if fresh != old:
                        fresh = replace(fresh, revision_id=str(uuid.uuid4()), created_ms=now_ms)
                        fresh = replace(fresh, id=writes.add_revision(fresh))
                        writes.set_revision(arn, fresh.id)
                    if publishes:
                        version = next_version(found.machine, fresh, publish_as or "", now_ms)
                        writes.add_version(version)
                self._targets.clear()
            return Described(machine=found.machine, revision=fresh, version=version)

    def delete(self, arn: str) -> None:
        """Forget a state machine with its versions, aliases and tags; what runs goes on. None there: nothing.

        Raises HomeIsAFile.
        """
        with self._deciding:
            try:
                self._own(arn)
            except NotFound:
                return
            with self._rows.writing() as writes:
                writes.delete_machine(arn)
            self._targets.clear()

    def find(self, arn: str) -> Described | None:
        """The state machine of an ARN without version or alias."""
        workflow = self._workflows.get(arn) if arn.startswith("arn:") else None
        if workflow is not None:
            return self._of_file(workflow)
        machine = self._rows.machine(arn)
        if machine is None:
            return None
        return Described(machine=machine, revision=self._rows.revision(machine.revision))

    def get(self, arn: str) -> Described:
        """The state machine, or the version, of an ARN. Raises NotFound."""
        found = self.find(arn)
        if found is not None:
            return found
        machine_arn, name = _split(arn)
        number = version_number(name)
        version = None if number is None else self._rows.version(machine_arn, number)
        machine = None if version is None else self._rows.machine(machine_arn)
        if machine is None or version is None:
            raise NotFound(f"there is no state machine {arn}")
        return Described(machine=machine, revision=self._rows.revision(version.revision), version=version)

    def page(self, account: str, region: str, *, after: str = "", limit: int) -> list[Described]:
        """The state machines of an account in a region by name, those after a name."""
        made = self._rows.machines(account, region, after=after, limit=limit)
        by_name = {each.name: Described(machine=each, revision=revision) for each, revision in made}
        for workflow in self._workflows.all():
            arn = Arn.parse(workflow.arn)
            if (arn.account, arn.region) == (account, region) and workflow.name > after:
                by_name[workflow.name] = self._of_file(workflow)
        return [by_name[name] for name in sorted(by_name)[:limit]]

    def named(self, name: str) -> list[str]:
        """The ARNs of the state machines of a name that were made through the API, of any account."""
        return [each.arn for each in self._rows.named(name)]

    def made(self, *, limit: int) -> list[Described]:
        """The state machines that were made through the API, of all accounts and regions, by name."""
        return [
            Described(machine=machine, revision=revision)
            for machine, revision in self._rows.everywhere(limit=limit)
        ]

    def started_with(
        self, machine_arn: str, version_arn: str | None, definition_id: int, at_ms: int
    ) -> Revision | None:
        """What a state machine, which may be gone, was when an execution began; None where a file had it."""
        if version_arn is not None:
            number = int(version_arn.rpartition(":")[2])
            version = self._rows.version(machine_arn, number)
            if version is not None:
                found = self._rows.revision(version.revision)
                # Another state machine may have come to have the same name and version since.
                if found.definition_id == definition_id:
                    return found
        return self._rows.revision_at(machine_arn, definition_id, at_ms)

    def _of_file(self, workflow: Workflow) -> Described:
        since_ms = self._since.get(workflow.definition_id)
        if since_ms is None:
            since_ms = self._rows.definition_since(workflow.definition_id)
            self._since[workflow.definition_id] = since_ms
        return of_file(workflow, since_ms)

    # --- definitions --------------------------------------------------------------------------------------

    def definition(self, definition_id: int) -> str:
        """A definition's text as it was given; YAML of a file becomes JSON."""
        text, yaml = self._store.definition_text(definition_id)
        if not yaml:
            return text
        root = read_yaml(Source(text)).root
        assert root is not None, "a file that was taken over can be read"
        return dumps_text(root.value)

    def parsed(self, definition_id: int) -> StateMachine:
        """A definition parsed, once. Raises DefinitionError when this release refuses an older text."""
        return self._definitions.get(definition_id)

    def _keep(self, definition: str, parsed: StateMachine | None, now_ms: int) -> int:
        definition_id = self._store.put_definition(definition, yaml=False, now_ms=now_ms)
        if parsed is not None:
            self._definitions.put(definition_id, parsed)
        return definition_id

    # --- versions -----------------------------------------------------------------------------------------

    def publish(self, arn: str, *, revision_id: str | None = None, description: str = "") -> Version:
        """Give the present revision a version, unless it has one, which is given then.

        Raises NotFound, HomeIsAFile, QuotaReached and OtherRevision (`revision_id` is not the present one).
        """
        with self._deciding:
            found = self._own(arn)
            current = found.revision.revision_id or ""
            if revision_id is not None and revision_id != (current or "INITIAL"):
                raise OtherRevision(f"{arn} is at revision {current or 'INITIAL'}", current)
            version = self._rows.version_of(arn, found.revision.id)
            if version is None:
                self._check_versions(arn)
                version = next_version(found.machine, found.revision, description, self._clock.now_ms())
                with self._rows.writing() as writes:
                    writes.add_version(version)
                self._targets.clear()
            return version

    def versions(self, arn: str, *, before: int | None = None, limit: int) -> list[Version]:
        """The versions of a state machine, newest first, those before a number. Raises NotFound."""
        if self.find(arn) is None:
            raise NotFound(f"there is no state machine {arn}")
        return self._rows.versions(arn, before=before, limit=limit)

    def version(self, machine_arn: str, number: int) -> Version | None:
        """A version by its number."""
        return self._rows.version(machine_arn, number)

    def delete_version(self, machine_arn: str, number: int) -> None:
        """Forget a version. None there: nothing. Raises VersionInUse."""
        with self._deciding:
            aliases = self._rows.aliases(machine_arn)
            users = [each.name for each in aliases if number in dict(each.routing)]
            if users:
                raise VersionInUse(f"aliases lead to version {number} of {machine_arn}", users)
            with self._rows.writing() as writes:
                writes.delete_version(machine_arn, number)
            self._targets.clear()

    def _check_versions(self, arn: str) -> None:
        most = self._limits.versions
        if len(self._rows.versions(arn, before=None, limit=most)) >= most:
            raise QuotaReached(f"{arn} has {most:,} versions, which is the most; delete some")

    # --- aliases ------------------------------------------------------------------------------------------

    def create_alias(
        self, machine_arn: str, name: str, description: str, routing: Sequence[tuple[int, int]]
    ) -> Alias:
        """Name versions; the same again gives what there is.

        Raises NotFound (state machine or version), Conflict (there is another of this name) and QuotaReached.
        """
        with self._deciding:
            self._own(machine_arn)
            self._check_routing(machine_arn, routing)
            found = self._rows.alias(machine_arn, name)
            if found is not None:
                if (found.description, found.routing) != (description, tuple(routing)):
                    raise Conflict(f"there is another alias {found.arn}")
                return found
            most = self._limits.aliases
            if len(self._rows.aliases(machine_arn)) >= most:
                raise QuotaReached(f"{machine_arn} has {most:,} aliases, which is the most; delete some")
            now_ms = self._clock.now_ms()
            alias = Alias(
                id=0,
                machine_arn=machine_arn,
                name=name,
                description=description,
                routing=tuple(routing),
                created_ms=now_ms,
                updated_ms=now_ms,
            )
            with self._rows.writing() as writes:
                writes.add_alias(alias)
            self._targets.clear()
            return alias

    def update_alias(
        self, arn: str, *, description: str | None, routing: Sequence[tuple[int, int]] | None
    ) -> Alias:
        """Change an alias; None leaves as it is. Raises NotFound (the alias or a version)."""
        with self._deciding:
            alias = self.alias(arn)
            if routing is not None:
                self._check_routing(alias.machine_arn, routing)
            fresh = replace(
                alias,
                description=alias.description if description is None else description,
                routing=alias.routing if routing is None else tuple(routing),
                updated_ms=self._clock.now_ms(),
            )
            with self._rows.writing() as writes:
                writes.change_alias(fresh)
            self._targets.clear()
            return fresh

    def delete_alias(self, arn: str) -> None:
        """Forget an alias. None there: nothing."""
        with self._deciding:
            try:
                alias = self.alias(arn)
            except NotFound:
                return
            with self._rows.writing() as writes:
                writes.delete_alias(alias.id)
            self._targets.clear()

    def alias(self, arn: str) -> Alias:
        """An alias by its ARN. Raises NotFound."""
        found = self._rows.alias(*_split(arn))
        if found is None:
            raise NotFound(f"there is no alias {arn}")
        return found

    def aliases(self, machine_arn: str) -> list[Alias]:
        """The aliases of a state machine in the order in which they were made (at most 100)."""
        return self._rows.aliases(machine_arn)

    def _check_routing(self, machine_arn: str, routing: Sequence[tuple[int, int]]) -> None:
        for number, _ in routing:
            if self._rows.version(machine_arn, number) is None:
                raise NotFound(f"{machine_arn} has no version {number}")

    # --- tags ---------------------------------------------------------------------------------------------

    def tags(self, resource_arn: str) -> dict[str, str]:
        """The tags of a resource, in the order in which they were set."""
        return self._rows.tags(resource_arn)

    def set_tags(
        self,
        resource_arn: str,
        tags: Mapping[str, str],
        *,
        remove: Sequence[str] = (),
        most: int | None = None,
    ) -> None:
        """Add tags and take others away. Raises QuotaReached when there would be more than `most`."""
        with self._deciding:
            now = self._rows.tags(resource_arn)
            fresh = {key: value for key, value in {**now, **tags}.items() if key not in remove}
            if most is not None and len(fresh) > most:
                raise QuotaReached(f"{resource_arn} would have {len(fresh)} tags; {most} are the most")
            if fresh != now:
                with self._rows.writing() as writes:
                    writes.set_tags(resource_arn, fresh)

    # --- to be started ------------------------------------------------------------------------------------

    def resolve(self, arn: str, rng: random.Random | None = None) -> Target | None:
        """What StartExecution of an ARN starts; an alias of two versions is a matter of luck and weight.

        None where nothing of this ARN can be started.
        """
        workflow = self._workflows.get(arn) if arn.startswith("arn:") else None
        if workflow is not None:
            return target_of(self._of_file(workflow))
        weighted = self._targets.get(arn)
        if weighted is None:
            # Nothing may change between reading the rows and keeping what they say.
            with self._deciding:
                if len(self._targets) >= _CACHED:
                    self._targets.clear()
                weighted = self._look_up(arn)
                if weighted:
                    self._targets[arn] = weighted
        if not weighted:
            return None
        if len(weighted) == 1:
            return weighted[0][1]
        weights, targets = zip(*weighted, strict=True)
        found: Target = (rng or self._rng).choices(targets, weights)[0]
        return found

    def _look_up(self, arn: str) -> list[tuple[int, Target]]:
        try:
            return [(100, target_of(self.get(arn)))]
        except NotFound:
            alias = self._rows.alias(*_split(arn))
        routing = () if alias is None else alias.routing
        return [
            (weight, replace(target_of(self.get(f"{arn.rpartition(':')[0]}:{number}")), alias_arn=arn))
            for number, weight in routing
        ]

    def _own(self, arn: str) -> Described:
        """A state machine that may be changed here. Raises NotFound and HomeIsAFile."""
        found = self.find(arn)
        if found is None:
            raise NotFound(f"there is no state machine {arn}")
        if found.file:
            raise HomeIsAFile(f"{arn} comes from {found.file}: change it there")
        return found


def _split(arn: str) -> tuple[str, str]:
    """The ARN of the state machine, and the name of the version or alias."""
    machine_arn, _, name = arn.rpartition(":")
    return machine_arn, name
