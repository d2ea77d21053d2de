"""`mfprefect experiments`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.options import since_option
from mfprefect.cli.output import Column, Output

__all__ = ["experiments", "where_option"]

FIRST = (Column("session_id", "session"), Column("purpose", "purpose", drop=2))
PARAMS, METRICS = "params.", "metrics."
MOST_METRICS = 4
"""Metrics in the table if none is named; --json has all."""


def where_option() -> Callable[[Any], Any]:
    """Return the option for conditions, spelled the same in each command."""
    return click.option(
        "--where",
        multiple=True,
        metavar="CONDITION",
        help="Only sessions like depth=6, kind=linear or auc>0.8; repeat it for more conditions.",
    )


@click.command()
@click.argument("model")
@click.option("--sort", metavar="NAME|-NAME", help="A metric or parameter; -auc: highest first.")
@where_option()
@click.option("--parent", metavar="SESSION", help="Only the trials of this session.")
@click.option("--metric", "names", multiple=True, metavar="NAME", help="Metrics to show.")
@click.option("--all", "everything", is_flag=True, help="Parameters that do not differ, too.")
@since_option("sessions started")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many sessions to list.",
)
@common
def experiments(
    out: Output,
    url: str | None,
    model: str,
    names: tuple[str, ...],
    everything: bool,
    limit: int,
    **options: Any,
) -> None:
    """Compare trainings and trials of MODEL: parameters beside metrics.

    Shows the parameters that differ, and the metrics named by --metric and --sort. A name that is
    a parameter and a metric is written params.NAME or metrics.NAME.
    """
    import mfprefect
    from mfprefect.cli.formats import records

    with mfprefect.connect(url) as store:
        frame = store.experiments(model, limit=limit + 1, **options)
    rows = records(frame.head(limit))
    if not rows:
        narrowed = options["where"] or options["parent"] or options["since"]
        out.note("no such sessions." if narrowed else "no trainings and no trials yet.")
    else:
        out.table(rows, _columns(rows, names, options["sort"], everything))
    if len(frame) > limit:
        out.note(f"the first {limit}; --limit shows more.")
    out.document(rows)


def _columns(
    rows: Sequence[dict[str, Any]], names: Sequence[str], sort: str | None, everything: bool
) -> list[Column]:
    params = [key for key in rows[0] if key.startswith(PARAMS)]
    if not everything:
        params = [key for key in params if len({repr(row[key]) for row in rows}) > 1]
    metrics = [key for key in rows[0] if key.startswith(METRICS)]
    wanted = {f"{METRICS}{name.removeprefix(METRICS)}" for name in names}
    first = f"{METRICS}{(sort or '').removeprefix('-').removeprefix(METRICS)}"
    metrics = [key for key in metrics if key == first] + [key for key in metrics if key != first]
    if wanted:
        metrics = [key for key in metrics if key in wanted or key == first]
    else:
        metrics = metrics[:MOST_METRICS]
    columns = [Column(key, key.removeprefix(METRICS), "number") for key in metrics]
    shown = [
        Column(key, key.removeprefix(PARAMS), _kind(rows, key), drop=3 + place)
        for place, key in enumerate(params)
    ]
    return [FIRST[0], *columns, *shown, FIRST[1]]


def _kind(rows: Sequence[dict[str, Any]], key: str) -> str:
    cells = [row[key] for row in rows if row[key] is not None]
    numbers = all(isinstance(c, (int, float)) and not isinstance(c, bool) for c in cells)
    return "number" if cells and numbers else "text"
