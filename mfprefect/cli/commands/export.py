"""`mfprefect export`."""

from __future__ import annotations

import click

from mfprefect.cli.app import common
from mfprefect.cli.options import output_option
from mfprefect.cli.output import Output

__all__ = ["export"]


@click.command()
@click.argument("session")
@output_option(required=True, metavar="NAME", help="The [exports.NAME] of the settings.")
@common
def export(out: Output, url: str | None, session: str, to: str) -> None:
    """Publish the scores of SESSION to a table of another application.

    Readers of the table see all of the session or none of it; exporting it again replaces it.
    SESSION is an id, `latest`, `production:MODEL` or `latest:MODEL`: the session whose scores are
    current.
    """
    import mfprefect
    from mfprefect.cli.lookup import resolve_scoring

    with mfprefect.connect(url) as store:
        name = resolve_scoring(store, session)["session_id"]
        with out.working(f"exporting the scores of {name}"):
            rows = store.export(name, to)
        table = store.database.settings.exports[to].table
    out.note(f"{rows} scores of {name} are in {table}")
    out.document({"session_id": name, "rows": rows, "to": to, "table": table})
