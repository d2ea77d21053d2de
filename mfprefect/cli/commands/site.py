"""`mfprefect site`."""

from __future__ import annotations

from pathlib import Path

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Output

__all__ = ["site"]


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@common
def site(out: Output, url: str | None, folder: Path) -> None:
    """Write the overview, models and their last reports into FOLDER, as plain files.

    For an intranet or an object store. Files of an earlier export are replaced.
    """
    import mfprefect
    from mfprefect.console import server

    server.require()
    from mfprefect.console.site import write_site

    with mfprefect.connect(url) as store:
        store.audit_head()  # refuses a missing or outdated schema before anything is written
        files = write_site(store, folder)
    out.note(f"wrote {len(files)} files; begin at {folder / 'index.html'}.")
    out.document({"files": [str(file) for file in files]})
