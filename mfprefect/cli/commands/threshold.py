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
@click.argument("value", type=float, required=False)
@click.option(
    "--kind",
    type=click.Choice(["probability", "population"]),
    default="probability",
    show_default=True,
    help="The lowest score to act on, or the share of the population to act on.",
)
@common
def threshold(out: Output, url: str | None, model: str, value: float | None, kind: str) -> None:
    """Set the operating threshold of MODEL to VALUE, from 0 to 1; without VALUE, list them.

    Earlier ones stay on record.
    """
    import mfprefect
    from mfprefect.cli.formats import records
    from mfprefect.cli.lookup import require_known_model

    with mfprefect.connect(url) as store:
        if value is not None:
            store.set_threshold(model, value, kind)
        rows = records(store.thresholds(model))
        if not rows:
            require_known_model(store, model)
    if rows:
        out.table(rows, COLUMNS)
    else:
        out.note(f"model {model} has no operating threshold yet.")
    out.document(rows)
