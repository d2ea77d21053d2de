"""`mfprefect init`."""

from __future__ import annotations

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Output

__all__ = ["init"]


@click.command()
@click.option(
    "--sql", "as_sql", is_flag=True, help="Print the DDL for a DBA to run, without connecting."
)
@common
def init(out: Output, url: str | None, as_sql: bool) -> None:
    """Create or upgrade the schema in the database; safe to repeat."""
    import mfprefect
    from mfprefect.store.database import migrate

    if as_sql:
        _print(out, url)
        return
    with mfprefect.connect(url) as store:
        place = store.database.place
        out.note(f"database: {place}")
        before = migrate.found_revision(store.database)
        store.create_schema()
        after = migrate.found_revision(store.database)
    done = "created" if before is None else "upgraded" if before != after else "already current"
    out.line(f"schema {after}: {done}")
    out.document({"database": place, "schema": after, "before": before, "done": done})


def _print(out: Output, url: str | None) -> None:
    from mfprefect.backend import backend_for
    from mfprefect.settings import load_settings
    from mfprefect.store.database.migrate import expected_revision
    from mfprefect.store.database.schema_script import schema_script

    text = schema_script(backend_for(load_settings(url=url)))
    for line in text.splitlines():
        out.line(line)
    out.document({"schema": expected_revision(), "sql": text})
