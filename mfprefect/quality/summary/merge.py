"""Merge the input summaries of the parts of a scoring into one."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.quality.summary import _COLUMNS, _COUNTS, _DECILES, _DTYPE_LENGTH, _UTC, MAX_LEVELS
from mfprefect.quality.summary.mixture import Mixture

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SummaryMerger"]


class SummaryMerger:
    """Add the summaries of parts one by one, in memory independent of their number.

    Exact: rows, NULLs, mean, sd, min, max, and counts in bins shared by all parts (of one
    reference), hence drift from that reference. Deciles and median are interpolated between the
    quantiles and counts of the parts. `n_distinct` is a lower bound, the largest of any part,
    unless all categories were counted. Bins that differ between parts are replaced by new ones
    with interpolated counts and no finer grid. All values of a variable with several kinds count
    as one category, `other`.
    """

    def __init__(self, reference: pd.DataFrame | None = None) -> None:
        self._variables: dict[str, _Variable] = {}
        self._levels: dict[str, Collection[str]] = {}
        if reference is not None:
            rows = zip(reference["variable"], reference["bin_counts"], strict=True)
            self._levels = {str(name): json.loads(text).get("levels", ()) for name, text in rows}

    def add(self, summary: pd.DataFrame) -> None:
        """Add the summary of a part, made by `input_summary` with the same reference."""
        for row in summary.to_dict("records"):
            name = str(row["variable"])
            if name not in self._variables:
                self._variables[name] = _Variable(self._levels.get(name, ()))
            self._variables[name].add({str(key): _plain(value) for key, value in row.items()})

    @property
    def has_rows(self) -> bool:
        """Whether the summary of any part with rows was added."""
        return bool(self._variables)

    def summary(self) -> pd.DataFrame:
        """Return the summary of all parts; with a single part, its summary unchanged."""
        import pandas as pd

        rows = [variable.row() for variable in self._variables.values()]
        # dtype=object keeps None; pandas would turn it into NaN.
        types = dict.fromkeys(_COLUMNS, object) | dict.fromkeys(_COUNTS, "int64")
        return pd.DataFrame(
            {key: pd.Series([row[key] for row in rows], dtype=types[key]) for key in _COLUMNS}
        )


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


class _Variable:
    """A variable in the parts added so far."""

    def __init__(self, reference_levels: Collection[str]) -> None:
        self.reference_levels = reference_levels
        self.first: dict[str, Any] | None = None
        """The first row with values, or the first row if none has values."""
        self.parts = 0
        """The number of parts with values."""
        self.n = self.n_na = self.n_distinct = self.n_inf = 0
        self.dtypes: list[str] = []
        self.kinds: set[tuple[str, bool]] = set()
        self.moments: tuple[float, float, float] | None = (0.0, 0.0, 0.0)
        """Count, mean and sum of squares of the finite values; None: unknown."""
        self.ends: tuple[float, float] | None = (math.inf, -math.inf)
        self.times: list[str] = []
        self.bins = _Bins("edges", "counts")
        self.grid = _Bins("grid", "grid_counts")
        self.levels: Counter[str] = Counter()
        self.other = 0
        self.mixture = Mixture()

    def add(self, row: dict[str, Any]) -> None:
        self.n, self.n_na = self.n + int(row["n"]), self.n_na + int(row["n_na"])
        if self.first is None or (row["n"] and not self.parts):
            self.first = row
        if not row["n"]:
            return
        self.parts += 1
        if row["dtype"] not in self.dtypes:
            self.dtypes.append(str(row["dtype"]))
        self.n_distinct = max(self.n_distinct, int(row["n_distinct"]))
        counts = json.loads(row["bin_counts"])
        quantiles = json.loads(row["quantiles"]) if row["quantiles"] else {}
        zoned = any(str(x).endswith(_UTC) for x in quantiles.get("values", ())[:1])
        self.kinds.add((counts["kind"], zoned))
        finite = int(row["n"]) - int(quantiles.get("n_inf", 0))
        self.n_inf += int(quantiles.get("n_inf", 0))
        self._numbers(row, finite)
        if counts["kind"] == "levels":
            self.levels.update(counts["levels"])
            self.other += int(counts["other"])
            self._trim(10 * MAX_LEVELS)
            return
        self.bins.add(quantiles, counts)
        self.grid.add(quantiles, counts)
        self.times += [quantiles[name] for name in ("min", "max") if quantiles.get(name)]
        self.mixture.add(quantiles, counts, finite)

    def _numbers(self, row: dict[str, Any], finite: int) -> None:
        if not finite:
            return
        mean, sd = row["mean"], row["sd"]
        if mean is None or (sd is None and finite > 1):
            self.moments = None
        elif self.moments is not None:
            squares = 0.0 if sd is None else float(sd) ** 2 * (finite - 1)
            self.moments = _combine(self.moments, (float(finite), float(mean), squares))
        if row["min"] is None or row["max"] is None:
            self.ends = None
        elif self.ends is not None:
            low, high = self.ends
            self.ends = min(low, float(row["min"])), max(high, float(row["max"]))

    def _trim(self, most: int) -> None:
        """Keep reference levels and the `most` frequent others; count the rest as `other`."""
        others = [level for level in self.levels if level not in self.reference_levels]
        if len(others) > most:
            others.sort(key=lambda level: (-self.levels[level], level))
            for level in others[most:]:
                self.other += self.levels.pop(level)

    def row(self) -> dict[str, Any]:
        if self.first is None:
            raise AssertionError("a variable starts with its first row")
        if self.parts <= 1:
            return self.first | {"n": self.n, "n_na": self.n_na}
        row: dict[str, Any] = dict.fromkeys(_COLUMNS)
        row |= {
            "variable": self.first["variable"],
            "dtype": ", ".join(self.dtypes)[:_DTYPE_LENGTH],
            "n": self.n,
            "n_na": self.n_na,
            "n_distinct": self.n_distinct,
        }
        if len(self.kinds) > 1:
            return row | {"bin_counts": _json({"kind": "levels", "levels": {}, "other": self.n})}
        (kind, zoned) = next(iter(self.kinds))
        if kind == "levels":
            return row | self._levels_columns()
        columns = self._ordered_columns(kind, zoned)
        return row | columns if kind == "datetime" else row | columns | self._figures()

    def _figures(self, median: float | None = None) -> dict[str, float | None]:
        count, mean, squares = self.moments or (0.0, None, None)
        low, high = self.ends or (None, None)
        if median is None and self.mixture.has_values:
            median = float(self.mixture.quantiles(np.array([0.5]))[0])
        figures = {
            "mean": mean if count else None,
            "sd": math.sqrt(squares / (count - 1)) if squares is not None and count > 1 else None,
            "median": median,
            "min": low,
            "max": high,
        }
        return {k: v if v is not None and math.isfinite(v) else None for k, v in figures.items()}

    def _levels_columns(self) -> dict[str, Any]:
        if not self.other:
            self.n_distinct = max(self.n_distinct, len(self.levels))
        self._trim(MAX_LEVELS)
        ordered = sorted(self.levels.items(), key=lambda x: (-x[1], x[0]))
        counts = {"kind": "levels", "levels": dict(ordered), "other": self.other}
        columns = {"n_distinct": self.n_distinct, "bin_counts": _json(counts)}
        if self.moments is None or self.ends is None or not self.moments[0]:
            return columns
        mean = self.moments[1]  # of booleans
        return columns | self._figures(0.5 if mean == 0.5 else float(mean > 0.5))

    def _ordered_columns(self, kind: str, zoned: bool) -> dict[str, Any]:
        mixture = self.mixture
        values = _values(mixture, _DECILES, zoned)
        if self.ends is not None and kind == "numeric" and values:
            values[0], values[-1] = self.ends
        edges, counts = self.bins.edges, self.bins.counts
        if edges is None or counts is None:
            edges = list(dict.fromkeys(_values(mixture, _DECILES[1:-1], zoned)))
            counts = mixture.counts(edges)
        quantiles: dict[str, Any] = {"kind": kind}
        if kind == "datetime":
            ends = (min(self.times), max(self.times)) if self.times else (None, None)
            quantiles |= {"min": ends[0], "max": ends[1]}
        quantiles |= {"probabilities": _DECILES.tolist(), "values": values, "edges": edges}
        if kind == "numeric":
            quantiles["n_inf"] = self.n_inf
        document: dict[str, Any] = {"kind": kind, "counts": counts}
        if self.grid.edges is not None and self.grid.counts is not None:
            quantiles["grid"] = self.grid.edges
            document["grid_counts"] = self.grid.counts
        return {"quantiles": _json(quantiles), "bin_counts": _json(document)}


class _Bins:
    """The sum of counts in shared bins; None once a part has other bins, or none."""

    def __init__(self, edges: str, counts: str) -> None:
        self._names = edges, counts
        self._started = False
        self.edges: list[Any] | None = None
        self.counts: list[int] | None = None

    def add(self, quantiles: dict[str, Any], counts: dict[str, Any]) -> None:
        edges, new = quantiles.get(self._names[0]), counts.get(self._names[1])
        if not self._started:
            self._started, self.edges, self.counts = True, edges, new
        elif self.counts is None or new is None or edges != self.edges:
            self.edges = self.counts = None
        else:
            self.counts = [a + b for a, b in zip(self.counts, new, strict=True)]


def _combine(
    one: tuple[float, float, float], other: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Combine count, mean and sum of squares of two samples (Chan, Golub and LeVeque 1983)."""
    n, m = one[0], other[0]
    gap = other[1] - one[1]
    mean = one[1] + gap * m / (n + m)
    return n + m, mean, one[2] + other[2] + gap * gap * n * m / (n + m)


def _values(mixture: Mixture, at: NDArray[np.float64], zoned: bool) -> list[Any]:
    numbers = mixture.quantiles(at)
    if not mixture.times:
        return [float(x) for x in numbers]
    texts = np.datetime_as_string(numbers.astype("datetime64[us]"))
    return [f"{x}{_UTC}" if zoned else str(x) for x in texts]


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, allow_nan=False, sort_keys=False)
