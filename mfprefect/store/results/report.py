"""What a report tells, gathered: a session beside those that it is compared with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from mfprefect.errors import MfprefectError, UnknownModel, UnknownSession
from mfprefect.provenance.flow_run import run_url
from mfprefect.report.content import (
    ComparedSession,
    Distribution,
    ModelReport,
    SessionReport,
    test_note,
)
from mfprefect.store.database import Database
from mfprefect.store.models import gate_verdicts
from mfprefect.store.models.stages import stages_frame
from mfprefect.store.results import frames, monitoring
from mfprefect.store.scores import aggregates
from mfprefect.store.states import Purpose, Status
from mfprefect.util import values
from mfprefect.util.frames import records

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["model_facts", "session_facts"]

HISTORY = 20
"""How many sessions the history of a metric goes back."""
SESSIONS = 20
BINS = 20
REPORTED = (Purpose.TRAIN, Purpose.SCORE, Purpose.MONITOR)
"""Purposes whose newest session the report of a model shows."""
Row = dict[str, Any]


def session_facts(db: Database, session_id: str, most_scores: int | None = None) -> SessionReport:
    """Return what the report of a session tells.

    Args:
        db: the database.
        session_id: any session, also one that runs or failed.
        most_scores: with more published scores than that, their distribution is left out: the
            database would count for long. None: it counts.

    Raises:
        UnknownSession: there is no such session.
    """
    row = _session(db, session_id)
    tables: dict[str, Any] = {
        name: frames.of_sessions(db, table, [session_id]) for name, table in TABLES.items()
    }
    before = _before(db, row)
    previous = None if before is None else _side(db, before)
    scored = session_id if row["purpose"] != Purpose.MONITOR else _monitored(tables["metadata"])
    parent = row if scored in (None, session_id) else _session(db, str(scored))
    trained = parent["parent_session_id"]
    training = None if trained is None else _side(db, trained)
    tested = None if training is None else training.tested
    edges, scores, note = _scores(db, scored, session_id, before, most_scores, tested)
    thresholds = frames.thresholds_frame(db, row["model_id"])
    tables["inputs"] = _parsed(tables["inputs"])
    return SessionReport(
        session=row,
        model=_model(db, row["model_id"]),
        environment=frames.environment(db, session_id),
        drift=monitoring.drift_frame(db, [session_id]),
        gates=gate_verdicts.gates_frame(db, [session_id]),
        history=_history(db, row),
        threshold=None if thresholds.empty else records(thresholds)[0],
        previous=previous,
        training=training,
        score_edges=edges,
        scores=scores,
        scores_note=note,
        stages=_stages(db, row),
        run_url=run_url(row["flow_run_id"]),
        **tables,
    )


TABLES = {
    "inputs": "inputs",
    "checks": "check_results",
    "metrics": "metrics",
    "metadata": "session_metadata",
    "summary": "input_summary",
    "importance": "variable_importance",
    "backtests": "backtests",
    "artifacts": "artifacts",
    "curve": "test_curve",
    "parts": "score_parts",
}
"""Fields of the facts, and the tables that they are read from."""


def _session(db: Database, session_id: str) -> Row:
    rows = records(frames.sessions_frame(db, limit=None, session_ids=[session_id]))
    if not rows:
        raise UnknownSession(session_id)
    return rows[0] | {"params": json.loads(rows[0]["params"])}


def _model(db: Database, model_id: str) -> Row:
    m = db.schema.models
    rows = db.fetch_all(sa.select(*m.c).where(m.c.model_id == model_id))
    if not rows:
        model_ids = [x[0] for x in db.fetch_all(sa.select(m.c.model_id).order_by(m.c.model_id))]
        raise UnknownModel(model_id, model_ids)
    return dict(rows[0]._mapping)


def _parsed(inputs: pd.DataFrame) -> pd.DataFrame:
    """Return inputs whose columns are a mapping of names to types."""
    columns = [json.loads(text) if isinstance(text, str) else None for text in inputs["columns"]]
    return inputs.assign(columns=np.array([*columns, None], dtype=object)[:-1])


def _before(db: Database, row: Row) -> str | None:
    """Return the last session of the same model and purpose before it that succeeded."""
    s = db.schema.sessions.c
    select = (
        sa.select(s.session_id)
        .where(
            s.model_id == row["model_id"],
            s.purpose == row["purpose"],
            s.status == Status.SUCCEEDED,
            s.session_no < row["session_no"],
        )
        .order_by(s.session_no.desc())
        .limit(1)
    )
    rows = db.fetch_all(select)
    return rows[0][0] if rows else None


def _side(db: Database, session_id: str) -> ComparedSession:
    checks = frames.of_sessions(db, "check_results", [session_id])
    failed = [
        f"{row['column']}: {row['check']}" if row["column"] else row["check"]
        for row in records(checks)
        if not row["passed"]
    ]
    curve = frames.of_sessions(db, "test_curve", [session_id])
    metadata = frames.of_sessions(db, "session_metadata", [session_id])
    return ComparedSession(
        session=_session(db, session_id),
        metrics=frames.of_sessions(db, "metrics", [session_id]),
        environment=frames.environment(db, session_id),
        inputs=_parsed(frames.of_sessions(db, "inputs", [session_id])),
        summary=frames.of_sessions(db, "input_summary", [session_id]),
        curve=curve,
        tested=_tested(curve, metadata),
        failed_checks=frozenset(failed),
    )


def _tested(curve: pd.DataFrame, metadata: pd.DataFrame) -> pd.DataFrame | None:
    """Return how the scores of test rows are distributed: score, and rows with at least that."""
    if not curve.empty:
        return curve[["score", "population"]]
    note = test_note(metadata, "score_distribution")
    if not note.get("score"):
        return None
    import pandas as pd

    rows = np.asarray(note["rows"], np.int64)
    return pd.DataFrame({"score": note["score"], "population": rows[::-1].cumsum()[::-1]})


def _history(db: Database, row: Row) -> pd.DataFrame:
    """Return the metrics of all rows of the last sessions up to this one, oldest first."""
    s, m = db.schema.sessions, db.schema.metrics
    last = (
        sa.select(s.c.session_no)
        .where(
            s.c.model_id == row["model_id"],
            s.c.purpose == row["purpose"],
            s.c.session_no <= row["session_no"],
            sa.or_(s.c.status == Status.SUCCEEDED, s.c.session_no == row["session_no"]),
        )
        .order_by(s.c.session_no.desc())
        .limit(HISTORY)
    )
    numbers = [number_row[0] for number_row in db.fetch_all(last)]
    select = (
        sa.select(s.c.session_id, s.c.started_at, m.c.metric_name, m.c.value)
        .join_from(s, m, s.c.session_no == m.c.session_no)
        .where(s.c.session_no.in_(numbers), m.c.segment == "")
        .order_by(s.c.session_no, m.c.metric_name)
    )
    return db.frame(select)


def _monitored(metadata: pd.DataFrame) -> str | None:
    """Return the scoring session that a monitoring session is about."""
    notes = metadata[(metadata["meta_group"] == "monitor") & (metadata["meta_name"] == "drift_of")]
    return None if notes.empty else str(notes["value"].iloc[0])


def _scores(
    db: Database,
    scored: str | None,
    session_id: str,
    before: str | None,
    most: int | None,
    tested: pd.DataFrame | None,
) -> tuple[list[float], list[Distribution], str]:
    """Return the distribution of published scores beside that of earlier ones.

    Its edges have room for the training's test rows.
    """
    published = None if scored is None else _published(db, scored)
    if published is None or scored is None:
        return [], [], ""
    if most is not None and published.rows > most:
        message = f"The distribution of {published.rows:,} scores is not counted here; "
        return [], [], f"{message}`mfprefect report {session_id}` has it."
    if scored != session_id:
        before = _before(db, _session(db, scored))
    sides = [("this session" if scored == session_id else "scored last", scored)]
    earlier = None if before is None else _published(db, before)
    if earlier is not None and (most is None or earlier.rows <= most):
        sides.append(("the session before", str(before)))
    try:
        return *_counted(db, sides, tested), ""
    except MfprefectError:  # one of them is being deleted, or all of its scores are equal
        return [], [], ""


def _published(db: Database, session_id: str) -> sa.Row[Any] | None:
    s, p = db.schema.sessions, db.schema.score_parts
    select = (
        sa.select(sa.func.sum(p.c.rows).label("rows"))
        .join_from(s, p, s.c.session_no == p.c.session_no)
        .where(s.c.session_id == session_id, s.c.published_at.is_not(None))
        .having(sa.func.sum(p.c.rows) > 0)
    )
    rows = db.fetch_all(select)
    return rows[0] if rows else None


def _counted(
    db: Database, sides: list[tuple[str, str]], tested: pd.DataFrame | None
) -> tuple[list[float], list[Distribution]]:
    ends = [aggregates.summary(db, session_id, False) for _, session_id in sides]
    tested_range = [] if tested is None else [tested["score"].min(), tested["score"].max()]
    low = min([*tested_range, *(x["min"] for x in ends)])
    high = max([*tested_range, *(x["max"] for x in ends)])
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    edges = np.histogram_bin_edges([low, high], BINS).tolist()
    scores = []
    for name, session_id in sides:
        frame = aggregates.histogram(db, session_id, edges[1:-1], BINS)
        scores.append(Distribution(name, session_id, [int(x) for x in frame["count"]]))
    return edges, scores


def model_facts(db: Database, model_id: str) -> ModelReport:
    """Return what the report of a model tells.

    Raises:
        UnknownModel: there is no such model.
    """
    model = _model(db, model_id)
    newest = {}
    for purpose in map(str, REPORTED):
        if (session_id := _newest(db, model_id, purpose)) is not None:
            newest[purpose] = session_facts(db, session_id)
    fresh = monitoring.freshness(db)
    rows = records(fresh[fresh["model_id"] == model_id])
    return ModelReport(
        model=model,
        sessions=frames.sessions_frame(db, model_id, limit=SESSIONS),
        thresholds=frames.thresholds_frame(db, model_id),
        stages=stages_frame(db, model_id),
        freshness=rows[0] if rows else None,
        newest=newest,
        generated_at=values.utc_now(),
    )


def _newest(db: Database, model_id: str, purpose: str) -> str | None:
    """Return the newest session of a purpose that succeeded."""
    s = db.schema.sessions.c
    conditions = (s.model_id == model_id, s.purpose == purpose, s.status == Status.SUCCEEDED)
    select = sa.select(s.session_id).where(*conditions).order_by(s.session_no.desc()).limit(1)
    rows = db.fetch_all(select)
    return rows[0][0] if rows else None


def _stages(db: Database, row: Row) -> list[Row]:
    stages = records(stages_frame(db, row["model_id"]))
    return [stage for stage in stages if stage["session_id"] == row["session_id"]]
