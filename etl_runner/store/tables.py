"""The tables.

If the schema can hold an invariant, it does: one name one execution, one tick one row, one event one
execution per rule, one page of facts per (execution, seq).

Times are epoch milliseconds. JSON is kept as text, facts as bytes with a format number.
"""

from typing import ClassVar, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel

_Big: Final = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits everywhere; SQLite's INTEGER has them, and only that word makes a key the row's own number."""

STATUSES: Final = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


class Definition(SQLModel, table=True):
    """A definition's text, kept once. Executions hold on to the one they began with."""

    __tablename__: ClassVar[str] = "definition"

    id: int | None = Field(default=None, primary_key=True, sa_type=_Big)
    sha256: str = Field(unique=True)
    yaml: bool = False
    text: str = Field(sa_column=Column(Text, nullable=False))
    created_ms: int = Field(sa_type=_Big)


class Execution(SQLModel, table=True):
    """One execution, or one child of a map run, and what the engine must know without folding its facts.

    `working` says that a task or map run of it is handed out; `wake_at_ms` when a timer is due. `origin` is
    what started it: "api", "schedule:NAME", "rule:NAME", "map". `input_sha256` tells a repeated
    StartExecution from another one of the same name. `logging` is the state machine's logging configuration
    when it began, where that asks for anything (JSON). `redrive_token` is the client's of the last redrive.
    `items` is how many items a child of a map run has, null for one.
    """

    __tablename__: ClassVar[str] = "execution"
    __table_args__ = (
        UniqueConstraint("state_machine_arn", "name"),
        UniqueConstraint("map_run_id", "item_index"),
        CheckConstraint("status IN ('" + "','".join(STATUSES) + "')", name="known_status"),
        Index("execution_by_wake", "wake_at_ms", sqlite_where=Column("wake_at_ms").isnot(None)),
        Index("execution_open", "working", sqlite_where=Column("status") == "RUNNING"),
        Index(
            "execution_by_map_run",
            "map_run_id",
            "status",
            "items",
            sqlite_where=Column("map_run_id").isnot(None),
        ),
        Index("execution_by_machine", "state_machine_arn", "id"),
        # Lists: each takes the newest of every status it wants, so status comes before the id.
        Index("execution_list", "status", "id", "map_run_id", sqlite_where=Column("map_run_id").is_(None)),
        Index(
            "execution_list_by_machine",
            "state_machine_arn",
            "status",
            "id",
            "map_run_id",
            sqlite_where=Column("map_run_id").is_(None),
        ),
        Index(
            "execution_list_by_origin", "origin", "status", "id", sqlite_where=Column("map_run_id").is_(None)
        ),
    )

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False}, sa_type=_Big)
    arn: str = Field(unique=True)
    state_machine_arn: str
    name: str
    definition_id: int = Field(foreign_key="definition.id", sa_type=_Big)
    scope: int = 0
    status: str
    origin: str
    input_sha256: str
    started_ms: int = Field(sa_type=_Big)
    stopped_ms: int | None = Field(default=None, sa_type=_Big)
    error: str | None = Field(default=None, sa_column=Column(Text))
    cause: str | None = Field(default=None, sa_column=Column(Text))
    working: bool
    wake_at_ms: int | None = Field(default=None, sa_type=_Big)
    map_run_id: int | None = Field(default=None, foreign_key="map_run.id", sa_type=_Big)
    item_index: int | None = Field(default=None, sa_type=_Big)
    items: int | None = Field(default=None, sa_type=_Big)
    state_machine_version_arn: str | None = None
    state_machine_alias_arn: str | None = None
    trace_header: str | None = None
    logging: str | None = Field(default=None, sa_column=Column(Text))
    redrive_count: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    redriven_ms: int | None = Field(default=None, sa_type=_Big)
    redrive_token: str | None = None


