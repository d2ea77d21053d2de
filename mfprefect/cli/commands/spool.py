"""`mfprefect spool`: sessions that ended while their database was unavailable."""

from __future__ import annotations

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

__all__ = ["spool"]

WAITING = (
    Column("session_id", "session"),
    Column("attempt", "attempt", "number", drop=2),
    Column("state", "state"),
    Column("ended", "ended as"),
    Column("ended_at", "ended (UTC)", "time", drop=3),
    Column("bytes", "size", "bytes", drop=4),
    Column("where", "database", drop=1),
)
PUSHED = (
    Column("session_id", "session"),
    Column("verdict", "verdict"),
    Column("status", "ended as"),
    Column("reason", "reason"),
)
VERIFIED = (
    Column("session_id", "session"),
    Column("verdict", "verdict"),
    Column("problem", "problem"),
)


@click.group()
def spool() -> None:
    """List, deliver and verify sessions that ended while their database was unavailable."""


@spool.command("list")
@common
def list_(out: Output, url: str | None) -> None:
    """List the sessions that wait in the spool, for this database and for others."""
    import mfprefect
    from mfprefect.store.spool.listing import require_spool, waiting

    with mfprefect.connect(url) as store:
        spool = require_spool(store.database)
        rows = [dict(vars(info)) for _, info in waiting(store.database)]
    if rows:
        out.table([row | {"where": _where(row)} for row in rows], WAITING)
    else:
        out.note(f"no sessions wait in {spool.folder}")
    for path in spool.foreign():
        out.note(f"passed over {path}: mfprefect did not write it")
    out.document(rows)


def _where(row: dict[str, object]) -> str:
    return "this one" if row["here"] else f"{row['database']} ({row['fingerprint']})"


@spool.command()
@click.option(
    "--moved-from",
    metavar="FINGERPRINT",
    help="Also deliver sessions for this fingerprint: an earlier address of this database.",
)
@common
def push(out: Output, url: str | None, moved_from: str | None) -> None:
    """Deliver the waiting sessions to the database; safe to repeat.

    Exits with 1 if a session is refused and needs a person, or if the database is unavailable.
    """
    import mfprefect
    from mfprefect.cli.formats import records
    from mfprefect.spool.state import EntryState
    from mfprefect.store.spool.listing import require_spool

    with mfprefect.connect(url) as store:
        require_spool(store.database)
        rows = records(store.push_spool(moved_from=moved_from))
    if rows:
        out.table(rows, PUSHED)
    else:
        out.note("no sessions wait for this database")
    out.document(rows)
    if any(row["verdict"] in (EntryState.REFUSED, EntryState.WAITING) for row in rows):
        click.get_current_context().exit(1)


@spool.command()
@common
def verify(out: Output, url: str | None) -> None:
    """Read the waiting sessions and check their digests; change nothing.

    Exits with 1 if a session cannot be delivered.
    """
    import mfprefect
    from mfprefect.store.spool.listing import problem, waiting

    with mfprefect.connect(url) as store:
        rows = [
            {**vars(info), "problem": problem(store.database, entry)}
            for entry, info in waiting(store.database)
        ]
    for row in rows:
        row["verdict"] = "ok" if row["problem"] is None else "failed"
    if rows:
        out.table(rows, VERIFIED)
    else:
        out.note("no sessions wait in the spool")
    out.document(rows)
    if any(row["problem"] for row in rows):
        click.get_current_context().exit(1)
