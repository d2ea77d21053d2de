"""The charts of a report: how good a model is, how scores lie, how figures moved."""

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
    "above",
    "backtest_chart",
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
"""The share of rows from which on lift is drawn: that of the first few is noise."""
MOST_PERIODS = 400
OWN = (("a", "solid", "this session"),)
BOTH = (*OWN, ("c", "dashed", "the session before"))


def roc_chart(curve: pd.DataFrame, before: pd.DataFrame | None, auc: float | None) -> Picture:
    """Draw the ROC curve, over that of the session before."""
    figure, ax = drawing.axes()
    _diagonal(ax)
    if before is not None:
        other = roc(before)
        _line(ax, other["fpr"], other["tpr"], "c", dashed=True)
    points = roc(curve)
    _line(ax, points["fpr"], points["tpr"], "a")
    _shares(ax, "false positive rate", "true positive rate")
    sensitivity = float(np.interp(0.1, points["fpr"], points["tpr"]))
    area = "" if auc is None else f"The area under it is {brief(auc)}. "
    return drawing.picture(
        figure,
        title="ROC curve",
        description=f"{area}Where 10 % of the negatives are taken for positives, "
        f"{percent(sensitivity)} of the positives are found.",
        legend=OWN if before is None else BOTH,
    )


def lift_chart(
    curve: pd.DataFrame, before: pd.DataFrame | None, lift_10: float | None = None
) -> Picture:
    """Draw how much richer in positives the top of the ranking is.

    Args:
        curve: the test curve.
        before: that of the session before.
        lift_10: the metric, where it is known: the curve's may be interpolated.
    """
    figure, ax = drawing.axes()
    ax.axhline(1, color=stand_in("c"), linewidth=1)
    top = 1.0
    for frame, role in ((before, "c"), (curve, "a")):
        if frame is None:
            continue
        points_b = lift(frame)
        shown = points_b[
            points_b["population_share"] >= min(FIRST_SHARE, points_b["population_share"].max())
        ]
        _line(ax, shown["population_share"], shown["lift"], role, dashed=role == "c")
        top = max(top, float(shown["lift"].max()))
    _frame(ax, "share of rows, highest scores first", "lift")
    _percents(ax.xaxis)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, top * 1.08)
    points_a = lift(curve)
    tenth = lift_10 or float(np.interp(0.1, points_a["population_share"], points_a["lift"]))
    return drawing.picture(
        figure,
        title="Lift",
        description=f"The 10 % of rows with the highest scores hold {brief(tenth)} times as many "
        "positives as 10 % of rows taken at random.",
        legend=OWN if before is None else BOTH,
    )


def calibration_chart(curve: pd.DataFrame) -> Picture | None:
    """Draw observed rates over predicted ones; None where the scores are no probabilities."""
    bins = calibration(curve)
    if bins is None:
        return None
    figure, ax = drawing.axes()
    _diagonal(ax)
    ax.vlines(bins["predicted"], bins["lower"], bins["upper"], color=stand_in("a"), lw=1)
    _line(ax, bins["predicted"], bins["observed"], "a", marker=True)
    _shares(ax, "mean score", "share of positives")
    gap = (bins["observed"] - bins["predicted"]).abs()
    worst = int(gap.to_numpy().argmax())
    return drawing.picture(
        figure,
        title="Calibration",
        description=f"Of the rows with a mean score of {percent(bins['predicted'].iloc[worst])}, "
        f"{percent(bins['observed'].iloc[worst])} are positive: the widest gap of "
        f"{len(bins)} groups of rows.",
        caption="Groups of about as many rows each; bars are 95 % intervals (Wilson). On the "
        "diagonal, scores are what happens.",
    )


