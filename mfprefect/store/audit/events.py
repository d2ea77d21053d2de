"""Writing audit events, each in the transaction of the change that it records."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import sqlalchemy as sa

from mfprefect.audit import event_digest, plain_row, summary
from mfprefect.schema import Schema
from mfprefect.store.database import Database
from mfprefect.store.held_rows import last_of_chain
from mfprefect.store.row_numbers import next_number
from mfprefect.util import values

__all__ = ["acting_as", "actor", "record", "row_digest"]

_person: ContextVar[str | None] = ContextVar("mfprefect_person", default=None)


@contextmanager
def acting_as(person: str) -> Iterator[None]:
    """Record a person as the actor of what this context writes, instead of the process's user.

    For servers that know who asks, such as the console.
    """
    token = _person.set(values.name(person, "the person"))
    try:
        yield
    finally:
        _person.reset(token)


def actor() -> str:
    """Return the person of `acting_as`, else this process's user, by name or uid."""
    import os

    if (person := _person.get()) is not None:
        return person
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def record(
    db: Database, connection: sa.Connection, action: str, subject: str, **detail: Any
) -> None:
    """Append an audit event, in the transaction of the change that it records."""
    events = db.schema.audit_events
    last = last_of_chain(db, connection, events.c.event_no, events.c.digest)
    event: dict[str, Any] = {
        "event_no": next_number(last.event_no if last else None, "an audit event"),
        "at": values.utc_now(),
        "actor": actor(),
        "action": action,
        "subject": subject[:255],
        "detail": values.json_text(detail, "the audit detail"),
        "previous_digest": last.digest if last else None,
    }
    digest = event_digest(event)
    signed = db.keyring.sign("event", digest)
    connection.execute(events.insert(), {**event, "digest": digest, **signed._asdict()})


def row_digest(schema: Schema, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an event's detail that identifies a written row: key and digest.

    Without the model's id and the session's number, which later changes may replace.
    """
    table = schema.tables[name]
    plain = plain_row(table, row)
    for column in ("model_id", "session_no"):
        plain.pop(column, None)
    key = [str(plain[c.name]) for c in table.primary_key if c.name in plain]
    return {"row": {"table": name, "key": key, "sha256": summary(name, (), [plain])["sha256"]}}
