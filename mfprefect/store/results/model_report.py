"""The content of a model's report: what is in production, what could be, and its last sessions."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mfprefect.report.content import (
    InProduction,
    ModelReport,
    OutcomeFigures,
    SessionReport,
    overall,
)
from mfprefect.store.database import Database
from mfprefect.store.models.promotion import candidate
from mfprefect.store.models.stages import PRODUCTION, stages_frame
from mfprefect.store.order import day_of
from mfprefect.store.results import frames, monitoring
from mfprefect.store.results.report import load_session_report, model_row
from mfprefect.store.scores.read import current_session
from mfprefect.store.states import Purpose, Status
from mfprefect.util import values
from mfprefect.util.frames import records

__all__ = ["load_model_report"]

SESSIONS = 20
"""How many sessions the report lists."""
MONITORINGS = 50
"""How many monitoring sessions to search for the real outcomes of a model."""
GROUP = "monitor"
WATCHED = ("drift_of", "performance_of")
"""Metadata of a monitoring session: whose drift it judges, and whose outcomes its metrics are of.

In this order: without the second, metrics of all rows are of the first.
"""


def load_model_report(db: Database, model_id: str) -> ModelReport:
    """Return the content of a model's report, as of one moment.

    Raises:
        UnknownModel: the model does not exist.
    """
    return db.snapshot(lambda moment: _load(moment, model_id))


def _load(db: Database, model_id: str) -> ModelReport:
    model, stages = model_row(db, model_id), stages_frame(db, model_id)
    production = _production(db, records(stages))
    fresh = monitoring.freshness(db)
    rows = records(fresh[fresh["model_id"] == model_id])
    scored = current_session(db, model_id) or _last(db, model_id, Purpose.SCORE)
    monitored = _last(db, model_id, Purpose.MONITOR)
    return ModelReport(
        model=model,
        sessions=frames.sessions_frame(db, model_id, limit=SESSIONS),
        thresholds=frames.thresholds_frame(db, model_id),
        stages=stages,
        freshness=rows[0] if rows else None,
        production=production,
        candidate=_candidate(db, model_id, production),
        scoring=None if scored is None else load_session_report(db, scored),
        monitoring=None if monitored is None else load_session_report(db, monitored),
        generated_at=values.utc_now(),
    )


def _production(db: Database, stages: list[dict[str, Any]]) -> InProduction | None:
    """Return the session in production and its stage, None if nothing is."""
    if not stages or stages[0]["stage"] != PRODUCTION:
        return None
    training = load_session_report(db, stages[0]["session_id"])
    return InProduction(training, stages[0], _outcomes(db, training))


def _candidate(
    db: Database, model_id: str, production: InProduction | None
) -> SessionReport | None:
    """Return the newest training that could be promoted, if it ran after that in production.

    Of a model that no training saved, the last successful training.
    """
    session_id = candidate(db, model_id) or _last(db, model_id, Purpose.TRAIN)
    if session_id is None:
        return None
    if production is not None:
        newest = _session(db, session_id)
        if newest.session_no <= production.training.session["session_no"]:
            return None
    return load_session_report(db, session_id)


def _session(db: Database, session_id: str) -> sa.Row[*tuple[Any, ...]]:
    s = db.schema.sessions.c
    return db.fetch_all(sa.select(*s).where(s.session_id == session_id))[0]


def _last(db: Database, model_id: str, purpose: str) -> str | None:
    """Return the id of the last successful session of a purpose, as they ran."""
    s = db.schema.sessions.c
    conditions = (s.model_id == model_id, s.purpose == purpose, s.status == Status.SUCCEEDED)
    select = sa.select(s.session_id).where(*conditions).order_by(s.session_no.desc()).limit(1)
    rows = db.fetch_all(select)
    return rows[0][0] if rows else None


def _outcomes(db: Database, training: SessionReport) -> OutcomeFigures | None:
    """Return the last figures on real outcomes of scores that a training's model made."""
    watched = _watched(db, training.session["model_id"])
    s = db.schema.sessions.c
    made = sa.select(*s).where(
        s.session_id.in_(list(watched.values())),
        s.parent_session_no == training.session["session_no"],
    )
    scorings = {row.session_id: row for row in db.fetch_all(made)} if watched else {}
    for monitor_id, scoring_id in watched.items():
        if scoring_id in scorings:
            figures = overall(frames.of_sessions(db, "metrics", [monitor_id]))
            if figures:
                return _figures(db, monitor_id, scorings[scoring_id], figures)
    return None


def _watched(db: Database, model_id: str) -> dict[str, str]:
    """Return the scoring session that the figures of each monitoring are of, the last run first."""
    s, m = db.schema.sessions.c, db.schema.session_metadata.c
    select = (
        sa.select(s.session_id, m.value)
        .join_from(db.schema.sessions, db.schema.session_metadata, s.session_no == m.session_no)
        .where(
            s.model_id == model_id,
            s.purpose == Purpose.MONITOR,
            s.status == Status.SUCCEEDED,
            m.meta_group == GROUP,
            m.meta_name.in_(WATCHED),
        )
        .order_by(s.session_no.desc(), m.meta_name)
        .limit(MONITORINGS * len(WATCHED))
    )
    return dict(tuple(row) for row in db.fetch_all(select))


def _figures(
    db: Database, monitor_id: str, scoring: sa.Row[*tuple[Any, ...]], figures: dict[str, float]
) -> OutcomeFigures:
    monitor = _session(db, monitor_id)
    notes = frames.of_sessions(db, "session_metadata", [monitor_id])
    of_scoring = (notes["meta_group"] == "outcomes") & (notes["meta_name"] == scoring.session_id)
    texts = [str(value) for value in notes["value"][of_scoring]]
    return OutcomeFigures(
        monitor_id,
        monitor.started_at,
        scoring.session_id,
        day_of(scoring),
        figures,
        texts[0] if texts else "",
    )
