"""`/operations`: what runs, what broke, the spool, notices, freshness, what maintenance did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mfprefect.console.answers import Answer
from mfprefect.console.listing import Column, Link, Listing, When, cell
from mfprefect.console.page import Page
from mfprefect.console.pages.overview import age, span
from mfprefect.console.pages.sessions import status_badge
from mfprefect.errors import MfprefectError
from mfprefect.report.blocks import Badge, Key
from mfprefect.report.formats import present, size, text
from mfprefect.store.browse.events import list_events
from mfprefect.store.browse.operations import ended_badly, notices, progress_of, running_sessions
from mfprefect.store.browse.overview import ModelState, model_states
from mfprefect.store.spool.listing import waiting

__all__ = ["page"]

MOST = 30
MAINTENANCE = ("deliver_spool", "delete_session", "delete_scores", "export_scores")
"""Actions of `maintain`, as the audit trail names them."""


def page(request: Page) -> Answer:
    """Return the page of operations."""
    states = request.console.states.get(lambda: model_states(request.db))
    running = running_sessions(request.db, MOST)
    progress = progress_of(request.db, [row["session_no"] for row in running])
    for row in running:
        written = progress.get(row["session_no"])
        row["progress"] = f"{written.parts} parts, {written.rows:,} scores" if written else ""
    return request.show(
        "operations.html",
        "Operations",
        running=_running(request, running),
        broken=_broken(request, ended_badly(request.db, MOST)),
        freshness=_freshness(request, states),
        spool=_spool(request),
        notices=_notices(request, notices(request.db, MOST)),
        maintenance=_maintenance(request),
    )


def _session(request: Page) -> Any:
    return lambda row: Link(row["session_id"], request.url("sessions", row["session_id"]))


def _running(request: Page, rows: Sequence[Mapping[str, Any]]) -> Listing:
    columns = [
        Column("session_id", "session", show=_session(request)),
        Column("purpose", "purpose"),
        Column("status", "state", show=_liveness),
        Column("started_at", "started", "short"),
        Column("heartbeat_at", "last sign of life", "short"),
        Column("progress", "progress"),
        Column("run_by", "by"),
        Column("host", "on", show=lambda r: Key(r["host"], f"process {r['process_id']}")),
    ]
    return Listing(columns, rows, "Running sessions, the longest silent first", "Nothing runs now.")


def _liveness(row: Mapping[str, Any]) -> Badge:
    return Badge("suspected", "warn") if present(row["suspected_at"]) else Badge("alive", "info")


def _broken(request: Page, rows: Sequence[Mapping[str, Any]]) -> Listing:
    columns = [
        Column("session_id", "session", show=_session(request)),
        Column("purpose", "purpose"),
        Column("status", "status", show=status_badge),
        Column("ended_at", "ended", "short"),
        Column("failure_kind", "why", show=_failure),
        Column("run_by", "by"),
    ]
    return Listing(
        columns,
        rows,
        "Failed and crashed sessions, the last first",
        "No session failed or crashed.",
    )


def _failure(row: Mapping[str, Any]) -> Key:
    return Key(row["failure_kind"] or "", text(row["failure_text"] or "", 160))


def _freshness(request: Page, states: Sequence[ModelState]) -> Listing:
    rows = [
        {
            "model_id": state.model_id,
            "stale": state.stale,
            "scored_at": state.scoring["published_at"] if state.scoring else None,
            "age": state.age(),
            "max_age_seconds": state.model["max_age_seconds"],
        }
        for state in states
        if state.model["max_age_seconds"] and state.watched
    ]
    rows.sort(key=lambda row: (not row["stale"], row["model_id"]))
    columns = [
        Column(
            "model_id",
            "model",
            show=lambda r: Link(r["model_id"], request.url("models", r["model_id"])),
        ),
        Column(
            "stale",
            "state",
            show=lambda r: Badge("late", "bad") if r["stale"] else Badge("in time", "good"),
        ),
        Column("scored_at", "last scores", "short"),
        Column("age", "age", "short", show=lambda r: "" if r["age"] is None else age(r["age"])),
        Column("max_age_seconds", "at most", "short", show=lambda r: span(r["max_age_seconds"])),
    ]
    return Listing(
        columns,
        rows,
        "Freshness of scores",
        "No model has a maximum age: give it one by `max_age`.",
    )


def _spool(request: Page) -> Listing:
    columns = [
        Column("session_id", "session"),
        Column("model_id", "model"),
        Column("state", "state"),
        Column("ended", "ended as"),
        Column("ended_at", "ended"),
        Column("bytes", "size", "number", show=lambda row: size(row["bytes"])),
        Column("here", "for this database"),
    ]
    caption = "Spool of this machine: sessions that wait for their database"
    try:
        rows = [asdict(entry) for _, entry in waiting(request.db)][:MOST]
    except (MfprefectError, OSError):
        return Listing(columns, [], caption, "The spool of this machine is off or cannot be read.")
    return Listing(columns, rows, caption, "Nothing waits.")


def _notices(request: Page, rows: Sequence[Mapping[str, Any]]) -> Listing:
    columns = [
        Column("session_id", "session", show=_session(request)),
        Column("event", "event"),
        Column("channel", "to"),
        Column("sent_at", "sent", "short"),
        Column("delivered", "delivered", show=_delivered),
        Column("failure", "failure", show=lambda r: text(r["failure"] or "", 160)),
    ]
    return Listing(
        columns, rows, "Notices, the last first", "No notice was sent: add a recipient to `notify`."
    )


def _delivered(row: Mapping[str, Any]) -> Badge:
    return Badge("yes", "good") if row["delivered"] else Badge("no", "bad")


def _maintenance(request: Page) -> Listing:
    rows = [
        row for action in MAINTENANCE for row in list_events(request.db, MOST, action=action).rows
    ]
    rows.sort(key=lambda row: row["event_no"], reverse=True)
    columns = [
        Column("at", "when", "short", show=lambda row: When(row["at"])),
        Column("action", "did", show=lambda row: cell(row["action"].replace("_", " "))),
        Column("subject", "to"),
        Column("actor", "by"),
    ]
    return Listing(
        columns, rows[:MOST], "What maintenance did", "Nothing was delivered, exported or deleted."
    )
