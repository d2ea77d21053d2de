"""Feature drift: how far each input variable has moved, computed from stored input summaries."""

from __future__ import annotations

import json
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from mfprefect.errors import InvalidValue
from mfprefect.quality.drift import ALARM, THRESHOLD, WARNING, Limits, drift_row, psi_of_counts
from mfprefect.quality.drift.sampling import (
    ks_sampling_threshold,
    sampling_threshold,
    share_threshold,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["feature_drift"]

_COLUMNS = ("variable", "measure", "value", "threshold", "verdict")
_NEEDED = ("variable", "n", "n_na", "quantiles", "bin_counts")
_Counts = tuple[list[int], list[int]]


def feature_drift(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    threshold: Limits | float = THRESHOLD,
    comparison: str = "",
) -> pd.DataFrame:
    """Compare two input summaries; columns variable, measure, value, threshold, verdict.

    Measures of each variable in both summaries, in the order of the reference:

    * `psi`: numeric and datetime variables in the bins of the reference, with one bin each for
      infinite values and NULLs; other variables in a bin per level of the reference, one for all
      other levels, one for NULL. `unknown` with value None if the current summary was counted in
      other bins (made without `reference=`) or a summary has no rows.
    * `ks`, of numeric and datetime variables: the largest difference of the two distributions at
      the 49 quantiles of the reference (2 %, 4 %, ..) and just below them, finite values only; at
      most 0.02 below the KS drift of the rows. Left out if a summary lacks these counts, as for
      masked columns.
    * `null_share`: the current share of NULLs less that of the reference.
    * `type`, only if a variable changed between numeric, datetime and levels: a `warning`.

    A missing variable gets the measure `missing` (`alarm`), a new one `new` (`warning`); the value
    of `missing`, `new` and `type` is None.

    Args:
        reference: from `input_summary` or `Store.input_summary`, of one session.
        current: the same, made with `reference=`.
        threshold: alarm thresholds; a number is the threshold of PSI.
        comparison: suffix of the measures: `previous` turns `psi` into `psi_previous`.

    Raises:
        InvalidValue: an argument is not the input summary of one session.
    """
    import pandas as pd

    before, now = _by_variable(reference, "reference"), _by_variable(current, "current")
    rows: list[dict[str, Any]] = []
    limits = Limits.of(threshold)
    for variable, row in before.items():
        if variable in now:
            rows += _compare(variable, row, now[variable], limits.of_variable(variable))
        else:
            rows.append(_valueless_row(variable, "missing", ALARM))
    rows += [_valueless_row(variable, "new", WARNING) for variable in now if variable not in before]
    if comparison:
        rows = [row | {"measure": f"{row['measure']}_{comparison}"} for row in rows]
    # dtype=object keeps None; pandas would turn it into NaN.
    return pd.DataFrame(rows, columns=list(_COLUMNS), dtype=object)


def _by_variable(summary: pd.DataFrame, name: str) -> dict[str, dict[str, Any]]:
    missing = [column for column in _NEEDED if column not in summary.columns]
    if missing:
        raise InvalidValue(
            f"the {name} summary lacks the columns {missing}; pass what input_summary(frame) or "
            "store.input_summary(session_id) returns"
        )
    rows = summary[list(_NEEDED)].to_dict("records")
    by_variable = {str(row["variable"]): {str(k): v for k, v in row.items()} for row in rows}
    if len(by_variable) != len(rows):
        raise InvalidValue(
            f"the {name} summary has a variable twice; pass the summary of one session"
        )
    return by_variable


def _valueless_row(variable: str, measure: str, verdict: str) -> dict[str, Any]:
    return {
        "variable": variable,
        "measure": measure,
        "value": None,
        "threshold": None,
        "verdict": verdict,
    }


def _compare(
    variable: str, before: dict[str, Any], now: dict[str, Any], limits: Limits
) -> list[dict[str, Any]]:
    both = _counts(before, now)
    rows = [_psi_row(variable, both, limits.psi), _null_row(variable, before, now, limits)]
    if (grids := _grids(before, now)) is not None:
        rows.insert(1, _ks_row(variable, grids, limits.ks_limit))
    if both is None and _bins(before)["kind"] != _bins(now)["kind"]:
        rows.append(_valueless_row(variable, "type", WARNING))
    return rows


def _psi_row(variable: str, both: _Counts | None, threshold: float) -> dict[str, Any]:
    if both is None or not sum(both[0]) or not sum(both[1]):
        return drift_row(variable, "psi", None, threshold)
    return drift_row(variable, "psi", psi_of_counts(*both), threshold, sampling_threshold(*both))


def _ks_row(variable: str, grids: _Counts, limit: float) -> dict[str, Any]:
    n, m = sum(grids[0]), sum(grids[1])
    below, under = list(accumulate(grids[0])), list(accumulate(grids[1]))
    # Counts of pairs are whole numbers, so the gap is exact.
    gap = max(abs(b * m - u * n) for b, u in zip(below, under, strict=True))
    return drift_row(variable, "ks", gap / (n * m), limit, ks_sampling_threshold(n, m))


def _grids(before: dict[str, Any], now: dict[str, Any]) -> _Counts | None:
    """Return the grid counts of both, None if there are none or the grids differ."""
    if _edges(before, "grid") is None or _edges(before, "grid") != _edges(now, "grid"):
        return None
    counts = _bins(before)["grid_counts"], _bins(now)["grid_counts"]
    return counts if sum(counts[0]) and sum(counts[1]) else None


def _null_row(
    variable: str, before: dict[str, Any], now: dict[str, Any], limits: Limits
) -> dict[str, Any]:
    nulls = [(int(row["n_na"]), int(row["n"] + row["n_na"])) for row in (before, now)]
    if not nulls[0][1] or not nulls[1][1]:
        return drift_row(variable, "null_share", None, limits.null_share)
    (e, n), (a, m) = nulls
    noise = share_threshold(*nulls)
    return drift_row(variable, "null_share", a / m - e / n, limits.null_share, noise)


def _counts(before: dict[str, Any], now: dict[str, Any]) -> _Counts | None:
    """Return the counts of both in the same bins, None if their bins differ."""
    nulls = int(before["n_na"]), int(now["n_na"])
    if not before["n"]:  # every current value is new
        return [0, nulls[0]], [int(now["n"]), nulls[1]]
    if _bins(before)["kind"] == "levels":
        expected = _levels(before)
        actual = _levels(now) if now["n"] else {}
        if actual is None or expected is None:
            return None
        levels = list(expected)
        rows = [actual.get(level, 0) for level in levels]
        return (
            [*expected.values(), int(before["n"]) - sum(expected.values()), nulls[0]],
            [*rows, int(now["n"]) - sum(rows), nulls[1]],
        )
    counts = _in_bins(before)
    if not now["n"]:
        return [*counts, nulls[0]], [*(0 for _ in counts), nulls[1]]
    if _edges(before) != _edges(now):
        return None
    return [*counts, nulls[0]], [*_in_bins(now), nulls[1]]


def _bins(row: dict[str, Any]) -> dict[str, Any]:
    counts: dict[str, Any] = json.loads(row["bin_counts"])
    return counts


def _levels(row: dict[str, Any]) -> dict[str, int] | None:
    return _bins(row).get("levels")


def _edges(row: dict[str, Any], name: str = "edges") -> tuple[str, list[Any]] | None:
    if not isinstance(row["quantiles"], str):
        return None
    quantiles = json.loads(row["quantiles"])
    return (quantiles["kind"], quantiles[name]) if name in quantiles else None


def _in_bins(row: dict[str, Any]) -> list[int]:
    """Return the rows in each bin, infinite values last."""
    return [*_bins(row)["counts"], json.loads(row["quantiles"]).get("n_inf", 0)]
