"""The states of an entry of the spool."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["EntryState"]


class EntryState(StrEnum):
    """An entry is new, then complete; each delivery leaves it delivered, refused or waiting.

    The values are what `mfprefect spool` and `Store.push_spool` show.
    """

    NEW = "running"
    """Its run is writing to it, or another process is delivering it."""
    INTERRUPTED = "interrupted"
    """Its process died before the run ended."""
    COMPLETE = "complete"
    """Its run has ended; the entry never changes."""
    CORRUPT = "corrupt"
    """Its head or its ending cannot be read."""
    DELIVERED = "delivered"
    """The session is in the database."""
    WAITING = "waiting"
    """The database is away; the next delivery tries again."""
    REFUSED = "refused"
    """It stays until a person looks at it."""
    SUPERSEDED = "superseded"
    """A later attempt of its flow run replaced it."""
