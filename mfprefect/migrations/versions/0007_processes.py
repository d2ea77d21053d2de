"""Which process runs a session: its boot, its container and when it started."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column

from mfprefect.migrations.support import add_columns, drop_views, layout
from mfprefect.schema import Id

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; sessions of before have NULL, which their seals do not cover."""
    add_columns("sessions", Column("process_key", Id(128)))


def downgrade() -> None:
    """Drop it; sessions that were sealed with it no longer verify."""
    drop_views()
    here = layout()
    op.drop_column(here.prefix + "sessions", "process_key", schema=here.schema)
