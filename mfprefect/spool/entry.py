"""One entry of the spool: an attempt of a session, as its writes and its ending."""

from __future__ import annotations

import os
import re
import secrets
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from mfprefect.errors import SpoolRefused, SpoolUnusable
from mfprefect.spool.documents import (
    FORMAT,
    Ending,
    Head,
    Write,
    parse_ending,
    parse_head,
    parse_write,
)
from mfprefect.spool.files import (
    MODE,
    encode_document,
    file_names,
    parse_document,
    read_document,
    require_trusted,
    total_size,
)
from mfprefect.spool.locks import hold, is_held, lock_in_folder
from mfprefect.util.files import atomic_file, sync_folder
from mfprefect.util.removal import remove_folder, rename_below

__all__ = ["HEAD", "REMOVED", "Entry", "is_entry_file"]

HEAD, END, LOCK, OWNER, DETACHED = "head.json", "end.json", ".lock", ".owner", ".detached"
REMOVED = ".delivered"
"""How the names of entries begin whose files are being removed."""
_ENTRY_FILE = re.compile(
    r"head\.json|end\.json|[0-9]{6,}\.(json|blob)|\.lock|\.owner|\.detached|\.seen\.[0-9a-f]+"
    r"|\.[0-9a-f]+\.part"
)
RESERVED = 256 * 1024
"""Bytes of the limit that only the ending of a run may use: it is small, and must get through."""


class SpoolFolder(Protocol):
    """The part of a `Spool` that its entries use."""

    folder: Path

    def require(self, size: int) -> None:
        """Raise SpoolUnusable unless that many bytes may be added."""


