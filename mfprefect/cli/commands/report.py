"""`mfprefect report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mfprefect.cli.app import common
from mfprefect.cli.options import output_option
from mfprefect.cli.output import Output
from mfprefect.util.files import atomic_file, check_target

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = ["report"]

STDOUT = Path("-")


@click.command()
@click.argument("name", metavar="SESSION|MODEL")
@output_option(
    type=click.Path(path_type=Path),
    help="The file, - for stdout; by default ID.html in the current folder.",
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
@common
def report(out: Output, url: str | None, name: str, to: Path | None, force: bool) -> None:
    """Write the report of a session or a model as one HTML file that needs no network.

    Name a session by its id, `latest`, `latest:MODEL` or `production:MODEL`; any other name is a
    model.
    """
    import mfprefect
    from mfprefect.report import file_name, require

    require()
    with mfprefect.connect(url) as store:
        kind, subject = _resolve(store, name)
        to = to or Path(file_name(subject))
        if to != STDOUT:
            check_target(to, force)
        with out.working(f"writing the report of {kind} {subject}"):
            text = store.report(subject) if kind == "session" else store.model_report(subject)
    data = text.encode("utf-8", "backslashreplace")
    if to == STDOUT:
        sys.stdout.buffer.write(data)
        return
    with atomic_file(to, force) as file:
        file.write(data)
    out.note(f"the report of {kind} {subject} is in {to}")
    out.document({"kind": kind, "id": subject, "file": str(to), "bytes": len(data)})


def _resolve(store: Store, name: str) -> tuple[str, str]:
    """Return `session` or `model`, and its id.

    Raises:
        UnknownSession: it is neither; the message suggests similar sessions.
    """
    from mfprefect.cli.lookup import resolve_session
    from mfprefect.errors import UnknownSession

    try:
        return "session", str(resolve_session(store, name)["session_id"])
    except UnknownSession as exc:
        if name in store.models()["model_id"].tolist():
            return "model", name
        exc.args = (f"{exc.args[0]} No model is called {name!r} either: see `mfprefect models`.",)
        raise
