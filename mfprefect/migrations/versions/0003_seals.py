"""The chain of seals, and the signatures of audit events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

from mfprefect.migrations.support import add_columns, add_index, create_tables, drop_views, layout
from mfprefect.schema import Id, Instant, LongText

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SUBJECT = ("subject", "event_no")


def upgrade() -> None:
    """Create the table, the columns and the index that do not exist yet."""
    drop_views()
    create_tables(_tables())
    add_columns("audit_events", Column("key_id", Id(32)), Column("signature", Id(128)))
    add_index("audit_events", _index(), SUBJECT, unique=False)


def _tables() -> sa.MetaData:
    here = layout()
    metadata = sa.MetaData(schema=here.schema)
    name = here.prefix + "seals"
    sa.Table(
        name,
        metadata,
        Column("model_id", Id(64), nullable=False),
        Column("seal_no", sa.Integer, nullable=False, autoincrement=False),
        Column("session_no", sa.Integer, nullable=False),
        Column("session_id", Id(96), nullable=False),
        Column("sealed_at", Instant, nullable=False),
        Column("manifest", LongText, nullable=False),
        Column("seal", Id(64), nullable=False),
        Column("key_id", Id(32)),
        Column("signature", Id(128)),
        sa.PrimaryKeyConstraint("model_id", "seal_no"),
        sa.Index(f"ix_{name}_session", "session_no"),
        **here.options("seals"),
    )
    return metadata


def downgrade() -> None:
    """Drop them. Without its link in the chain, a session is no longer sealed."""
    drop_views()
    here = layout()
    seals = ("seal", "previous_seal")
    sessions = sa.table(
        here.prefix + "sessions", *(sa.column(name) for name in seals), schema=here.schema
    )
    op.execute(sessions.update().values(dict.fromkeys(seals)))
    op.drop_index(_index(), here.prefix + "audit_events", schema=here.schema)
    for column in ("signature", "key_id"):
        op.drop_column(here.prefix + "audit_events", column, schema=here.schema)
    _tables().drop_all(op.get_bind())


def _index() -> str:
    return f"ix_{layout().prefix}audit_events_subject"
