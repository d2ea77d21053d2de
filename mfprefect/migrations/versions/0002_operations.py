"""Tags, missed heartbeats, freshness, one notice for each event."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

from mfprefect.migrations.support import add_columns, add_index, drop_views, layout
from mfprefect.schema import Instant, LongText

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FACT = ("session_no", "event", "channel")


def upgrade() -> None:
    """Add the columns and the index that do not exist yet."""
    drop_views()
    add_columns("models", Column("max_age_seconds", sa.BigInteger))
    add_columns("sessions", Column("tags", LongText), Column("suspected_at", Instant))
    add_index("notifications", _index(), FACT, unique=True)


def downgrade() -> None:
    """Drop them."""
    drop_views()
    here = layout()
    op.drop_index(_index(), here.prefix + "notifications", schema=here.schema)
    for table, column in (
        ("sessions", "suspected_at"),
        ("sessions", "tags"),
        ("models", "max_age_seconds"),
    ):
        op.drop_column(here.prefix + table, column, schema=here.schema)


def _index() -> str:
    return f"uq_{layout().prefix}notifications_fact"
