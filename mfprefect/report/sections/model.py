"""The report of a model: what is in production, what could be, and its last sessions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mfprefect.report.blocks import Badge, Cell, Column, Heading, Note, Section, Table
from mfprefect.report.formats import duration, moment, number, present, text
from mfprefect.report.sections import data, metrics, performance, predictions, unsupervised
from mfprefect.report.sections.gates import gates_section, stages_table
from mfprefect.report.sections.headline import LEVEL_OF_STATUS
from mfprefect.report.sections.production import candidate_section, production_section
from mfprefect.report.sections.provenance import elapsed

if TYPE_CHECKING:
    from mfprefect.report.content import ModelReport, SessionReport

__all__ = ["heading", "sections"]


def heading(report: ModelReport) -> Heading:
    """Return the header and footer of a model's report."""
    row = report.model
    facts = {
        "owner": row["owner"],
        "scores": row["entity_type"],
        "registered": moment(row["created_at"]),
        "in production": _production(report),
        "last scores": moment(report.freshness["last_scored_at"]) if report.freshness else "",
        "expected every": _max_age(row),
    }
    return Heading(
        title=str(row["model_id"]),
        subtitle=str(row["description"] or ""),
        facts=[(name, str(value)) for name, value in facts.items() if present(value)],
        footer=f"Model {row['model_id']}, as of {moment(report.generated_at)}.",
    )


def _max_age(row: Any) -> str:
    seconds = row["max_age_seconds"]
    if not present(seconds):
        return ""
    days = float(seconds) / 86_400
    return f"{days:g} days" if days >= 2 and days.is_integer() else duration(float(seconds))


def _production(report: ModelReport) -> str:
    if report.production is None:
        return "nothing"
    return str(report.production.training.session["session_id"])


def sections(report: ModelReport) -> Iterator[Section | None]:
    """Yield the sections of a model, None for an empty one: production first, history last."""
    yield production_section(report)
    yield candidate_section(report)
    if report.production is not None:
        yield from _training(report.production.training, "in production")
    if report.monitoring is not None:
        yield from _monitoring(report.monitoring)
    yield from _scoring(report)
    if report.candidate is not None:
        yield from _training(report.candidate, "candidate")
    yield _training_history(report)
    yield _stages(report)
    yield _thresholds(report)
    yield _sessions(report)


def _training(train: SessionReport, role: str) -> Iterator[Section | None]:
    """Yield the results of a training, each named by its role: production or candidate."""
    name = f"{train.session['session_id']} ({role})"
    for section in (
        gates_section(train.gates),
        performance.performance_section(train),
        performance.confusion_section(train),
        predictions.classes_section(train),
        predictions.errors_section(train),
        unsupervised.test_section(train),
        performance.backtest_section(train.backtests),
        performance.importance_section(train.importance),
    ):
        if section is not None:
            yield _with_session(section, name, f"{section.title}: {role}")


def _training_history(report: ModelReport) -> Section | None:
    newest = report.candidate or (report.production.training if report.production else None)
    if newest is None:
        return None
    return metrics.history_section(newest.history, "Training metrics over time")


def _scoring(report: ModelReport) -> Iterator[Section | None]:
    score = report.scoring
    if score is not None:
        name = str(score.session["session_id"])
        yield _with_session(data.scores_section(score), name)
        if report.monitoring is None:
            yield _with_session(data.drift_section(score.drift), name)


def _monitoring(monitor: SessionReport) -> Iterator[Section | None]:
    name = str(monitor.session["session_id"])
    yield _with_session(metrics.metrics_section(monitor), name, "Metrics on actual outcomes")
    yield metrics.history_section(monitor.history, "Monitoring metrics over time")
    yield _with_session(performance.backtest_section(monitor.backtests), name)
    yield _with_session(data.drift_section(monitor.drift), name)


def _with_session(section: Section | None, session_id: str, title: str = "") -> Section | None:
    """Add a note that names the session of a section."""
    if section is None:
        return None
    return Section(title or section.title, [Note(f"Session {session_id}"), *section.blocks])


def _sessions(report: ModelReport) -> Section | None:
    if report.sessions.empty:
        return None
    columns = [Column("session"), *(Column(x, "short") for x in ("purpose", "status", "started"))]
    columns += [Column("took", "number"), Column("failure")]
    rows: list[list[Cell]] = [
        [
            str(row["session_id"]),
            str(row["purpose"]),
            Badge(str(row["status"]), LEVEL_OF_STATUS.get(str(row["status"]), "info")),
            moment(row["started_at"]),
            elapsed({str(k): v for k, v in row.items()}),
            _failure(row),
        ]
        for row in report.sessions.to_dict("records")
    ]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Section("Sessions", [Table(columns, rows, "The last sessions, the last one first")])


def _failure(row: dict[Any, Any]) -> str:
    if not present(row["failure_kind"]):
        return ""
    failure_text = str(row["failure_text"]) if present(row["failure_text"]) else ""
    return text(f"{row['failure_kind']}: {' '.join(failure_text.split())}", 160)


def _thresholds(report: ModelReport) -> Section | None:
    if report.thresholds.empty:
        return None
    columns = [Column("set"), Column("threshold", "number"), Column("kind"), Column("by")]
    rows = [
        [moment(row["set_at"]), number(row["value"]), str(row["kind"]), str(row["set_by"])]
        for row in report.thresholds.to_dict("records")
    ]
    caption = "Operating thresholds, current one first"
    return Section("Operating threshold", [Table(columns, rows, caption)])


def _stages(report: ModelReport) -> Section | None:
    if report.stages.empty:
        return None
    rows = [{str(k): v for k, v in row.items()} for row in report.stages.to_dict("records")]
    return Section("Stages", [stages_table(rows, "Stage history, newest first", named=True)])
