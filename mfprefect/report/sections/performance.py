"""How good a model is on test rows, which variables matter to it, and its back-tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfprefect.quality.metrics.curve import confusion_matrix
from mfprefect.report.blocks import Cell, Column, Gallery, Key, Note, Section, Table
from mfprefect.report.drawing import sparklines
from mfprefect.report.drawing.charts import (
    above,
    backtest_chart,
    calibration_chart,
    distribution_chart,
    lift_chart,
    roc_chart,
)
from mfprefect.report.formats import brief, day, number, percent, present
from mfprefect.report.sections.metrics import whole

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.report.content import Row, SessionReport
    from mfprefect.report.drawing import Picture

__all__ = ["backtest_section", "confusion_section", "importance_section", "performance_section"]

MOST_VARIABLES = 20
MOST_SERIES = 6
BINS = 20
NO_THRESHOLD = {"value": 0.5, "kind": "probability"}


def performance_section(facts: SessionReport) -> Section | None:
    """Return ROC, lift, calibration and the scores of both classes, from the test curve."""
    curve = facts.curve
    if curve is None or curve.empty:
        return None
    before = facts.previous.curve if facts.previous else None
    if before is not None and before.empty:
        before = None
    figures = whole(facts.metrics)
    pictures = [
        roc_chart(curve, before, figures.get("auc")),
        lift_chart(curve, before, figures.get("lift_10")),
        calibration_chart(curve),
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
    positives, rows = above(curve, "tp", edges), above(curve, "population", edges)
    series = (("b", "positives", positives), ("a", "negatives", rows - positives))
    return distribution_chart(
        edges.tolist(), [(x, y, z.tolist()) for x, y, z in series], "Scores of both classes"
    )


def confusion_section(facts: SessionReport) -> Section | None:
    """Return what becomes of the test rows at the operating threshold."""
    curve = facts.curve
    if curve is None or curve.empty:
        return None
    threshold: Row = facts.threshold or NO_THRESHOLD
    value, kind = float(threshold["value"]), str(threshold["kind"])
    if not facts.threshold and not curve["score"].between(0, 1).all():
        return None
    if kind == "population" and value == 0:
        return None
    cells = confusion_matrix(curve, value, kind)
    tp, fp, tn, fn = (int(cells[name]) for name in ("tp", "fp", "tn", "fn"))
    total = tp + fp + tn + fn

    def cell(count: int) -> Key:
        return Key(f"{count:,}", percent(count / total), count / total)

    rows: list[list[Cell]] = [
        ["really positive", cell(tp), cell(fn), f"{tp + fn:,}"],
        ["really negative", cell(fp), cell(tn), f"{fp + tn:,}"],
        ["all", f"{tp + fp:,}", f"{fn + tn:,}", f"{total:,}"],
    ]
    columns = [
        Column(""),
        *(Column(x, "number") for x in ("taken for positive", "taken for negative", "all")),
    ]
    shares = [
        ("accuracy", (tp + tn) / total, "of all rows are taken for what they are"),
        ("precision", _share(tp, tp + fp), "of those taken for positive are positive"),
        ("recall", _share(tp, tp + fn), "of the positives are found"),
        ("specificity", _share(tn, tn + fp), "of the negatives are left alone"),
    ]
    rates = [[name, percent(share), words] for name, share, words in shares]
    return Section(
        "At the operating threshold",
        [
            Note(_told(facts.threshold, value, kind)),
            Table(columns, rows, "Confusion matrix of the test rows"),
            Table([Column("rate"), Column("value", "number"), Column("what")], rates, "Rates"),
        ],
    )


def _share(part: int, of: int) -> float | None:
    return part / of if of else None


def _told(threshold: Row | None, value: float, kind: str) -> str:
    what = (
        f"the top {brief(100 * value)} % of rows"
        if kind == "population"
        else f"scores of {brief(value)} and more"
    )
    if threshold is None:
        return f"Positive: {what}. No operating threshold is set; `mfprefect threshold` sets one."
    return f"Positive: {what}, as {threshold['set_by']} set on {day(threshold['set_at'])}."


def importance_section(importance: pd.DataFrame) -> Section | None:
    """Return the most important variables of each kind of importance, with bars."""
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
    rows_shown: list[list[Cell]] = [
        [str(row["variable"]), number(row["importance"]), picture, *(number(row[x]) for x in extra)]
        for row, picture in zip(rows.to_dict("records"), bars, strict=True)
    ]
    top = f": the top {len(rows)} of {count} variables" if count > len(rows) else ""
    return Table(columns, rows_shown, f"By {kind}{top}")


def backtest_section(backtests: pd.DataFrame) -> Section | None:
    """Return predicted and actual values by period, a chart for each series."""
    if backtests.empty:
        return None
    pictures = []
    groups = list(backtests.groupby("series", sort=False))
    for name, rows in groups[:MOST_SERIES]:
        title = "Predicted and actual" if str(name) == "all" else str(name)
        pictures.append(backtest_chart(title, rows))
    left = len(groups) - MOST_SERIES
    notes = [Note(f"{left} more series are not shown.")] if left > 0 else []
    return Section("Back-tests", [Gallery(pictures), *notes])