class Entry:
    """One attempt of a session: what it wrote, and how it ended."""

    def __init__(self, spool: SpoolFolder, folder: Path) -> None:
        self.spool, self.folder = spool, folder
        self._owner: int | None = None

    # Writing

    def begin(self, head: Mapping[str, Any], *, owner: bool) -> None:
        """Create the entry, unless it exists.

        Args:
            head: the fields of `Head`.
            owner: whether this process runs the session; no other process delivers the entry while
                it lives.

        Raises:
            SpoolUnusable: the folder cannot be written, or the spool is full.
        """
        with self._usable(), self.locked():
            try:
                require_trusted(self.folder, self.spool.folder)
            except SpoolRefused as exc:
                raise PermissionError(str(exc)) from exc
            if owner and self._owner is None:
                self._owner = hold(self.folder / OWNER)
                _owners.add(self)
            try:
                if not self.exists:
                    self._put(HEAD, [encode_document({"format": FORMAT, **head})])
            except BaseException:
                self.release()  # another object tries again
                raise

    def add(
        self, content: Mapping[str, Any], blob: Iterable[bytes] | None = None, size: int = 0
    ) -> None:
        """Append a write; it is on the disk when this returns.

        Args:
            content: the write, with its `op`.
            blob: the bytes of the file that belongs to it.
            size: how many bytes that are.

        Raises:
            SpoolUnusable: it does not fit, or the folder cannot be written.
            SpoolRefused: the run has ended.
        """
        with self._usable(), self.locked():
            if self.complete:
                raise SpoolRefused(f"{self.folder} takes no more writes: the run has ended.")
            if not self.exists:
                raise FileNotFoundError(f"{self.folder / HEAD} is gone")
            number = f"{self._last_number() + 1:06d}"
            content = dict(content)
            if blob is not None:
                self.spool.require(size + RESERVED)
                content["sha256"], content["size"] = self._put(f"{number}.blob", blob)
            document = encode_document(content)
            self.spool.require(len(document) + RESERVED)
            self._put(f"{number}.json", [document])

    def finish(self, ending: Mapping[str, Any]) -> None:
        """Write how the run ended: the entry is complete, and never changes again.

        Raises:
            SpoolUnusable: the folder cannot be written, or the spool is full.
        """
        with self._usable(), self.locked():
            writes = {name: self._listed_digest(name) for name in self._write_names()}
            document = encode_document({**ending, "writes": writes})
            self.spool.require(len(document))
            self._put(END, [document])

    def detach(self) -> None:
        """Record that no process holds the session: a script continues and ends it."""
        with self._usable(), self.locked():
            self._put(DETACHED, [])
        self.release()

    def sign(self) -> str:
        """Leave a file whose name nobody else can have made; return its path."""
        path = self.folder / f".seen.{secrets.token_hex(8)}"
        with self._usable(), self.locked():
            self._put(path.name, [])
        return str(path)

    def beat(self) -> None:
        """Show other machines, which may not see the lock, that the run is alive."""
        with suppress(OSError):
            os.utime(self.folder / OWNER)

    def release(self) -> None:
        """Let other processes deliver the entry."""
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise SpoolUnusable(
                f"the spool {self.spool.folder} cannot be written: {exc}. Free space or give the "
                "right to write there, or name another folder in MFPREFECT_SPOOL."
            ) from exc

    def _put(self, name: str, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Write a file; return its SHA-256 and its size."""
        with atomic_file(self.folder / name, mode=MODE) as file:
            for chunk in chunks:
                file.write(chunk)
        sync_folder(self.folder)
        return file.sha256, file.size

    def _write_names(self) -> list[str]:
        return [n for n in file_names(self.folder) if n[:6].isdecimal() and n.endswith(".json")]

    def _last_number(self) -> int:
        # A blob whose write was interrupted uses up a number, too.
        return max((int(n[:6]) for n in file_names(self.folder) if n[:6].isdecimal()), default=0)

    def _listed_digest(self, name: str) -> str:
        """Return the SHA-256 that a document begins with."""
        with (self.folder / name).open("rb") as file:
            return file.readline(65).strip().decode("ascii", "replace")

    # Locks

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from adding to the entry and from delivering it."""
        descriptor = lock_in_folder(self.folder / LOCK, wait=True, create=True)
        try:
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def delivering(self) -> Iterator[bool]:
        """Lock the entry for a delivery; yield False if another process has it."""
        try:
            descriptor = lock_in_folder(self.folder / LOCK, wait=False, create=False)
        except (BlockingIOError, FileNotFoundError):
            yield False
            return
        try:
            yield True
        finally:
            os.close(descriptor)

    # State

    @property
    def owned(self) -> bool:
        """Whether the session's own process has spooled something, alive or not."""
        return (self.folder / OWNER).exists()

    @property
    def alive(self) -> bool:
        """Whether the session's own process is alive."""
        return is_held(self.folder / OWNER)

    @property
    def silence(self) -> float:
        """Seconds since the last heartbeat of the run or the last write."""
        last = self.touched
        with suppress(OSError):
            last = max(last, (self.folder / OWNER).stat().st_mtime)
        return time.time() - last

    @property
    def exists(self) -> bool:
        """Whether the entry has a head."""
        return (self.folder / HEAD).exists()

    @property
    def empty(self) -> bool:
        """Whether nothing was written to it, not even a head."""
        return all(name.startswith(".") for name in file_names(self.folder))

    @property
    def complete(self) -> bool:
        """Whether the run has ended."""
        return (self.folder / END).exists()

    @property
    def detached(self) -> bool:
        """Whether a script continues the session in other processes."""
        return (self.folder / DETACHED).exists()

    @property
    def began(self) -> float:
        """When it began, as a time stamp."""
        with suppress(OSError):
            return (self.folder / HEAD).stat().st_mtime
        return 0.0

    @property
    def touched(self) -> float:
        """When something was last added to it, as a time stamp."""
        with suppress(OSError):
            return self.folder.stat().st_mtime
        return 0.0

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return total_size(self.folder)

    # Reading

    def head(self) -> Head:
        """Read which session it belongs to.

        Raises:
            SpoolRefused: the head is corrupt, or another version wrote it.
        """
        require_trusted(self.folder, self.spool.folder)
        path = self.folder / HEAD
        text, _ = read_document(path)
        return parse_head(parse_document(text, path), path)

    def ending(self) -> tuple[Ending, str] | None:
        """Read how the run ended, and the SHA-256 of that; None if it has not ended.

        Raises:
            SpoolRefused: the ending is corrupt.
        """
        if not self.complete:
            return None
        path = self.folder / END
        text, digest = read_document(path)
        return parse_ending(parse_document(text, path), path), digest

    def writes(self) -> Iterator[Write]:
        """Read the writes of an entry that has no ending yet, in order; blobs are not checked.

        Raises:
            SpoolRefused: a write is corrupt.
        """
        for path, text, _ in self.write_texts(None):
            yield parse_write(parse_document(text, path), path)

    def write_texts(self, ending: Ending | None) -> Iterator[tuple[Path, bytes, str]]:
        """Yield file, JSON text and SHA-256 of each write, in order.

        Raises:
            SpoolRefused: a file is corrupt, or not what the ending lists.
        """
        require_trusted(self.folder, self.spool.folder)
        names = self._write_names()
        listed = dict.fromkeys(names) if ending is None else ending.writes
        if list(listed) != names:
            odd = min({*listed} ^ {*names}, default=END)
            reason = "it is not in end.json" if odd in names else "it is missing"
            raise SpoolRefused(f"{self.folder / odd} is not what the run wrote: {reason}.")
        for name in names:
            path = self.folder / name
            text, digest = read_document(path)
            if ending is not None and listed[name] != digest:
                raise SpoolRefused(f"{path} is not what the run wrote.")
            yield path, text, digest

    # Removing

    def discard_empty(self) -> None:
        """Remove the folder if nothing was written to it, and no process is about to."""
        with self.delivering() as locked:
            if locked and self.empty and not self.alive:
                self.discard()

    def discard(self) -> None:
        """Remove the entry, which was delivered; its name disappears at once."""
        name = f"{REMOVED}.{secrets.token_hex(8)}"
        base = self.spool.folder
        remove_folder(rename_below(self.folder, name, base), base, is_entry_file)


def is_entry_file(name: str) -> bool:
    """Say whether a run writes a file of that name into an entry."""
    return _ENTRY_FILE.fullmatch(name) is not None


_owners: weakref.WeakSet[Entry] = weakref.WeakSet()


def _release_after_fork() -> None:
    # A forked child that outlives its parent must not hold the parent's lock.
    for entry in list(_owners):
        entry.release()


os.register_at_fork(after_in_child=_release_after_fork)
