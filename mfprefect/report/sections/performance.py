"""Performance on test rows, variable importance and back-tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfprefect.quality.metrics.curve import confusion_matrix
from mfprefect.quality.predictions import DECISION
from mfprefect.report.blocks import Cell, Column, Gallery, Key, Note, Section, Table
from mfprefect.report.content import overall
from mfprefect.report.drawing import sparklines
from mfprefect.report.drawing.charts import (
    backtest_chart,
    bin_counts,
    calibration_chart,
    distribution_chart,
    lift_chart,
    roc_chart,
)
from mfprefect.report.formats import brief, day, number, percent, present

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.report.content import Row, SessionReport
    from mfprefect.report.drawing import Picture

__all__ = ["backtest_section", "confusion_section", "importance_section", "performance_section"]

MOST_VARIABLES = 20
MOST_SERIES = 6
BINS = 20
NO_THRESHOLD = {"value": 0.5, "kind": "probability"}


def performance_section(report: SessionReport) -> Section | None:
    """Return ROC, lift, calibration and score distributions, from the test curve."""
    curve = report.curve
    if curve is None or curve.empty:
        return None
    before = report.previous.curve if report.previous else None
    if before is not None and before.empty:
        before = None
    figures = overall(report.metrics)
    pictures = [
        roc_chart(curve, before, figures.get("auc")),
        lift_chart(curve, before, figures.get("lift_10")),
        None if report.score_source == DECISION else calibration_chart(curve),
        _classes(curve),
    ]
    return Section(
        "Performance on the test rows", [Gallery([x for x in pictures if x is not None])]
    )


def _classes(curve: pd.DataFrame) -> Picture | None:
    low, high = float(curve["score"].min()), float(curve["score"].max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    if not low < high:
        return None
    edges = np.linspace(low, high, BINS + 1)
    positives, rows = bin_counts(curve, "tp", edges), bin_counts(curve, "population", edges)
    series = (("b", "positives", positives), ("a", "negatives", rows - positives))
    return distribution_chart(
        edges.tolist(), [(x, y, z.tolist()) for x, y, z in series], "Scores of both classes"
    )


def confusion_section(report: SessionReport) -> Section | None:
    """Return the confusion matrix and rates at the operating threshold."""
    curve = report.curve
    if curve is None or curve.empty:
        return None
    threshold: Row = report.threshold or NO_THRESHOLD
    value, kind = float(threshold["value"]), str(threshold["kind"])
    probabilities = report.score_source != DECISION and curve["score"].between(0, 1).all()
    if not report.threshold and not probabilities:
        return None
    if kind == "population" and value == 0:
        return None
    matrix = confusion_matrix(curve, value, kind)
    tp, fp, tn, fn = (int(matrix[name]) for name in ("tp", "fp", "tn", "fn"))
    return Section(
        "At the operating threshold",
        [
            Note(_threshold_note(report.threshold, value, kind)),
            _matrix(tp, fp, tn, fn),
            _rates(tp, fp, tn, fn),
        ],
    )


def _matrix(tp: int, fp: int, tn: int, fn: int) -> Table:
    total = tp + fp + tn + fn

    def cell(count: int) -> Key:
        return Key(f"{count:,}", percent(count / total), count / total)

    rows: list[list[Cell]] = [
        ["actually positive", cell(tp), cell(fn), f"{tp + fn:,}"],
        ["actually negative", cell(fp), cell(tn), f"{fp + tn:,}"],
        ["all", f"{tp + fp:,}", f"{fn + tn:,}", f"{total:,}"],
    ]
    titles = ("predicted positive", "predicted negative", "all")
    columns = [Column(""), *(Column(title, "number") for title in titles)]
    return Table(columns, rows, "Confusion matrix of the test rows")


def _rates(tp: int, fp: int, tn: int, fn: int) -> Table:
    rates = [
        ("accuracy", _share(tp + tn, tp + fp + tn + fn), "of all rows are predicted correctly"),
        ("precision", _share(tp, tp + fp), "of rows predicted positive are positive"),
        ("recall", _share(tp, tp + fn), "of positives are predicted positive"),
        ("specificity", _share(tn, tn + fp), "of negatives are predicted negative"),
    ]
    columns = [Column("rate"), Column("value", "number"), Column("meaning")]
    return Table(columns, [[name, percent(x), meaning] for name, x, meaning in rates], "Rates")


def _share(part: int, total: int) -> float | None:
    return part / total if total else None


def _threshold_note(threshold: Row | None, value: float, kind: str) -> str:
    rows = (
        f"the top {brief(100 * value)} % of rows"
        if kind == "population"
        else f"scores of at least {brief(value)}"
    )
    if threshold is None:
        return (
            f"Predicted positive: {rows}. No operating threshold is set; `mfprefect threshold` "
            "sets one."
        )
    setting = f"set by {threshold['set_by']} on {day(threshold['set_at'])}"
    return f"Predicted positive: {rows}, {setting}."


def importance_section(importance: pd.DataFrame) -> Section | None:
    """Return the most important variables by each kind of importance, with bars."""
    if importance.empty:
        return None
    tables = []
    for kind, group in importance.groupby("kind", sort=False):
        ranked = group.sort_values("importance", ascending=False, kind="stable")
        tables.append(_importances(str(kind), ranked.head(MOST_VARIABLES), len(ranked)))
    return Section("Variable importance", tables)


def _importances(kind: str, rows: pd.DataFrame, count: int) -> Table:
    most = float((rows["importance"].fillna(0) + rows["std"].fillna(0)).max())
    bars = sparklines.draw(
        [
            sparklines.bar(
                f"{brief(row['importance'])} of at most {brief(most)}",
                float(row["importance"]) if present(row["importance"]) else 0.0,
                most,
                float(row["std"]) if present(row["std"]) else None,
            )
            for row in rows.to_dict("records")
        ]
    )
    extra = [name for name in ("std", "coefficient") if rows[name].notna().any()]
    columns = [Column("variable"), Column("importance", "number"), Column("", "picture")]
    columns += [Column({"std": "\u00b1 sd"}.get(name, name), "number") for name in extra]
    cells: list[list[Cell]] = [
        [str(row["variable"]), number(row["importance"]), picture, *(number(row[x]) for x in extra)]
        for row, picture in zip(rows.to_dict("records"), bars, strict=True)
    ]
    limit = f": the top {len(rows)} of {count} variables" if count > len(rows) else ""
    return Table(columns, cells, f"By {kind}{limit}")


def backtest_section(backtests: pd.DataFrame) -> Section | None:
    """Return predicted and actual values by period, a chart for each series."""
    if backtests.empty:
        return None
    pictures = []
    groups = list(backtests.groupby("series", sort=False))
    for name, rows in groups[:MOST_SERIES]:
        title = "Predicted and actual" if str(name) == "all" else str(name)
        pictures.append(backtest_chart(title, rows))
    omitted = len(groups) - MOST_SERIES
    notes = [Note(f"Not shown: {omitted} more series.")] if omitted > 0 else []
    return Section("Back-tests", [Gallery(pictures), *notes])
