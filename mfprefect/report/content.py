"""What a report is made of: rows and frames that the store gathers, as it keeps them."""

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
    """A session that another one is compared with; what it has not stored is None or empty."""

    session: Row
    metrics: pd.DataFrame
    environment: Row
    inputs: pd.DataFrame
    summary: pd.DataFrame
    curve: pd.DataFrame | None = None
    tested: pd.DataFrame | None = None
    """Of any type of model: `score` of the test rows, and the `population` with at least that."""
    failed_checks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Distribution:
    """Published scores of a session, counted between common edges."""

    name: str
    """What the session is in the comparison, such as `this session`."""
    session_id: str
    counts: Sequence[int]


@dataclass(frozen=True)
class SessionReport:
    """One session, with what it is compared with."""

    session: Row
    """Its row, with `parent_session_id`."""
    model: Row
    environment: Row
    """python, platform, packages."""
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
    """What gates said: see `Store.gates`."""
    history: pd.DataFrame
    """session_id, started_at, metric_name, value: of the last sessions that ended well."""
    curve: pd.DataFrame | None = None
    parts: pd.DataFrame | None = None
    threshold: Row | None = None
    """The model's operating threshold: value, kind, set_at, set_by."""
    previous: ComparedSession | None = None
    """The last session of the same model and purpose before it that succeeded."""
    training: ComparedSession | None = None
    """The training session whose model it used."""
    score_edges: Sequence[float] = ()
    scores: Sequence[Distribution] = ()
    scores_note: str = ""
    """Why there is no distribution of its scores, where there could be one."""
    stages: Sequence[Row] = ()
    """Its stages, newest first: see `Store.stages`; `until` is None of the one in force."""
    run_url: str | None = None

    @property
    def purpose(self) -> str:
        """What the session was for."""
        return str(self.session["purpose"])

    def note(self, name: str) -> dict[str, Any]:
        """Return what test results left beside the figures, empty where there is no such note."""
        return test_note(self.metadata, name)


def test_note(metadata: pd.DataFrame, name: str) -> dict[str, Any]:
    """Return a note of test results that is a JSON object, empty where there is none."""
    notes = metadata[(metadata["meta_group"] == "test") & (metadata["meta_name"] == name)]
    try:
        note = json.loads(str(notes["value"].iloc[0])) if len(notes) else {}
    except ValueError:  # somebody's own text of the same name
        return {}
    return note if isinstance(note, dict) else {}


@dataclass(frozen=True)
class ModelReport:
    """A model, its last sessions, and what is known of the newest of each purpose."""

    model: Row
    sessions: pd.DataFrame
    """The last ones, newest first."""
    thresholds: pd.DataFrame
    stages: pd.DataFrame
    """See `Store.stages`; newest first."""
    freshness: Row | None = None
    """Of a model that somebody waits for: last_scored_at, max_age_seconds, stale."""
    newest: Mapping[str, SessionReport] = field(default_factory=dict)
    """By purpose; of training the newest that succeeded, where there is one."""
    generated_at: dt.datetime | None = None
