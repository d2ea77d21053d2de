"""What figures may show of the data: a sample of cells, and none of a masked column."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MASK", "Disclosure", "disclosure_for", "without_cells"]

MASK = "***"
"""What stands for a cell of a masked column."""


@dataclass(frozen=True)
class Disclosure:
    """What the result of a check may show of the data."""

    sample: int
    """The most failing cases of a check."""
    masked: frozenset[str] = frozenset()
    """Columns whose cells are never shown."""
    index_masked: bool = False
    """Whether the labels of the rows are such a column."""

    def hides(self, *columns: object) -> bool:
        """Return whether text about these columns may hold a masked cell; none: about all."""
        if not columns or columns == (None,):
            return bool(self.masked)
        return any(column in self.masked for column in columns)

    def cases(
        self, columns: Sequence[object], cases: Iterable[tuple[Any, Any]]
    ) -> list[tuple[Any, Any]]:
        """Return (index, value) pairs; a value that is a dictionary holds cells by column."""
        return [(MASK if self.index_masked else i, self._value(columns, v)) for i, v in cases]

    def _value(self, columns: Sequence[object], value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, dict):
            return {k: MASK if k in self.masked else v for k, v in value.items()}
        return MASK if any(column in self.masked for column in columns) else value

    def words(self, error: Exception, *columns: object) -> str:
        """Return an error's kind, and its text unless that may hold a masked cell."""
        if self.hides(*columns):
            return f"{type(error).__name__} (its text may show masked cells and is left out)"
        return f"{type(error).__name__}: {error}"


def disclosure_for(frame: pd.DataFrame, sample: int, masked: Collection[str]) -> Disclosure:
    """Return what may be shown of a frame."""
    names = frozenset(masked)
    return Disclosure(sample, names, any(name in names for name in frame.index.names))


def without_cells(summary: pd.DataFrame, masked: Collection[str]) -> pd.DataFrame:
    """Return an input summary that holds no cell of a masked column.

    Categories all count as `other`. Numbers and times keep mean, sd and deciles, but no finer
    quantiles; the smallest and the largest, which are cells, give way to the outer deciles, and
    `min` and `max` to None.
    """
    summary = summary.copy()
    for place in summary.index[summary["variable"].isin(list(masked))]:
        counts = json.loads(summary.loc[place, "bin_counts"])
        if counts["kind"] == "levels":
            hidden = {"kind": "levels", "levels": {}, "other": int(summary.loc[place, "n"])}
            summary.loc[place, "bin_counts"] = json.dumps(hidden)
            continue
        quantiles = json.loads(summary.loc[place, "quantiles"])
        if values := quantiles["values"]:
            values[0], values[-1] = values[1], values[-2]
            extremes = {"min": values[0], "max": values[-1]}
            quantiles |= {name: value for name, value in extremes.items() if name in quantiles}
        quantiles.pop("grid", None)
        counts.pop("grid_counts", None)
        summary.loc[place, "quantiles"] = json.dumps(quantiles)
        summary.loc[place, "bin_counts"] = json.dumps(counts)
        summary.loc[place, ["min", "max"]] = None
    return summary
