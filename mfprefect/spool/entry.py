"""One entry of the spool: an attempt of a session, as its writes and its end."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect.errors import SpoolRefused, SpoolUnusable
from mfprefect.spool.files import (
    bytes_of,
    first_line,
    held,
    make,
    names,
    opened,
    read,
    require_ours,
    sealed,
    sync,
)
from mfprefect.spool.validation import (
    validate_ending,
    validate_head,
    validate_place,
    validate_write,
)

if TYPE_CHECKING:
    from mfprefect.spool import Spool

__all__ = ["FORMAT", "GONE", "Entry", "Write", "check_blob"]

FORMAT = "mfprefect spool 1"
HEAD, END, LOCK, OWNER, DETACHED = "head.json", "end.json", ".lock", ".owner", ".detached"
GONE = ".delivered"
ROOM = 256 * 1024
"""Bytes of the limit that only the end of a run may take: it is small, and must get through."""


@dataclass(frozen=True)
class Write:
    """One write of a run."""

    name: str
    """Its file's name without the ending."""
    content: dict[str, Any]
    """What to write: `op`, and what that needs."""
    blob: Path | None
    """The file that goes with it."""


class Entry:
    """One attempt of a session: what it wrote, and how it ended."""

    def __init__(self, spool: Spool, folder: Path) -> None:
        self.spool, self.folder = spool, folder
        self._owner: int | None = None

    # Writing

    def begin(self, head: Mapping[str, Any], *, owner: bool) -> None:
        """Make the entry, unless it is there.

        Args:
            head: which session it is of.
            owner: whether it is this process's own run, which nobody else delivers while it lives.

        Raises:
            SpoolUnusable: the folder cannot be written, or the spool is full.
        """
        with self._usable(), self.locked():
            try:
                require_ours(self.folder, self.spool.folder)
            except SpoolRefused as exc:
                raise PermissionError(str(exc)) from exc
            if owner and self._owner is None:
                self._owner = held(self.folder / OWNER)
                _owners.add(self)
            try:
                if not self.exists:
                    self._put(HEAD, sealed({"format": FORMAT, **head}))
            except BaseException:
                self.release()  # it is tried again, by another object
                raise

    def add(
        self, content: Mapping[str, Any], blob: Iterable[bytes] | None = None, size: int = 0
    ) -> None:
        """Append a write; it is on the disk when this returns.

        Args:
            content: what to write.
            blob: the bytes of the file that goes with it.
            size: how many these are.

        Raises:
            SpoolUnusable: it does not fit, or the folder cannot be written.
            SpoolRefused: the run has ended.
        """
        with self._usable(), self.locked():
            if self.complete:
                raise SpoolRefused(f"{self.folder} takes no more writes: the run has ended.")
            if not self.exists:
                raise FileNotFoundError(f"{self.folder / HEAD} is gone")
            number = f"{self._last() + 1:06d}"
            told = dict(content)
            if blob is not None:
                self.spool.require(size + ROOM)
                told["sha256"], told["size"] = self._put_blob(f"{number}.blob", blob)
            text = sealed(told)
            self.spool.require(len(text) + ROOM)
            self._put(f"{number}.json", text)

    def finish(self, ending: Mapping[str, Any]) -> None:
        """Write how the run ended: from now on the entry is complete, and never changes.

        Raises:
            SpoolUnusable: the folder cannot be written, or the spool is full.
        """
        with self._usable(), self.locked():
            writes = {name: first_line(self.folder / name) for name in self._files()}
            text = sealed({**ending, "writes": writes})
            self.spool.require(len(text))
            self._put(END, text)

    def detach(self) -> None:
        """Note that no process holds the session: a script goes on with it, and ends it."""
        with self._usable(), self.locked():
            self._put(DETACHED, b"")
        self.release()

    def sign(self) -> str:
        """Leave a file of a name that nobody else can have made; return its path."""
        path = self.folder / f".seen.{secrets.token_hex(8)}"
        with self._usable(), self.locked():
            self._put(path.name, b"")
        return str(path)

    def beat(self) -> None:
        """Show other machines that the run is alive: they may not see its lock."""
        with suppress(OSError):
            os.utime(self.folder / OWNER)

    @property
    def silence(self) -> float:
        """Seconds without a sign of life of the run or a write."""
        last = self.touched
        with suppress(OSError):
            last = max(last, (self.folder / OWNER).stat().st_mtime)
        return time.time() - last

    def release(self) -> None:
        """Let others deliver the entry."""
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

    def _put(self, name: str, text: bytes) -> None:
        self._put_blob(name, [text])

    def _put_blob(self, name: str, blob: Iterable[bytes]) -> tuple[str, int]:
        """Write a file under another name, have it on the disk, and only then name it."""
        temporary = self.folder / f".{secrets.token_hex(8)}.part"
        digest, size = hashlib.sha256(), 0
        try:
            with open(opened(temporary), "wb") as file:
                for chunk in blob:
                    file.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self.folder / name)
        finally:
            temporary.unlink(missing_ok=True)
        sync(self.folder)
        return digest.hexdigest(), size

    def _files(self) -> list[str]:
        return [n for n in names(self.folder) if n[:6].isdecimal() and n.endswith(".json")]

    def _last(self) -> int:
        # A blob whose write did not come to its end takes a number as well.
        return max((int(n[:6]) for n in names(self.folder) if n[:6].isdecimal()), default=0)

    # Locks: they go with the process that holds them

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else from adding to the entry or delivering it."""
        descriptor = self._lock(fcntl.LOCK_EX)
        try:
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def delivering(self) -> Iterator[bool]:
        """Yield whether this process may deliver the entry: nobody else does just now."""
        try:
            descriptor = self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB, create=False)
        except (BlockingIOError, FileNotFoundError):
            yield False
            return
        try:
            yield True
        finally:
            os.close(descriptor)

    def _lock(self, how: int, *, create: bool = True) -> int:
        while True:
            if create:
                make(self.folder)
            try:
                descriptor = opened(self.folder / LOCK)
            except FileNotFoundError:
                if create:  # the folder has just been removed
                    continue
                raise
            try:
                fcntl.flock(descriptor, how)
                # Whoever held it may have delivered the entry, folder and all.
                if os.stat(self.folder / LOCK).st_ino == os.fstat(descriptor).st_ino:
                    return descriptor
            except FileNotFoundError:
                if not create:
                    os.close(descriptor)
                    raise
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    @property
    def owned(self) -> bool:
        """Whether the process whose run it is has spooled something, alive or not."""
        return (self.folder / OWNER).exists()

    @property
    def alive(self) -> bool:
        """Whether that process is alive."""
        try:
            descriptor = os.open(self.folder / OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        except OSError:  # a link, a folder, somebody else's: nothing that a run of ours holds
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    # Reading

    @property
    def exists(self) -> bool:
        """Whether something is there."""
        return (self.folder / HEAD).exists()

    @property
    def empty(self) -> bool:
        """Whether its beginning was as far as it came: nothing was written to it."""
        return all(name.startswith(".") for name in names(self.folder))

    @property
    def complete(self) -> bool:
        """Whether the run has ended."""
        return (self.folder / END).exists()

    @property
    def detached(self) -> bool:
        """Whether a script goes on with it, in other processes."""
        return (self.folder / DETACHED).exists()

    @property
    def began(self) -> float:
        """When it began, as a time stamp."""
        with suppress(OSError):
            return (self.folder / HEAD).stat().st_mtime
        return 0.0

    @property
    def touched(self) -> float:
        """When something was added to it last, as a time stamp."""
        with suppress(OSError):
            return self.folder.stat().st_mtime
        return 0.0

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return bytes_of(self.folder)

    def head(self) -> dict[str, Any]:
        """Return which session it is of.

        Raises:
            SpoolRefused: it is corrupt, or of another version.
        """
        require_ours(self.folder, self.spool.folder)
        head = read(self.folder / HEAD)
        if head.get("format") != FORMAT:
            raise SpoolRefused(
                f"{self.folder} is {str(head.get('format'))[:60]!r}, and this mfprefect reads "
                f"{FORMAT!r}: deliver it with the version that wrote it."
            )
        validate_head(head, self.folder / HEAD)
        validate_place(head, self.folder)
        return head

    def ending(self) -> dict[str, Any] | None:
        """Return how the run ended, None where it did not come to that.

        Raises:
            SpoolRefused: it is corrupt.
        """
        if not self.complete:
            return None
        ending = read(self.folder / END)
        validate_ending(ending, self.folder / END)
        return ending

    @property
    def digest(self) -> str | None:
        """The SHA-256 of the ending, which tells the digests of all else."""
        return first_line(self.folder / END) if self.complete else None

    def writes(self) -> Iterator[Write]:
        """Yield what was written, in order; whoever uses a blob checks it by `check_blob`.

        Raises:
            SpoolRefused: a file is corrupt, or one is missing that the ending tells of.
        """
        require_ours(self.folder, self.spool.folder)
        ending, names = self.ending(), self._files()
        told = names if ending is None else list(ending["writes"])
        if told != names:
            odd = sorted({*told} ^ {*names})[0]
            why = "it is not in end.json" if odd in names else "it is missing"
            raise SpoolRefused(f"{self.folder / odd} is not what the run wrote: {why}.")
        for name in names:
            content = read(self.folder / name)
            if ending is not None and ending["writes"][name] != first_line(self.folder / name):
                raise SpoolRefused(f"{self.folder / name} is not what the run wrote.")
            validate_write(content, self.folder / name)
            blob = self.folder / f"{name[:6]}.blob" if "sha256" in content else None
            yield Write(name[:6], content, blob)

    def discard_empty(self) -> None:
        """Remove the folder if there is nothing in it, and nobody is about to change that."""
        with self.delivering() as mine:
            if mine and self.empty and not self.alive:
                self.discard()

    def discard(self) -> None:
        """Remove the entry, which was delivered; its name goes at once."""
        gone = self.folder.with_name(f"{GONE}.{secrets.token_hex(8)}")
        self.folder.rename(gone)
        sync(self.folder.parent)
        shutil.rmtree(gone, ignore_errors=True)


def check_blob(write: Write) -> None:
    """Hold the file that goes with a write against its digest.

    Raises:
        SpoolRefused: it is another one.
    """
    if write.blob is None:
        return
    try:
        with write.blob.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise SpoolRefused(f"{write.blob} cannot be read: {exc}.") from exc
    if found != write.content["sha256"]:
        raise SpoolRefused(f"{write.blob} is corrupt: its SHA-256 is not what the run wrote.")


_owners: weakref.WeakSet[Entry] = weakref.WeakSet()


def _not_shared_after_fork() -> None:
    # A forked child that outlives its parent must not pass for it.
    for entry in list(_owners):
        entry.release()


os.register_at_fork(after_in_child=_not_shared_after_fork)
