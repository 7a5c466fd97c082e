"""Map runs: bounds that may be changed while one runs, counts of items, redrives."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_ADDED: tuple[tuple[str, Any, str | None], ...] = (
    ("max_concurrency", _BIG, None),
    ("tolerated_count", _BIG, None),
    ("tolerated_percentage", sa.Float(), None),
    ("items_started", _BIG, "0"),
    ("items_known", _BIG, "0"),
    ("results_written", sa.Boolean(), "0"),
    ("express", sa.Boolean(), "0"),
    ("redrive_count", sa.Integer(), "0"),
    ("redriven_ms", _BIG, None),
    ("redrive_next", _BIG, "0"),
    ("redrive_until", _BIG, "0"),
)


def upgrade() -> None:
    """Bring the schema to 0006."""
    for name, kind, default in _ADDED:
        op.add_column("map_run", sa.Column(name, kind, nullable=default is None, server_default=default))
    op.add_column("execution", sa.Column("items", _BIG, nullable=True))
    _index("map_run_id", "status", "items")


def downgrade() -> None:
    """Back to 0005."""
    _index("map_run_id", "status")
    with op.batch_alter_table("execution", schema=None) as batch_op:
        batch_op.drop_column("items")
    with op.batch_alter_table("map_run", schema=None) as batch_op:
        for name, _, _ in _ADDED:
            batch_op.drop_column(name)


def _index(*columns: str) -> None:
    op.drop_index("execution_by_map_run", table_name="execution")
    op.create_index(
        "execution_by_map_run",
        "execution",
        list(columns),
        sqlite_where=sa.text("map_run_id IS NOT NULL"),
    )
