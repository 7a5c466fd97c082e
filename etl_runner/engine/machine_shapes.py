"""What is said and told of state machines: what to make or change, what there is, what is against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from etl_runner.arn import Arn
from etl_runner.asl.model import StateMachine
from etl_runner.engine.workflows import Workflow
from etl_runner.errors import Conflict
from etl_runner.jsontypes import Json
from etl_runner.store.state_machines import Machine, Revision, Version

NO_LOGGING: Final[Mapping[str, Json]] = {"level": "OFF", "includeExecutionData": False}
NO_TRACING: Final[Mapping[str, Json]] = {"enabled": False}
OWN_KEY: Final[Mapping[str, Json]] = {"type": "AWS_OWNED_KEY"}


class HomeIsAFile(Conflict):
    """A workflow from a file is changed in the file."""


class QuotaReached(Conflict):
    """There are as many of something as there may be."""


class OtherRevision(Conflict):
    """The state machine is at another revision than the caller thinks. `current` is "" for the first one."""

    def __init__(self, message: str, current: str) -> None:
        self.current = current
        super().__init__(message)


class VersionInUse(Conflict):
    """Aliases lead to the version; `aliases` are their names."""

    def __init__(self, message: str, aliases: Sequence[str]) -> None:
        self.aliases = tuple(aliases)
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """A state machine to be made. `publish_as` is the description of version 1, None to publish none.

    `parsed` is the definition where somebody has parsed it.
    """

    account: str
    region: str
    name: str
    type: str
    definition: str
    role_arn: str
    logging: Json
    tracing: Json
    encryption: Json
    publish_as: str | None = None
    tags: Mapping[str, str]
    parsed: StateMachine | None = None

    @property
    def arn(self) -> str:
        """The ARN it gets."""
        return f"arn:aws:states:{self.region}:{self.account}:stateMachine:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to be changed; None leaves it as it is. `parsed` is the definition where it has been parsed."""

    definition: str | None = None
    role_arn: str | None = None
    logging: Json = None
    tracing: Json = None
    encryption: Json = None
    parsed: StateMachine | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A state machine, or one of its versions, at one revision. `file` is the home of a file's workflow."""

    machine: Machine
    revision: Revision
    version: Version | None = None
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an execution is started of. `arn` is the state machine's own, without version or alias."""

    arn: str
    name: str
    version_arn: str | None
    alias_arn: str | None
    definition_id: int
    type: str
    role_arn: str
    logging: Json
    tracing: Json

    @property
    def express(self) -> bool:
        """Whether its executions are Express."""
        return self.type == "EXPRESS"


def version_number(text: str) -> int | None:
    """The version that the last part of an ARN names; None when it names none."""
    # Eighteen digits fit into the store's 64 bits.
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def settings(revision: Revision) -> tuple[Json, Json, Json]:
    """What a revision has beside definition and role."""
    return revision.logging, revision.tracing, revision.encryption


def next_version(machine: Machine, revision: Revision, description: str, now_ms: int) -> Version:
    """The version that a revision gets."""
    return Version(
        machine_arn=machine.arn,
        number=machine.last_version + 1,
        revision=revision.id,
        description=description,
        created_ms=now_ms,
    )


def of_file(workflow: Workflow, since_ms: int) -> Described:
    """A file's workflow as a state machine. Its role is a name only: tasks run under the service's own."""
    arn = Arn.parse(workflow.arn)
    machine = Machine(
        arn=workflow.arn,
        account=arn.account,
        region=arn.region,
        name=workflow.name,
        type="STANDARD",
        revision=0,
        last_version=0,
        published_as=None,
        created_ms=since_ms,
    )
    revision = revision_of_file(workflow.arn, workflow.definition_id, since_ms)
    return Described(machine=machine, revision=revision, file=workflow.file)


def target_of(found: Described) -> Target:
    """What an execution of it begins with."""
    return Target(
        arn=found.machine.arn,
        name=found.machine.name,
        version_arn=None if found.version is None else found.version.arn,
        alias_arn=None,
        definition_id=found.revision.definition_id,
        type=found.machine.type,
        role_arn=found.revision.role_arn,
        logging=found.revision.logging,
        tracing=found.revision.tracing,
    )


def revision_of_file(arn: str, definition_id: int, created_ms: int) -> Revision:
    """What a file says of a state machine, and what stands for the rest that the API would say."""
    return Revision(
        id=0,
        machine_arn=arn,
        revision_id=None,
        definition_id=definition_id,
        role_arn=f"arn:aws:iam::{Arn.parse(arn).account}:role/etl-runner",
        logging=dict(NO_LOGGING),
        tracing=dict(NO_TRACING),
        encryption=dict(OWN_KEY),
        created_ms=created_ms,
    )
