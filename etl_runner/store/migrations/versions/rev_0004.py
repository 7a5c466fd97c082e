"""Task tokens, activities, Express starts, the outbox, and what DescribeExecution says of an execution."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_COLUMNS: dict[str, Any] = {
    "state_machine_version_arn": sa.String(),
    "state_machine_alias_arn": sa.String(),
    "trace_header": sa.String(),
    "logging": sa.Text(),
    "redriven_ms": _BIG,
    "redrive_token": sa.String(),
}


def upgrade() -> None:
    """Bring the schema to 0004."""
    # Columns that may be null are added without writing the table anew, however many executions it holds.
    for name, kind in _COLUMNS.items():
        op.add_column("execution", sa.Column(name, kind, nullable=True))
    op.add_column("execution", sa.Column("redrive_count", sa.Integer(), nullable=False, server_default="0"))
    _task_tokens()
    op.create_table(
        "activity",
        sa.Column("arn", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_ms", _BIG, nullable=False),
        sa.Column("encryption", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("arn"),
    )
    op.create_table(
        "express_start",
        sa.Column("id", _BIG, autoincrement=False, nullable=False),
        sa.Column("arn", sa.String(), nullable=False),
        sa.Column("started_ms", _BIG, nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("arn"),
    )
    op.create_table(
        "outbox",
        sa.Column("execution_id", _BIG, nullable=False),
        sa.Column("seq", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("execution_id", "seq"),
    )


def _task_tokens() -> None:
    op.create_table(
        "task_token",
        sa.Column("execution_id", _BIG, nullable=False),
        sa.Column("token", _BIG, nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("scheduled_ms", _BIG, nullable=False),
        sa.Column("activity_arn", sa.String(), nullable=True),
        sa.Column("worker", sa.String(), nullable=True),
        sa.Column("heartbeat_ms", _BIG, nullable=True),
        sa.Column("heartbeat_due_ms", _BIG, nullable=True),
        sa.Column("hand_outs", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('scheduled','started','closed')", name="known_state"),
        sa.ForeignKeyConstraint(["execution_id"], ["execution.id"]),
        sa.PrimaryKeyConstraint("execution_id", "token"),
        sa.UniqueConstraint("text"),
    )
    op.create_index(
        "task_token_waiting",
        "task_token",
        ["activity_arn", "scheduled_ms", "execution_id", "token"],
        sqlite_where=sa.text("state = 'scheduled'"),
    )
    op.create_index(
        "task_token_by_heartbeat",
        "task_token",
        ["heartbeat_due_ms"],
        sqlite_where=sa.text("heartbeat_due_ms IS NOT NULL"),
    )


def downgrade() -> None:
    """Back to 0002."""
    for table in ("outbox", "express_start", "activity", "task_token"):
        op.drop_table(table)
    with op.batch_alter_table("execution", schema=None) as batch_op:
        for name in ("redrive_count", *_COLUMNS):
            batch_op.drop_column(name)
