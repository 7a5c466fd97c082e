"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to 0001."""
    op.create_table(
        "definition",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("yaml", sa.Boolean(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sha256"),
    )
    op.create_table(
        "event_match",
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("execution_arn", sa.String(), nullable=True),
        sa.Column("recorded_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "rule"),
    )
    with op.batch_alter_table("event_match", schema=None) as batch_op:
        batch_op.create_index("event_match_by_time", ["recorded_ms"], unique=False)

    op.create_table(
        "map_run",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("arn", sa.String(), nullable=False),
        sa.Column("execution_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("started_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("stopped_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("next_index", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("read_all", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("arn"),
        sa.UniqueConstraint("execution_id", "token"),
    )
    with op.batch_alter_table("map_run", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_map_run_execution_id"), ["execution_id"], unique=False)

    op.create_table(
        "schedule_state",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("expects", sa.String(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("since_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("done_until_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "tick",
        sa.Column("schedule", sa.String(), nullable=False),
        sa.Column("due_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("fire_id", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("execution_arn", sa.String(), nullable=True),
        sa.Column("recorded_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lateness_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("schedule", "due_ms", "fire_id"),
    )
    with op.batch_alter_table("tick", schema=None) as batch_op:
        batch_op.create_index("tick_by_due", ["due_ms"], unique=False)

    op.create_table(
        "execution",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("arn", sa.String(), nullable=False),
        sa.Column("state_machine_arn", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("definition_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scope", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("input_sha256", sa.String(), nullable=False),
        sa.Column("started_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("stopped_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("working", sa.Boolean(), nullable=False),
        sa.Column("wake_at_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("map_run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("item_index", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint(
            "status IN ('RUNNING','SUCCEEDED','FAILED','TIMED_OUT','ABORTED')", name="known_status"
        ),
        sa.ForeignKeyConstraint(
            ["definition_id"],
            ["definition.id"],
        ),
        sa.ForeignKeyConstraint(
            ["map_run_id"],
            ["map_run.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("arn"),
        sa.UniqueConstraint("map_run_id", "item_index"),
        sa.UniqueConstraint("state_machine_arn", "name"),
    )
    with op.batch_alter_table("execution", schema=None) as batch_op:
        batch_op.create_index("execution_by_machine", ["state_machine_arn", "id"], unique=False)
        batch_op.create_index(
            "execution_by_map_run",
            ["map_run_id", "status"],
            unique=False,
            sqlite_where=sa.text("map_run_id IS NOT NULL"),
        )
        batch_op.create_index(
            "execution_by_wake", ["wake_at_ms"], unique=False, sqlite_where=sa.text("wake_at_ms IS NOT NULL")
        )
        batch_op.create_index(
            "execution_open", ["working"], unique=False, sqlite_where=sa.text("status = 'RUNNING'")
        )

    op.create_table(
        "fact_page",
        sa.Column("execution_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("format", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"],
            ["execution.id"],
        ),
        sa.PrimaryKeyConstraint("execution_id", "seq"),
    )
    op.create_table(
        "written_object",
        sa.Column("execution_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("version_id", sa.String(), nullable=True),
        sa.Column("etag", sa.String(), nullable=True),
        sa.Column("bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("replaced_version_id", sa.String(), nullable=True),
        sa.Column("unchanged", sa.Boolean(), nullable=False),
        sa.Column("at_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"],
            ["execution.id"],
        ),
        sa.PrimaryKeyConstraint("execution_id", "token", "position"),
    )
    with op.batch_alter_table("written_object", schema=None) as batch_op:
        batch_op.create_index("written_object_by_key", ["bucket", "key"], unique=False)


def downgrade() -> None:
    """Back to None."""
    with op.batch_alter_table("written_object", schema=None) as batch_op:
        batch_op.drop_index("written_object_by_key")

    op.drop_table("written_object")
    op.drop_table("fact_page")
    with op.batch_alter_table("execution", schema=None) as batch_op:
        batch_op.drop_index("execution_open", sqlite_where=sa.text("status = 'RUNNING'"))
        batch_op.drop_index("execution_by_wake", sqlite_where=sa.text("wake_at_ms IS NOT NULL"))
        batch_op.drop_index("execution_by_map_run", sqlite_where=sa.text("map_run_id IS NOT NULL"))
        batch_op.drop_index("execution_by_machine")

    op.drop_table("execution")
    with op.batch_alter_table("tick", schema=None) as batch_op:
        batch_op.drop_index("tick_by_due")

    op.drop_table("tick")
    op.drop_table("schedule_state")
    with op.batch_alter_table("map_run", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_map_run_execution_id"))

    op.drop_table("map_run")
    with op.batch_alter_table("event_match", schema=None) as batch_op:
        batch_op.drop_index("event_match_by_time")

    op.drop_table("event_match")
    op.drop_table("definition")
