"""The audit trail: read, verified, and what it tells of a session after its end."""

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
    """What the whole trail tells."""

    problems: list[Problem] = field(default_factory=list)
    events: int = 0
    signed: int = 0
    signed_from: int | None = None
    """The first event that is signed."""
    registered: dict[str, int] = field(default_factory=dict)
    """The event by which each model first got its name."""
    names: dict[str, set[str]] = field(default_factory=dict)
    """What models were renamed to, by their old name."""
    deleted_models: dict[str, int] = field(default_factory=dict)
    """The number of the last seal that each deleted model had."""
    ends: list[tuple[int, str, int, str]] = field(default_factory=list)
    """Event, model, number and seal of links that must be in the chains."""
    ledger: RegistryRows = field(default_factory=RegistryRows)
    deleted: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Event and session of each seal whose session was deleted."""
    last_no: int = 0
    """The last event that was read."""
    last_digest: str | None = None

    def vouches_for(self, model_id: str) -> bool:
        """Return whether a model is younger than the key: each of its seals has to be signed."""
        born = self.registered.get(model_id)
        return born is not None and self.signed_from is not None and born >= self.signed_from

    def later_names(self, model_id: str) -> set[str]:
        """Return what a model may be called by now: its own name, and those it was given."""
        found, left = set(), {model_id}
        while left:
            name = left.pop()
            found.add(name)
            left |= self.names.get(name, set()) - found
        return found


@dataclass
class SessionHistory:
    """What became of one session after its end."""

    deleted: bool = False
    scores_deleted: dict[str, Any] | None = None
    exported_at: dt.datetime | None = None
    notices: dict[int, dict[str, Any]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    """Tables that were not restored from an archive."""
    parent_left_out: int | None = None
    sealed_elsewhere: bool = False


def _pages(db: Database, *where: Any, newest: bool = False) -> Iterator[dict[str, Any]]:
    """Yield events in their order, page by page."""
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


def follow(db: Database, found: AuditLog) -> bool:
    """Read the events since the last one that was read; return whether there are any.

    Verifies each event's digest, its link to the one before, and its signature.
    """
    keys, before = db.keyring, found.last_no
    for event in _pages(db, db.schema.audit_events.c.event_no > before):
        found.events += 1
        for text in _broken(event, found.last_no, found.last_digest):
            found.problems.append(_problem(event, text))
        signature, expected = Signature(event["key_id"], event["signature"]), found.signed > 0
        if wrong := keys.problem("event", event["digest"], signature, expected=expected):
            found.problems.append(_problem(event, wrong))
        if signature.key_id is not None:
            found.signed += 1
            found.signed_from = found.signed_from or event["event_no"]
        with suppress(TypeError, ValueError):  # forged: its digest, or its signature, tells
            _note(found, event)
        found.last_no, found.last_digest = event["event_no"], event["digest"]
    return found.last_no > before


def _broken(event: Mapping[str, Any], before: int, digest: str | None) -> Iterator[str]:
    number = event["event_no"]
    if number != before + 1:
        yield f"{number - before - 1} before it are gone, from {before + 1} to {number - 1}"
    elif event["previous_digest"] != digest:
        yield "its link to the event before is broken: previous_digest is another one"
    if event_digest(event) != event["digest"]:
        yield "it was changed: its digest is not that of its content"


def _problem(event: Mapping[str, Any], text: str) -> Problem:
    number = event["event_no"]
    return Problem("audit", f"audit event {number}: {text}", table="audit_events", key=(number,))


def _note(found: AuditLog, event: Mapping[str, Any]) -> None:
    """Keep what is needed to judge seals."""
    action, number = event["action"], event["event_no"]
    if action == NOTICE:
        return
    told = _detail(event)
    found.ledger.apply_event(event, told)
    if action in ("add_model", "rename_model"):
        found.registered.setdefault(event["subject"], number)
    if action not in ("rename_model", "delete_model", "delete_session"):
        return
    model = str(told.get("old") if action == "rename_model" else event["subject"])
    if action == "rename_model":
        found.names.setdefault(model, set()).add(event["subject"])
    elif action == "delete_model":
        found.deleted_models[model] = int(told.get("last_seal_no") or 0)
    elif told.get("seal"):
        found.deleted[str(told["seal"])] = (number, event["subject"])
    if told.get("last_seal"):
        end = (number, model, int(told.get("last_seal_no") or 0), str(told["last_seal"]))
        found.ends.append(end)


def _detail(event: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = json.loads(event["detail"])
    except ValueError:  # it was changed, which is told where its digest is looked at
        return {}
    return found if isinstance(found, dict) else {}


def session_history(db: Database, connection: sa.Connection, session_id: str) -> SessionHistory:
    """Return what the audit trail tells of a session after its end."""
    e, found = db.schema.audit_events, SessionHistory()
    mine = sa.select(e.c.action, e.c.detail).where(e.c.subject == session_id[:255])
    for row in connection.execute(mine.order_by(e.c.event_no)):
        _tell(found, row.event_action, _detail({"detail": row.detail}))
    return found


def _tell(found: SessionHistory, action: str, told: dict[str, Any]) -> None:
    if action == "delete_session":
        found.deleted = True
    elif action == "restore_session":
        found.deleted = False
        found.left_out = tuple(told.get("left_out") or ())
        found.parent_left_out = told.get("parent_left_out")
        found.sealed_elsewhere = told.get("sealed_elsewhere") is not None
    elif action == "delete_scores":
        found.scores_deleted = told
    elif action == "export_scores":
        found.exported_at = instant(told.get("exported_at"))
    elif action == NOTICE and isinstance(told.get("notice_no"), int):
        found.notices[told["notice_no"]] = told


def instant(text: Any) -> dt.datetime | None:
    """Return the instant of an ISO text, None where it is none."""
    try:
        return dt.datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def head(db: Database) -> dict[str, Any]:
    """Return the ends of all chains: what is kept elsewhere shows later if an end was cut off."""
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
    limit: int | None = 100,
) -> pd.DataFrame:
    """Return events, newest first; notices only where they are asked for."""
    import pandas as pd

    c = db.schema.audit_events.c
    where = [] if actor is None else [c.actor == actor]
    where += [c.action != NOTICE] if action is None else [c.action == action]
    where += [] if since is None else [c.at >= since]
    rows = []
    for event in _pages(db, *where, newest=True):
        told = _detail(event)
        of_model = {event["subject"], told.get("model"), told.get("old")}
        of_session = {event["subject"], *(told.get(x) for x in ("session", "instead_of"))}
        of_session.add(told.get("rolled_back_from"))
        if model_id in {None, *of_model} and session_id in {None, *of_session}:
            rows.append([*(event[name] for name in SHOWN[:-1]), told])
        if limit is not None and len(rows) >= limit:
            break
    return pd.DataFrame(rows, columns=list(SHOWN))