def distribution_chart(
    edges: Sequence[float], series: Sequence[tuple[str, str, Sequence[float]]], title: str
) -> Picture:
    """Draw histograms over the same finite edges as shares; the first is filled.

    Args:
        edges: one more than there are bins.
        series: role, name and rows by bin of each.
        title: what is shown.
    """
    figure, ax = drawing.axes()
    words, legend = [], []
    for place, (role, name, counts) in enumerate(series):
        total = float(np.sum(counts))
        share = np.asarray(counts, dtype=np.float64) / (total or 1)
        if place == 0:
            ax.stairs(share, edges, fill=True, color=stand_in(role), alpha=0.22, lw=0)
        style, dashes = STYLES[min(place, 2)]
        ax.stairs(share, edges, color=stand_in(role), lw=THIN if place else THICK, ls=dashes)
        legend.append((role, style, name))
        what = name.partition(" (")[0]
        words.append(f"{what}: {brief(total)} rows, half of them up to {_middle(edges, counts)}")
    _frame(ax, "score", "share of rows")
    _percents(ax.yaxis)
    ax.set_ylim(bottom=0)
    ax.set_xlim(edges[0], edges[-1])
    return drawing.picture(
        figure,
        title=title,
        description=f"{words[0][:1].upper()}{'; '.join(words)[1:]}.",
        legend=tuple(legend),
    )


def above(curve: pd.DataFrame, column: str, edges: Any) -> Any:
    """Return what a column of a stored curve counts between each two edges, lowest first.

    The last bin takes all that is above. Where the curve lacks a point, the next one answers.
    """
    ordered = curve.sort_values("score")
    score = ordered["score"].to_numpy(dtype=np.float64)
    least = ordered[column].to_numpy(dtype=np.float64)
    # Rows with at least a score: those of the next stored score above it.
    place = np.searchsorted(score, edges[:-1], side="left")
    reached = np.r_[least, 0.0][place]
    return reached - np.r_[reached[1:], 0.0]


def history_chart(name: str, days: Sequence[dt.datetime], values: Sequence[float]) -> Picture:
    """Draw a metric over the last sessions, oldest first; the last point is the newest."""
    figure, ax = drawing.axes(1.9, bottom=0.35)
    places = np.arange(len(values))
    _line(ax, places, values, "a", marker=True)
    ax.plot(places[-1:], values[-1:], "o", color=stand_in("b"), markersize=7, clip_on=False)
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
    """Draw predictions and what happened, by period, in the order of the periods."""
    shown = frame.tail(MOST_PERIODS)
    figure, ax = drawing.axes(2.8, bottom=0.35)
    places = np.arange(len(shown))
    _line(ax, places, shown["actual"], "c", marker=len(shown) <= 40)
    _line(ax, places, shown["predicted"], "a", dashed=True)
    _frame(ax, "", "")
    first, last = (str(shown["period"].iloc[place]) for place in (0, -1))
    _ends(ax, len(shown), first, last)
    both = shown.dropna(subset=["predicted", "actual"])
    error = (both["predicted"] - both["actual"]).abs().mean()
    error_text = (
        f"The mean absolute error is {brief(error)}." if len(both) else "No actual is known."
    )
    return drawing.picture(
        figure,
        title=name,
        description=f"Predicted and actual values of {len(shown)} periods, {first} to {last}. "
        f"{error_text}",
        legend=(("a", "dashed", "predicted"), ("c", "solid", "actual")),
        caption=f"The last {MOST_PERIODS} periods." if len(frame) > MOST_PERIODS else "",
    )


def _ends(ax: Axes, count: int, first: str, last: str) -> None:
    """Name the first and the last place, where matplotlib's font has the characters."""
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


def _shares(ax: Axes, across: str, up: str) -> None:
    _frame(ax, across, up)
    for axis in (ax.xaxis, ax.yaxis):
        _percents(axis)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)


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
    """Leave room above and below, also where nothing moves: noise must not look like a fall."""
    low, high = float(values.min()), float(values.max())
    least = 0.02 * max(abs(low), abs(high)) or 1.0
    margin = max(0.15 * (high - low), (least - (high - low)) / 2)
    ax.set_ylim(low - margin, high + margin)


def _middle(edges: Sequence[float], counts: Sequence[float]) -> str:
    total = np.cumsum(counts)
    if not len(total) or total[-1] == 0:
        return "nothing"
    place = int(np.searchsorted(total, total[-1] / 2))
    return brief(float(f"{edges[place + 1]:.3g}"))
