"""The charts of a report: performance, score distributions, metrics over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.quality.metrics.calibration import calibration
from mfprefect.quality.metrics.curve import lift, roc
from mfprefect.report import drawing
from mfprefect.report.drawing.palette import stand_in
from mfprefect.report.formats import brief, day, percent

if TYPE_CHECKING:
    import datetime as dt

    import pandas as pd
    from matplotlib.axes import Axes

    from mfprefect.report.drawing import Picture

__all__ = [
    "backtest_chart",
    "bin_counts",
    "calibration_chart",
    "distribution_chart",
    "history_chart",
    "lift_chart",
    "roc_chart",
]

THIN, THICK = 1.4, 2.2
STYLES: Sequence[tuple[str, Any]] = (
    ("solid", "-"),
    ("dashed", (0, (4, 2))),
    ("dotted", (0, (1, 1.5))),
)
FIRST_SHARE = 0.005
"""Lift starts at this share of rows: the lift of the first few rows is noise."""
MOST_PERIODS = 400
THIS_SESSION = (("a", "solid", "this session"),)
BOTH_SESSIONS = (*THIS_SESSION, ("c", "dashed", "previous session"))


def roc_chart(curve: pd.DataFrame, before: pd.DataFrame | None, auc: float | None) -> Picture:
    """Draw the ROC curve, over that of the previous session."""
    figure, ax = drawing.axes()
    _diagonal(ax)
    if before is not None:
        other = roc(before)
        _line(ax, other["fpr"], other["tpr"], "c", dashed=True)
    points = roc(curve)
    _line(ax, points["fpr"], points["tpr"], "a")
    _shares(ax, "false positive rate", "true positive rate")
    sensitivity = float(np.interp(0.1, points["fpr"], points["tpr"]))
    area = "" if auc is None else f"The area under the curve is {brief(auc)}. "
    return drawing.picture(
        figure,
        title="ROC curve",
        description=f"{area}At a false positive rate of 10 %, {percent(sensitivity)} of the "
        "positives are predicted positive.",
        legend=THIS_SESSION if before is None else BOTH_SESSIONS,
    )


def lift_chart(
    curve: pd.DataFrame, before: pd.DataFrame | None, lift_10: float | None = None
) -> Picture:
    """Draw the lift by share of rows.

    Args:
        curve: the test curve.
        before: the test curve of the previous session.
        lift_10: the metric, which is exact; without it, the lift is interpolated from the curve.
    """
    figure, ax = drawing.axes()
    ax.axhline(1, color=stand_in("c"), linewidth=1)
    top = 1.0
    for frame, role in ((before, "c"), (curve, "a")):
        if frame is None:
            continue
        points = lift(frame)
        share = points["population_share"]
        visible = points[share >= min(FIRST_SHARE, share.max())]
        _line(ax, visible["population_share"], visible["lift"], role, dashed=role == "c")
        top = max(top, float(visible["lift"].max()))
    _frame(ax, "share of rows, highest scores first", "lift")
    _percents(ax.xaxis)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, top * 1.08)
    points = lift(curve)
    tenth = lift_10 or float(np.interp(0.1, points["population_share"], points["lift"]))
    return drawing.picture(
        figure,
        title="Lift",
        description=f"The 10 % of rows with the highest scores hold {brief(tenth)} times as many "
        "positives as a random 10 %.",
        legend=THIS_SESSION if before is None else BOTH_SESSIONS,
    )


def calibration_chart(curve: pd.DataFrame) -> Picture | None:
    """Draw observed over predicted rates; None if the scores are not probabilities."""
    bins = calibration(curve)
    if bins is None:
        return None
    figure, ax = drawing.axes()
    _diagonal(ax)
    ax.vlines(bins["predicted"], bins["lower"], bins["upper"], color=stand_in("a"), lw=1)
    _line(ax, bins["predicted"], bins["observed"], "a", marker=True)
    _shares(
        ax, "mean score", "share of positives", _upper(bins[["predicted", "upper"]].max().max())
    )
    gap = (bins["observed"] - bins["predicted"]).abs()
    worst = int(gap.to_numpy().argmax())
    return drawing.picture(
        figure,
        title="Calibration",
        description=f"Widest gap of {len(bins)} groups: the mean score is "
        f"{percent(bins['predicted'].iloc[worst])}, the share of positives "
        f"{percent(bins['observed'].iloc[worst])}.",
        caption="Groups have about equal size; bars are 95 % intervals (Wilson). On the diagonal, "
        "scores equal observed rates.",
    )


def distribution_chart(
    edges: Sequence[float], series: Sequence[tuple[str, str, Sequence[float]]], title: str
) -> Picture:
    """Draw histograms with shared finite edges as shares of rows; fill the first one.

    Args:
        edges: one more than there are bins.
        series: role, name and rows by bin of each histogram.
        title: the title of the chart.
    """
    figure, ax = drawing.axes()
    summaries, legend = [], []
    for number, (role, name, counts) in enumerate(series):
        total = float(np.sum(counts))
        share = np.asarray(counts, dtype=np.float64) / (total or 1)
        if number == 0:
            ax.stairs(share, edges, fill=True, color=stand_in(role), alpha=0.22, lw=0)
        style, dashes = STYLES[min(number, 2)]
        ax.stairs(share, edges, color=stand_in(role), lw=THIN if number else THICK, ls=dashes)
        legend.append((role, style, name))
        label = name.partition(" (")[0]
        summaries.append(f"{label}: {brief(total)} rows, half up to {_median(edges, counts)}")
    _frame(ax, "score", "share of rows")
    _percents(ax.yaxis)
    ax.set_ylim(bottom=0)
    ax.set_xlim(edges[0], edges[-1])
    return drawing.picture(
        figure,
        title=title,
        description=f"{summaries[0][:1].upper()}{'; '.join(summaries)[1:]}.",
        legend=tuple(legend),
    )


def bin_counts(curve: pd.DataFrame, column: str, edges: Any) -> Any:
    """Count a column of a stored curve between edges, lowest first.

    The last bin has no upper end. At an edge without a stored point, the next point above counts.
    """
    ordered = curve.sort_values("score")
    score = ordered["score"].to_numpy(dtype=np.float64)
    at_least = ordered[column].to_numpy(dtype=np.float64)
    position = np.searchsorted(score, edges[:-1], side="left")
    cumulative = np.r_[at_least, 0.0][position]
    return cumulative - np.r_[cumulative[1:], 0.0]


def history_chart(name: str, days: Sequence[dt.datetime], values: Sequence[float]) -> Picture:
    """Draw a metric over the last sessions, oldest first; the last point is the newest."""
    figure, ax = drawing.axes(1.9, bottom=0.35)
    x = np.arange(len(values))
    _line(ax, x, values, "a", marker=True)
    ax.plot(x[-1:], values[-1:], "o", color=stand_in("b"), markersize=7, clip_on=False)
    _frame(ax, "", "")
    form = "%H:%M" if day(days[0]) == day(days[-1]) else "%Y-%m-%d"
    _ends(ax, len(values), f"{days[0]:{form}}", f"{days[-1]:{form}}")
    _room(ax, np.asarray(values, dtype=np.float64))
    return drawing.picture(
        figure,
        title=name,
        description=f"{name} of the last {len(values)} sessions: from {brief(min(values))} to "
        f"{brief(max(values))}, now {brief(values[-1])}.",
    )


def backtest_chart(name: str, frame: pd.DataFrame) -> Picture:
    """Draw predicted and actual values by period."""
    rows = frame.tail(MOST_PERIODS)
    figure, ax = drawing.axes(2.8, bottom=0.35)
    x = np.arange(len(rows))
    _line(ax, x, rows["actual"], "c", marker=len(rows) <= 40)
    _line(ax, x, rows["predicted"], "a", dashed=True)
    _frame(ax, "", "")
    first, last = str(rows["period"].iloc[0]), str(rows["period"].iloc[-1])
    _ends(ax, len(rows), first, last)
    both = rows.dropna(subset=["predicted", "actual"])
    error = (both["predicted"] - both["actual"]).abs().mean()
    error_text = (
        f"The mean absolute error is {brief(error)}." if len(both) else "No actual value is known."
    )
    return drawing.picture(
        figure,
        title=name,
        description=f"Predicted and actual values of {len(rows)} periods, {first} to {last}. "
        f"{error_text}",
        legend=(("a", "dashed", "predicted"), ("c", "solid", "actual")),
        caption=f"The last {MOST_PERIODS} periods." if len(frame) > MOST_PERIODS else "",
    )


def _ends(ax: Axes, count: int, first: str, last: str) -> None:
    """Label the first and last point, if matplotlib's font has the characters."""
    ax.set_xticks([])
    if count < 2 or not all(
        x.isascii() and x.isprintable() and len(x) <= 20 for x in (first, last)
    ):
        return
    ax.set_xticks([0, count - 1], [first, last])
    left, right = ax.get_xticklabels()
    left.set_horizontalalignment("left")
    right.set_horizontalalignment("right")


