"""The columns of the tables that `mfprefect show` prints."""

from __future__ import annotations

from mfprefect.cli.output import Column

__all__ = ["ATTEMPTS", "METRIC_COLUMNS", "SEGMENT_COLUMNS", "TABLES"]

METRIC_COLUMNS = (
    Column("metric_name", "metric"),
    Column("segment", "segment"),
    Column("value", "value", "number"),
)
ATTEMPTS = (
    Column("attempt", "attempt", "number"),
    Column("status", "status"),
    Column("commit", "commit"),
    Column("environment", "environment", drop=2),
    Column("by", "run by", drop=1),
    Column("started_at", "started (UTC)", "time"),
    Column("ended_at", "ended (UTC)", "time", drop=3),
    Column("parts", "parts written", "number"),
    Column("failure", "failure"),
)
SEGMENT_COLUMNS = (
    Column("group", "by"),
    Column("count", "segments", "number"),
    Column("metric_name", "metric"),
    Column("low", "lowest", "number"),
    Column("low_segment", "in"),
    Column("high", "highest", "number"),
    Column("high_segment", "in"),
)
TABLES = {
    "inputs": (
        "Inputs",
        (
            Column("source", "source"),
            Column("rows", "rows", "number"),
            Column("column_count", "columns", "number"),
            Column("seconds", "took", "seconds"),
            Column("digest8", "digest"),
            Column("query", "query"),
        ),
    ),
    "checks": (
        "Checks",
        (
            Column("verdict", "result"),
            Column("check", "check"),
            Column("column", "column"),
            Column("failing_rows", "failing rows", "number"),
            Column("message", "message"),
        ),
    ),
    "metrics": ("Metrics", METRIC_COLUMNS),
    "gates": (
        "Gates",
        (Column("verdict", "verdict"), Column("gate", "gate"), Column("reason", "reason")),
    ),
    "drift": (
        "Drift",
        (
            Column("verdict", "verdict"),
            Column("variable", "variable"),
            Column("measure", "measure"),
            Column("value", "value", "number"),
            Column("threshold", "threshold", "number"),
            Column("reference_session_id", "compared with"),
        ),
    ),
    "metadata": (
        "Metadata",
        (Column("meta_group", "group"), Column("meta_name", "name"), Column("value", "value")),
    ),
    "importance": ("Variable importance", ()),
    "artifacts": (
        "Artifacts",
        (
            Column("artifact_name", "name"),
            Column("format", "format"),
            Column("bytes", "size", "bytes"),
            Column("sha256", "SHA-256"),
        ),
    ),
    "files": (
        "Files (mfprefect files reads them)",
        (
            Column("name", "name"),
            Column("media_type", "type"),
            Column("bytes", "size", "bytes"),
            Column("sha256", "SHA-256"),
        ),
    ),
    "notifications": (
        "Notifications",
        (
            Column("event", "event"),
            Column("channel", "target"),
            Column("sent_at", "at (UTC)", "time"),
            Column("delivered", "delivered"),
            Column("failure", "failure"),
        ),
    ),
}
