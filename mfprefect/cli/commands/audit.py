"""`mfprefect audit`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.options import since_option
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
    Column("detail", "detail"),
)
HEADS = (
    Column("model_id", "model"),
    Column("seal_no", "seals", "number"),
    Column("seal", "last seal"),
)
MAX_PROBLEMS = 500


@click.group()
def audit() -> None:
    """Verify sealed sessions, and list who did what when."""


@audit.command()
@click.option("--model", metavar="MODEL", help="Only the chain of this model.")
@click.option("--session", metavar="SESSION", help="Only this session.")
@since_option("sessions sealed")
@click.option(
    "--head",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Output of an earlier `audit head --json`: detects chains cut off since then.",
)
@common
def verify(out: Output, url: str | None, head: Path | None, **scope: Any) -> None:
    """Recompute all seals from the database; exit with 1 if anything differs.

    Lists each row that was changed, added or removed, each broken link of a chain, and each
    problem of the audit trail. Writes nothing, so read access is enough.
    """
    import mfprefect
    from mfprefect.cli.lookup import resolve_id

    earlier_head = _read_head(head)
    with mfprefect.connect(url) as store, out.progress_of("verifying seals") as progress:
        try:
            report = store.verify(
                model_id=scope["model"],
                session_id=resolve_id(store, scope["session"]),
                since=scope["since"],
                head=earlier_head,
                progress=progress,
            )
        except mfprefect.SealBroken as exc:
            report = exc.report
    _show(out, report)
    if report.problems:
        sys.stdout.flush()
        click.get_current_context().exit(1)


def _read_head(head: Path | None) -> dict[str, Any] | None:
    from mfprefect.errors import InvalidValue

    if head is None:
        return None
    try:
        document = json.loads(head.read_bytes())
        if not isinstance(document["seals"], list):
            raise TypeError
    except (ValueError, TypeError, KeyError):
        raise InvalidValue(f"{head} is not the output of `mfprefect audit head --json`.") from None
    earlier_head: dict[str, Any] = document
    return earlier_head


def _show(out: Output, report: Report) -> None:
    summary = asdict(report)
    problems = summary.pop("problems")
    counts = {
        "sessions": f"{report.sessions} sealed",
        "deleted": f"{report.tombstones} seals of deleted sessions",
        "attempts": f"{report.superseded} seals of earlier attempts" if report.superseded else None,
        "unsealed": f"{report.unsealed} sessions: crashed, or older than seals"
        if report.unsealed
        else None,
        "audit trail": f"{report.events} events",
        "signatures": _signatures(report),
    }
    out.pairs(counts, "Verified")
    if problems:
        out.table(problems[:MAX_PROBLEMS], PROBLEMS, f"Differs from the seals: {len(problems)}")
        if len(problems) > MAX_PROBLEMS:
            out.note(f"the first {MAX_PROBLEMS}; --json lists all.")
    else:
        out.note("everything matches its seal.")
    out.document({"ok": not problems, **summary, "problems": problems})


def _signatures(report: Report) -> str:
    clauses = [f"{report.unsigned} seals and events are unsigned"] if report.unsigned else []
    if report.unchecked:
        clauses.append(
            f"{report.unchecked} signatures could not be checked: no key in the settings"
        )
    return "; ".join(clauses) or "all valid"


@audit.command()
@click.option("--model", metavar="MODEL", help="Only events about this model.")
@click.option("--session", metavar="SESSION", help="Only events about this session.")
@click.option("--actor", metavar="NAME", help="Only events by this person.")
@click.option(
    "--action", metavar="ACTION", help="Only this action, such as promote or delete_session."
)
@since_option("events")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@common
def log(out: Output, url: str | None, limit: int, **only: Any) -> None:
    """List who did what when, newest first: promotions, thresholds, deletions, exports, ..

    Notices are listed only with --action notice.
    """
    import mfprefect
    from mfprefect.cli.formats import records
    from mfprefect.cli.lookup import resolve_id

    with mfprefect.connect(url) as store:
        events = store.audit_log(
            model_id=only["model"],
            session_id=resolve_id(store, only["session"]),
            actor=only["actor"],
            action=only["action"],
            since=only["since"],
            limit=limit,
        )
    rows = records(events)
    if rows:
        out.table([{**row, "detail": _detail_text(row["detail"])} for row in rows], EVENTS)
    else:
        out.note("no such events.")
    out.document(rows)


def _detail_text(detail: dict[str, Any]) -> str:
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
    """Print the last links of all chains; store them where no user of this database can write.

    `audit verify --head FILE` compares the database with the output of `--json`.
    """
    import mfprefect

    with mfprefect.connect(url) as store:
        heads = store.audit_head()
    event = heads["event"] or {}
    out.pairs({"last event": event.get("event_no"), "digest": event.get("digest")}, "Audit trail")
    if heads["seals"]:
        out.table(heads["seals"], HEADS, "Seals")
    out.document(heads)
