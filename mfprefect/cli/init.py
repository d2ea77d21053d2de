"""`mfprefect init`."""

from __future__ import annotations

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Output

__all__ = ["init"]


@click.command()
@common
def init(out: Output, url: str | None) -> None:
    """Create the schema in the database, or upgrade it; harmless when repeated."""
    import mfprefect
    from mfprefect.store import migrate

    with mfprefect.connect(url) as store:
        place = store.database.place
        out.note(f"database: {place}")
        before = migrate.found_revision(store.database)
        store.create_schema()
        after = migrate.found_revision(store.database)
    done = "created" if before is None else "upgraded" if before != after else "already current"
    out.line(f"schema {after}: {done}")
    out.document({"database": place, "schema": after, "before": before, "done": done})
