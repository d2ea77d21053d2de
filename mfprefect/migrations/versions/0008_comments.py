"""Comments on tables, views and columns."""

from __future__ import annotations

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Leave it to `create_schema`, which sets all comments after migrations."""


def downgrade() -> None:
    """Leave them: they do no harm to an earlier version."""
