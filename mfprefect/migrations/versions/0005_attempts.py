"""A table for the attempts of sessions, and who kept a part of scores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

from mfprefect.migrations.support import add_columns, create_tables, drop_views, layout
from mfprefect.schema import Id, Instant, LongText

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and the columns that do not exist yet.

    Sessions of before get no rows: their seals cover none.
    """
    create_tables(_tables())
    add_columns("sessions", Column("attempt_started_at", Instant))
    add_columns("score_parts", Column("kept_by", sa.Integer))


def _tables() -> sa.MetaData:
    here = layout()
    metadata = sa.MetaData(schema=here.schema)
    # Only referred to: in its own metadata, so that it is not created here.
    sessions = sa.Table(
        here.prefix + "sessions", sa.MetaData(schema=here.schema), _number("session_no")
    )
    sa.Table(
        here.prefix + "session_attempts",
        metadata,
        _number("session_no"),
        _number("attempt"),
        Column("status", Id(16), nullable=False),
        Column("started_at", Instant),
        Column("ended_at", Instant),
        Column("failure_kind", Id(255)),
        Column("failure_text", LongText),
        Column("run_by", Id(128)),
        Column("host", Id(255), nullable=False),
        Column("process_id", sa.Integer, nullable=False),
        Column("vcs", Id(8)),
        Column("git_commit", Id(64)),
        Column("git_branch", Id(255)),
        Column("git_remote", LongText),
        Column("git_dirty", sa.Boolean),
        Column("git_diff_digest", Id(64)),
        Column("environment_digest", Id(64)),
        sa.ForeignKeyConstraint(["session_no"], [sessions.c.session_no]),
        **here.options("session_attempts"),
    )
    return metadata


def _number(name: str) -> Column[int]:
    return Column(name, sa.Integer, primary_key=True, autoincrement=False)


def downgrade() -> None:
    """Drop them; sessions that were sealed with them no longer verify."""
    drop_views()
    here = layout()
    for table, column in (("score_parts", "kept_by"), ("sessions", "attempt_started_at")):
        op.drop_column(here.prefix + table, column, schema=here.schema)
    _tables().drop_all(op.get_bind())
