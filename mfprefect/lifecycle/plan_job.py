"""What two models score for a plan of a promotion."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from mfprefect.lifecycle.part_checks import masked_columns
from mfprefect.quality.score_changes import OperatingThreshold
from mfprefect.store.plan import ScoredData

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.store import Store

__all__ = ["Contender", "PlanJob"]


class Contender(NamedTuple):
    """One of the two models."""

    session_id: str
    role: str
    """What it is called in messages."""
    model: Model
    features: list[str]
    estimator: Any


@dataclass(frozen=True, eq=False)
class PlanJob:
    """What both models score, and what it is compared by."""

    store: Store
    model_class: type[Model]
    production: Contender
    candidate: Contender
    threshold: OperatingThreshold | None
    as_of: dt.date
    sample: int | None
    """About how many rows to score; None: all."""

    @property
    def sides(self) -> tuple[Contender, Contender]:
        """Both models."""
        return self.production, self.candidate

    @property
    def readers(self) -> tuple[Contender, ...]:
        """The models whose scoring_data is read: one, unless it may depend on their extras."""
        extras = any(side.model.extras for side in self.sides)
        return self.sides if extras else (self.candidate,)

    @property
    def segments(self) -> list[str]:
        """The columns of segments; none is masked."""
        masked = masked_columns(self.model_class, self.store.database.settings)
        return [name for name in self.model_class.segments if name not in masked]

    @property
    def needed(self) -> list[str]:
        """The columns that either model needs."""
        return list(dict.fromkeys([*self.candidate.features, *self.production.features]))

    def lacking(
        self, side: Contender, columns: Collection[Any], null_shares: Mapping[str, float]
    ) -> ScoredData | None:
        """Return what to say of data in which a model misses a column, None if it has all."""
        missing = [name for name in side.features if name not in columns]
        if not missing:
            return None
        text = f"the data of {self.as_of} has no column {missing[0]!r}, which {side.role} needs"
        return ScoredData(text, None, null_shares)

    def basis(self, rows: int, total: int, way: str) -> str:
        """Return which rows were scored, and where."""
        sample = f", a sample of {total:,} rows by a hash of their ids" if rows < total else ""
        return f"the scoring data of {self.as_of}{sample}, scored in {way}"
