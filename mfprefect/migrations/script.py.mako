"""${message}."""

from __future__ import annotations

from alembic import op

from mfprefect.migrations.support import drop_views

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Each step must be harmless when repeated: MySQL commits DDL by itself."""
    drop_views()
