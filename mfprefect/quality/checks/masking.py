"""What results disclose of the data: a sample of cells, but never of a masked column."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MASK", "Disclosure", "disclosure_for", "without_cells"]

MASK = "***"
"""Replaces a cell of a masked column."""


@dataclass(frozen=True)
class Disclosure:
    """What check results may disclose of the data."""

    sample: int
    """The most failing cases to keep per check."""
    masked: frozenset[str] = frozenset()
    """Columns whose cells never appear in a result."""
    index_masked: bool = False
    """Whether the row labels are a masked column."""

    def hides(self, *columns: object) -> bool:
        """Say whether text about these columns may quote a masked cell; no columns mean all."""
        if not columns or columns == (None,):
            return bool(self.masked)
        return any(column in self.masked for column in columns)

    def cases(
        self, columns: Sequence[object], cases: Iterable[tuple[Any, Any]]
    ) -> list[tuple[Any, Any]]:
        """Mask (index, value) pairs; a dictionary value holds cells by column."""
        return [(MASK if self.index_masked else i, self._value(columns, v)) for i, v in cases]

    def _value(self, columns: Sequence[object], value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, dict):
            return {k: MASK if k in self.masked else v for k, v in value.items()}
        return MASK if any(column in self.masked for column in columns) else value

    def error_text(self, error: Exception, *columns: object) -> str:
        """Return the type of an error, and its text unless that may quote a masked cell."""
        if self.hides(*columns):
            return f"{type(error).__name__} (text omitted: it may quote masked cells)"
        return f"{type(error).__name__}: {error}"


def disclosure_for(frame: pd.DataFrame, sample: int, masked: Collection[str]) -> Disclosure:
    """Return what results may disclose of a frame."""
    names = frozenset(masked)
    return Disclosure(sample, names, any(name in names for name in frame.index.names))


def without_cells(summary: pd.DataFrame, masked: Collection[str]) -> pd.DataFrame:
    """Return an input summary without any cell of a masked column.

    All categories count as `other`. Numbers and times keep mean, sd and deciles but no finer
    quantiles. Minimum and maximum are cells: among the quantiles the outer deciles replace them,
    and the columns `min` and `max` are None.
    """
    summary = summary.copy()
    for label in summary.index[summary["variable"].isin(list(masked))]:
        counts = json.loads(summary.loc[label, "bin_counts"])
        if counts["kind"] == "levels":
            merged = {"kind": "levels", "levels": {}, "other": int(summary.loc[label, "n"])}
            summary.loc[label, "bin_counts"] = json.dumps(merged)
            continue
        quantiles = json.loads(summary.loc[label, "quantiles"])
        if values := quantiles["values"]:
            values[0], values[-1] = values[1], values[-2]
            extremes = {"min": values[0], "max": values[-1]}
            quantiles |= {name: value for name, value in extremes.items() if name in quantiles}
        quantiles.pop("grid", None)
        counts.pop("grid_counts", None)
        summary.loc[label, "quantiles"] = json.dumps(quantiles)
        summary.loc[label, "bin_counts"] = json.dumps(counts)
        summary.loc[label, ["min", "max"]] = None
    return summary
