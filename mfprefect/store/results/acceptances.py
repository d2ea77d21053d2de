"""Accepted checks: a person's word that a check may fail, in the audit trail.

An acceptance names a failed check and column of a session, says why, and holds for the model's
sessions of the same purpose, as long as they are compared with the same training session: until the
next training succeeds, or another model scores. The trail is the only record, so an acceptance is
chained and signed like a promotion, and nothing can change it without a trace.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from mfprefect.errors import IntegrityError, InvalidValue
from mfprefect.quality.checks.result import ACCEPTED, is_open, label
from mfprefect.store.audit.events import record
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.held_rows import WITHOUT_LOCK
from mfprefect.store.lookup import find_session, require_model
from mfprefect.store.models.stages import PRODUCTION, stage_now
from mfprefect.store.results import frames
from mfprefect.store.states import REPRODUCES, Purpose
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ACCEPT", "WITHDRAW", "accept", "accepted_frame", "accepted_rows", "withdraw"]

ACCEPT, WITHDRAW = "accept_check", "withdraw_acceptance"
"""Actions of the audit trail, about a model."""
ACTIONS = (ACCEPT, WITHDRAW, "add_model", "delete_model", "rename_model")
Key = tuple[str, str | None]
Row = dict[str, Any]


@dataclass(frozen=True)
class Acceptance:
    """One acceptance: a failed check that may fail again."""

    acceptance_no: int
    """The number of its audit event."""
    accepted_at: dt.datetime
    accepted_by: str
    purpose: str
    check: str
    column: str | None
    reason: str
    session_id: str
    """The session where the check failed."""
    training_session_id: str | None
    """What that session was compared with, None if the model had no training session."""
    until: dt.date | None
    """The last day on which it holds (UTC); None: no limit."""
    state: str = "active"
    """`active`, `expired`, `ended`, `replaced` by a newer one, or `withdrawn`."""
    state_reason: str = ""

    @property
    def key(self) -> Key:
        """The check and column that it is about."""
        return self.check, self.column

    @property
    def scope(self) -> tuple[Any, ...]:
        """What it is about, and the sessions that it holds for."""
        return self.purpose, self.training_session_id, self.key


def accept(
    db: Database,
    session_id: str,
    check: str,
    column: str | None,
    reason: str,
    until: dt.date | str | None,
) -> tuple[str, list[int]]:
    """Accept the failures of a check in a session; return the model and the acceptances' numbers.

    Raises:
        UnknownSession: there is no such session.
        InvalidValue: no such check failed in it, `until` is past, or there is no reason.
    """
    reason = _reason(reason)
    day = values.as_date(until, "until")
    if day is not None and day < values.utc_now().date():
        raise InvalidValue(f"until = {day} is past; choose a day from today (UTC) on.")
    handle = find_session(db, session_id)
    failed = _failed(db, handle, check, column)
    common = {
        "session": session_id,
        "purpose": handle.purpose,
        "training_session": _compared_with(db, handle, before=True),
        "reason": reason,
        "until": None if day is None else day.isoformat(),
    }

    def work(connection: sa.Connection, _: bool) -> list[int]:
        require_model(db, connection, handle.model_id)
        for row in failed:
            found_by_check = {name: row[name] for name in ("check", "column", "message")}
            failing = {"severity": row["severity"], "failing_rows": row["failing_rows"]}
            detail = common | found_by_check | failing
            record(db, connection, ACCEPT, handle.model_id, **detail)
        events = db.schema.audit_events.c
        newest = sa.select(sa.func.max(events.event_no))  # which this transaction wrote
        last = connection.scalar(newest, execution_options=WITHOUT_LOCK) or 0
        return list(range(last - len(failed) + 1, last + 1))

    return handle.model_id, db.write_transaction(work, also_retry=IntegrityError)


def _reason(text: str) -> str:
    if not values.text(text, "the reason").strip():
        raise InvalidValue("the reason is empty; say why, for those who will ask.")
    return text


def _failed(db: Database, handle: SessionHandle, check: str, column: str | None) -> list[Row]:
    """Return the failed results to accept, one for each column."""
    c = db.schema.check_results.c
    names = ("check", "column", "severity", "passed", "failing_rows", "message")
    select = sa.select(*(c[name].label(name) for name in names))
    select = select.where(c.session_no == handle.session_no).order_by(c.check_no)
    rows = [dict(row._mapping) for row in db.fetch_all(select)]
    failed = [row for row in rows if is_open(row)]
    chosen = [
        row
        for row in failed
        if check in (row["check"], label(row)) and column in (None, row["column"])
    ]
    if not chosen:
        wanted = label({"check": check, "column": column})
        choices = ", ".join(dict.fromkeys(map(label, failed))) or "none"
        raise InvalidValue(
            f"the check {wanted} did not fail in session {handle.session_id!r}; failed checks: "
            f"{choices}."
        )
    return list({row["column"]: row for row in chosen}.values())


def withdraw(db: Database, model_id: str, acceptance_no: int, reason: str) -> None:
    """Withdraw an acceptance: from now on, the check fails again.

    Raises:
        UnknownModel: the model does not exist.
        InvalidValue: the model has no such acceptance, it is withdrawn, or there is no reason.
    """
    reason = _reason(reason)

    def work(connection: sa.Connection, _: bool) -> None:
        require_model(db, connection, model_id)
        acceptances = {a.acceptance_no: a for a in _acceptances(db, connection, model_id)}
        acceptance = acceptances.get(acceptance_no)
        if acceptance is None:
            numbers = ", ".join(map(str, acceptances)) or "none"
            raise InvalidValue(
                f"model {model_id!r} has no acceptance {acceptance_no}; it has: {numbers}."
            )
        if acceptance.state == "withdrawn":
            raise InvalidValue(
                f"acceptance {acceptance_no} was withdrawn already: {acceptance.state_reason}."
            )
        detail = {"acceptance_no": acceptance_no, "session": acceptance.session_id}
        detail |= {"check": acceptance.check, "column": acceptance.column, "reason": reason}
        record(db, connection, WITHDRAW, model_id, **detail)

    db.write_transaction(work, also_retry=IntegrityError)


def accepted_rows(db: Database, handle: SessionHandle, rows: Sequence[Row]) -> list[Row]:
    """Return the results of checks, failed ones as accepted where a person accepted that."""
    if not any(is_open(row) for row in rows):
        return list(rows)
    texts = _in_force(db, handle)
    return [_accepted(row, texts.get((row["check"], row["column"]))) for row in rows]


def _accepted(row: Row, text: str | None) -> Row:
    if text is None or not is_open(row):
        return row
    return row | {"severity": ACCEPTED, "message": f"{row['message']}; {text}"}


def _in_force(db: Database, handle: SessionHandle) -> dict[Key, str]:
    """Return what a session's messages say of each accepted check."""
    if handle.purpose == Purpose.ADHOC and (original := _reproduced(db, handle)) is not None:
        return original
    compared = _compared_with(db, handle)
    today = values.utc_now().date()
    acceptances = db.read_transaction(
        lambda connection: _acceptances(db, connection, handle.model_id)
    )
    return {
        a.key: f"accepted by {a.accepted_by} on {a.accepted_at:%Y-%m-%d}"
        f"{f' until {a.until}' if a.until else ''}: {a.reason} (acceptance {a.acceptance_no})"
        for a in acceptances
        if (a.state, a.scope) == ("active", (handle.purpose, compared, a.key))
        and (a.until is None or today <= a.until)
    }


