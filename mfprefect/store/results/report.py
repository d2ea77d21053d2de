"""The content of a session's report: the session, its previous and its training session."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from mfprefect.errors import MfprefectError, UnknownModel, UnknownSession
from mfprefect.provenance.flow_run import run_url
from mfprefect.quality.checks.result import is_open
from mfprefect.report.content import ComparedSession, Distribution, SessionReport, noted_scores
from mfprefect.store.database import Database
from mfprefect.store.models import gate_verdicts
from mfprefect.store.models.stages import stages_frame
from mfprefect.store.order import previous_success
from mfprefect.store.results import frames, monitoring
from mfprefect.store.results.artifacts import files_frame, models_frame
from mfprefect.store.scores import aggregates
from mfprefect.store.sessions.attempts import attempts_frame
from mfprefect.store.states import Purpose, Status
from mfprefect.util.frames import records

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_session_report", "model_row"]

HISTORY = 20
"""How many sessions the history of a metric covers."""
BINS = 20
"""The bins of a distribution of scores."""
Row = dict[str, Any]


def load_session_report(
    db: Database, session_id: str, max_scores: int | None = None
) -> SessionReport:
    """Return the content of a session's report.

    Args:
        db: the database.
        session_id: any session, even a running or failed one.
        max_scores: leave out the distribution of more published scores than this, because
            counting them takes long; None for no limit.

    Raises:
        UnknownSession: the session does not exist.
    """
    return db.snapshot(lambda moment: _load(moment, session_id, max_scores))


def _load(db: Database, session_id: str, max_scores: int | None) -> SessionReport:
    row = _session(db, session_id)
    tables = _tables(db, session_id)
    previous_id = _previous_id(db, row)
    scored_id: str | None = session_id
    if row["purpose"] == Purpose.MONITOR:
        scored_id = _watched_id(tables["metadata"])
    scored = row if scored_id in (None, session_id) else _session(db, str(scored_id))
    training = _compared_session(db, scored["parent_session_id"])
    before = previous_id if scored is row else _previous_id(db, scored)
    tested = None if training is None else training.tested
    edges, scores, note = _scores(db, row, scored_id, before, tested, max_scores)
    thresholds = frames.thresholds_frame(db, row["model_id"])
    return SessionReport(
        session=row,
        model=model_row(db, row["model_id"]),
        environment=frames.environment(db, session_id),
        drift=monitoring.drift_frame(db, [session_id]),
        gates=gate_verdicts.gates_frame(db, [session_id]),
        history=_history(db, row),
        threshold=None if thresholds.empty else records(thresholds)[0],
        previous=_compared_session(db, previous_id),
        training=training,
        score_edges=edges,
        scores=scores,
        scores_note=note,
        attempts=records(attempts_frame(db, session_id)),
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
    "curve": "test_curve",
    "parts": "score_parts",
}
"""Fields of SessionReport, and the tables that they are read from."""


def _tables(db: Database, session_id: str) -> dict[str, Any]:
    tables: dict[str, Any] = {
        name: frames.of_sessions(db, table, [session_id]) for name, table in TABLES.items()
    }
    tables["inputs"] = _parse_columns(tables["inputs"])
    tables["artifacts"] = models_frame(db, [session_id])
    tables["files"] = files_frame(db, [session_id])
    return tables


def _session(db: Database, session_id: str) -> Row:
    rows = records(frames.sessions_frame(db, limit=None, session_ids=[session_id]))
    if not rows:
        raise UnknownSession(session_id)
    return rows[0] | {"params": json.loads(rows[0]["params"])}


def model_row(db: Database, model_id: str) -> Row:
    """Return the row of a model.

    Raises:
        UnknownModel: the model does not exist.
    """
    m = db.schema.models
    rows = db.fetch_all(sa.select(*m.c).where(m.c.model_id == model_id))
    if not rows:
        model_ids = [x[0] for x in db.fetch_all(sa.select(m.c.model_id).order_by(m.c.model_id))]
        raise UnknownModel(model_id, model_ids)
    return dict(rows[0]._mapping)


def _parse_columns(inputs: pd.DataFrame) -> pd.DataFrame:
    """Return inputs whose `columns` maps names to types, instead of JSON text."""
    columns = [json.loads(text) if isinstance(text, str) else None for text in inputs["columns"]]
    return inputs.assign(columns=np.array([*columns, None], dtype=object)[:-1])


def _previous_id(db: Database, row: Row) -> str | None:
    """Return the id of the previous successful session of the same model and purpose."""
    s = db.schema.sessions
    session = db.fetch_all(sa.select(*s.c).where(s.c.session_no == row["session_no"]))[0]
    previous = previous_success(db, session)
    return None if previous is None else str(previous.session_id)


def _compared_session(db: Database, session_id: str | None) -> ComparedSession | None:
    if session_id is None:
        return None
    checks = frames.of_sessions(db, "check_results", [session_id])
    failed = [
        f"{row['column']}: {row['check']}" if row["column"] else row["check"]
        for row in records(checks)
        if is_open(row)
    ]
    curve = frames.of_sessions(db, "test_curve", [session_id])
    metadata = frames.of_sessions(db, "session_metadata", [session_id])
    return ComparedSession(
        session=_session(db, session_id),
        metrics=frames.of_sessions(db, "metrics", [session_id]),
        environment=frames.environment(db, session_id),
        inputs=_parse_columns(frames.of_sessions(db, "inputs", [session_id])),
        summary=frames.of_sessions(db, "input_summary", [session_id]),
        curve=curve,
        tested=_test_scores(curve, metadata),
        failed_checks=frozenset(failed),
    )


def _test_scores(curve: pd.DataFrame, metadata: pd.DataFrame) -> pd.DataFrame | None:
    """Return the distribution of test scores: score, and population, the rows at or above it."""
    return noted_scores(metadata) if curve.empty else curve[["score", "population"]]


def _history(db: Database, row: Row) -> pd.DataFrame:
    """Return the overall metrics of the last HISTORY sessions up to this one, as they ran."""
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


def _watched_id(metadata: pd.DataFrame) -> str | None:
    """Return the scoring session that a monitoring session watched."""
    notes = metadata[(metadata["meta_group"] == "monitor") & (metadata["meta_name"] == "drift_of")]
    return None if notes.empty else str(notes["value"].iloc[0])


def _scores(
    db: Database,
    row: Row,
    scored_id: str | None,
    before: str | None,
    tested: pd.DataFrame | None,
    max_scores: int | None,
) -> tuple[list[float], list[Distribution], str]:
    """Return the distributions of published scores: of a scoring session and the one before.

    Args:
        db: the database.
        row: the session of the report.
        scored_id: the scoring session: that session, or the one that it watched, if any.
        before: the scoring session before that.
        tested: the distribution of test scores, which the edges cover, too.
        max_scores: leave out the distribution of more scores than this.

    Returns:
        Bin edges; distributions; a note if they are left out.
    """
    if scored_id is None or (rows := _published_rows(db, scored_id)) is None:
        return [], [], ""
    if max_scores is not None and rows > max_scores:
        message = f"The distribution of {rows:,} scores is left out here; "
        return [], [], f"{message}`mfprefect report {row['session_id']}` shows it."
    name = "this session" if scored_id == row["session_id"] else "scored last"
    sides = [(name, scored_id)]
    rows_before = None if before is None else _published_rows(db, before)
    if rows_before is not None and (max_scores is None or rows_before <= max_scores):
        sides.append(("previous session", str(before)))
    try:
        return *_distributions(db, sides, tested), ""
    except MfprefectError:  # scores are being deleted, or all of them are equal
        return [], [], ""


def _published_rows(db: Database, session_id: str) -> int | None:
    """Return how many published scores a session has, None instead of 0."""
    s, p = db.schema.sessions, db.schema.score_parts
    select = (
        sa.select(sa.func.sum(p.c.rows).label("rows"))
        .join_from(s, p, s.c.session_no == p.c.session_no)
        .where(s.c.session_id == session_id, s.c.published_at.is_not(None))
        .having(sa.func.sum(p.c.rows) > 0)
    )
    rows = db.fetch_all(select)
    return int(rows[0].rows) if rows else None


def _distributions(
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


def _stages(db: Database, row: Row) -> list[Row]:
    stages = records(stages_frame(db, row["model_id"]))
    return [stage for stage in stages if stage["session_id"] == row["session_id"]]
