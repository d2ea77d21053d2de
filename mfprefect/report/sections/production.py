"""What is in production, and the newest candidate: the first sections of a model's report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mfprefect.quality.metrics.order import ordered
from mfprefect.report.blocks import Badge, Block, Cell, Column, Note, Section, Table
from mfprefect.report.content import overall
from mfprefect.report.formats import brief, change, day, moment, number, present
from mfprefect.report.sections.gates import stage_reason

if TYPE_CHECKING:
    from mfprefect.report.content import InProduction, ModelReport, OutcomeFigures, SessionReport

__all__ = ["candidate_section", "model_figures", "no_production", "production_section", "promotion"]

MOST_METRICS = 12
MOST_FIGURES = 5
PAIRS = (Column("what"), Column("value"))
Figures = Mapping[str, float]


def promotion(production: InProduction) -> str:
    """Return since when a session is in production, by whom and why, as a sentence."""
    stage = production.stage
    name, since = production.training.session["session_id"], moment(stage["set_at"])
    why = f": {reason}" if (reason := stage_reason(stage)) else ""
    return f"{name} has been in production since {since}, by {stage['set_by']}{why}"


def no_production(report: ModelReport) -> str:
    """Return why nothing is in production, as a sentence."""
    if report.stages.empty:
        return "no session was ever promoted: `mfprefect promote` does that"
    stage = {str(k): v for k, v in report.stages.iloc[0].items()}
    why = f": {reason}" if (reason := stage_reason(stage)) else ""
    return (
        f"{stage['session_id']} has been {stage['stage']} since {moment(stage['set_at'])}, by "
        f"{stage['set_by']}{why}"
    )


def production_section(report: ModelReport) -> Section:
    """Return what is in production, since when, by whom and why, and how good it is."""
    if report.production is None:
        return Section(
            "In production", [Note(f"Nothing is in production: {no_production(report)}.")]
        )
    production = report.production
    training, stage = production.training, production.stage
    facts: dict[str, Cell] = {
        "session": str(training.session["session_id"]),
        "since": moment(stage["set_at"]),
        "by": str(stage["set_by"]),
        "why": stage_reason(stage) or "no reason was given",
        **_origin(training),
        "current scores": _current_scores(report, training),
    }
    blocks = [_facts(facts, "Since when, by whom and why"), *_compared(production)]
    return Section("In production", blocks)


def _facts(facts: Mapping[str, Cell], caption: str) -> Table:
    return Table(PAIRS, [[name, value] for name, value in facts.items() if value != ""], caption)


def _origin(training: SessionReport) -> dict[str, Cell]:
    row, gates = training.session, training.gates
    passed = int((gates["verdict"] == "passed").sum())
    level = "good" if passed == len(gates) else "bad"
    commit = str(row["git_commit"])[:12] if present(row["git_commit"]) else ""
    return {
        "trained": f"{moment(row['started_at'])} by {row['run_by']}",
        "data as of": day(row["as_of"]) if present(row["as_of"]) else "",
        "commit": f"{commit}, with uncommitted changes" if row["git_dirty"] and commit else commit,
        "gates": Badge(f"{passed} of {len(gates)} passed", level) if len(gates) else "",
    }


def _current_scores(report: ModelReport, training: SessionReport) -> str:
    """Return which model made the scores that readers see now."""
    if report.scoring is None or not present(report.scoring.session["published_at"]):
        return "none are published"
    row = report.scoring.session
    text = f"{row['session_id']}, published {moment(row['published_at'])}"
    if row["parent_session_id"] == training.session["session_id"]:
        return f"{text}, by this model"
    other = row["parent_session_id"]
    return f"{text}, by {f'the model of {other}' if present(other) else 'an unknown model'}"


def _compared(production: InProduction) -> list[Block]:
    """Return the figures of the test beside those of real outcomes."""
    tested, outcomes = overall(production.training.metrics), production.outcomes
    if outcomes is None:
        note = Note("No outcomes are known yet of scores that this model made.")
        return [*_figures(tested, {}, ("test", ""), "Figures of the test"), note]
    table = _figures(
        tested,
        outcomes.figures,
        ("test", "real outcomes"),
        "Figures of the test, and of real outcomes",
    )
    return [*table, Note(_outcomes_note(outcomes))]


def _outcomes_note(outcomes: OutcomeFigures) -> str:
    coverage = f": {outcomes.coverage}" if outcomes.coverage else ""
    return (
        f"Real outcomes: measured {moment(outcomes.measured_at)} by {outcomes.session_id}, on the "
        f"scores of {outcomes.scoring_session_id} with data as of {day(outcomes.day)}{coverage}."
    )


def _figures(
    figures: Figures, others: Figures, titles: tuple[str, str], caption: str
) -> list[Table]:
    """Return a table of the most important metrics, with those of another origin beside them."""
    if not figures and not others:
        return []
    names = ordered(figures or others)[:MOST_METRICS]
    columns = [Column("metric"), Column(titles[0], "number")]
    if others:
        columns += [Column(titles[1], "number"), Column("difference", "number")]
    rows: list[list[Cell]] = []
    for name in names:
        a, b = figures.get(name), others.get(name)
        numbers = [number(a), number(b), change(a, b)] if others else [number(a)]
        rows.append([name, *numbers])
    return [Table(columns, rows, caption)]


def candidate_section(report: ModelReport) -> Section | None:
    """Return the newest training that could be promoted, marked as not in production."""
    training = report.candidate
    if training is None:
        return None
    row = training.session
    facts: dict[str, Cell] = {
        "session": str(row["session_id"]),
        "state": Badge("candidate: not in production", "info"),
        "was": _earlier_stage(report, str(row["session_id"])),
        **_origin(training),
        "model saved": "" if len(training.artifacts) else "no: it cannot be promoted",
    }
    blocks: list[Block] = [_facts(facts, "The newest training that is not in production")]
    production = report.production
    if production is None:
        blocks += _figures(overall(training.metrics), {}, ("test", ""), "Figures of the test")
    else:
        blocks += _figures(
            overall(production.training.metrics),
            overall(training.metrics),
            ("in production", "candidate"),
            "Figures of the test, each on its own test rows",
        )
    return Section("Newest candidate", blocks)


def _earlier_stage(report: ModelReport, session_id: str) -> str:
    """Return when a session was in production before, or is an experiment."""
    stages = report.stages[report.stages["session_id"] == session_id]
    if stages.empty:
        return ""
    last: dict[Any, Any] = stages.iloc[0].to_dict()
    end = f"until {moment(last['until'])}" if present(last["until"]) else "now"
    return f"{last['stage']} from {moment(last['set_at'])} {end}"


def model_figures(report: ModelReport) -> list[tuple[str, str, str]]:
    """Return name, value and comment of the most important figures: of production, if anything is.

    Without production, they are those of the candidate.
    """
    production, training = report.production, report.candidate
    if production is not None:
        training = production.training
    if training is None:
        return []
    tested = overall(training.metrics)
    real = production.outcomes.figures if production and production.outcomes else {}
    role = "candidate" if production is None else "in production"
    return [
        (name, brief(tested[name]), _comment(role, real.get(name)))
        for name in ordered(tested)[:MOST_FIGURES]
    ]


def _comment(role: str, real: float | None) -> str:
    return f"{role}, test" + (f"; {brief(real)} on real outcomes" if real is not None else "")
