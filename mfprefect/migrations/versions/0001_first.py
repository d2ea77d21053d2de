"""The tables of version 0.1."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

from mfprefect.migrations.support import create_tables, drop_views, layout
from mfprefect.schema import Blob, Double, Id, Instant, LongText

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table. Frozen: later changes are migrations of their own."""
    drop_views()
    create_tables(tables())


def tables() -> sa.MetaData:
    """Return the tables as they were in version 0.1."""
    here = layout()
    metadata = sa.MetaData(schema=here.schema)

    def table(name: str, *items: sa.schema.SchemaItem) -> None:
        sa.Table(here.prefix + name, metadata, *items, **here.options(name))

    def refers(column: str, target: str) -> sa.ForeignKeyConstraint:
        name = f"{here.schema}." if here.schema else ""
        return sa.ForeignKeyConstraint([column], [f"{name}{here.prefix}{target}.{column}"])

    table(
        "models",
        Column("model_id", Id(64), nullable=False),
        Column("description", LongText, nullable=False),
        Column("entity_type", Id(128), nullable=False),
        Column("owner", Id(128), nullable=False),
        Column("created_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("model_id"),
    )
    table(
        "model_thresholds",
        Column("model_id", Id(64), nullable=False),
        Column("set_at", Instant, nullable=False),
        Column("threshold_value", Double, nullable=False),
        Column("threshold_kind", Id(16), nullable=False),
        Column("set_by", Id(128), nullable=False),
        sa.PrimaryKeyConstraint("model_id", "set_at"),
        refers("model_id", "models"),
    )
    table(
        "environments",
        Column("environment_digest", Id(64), nullable=False),
        Column("python_version", Id(128), nullable=False),
        Column("platform_name", Id(255), nullable=False),
        Column("packages", LongText, nullable=False),
        sa.PrimaryKeyConstraint("environment_digest"),
    )
    table(
        "sessions",
        Column("session_no", sa.Integer, nullable=False, autoincrement=False),
        Column("session_id", Id(96), nullable=False),
        Column("model_id", Id(64), nullable=False),
        Column("purpose", Id(16), nullable=False),
        Column("status", Id(16), nullable=False),
        Column("attempt", sa.Integer, nullable=False),
        Column("started_at", Instant, nullable=False),
        Column("ended_at", Instant),
        Column("heartbeat_at", Instant, nullable=False),
        Column("run_by", Id(128), nullable=False),
        Column("host", Id(255), nullable=False),
        Column("process_id", sa.Integer, nullable=False),
        Column("vcs", Id(8)),
        Column("git_commit", Id(64)),
        Column("git_branch", Id(255)),
        Column("git_remote", LongText),
        Column("git_dirty", sa.Boolean),
        Column("git_diff_digest", Id(64)),
        Column("environment_digest", Id(64), nullable=False),
        Column("as_of", sa.Date),
        Column("params", LongText, nullable=False),
        Column("flow_run_id", Id(64)),
        Column("flow_run_seq", sa.Integer),
        Column("deployment", Id(255)),
        Column("parent_session_no", sa.Integer),
        Column("failure_kind", Id(255)),
        Column("failure_text", LongText),
        Column("published_at", Instant),
        Column("last_exported_at", Instant),
        Column("seal", Id(64)),
        Column("previous_seal", Id(64)),
        sa.PrimaryKeyConstraint("session_no"),
        refers("environment_digest", "environments"),
        refers("model_id", "models"),
        sa.UniqueConstraint(
            "flow_run_id", "flow_run_seq", name=f"uq_{here.prefix}sessions_flow_run"
        ),
        sa.UniqueConstraint("session_id"),
        sa.Index(f"ix_{here.prefix}sessions_model", "model_id", "session_no"),
        sa.Index(f"ix_{here.prefix}sessions_status", "status", "heartbeat_at"),
    )
    table(
        "model_stages",
        Column("model_id", Id(64), nullable=False),
        Column("set_at", Instant, nullable=False),
        Column("session_no", sa.Integer, nullable=False),
        Column("stage", Id(16), nullable=False),
        Column("set_by", Id(128), nullable=False),
        Column("reason", LongText),
        Column("gates", LongText),
        sa.PrimaryKeyConstraint("model_id", "set_at"),
        refers("model_id", "models"),
        refers("session_no", "sessions"),
    )
    table(
        "inputs",
        Column("session_no", sa.Integer, nullable=False, autoincrement=False),
        Column("input_no", sa.Integer, nullable=False, autoincrement=False),
        Column("source", Id(255), nullable=False),
        Column("query_text", LongText),
        Column("row_count", sa.BigInteger),
        Column("column_types", LongText),
        Column("digest", Id(64)),
        Column("seconds", Double, nullable=False),
        sa.PrimaryKeyConstraint("session_no", "input_no"),
        refers("session_no", "sessions"),
    )
    table(
        "input_columns",
        Column("schema_name", Id(128), nullable=False),
        Column("table_name", Id(128), nullable=False),
        Column("column_name", Id(128), nullable=False),
        Column("is_valid", sa.Boolean, nullable=False),
        Column("is_test", sa.Boolean, nullable=False),
        Column("note", LongText),
        sa.PrimaryKeyConstraint("schema_name", "table_name", "column_name"),
    )
    table(
        "input_summary",
        Column("session_no", sa.Integer, nullable=False, autoincrement=False),
        Column("variable", Id(255), nullable=False),
        Column("dtype", Id(64), nullable=False),
        Column("mean_value", Double),
        Column("sd_value", Double),
        Column("median_value", Double),
        Column("min_value", Double),
        Column("max_value", Double),
        Column("n", sa.BigInteger, nullable=False),
        Column("n_na", sa.BigInteger, nullable=False),
        Column("n_distinct", sa.BigInteger, nullable=False),
        Column("quantiles", LongText),
        Column("bin_counts", LongText),
        sa.PrimaryKeyConstraint("session_no", "variable"),
        refers("session_no", "sessions"),
    )
    table(
        "check_results",
        Column("session_no", sa.Integer, nullable=False, autoincrement=False),
        Column("check_no", sa.Integer, nullable=False, autoincrement=False),
        Column("check_name", Id(255), nullable=False),
        Column("column_name", Id(255)),
        Column("severity", Id(16), nullable=False),
        Column("passed", sa.Boolean, nullable=False),
        Column("failing_rows", sa.BigInteger, nullable=False),
        Column("failing_sample", LongText),
        Column("message", LongText, nullable=False),
        sa.PrimaryKeyConstraint("session_no", "check_no"),
        refers("session_no", "sessions"),
    )
    table(
        "session_metadata",
        Column("session_no", sa.Integer, nullable=False, autoincrement=False),
        Column("meta_group", Id(128), nullable=False),
        Column("meta_name", Id(128), nullable=False),
        Column("meta_value", LongText, nullable=False),
        sa.PrimaryKeyConstraint("session_no", "meta_group", "meta_name"),
        refers("session_no", "sessions"),
    )
    table(
        "metrics",
        Column("session_no", sa.Integer, nullable=False, autoincrement=False),
        Column("metric_name", Id(128), nullable=False),
        Column("segment", Id(128), nullable=False),
        Column("metric_value", Double, nullable=False),
        Column("definition_version", sa.Integer),
        sa.PrimaryKeyConstraint("session_no", "metric_name", "segment"),
        refers("session_no", "sessions"),
    )
    table(
        "variable_importance",
        Column("session_no", sa.Integer, nullable=False, autoincrement=False),
        Column("kind", Id(64), nullable=False),
        Column("variable", Id(255), nullable=False),
        Column("importance", Double),
        Column("std", Double),
        Column("coefficient", Double),
        sa.PrimaryKeyConstraint("session_no", "kind", "variable"),
        refers("session_no", "sessions"),
    )
    table(
        "test_curve",
        Column("session_no", sa.Integer, nullable=False, autoincrement=False),
        Column("point_no", sa.Integer, nullable=False, autoincrement=False),
        Column("score", Double, nullable=False),
        Column("population", sa.BigInteger, nullable=False),
        Column("target_population", sa.BigInteger, nullable=False),
        Column("tp", sa.BigInteger, nullable=False),
        Column("fp", sa.BigInteger, nullable=False),
        Column("tn", sa.BigInteger, nullable=False),
        Column("fn", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("session_no", "point_no"),
        refers("session_no", "sessions"),
    )
    table(
        "backtests",
        Column("session_no", sa.Integer, nullable=False, autoincrement=False),
        Column("series", Id(128), nullable=False),
        Column("period_name", Id(64), nullable=False),
        Column("predicted", Double),
        Column("actual", Double),
        sa.PrimaryKeyConstraint("session_no", "series", "period_name"),
        refers("session_no", "sessions"),
    )
    table(
        "drift",
        Column("session_no", sa.Integer, nullable=False, autoincrement=False),
        Column("variable", Id(255), nullable=False),
        Column("measure", Id(64), nullable=False),
        Column("drift_value", Double),
        Column("drift_threshold", Double),
        Column("verdict", Id(16), nullable=False),
        Column("reference_session_no", sa.Integer),
        sa.PrimaryKeyConstraint("session_no", "variable", "measure"),
        refers("session_no", "sessions"),
    )
    table(
        "scores",
        Column("session_no", sa.Integer, nullable=False, autoincrement=False),
        Column("entity_id", Id(255), nullable=False),
        Column("score", Double, nullable=False),
        Column("score_class", Id(128)),
        Column("part_no", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("session_no", "entity_id"),
    )
    table(
        "score_parts",
        Column("session_no", sa.Integer, nullable=False, autoincrement=False),
        Column("part_no", sa.Integer, nullable=False, autoincrement=False),
        Column("row_count", sa.BigInteger, nullable=False),
        Column("digest", Id(64), nullable=False),
        Column("attempt", sa.Integer, nullable=False),
        Column("written_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("session_no", "part_no"),
        refers("session_no", "sessions"),
    )
    table(
        "artifacts",
        Column("session_no", sa.Integer, nullable=False, autoincrement=False),
        Column("artifact_name", Id(128), nullable=False),
        Column("artifact_format", Id(32), nullable=False),
        Column("byte_count", sa.BigInteger, nullable=False),
        Column("sha256", Id(64), nullable=False),
        Column("signature", Id(64)),
        Column("library_versions", LongText, nullable=False),
        sa.PrimaryKeyConstraint("session_no", "artifact_name"),
        refers("session_no", "sessions"),
    )
    table(
        "artifact_chunks",
        Column("session_no", sa.Integer, nullable=False, autoincrement=False),
        Column("artifact_name", Id(128), nullable=False),
        Column("chunk_no", sa.Integer, nullable=False, autoincrement=False),
        Column("chunk_bytes", Blob(4194304), nullable=False),
        sa.PrimaryKeyConstraint("session_no", "artifact_name", "chunk_no"),
        refers("session_no", "sessions"),
    )
    table(
        "notifications",
        Column("session_no", sa.Integer, nullable=False, autoincrement=False),
        Column("notice_no", sa.Integer, nullable=False, autoincrement=False),
        Column("event", Id(32), nullable=False),
        Column("channel", Id(255), nullable=False),
        Column("sent_at", Instant, nullable=False),
        Column("delivered", sa.Boolean, nullable=False),
        Column("failure", LongText),
        sa.PrimaryKeyConstraint("session_no", "notice_no"),
        refers("session_no", "sessions"),
    )
    table(
        "audit_events",
        Column("event_no", sa.Integer, nullable=False, autoincrement=False),
        Column("event_at", Instant, nullable=False),
        Column("actor", Id(128), nullable=False),
        Column("event_action", Id(32), nullable=False),
        Column("subject", Id(255), nullable=False),
        Column("detail", LongText, nullable=False),
        Column("previous_digest", Id(64)),
        Column("digest", Id(64), nullable=False),
        sa.PrimaryKeyConstraint("event_no"),
    )
    return metadata


def downgrade() -> None:
    """Drop the tables, and all sessions with them."""
    drop_views()
    tables().drop_all(op.get_bind())
