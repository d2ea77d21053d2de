"""Prediction errors of a numeric model, and the confusion matrix of a multiclass model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mfprefect.report import drawing
from mfprefect.report.blocks import Block, Cell, Column, Gallery, Key, Note, Section, Table
from mfprefect.report.drawing.charts import _frame, _line, _percents
from mfprefect.report.drawing.palette import stand_in
from mfprefect.report.formats import brief, percent, text

if TYPE_CHECKING:
    from mfprefect.report.content import SessionReport
    from mfprefect.report.drawing import Picture

__all__ = ["classes_section", "errors_section"]

MOST_CLASSES = 12
"""The most classes of a confusion matrix that fits the page."""
MOST_MISTAKES = 20
LEAST_GROUPS = 3
MOST_NAME = 60
MOST_HEADING = 18
"""The most characters of a class name above its column."""


def errors_section(report: SessionReport) -> Section | None:
    """Return actual by predicted values, and the error distribution, of a numeric model."""
    note = report.note("prediction_errors")
    if not {"groups", "errors"} <= note.keys():
        return None
    pictures = [_predicted(note["groups"]), _errors(note["errors"])]
    drawn = [picture for picture in pictures if picture is not None]
    return Section("Performance on the test rows", [Gallery(drawn)]) if drawn else None


def _predicted(groups: dict[str, Any]) -> Picture | None:
    columns = ("predicted", "actual", "low", "high", "rows")
    predicted, actual, low, high, rows = (np.asarray(groups[name], float) for name in columns)
    if len(rows) < LEAST_GROUPS:
        return None
    figure, ax = drawing.axes()
    ends = [min(predicted.min(), low.min()), max(predicted.max(), high.max())]
    ax.plot(predicted[[0, -1]], predicted[[0, -1]], color=stand_in("c"), linewidth=1)
    ax.vlines(predicted, low, high, color=stand_in("a"), lw=1)
    _line(ax, predicted, actual, "a", marker=True)
    _frame(ax, "mean prediction", "actual value")
    ax.set_ylim(ends[0] - 0.05 * (ends[1] - ends[0]), ends[1] + 0.05 * (ends[1] - ends[0]))
    worst = int(np.abs(actual - predicted).argmax())
    prediction, outcome = _short([predicted[worst], actual[worst]])
    return drawing.picture(
        figure,
        title="Actual values by prediction",
        description=f"Widest gap of {len(rows)} groups: the mean prediction is {prediction}, the "
        f"mean actual value {outcome}.",
        caption="Groups have about equal size; on the grey line, predictions equal actual values. "
        "Bars span 80 % of the actual values of a group.",
    )


def _errors(errors: dict[str, Any]) -> Picture | None:
    edges, counts = (np.asarray(errors[name], float) for name in ("edges", "counts"))
    if not len(edges):
        return None
    figure, ax = drawing.axes()
    share = counts / (counts.sum() or 1)
    ax.stairs(share, edges, fill=True, color=stand_in("a"), alpha=0.22, lw=0)
    ax.stairs(share, edges, color=stand_in("a"), lw=1.6)
    if edges[0] <= 0 <= edges[-1]:
        ax.axvline(0, color=stand_in("soft"), linewidth=1)
    _frame(ax, "predicted \u2212 actual", "share of rows")
    _percents(ax.yaxis)
    ax.set_ylim(bottom=0)
    ax.set_xlim(edges[0], edges[-1])
    at = dict(zip(errors["probabilities"], _short(errors["quantiles"]), strict=True))
    return drawing.picture(
        figure,
        title="Errors",
        description=f"Half of the errors lie between {at[0.25]} and {at[0.75]}, nine of ten "
        f"between {at[0.05]} and {at[0.95]}; the median is {at[0.5]}.",
        caption="Above 0, the prediction is too high. The outer 1 % on each side is cut off.",
    )


def _short(values: Sequence[float]) -> list[str]:
    """Format values for a sentence, rounded to three digits of the largest one."""
    most = max(map(abs, values))
    digits = 2 - math.floor(math.log10(most)) if most > 0 else 0
    return [brief(round(float(value), digits) + 0.0) for value in values]


def classes_section(report: SessionReport) -> Section | None:
    """Return the confusion matrix and the most frequent mistakes of a multiclass model."""
    note = report.note("confusion_matrix")
    if not {"classes", "actual_by_predicted"} <= note.keys():
        return None
    names = [text(name, MOST_NAME) for name in note["classes"]]
    counts = np.asarray(note["actual_by_predicted"], dtype=np.int64)
    if counts.shape != (len(names), len(names)) or not counts.sum():
        return None
    correct, total = int(np.trace(counts)), int(counts.sum())
    summary = f"{percent(correct / total)} of {total:,} test rows are predicted correctly."
    blocks: list[Block] = [Note(summary)]
    if len(names) <= MOST_CLASSES:
        blocks.append(_matrix(names, counts))
    blocks += _mistakes(names, counts)
    return Section("Performance on the test rows", blocks)


def _matrix(names: list[str], counts: Any) -> Table:
    totals = counts.sum(axis=1)
    rows: list[list[Cell]] = []
    for name, line, total in zip(names, counts.tolist(), totals.tolist(), strict=True):
        cells = [
            Key(f"{x:,}", percent(x / total) if total else "", x / total if total else 0.0)
            for x in line
        ]
        rows.append([name, *cells, f"{total:,}"])
    rows.append(["all", *(f"{x:,}" for x in counts.sum(axis=0).tolist()), f"{counts.sum():,}"])
    columns = [Column("actual"), *(Column(_heading(name), "number") for name in names)]
    caption = "Confusion matrix: actual classes in rows, predicted classes in columns"
    return Table([*columns, Column("all", "number")], rows, caption)


def _heading(name: str) -> str:
    """Shorten a long name in the middle, because classes often differ in the last characters."""
    half = MOST_HEADING // 2
    return name if len(name) <= MOST_HEADING else f"{name[:half]}\u2026{name[-half:]}"


def _mistakes(names: list[str], counts: Any) -> list[Block]:
    """Return the most frequent mistakes, unless the matrix is small enough to see them."""
    wrong = [
        (int(counts[i, j]), i, j)
        for i in range(len(names))
        for j in range(len(names))
        if i != j and counts[i, j]
    ]
    if len(names) <= 3 or not wrong:
        return []
    wrong.sort(key=lambda x: (-x[0], x[1], x[2]))
    totals = counts.sum(axis=1)
    rows: list[list[Cell]] = [
        [names[i], names[j], f"{count:,}", percent(count / totals[i])]
        for count, i, j in wrong[:MOST_MISTAKES]
    ]
    columns = [Column("actual"), Column("predicted"), Column("rows", "number")]
    columns.append(Column("share of actual", "number"))
    limit = f", {MOST_MISTAKES} of {len(wrong)}" if len(wrong) > MOST_MISTAKES else ""
    return [Table(columns, rows, f"Mistakes, most frequent first{limit}", folded=True)]
