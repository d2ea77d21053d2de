"""The report of a model: how it fares, its last sessions, and what is known of the newest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mfprefect.report.blocks import Badge, Cell, Column, Heading, Note, Section, Table
from mfprefect.report.formats import duration, moment, number, present, text
from mfprefect.report.sections import data, metrics, performance, predictions
from mfprefect.report.sections.gates import gates_section, stages_table
from mfprefect.report.sections.headline import LEVEL_OF_STATUS
from mfprefect.report.sections.provenance import took

if TYPE_CHECKING:
    from mfprefect.report.content import ModelReport

__all__ = ["heading", "sections"]


def heading(facts: ModelReport) -> Heading:
    """Return what stands above and below the report of a model."""
    row = facts.model
    labelled = {
        "owner": row["owner"],
        "scores": row["entity_type"],
        "registered": moment(row["created_at"]),
        "in production": _production(facts),
        "last scores": moment(facts.freshness["last_scored_at"]) if facts.freshness else "",
        "expected every": _allowed(row),
    }
    return Heading(
        title=str(row["model_id"]),
        subtitle=str(row["description"] or ""),
        facts=[(name, str(value)) for name, value in labelled.items() if present(value)],
        footer=f"Model {row['model_id']}, as of {moment(facts.generated_at)}.",
    )


def _allowed(row: Any) -> str:
    seconds = row["max_age_seconds"]
    if not present(seconds):
        return ""
    days = float(seconds) / 86_400
    return f"{days:g} days" if days >= 2 and days.is_integer() else duration(float(seconds))


def _production(facts: ModelReport) -> str:
    """Return the session in production; the newest stage decides."""
    if facts.stages.empty:
        return ""
    newest = facts.stages.iloc[0]
    return str(newest["session_id"]) if newest["stage"] == "production" else "nothing"


def sections(facts: ModelReport) -> Iterator[Section | None]:
    """Yield the sections of a model, None where there is nothing to say."""
    train, score, monitor = (facts.newest.get(x) for x in ("train", "score", "monitor"))
    yield _sessions(facts)
    yield _stages(facts)
    yield _thresholds(facts)
    if train is not None:
        name = str(train.session["session_id"])
        yield _of(gates_section(train.gates), name)
        yield _of(performance.performance_section(train), name)
        yield _of(performance.confusion_section(train), name)
        yield _of(predictions.classes_section(train), name)
        yield _of(predictions.errors_section(train), name)
        yield _of(performance.backtest_section(train.backtests), name)
        yield metrics.history_section(train.history, "Metrics of the trainings")
        yield _of(performance.importance_section(train.importance), name)
    if monitor is not None:
        name = str(monitor.session["session_id"])
        yield _of(metrics.metrics_section(monitor), name, "Metrics on what really happened")
        yield metrics.history_section(monitor.history, "Metrics of the monitoring")
        yield _of(performance.backtest_section(monitor.backtests), name)
        yield _of(data.drift_section(monitor.drift), name)
    if score is not None:
        name = str(score.session["session_id"])
        yield _of(data.scores_section(score), name)
        if monitor is None:
            yield _of(data.drift_section(score.drift), name)


def _of(section: Section | None, session_id: str, title: str = "") -> Section | None:
    """Say which session a section is of."""
    if section is None:
        return None
    return Section(title or section.title, [Note(f"Session {session_id}"), *section.blocks])


def _sessions(facts: ModelReport) -> Section | None:
    if facts.sessions.empty:
        return None
    columns = [Column("session"), *(Column(x, "short") for x in ("purpose", "status", "started"))]
    columns += [Column("took", "number"), Column("what went wrong")]
    rows: list[list[Cell]] = [
        [
            str(row["session_id"]),
            str(row["purpose"]),
            Badge(str(row["status"]), LEVEL_OF_STATUS.get(str(row["status"]), "info")),
            moment(row["started_at"]),
            took({str(k): v for k, v in row.items()}),
            _failure(row),
        ]
        for row in facts.sessions.to_dict("records")
    ]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Section("Sessions", [Table(columns, rows, "The last sessions, newest first")])


def _failure(row: dict[Any, Any]) -> str:
    if not present(row["failure_kind"]):
        return ""
    words = str(row["failure_text"]) if present(row["failure_text"]) else ""
    return text(f"{row['failure_kind']}: {' '.join(words.split())}", 160)


def _thresholds(facts: ModelReport) -> Section | None:
    if facts.thresholds.empty:
        return None
    columns = [Column("set"), Column("threshold", "number"), Column("of"), Column("by")]
    rows = [
        [moment(row["set_at"]), number(row["value"]), str(row["kind"]), str(row["set_by"])]
        for row in facts.thresholds.to_dict("records")
    ]
    caption = "Operating thresholds, the one in force first"
    return Section("Operating threshold", [Table(columns, rows, caption)])


def _stages(facts: ModelReport) -> Section | None:
    if facts.stages.empty:
        return None
    rows = [{str(k): v for k, v in row.items()} for row in facts.stages.to_dict("records")]
    return Section("Stages", [stages_table(rows, "What was in production when", named=True)])
