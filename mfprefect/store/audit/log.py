"""Reading and verifying the audit trail, and what it says of sessions after their end."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.audit import NOTICE, Problem, event_digest
from mfprefect.audit.signing import Signature
from mfprefect.store.audit.registry_rows import RegistryRows
from mfprefect.store.database import Database

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AuditLog", "SessionHistory", "follow", "head", "log_frame", "session_history"]

PAGE = 1_000
SHOWN = ("event_no", "at", "actor", "action", "subject", "detail")


@dataclass
class AuditLog:
    """The contents of the whole audit trail."""

    problems: list[Problem] = field(default_factory=list)
    events: int = 0
    signed: int = 0
    signed_from: int | None = None
    """The number of the first signed event."""
    registered: dict[str, int] = field(default_factory=dict)
    """The event that first used each model id."""
    names: dict[str, set[str]] = field(default_factory=dict)
    """New names of renamed models, by the old name."""
    deleted_models: dict[str, int] = field(default_factory=dict)
    """The number of the last seal of each deleted model."""
    ends: list[tuple[int, str, int, str]] = field(default_factory=list)
    """Event, model, number and seal of links that the chains must contain."""
    registry_rows: RegistryRows = field(default_factory=RegistryRows)
    deleted: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Event and session of each seal whose session was deleted."""
    last_no: int = 0
    """The number of the last event read."""
    last_digest: str | None = None

    def vouches_for(self, model_id: str) -> bool:
        """Return whether a model was registered after signing began, so its seals are signed."""
        born = self.registered.get(model_id)
        return born is not None and self.signed_from is not None and born >= self.signed_from

    def later_names(self, model_id: str) -> set[str]:
        """Return all names that a model may have now: this one and later ones."""
        names, unvisited = set(), {model_id}
        while unvisited:
            name = unvisited.pop()
            names.add(name)
            unvisited |= self.names.get(name, set()) - names
        return names


