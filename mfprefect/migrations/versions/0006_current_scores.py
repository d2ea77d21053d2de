"""The view `current_scores`, and `latest_scores` by the day of the data."""

from __future__ import annotations

from mfprefect.migrations.support import drop_views

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Leave it to `create_schema`, which makes all views anew after migrations."""


def downgrade() -> None:
    """Drop the views: the earlier version makes its own."""
    drop_views()
