"""`mfprefect reconcile`."""

from __future__ import annotations

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

__all__ = ["reconcile"]

COLUMNS = (
    Column("session_id", "session"),
    Column("verdict", "verdict"),
    Column("evidence", "evidence"),
)


@click.command()
@click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Wait until it is certain whether a silent process is gone.",
)
@common
def reconcile(out: Output, url: str | None, wait: bool) -> None:
    """End the sessions whose process is gone; leave running ones alone."""
    import mfprefect
    from mfprefect.cli.formats import records

    with mfprefect.connect(url) as store, out.working("looking for sessions without a process"):
        rows = records(store.reconcile(wait=wait))
    if rows:
        out.table(rows, COLUMNS)
    else:
        out.note("none: every running session has a recent heartbeat.")
    out.document(rows)
