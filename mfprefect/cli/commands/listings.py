"""`mfprefect models` and `mfprefect sessions`."""

from __future__ import annotations

from typing import Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.options import since_option
from mfprefect.cli.output import Column, Output
from mfprefect.vocabulary import Purpose, Status

__all__ = ["SESSION_COLUMNS", "models", "session_rows", "sessions"]

MODEL_COLUMNS = (
    Column("model_id", "model"),
    Column("description", "description"),
    Column("entity_type", "entity", drop=1),
    Column("owner", "owner", drop=2),
    Column("sessions", "sessions", "number"),
    Column("last_started_at", "last session (UTC)", "time", drop=3),
    Column("production", "in production"),
)
SESSION_COLUMNS = (
    Column("session_id", "session"),
    Column("model_id", "model", drop=2),
    Column("purpose", "purpose"),
    Column("status", "status"),
    Column("attempt", "try", "number", 1),
    Column("started_at", "started (UTC)", "time"),
    Column("duration", "took", "seconds", 4),
    Column("commit", "commit", drop=3),
)


@click.command()
@common
def models(out: Output, url: str | None) -> None:
    """List the registered models."""
    import mfprefect
    from mfprefect.cli.formats import records

    with mfprefect.connect(url) as store:
        rows = records(store.models())
    if rows:
        out.table(rows, MODEL_COLUMNS)
    else:
        out.note("no models yet; `mfprefect demo` makes one.")
    out.document(rows)


@click.command()
@click.argument("model", required=False)
@click.option(
    "--status", type=click.Choice([*map(str, Status)]), help="Only sessions of this status."
)
@click.option(
    "--purpose", type=click.Choice([*map(str, Purpose)]), help="Only sessions of this purpose."
)
@since_option("sessions started")
@click.option(
    "--sort",
    type=click.Choice(["started", "ended"]),
    default="started",
    show_default=True,
    help="The last one started first, or running ones and then the last one ended.",
)
@click.option("--trials", is_flag=True, help="Trials of experiments, too.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many sessions to list.",
)
@common
def sessions(
    out: Output, url: str | None, model: str | None, status: str | None, limit: int, **options: Any
) -> None:
    """List sessions of all models or of MODEL, newest first.

    Trials are listed with --trials or --purpose trial, and by `mfprefect experiments`.
    """
    import mfprefect
    from mfprefect.cli.formats import records
    from mfprefect.cli.lookup import require_known_model

    with mfprefect.connect(url) as store:
        rows = records(store.sessions(model, status, limit + 1, **options))
        if model is not None and not rows:
            require_known_model(store, model)
    newest = rows[:limit]
    if newest:
        out.table(session_rows(newest), SESSION_COLUMNS)
    else:
        narrowed = model or status or options["purpose"] or options["since"]
        out.note("no such sessions." if narrowed else "no sessions yet.")
    if len(rows) > limit:
        out.note(f"the first {limit}; --limit shows more.")
    out.document(newest)


def session_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return sessions with their duration and short commit."""
    from mfprefect.cli.formats import seconds_between

    return [
        row
        | {
            "duration": seconds_between(row["started_at"], row["ended_at"]),
            "commit": short_commit(row),
        }
        for row in rows
    ]


def short_commit(row: dict[str, Any]) -> str | None:
    """Return eight digits of the commit, with `*` if the checkout differed from it."""
    commit = row["git_commit"]
    return None if commit is None else commit[:8] + ("*" if row["git_dirty"] else "")