def _line(
    ax: Axes, x: Any, y: Any, role: str, *, dashed: bool = False, marker: bool = False
) -> None:
    ax.plot(
        np.asarray(x, dtype=np.float64),
        np.asarray(y, dtype=np.float64),
        color=stand_in(role),
        linewidth=THIN if dashed else THICK,
        linestyle=(0, (4, 2)) if dashed else "-",
        marker="o" if marker else None,
        markersize=4,
        solid_joinstyle="round",
        solid_capstyle="round",
        clip_on=False,
    )


def _diagonal(ax: Axes) -> None:
    ax.plot([0, 1], [0, 1], color=stand_in("line"), linewidth=1)


def _shares(ax: Axes, across: str, up: str, top: float = 1.0) -> None:
    _frame(ax, across, up)
    for axis in (ax.xaxis, ax.yaxis):
        _percents(axis)
    ax.set_xlim(0, top)
    ax.set_ylim(0, top)


def _upper(share: float) -> float:
    """Return the end of an axis for shares up to this one: few positives would fill a corner."""
    return next((top for top in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if share <= top), 1.0)


def _percents(axis: Any) -> None:
    axis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")


def _frame(ax: Axes, across: str, up: str) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_xlabel(across)
    ax.set_ylabel(up)
    ax.grid(axis="y", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines["left"].set_visible(False)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(lambda value, _: _tick(value))


def _tick(value: float) -> str:
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2g}".replace("e+0", "e").replace("e-0", "e-").replace("-", "\u2212")
    return f"{value:,.4g}".replace("-", "\u2212")


def _room(ax: Axes, values: NDArray[np.float64]) -> None:
    """Leave room above and below: noise in a stable metric must not look like a fall."""
    low, high = float(values.min()), float(values.max())
    least = 0.02 * max(abs(low), abs(high)) or 1.0
    margin = max(0.15 * (high - low), (least - (high - low)) / 2)
    ax.set_ylim(low - margin, high + margin)


def _median(edges: Sequence[float], counts: Sequence[float]) -> str:
    total = np.cumsum(counts)
    if not len(total) or total[-1] == 0:
        return "nothing"
    position = int(np.searchsorted(total, total[-1] / 2))
    return brief(float(f"{edges[position + 1]:.3g}"))