def _reproduced(db: Database, handle: SessionHandle) -> dict[Key, str] | None:
    """Return what the original of a reproduction accepted; None for any other session."""
    s, c = db.schema.sessions, db.schema.check_results
    params = db.fetch_all(sa.select(s.c.params).where(s.c.session_no == handle.session_no))
    original = json.loads(params[0].params).get(REPRODUCES) if params else None
    if original is None:
        return None
    select = (
        sa.select(c.c.check.label("check"), c.c.column.label("column"))
        .join_from(c, s, s.c.session_no == c.c.session_no)
        .where(s.c.session_id == original, c.c.severity == ACCEPTED)
    )
    return {(row.check, row.column): f"accepted in {original}" for row in db.fetch_all(select)}


def _compared_with(db: Database, handle: SessionHandle, *, before: bool = False) -> str | None:
    """Return the training session that a session's data are compared with."""
    if handle.parent_session_id is not None:
        return handle.parent_session_id
    limit = handle.session_no if before else None
    return frames.latest_training(db, handle.model_id, before=limit)


class _Event(NamedTuple):
    """An event of the audit trail."""

    event_no: int
    at: dt.datetime
    actor: str
    action: str
    detail: dict[str, Any]


def _events(
    db: Database, connection: sa.Connection, model_id: str, before: int | None
) -> list[_Event]:
    """Return the events about a model, oldest first, also from under its earlier names."""
    e = db.schema.audit_events.c
    select = sa.select(e.event_no, e.at, e.actor, e.action, e.detail)
    select = select.where(e.subject == model_id, e.action.in_(ACTIONS)).order_by(e.event_no)
    if before is not None:
        select = select.where(e.event_no < before)
    events: list[_Event] = []
    for row in connection.execute(select).all():
        event_no, at, actor, action, detail = row
        event = _Event(event_no, at, actor, action, json.loads(detail))
        if event.action in ("add_model", "delete_model"):
            events = []  # of another model that had this name
        elif event.action == "rename_model":
            events = _events(db, connection, event.detail["old"], event.event_no)
        else:
            events.append(event)
    return events