@dataclass
class SessionHistory:
    """What happened to one session after its end."""

    deleted: bool = False
    scores_deleted: dict[str, Any] | None = None
    exported_at: dt.datetime | None = None
    notices: dict[int, dict[str, Any]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    """Tables that a restoration left out."""
    parent_left_out: int | None = None
    sealed_elsewhere: bool = False


def _pages(db: Database, *where: Any, newest: bool = False) -> Iterator[dict[str, Any]]:
    """Yield events in order, page by page."""
    e = db.schema.audit_events
    last: Any = None
    while True:
        after: tuple[Any, ...] = ()
        if last is not None:
            after = (e.c.event_no < last if newest else e.c.event_no > last,)
        order = e.c.event_no.desc() if newest else e.c.event_no
        rows = db.fetch_all(sa.select(e).where(*where, *after).order_by(order).limit(PAGE))
        for row in rows:
            yield dict(zip(e.c.keys(), row, strict=True))
        if len(rows) < PAGE:
            return
        last = rows[-1].event_no


def follow(db: Database, log: AuditLog) -> bool:
    """Read the events after the last one read; return whether there are any.

    Verifies each event's digest, its link to the one before, and its signature.
    """
    keys, last_before = db.keyring, log.last_no
    for event in _pages(db, db.schema.audit_events.c.event_no > last_before):
        log.events += 1
        for text in _broken(event, log.last_no, log.last_digest):
            log.problems.append(_problem(event, text))
        signature, expected = Signature(event["key_id"], event["signature"]), log.signed > 0
        if wrong := keys.problem("event", event["digest"], signature, expected=expected):
            log.problems.append(_problem(event, wrong))
        if signature.key_id is not None:
            log.signed += 1
            log.signed_from = log.signed_from or event["event_no"]
        with suppress(TypeError, ValueError):  # forged, which its digest or signature shows
            _note(log, event)
        log.last_no, log.last_digest = event["event_no"], event["digest"]
    return log.last_no > last_before


def _broken(event: Mapping[str, Any], before: int, digest: str | None) -> Iterator[str]:
    number = event["event_no"]
    if number != before + 1:
        yield f"{number - before - 1} before it are gone, {before + 1} to {number - 1}"
    elif event["previous_digest"] != digest:
        yield "its link to the previous event is broken: previous_digest differs"
    if event_digest(event) != event["digest"]:
        yield "it was changed: its digest is not that of its content"


def _problem(event: Mapping[str, Any], text: str) -> Problem:
    number = event["event_no"]
    return Problem("audit", f"audit event {number}: {text}", table="audit_events", key=(number,))


def _note(log: AuditLog, event: Mapping[str, Any]) -> None:
    """Collect what verifying the seals needs."""
    action, number = event["action"], event["event_no"]
    if action == NOTICE:
        return
    detail = _detail(event)
    log.registry_rows.apply_event(event, detail)
    if action in ("add_model", "rename_model"):
        log.registered.setdefault(event["subject"], number)
    if action not in ("rename_model", "delete_model", "delete_session"):
        return
    model = str(detail.get("old") if action == "rename_model" else event["subject"])
    if action == "rename_model":
        log.names.setdefault(model, set()).add(event["subject"])
    elif action == "delete_model":
        log.deleted_models[model] = int(detail.get("last_seal_no") or 0)
    elif detail.get("seal"):
        log.deleted[str(detail["seal"])] = (number, event["subject"])
    if detail.get("last_seal"):
        end = (number, model, int(detail.get("last_seal_no") or 0), str(detail["last_seal"]))
        log.ends.append(end)


def _detail(event: Mapping[str, Any]) -> dict[str, Any]:
    try:
        detail = json.loads(event["detail"])
    except ValueError:  # changed, which the check of its digest reports
        return {}
    return detail if isinstance(detail, dict) else {}


def session_history(db: Database, connection: sa.Connection, session_id: str) -> SessionHistory:
    """Return what happened to a session after its end, by the audit trail."""
    e, history = db.schema.audit_events, SessionHistory()
    events = sa.select(e.c.action, e.c.detail).where(e.c.subject == session_id[:255])
    for row in connection.execute(events.order_by(e.c.event_no)):
        _tell(history, row.event_action, _detail({"detail": row.detail}))
    return history


def _tell(history: SessionHistory, action: str, detail: dict[str, Any]) -> None:
    if action == "delete_session":
        history.deleted = True
    elif action == "restore_session":
        history.deleted = False
        history.left_out = tuple(detail.get("left_out") or ())
        history.parent_left_out = detail.get("parent_left_out")
        history.sealed_elsewhere = detail.get("sealed_elsewhere") is not None
    elif action == "delete_scores":
        history.scores_deleted = detail
    elif action == "export_scores":
        history.exported_at = instant(detail.get("exported_at"))
    elif action == NOTICE and isinstance(detail.get("notice_no"), int):
        history.notices[detail["notice_no"]] = detail


def instant(text: Any) -> dt.datetime | None:
    """Return the instant of an ISO text; None if it is not one."""
    try:
        return dt.datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def head(db: Database) -> dict[str, Any]:
    """Return the ends of all chains. A copy stored elsewhere later shows if an end was cut off."""
    e, c = db.schema.audit_events, db.schema.seals.c
    last = sa.select(c.model_id, sa.func.max(c.seal_no).label("n")).group_by(c.model_id).subquery()
    ends = (
        sa.select(c.model_id, c.seal_no, c.seal)
        .join(last, sa.and_(c.model_id == last.c.model_id, c.seal_no == last.c.n))
        .order_by(c.model_id)
    )
    event = db.fetch_all(sa.select(e.c.event_no, e.c.digest).order_by(e.c.event_no.desc()).limit(1))
    return {
        "event": dict(event[0]._mapping) if event else None,
        "seals": [dict(row._mapping) for row in db.fetch_all(ends)],
    }


def log_frame(
    db: Database,
    *,
    model_id: str | None = None,
    session_id: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    since: dt.datetime | None = None,
    before: int | None = None,
    limit: int | None = 100,
) -> pd.DataFrame:
    """Return events, newest first; notices only with `action`. `before`: only lower numbers."""
    import pandas as pd

    c = db.schema.audit_events.c
    where = [] if actor is None else [c.actor == actor]
    where += [c.action != NOTICE] if action is None else [c.action == action]
    where += [] if since is None else [c.at >= since]
    where += [] if before is None else [c.event_no < before]
    rows = []
    for event in _pages(db, *where, newest=True):
        detail = _detail(event)
        of_model = {event["subject"], detail.get("model"), detail.get("old")}
        of_session = {event["subject"], *(detail.get(x) for x in ("session", "instead_of"))}
        of_session.add(detail.get("rolled_back_from"))
        if model_id in {None, *of_model} and session_id in {None, *of_session}:
            rows.append([*(event[name] for name in SHOWN[:-1]), detail])
        if limit is not None and len(rows) >= limit:
            break
    return pd.DataFrame(rows, columns=list(SHOWN))
