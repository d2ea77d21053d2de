"""A plan of a promotion, and the scored data that it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mfprefect.quality.score_changes import ScoreChanges

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PromotionPlan", "ScoredData", "checks_frame"]


@dataclass(frozen=True, eq=False)
class ScoredData:
    """Data that both models have scored, and what is known of its columns."""

    basis: str
    """What the rows are, and how they were scored; or why they were not."""
    changes: ScoreChanges | None = None
    null_shares: Mapping[str, float] | None = None
    """The share of NULL in each column of the data; None: the data is not known."""
    notes: tuple[str, ...] = ()
    """What a reader of the plan must know of the data."""
    checks: tuple[Mapping[str, Any], ...] = ()
    """Results of the checks of a scoring on this data: see `PromotionPlan.checks`."""


CHECKS = ["check", "column", "severity", "passed", "failing_rows", "message"]


def checks_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return results of checks as a frame."""
    import pandas as pd

    frame = pd.DataFrame([dict(row) for row in rows], columns=CHECKS, dtype=object)
    return frame.where(frame.notna(), None)


def _no_checks() -> pd.DataFrame:
    return checks_frame(())


@dataclass(frozen=True, eq=False)
class PromotionPlan:
    """What changes if a training session is promoted; see docs/promotion.md."""

    model_id: str
    session_id: str
    """The candidate: a training session."""
    production_session_id: str | None
    """The training session in production, None if there is none."""
    basis: str
    """Which rows were compared, and how they were scored; or why none were."""
    threshold: dict[str, Any] | None
    """The operating threshold: `value` and `kind`."""
    rows: int
    """How many rows were compared."""
    movement: pd.DataFrame
    """How scores move: measure, production, candidate, value (a figure, or candidate less
    production), verdict (of `psi`)."""
    flips: pd.DataFrame
    """Decisions: production, candidate (`acted on`, `not acted on`, or a class), rows, share,
    flipped. No rows without an operating threshold and without classes."""
    segments: pd.DataFrame
    """Segments, most flips first: segment, rows, flipped, flipped_share, production_acted,
    candidate_acted, production_mean, candidate_mean."""
    columns: pd.DataFrame
    """What the models need: kind (`feature` or `source`), name, needed_by (`both`, `candidate` or
    `production`), type, null_share (in the data; missing: not known), in_data (False: the data
    lacks it), registry (what the registry of input columns says)."""
    gates: pd.DataFrame
    """The candidate's verdicts, as `Store.gates` returns them."""
    readers: pd.DataFrame
    """Who reads the scores: kind (`views`, `export`, `notice`), name, session_id, as_of, at,
    detail."""
    problems: tuple[str, ...] = ()
    """Why `promote` would refuse it without an override."""
    notes: tuple[str, ...] = ()
    """What a reader of the plan must know of the compared rows."""
    checks: pd.DataFrame = field(default_factory=_no_checks)
    """The checks of the next scoring, on this data: check, column, severity, passed, failing_rows,
    message. One that was not run has no `passed`, and its message says why."""
    flipped: int | None = None
    """How many rows get another decision; None if no decision is known."""

    verdicts: tuple[str, ...] = ()
    """The plan in sentences: scores, decisions, gates, data, readers and checks."""
