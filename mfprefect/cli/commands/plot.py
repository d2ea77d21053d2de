"""`mfprefect plot`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mfprefect.cli.app import common
from mfprefect.cli.commands.experiments import where_option
from mfprefect.cli.options import output_option
from mfprefect.cli.output import Output
from mfprefect.cli.text_chart import MARKS, chart

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.store import Store

__all__ = ["plot"]

PARAMS, METRICS = "params.", "metrics."


class Series(NamedTuple):
    """Points of one session, or of all."""

    name: str
    points: list[tuple[float, float]]


class Plot(NamedTuple):
    """What to draw."""

    x: str
    """What the horizontal axis is."""
    y: str
    series: list[Series]
    lines: bool
    """Whether points are connected."""
    ticks: list[str]
    """Words for the whole numbers from 0 of the horizontal axis, if it has words."""


@click.command()
@click.argument("model")
@click.argument("metric")
@click.option("--by", metavar="PARAM", help="Draw the metric of each session over a parameter.")
@where_option()
@click.option("--parent", metavar="SESSION", help="Only the trials of this session.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="The newest sessions to draw; by default 8 curves, or 1,000 points.",
)
@output_option(
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE.png",
    help="Write a picture (PNG) instead, which needs mfprefect[report].",
)
@common
def plot(
    out: Output,
    url: str | None,
    model: str,
    metric: str,
    by: str | None,
    limit: int | None,
    to: Path | None,
    **options: Any,
) -> None:
    """Draw a METRIC of MODEL: its curves over steps, or its values over sessions or a parameter.

    Without --by, the newest sessions that logged the metric by step each get a curve; if none
    did, the metric is drawn over sessions, the oldest first.
    """
    import mfprefect

    metric = metric.removeprefix(METRICS)
    with mfprefect.connect(url) as store:
        what = _by(store, model, metric, by, limit, options)
        if by is None and (curves := _curves(store, model, metric, limit or len(MARKS), options)):
            what = Plot("step", metric, curves, True, [])
    if not any(series.points for series in what.series):
        out.note("no session has such values.")
    elif to is not None:
        _write(what, to, model)
        out.note(f"wrote {to}")
    else:
        _print(out, what)
    series = [{"name": s.name, "points": [list(p) for p in s.points]} for s in what.series]
    document = {"x": what.x, "y": what.y, "series": series, "ticks": what.ticks}
    out.document(document | {"file": None if to is None else str(to)})


def _by(
    store: Store, model: str, metric: str, by: str | None, limit: int | None, options: Any
) -> Plot:
    """Return one point a session: the metric over a parameter, or over sessions."""
    conditions = options | {"where": [*options["where"]]}
    frame = store.experiments(model, limit=limit or 1_000, **conditions)
    _require(store, model, f"{METRICS}{metric}", frame)
    frame = frame[frame.get(f"{METRICS}{metric}", frame["session_id"].isna()).notna()]
    frame = frame.iloc[::-1].reset_index(drop=True)
    values = frame[f"{METRICS}{metric}"].tolist() if len(frame) else []
    if by is None:
        points = [(float(place), value) for place, value in enumerate(values, 1)]
        return Plot("session", metric, [Series("", points)], False, [])
    name = f"{PARAMS}{by.removeprefix(PARAMS)}"
    _require(store, model, name, frame)
    cells = frame[name].tolist() if name in frame else []
    pairs = [
        (x, y) for x, y in zip(cells, values, strict=True) if x is not None and x == x and y == y
    ]
    if all(isinstance(x, (int, float)) and not isinstance(x, bool) for x, _ in pairs):
        points = [(float(x), y) for x, y in pairs]
        return Plot(name.removeprefix(PARAMS), metric, [Series("", points)], False, [])
    ticks = sorted({str(x) for x, _ in pairs})
    points = [(float(ticks.index(str(x))), y) for x, y in pairs]
    return Plot(name.removeprefix(PARAMS), metric, [Series("", points)], False, ticks)


def _require(store: Store, model: str, name: str, frame: pd.DataFrame) -> None:
    """Raise the error that names the choices, unless some session has the column."""
    if name not in frame:
        store.experiments(model, sort=name, limit=1)


def _curves(store: Store, model: str, metric: str, limit: int, options: Any) -> list[Series]:
    """Return the curves of the newest sessions that have one, the newest first."""
    frame = store.experiments(model, limit=max(100, limit), **options)
    if frame.empty:
        return []
    names = frame["session_id"].tolist()
    steps = store.metric_steps(*names)
    steps = steps[(steps["metric_name"] == metric) & (steps["segment"] == "")]
    curves = []
    for name, rows in steps.groupby("session_id"):
        points = [*zip(rows["step"].astype(float), rows["value"], strict=True)]
        curves.append(Series(str(name), points))
    curves.sort(key=lambda series: names.index(series.name))
    return curves[:limit]


def _print(out: Output, what: Plot) -> None:
    out.line(f"{what.y} over {what.x}")
    for line in chart([series.points for series in what.series]):
        out.line(line)
    for place, series in enumerate(what.series):
        if series.name:
            out.line(f"{MARKS[min(place, len(MARKS) - 1)]} {series.name}")
    for place, tick in enumerate(what.ticks):
        out.line(f"{place}: {tick}")


def _write(what: Plot, path: Path, model: str) -> None:
    """Write the chart as a PNG.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    from mfprefect.errors import ConfigurationError

    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise ConfigurationError(
            "a picture needs matplotlib: pip install 'mfprefect[report]'; without --output the "
            "chart is drawn in characters."
        ) from exc
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for series in what.series:
        x, y = zip(*series.points, strict=True)
        marker, line = ("", "-") if what.lines else ("o", "")
        axes.plot(x, y, label=series.name or None, marker=marker, linestyle=line)
    if what.ticks:
        axes.set_xticks(range(len(what.ticks)), what.ticks)
    axes.set(xlabel=what.x, ylabel=what.y, title=model)
    if any(series.name for series in what.series):
        axes.legend(fontsize="small")
    figure.savefig(path, format="png", dpi=150)
