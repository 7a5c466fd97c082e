"""Indexes for lists of executions, newest first by status, workflow or origin; children are left out."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INDEXES = {
    # map_run_id is always null here; with it, counting need not look at the rows themselves.
    "execution_list": ["status", "id", "map_run_id"],
    "execution_list_by_machine": ["state_machine_arn", "status", "id", "map_run_id"],
    "execution_list_by_origin": ["origin", "status", "id"],
}


def upgrade() -> None:
    """Bring the schema to 0002."""
    for name, columns in _INDEXES.items():
        op.create_index(name, "execution", columns, sqlite_where=sa.text("map_run_id IS NULL"))


def downgrade() -> None:
    """Back to 0001."""
    for name in _INDEXES:
        op.drop_index(name, "execution")
