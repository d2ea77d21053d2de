"""`/models/{m}`: what is in production, its figures over time, drift, threshold, readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mfprefect.console.answers import Answer
from mfprefect.console.charts import Point, Series, line_chart
from mfprefect.console.listing import Cell, Column, Link, Listing, When
from mfprefect.console.page import Page
from mfprefect.console.pages.overview import NOTHING, age, find_problems, span
from mfprefect.console.pages.sessions import picker, status_badge, took
from mfprefect.console.rendering import Pictures
from mfprefect.errors import UnknownModel
from mfprefect.quality.metrics.order import ordered
from mfprefect.report.blocks import Badge, Headline, Key
from mfprefect.report.drawing import Picture
from mfprefect.report.formats import brief, day, duration, present
from mfprefect.report.sections.gates import stage_reason
from mfprefect.report.sections.headline import LEVEL_OF_VERDICT
from mfprefect.store.browse.model import DriftMap, drift_map, metric_history, scoring_interval
from mfprefect.store.browse.overview import ModelState, model_states
from mfprefect.store.browse.sessions import SessionFilter, figures_of, list_sessions
from mfprefect.store.models.stages import stages_frame
from mfprefect.store.plan.readers import VIEWS, exports_of, notices_of
from mfprefect.store.results.frames import thresholds_frame
from mfprefect.util.frames import records
from mfprefect.vocabulary import Purpose

__all__ = ["page"]

MOST_CHARTS = 4
MOST_FIGURES = 5
LAST_SESSIONS = 8
MOST_STAGES = 30


def page(request: Page) -> Answer:
    """Return the page of a model."""
    model_id, db = request.model_id, request.db
    states = model_states(db, model_id)
    if not states:
        raise UnknownModel(model_id)
    state = states[0]
    thresholds = records(thresholds_frame(db, model_id))
    stages = records(stages_frame(db, model_id))[:MOST_STAGES]
    return request.show(
        "model.html",
        model_id,
        state=state,
        verdict=_verdict(state),
        facts=list(_facts(request, state, thresholds)),
        figures=_figures(state),
        charts=_charts(request, state),
        pictures=Pictures(),
        drift=_drift(request, drift_map(db, model_id)),
        stages=_stages(request, stages),
        thresholds=_thresholds(thresholds),
        threshold=thresholds[0] if thresholds else None,
        sessions=_sessions(request, model_id),
        readers=_readers(request, state),
    )


def _verdict(state: ModelState) -> Headline:
    problems = list(find_problems(state))
    level = "bad" if any(x == "bad" for x, _ in problems) else "warn" if problems else "good"
    words = {
        "bad": "This model needs attention",
        "warn": "This model works, with warnings",
        "good": "This model is healthy",
    }
    headline = words[level]
    if not state.last:
        headline = "No session has run yet"
    elif state.production is None:
        headline = "Nothing is in production"
        problems = [(x, text) for x, text in problems if text != NOTHING]
    return Headline(level, headline, [text for _, text in problems])


def _facts(
    request: Page, state: ModelState, thresholds: Sequence[Mapping[str, Any]]
) -> list[tuple[str, Cell]]:
    stage, facts = state.production, []
    if stage is not None:
        facts += [
            (
                "in production",
                Link(stage["session_id"], request.url("sessions", stage["session_id"])),
            ),
            ("since", When(stage["set_at"])),
            ("by", stage["set_by"]),
            ("why", stage["reason"] or "no reason was given"),
        ]
    facts.append(("owner", state.model["owner"]))
    if state.model["entity_type"]:
        facts.append(("scores", state.model["entity_type"]))
    if thresholds:
        row = thresholds[0]
        facts.append(("operating threshold", f"{brief(row['value'])} ({row['kind']})"))
    if state.scoring is not None:
        facts += [
            ("last scores", f"{age(state.age() or 0)} ago"),
            ("of the day", day(state.scoring["as_of"] or state.scoring["started_at"])),
        ]
    if state.model["max_age_seconds"]:
        facts.append(("expected every", span(state.model["max_age_seconds"])))
    if (usual := scoring_interval(request.db, state.model_id)) is not None:
        gap, last = usual
        facts.append(("scores usually every", duration(gap.total_seconds())))
        facts.append(("next scoring, as usual", When(last + gap)))
    return facts


def _figures(state: ModelState) -> list[tuple[str, str, str]]:
    real = state.outcomes
    names = ordered(state.tested)[:MOST_FIGURES]
    return [
        (
            name,
            brief(state.tested[name]),
            f"{brief(real[name])} on real outcomes" if name in real else "test",
        )
        for name in names
    ]


def _charts(request: Page, state: ModelState) -> list[Picture]:
    """Return charts of the main metrics over sessions: of tests, and on real outcomes."""
    trained = state.last.get(Purpose.TRAIN)
    figures = state.tested or state.outcomes
    if not figures and trained is not None:
        number = trained["session_no"]
        figures = figures_of(request.db, [number])[number]
    names = ordered(figures)[:MOST_CHARTS]
    tested = metric_history(request.db, state.model_id, Purpose.TRAIN, names)
    watched = metric_history(request.db, state.model_id, Purpose.MONITOR, names)
    charts = [_chart(name, tested, watched) for name in names]
    return [chart for chart in charts if chart is not None]


def _chart(
    name: str, tested: Sequence[Mapping[str, Any]], watched: Sequence[Mapping[str, Any]]
) -> Picture | None:
    sides = [("test", tested, "a", "solid"), ("real outcomes", watched, "b", "dashed")]
    series = [Series(title, _points(name, rows), role, style) for title, rows, role, style in sides]
    times = [
        row["started_at"] for rows in (tested, watched) for row in rows if name in row["figures"]
    ]
    if not times:
        return None
    return line_chart(name, series, (day(min(times)), day(max(times))))


def _points(name: str, rows: Sequence[Mapping[str, Any]]) -> list[Point]:
    return [
        Point(
            row["started_at"].timestamp(),
            row["figures"][name],
            f"{name} {brief(row['figures'][name])}, {day(row['started_at'])}, {row['session_id']}",
        )
        for row in rows
        if name in row["figures"]
    ]


def _drift(request: Page, drift: DriftMap) -> Listing:
    """Return drift as a table of variables over sessions."""
    columns = [
        Column("variable", "variable"),
        *(
            Column(
                str(row["session_no"]), day(row["started_at"]), "cell", _drift_cell(request, row)
            )
            for row in drift.sessions
        ),
    ]
    rows = [{"variable": name, "cells": cells} for name, cells in drift.cells.items()]
    return Listing(
        columns,
        rows,
        "Drift by variable, the worst first: each cell is the worst measure of a session",
        "No drift is known: it is measured when the model scores, and by its monitor flow.",
    )


def _drift_cell(request: Page, session: Mapping[str, Any]) -> Any:
    def show(row: Mapping[str, Any]) -> Cell:
        measured = row["cells"].get(session["session_no"])
        if measured is None:
            return ""
        value = brief(measured["value"]) if present(measured["value"]) else measured["verdict"]
        return Badge(value, LEVEL_OF_VERDICT.get(measured["verdict"], "info"))

    return show


def _stages(request: Page, stages: Sequence[Mapping[str, Any]]) -> Listing:
    columns = [
        Column("set_at", "from", "short"),
        Column(
            "until",
            "until",
            "short",
            show=lambda r: When(r["until"]) if present(r["until"]) else "now",
        ),
        Column(
            "stage",
            "stage",
            show=lambda r: Badge(r["stage"], "good" if r["stage"] == "production" else "info"),
        ),
        Column(
            "session_id",
            "session",
            show=lambda r: Link(r["session_id"], request.url("sessions", r["session_id"])),
        ),
        Column("set_by", "by"),
        Column("reason", "why", show=lambda r: stage_reason(r)),
    ]
    return Listing(
        columns,
        stages,
        "What was in production: when, by whom, why",
        "Nothing was ever promoted: `mfprefect promote MODEL latest` does that.",
    )


def _thresholds(thresholds: Sequence[Mapping[str, Any]]) -> Listing:
    columns = [
        Column("set_at", "set", "short"),
        Column("value", "threshold", "number"),
        Column("kind", "kind"),
        Column("set_by", "by"),
    ]
    return Listing(
        columns,
        thresholds[:MOST_STAGES],
        "Operating thresholds, the newest applies",
        "No operating threshold is set: `mfprefect threshold MODEL 0.5` sets one.",
    )


def _sessions(request: Page, model_id: str) -> Listing:
    rows = list_sessions(request.db, SessionFilter(model_id=model_id), LAST_SESSIONS).rows
    columns = [
        Column(
            "session_id",
            "session",
            show=lambda r: Link(r["session_id"], request.url("sessions", r["session_id"])),
        ),
        *([] if request.site else [picker()]),
        Column("purpose", "purpose"),
        Column("status", "status", show=status_badge),
        Column("started_at", "started", "short"),
        Column("ended_at", "took", "short", show=took),
        Column("run_by", "by"),
    ]
    return Listing(columns, rows, "The last sessions", "No session has run yet: run its flow.")


def _readers(request: Page, state: ModelState) -> Listing:
    """Return who reads the scores: views of the newest ones, exports, recipients of notices."""
    names = ("kind", "name", "session_id", "as_of", "at", "detail")
    others = (*exports_of(request.db, state.model_id), *notices_of(request.db, state.model_id))
    rows = [dict(zip(names, other, strict=True)) for other in others]
    if (newest := state.scoring) is not None:
        seen = {"session_id": newest["session_id"], "at": newest["published_at"]}
        detail = {"kind": "views", "detail": "users with the role reader"}
        rows = [*({"name": view, **seen, **detail} for view in VIEWS), *rows]
    columns = [
        Column("name", "reader"),
        Column("kind", "kind"),
        Column("session_id", "last session"),
        Column("at", "when", "short"),
        Column(
            "detail", "detail", show=lambda r: Key(str(r["detail"])) if present(r["detail"]) else ""
        ),
    ]
    return Listing(columns, rows, "Who reads the scores", "Nobody reads its scores yet.")
