"""`mfprefect threshold`."""

from __future__ import annotations

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

__all__ = ["threshold"]

COLUMNS = (
    Column("set_at", "set (UTC)", "time"),
    Column("value", "threshold", "number"),
    Column("kind", "kind"),
    Column("set_by", "by"),
)


@click.command()
@click.argument("model")
@click.argument("value", type=float)
@click.option(
    "--kind",
    type=click.Choice(["probability", "population"]),
    default="probability",
    show_default=True,
    help="The lowest score to act on, or the share of the population to act on.",
)
@common
def threshold(out: Output, url: str | None, model: str, value: float, kind: str) -> None:
    """Set the operating threshold of MODEL to VALUE, from 0 to 1; earlier ones are kept."""
    import mfprefect
    from mfprefect.cli.formats import records

    with mfprefect.connect(url) as store:
        store.set_threshold(model, value, kind)
        rows = records(store.thresholds(model))
    out.table(rows, COLUMNS)
    out.document(rows)
