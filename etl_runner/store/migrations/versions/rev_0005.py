"""State machines made through the API: their revisions, versions, aliases and tags."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the schema to 0005."""
    _state_machines()
    op.create_table(
        "state_machine_version",
        sa.Column("machine_arn", sa.String(), nullable=False),
        sa.Column("number", _BIG, nullable=False),
        sa.Column("revision", _BIG, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_ms", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("machine_arn", "number"),
        sa.ForeignKeyConstraint(["machine_arn"], ["state_machine.arn"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["revision"], ["state_machine_revision.id"]),
    )
    op.create_table(
        "state_machine_alias",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("machine_arn", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("routing", sa.Text(), nullable=False),
        sa.Column("created_ms", _BIG, nullable=False),
        sa.Column("updated_ms", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("machine_arn", "name"),
        sa.ForeignKeyConstraint(["machine_arn"], ["state_machine.arn"], ondelete="CASCADE"),
    )
    op.create_table(
        "resource_tag",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("resource_arn", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("resource_arn", "key"),
    )


def _state_machines() -> None:
    op.create_table(
        "state_machine_revision",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("machine_arn", sa.String(), nullable=False),
        sa.Column("revision_id", sa.String(), nullable=True),
        sa.Column("definition_id", _BIG, nullable=False),
        sa.Column("role_arn", sa.String(), nullable=False),
        sa.Column("logging", sa.Text(), nullable=False),
        sa.Column("tracing", sa.Text(), nullable=False),
        sa.Column("encryption", sa.Text(), nullable=False),
        sa.Column("created_ms", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["definition_id"], ["definition.id"]),
    )
    op.create_index("state_machine_revision_by_machine", "state_machine_revision", ["machine_arn", "id"])
    op.create_table(
        "state_machine",
        sa.Column("arn", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("revision", _BIG, nullable=False),
        sa.Column("last_version", _BIG, nullable=False),
        sa.Column("published_as", sa.Text(), nullable=True),
        sa.Column("created_ms", _BIG, nullable=False),
        sa.CheckConstraint("type IN ('STANDARD','EXPRESS')", name="known_type"),
        sa.PrimaryKeyConstraint("arn"),
        sa.UniqueConstraint("account", "region", "name"),
        sa.ForeignKeyConstraint(["revision"], ["state_machine_revision.id"]),
    )


def downgrade() -> None:
    """Back to 0004."""
    for table in (
        "resource_tag",
        "state_machine_alias",
        "state_machine_version",
        "state_machine",
        "state_machine_revision",
    ):
        op.drop_table(table)
