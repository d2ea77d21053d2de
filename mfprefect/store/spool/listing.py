"""What is in the spool, and whether it can be delivered; opens no connection."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from mfprefect.errors import ConfigurationError, SpoolRefused
from mfprefect.spool import Spool
from mfprefect.spool.documents import Ending, Head
from mfprefect.spool.entry import Entry
from mfprefect.spool.state import EntryState
from mfprefect.store.database import Database
from mfprefect.store.spool.delivery import state_of
from mfprefect.store.spool.document import open_document
from mfprefect.store.spool.location import place_of, spool_of

__all__ = ["SpoolEntryInfo", "problem", "require_spool", "waiting"]


@dataclass(frozen=True)
class SpoolEntryInfo:
    """An entry of the spool."""

    session_id: str
    attempt: int
    model_id: str | None
    purpose: str | None
    state: str
    """`complete`, `running`, `interrupted` (its process died), or `corrupt`."""
    ended: str | None
    """The status that the run ended with."""
    began_at: str | None
    ended_at: str | None
    bytes: int
    database: str | None
    """The database that it belongs to, without user and password."""
    fingerprint: str
    here: bool
    """Whether that is the database of the settings."""
    folder: str


def require_spool(db: Database) -> Spool:
    """Return the spool of the settings.

    Raises:
        ConfigurationError: it is off.
    """
    spool = spool_of(db.settings)
    if spool is None:
        raise ConfigurationError("the spool is off: MFPREFECT_SPOOL is 'off'; name a folder in it.")
    return spool


def waiting(db: Database) -> list[tuple[Entry, SpoolEntryInfo]]:
    """Return the entries of all databases, oldest first.

    Raises:
        ConfigurationError: the spool is off.
    """
    place = place_of(db)
    fingerprint = place.fingerprint if place else ""
    return [(entry, _info(db, entry, fingerprint)) for entry in require_spool(db).entries()]


def _info(db: Database, entry: Entry, fingerprint_here: str) -> SpoolEntryInfo:
    name, _, tail = entry.folder.name.rpartition(".")
    fingerprint = entry.folder.parent.name
    head, ending, state = _outline(db, entry)
    return SpoolEntryInfo(
        session_id=head.session_id if head else unquote(name),
        attempt=int(tail) if tail.isdecimal() else 0,
        model_id=head.model_id if head else None,
        purpose=head.purpose if head else None,
        state=state.value,
        ended=ending.status if ending else None,
        began_at=head.began_at if head else None,
        ended_at=ending.ended_at if ending else None,
        bytes=entry.size,
        database=head.database if head else None,
        fingerprint=fingerprint,
        here=fingerprint == fingerprint_here,
        folder=str(entry.folder),
    )


def _outline(db: Database, entry: Entry) -> tuple[Head | None, Ending | None, EntryState]:
    try:
        head = entry.head()
        ending, _ = entry.ending() or (None, "")
        return head, ending, state_of(db.settings, entry)
    except SpoolRefused:
        return None, None, EntryState.CORRUPT


def problem(db: Database, entry: Entry) -> str | None:
    """Read and check every byte of an entry; return why it cannot be delivered, None if it can."""
    try:
        with open_document(db, entry):
            return None
    except SpoolRefused as exc:
        return str(exc)
