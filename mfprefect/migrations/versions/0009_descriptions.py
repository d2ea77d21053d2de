"""The view `production_models` shows what each model predicts."""

from __future__ import annotations

from mfprefect.migrations.support import drop_views

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Leave it to `create_schema`, which makes all views anew after migrations.

    The column comes last, so that every database replaces the view in place.
    """


def downgrade() -> None:
    """Drop the view: the earlier version makes its own."""
    drop_views("production_models")
