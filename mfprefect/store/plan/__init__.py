"""What a promotion would change: scores, decisions, data, checks, and who reads the scores.

Reads only: a plan writes no session, no score and no audit event.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mfprefect.errors import InvalidValue
from mfprefect.quality.drift import THRESHOLD
from mfprefect.quality.score_changes import OperatingThreshold, ScoreChanges, score_changes
from mfprefect.store.database import Database
from mfprefect.store.models import promotion
from mfprefect.store.models.gate_verdicts import gates_frame
from mfprefect.store.plan.needs import needs_frame
from mfprefect.store.plan.readers import readers_frame
from mfprefect.store.plan.result import PromotionPlan, ScoredData, checks_frame
from mfprefect.store.plan.sentences import sentences
from mfprefect.store.plan.stored import stored_changes
from mfprefect.store.results.frames import thresholds_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PromotionPlan", "ScoredData", "operating_threshold", "plan_promotion"]

SCORES = ("production", "candidate")
CLASSES = ("production_class", "candidate_class")


def operating_threshold(db: Database, model_id: str) -> OperatingThreshold | None:
    """Return the operating threshold in force for a model, None if none is set."""
    rows = thresholds_frame(db, model_id)
    if rows.empty:
        return None
    return OperatingThreshold(float(rows["value"].iloc[0]), str(rows["kind"].iloc[0]))


def plan_promotion(
    db: Database, model_id: str, session_id: str, scores: pd.DataFrame | ScoredData | None = None
) -> PromotionPlan:
    """Return what a promotion would change; see `Store.plan`."""
    production, problems = promotion.standing(db, model_id, session_id)
    threshold = operating_threshold(db, model_id)
    data = _data(db, scores, production, session_id, threshold)
    # Frames without rows have the same columns.
    changes = data.changes or score_changes([0.0], [0.0])
    if not isinstance(scores, ScoredData):
        changes = replace(changes, psi_threshold=_psi_threshold(db, model_id))
    rows = 0 if data.changes is None else changes.rows
    plan = PromotionPlan(
        model_id,
        session_id,
        production,
        data.basis,
        None if threshold is None else {"value": threshold.value, "kind": threshold.kind},
        rows,
        changes.movement() if rows else changes.movement().head(0),
        changes.flips(),
        changes.segment_frame(),
        needs_frame(db, production, session_id, data.null_shares),
        gates_frame(db, [session_id]).drop(columns="session_id"),
        readers_frame(db, model_id),
        tuple(problems),
        data.notes,
        checks_frame(data.checks),
        changes.flipped if changes.decisions else None,
    )
    return replace(plan, verdicts=sentences(plan))


def _psi_threshold(db: Database, model_id: str) -> float:
    """Return the threshold in the settings; the class, which may have one of its own, is away."""
    drift = db.settings.drift
    candidates = getattr(drift.models.get(model_id), "psi", None), drift.psi, THRESHOLD
    return next(value for value in candidates if value is not None)


def _data(
    db: Database,
    scores: pd.DataFrame | ScoredData | None,
    production: str | None,
    session_id: str,
    threshold: OperatingThreshold | None,
) -> ScoredData:
    if isinstance(scores, ScoredData):
        return scores
    if scores is not None:
        return ScoredData("the scores that were passed", _of_frame(scores, threshold))
    if production is None:
        return ScoredData("nothing is in production")
    stored = stored_changes(db, production, session_id, threshold)
    if stored is None:
        return ScoredData(
            f"{session_id} and {production} have no scorings of the same day; score today's data "
            "by `mfprefect plan`, or with the candidate as shadow"
        )
    return ScoredData(*stored)


def _of_frame(frame: pd.DataFrame, threshold: OperatingThreshold | None) -> ScoreChanges:
    if missing := [name for name in SCORES if name not in frame.columns]:
        raise InvalidValue(
            f"the scores lack the column {missing[0]!r}; it has: "
            f"{', '.join(map(str, frame.columns))}. Pass `production` and `candidate`, the scores "
            "of both models for each row; further columns are segments."
        )
    has_classes = all(name in frame.columns for name in CLASSES)
    others = [name for name in frame.columns if name not in (*SCORES, *CLASSES)]
    return score_changes(
        frame["production"].to_numpy("float64", na_value=float("nan")),
        frame["candidate"].to_numpy("float64", na_value=float("nan")),
        threshold=threshold,
        classes=(frame[CLASSES[0]].tolist(), frame[CLASSES[1]].tolist()) if has_classes else None,
        segments={str(name): frame[name].tolist() for name in others},
    )
