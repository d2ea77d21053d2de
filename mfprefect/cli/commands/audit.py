"""`mfprefect audit`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

if TYPE_CHECKING:
    from mfprefect.store.audit.verification import Report

__all__ = ["audit"]

PROBLEMS = (
    Column("session_id", "session"),
    Column("model_id", "model", drop=1),
    Column("what", "what"),
    Column("text", "where"),
)
EVENTS = (
    Column("event_no", "event", "number", drop=1),
    Column("at", "at (UTC)", "time"),
    Column("actor", "who"),
    Column("action", "did"),
    Column("subject", "to"),
    Column("told", "what is told"),
)
HEADS = (
    Column("model_id", "model"),
    Column("seal_no", "seals", "number"),
    Column("seal", "last seal"),
)
MOST = 500
SINCE = click.DateTime(["%Y-%m-%d"])


@click.group()
def audit() -> None:
    """Verify what was sealed, and show who did what when."""


@audit.command()
@click.option("--model", metavar="MODEL", help="Only the chain of this model.")
@click.option("--session", metavar="SESSION", help="Only this session.")
@click.option("--since", type=SINCE, metavar="DATE", help="Only what was sealed from then on.")
@click.option(
    "--head",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What `audit head --json` wrote earlier: shows whether ends were cut off since.",
)
@common
def verify(out: Output, url: str | None, head: Path | None, **scope: Any) -> None:
    """Recompute all seals from the database; the exit code is 1 if anything is not as it was.

    Names each row that was changed, added or removed, broken links of the chains, and what is wrong
    with the audit trail. Nothing is written: the right to read is enough.
    """
    import mfprefect

    earlier_head = _kept(head)
    with mfprefect.connect(url) as store, out.progress_of("verifying seals") as progress:
        try:
            report = store.verify(
                model_id=scope["model"],
                session_id=scope["session"],
                since=scope["since"] and scope["since"].date(),
                head=earlier_head,
                progress=progress,
            )
        except mfprefect.SealBroken as exc:
            report = exc.report
    _show(out, report)
    if report.problems:
        sys.stdout.flush()
        click.get_current_context().exit(1)


def _kept(head: Path | None) -> dict[str, Any] | None:
    from mfprefect.errors import InvalidValue

    if head is None:
        return None
    try:
        document = json.loads(head.read_bytes())
        if not isinstance(document["seals"], list):
            raise TypeError
    except (ValueError, TypeError, KeyError):
        raise InvalidValue(f"{head} is not what `mfprefect audit head --json` writes.") from None
    earlier_head: dict[str, Any] = document
    return earlier_head


def _show(out: Output, report: Report) -> None:
    summary = asdict(report)
    problems = summary.pop("problems")
    counts = {
        "sessions": f"{report.sessions} sealed",
        "deleted": f"{report.tombstones} seals of deleted sessions",
        "attempts": f"{report.superseded} seals of earlier attempts" if report.superseded else None,
        "unsealed": f"{report.unsealed} sessions: older than seals, or crashed"
        if report.unsealed
        else None,
        "audit trail": f"{report.events} events",
        "signatures": _signatures(report),
    }
    out.pairs(counts, "Verified")
    if problems:
        out.table(problems[:MOST], PROBLEMS, f"Not as it was sealed: {len(problems)}")
        if len(problems) > MOST:
            out.note(f"the first {MOST} are shown; --json lists all.")
    else:
        out.note("all is as it was sealed.")
    out.document({"ok": not problems, **summary, "problems": problems})


def _signatures(report: Report) -> str:
    clauses = [f"{report.unsigned} seals and events are not signed"] if report.unsigned else []
    if report.unchecked:
        clauses.append(
            f"{report.unchecked} signatures could not be checked: no key in the settings"
        )
    return "; ".join(clauses) or "all are good"


@audit.command()
@click.option("--model", metavar="MODEL", help="Only what concerns this model.")
@click.option("--session", metavar="SESSION", help="Only what concerns this session.")
@click.option("--actor", metavar="NAME", help="Only what this person did.")
@click.option("--action", metavar="ACTION", help="Only this, such as promote or delete_session.")
@click.option("--since", type=SINCE, metavar="DATE", help="Only from then on.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@common
def log(out: Output, url: str | None, limit: int, **only: Any) -> None:
    """Show who did what when, the newest first: promotions, thresholds, deletions, exports, ..

    Notices are shown with --action notice alone.
    """
    import mfprefect
    from mfprefect.cli.formats import records

    with mfprefect.connect(url) as store:
        events = store.audit_log(
            model_id=only["model"],
            session_id=only["session"],
            actor=only["actor"],
            action=only["action"],
            since=only["since"] and only["since"].date(),
            limit=limit,
        )
    rows = records(events)
    if rows:
        out.table([{**row, "told": _told(row["detail"])} for row in rows], EVENTS)
    else:
        out.note("no such event.")
    out.document(rows)


def _told(detail: dict[str, Any]) -> str:
    details = (
        (name, value)
        for name, value in detail.items()
        if value not in (None, "", []) and name != "row"
    )
    return ", ".join(f"{name}={_short(value)}" for name, value in details)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}.."


@audit.command()
@common
def head(out: Output, url: str | None) -> None:
    """Print the ends of all chains, to keep where nobody of this database can write.

    `audit verify --head FILE` holds the database against what `--json` wrote.
    """
    import mfprefect

    with mfprefect.connect(url) as store:
        heads = store.audit_head()
    event = heads["event"] or {}
    out.pairs({"last event": event.get("event_no"), "digest": event.get("digest")}, "Audit trail")
    if heads["seals"]:
        out.table(heads["seals"], HEADS, "Seals")
    out.document(heads)
