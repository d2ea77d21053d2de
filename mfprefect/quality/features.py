"""Feature drift: how far each input variable has moved, from stored input summaries alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mfprefect.errors import InvalidValue
from mfprefect.quality.drift import ALARM, THRESHOLD, WARNING, drift_row, psi_of_counts
from mfprefect.quality.sampling import sampling_threshold, share_threshold

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NULL_SHARE_THRESHOLD", "feature_drift"]

NULL_SHARE_THRESHOLD = 0.1
"""The difference of NULL shares above which a variable has drifted."""

_COLUMNS = ("variable", "measure", "value", "threshold", "verdict")
_NEEDED = ("variable", "n", "n_na", "quantiles", "bin_counts")
_Counts = tuple[list[int], list[int]]


def feature_drift(
    reference: pd.DataFrame, current: pd.DataFrame, threshold: float = THRESHOLD
) -> pd.DataFrame:
    """Compare two input summaries; columns variable, measure, value, threshold, verdict.

    Measures of each variable that both have, in the reference's order:

    * `psi`: numeric and datetime variables in the reference's bins, infinite values and NULLs in
      one each; others in a bin per level of the reference, one for all others, one for NULL.
      `unknown` with value None where the current summary was counted in other bins (it was made
      without `reference=`) or one of them has no rows.
    * `null_share`: the current share of NULLs less the reference's.
    * `type`, only where a variable changed between numeric, datetime and levels: a `warning`.

    A variable that is gone has the measure `missing` (`alarm`), a new one `new` (`warning`); their
    values are None, as is the `type`'s.

    Args:
        reference: from `input_summary` or `Store.input_summary`, of one session.
        current: the same, made with `reference=`.
        threshold: the PSI that is an alarm, unless sampling explains as much.

    Raises:
        InvalidValue: one of them is no input summary of one session.
    """
    import pandas as pd

    before, now = _by_variable(reference, "reference"), _by_variable(current, "current")
    rows: list[dict[str, Any]] = []
    for variable, row in before.items():
        if variable in now:
            rows += _compared(variable, row, now[variable], threshold)
        else:
            rows.append(_told(variable, "missing", ALARM))
    rows += [_told(variable, "new", WARNING) for variable in now if variable not in before]
    # dtype=object keeps None as it is; pandas would make NaN of it.
    return pd.DataFrame(rows, columns=list(_COLUMNS), dtype=object)


def _by_variable(summary: pd.DataFrame, name: str) -> dict[str, dict[str, Any]]:
    missing = [column for column in _NEEDED if column not in summary.columns]
    if missing:
        raise InvalidValue(
            f"the {name} summary lacks the columns {missing}; pass what input_summary(frame) or "
            "store.input_summary(session_id) returns"
        )
    rows = summary[list(_NEEDED)].to_dict("records")
    found = {str(row["variable"]): {str(k): v for k, v in row.items()} for row in rows}
    if len(found) != len(rows):
        raise InvalidValue(f"the {name} summary has a variable twice; pass that of one session")
    return found


def _told(variable: str, measure: str, verdict: str) -> dict[str, Any]:
    return {
        "variable": variable,
        "measure": measure,
        "value": None,
        "threshold": None,
        "verdict": verdict,
    }


def _compared(
    variable: str, before: dict[str, Any], now: dict[str, Any], threshold: float
) -> list[dict[str, Any]]:
    both = _counts(before, now)
    rows = [_psi_row(variable, both, threshold), _null_row(variable, before, now)]
    if both is None and _bins(before)["kind"] != _bins(now)["kind"]:
        rows.append(_told(variable, "type", WARNING))
    return rows


def _psi_row(variable: str, both: _Counts | None, threshold: float) -> dict[str, Any]:
    if both is None or not sum(both[0]) or not sum(both[1]):
        return drift_row(variable, "psi", None, threshold)
    return drift_row(variable, "psi", psi_of_counts(*both), threshold, sampling_threshold(*both))


def _null_row(variable: str, before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    nulls = [(int(row["n_na"]), int(row["n"] + row["n_na"])) for row in (before, now)]
    if not nulls[0][1] or not nulls[1][1]:
        return drift_row(variable, "null_share", None, NULL_SHARE_THRESHOLD)
    (e, n), (a, m) = nulls
    noise = share_threshold(*nulls)
    return drift_row(variable, "null_share", a / m - e / n, NULL_SHARE_THRESHOLD, noise)


def _counts(before: dict[str, Any], now: dict[str, Any]) -> _Counts | None:
    """Return the rows of both in the same bins, None if they were counted in different ones."""
    nulls = int(before["n_na"]), int(now["n_na"])
    if not before["n"]:  # whatever there is now is new
        return [0, nulls[0]], [int(now["n"]), nulls[1]]
    if _bins(before)["kind"] == "levels":
        expected = _levels(before)
        actual = _levels(now) if now["n"] else {}
        if actual is None or expected is None:
            return None
        known = list(expected)
        seen = [actual.get(level, 0) for level in known]
        return (
            [*expected.values(), int(before["n"]) - sum(expected.values()), nulls[0]],
            [*seen, int(now["n"]) - sum(seen), nulls[1]],
        )
    counts = _in_bins(before)
    if not now["n"]:
        return [*counts, nulls[0]], [*(0 for _ in counts), nulls[1]]
    if _edges(before) != _edges(now):
        return None
    return [*counts, nulls[0]], [*_in_bins(now), nulls[1]]


def _bins(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row["bin_counts"])
    return found


def _levels(row: dict[str, Any]) -> dict[str, int] | None:
    return _bins(row).get("levels")


def _edges(row: dict[str, Any]) -> tuple[str, list[Any]] | None:
    if not isinstance(row["quantiles"], str):
        return None
    quantiles = json.loads(row["quantiles"])
    return quantiles["kind"], quantiles["edges"]


def _in_bins(row: dict[str, Any]) -> list[int]:
    """Return the rows in each bin, the infinite values last."""
    return [*_bins(row)["counts"], json.loads(row["quantiles"]).get("n_inf", 0)]
