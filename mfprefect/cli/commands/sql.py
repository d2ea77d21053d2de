"""`mfprefect sql`."""

from __future__ import annotations

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Output

__all__ = ["sql"]

DIALECTS = ("postgresql", "mysql", "mariadb", "sqlite", "teradata")


@click.command()
@click.argument("session")
@click.option(
    "--dialect", type=click.Choice(DIALECTS), help="Whose SQL; by default that of the database."
)
@click.option(
    "--table",
    metavar="NAME",
    default="model_rows",
    show_default=True,
    help="The table or view with the id and the features of each row.",
)
@click.option("--view", metavar="NAME", help="Print a CREATE VIEW of this name.")
@common
def sql(
    out: Output, url: str | None, session: str, dialect: str | None, table: str, view: str | None
) -> None:
    """Print the SELECT that scores rows with the model of SESSION, for a DBA or an analyst.

    It runs without mfprefect. SESSION is a training session: an id, `latest`, `latest:MODEL` or
    `production:MODEL`.
    """
    import mfprefect
    from mfprefect.cli.lookup import resolve_session

    with mfprefect.connect(url) as store:
        session_id = str(resolve_session(store, session)["session_id"])
        text = store.scoring_sql(session_id, dialect, table=table, view=view)
    for line in text.split("\n"):
        out.line(line)
    out.document({"session_id": session_id, "dialect": dialect, "sql": text})