class FactPage(SQLModel, table=True):
    """The facts of one execution that were committed together. `seq` is the number of the first of them."""

    __tablename__: ClassVar[str] = "fact_page"
    execution_id: int = Field(foreign_key="execution.id", primary_key=True, sa_type=_Big)
    seq: int = Field(primary_key=True, sa_type=_Big)
    at_ms: int = Field(sa_type=_Big)
    format: int
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class MapRun(SQLModel, table=True):
    """A map run: how far its items have been read, and how it ended.

    `source` is the pinned object (bucket, key, VersionId, ETag), set once; `cursor` where reading goes on;
    `next_index` how many children there are; `read_all` whether the items are exhausted. `items_started` are
    in children, of `items_known` that are known of. `max_concurrency` and the tolerated failures are as they
    were last updated (null in runs of releases that could not: as their plan says). `results_written`: the
    results of all children that have ended were gathered.

    After a redrive the children from `redrive_next` up to `redrive_until` (exclusive, by item_index) that did
    not succeed are still to be redriven. `token` is that under which the execution holds the run now.
    """

    __tablename__: ClassVar[str] = "map_run"
    __table_args__ = (UniqueConstraint("execution_id", "token"),)

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False}, sa_type=_Big)
    arn: str = Field(unique=True)
    execution_id: int = Field(index=True, sa_type=_Big)
    token: int = Field(sa_type=_Big)
    status: str
    started_ms: int = Field(sa_type=_Big)
    stopped_ms: int | None = Field(default=None, sa_type=_Big)
    source: str | None = Field(default=None, sa_column=Column(Text))
    cursor: str | None = Field(default=None, sa_column=Column(Text))
    next_index: int = Field(default=0, sa_type=_Big)
    read_all: bool = False
    max_concurrency: int | None = Field(default=None, sa_type=_Big)
    tolerated_count: int | None = Field(default=None, sa_type=_Big)
    tolerated_percentage: float | None = None
    items_started: int = Field(default=0, sa_type=_Big)
    items_known: int = Field(default=0, sa_type=_Big)
    results_written: bool = False
    express: bool = False
    redrive_count: int = 0
    redriven_ms: int | None = Field(default=None, sa_type=_Big)
    redrive_next: int = Field(default=0, sa_type=_Big)
    redrive_until: int = Field(default=0, sa_type=_Big)


TOKEN_STATES: Final = ("scheduled", "started", "closed")


class TaskToken(SQLModel, table=True):
    """A hand-out that someone else answers by its token's text: a callback, a `.sync` job or an activity.

    Written with TaskScheduled, closed with the fact that closes the token. An activity's is "scheduled" until
    a worker has fetched it, all others are "started" from the beginning. `heartbeat_ms` is a period;
    `heartbeat_due_ms`, moved on by each heartbeat, when the task is lost. `hand_outs` counts how often it was
    handed out: more than once after a crash.
    """

    __tablename__: ClassVar[str] = "task_token"
    __table_args__ = (
        CheckConstraint("state IN ('" + "','".join(TOKEN_STATES) + "')", name="known_state"),
        Index(
            "task_token_waiting",
            "activity_arn",
            "scheduled_ms",
            "execution_id",
            "token",
            sqlite_where=Column("state") == "scheduled",
        ),
        Index(
            "task_token_by_heartbeat",
            "heartbeat_due_ms",
            sqlite_where=Column("heartbeat_due_ms").isnot(None),
        ),
    )

    execution_id: int = Field(foreign_key="execution.id", primary_key=True, sa_type=_Big)
    token: int = Field(primary_key=True, sa_type=_Big)
    text: str = Field(unique=True)
    state: str
    scheduled_ms: int = Field(sa_type=_Big)
    activity_arn: str | None = None
    worker: str | None = None
    heartbeat_ms: int | None = Field(default=None, sa_type=_Big)
    heartbeat_due_ms: int | None = Field(default=None, sa_type=_Big)
    hand_outs: int = 1


class Activity(SQLModel, table=True):
    """A registered activity. `encryption` is its encryption configuration (JSON) where it was given one."""

    __tablename__: ClassVar[str] = "activity"

    arn: str = Field(primary_key=True)
    name: str
    created_ms: int = Field(sa_type=_Big)
    encryption: str | None = Field(default=None, sa_column=Column(Text))


class ExpressStart(SQLModel, table=True):
    """An asynchronous Express execution that was acknowledged and has not ended: after a crash it runs again.

    `request` is the StartRequest as JSON.
    """

    __tablename__: ClassVar[str] = "express_start"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False}, sa_type=_Big)
    arn: str = Field(unique=True)
    started_ms: int = Field(sa_type=_Big)
    request: str = Field(sa_column=Column(Text, nullable=False))


class Outbox(SQLModel, table=True):
    """A page of facts of which the world is still to be told: status changes (EventBridge) or events (Logs).

    Committed with the page, deleted once it was told.
    """

    __tablename__: ClassVar[str] = "outbox"

    execution_id: int = Field(primary_key=True, sa_type=_Big)
    seq: int = Field(primary_key=True, sa_type=_Big)


class WrittenObject(SQLModel, table=True):
    """A versioned S3 write that a task reported, committed with the task's end."""

    __tablename__: ClassVar[str] = "written_object"
    __table_args__ = (Index("written_object_by_key", "bucket", "key"),)

    execution_id: int = Field(foreign_key="execution.id", primary_key=True, sa_type=_Big)
    token: int = Field(primary_key=True, sa_type=_Big)
    position: int = Field(primary_key=True)
    state: str
    bucket: str
    key: str
    version_id: str | None = None
    etag: str | None = None
    bytes: int = Field(sa_type=_Big)
    sha256: str | None = None
    replaced_version_id: str | None = None
    unchanged: bool = False
    at_ms: int = Field(sa_type=_Big)


