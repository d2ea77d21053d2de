"""`mfprefect session model`: a stored model as a file, for programs in other languages."""

from __future__ import annotations

from pathlib import Path

import click

from mfprefect.cli.app import common
from mfprefect.cli.lookup import ENVIRONMENT, resolve_session
from mfprefect.cli.options import output_option
from mfprefect.cli.output import Output
from mfprefect.util.files import check_target

__all__ = ["model"]

TRAINING = "MFPREFECT_TRAINING_SESSION_ID"


@click.command()
@click.argument("session_id", metavar="[SESSION]", required=True, envvar=[TRAINING, ENVIRONMENT])
@output_option(
    type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write."
)
@click.option("--name", default="model", show_default=True, help="The artifact's name.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@common
def model(out: Output, url: str | None, session_id: str, to: Path, name: str, force: bool) -> None:
    """Write the model stored under SESSION to a file, unchanged.

    SESSION is by default $MFPREFECT_TRAINING_SESSION_ID, else $MFPREFECT_SESSION_ID.
    """
    import mfprefect

    check_target(to, force)  # fail before connecting
    with mfprefect.connect(url) as store:
        resolved_id = str(resolve_session(store, session_id)["session_id"])
        artifact = store.copy_model(resolved_id, to, name, force=force)
    out.note(f"{name} of {resolved_id}: {artifact['bytes']} bytes written to {to}")
    out.document({"session_id": resolved_id, "name": name, **artifact, "file": str(to)})
