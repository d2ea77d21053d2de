"""`mfprefect prune`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

__all__ = ["prune"]

GOING = (
    Column("session_id", "session"),
    Column("purpose", "purpose", drop=1),
    Column("ended_at", "ended (UTC)", "time", drop=3),
    Column("rows", "scores", "number", drop=2),
    Column("verdict", "what"),
    Column("reason", "why"),
)
STAYING = (
    Column("reason", "why"),
    Column("sessions", "sessions", "number"),
    Column("scores", "scores", "number"),
)
POSITIVE = click.FloatRange(min=0, min_open=True)


@click.command()
@click.option("--model", metavar="MODEL", help="Only sessions of this model.")
@click.option("--keep-days", type=POSITIVE, help="Sessions that ended longer ago go.")
@click.option(
    "--keep-sessions",
    type=click.IntRange(min=1),
    help="The newest so many that succeeded of each purpose stay; alone, no others do.",
)
@click.option("--failed-days", type=POSITIVE, help="Failed, crashed and cancelled go after.")
@click.option("--scores-days", type=POSITIVE, help="Scores go after; sessions and figures stay.")
@click.option("--retired-days", type=POSITIVE, help="Sessions that left production go after.")
@click.option(
    "--archive-to", type=click.Path(path_type=Path), help="Write all that goes into this folder."
)
@click.option("--dry-run", is_flag=True, help="Show what would go, and what stays; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common
def prune(
    out: Output, url: str | None, model: str | None, dry_run: bool, yes: bool, **limits: Any
) -> None:
    """Archive and delete the sessions that need not be kept.

    The rules are those of the settings' [retention]; options take their place. What is in
    production stays, with what it needs; so do running sessions and the newest ones.
    """
    import mfprefect
    from mfprefect.cli.formats import records
    from mfprefect.cli.lookup import require_known_model

    with mfprefect.connect(url) as store:
        if model is not None:
            require_known_model(store, model)
        rows = records(store.prune(model, dry_run=True, **limits))
        going = [row for row in rows if row["verdict"] != "keep"]
        _show(out, going, rows)
        if going and not dry_run:
            _ask(out, yes, len(going))
        if not dry_run:
            # Only what was shown: more may have come of age while somebody read it.
            shown = [row["session_id"] for row in going]
            rows = records(store.prune(model, only=shown, **limits))
            out.note(
                f"{_count(rows, 'delete')} sessions deleted, the scores alone of "
                f"{_count(rows, 'delete scores')}"
            )
            for row in rows:
                if row["session_id"] in shown and row["verdict"] == "keep":
                    out.note(f"{row['session_id']} is kept: {row['reason']}")
            for folder in sorted(
                {str(Path(row["archived"]).parent) for row in rows if row["archived"]}
            ):
                out.note(f"archived in {folder}")
    going = [row for row in rows if row["verdict"] != "keep"]
    out.document({"dry_run": dry_run, "going": going, "staying": _staying(rows)})


def _show(out: Output, going: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> None:
    if going:
        out.table(going, GOING, "What goes")
    else:
        out.note("nothing goes: see docs/retention.md for the settings, --help for the options.")
    if staying := _staying(rows):
        out.table(staying, STAYING, "What stays")


def _staying(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Count what stays by its reason."""
    counted: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["verdict"] == "delete":
            continue
        reason = row["reason"]
        if row["verdict"] == "delete scores":
            reason = "only its scores go"
        elif reason.startswith("needed by "):
            reason = "needed by one that stays"
        total = counted.setdefault(reason, {"reason": reason, "sessions": 0, "scores": 0})
        total["sessions"] += 1
        total["scores"] += row["rows"] * (row["verdict"] == "keep")
    return list(counted.values())


def _count(rows: Sequence[dict[str, Any]], verdict: str) -> int:
    return sum(row["verdict"] == verdict for row in rows)


def _ask(out: Output, yes: bool, count: int) -> None:
    if yes:
        return
    if out.as_json or not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: pass --yes, or --dry-run to look first.")
    click.confirm(f"Delete what the table says of {count} sessions?", abort=True, err=True)
