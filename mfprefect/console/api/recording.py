"""The answer of a request that writes, recorded in the transaction of the write."""

from __future__ import annotations

from typing import Any

from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle, session_closed_error
from mfprefect.store.idempotency import Answer, KeyedRequest, record
from mfprefect.store.lookup import find_session, require_session
from mfprefect.store.states import Status
from mfprefect.util import values

__all__ = ["Recording", "running"]


def running(db: Database, session_id: str) -> SessionHandle:
    """Return a running session.

    Raises:
        UnknownSession: there is no such session.
        SessionClosed: it has ended.
    """
    session_id = values.name(session_id, "the session", 96)
    handle = find_session(db, session_id)
    if handle.status != Status.RUNNING and db.backend.reads_uncommitted:
        # Who ends it may not have committed that, nor the answer to the same request: wait for it.
        handle = db.write_transaction(lambda tx, _: require_session(db, tx, session_id))
    if handle.status != Status.RUNNING:
        raise session_closed_error(handle)
    return handle


class Recording:
    """The answer of a request, for the transaction that records it."""

    def __init__(self, db: Database, key: KeyedRequest | None, session_id: str) -> None:
        self._db, self._key, self._session_id = db, key, session_id
        self.answer = Answer(200, {"session_id": session_id}, session_id)

    def set(self, **members: Any) -> Answer:
        """Set the members of the answer beside the session's id."""
        body = {"session_id": self._session_id, **members}
        self.answer = Answer(200, body, self._session_id)
        return self.answer

    def __call__(self, connection: Any) -> None:
        """Record the answer."""
        record(self._db, connection, self._key, self.answer)
