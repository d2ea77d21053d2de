"""What is known of earlier sessions and of the sources when data are checked."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CheckContext", "Registered"]


@dataclass(frozen=True)
class Registered:
    """What the registry of input columns says of one."""

    valid: bool
    """Whether models may use it."""
    test: bool = False
    """Whether it is on trial: good for experiments, not for production."""


@dataclass(frozen=True)
class CheckContext:
    """What shared checks compare with; the store fills in what they need."""

    as_of: dt.date | None = None
    """The date that the data is of."""
    keys: frozenset[str] = frozenset()
    """Columns that are no features: the entity id and the target."""
    training_session: str | None = None
    """The training session that is compared with, None where there is none."""
    training: pd.DataFrame | None = None
    """Its input summary."""
    row_counts: Sequence[int] = ()
    """Rows of the model's last sessions of the same purpose, newest first."""
    registry: Mapping[tuple[str, str], Mapping[str, Registered]] = field(default_factory=dict)
    """Registered columns by (schema, table)."""

    @property
    def variables(self) -> dict[str, dict[str, Any]]:
        """Return the training's summary, a dictionary a variable; empty without a training."""
        if self.training is None:
            return {}
        rows = self.training.to_dict("records")
        return {str(row["variable"]): {str(k): v for k, v in row.items()} for row in rows}

    def levels(self, variable: str) -> tuple[list[str], int] | None:
        """Return the categories of the training and how many rows had another one, or None."""
        row = self.variables.get(variable)
        counts = json.loads(row["bin_counts"]) if row else {}
        return (list(counts["levels"]), counts["other"]) if counts.get("kind") == "levels" else None

    def bounds(self, variable: str) -> tuple[float, float] | None:
        """Return the smallest and largest number of the training, None where it had none."""
        row = self.variables.get(variable) or {}
        low, high = row.get("min"), row.get("max")
        # From a database, what is missing can be NaN.
        return None if low is None or low != low or high is None else (float(low), float(high))
