"""`/audit`: events, the ends of the chains, and the state of verification."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mfprefect.console.answers import Answer
from mfprefect.console.jobs import Job
from mfprefect.console.listing import FORMATS, PAGE_ROWS, Column, Link, Listing, exported
from mfprefect.console.logon import Right
from mfprefect.console.page import Page
from mfprefect.errors import SealBroken
from mfprefect.report.blocks import Headline, Key
from mfprefect.report.formats import text
from mfprefect.store.browse.events import EventPage, chain_ends, list_events

__all__ = ["VERIFY", "page", "verification"]

VERIFY = "verify"
"""The name of the job."""
MOST_PROBLEMS = 100
FIELDS = ("actor", "action", "subject", "since")
HIDDEN = {"row", "key"}
"""Parts of a detail that only a verification reads."""


def page(request: Page) -> Answer:
    """Return the page of the audit trail."""
    query = request.query
    result = list_events(
        request.db,
        PAGE_ROWS,
        before=query.integer("before", 1),
        actor=query.text("actor", 128),
        action=query.text("action", 32),
        subject=query.text("subject", 255),
        since=query.day("since"),
    )
    listing = _listing(request, result)
    file = exported(request, listing, "audit")
    if file is not None:
        return file
    job = request.console.jobs.last(VERIFY)
    return request.show(
        "audit.html",
        "Audit",
        listing=listing,
        values={name: query.text(name, 255) for name in FIELDS},
        filtered=any(query.text(name, 255) for name in FIELDS),
        chains=_chains(request),
        job=job,
        verdict=None if job is None else verification(job),
        may_verify=request.console.options.actions and request.may(Right.VERIFY),
    )


def _listing(request: Page, result: EventPage) -> Listing:
    columns = [
        Column("event_no", "no."),
        Column("at", "when", "short"),
        Column("actor", "who", show=lambda row: _search(request, row["actor"], "actor")),
        Column("action", "did", show=lambda row: _search(request, row["action"], "action")),
        Column("subject", "to", show=lambda row: _search(request, row["subject"], "subject")),
        Column("detail", "detail", show=_detail),
        Column("key_id", "signed by", "code"),
    ]
    note = ""
    if result.searched is not None:
        note = f"This looked at {result.searched:,} events; there are more before these."
    at_start = not request.query.text("before")
    return Listing(
        columns,
        result.rows,
        "Events, the last one first; notices only if chosen",
        "No event is like that."
        if any(map(request.query.text, FIELDS))
        else "Nothing was changed yet: promotions, thresholds and deletions appear here.",
        older=None if result.next_before is None else request.here(before=result.next_before),
        newest=None if at_start else request.here(before=None),
        note=note,
        exports={name: request.here(format=name) for name in FORMATS},
    )


def _search(request: Page, value: str, name: str) -> Link:
    return Link(text(value, 80), request.here(**{name: value, "before": None, "format": None}))


def _detail(row: Mapping[str, Any]) -> Key:
    detail = {k: v for k, v in row["detail"].items() if k not in HIDDEN and v not in (None, "")}
    reason = str(detail.pop("reason", "") or "")
    others = ", ".join(f"{name}: {_plain(value)}" for name, value in detail.items())
    return Key(text(reason or others, 300), text(others, 300) if reason else "")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _chains(request: Page) -> Listing:
    columns = [
        Column(
            "model_id",
            "model",
            show=lambda r: Link(r["model_id"], request.url("models", r["model_id"])),
        ),
        Column("seal_no", "seals", "number"),
        Column("seal", "last seal", "code"),
        Column("sealed_at", "sealed", "short"),
        Column(
            "session_id",
            "session",
            show=lambda r: Link(r["session_id"], request.url("sessions", r["session_id"])),
        ),
        Column("key_id", "signed by", "code"),
    ]
    return Listing(
        columns,
        chain_ends(request.db),
        "Ends of the chains of seals",
        "No session is sealed yet: a session is sealed when it succeeds.",
    )


def verification(job: Job) -> Headline:
    """Return how the verification that was started here stands."""
    if job.running:
        done = f"{job.done:,} of {job.total:,} seals" if job.total else "reading the audit trail"
        return Headline("info", f"Verifying: {done}", [f"started by {job.by}"])
    if isinstance(job.error, SealBroken):
        problems = [str(problem) for problem in job.error.problems]
        more = len(problems) - MOST_PROBLEMS
        shown = problems[:MOST_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
        return Headline("bad", f"{len(problems)} problems with sealed data", shown)
    if job.error is not None:
        return Headline("warn", "The verification did not finish", ["the log says why"])
    return Headline("good", "All seals hold", [f"started by {job.by}", *_counts(job.result)])


def _counts(report: Any) -> list[str]:
    names = ("sessions", "events")
    return [
        f"{getattr(report, n):,} {n} verified"
        for n in names
        if isinstance(getattr(report, n, None), int)
    ]
