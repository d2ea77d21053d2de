"""Tables for verdicts of gates and the inputs of parts, a column for deletions in progress."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

from mfprefect.migrations.support import add_columns, create_tables, drop_views, layout
from mfprefect.schema import Double, Id, LongText

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and the column that do not exist yet.

    Sealed rows stay in `session_metadata`.
    """
    drop_views("session_overview")  # gets a column among the others
    create_tables(_tables())
    add_columns("sessions", Column("deletion", Id(16)))


def _tables() -> sa.MetaData:
    here = layout()
    metadata = sa.MetaData(schema=here.schema)
    # Only referred to: in its own metadata, so that it is not created here.
    sessions = sa.Table(
        here.prefix + "sessions", sa.MetaData(schema=here.schema), _number("session_no")
    )
    sa.Table(
        here.prefix + "gate_results",
        metadata,
        _number("session_no"),
        _number("gate_no"),
        Column("gate", Id(1024), nullable=False),
        Column("kind", Id(64), nullable=False),
        Column("verdict", Id(16), nullable=False),
        Column("reason", LongText, nullable=False),
        *(Column(name, Double) for name in ("figure", "at_least", "at_most", "margin")),
        Column("production_session_id", Id(96)),
        Column("production_figure", Double),
        *(Column(name, Double) for name in ("difference", "interval_low", "interval_high")),
        Column("interval_method", Id(255)),
        sa.ForeignKeyConstraint(["session_no"], [sessions.c.session_no]),
        **here.options("gate_results"),
    )
    sa.Table(
        here.prefix + "part_inputs",
        metadata,
        _number("session_no"),
        _number("part_no"),
        Column("document", LongText, nullable=False),
        sa.ForeignKeyConstraint(["session_no"], [sessions.c.session_no]),
        **here.options("part_inputs"),
    )
    return metadata


def _number(name: str) -> Column[int]:
    return Column(name, sa.Integer, primary_key=True, autoincrement=False)


def downgrade() -> None:
    """Drop them; sessions that were sealed with them no longer verify."""
    drop_views()
    here = layout()
    op.drop_column(here.prefix + "sessions", "deletion", schema=here.schema)
    _tables().drop_all(op.get_bind())
