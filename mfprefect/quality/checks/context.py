"""What input checks compare with: earlier sessions and the registry of input columns."""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CheckContext", "Registered"]


@dataclass(frozen=True)
class Registered:
    """An entry of the registry of input columns."""

    valid: bool
    """Whether models may use it."""
    test: bool = False
    """Whether it is on trial: allowed in experiments, not in production."""


@dataclass(frozen=True)
class CheckContext:
    """What model checks compare with; the store fills in what their `needs` name."""

    as_of: dt.date | None = None
    """The date of the data."""
    keys: frozenset[str] = frozenset()
    """Columns that are not features: the entity id and the target."""
    training_session: str | None = None
    """The training session to compare with, None if the model has none."""
    training: pd.DataFrame | None = None
    """Its input summary."""
    row_counts: Sequence[int] = ()
    """Row counts of the model's last sessions of the same purpose, newest first."""
    registry: Mapping[tuple[str, str], Mapping[str, Registered]] = field(default_factory=dict)
    """Registered columns by (schema, table)."""

    @functools.cached_property
    def variables(self) -> dict[str, dict[str, Any]]:
        """The training summary, a dictionary per variable; empty without a training session."""
        if self.training is None:
            return {}
        rows = self.training.to_dict("records")
        return {str(row["variable"]): {str(k): v for k, v in row.items()} for row in rows}

    def levels(self, variable: str) -> tuple[list[str], int] | None:
        """Return a variable's categories at training and how many rows had others, or None."""
        row = self.variables.get(variable)
        counts = json.loads(row["bin_counts"]) if row else {}
        return (list(counts["levels"]), counts["other"]) if counts.get("kind") == "levels" else None

    def bounds(self, variable: str) -> tuple[float, float] | None:
        """Return a variable's minimum and maximum at training, None if it had no numbers."""
        row = self.variables.get(variable) or {}
        low, high = row.get("min"), row.get("max")
        # A NULL from a database can be NaN.
        return None if low is None or low != low or high is None else (float(low), float(high))