def _acceptances(db: Database, connection: sa.Connection, model_id: str) -> list[Acceptance]:
    """Return a model's acceptances, oldest first: active, replaced or withdrawn."""
    by_number: dict[int, Acceptance] = {}
    for event in _events(db, connection, model_id, None):
        if event.action == WITHDRAW:
            number = event.detail["acceptance_no"]
            text = f"by {event.actor} on {event.at:%Y-%m-%d}: {event.detail['reason']}"
            by_number[number] = replace(by_number[number], state="withdrawn", state_reason=text)
            continue
        acceptance = _acceptance(event)
        for number in _replaced(by_number, acceptance):
            text = f"by acceptance {acceptance.acceptance_no}"
            by_number[number] = replace(by_number[number], state="replaced", state_reason=text)
        by_number[acceptance.acceptance_no] = acceptance
    return list(by_number.values())


def _replaced(by_number: Mapping[int, Acceptance], newer: Acceptance) -> list[int]:
    return [
        number
        for number, older in by_number.items()
        if (older.state, older.scope) == ("active", newer.scope)
    ]


def _acceptance(event: _Event) -> Acceptance:
    detail = event.detail
    until = detail["until"]
    return Acceptance(
        event.event_no,
        event.at,
        event.actor,
        detail["purpose"],
        detail["check"],
        detail["column"],
        detail["reason"],
        detail["session"],
        detail["training_session"],
        None if until is None else dt.date.fromisoformat(until),
    )


def accepted_frame(db: Database, model_id: str) -> pd.DataFrame:
    """Return a model's acceptances with their state, newest first.

    Raises:
        UnknownModel: the model does not exist.
    """
    import pandas as pd

    def work(connection: sa.Connection) -> list[Acceptance]:
        require_model(db, connection, model_id)
        return _acceptances(db, connection, model_id)

    acceptances = db.read_transaction(work)
    latest = frames.latest_training(db, model_id)
    stage = stage_now(db, model_id)
    scoring = stage[1] if stage is not None and stage[0] == PRODUCTION else latest
    current = {Purpose.SCORE.value: scoring}
    rows = [_judged(a, current.get(a.purpose, latest)) for a in reversed(acceptances)]
    columns = list(Acceptance.__dataclass_fields__)
    # dtype=object keeps None.
    cells = {
        name: pd.Series([getattr(row, name) for row in rows], dtype=object) for name in columns
    }
    return pd.DataFrame(cells)


def _judged(acceptance: Acceptance, compared: str | None) -> Acceptance:
    """Return an acceptance with its state today.

    Args:
        acceptance: active, replaced or withdrawn.
        compared: the training session that the next run of its purpose is compared with.
    """
    if acceptance.state != "active":
        return acceptance
    if acceptance.training_session_id != compared:
        verb = "scores" if acceptance.purpose == Purpose.SCORE else "is the last training"
        return replace(acceptance, state="ended", state_reason=f"{compared} {verb} now")
    if acceptance.until is not None and acceptance.until < values.utc_now().date():
        return replace(acceptance, state="expired", state_reason=f"on {acceptance.until}")
    return acceptance
