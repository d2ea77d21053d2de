"""How a model of numbers misses on test rows, and which classes one of several takes for others."""

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
"""The most classes whose matrix a page has room for."""
MOST_MISTAKES = 20
LEAST_GROUPS = 3
MOST_NAME = 60
MOST_HEADING = 18
"""Characters of a class above its column."""


def errors_section(facts: SessionReport) -> Section | None:
    """Return actual values by predicted ones and the errors, of a model that predicts numbers."""
    note = facts.note("prediction_errors")
    if not {"groups", "errors"} <= note.keys():
        return None
    pictures = [_predicted(note["groups"]), _errors(note["errors"])]
    shown = [picture for picture in pictures if picture is not None]
    return Section("Performance on the test rows", [Gallery(shown)]) if shown else None


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
    said, happened = _short([predicted[worst], actual[worst]])
    return drawing.picture(
        figure,
        title="Actual values by prediction",
        description=f"Where {said} is predicted, {happened} is the mean of what happened: the "
        f"widest gap of {len(rows)} groups of rows.",
        caption="Groups of about as many rows each; on the grey line, what is predicted is what "
        "happens. Four of five actual values of a group lie along its bar.",
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
        caption="Above 0, too much was predicted. The largest and smallest hundredth are cut.",
    )


def _short(values: Sequence[float]) -> list[str]:
    """Return values with the digits that a sentence needs: three of the largest."""
    most = max(map(abs, values))
    digits = 2 - math.floor(math.log10(most)) if most > 0 else 0
    return [brief(round(float(value), digits) + 0.0) for value in values]


def classes_section(facts: SessionReport) -> Section | None:
    """Return which classes were taken for which, of a model of several classes."""
    note = facts.note("confusion_matrix")
    if not {"classes", "actual_by_predicted"} <= note.keys():
        return None
    names = [text(name, MOST_NAME) for name in note["classes"]]
    counts = np.asarray(note["actual_by_predicted"], dtype=np.int64)
    if counts.shape != (len(names), len(names)) or not counts.sum():
        return None
    right = int(np.trace(counts))
    summary = f"{percent(right / counts.sum())} of {counts.sum():,} test rows are taken for what"
    blocks: list[Block] = [Note(f"{summary} they are.")]
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
    columns = [Column("really"), *(Column(_heading(name), "number") for name in names)]
    caption = "Confusion matrix: a row for each class, by what its test rows were taken for"
    return Table([*columns, Column("all", "number")], rows, caption)


def _heading(name: str) -> str:
    """Return both ends of a long name: classes often differ in the last characters."""
    half = MOST_HEADING // 2
    return name if len(name) <= MOST_HEADING else f"{name[:half]}\u2026{name[-half:]}"


def _mistakes(names: list[str], counts: Any) -> list[Block]:
    """Return the mistakes that are made most, unless the matrix is small enough to see them."""
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
    columns = [Column("really"), Column("taken for"), Column("rows", "number")]
    columns.append(Column("of that class", "number"))
    left = f", {MOST_MISTAKES} of {len(wrong)}" if len(wrong) > MOST_MISTAKES else ""
    return [Table(columns, rows, f"Mistakes, the most frequent first{left}", folded=True)]
