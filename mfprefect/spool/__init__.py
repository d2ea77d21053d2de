"""The spool: what a run could not write to its database, as files that outlive a crash.

    <folder>/<database>/<session>.<attempt>/
        head.json       which session of which database, and how it was opened if that was here
        000001.json     one write after the other; each begins with the SHA-256 of the rest
        000001.blob     its model, or its part of scores (Parquet)
        end.json        how the run ended, with the digests of all writes: makes the entry complete
        .lock           held by whoever adds a write or delivers the entry
        .owner          held by the process whose run this is, for as long as it lives

A file takes its name when its content is on the disk, and never changes. Pure: opens no connection.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from mfprefect.errors import SpoolUnusable
from mfprefect.spool.entry import GONE, Entry
from mfprefect.spool.files import bytes_of, entry_name, names, quoted

__all__ = ["Place", "Spool"]


@dataclass(frozen=True)
class Place:
    """Which database an entry belongs to."""

    fingerprint: str
    """A digest of backend, host, database and where its tables are."""
    shown: str
    """What people call it; no user, no password."""


class Spool:
    """A folder of entries, each one attempt of a session."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self.most_bytes = folder, most_bytes

    def entry(self, place: Place, session_id: str, attempt: int) -> Entry:
        """Return the entry of an attempt, whether it is there or not."""
        return Entry(self, self.folder / place.fingerprint / entry_name(session_id, attempt))

    def entries(self, place: Place | None = None) -> list[Entry]:
        """Return the entries of one database, or of all, in the order in which they began.

        A folder to which nothing could be written, as on a full disk, is none.
        """
        folders = [place.fingerprint] if place else names(self.folder)
        found = [entry for one in folders for entry in self._below(one) if not entry.empty]
        return sorted(found, key=lambda entry: (entry.began, entry.folder.name))

    def _below(self, fingerprint: str) -> list[Entry]:
        folder = self.folder / fingerprint
        return [Entry(self, folder / n) for n in names(folder) if not n.startswith(".")]

    def attempts(self, place: Place, session_id: str) -> list[Entry]:
        """Return the entries of a session, the first attempt first."""
        folder, start = self.folder / place.fingerprint, f"{quoted(session_id)}."
        mine = [n for n in names(folder) if n.startswith(start) and n[len(start) :].isdecimal()]
        return [Entry(self, folder / n) for n in sorted(mine, key=lambda n: int(n[len(start) :]))]

    def clean(self, place: Place) -> None:
        """Remove what is left of entries that were delivered, or never came to be."""
        for entry in self._below(place.fingerprint):
            if entry.empty:
                entry.discard_empty()
        for name in names(self.folder / place.fingerprint):
            if name.startswith(GONE):
                shutil.rmtree(self.folder / place.fingerprint / name, ignore_errors=True)

    def used(self) -> int:
        """Return the bytes of all files."""
        return bytes_of(self.folder)

    def unusable(self) -> str | None:
        """Return why nothing can be written, None where it can; what is missing can be made."""
        folder = self.folder
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            return f"{folder} is no folder"
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"no right to write to {folder}"
        return None

    @property
    def exposed(self) -> bool:
        """Whether others than its owner can read or write the folder."""
        return self.folder.exists() and bool(self.folder.stat().st_mode & 0o077)

    def require(self, size: int) -> None:
        """Refuse what does not fit.

        Raises:
            SpoolUnusable: more than `most_bytes` would be used.
        """
        used = self.used()
        if used + size > self.most_bytes:
            raise SpoolUnusable(
                f"the spool {self.folder} is full: {used} of spool_max_bytes = {self.most_bytes} "
                f"bytes are used, and {size} more are needed. Deliver what is there with "
                "`mfprefect spool push`, raise MFPREFECT_SPOOL_MAX_BYTES, or name a larger disk "
                "in MFPREFECT_SPOOL."
            )
