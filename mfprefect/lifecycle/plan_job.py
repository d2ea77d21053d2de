"""What two models score for a plan of a promotion."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mfprefect.inputs.query import Query, plain, unread_query
from mfprefect.inputs.stream import produced
from mfprefect.lifecycle.part_checks import masked_columns
from mfprefect.lifecycle.plan_checks import PlanChecks
from mfprefect.lifecycle.thresholds import thresholds_for
from mfprefect.quality.score_changes import OperatingThreshold, ScoreChanges
from mfprefect.sql_scoring import Fitted
from mfprefect.store.plan import ScoredData

if TYPE_CHECKING:
    import pandas as pd

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

    @property
    def fitted(self) -> Fitted:
        """What SQL is compiled from."""
        kind, classes = self.model.model_type, self.model.classes
        return Fitted(self.estimator, self.features, kind, classes)


@dataclass(frozen=True, eq=False)
class PlanJob:
    """What both models score, and what it is compared by."""

    store: Store
    model_class: type[Model]
    production: Contender
    candidate: Contender
    threshold: OperatingThreshold | None
    as_of: dt.date
    checks: PlanChecks
    sample: int | None = None
    """About how many rows to score; None: all."""
    seconds: float | None = None
    """How long the data may be read and scored; None: as long as it takes."""
    ends: float = math.inf
    """When that is over, on the monotonic clock."""
    _produced: dict[tuple[str, int], Any] = field(default_factory=dict)
    """What scoring_data returned, by training session and part, until it is read."""

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

    @property
    def remaining(self) -> float | None:
        """How many seconds remain, at least a moment; None: no limit."""
        return None if self.seconds is None else max(0.001, self.ends - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.ends

    @property
    def limit(self) -> str:
        """The time limit in words."""
        return f"the time limit of {self.seconds:g} s was reached"

    def data(self, side: Contender, part: int) -> Any:
        """Return what scoring_data returns for a part, SQL text as a frame that is not read yet."""
        key = side.session_id, part
        if key not in self._produced:
            self.checks.part = part
            produce = partial(side.model.scoring_data, self.as_of, part)
            self._produced[key] = produced(side.model.reader, produce)
        return self._produced[key]

    def rows(self, side: Contender, part: int) -> pd.DataFrame:
        """Return all rows of a part."""
        data = self.data(side, part)
        del self._produced[side.session_id, part]
        return plain(side.model.reader.load(lambda: data, "scoring_data"))

    def queries(self) -> list[Query] | str:
        """Return the queries of all parts, unread and of one source; or why there are none."""
        if len(self.readers) > 1:
            return "scoring_data may depend on the models' extras"
        queries = []
        for part in range(1, self.model_class.parts + 1):
            if (query := unread_query(self.data(self.candidate, part))) is None:
                return "scoring_data returns a frame, neither SQL text nor the read itself"
            queries.append(query)
        if len({query.source for query in queries}) > 1:
            return "the parts come from several sources"
        return queries

    def lacking(
        self, side: Contender, columns: Collection[Any], null_shares: Mapping[str, float]
    ) -> ScoredData | None:
        """Return what to say of data in which a model misses a column, None if it has all."""
        missing = [name for name in side.features if name not in columns]
        if not missing:
            return None
        text = f"the data of {self.as_of} has no column {missing[0]!r}, which {side.role} needs"
        return self.scored(text, null_shares=null_shares)

    def basis(self, rows: int, total: int, way: str, parts: int | None = None) -> str:
        """Return which rows were scored, and where.

        Args:
            rows: how many were scored.
            total: how many there are.
            way: what scored them.
            parts: how many parts were read; None: all.
        """
        read = "" if parts is None else f", the first {parts} of {self.model_class.parts} parts"
        sample = f", a sample of {total:,} rows by a hash of their ids" if rows < total else ""
        return f"the scoring data of {self.as_of}{read}{sample}, scored in {way}"

    def scored(
        self,
        basis: str,
        changes: ScoreChanges | None = None,
        null_shares: Mapping[str, float] | None = None,
        notes: Collection[str] = (),
    ) -> ScoredData:
        """Return what the plan is made of: see `ScoredData`."""
        if changes is not None:
            limits = thresholds_for(self.model_class, self.store.database.settings)
            changes = replace(changes, psi_threshold=limits.psi)
        return ScoredData(basis, changes, null_shares, tuple(notes), tuple(self.checks.results()))
