"""`mfprefect prune`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

__all__ = ["prune"]

DELETED = (
    Column("session_id", "session"),
    Column("purpose", "purpose", drop=1),
    Column("ended_at", "ended (UTC)", "time", drop=3),
    Column("rows", "scores", "number", drop=2),
    Column("verdict", "decision"),
    Column("reason", "reason"),
)
KEPT = (
    Column("reason", "reason"),
    Column("sessions", "sessions", "number"),
    Column("scores", "scores", "number"),
)
LIMITS = {
    "--keep-days": "Delete sessions that ended more than N days ago.",
    "--keep-sessions": "Keep the newest N successful sessions of each purpose; without "
    "--keep-days, delete the other successful ones.",
    "--failed-days": "Delete failed, crashed and cancelled sessions after N days.",
    "--scores-days": "Delete scores after N days; sessions and figures stay.",
    "--retired-days": "Treat sessions that left production N days ago like all others.",
}


def _limits(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each limit of the settings."""
    days, sessions = click.FloatRange(min=0, min_open=True), click.IntRange(min=1)
    for name, text in reversed(LIMITS.items()):
        kind = sessions if name == "--keep-sessions" else days
        command = click.option(name, type=kind, metavar="N", help=text)(command)
    return command


@click.command()
@click.option("--model", metavar="MODEL", help="Only sessions of this model.")
@_limits
@click.option(
    "--archive-to",
    type=click.Path(path_type=Path),
    help="Archive everything in this folder before deleting it.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be deleted; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@common
def prune(
    out: Output, url: str | None, model: str | None, dry_run: bool, yes: bool, **limits: Any
) -> None:
    """Archive and delete sessions by the rules of [retention] in the settings.

    Options override single rules. Sessions in production, running and newest sessions are kept,
    with the sessions that they need.
    """
    import mfprefect
    from mfprefect.cli.formats import records
    from mfprefect.cli.lookup import require_known_model

    with mfprefect.connect(url) as store:
        if model is not None:
            require_known_model(store, model)
        rows = records(store.prune(model, dry_run=True, **limits))
        _write_plan(out, rows)
        if not dry_run:
            session_ids = [row["session_id"] for row in _to_delete(rows)]
            if session_ids and not yes:
                _confirm(out, len(session_ids))
            # Only the sessions listed: others may have come due since.
            rows = records(store.prune(model, only=session_ids, **limits))
            _write_result(out, rows, session_ids)
    out.document({"dry_run": dry_run, "going": _to_delete(rows), "staying": _kept_by_reason(rows)})


def _to_delete(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["verdict"] != "keep"]


def _write_plan(out: Output, rows: Sequence[dict[str, Any]]) -> None:
    if to_delete := _to_delete(rows):
        out.table(to_delete, DELETED, "To delete")
    else:
        out.note("nothing to delete; docs/retention.md lists the settings, --help the options.")
    if to_keep := _kept_by_reason(rows):
        out.table(to_keep, KEPT, "To keep")


def _write_result(out: Output, rows: Sequence[dict[str, Any]], session_ids: Sequence[str]) -> None:
    sessions, scores = (
        sum(row["verdict"] == verdict for row in rows) for verdict in ("delete", "delete scores")
    )
    out.note(f"deleted {sessions} sessions, and only the scores of {scores}")
    for row in rows:
        if row["session_id"] in session_ids and row["verdict"] == "keep":
            out.note(f"kept {row['session_id']}: {row['reason']}")
    for folder in sorted({str(Path(row["archived"]).parent) for row in rows if row["archived"]}):
        out.note(f"archived in {folder}")


def _kept_by_reason(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Count the sessions and scores that are kept, by reason."""
    totals: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["verdict"] == "delete":
            continue
        reason = row["reason"]
        if row["verdict"] == "delete scores":
            reason = "only its scores go"
        elif reason.startswith("needed by "):
            reason = "needed by one that stays"
        total = totals.setdefault(reason, {"reason": reason, "sessions": 0, "scores": 0})
        total["sessions"] += 1
        total["scores"] += row["rows"] * (row["verdict"] == "keep")
    return list(totals.values())


def _confirm(out: Output, count: int) -> None:
    if out.as_json or not sys.stdin.isatty():
        raise click.UsageError("cannot ask for confirmation here: pass --yes or --dry-run.")
    click.confirm(f"Delete as listed from {count} sessions?", abort=True, err=True)
