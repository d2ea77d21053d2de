"""`mfprefect promote` and `mfprefect rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = ["promote", "rollback"]

COLUMNS = (
    Column("set_at", "since (UTC)", "time"),
    Column("until", "until (UTC)", "time", 2),
    Column("stage", "stage"),
    Column("session_id", "session"),
    Column("set_by", "by", drop=1),
    Column("reason", "reason"),
    Column("override", "override"),
    Column("rolled_back_from", "rolled back from"),
)
LATEST = "latest"


@click.command()
@click.argument("model")
@click.argument("session")
@click.option("--reason", help="The reason; it is recorded.")
@click.option(
    "--override", metavar="REASON", help="Promote although gates failed; the reason is recorded."
)
@common
def promote(
    out: Output, url: str | None, model: str, session: str, reason: str | None, override: str | None
) -> None:
    """Put a training SESSION of MODEL into production.

    SESSION is an id, or `latest` for the last successful training. It must have passed its gates.
    """
    import mfprefect

    with mfprefect.connect(url) as store:
        name = (store.latest_training(model) or session) if session == LATEST else session
        store.promote(model, name, reason=reason, override=override)
        _write(out, store, model)


@click.command()
@click.argument("model")
@click.option("--reason", help="The reason; it is recorded.")
@common
def rollback(out: Output, url: str | None, model: str, reason: str | None) -> None:
    """Put the previous session of MODEL back into production; each rollback goes one further."""
    import mfprefect

    with mfprefect.connect(url) as store:
        store.rollback(model, reason=reason)
        _write(out, store, model)


def _write(out: Output, store: Store, model: str) -> None:
    from mfprefect.cli.formats import records

    rows = records(store.stages(model))
    columns = [c for c in COLUMNS if any(row[c.key] is not None for row in rows)]
    out.table(rows, columns)
    out.document(rows)
