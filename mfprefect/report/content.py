"""The data of a report: rows and frames as the store gathers them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ComparedSession", "Distribution", "ModelReport", "SessionReport", "test_note"]

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


def test_note(metadata: pd.DataFrame, name: str) -> dict[str, Any]:
    """Return a detail of the test results that is a JSON object, empty if there is none."""
    notes = metadata[(metadata["meta_group"] == "test") & (metadata["meta_name"] == name)]
    try:
        note = json.loads(str(notes["value"].iloc[0])) if len(notes) else {}
    except ValueError:  # a user may log another text under the same name
        return {}
    return note if isinstance(note, dict) else {}


@dataclass(frozen=True)
class ModelReport:
    """A model, its last sessions, and the results of the newest session of each purpose."""

    model: Row
    sessions: pd.DataFrame
    """The last sessions, newest first."""
    thresholds: pd.DataFrame
    stages: pd.DataFrame
    """See `Store.stages`; newest first."""
    freshness: Row | None = None
    """For a model with a maximum age: `last_scored_at`, `max_age_seconds`, `stale`."""
    newest: Mapping[str, SessionReport] = field(default_factory=dict)
    """The newest session of each purpose; of training, the newest successful one if any."""
    generated_at: dt.datetime | None = None
