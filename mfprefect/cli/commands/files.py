"""`mfprefect files`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.options import output_option
from mfprefect.cli.output import Column, Output

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = ["files"]

COLUMNS = (
    Column("name", "name"),
    Column("media_type", "type", drop=1),
    Column("bytes", "size", "bytes"),
    Column("sha256", "SHA-256", drop=2),
)


@click.command()
@click.argument("session")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@output_option(
    type=click.Path(file_okay=False, path_type=Path), help="Write the files into this folder."
)
@click.option("--force", is_flag=True, help="Overwrite files of the same name there.")
@common
def files(
    out: Output, url: str | None, session: str, names: tuple[str, ...], to: Path | None, force: bool
) -> None:
    """List the files and figures of SESSION, or write them to a folder.

    SESSION is an id, `latest`, `latest:MODEL` or `production:MODEL`. NAMEs choose some of its
    files. A file appears in the folder only after its size and digest are verified.
    """
    import mfprefect
    from mfprefect.cli.formats import records
    from mfprefect.cli.lookup import resolve_session

    with mfprefect.connect(url) as store:
        session_id = str(resolve_session(store, session)["session_id"])
        rows = records(store.files(session_id), "session_id")
        chosen = _chosen(session_id, rows, names)
        if to is not None:
            chosen = _write(store, session_id, chosen, to, force)
    if to is None:
        out.table(chosen, COLUMNS)
        if not rows:
            out.note(f"session {session_id} has no files; session.log_file stores them.")
    else:
        out.note(f"{len(chosen)} files of {session_id} written to {to}")
    out.document(chosen)


def _chosen(
    session_id: str, rows: list[dict[str, Any]], names: tuple[str, ...]
) -> list[dict[str, Any]]:
    from mfprefect.errors import InvalidValue

    stored = [row["name"] for row in rows]
    if missing := sorted(set(names) - set(stored)):
        raise InvalidValue(
            f"session {session_id!r} has no file {missing[0]!r}; it has: "
            f"{', '.join(stored) or 'none'}."
        )
    return [row for row in rows if not names or row["name"] in names]


def _write(
    store: Store, session_id: str, rows: list[dict[str, Any]], folder: Path, force: bool
) -> list[dict[str, Any]]:
    """Write files into a folder, nothing if one is in the way; return the rows with their paths."""
    from mfprefect.artifacts.files import file_name
    from mfprefect.util.files import atomic_file, check_target

    if folder.parent.is_dir():
        folder.mkdir(exist_ok=True)
    # Names are checked again: whoever can write to the database could have stored `../x`.
    targets = [folder / file_name(row["name"]) for row in rows]
    for target in targets:
        check_target(target, force)
    for row, target in zip(rows, targets, strict=True):
        with (
            store.open_file(session_id, row["name"]) as content,
            atomic_file(target, force) as file,
        ):
            shutil.copyfileobj(content, file)
    return [row | {"file": str(target)} for row, target in zip(rows, targets, strict=True)]
