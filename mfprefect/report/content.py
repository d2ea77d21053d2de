"""The data of a report: rows and frames as the store gathers them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ComparedSession",
    "Distribution",
    "InProduction",
    "ModelReport",
    "OutcomeFigures",
    "SessionReport",
    "noted_scores",
    "overall",
    "test_note",
]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class ComparedSession:
    """A session to compare with; results that it did not store are None or empty."""

    session: Row
    metrics: pd.DataFrame
    environment: Row
    inputs: pd.DataFrame
    summary: pd.DataFrame
    curve: pd.DataFrame | None = None
    tested: pd.DataFrame | None = None
    """For any model type: `score` of the test rows, and the `population` with at least it."""
    failed_checks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Distribution:
    """Published scores of a session, counted between shared edges."""

    name: str
    """The role of the session in the comparison, such as `this session`."""
    session_id: str
    counts: Sequence[int]


@dataclass(frozen=True)
class SessionReport:
    """A session, and the sessions to compare it with."""

    session: Row
    """Its row, with `parent_session_id`."""
    model: Row
    environment: Row
    """`python`, `platform` and `packages`."""
    inputs: pd.DataFrame
    checks: pd.DataFrame
    metrics: pd.DataFrame
    metadata: pd.DataFrame
    summary: pd.DataFrame
    drift: pd.DataFrame
    importance: pd.DataFrame
    backtests: pd.DataFrame
    artifacts: pd.DataFrame
    """Models: see `Store.artifacts`."""
    files: pd.DataFrame
    """Files and figures, which a report lists: see `Store.files`."""
    gates: pd.DataFrame
    """Gate results: see `Store.gates`."""
    history: pd.DataFrame
    """`session_id`, `started_at`, `metric_name` and `value` of the last successful sessions."""
    curve: pd.DataFrame | None = None
    parts: pd.DataFrame | None = None
    threshold: Row | None = None
    """The operating threshold of the model: `value`, `kind`, `set_at`, `set_by`."""
    previous: ComparedSession | None = None
    """The last successful session of the same model and purpose before this one."""
    training: ComparedSession | None = None
    """The training session whose model it used."""
    score_edges: Sequence[float] = ()
    scores: Sequence[Distribution] = ()
    scores_note: str = ""
    """Why the distribution of its scores is missing, if it should be there."""
    attempts: Sequence[Row] = ()
    """Its attempts, the first one first: see `Store.attempts`."""
    stages: Sequence[Row] = ()
    """Its stages, newest first: see `Store.stages`; `until` of the current one is None."""
    run_url: str | None = None

    @property
    def purpose(self) -> str:
        """The purpose of the session."""
        return str(self.session["purpose"])

    def note(self, name: str) -> dict[str, Any]:
        """Return a detail of the test results, empty if the session has none."""
        return test_note(self.metadata, name)

    @property
    def score_source(self) -> str:
        """Which method gives the scores, such as `predict_proba`; empty if that is unknown."""
        names = (self.metadata["meta_group"] == "model") & (self.metadata["meta_name"] == "scores")
        rows = self.metadata[names]
        return str(rows["value"].iloc[0]) if len(rows) else ""

    def scoring_note(self, name: str) -> str:
        """Return metadata of the group `scoring`: which way scores were computed; perhaps empty."""
        names = (self.metadata["meta_group"] == "scoring") & (self.metadata["meta_name"] == name)
        rows = self.metadata[names]
        return str(rows["value"].iloc[0]) if len(rows) else ""


def test_note(metadata: pd.DataFrame, name: str) -> dict[str, Any]:
    """Return a detail of the test results that is a JSON object, empty if there is none."""
    notes = metadata[(metadata["meta_group"] == "test") & (metadata["meta_name"] == name)]
    try:
        note = json.loads(str(notes["value"].iloc[0])) if len(notes) else {}
    except ValueError:  # a user may log another text under the same name
        return {}
    return note if isinstance(note, dict) else {}


def noted_scores(metadata: pd.DataFrame) -> pd.DataFrame | None:
    """Return the noted distribution of test scores: score, and population, the rows at or above it.

    None if there is no such note.
    """
    note = test_note(metadata, "score_distribution")
    if not note.get("score"):
        return None
    import pandas as pd

    rows = np.asarray(note["rows"], np.int64)
    return pd.DataFrame({"score": note["score"], "population": rows[::-1].cumsum()[::-1]})


def overall(metrics: pd.DataFrame) -> dict[str, float]:
    """Return the metrics of all rows by name."""
    rows = metrics[metrics["segment"] == ""]
    return {str(k): float(v) for k, v in zip(rows["metric_name"], rows["value"], strict=True)}


@dataclass(frozen=True)
class OutcomeFigures:
    """How good published scores turned out to be."""

    session_id: str
    """The monitoring session that compared them with outcomes."""
    measured_at: dt.datetime
    scoring_session_id: str
    day: dt.date
    """The day of the data that was scored."""
    figures: Mapping[str, float]
    coverage: str = ""
    """How many scores have an outcome, in words."""


@dataclass(frozen=True)
class InProduction:
    """The training whose model is in production."""

    training: SessionReport
    stage: Row
    """Its current stage: see `Store.stages`."""
    outcomes: OutcomeFigures | None = None
    """On the scores of its model; None before outcomes are known."""


@dataclass(frozen=True)
class ModelReport:
    """A model: what is in production, what could replace it, and its last sessions."""

    model: Row
    sessions: pd.DataFrame
    """The last sessions, as they ran, the last one first."""
    thresholds: pd.DataFrame
    stages: pd.DataFrame
    """See `Store.stages`; newest first."""
    freshness: Row | None = None
    """For a model with a maximum age: `last_scored_at`, `max_age_seconds`, `stale`."""
    production: InProduction | None = None
    candidate: SessionReport | None = None
    """The newest training that could be promoted, if it is newer than that in production."""
    scoring: SessionReport | None = None
    """The session whose scores are current, else the last scoring session."""
    monitoring: SessionReport | None = None
    """The last successful monitoring session."""
    generated_at: dt.datetime | None = None
