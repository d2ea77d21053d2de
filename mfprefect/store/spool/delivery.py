"""Delivering the entries of the spool: each once, however often a delivery is interrupted.

Until it is delivered, a session is a running one of the delivering process: if that is killed, the
session becomes `crashed` like any other, and the next delivery continues it. Every write replaces
what an earlier try wrote. The transaction that ends the session also records the delivery in the
audit trail: a later delivery that reads this there only removes the files.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from urllib.parse import unquote

from mfprefect.errors import (
    DatabaseError,
    IntegrityError,
    MfprefectError,
    SessionClosed,
    SpoolRefused,
)
from mfprefect.settings import Settings
from mfprefect.spool import Place
from mfprefect.spool.entry import Entry
from mfprefect.spool.state import EntryState
from mfprefect.store.database import Database, migrate
from mfprefect.store.handle import TAKEN_OVER, SessionHandle, find
from mfprefect.store.notifications import send
from mfprefect.store.spool.apply import apply
from mfprefect.store.spool.claim import StillRunning, Superseded
from mfprefect.store.spool.document import open_document
from mfprefect.store.spool.entry_import import EntryImport
from mfprefect.store.spool.location import place_of, spool_of
from mfprefect.store.states import NOT_IN_DATABASE
from mfprefect.util import processes

__all__ = ["Delivery", "deliver", "merge_worker_entry", "push", "state_of"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Delivery:
    """The result of delivering an entry."""

    session_id: str
    attempt: int
    model_id: str
    verdict: str
    """A value of `EntryState`."""
    reason: str
    status: str | None = None
    """How the session ended, if it was delivered."""
    session_no: int = NOT_IN_DATABASE


def push(db: Database, *, moved_from: str | None = None) -> list[Delivery]:
    """Deliver the entries of this database that no other process has.

    Args:
        db: the database.
        moved_from: deliver the entries of the database with this fingerprint instead: it is this
            one under an earlier address.
    """
    spool, place = spool_of(db.settings), place_of(db)
    if spool is None or place is None:
        return []
    if moved_from is not None:
        place = Place(moved_from, moved_from)
    spool.clean(place)
    deliveries: list[Delivery] = []
    database_away: str | None = None
    for entry in spool.entries(place):
        if database_away is None:
            delivery = deliver(db, entry)
            if delivery.verdict == EntryState.WAITING:
                database_away = delivery.reason
        else:
            delivery = _undelivered(entry, EntryState.WAITING, database_away)
        deliveries.append(delivery)
    return deliveries


def deliver(db: Database, entry: Entry, *, by_its_run: bool = False) -> Delivery:
    """Deliver one entry; errors become the verdict, and the entry stays.

    Args:
        db: the database.
        entry: the entry.
        by_its_run: whether this process ran the session, which has just ended.
    """
    try:
        with entry.delivering() as locked:
            if not locked:
                reason = "another process writes to it or delivers it"
                return _undelivered(entry, EntryState.NEW, reason)
            if not by_its_run and state_of(db.settings, entry) == EntryState.NEW:
                return _undelivered(entry, EntryState.NEW, "its run has not ended")
            return _import(db, entry)
    except Superseded as exc:
        return _undelivered(entry, EntryState.SUPERSEDED, str(exc))
    except StillRunning:
        return _undelivered(entry, EntryState.NEW, "its run continues, and delivers it")
    except (OSError, MfprefectError) as exc:
        return _undelivered(entry, _state_after(exc), str(exc))
    except Exception as exc:
        # For example, another version wrote it: one entry must not keep all runs from opening.
        log.exception("the entry %s cannot be delivered", entry.folder)
        reason = f"it cannot be delivered: {type(exc).__name__}: {exc}"
        return _undelivered(entry, EntryState.REFUSED, reason)


def _state_after(exc: Exception) -> EntryState:
    if isinstance(exc, SessionClosed) and exc.reason == TAKEN_OVER:
        return EntryState.NEW
    if isinstance(exc, DatabaseError) and exc.transient:
        return EntryState.WAITING
    return EntryState.REFUSED


def state_of(settings: Settings, entry: Entry) -> EntryState:
    """Return whether an entry is new, interrupted or complete."""
    if entry.alive:
        return EntryState.NEW
    if entry.complete:
        return EntryState.COMPLETE
    patience = 0.0
    if entry.detached:
        patience = settings.detached_timeout
    elif _is_of_another_machine(entry):  # this one may not see its locks
        patience = settings.dead_after
    return EntryState.NEW if entry.silence < patience else EntryState.INTERRUPTED


def _is_of_another_machine(entry: Entry) -> bool:
    try:
        head = entry.head()
    except SpoolRefused:
        return False
    return not processes.on_this_machine(head.host, head.process_key)


def _undelivered(entry: Entry, state: EntryState, reason: str) -> Delivery:
    try:
        head = entry.head()
    except SpoolRefused:  # the folder's name has to do
        name, _, tail = entry.folder.name.rpartition(".")
        attempt = int(tail) if tail.isdecimal() else 0
        return Delivery(unquote(name), attempt, "", state.value, reason)
    return Delivery(head.session_id, head.attempt, head.model_id, state.value, reason)


def _import(db: Database, entry: Entry) -> Delivery:
    migrate.check_schema(db)
    with open_document(db, entry) as document:
        arriving = EntryImport(db, entry, document)
        handle = db.write_transaction(arriving.claim, also_retry=IntegrityError)
        if handle is not None:
            arriving.write(handle)
            arriving.close(handle)
    head = document.head
    number = _session_no(db, head.session_id) if handle is None else handle.session_no
    reason = "it had been delivered before" if handle is None else ""
    entry.discard()
    # Also if the process that delivered it died before it could notify.
    send.session_ended(db, number, final=arriving.final)
    return Delivery(
        head.session_id,
        head.attempt,
        head.model_id,
        EntryState.DELIVERED.value,
        reason,
        str(arriving.outcome.status),
        number,
    )


def _session_no(db: Database, session_id: str) -> int:
    session = db.read_transaction(lambda connection: find(db, connection, session_id))
    return NOT_IN_DATABASE if session is None else session.session_no


def merge_worker_entry(db: Database, handle: SessionHandle, entry: Entry) -> None:
    """Write to a running session what other processes of its run have spooled.

    Raises:
        DatabaseError: the entry stays.
        SpoolRefused: it is corrupt, and stays.
    """
    with entry.locked():
        if not entry.exists:
            return
        with open_document(db, entry) as document:
            for write in document.writes():
                apply(db, handle, document, write)
        entry.discard()
