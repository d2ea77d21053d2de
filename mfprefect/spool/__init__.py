"""The spool: files of what a run could not write to its database; they survive a crash.

    <folder>/<database>/<session>.<attempt>/
        head.json       which session of which database, and how it was opened if it began here
        000001.json     one write after the other; each begins with the SHA-256 of the rest
        000001.blob     its model, or its part of scores (Parquet)
        end.json        how the run ended, with the digests of all writes: makes the entry complete
        .lock           held by the process that adds a write or delivers the entry
        .owner          held by the process that runs the session, for as long as it lives

A file gets its name when its content is on the disk, and never changes. Pure: opens no connection.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mfprefect.errors import SpoolUnusable
from mfprefect.spool.entry import HEAD, REMOVED, Entry, is_entry_file
from mfprefect.spool.files import entry_name, file_names, quote_session_id, total_size
from mfprefect.util.removal import remove_folder

__all__ = ["Place", "Spool"]


@dataclass(frozen=True)
class Place:
    """Which database an entry belongs to."""

    fingerprint: str
    """A digest of backend, host, database, schema and prefix."""
    shown: str
    """The database's address for people, without user and password."""


def _is_folder(path: Path) -> bool:
    with suppress(OSError):
        return stat.S_ISDIR(path.lstat().st_mode)
    return False


def _is_entry(path: Path) -> bool:
    """Say whether a path is an entry, or claims to be one, which is refused on delivery."""
    named = re.fullmatch(r"[^.].*\.[0-9]+", path.name) is not None
    if path.is_symlink():
        return named
    return _is_folder(path) and (named or (path / HEAD).exists())


class Spool:
    """A folder of entries, each one attempt of a session."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self.most_bytes = folder, most_bytes

    def entry(self, place: Place, session_id: str, attempt: int) -> Entry:
        """Return the entry of an attempt, whether it exists or not."""
        return Entry(self, self.folder / place.fingerprint / entry_name(session_id, attempt))

    def entries(self, place: Place | None = None) -> list[Entry]:
        """Return the entries of one database, or of all, oldest first.

        Empty folders are left out: a run could write nothing there, for example on a full disk.
        """
        folders = [place.fingerprint] if place else file_names(self.folder)
        entries = [entry for name in folders for entry in self._of(name) if not entry.empty]
        return sorted(entries, key=lambda entry: (entry.began, entry.folder.name))

    def _of(self, fingerprint: str) -> list[Entry]:
        folder = self.folder / fingerprint
        return [Entry(self, folder / n) for n in file_names(folder) if _is_entry(folder / n)]

    def foreign(self) -> list[Path]:
        """Return what is in the spool and was not written by mfprefect; it is passed over."""
        folders = [self.folder / name for name in file_names(self.folder)]
        inner = [f / n for f in folders if _is_folder(f) for n in file_names(f)]
        odd = [path for path in inner if not (_is_entry(path) or path.name.startswith(REMOVED))]
        return sorted([*odd, *(folder for folder in folders if not _is_folder(folder))])

    def attempts(self, place: Place, session_id: str) -> list[Entry]:
        """Return the entries of a session, first attempt first."""
        folder, start = self.folder / place.fingerprint, f"{quote_session_id(session_id)}."
        tails = [n.removeprefix(start) for n in file_names(folder) if n.startswith(start)]
        numbers = sorted((tail for tail in tails if tail.isdecimal()), key=int)
        return [Entry(self, folder / f"{start}{number}") for number in numbers]

    def clean(self, place: Place) -> None:
        """Remove empty entries, and what remains of entries that were delivered."""
        folder = self.folder / place.fingerprint
        if not _is_folder(folder):  # of a link, nothing is ours
            return
        for entry in self._of(place.fingerprint):
            if _is_folder(entry.folder) and entry.empty:
                entry.discard_empty()
        for name in file_names(folder):
            if name.startswith(REMOVED):
                remove_folder(folder / name, self.folder, is_entry_file)

    def used(self) -> int:
        """Return the bytes of all files."""
        return total_size(self.folder)

    def unusable(self) -> str | None:
        """Return why nothing can be written, None if it can; missing folders can be created."""
        folder = self.folder
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            return f"{folder} is not a folder"
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"no right to write to {folder}"
        return None

    @property
    def exposed(self) -> bool:
        """Whether users other than its owner can read or write the folder."""
        return self.folder.exists() and bool(self.folder.stat().st_mode & 0o077)

    def require(self, size: int) -> None:
        """Refuse a file that does not fit.

        Raises:
            SpoolUnusable: more than `most_bytes` would be used.
        """
        used = self.used()
        if used + size > self.most_bytes:
            raise SpoolUnusable(
                f"the spool {self.folder} is full: {used} of spool_max_bytes = {self.most_bytes} "
                f"bytes are used, and {size} more are needed. Deliver its sessions with "
                "`mfprefect spool push`, raise MFPREFECT_SPOOL_MAX_BYTES, or name a larger disk "
                "in MFPREFECT_SPOOL."
            )
