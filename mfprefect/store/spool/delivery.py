"""Delivering what the spool holds: each entry once, however often that is begun.

While it is delivered, a session is a running one of the delivering process: killed, it ends as
`crashed` like any other, and is taken up again. Every write replaces what an earlier try wrote. The
transaction that ends the session also records in the audit trail that this entry was delivered:
whoever finds that there only has to remove the files.
"""

from __future__ import annotations

import logging
import platform
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
from mfprefect.store.database import Database, migrate
from mfprefect.store.handle import TAKEN_OVER, SessionHandle, find
from mfprefect.store.notifications import send
from mfprefect.store.spool.apply import apply
from mfprefect.store.spool.entry_import import EntryImport, StillRunning, Superseded
from mfprefect.store.spool.location import place_of, spool_of
from mfprefect.store.spool.validation import check
from mfprefect.store.states import NOT_IN_DATABASE

__all__ = [
    "DELIVERED",
    "INTERRUPTED",
    "REFUSED",
    "RUNNING_HERE",
    "WAITING",
    "Delivery",
    "deliver",
    "merge_worker_entry",
    "push",
    "state_of",
]

log = logging.getLogger(__name__)

DELIVERED, WAITING, REFUSED, SUPERSEDED = "delivered", "waiting", "refused", "superseded"
RUNNING_HERE, INTERRUPTED = "running", "interrupted"


@dataclass(frozen=True)
class Delivery:
    """What became of an entry."""

    session_id: str
    attempt: int
    model_id: str
    verdict: str
    """`delivered`; `waiting`: later, by itself; `running`; `refused`: somebody has to look;

    `superseded`: a later attempt of its flow run has replaced it.
    """
    reason: str
    status: str | None = None
    """How the session ended, once it is delivered."""
    session_no: int = NOT_IN_DATABASE


def push(db: Database, *, moved_from: str | None = None) -> list[Delivery]:
    """Deliver the entries of this database that nobody else does; return what became of each.

    Args:
        db: the database.
        moved_from: deliver the entries of this database instead, by its fingerprint: it has got
            another address meanwhile.
    """
    spool, place = spool_of(db.settings), place_of(db)
    if spool is None or place is None:
        return []
    if moved_from is not None:
        place = Place(moved_from, moved_from)
    spool.clean(place)
    found: list[Delivery] = []
    away: str | None = None
    for entry in spool.entries(place):
        if away is None:
            found.append(deliver(db, entry))
            away = found[-1].reason if found[-1].verdict == WAITING else None
        else:
            found.append(_delivery(entry, WAITING, away))
    return found


def deliver(db: Database, entry: Entry, *, own: bool = False) -> Delivery:
    """Deliver one entry; what goes wrong is told, and the entry stays.

    Args:
        db: the database.
        entry: the entry.
        own: whether the run is this process's own, which has just ended.
    """
    try:
        with entry.delivering() as mine:
            if not mine:
                return _delivery(entry, RUNNING_HERE, "another process writes to it or delivers it")
            if not own and (state := state_of(db.settings, entry)) == RUNNING_HERE:
                return _delivery(entry, state, "its run has not ended")
            return _delivered(db, entry)
    except Superseded as exc:
        return _delivery(entry, SUPERSEDED, str(exc))
    except StillRunning:
        return _delivery(entry, RUNNING_HERE, "its run goes on, and takes this up")
    except (OSError, MfprefectError) as exc:
        if isinstance(exc, SessionClosed) and exc.reason == TAKEN_OVER:
            return _delivery(entry, RUNNING_HERE, exc.reason)
        again = isinstance(exc, DatabaseError) and exc.transient
        return _delivery(entry, WAITING if again else REFUSED, str(exc))
    except Exception as exc:
        # Such as what another version wrote: one entry must not keep all runs from beginning.
        log.exception("the entry %s cannot be delivered", entry.folder)
        return _delivery(entry, REFUSED, f"it cannot be delivered: {type(exc).__name__}: {exc}")


def state_of(settings: Settings, entry: Entry) -> str:
    """Return `complete`, `running`, or `interrupted`: its process is gone before its end."""
    if entry.complete and not entry.alive:
        return "complete"
    if entry.alive:
        return RUNNING_HERE
    patience = 0.0
    if entry.detached:
        patience = settings.detached_timeout
    elif _of_another_machine(entry):  # whose locks may not be seen
        patience = settings.dead_after
    return RUNNING_HERE if entry.silence < patience else INTERRUPTED


def _of_another_machine(entry: Entry) -> bool:
    try:
        return bool(entry.head()["host"] != platform.node())
    except SpoolRefused:
        return False


def _delivery(entry: Entry, verdict: str, reason: str) -> Delivery:
    name, _, attempt = entry.folder.name.rpartition(".")
    number, model = int(attempt) if attempt.isdecimal() else 0, ""
    name = unquote(name)
    try:
        head = entry.head()
        name, model = str(head["session_id"]), str(head["model_id"])
    except SpoolRefused:  # the folder's name has to do
        pass
    return Delivery(name, number, model, verdict, reason)


def _delivered(db: Database, entry: Entry) -> Delivery:
    migrate.check_schema(db)
    head = entry.head()
    check(db, entry, head)
    parcel = EntryImport(db, entry, head)
    handle = db.write_transaction(parcel.claim, also_retry=IntegrityError)
    if handle is None:
        reason, number = "it had been delivered before", _number(db, head["session_id"])
    else:
        parcel.write(handle)
        parcel.close(handle)
        reason, number = "", handle.session_no
    entry.discard()
    # Also where the process that delivered it died before it could tell.
    send.session_ended(db, number, final=parcel.final)
    names = (head["session_id"], head["attempt"], head["model_id"])
    return Delivery(*names, DELIVERED, reason, str(parcel.ending.status), number)


def _number(db: Database, session_id: str) -> int:
    found = db.read_transaction(lambda connection: find(db, connection, session_id))
    return NOT_IN_DATABASE if found is None else found.session_no


def merge_worker_entry(db: Database, handle: SessionHandle, entry: Entry) -> None:
    """Write to a running session what other processes of its run have spooled meanwhile.

    Raises:
        DatabaseError: the entry stays.
        SpoolRefused: it is corrupt, and stays.
    """
    with entry.locked():
        if not entry.exists:
            return
        check(db, entry, entry.head())
        for write in entry.writes():
            apply(db, handle, write)
        entry.discard()
