"""`mfprefect size`."""

from __future__ import annotations

from typing import Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

__all__ = ["size"]

TABLES = (
    Column("table", "table"),
    Column("rows", "rows", "number"),
    Column("bytes", "size", "bytes"),
    Column("index_bytes", "of which indexes", "bytes", drop=1),
)
MODELS = (
    Column("model_id", "model"),
    Column("sessions", "sessions", "number"),
    Column("scores", "scores", "number"),
    Column("bytes", "size", "bytes"),
    Column("recent_scores", "scores, 30 days", "number", drop=1),
    Column("recent_bytes", "size, 30 days", "bytes"),
    Column("prunable_sessions", "sessions to prune", "number", drop=2),
    Column("prunable_scores", "scores to prune", "number", drop=3),
    Column("prunable_bytes", "prune frees", "bytes"),
)


@click.command()
@common
def size(out: Output, url: str | None) -> None:
    """Show the size of tables and models, and what prune would free.

    Sizes are the database's own; the share of a model is an estimate: scores by their number,
    artifacts by their bytes, the rest evenly by session. Reads every table, as the roles auditor,
    writer and admin may.
    """
    import mfprefect
    from mfprefect.cli.formats import records

    with mfprefect.connect(url) as store:
        measured = store.size()
    tables, models = records(measured.tables), records(measured.models)
    out.table([*tables, _total(tables)], TABLES)
    if models:
        out.table(models, MODELS, "By model")
    else:
        out.note("no sessions yet")
    out.document({"tables": tables, "models": models})


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {"table": "all"}
    for name in ("rows", "bytes", "index_bytes"):
        cells = [row[name] for row in rows if row[name] is not None]
        total[name] = sum(cells) if cells else None
    return total
