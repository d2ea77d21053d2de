"""Drift in words: `mean price 15.2 to 24.1, PSI 4.9, allowed 0.25`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mfprefect.notifications.facts import Drift
from mfprefect.notifications.text import number, pair, percent

__all__ = ["OUTCOMES", "PERFORMANCE", "SCORE", "change_of", "drift_words"]

SCORE, OUTCOMES, PERFORMANCE = "score", "unmatched_share", "drop"
"""The variable of scores; the measures of unmatched outcomes and of performance."""
_MEASURE = re.compile(r"(psi|ks|null_share|missing|new|type)(?:_(.+))?")
_NAMES = {"psi": "PSI", "ks": "KS"}
_VALUELESS = {
    "missing": "the column is missing",
    "new": "the column is new",
    "type": "its type changed",
    OUTCOMES: "none of the outcomes belongs to a score",
}
_COMPARED = {
    "previous": "against the scoring before",
    "first": "against the first scoring with this model",
    "training": "against the test rows of the training",
}


def drift_words(rows: Iterable[Drift]) -> list[tuple[str, str]]:
    """Return variables and what happened to them, a row for each comparison, in their order."""
    groups: dict[tuple[str, str], list[Drift]] = {}
    for row in rows:
        groups.setdefault((row.variable, _split(row.measure)[1]), []).append(row)
    return [(name, _sentence(same, comparison)) for (name, comparison), same in groups.items()]


def _sentence(rows: list[Drift], comparison: str) -> str:
    change = next((row.change for row in rows if row.change), "")
    measures = "; ".join(dict.fromkeys(_measured(row) for row in rows))
    against = _COMPARED.get(comparison, comparison)
    return ", ".join(filter(None, [change, measures])) + (f" ({against})" if against else "")


def change_of(variable: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return what moved between two rows of an input summary, in words; '' if nothing says it.

    Numbers: the mean, or the standard deviation where the mean hardly moved. Times: the median.
    Levels: the one whose share moved most. Cells of masked columns are not in summaries.
    """
    if before["mean"] is not None and now["mean"] is not None and not _levels(before):
        return _number_change(variable, before, now)
    medians = [_median(row) for row in (before, now)]
    if all(medians):
        return f"median {variable} {medians[0]} to {medians[1]}"
    shares = [_levels(row) for row in (before, now)]
    return _level_change(variable, *shares) if all(shares) else ""


def _number_change(variable: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    spread, mean = before["sd"], abs(now["mean"] - before["mean"])
    moved = not spread or now["sd"] is None or mean >= abs(now["sd"] - spread) / 2
    name, key = ("mean", "mean") if moved else ("standard deviation of", "sd")
    return f"{name} {variable} {pair(before[key], now[key])}"


def _median(row: Mapping[str, Any]) -> str:
    """Return the median of a variable of times, '' for another one."""
    quantiles = json.loads(row["quantiles"]) if row["quantiles"] else {}
    if quantiles.get("kind") != "datetime" or not quantiles.get("values"):
        return ""
    values = quantiles["values"]
    day, _, clock = str(values[len(values) // 2]).partition("T")
    return f"{day} {clock[:5]}" if clock.strip("0:.+Z") else day


def _levels(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the share of each level among the rows that are not NULL, `other` levels last."""
    counts = json.loads(row["bin_counts"]) if row["bin_counts"] else {}
    if "levels" not in counts or not row["n"]:
        return {}
    shares = {f"= {name!r}": count / row["n"] for name, count in counts["levels"].items()}
    return {**shares, "of other levels": counts.get("other", 0) / row["n"]}


def _level_change(variable: str, before: dict[str, float], now: dict[str, float]) -> str:
    shares = {name: (before.get(name, 0.0), now.get(name, 0.0)) for name in {**before, **now}}
    name, (old, new) = max(shares.items(), key=lambda item: abs(item[1][1] - item[1][0]))
    if math.isclose(old, new):
        return ""
    return f"share of rows with {variable} {name} {percent(old)} to {percent(new)}"


def _split(measure: str) -> tuple[str, str]:
    """Return the measure without its suffix, and the suffix: what was compared with."""
    match = _MEASURE.fullmatch(measure)
    return (match[1], match[2] or "") if match else (measure, "")


def _measured(row: Drift) -> str:
    measure = _split(row.measure)[0]
    if measure in _VALUELESS:
        return _VALUELESS[measure]
    if row.value is None:
        return f"{measure} unknown"
    share = measure == "null_share" or (measure == PERFORMANCE and row.variable == "rmse")
    show = percent if share else number
    value = show(abs(row.value))
    words = f"{_NAMES.get(measure, measure)} {number(row.value)}"
    if measure == "null_share":
        words = f"{value} {'more' if row.value > 0 else 'fewer'} of its rows missing"
    elif measure == PERFORMANCE:
        words = f"{'rose' if row.variable == 'rmse' else 'fell'} by {value}"
    return words if row.threshold is None else f"{words}, allowed {show(row.threshold)}"
