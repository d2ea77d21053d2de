"""`mfprefect grants`."""

from __future__ import annotations

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Output

__all__ = ["grants"]

ROLES = ("writer", "reader", "auditor", "admin")


@click.command()
@click.option(
    "--role",
    required=True,
    type=click.Choice(ROLES),
    help="writer: runs models; reader: reads the views; auditor: reads everything; admin: owns the "
    "tables.",
)
@click.option("--user", metavar="NAME", help="The database user; by default mfprefect_<role>.")
@common
def grants(out: Output, url: str | None, role: str, user: str | None) -> None:
    """Print the SQL that grants a database user the rights of a role, without connecting.

    The DBA reads and runs it after `mfprefect init`, for the role admin first.
    """
    import mfprefect
    from mfprefect.cli.escape import escape
    from mfprefect.errors import InvalidValue
    from mfprefect.util import values

    name = values.name(user or f"mfprefect_{role}", "the user's name", 64)
    if escape(name) != name:
        raise InvalidValue(f"the user's name {name!r} contains control or invisible characters.")
    with mfprefect.connect(url) as store:
        place, script = store.database.place, store.database.backend.grants(role, name)
    out.note(f"database: {place} (not connected)")
    for line in script.split("\n"):
        out.line(line)
    out.document({"database": place, "role": role, "user": name, "script": script})
