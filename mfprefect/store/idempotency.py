"""Requests that may be sent again: each key is answered once, with its first answer.

The answer is written in the transaction of the write that it is about. So either both exist, and
the retried request gets that answer; or neither, and the retried request is the first one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import IntegrityError, InvalidValue, MfprefectError
from mfprefect.store.database import Database
from mfprefect.store.held_rows import WITHOUT_LOCK, is_committed
from mfprefect.util import values

__all__ = ["Answer", "KeyReused", "KeyedRequest", "once", "record", "remove_old", "reserve"]


@dataclass(frozen=True)
class Answer:
    """What a request was answered."""

    status: int
    body: Mapping[str, Any]
    session_id: str | None = None
    """The session that it opened or wrote to."""
    repeated: bool = False
    """Whether an earlier request of the same key was answered so."""


@dataclass(frozen=True)
class KeyedRequest:
    """A request and its key."""

    key_digest: str
    request_digest: str
    actor: str

    @classmethod
    def of(cls, actor: str, key: str, *parts: str) -> KeyedRequest:
        """Return a request.

        Args:
            actor: who sent it; others may use the same key.
            key: the key that it came with.
            parts: what makes it another request: method, path, query, digest of the body.
        """
        return cls(_digest(actor, key), _digest(*parts), actor)


class KeyReused(InvalidValue):
    """The key belongs to another request."""

    def __init__(self) -> None:
        super().__init__(
            "this Idempotency-Key came with another request before; make a new key for each "
            "request, and use the same one only to send the same request again."
        )


class _Repeated(Exception):
    """Another request of the same key was answered meanwhile."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def _digest(*parts: str) -> str:
    # Lengths first: no two lists of parts give the same text.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def once(db: Database, request: KeyedRequest | None, work: Callable[[], Answer]) -> Answer:
    """Return what the key was answered, or `work()`, which records its answer by `record`.

    Args:
        db: the database.
        request: None for a request without a key.
        work: does the request.

    Raises:
        KeyReused: the key belongs to another request.
    """
    if request is None:
        return work()
    if (answer := _answered(db, request)) is not None:
        return answer
    try:
        return work()
    except _Repeated as exc:
        return exc.answer
    except MfprefectError:
        # The same request may have closed the session, for example, while this one waited.
        if (answer := _answered(db, request)) is not None:
            return answer
        raise


def _answered(db: Database, request: KeyedRequest) -> Answer | None:
    rows = db.fetch_all(_select(db, request))
    return _answer_of(rows[0], request) if rows else None


def _select(db: Database, request: KeyedRequest) -> sa.Select[*tuple[Any, ...]]:
    table = db.schema.idempotency_keys
    return sa.select(table).where(table.c.key_digest == request.key_digest)


def _answer_of(row: Any, request: KeyedRequest) -> Answer | None:
    """Return the recorded answer, None if the request was begun alone."""
    if row.request_digest != request.request_digest:
        raise KeyReused
    if row.answered_at is None:
        return None
    return Answer(row.answer_status, json.loads(row.answer), row.session_id, repeated=True)


def record(
    db: Database, connection: sa.Connection, request: KeyedRequest | None, answer: Answer
) -> None:
    """Write the answer, in the transaction of what it is about; undo all if there is one already.

    Raises:
        IntegrityError: the same request is being answered; try the transaction again.
    """
    if request is None:
        return
    table, now = db.schema.idempotency_keys, values.utc_now()
    columns = {
        "answered_at": now,
        "answer_status": answer.status,
        "answer": values.json_text(answer.body, "the answer"),
        "session_id": answer.session_id,
    }
    row = _stored(db, connection, request)
    if row is None:
        first = {"detail": None, "created_at": now}
        connection.execute(table.insert(), {**vars(request), **first, **columns})
        return
    if (earlier := _answer_of(row, request)) is not None:
        raise _Repeated(earlier)
    same = table.c.key_digest == request.key_digest
    connection.execute(table.update().where(same, table.c.answered_at.is_(None)), columns)


def _stored(db: Database, connection: sa.Connection, request: KeyedRequest) -> Any:
    row = connection.execute(_select(db, request), execution_options=WITHOUT_LOCK).first()
    column = db.schema.idempotency_keys.c.key_digest
    if row is None or not is_committed(db, connection, column, request.key_digest):
        return None
    return row


def reserve(
    db: Database, request: KeyedRequest | None, session_id: str, detail: Mapping[str, Any]
) -> dict[str, Any]:
    """Note what a request of several transactions fixes before its first one; return what holds.

    The same request, sent again after the server died, gets what the first one had fixed.
    """
    if request is None:
        return dict(detail)

    def work(connection: sa.Connection, _: bool) -> dict[str, Any]:
        row = _stored(db, connection, request)
        if row is not None:
            if (answer := _answer_of(row, request)) is not None:
                raise _Repeated(answer)
            return dict(json.loads(row.detail or "{}"))
        new = {
            "session_id": session_id,
            "detail": values.json_text(detail, "the detail"),
            "created_at": values.utc_now(),
            **dict.fromkeys(("answered_at", "answer_status", "answer")),
        }
        connection.execute(db.schema.idempotency_keys.insert(), {**vars(request), **new})
        return dict(detail)

    return db.write_transaction(work, also_retry=IntegrityError)


def remove_old(db: Database, before: dt.datetime) -> int:
    """Delete the keys of requests that came before an instant; return their number."""
    table = db.schema.idempotency_keys

    def work(connection: sa.Connection, _: bool) -> int:
        return connection.execute(table.delete().where(table.c.created_at < before)).rowcount

    return db.write_transaction(work)
