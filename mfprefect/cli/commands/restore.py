"""`mfprefect restore`."""

from __future__ import annotations

from pathlib import Path

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Output

__all__ = ["restore"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@common
def restore(out: Output, url: str | None, folder: Path) -> None:
    """Restore the session that `mfprefect prune` archived in FOLDER."""
    import mfprefect

    with mfprefect.connect(url) as store, out.working(f"restoring {folder}"):
        name = store.restore(folder)
    out.note(f"restored {name}")
    out.document({"session_id": name, "archive": str(folder)})
