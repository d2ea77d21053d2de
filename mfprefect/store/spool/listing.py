"""What waits in the spool, and whether it is sound; no connection is needed to tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from mfprefect.errors import ConfigurationError, SpoolRefused
from mfprefect.spool import Spool
from mfprefect.spool.entry import Entry
from mfprefect.store.database import Database
from mfprefect.store.spool import delivery
from mfprefect.store.spool.location import place_of, spool_of
from mfprefect.store.spool.validation import check

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
    """How the run ended."""
    began_at: str | None
    ended_at: str | None
    bytes: int
    database: str | None
    """Which one it belongs to, without user or password."""
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
    """Return the entries of all databases, in the order in which they began.

    Raises:
        ConfigurationError: the spool is off.
    """
    place = place_of(db)
    mine = place.fingerprint if place else ""
    return [(entry, _described(db, entry, mine)) for entry in require_spool(db).entries()]


def _described(db: Database, entry: Entry, mine: str) -> SpoolEntryInfo:
    name, _, attempt = entry.folder.name.rpartition(".")
    head: dict[str, Any] = {}
    ending: dict[str, Any] = {}
    try:
        head, ending = entry.head(), entry.ending() or {}
        state = delivery.state_of(db.settings, entry)
    except SpoolRefused:
        state = "corrupt"
    fingerprint = entry.folder.parent.name
    return SpoolEntryInfo(
        session_id=head.get("session_id") or unquote(name),
        attempt=int(attempt) if attempt.isdecimal() else 0,
        model_id=head.get("model_id"),
        purpose=head.get("purpose"),
        state=state,
        ended=ending.get("status"),
        began_at=head.get("began_at"),
        ended_at=ending.get("ended_at"),
        bytes=entry.size,
        database=head.get("database"),
        fingerprint=fingerprint,
        here=fingerprint == mine,
        folder=str(entry.folder),
    )


def problem(db: Database, entry: Entry) -> str | None:
    """Read every byte of an entry; return why it cannot be delivered, None if it is sound."""
    try:
        check(db, entry, entry.head())
    except SpoolRefused as exc:
        return str(exc)
    return None