class Tick(SQLModel, table=True):
    """What became of one due time of a schedule: the ledger that answers "why did it not run?".

    `outcome`: started, exists, failed, paused, missed or manual. `fire_id` is "" for a due time; a fire by
    hand has an id of its own.
    """

    __tablename__: ClassVar[str] = "tick"
    __table_args__ = (Index("tick_by_due", "due_ms"),)

    schedule: str = Field(primary_key=True)
    due_ms: int = Field(primary_key=True, sa_type=_Big)
    fire_id: str = Field(default="", primary_key=True)
    outcome: str
    reason: str = ""
    execution_arn: str | None = None
    recorded_ms: int = Field(sa_type=_Big)
    lateness_ms: int = Field(sa_type=_Big)


class ScheduleState(SQLModel, table=True):
    """What a schedule carries over a restart: whether it is paused, and up to when its ticks are recorded.

    `expects` is what its ticks were counted by (expression, zone, start and end; "" when it was disabled or
    gone). When the configuration says otherwise, ticks count from then on and not from `done_until_ms`.
    """

    __tablename__: ClassVar[str] = "schedule_state"

    name: str = Field(primary_key=True)
    expects: str = ""
    paused: bool = False
    since_ms: int = Field(sa_type=_Big)
    done_until_ms: int = Field(sa_type=_Big)


class EventMatch(SQLModel, table=True):
    """What became of one event under one rule: started, exists or failed."""

    __tablename__: ClassVar[str] = "event_match"
    __table_args__ = (Index("event_match_by_time", "recorded_ms"),)

    event_id: str = Field(primary_key=True)
    rule: str = Field(primary_key=True)
    outcome: str
    reason: str = ""
    execution_arn: str | None = None
    recorded_ms: int = Field(sa_type=_Big)


class StateMachineRevision(SQLModel, table=True):
    """What a state machine was at one time; never changed, and kept when the machine is deleted.

    `revision_id` is null for what CreateStateMachine made, as AWS has it. `logging`, `tracing` and
    `encryption` are JSON.
    """

    __tablename__: ClassVar[str] = "state_machine_revision"
    __table_args__ = (Index("state_machine_revision_by_machine", "machine_arn", "id"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=_Big)
    machine_arn: str
    revision_id: str | None = None
    definition_id: int = Field(foreign_key="definition.id", sa_type=_Big)
    role_arn: str
    logging: str = Field(sa_column=Column(Text, nullable=False))
    tracing: str = Field(sa_column=Column(Text, nullable=False))
    encryption: str = Field(sa_column=Column(Text, nullable=False))
    created_ms: int = Field(sa_type=_Big)


class StateMachine(SQLModel, table=True):
    """A state machine made through the API. `revision` is the present one.

    `last_version` only grows: a number is not given twice. `published_as` is the description that
    CreateStateMachine published version 1 with, null when it published none: a repeated call is told by it.
    """

    __tablename__: ClassVar[str] = "state_machine"
    __table_args__ = (
        UniqueConstraint("account", "region", "name"),
        CheckConstraint("type IN ('STANDARD','EXPRESS')", name="known_type"),
    )

    arn: str = Field(primary_key=True)
    account: str
    region: str
    name: str
    type: str
    revision: int = Field(foreign_key="state_machine_revision.id", sa_type=_Big)
    last_version: int = Field(default=0, sa_type=_Big)
    published_as: str | None = Field(default=None, sa_column=Column(Text))
    created_ms: int = Field(sa_type=_Big)


class StateMachineVersion(SQLModel, table=True):
    """A published version: a number for a revision."""

    __tablename__: ClassVar[str] = "state_machine_version"

    machine_arn: str = Field(primary_key=True, foreign_key="state_machine.arn", ondelete="CASCADE")
    number: int = Field(primary_key=True, sa_type=_Big)
    revision: int = Field(foreign_key="state_machine_revision.id", sa_type=_Big)
    description: str = Field(sa_column=Column(Text, nullable=False))
    created_ms: int = Field(sa_type=_Big)


class StateMachineAlias(SQLModel, table=True):
    """A name for one or two versions. `routing` is JSON: [[number, weight], ...]."""

    __tablename__: ClassVar[str] = "state_machine_alias"
    __table_args__ = (UniqueConstraint("machine_arn", "name"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=_Big)
    machine_arn: str = Field(foreign_key="state_machine.arn", ondelete="CASCADE")
    name: str
    description: str = Field(sa_column=Column(Text, nullable=False))
    routing: str = Field(sa_column=Column(Text, nullable=False))
    created_ms: int = Field(sa_type=_Big)
    updated_ms: int = Field(sa_type=_Big)


class ResourceTag(SQLModel, table=True):
    """A tag of a state machine or an activity, in the order in which they were set."""

    __tablename__: ClassVar[str] = "resource_tag"
    __table_args__ = (UniqueConstraint("resource_arn", "key"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=_Big)
    resource_arn: str
    key: str
    value: str
