"""Tables for parameters, steps of metrics, tokens and requests; indexes on values; authors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column, Index

from mfprefect.migrations.support import add_columns, add_index, create_tables, drop_views, layout
from mfprefect.schema import Double, Id, Instant, LongText

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BY_VALUE = ("metric_name", "segment", "metric_value", "session_no")


def upgrade() -> None:
    """Create the tables, the columns and the index that do not exist yet.

    `create_schema` then adds the parameters of sessions of before, in transactions of its own.
    """
    create_tables(_tables())
    for table in ("sessions", "session_attempts"):
        add_columns(table, Column("git_author", Id(255)))
    if layout().range_indexes:
        add_index("metrics", _index("metrics", "value"), BY_VALUE, unique=False)


def _tables() -> sa.MetaData:
    here = layout()
    metadata = sa.MetaData(schema=here.schema)
    _of_sessions(metadata)
    sa.Table(
        here.prefix + "api_tokens",
        metadata,
        Column("token_id", Id(16), primary_key=True),
        Column("token_digest", Id(64), nullable=False),
        Column("token_scope", Id(16), nullable=False),
        Column("owner", Id(128), nullable=False),
        Column("description", LongText),
        Column("created_at", Instant, nullable=False),
        Column("created_by", Id(128), nullable=False),
        Column("expires_at", Instant, nullable=False),
        Column("revoked_at", Instant),
        Column("revoked_by", Id(128)),
        **here.options("api_tokens"),
    )
    sa.Table(
        here.prefix + "idempotency_keys",
        metadata,
        Column("key_digest", Id(64), primary_key=True),
        Column("request_digest", Id(64), nullable=False),
        Column("actor", Id(128), nullable=False),
        Column("session_id", Id(96)),
        Column("detail", LongText),
        Column("created_at", Instant, nullable=False),
        Column("answered_at", Instant),
        Column("answer_status", sa.Integer),
        Column("answer", LongText),
        Index(_index("idempotency_keys", "created"), "created_at"),
        **here.options("idempotency_keys"),
    )
    return metadata


def _of_sessions(metadata: sa.MetaData) -> None:
    here = layout()
    # Only referred to: in its own metadata, so that it is not created here.
    sessions = sa.Table(
        here.prefix + "sessions",
        sa.MetaData(schema=here.schema),
        Column("session_no", sa.Integer, primary_key=True, autoincrement=False),
    )
    indexes = [
        Index(_index("session_params", kind), "param_name", f"{kind}_value", "session_no")
        for kind in ("number", "text")
    ]
    sa.Table(
        here.prefix + "session_params",
        metadata,
        Column("session_no", sa.Integer, primary_key=True, autoincrement=False),
        Column("param_name", Id(255), primary_key=True),
        Column("param_type", Id(16), nullable=False),
        Column("number_value", Double),
        Column("text_value", Id(255)),
        Column("json_value", LongText),
        *(indexes if here.range_indexes else ()),
        sa.ForeignKeyConstraint(["session_no"], [sessions.c.session_no]),
        **here.options("session_params"),
    )
    sa.Table(
        here.prefix + "metric_steps",
        metadata,
        Column("session_no", sa.Integer, primary_key=True, autoincrement=False),
        Column("metric_name", Id(128), primary_key=True),
        Column("segment", Id(128), primary_key=True),
        Column("step_no", sa.BigInteger, primary_key=True, autoincrement=False),
        Column("step_value", Double, nullable=False),
        Column("logged_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["session_no"], [sessions.c.session_no]),
        **here.options("metric_steps"),
    )


def _index(table: str, what: str) -> str:
    return f"ix_{layout().prefix}{table}_{what}"


def downgrade() -> None:
    """Drop them; sessions that were sealed with them no longer verify."""
    drop_views()
    here = layout()
    if here.range_indexes:
        op.drop_index(_index("metrics", "value"), here.prefix + "metrics", schema=here.schema)
    for table in ("session_attempts", "sessions"):
        op.drop_column(here.prefix + table, "git_author", schema=here.schema)
    _tables().drop_all(op.get_bind())
