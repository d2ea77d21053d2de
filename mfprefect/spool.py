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

import datetime as dt
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mfprefect.errors import SpoolRefused, SpoolUnusable

__all__ = ["FORMAT", "Entry", "Place", "Spool", "Write", "check_blob", "default_folder"]

FORMAT = "mfprefect spool 1"
HEAD, END, LOCK, OWNER, DETACHED = "head.json", "end.json", ".lock", ".owner", ".detached"
GONE = ".delivered"
LONGEST_NAME = 200
ROOM = 256 * 1024
"""Bytes of the limit that only the end of a run may take: it is small, and must get through."""


def default_folder() -> Path:
    """Return `$XDG_STATE_HOME/mfprefect/spool`, by default below `~/.local/state`."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "mfprefect" / "spool"


@dataclass(frozen=True)
class Place:
    """Which database an entry belongs to."""

    fingerprint: str
    """A digest of backend, host, database and where its tables are."""
    shown: str
    """What people call it; no user, no password."""


@dataclass(frozen=True)
class Write:
    """One write of a run."""

    name: str
    """Its file's name without the ending."""
    content: dict[str, Any]
    """What to write: `op`, and what that needs."""
    blob: Path | None
    """The file that goes with it."""


class Spool:
    """A folder of entries, each one attempt of a session."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self.most_bytes = folder, most_bytes

    def entry(self, place: Place, session_id: str, attempt: int) -> Entry:
        """Return the entry of an attempt, whether it is there or not."""
        return Entry(self, self.folder / place.fingerprint / f"{_quoted(session_id)}.{attempt}")

    def entries(self, place: Place | None = None) -> list[Entry]:
        """Return the entries of one database, or of all, in the order in which they began."""
        folders = [place.fingerprint] if place else _names(self.folder)
        found = [
            Entry(self, self.folder / one / name)
            for one in folders
            for name in _names(self.folder / one)
            if not name.startswith(".")
        ]
        return sorted(found, key=lambda entry: (entry.began, entry.folder.name))

    def attempts(self, place: Place, session_id: str) -> list[Entry]:
        """Return the entries of a session, the first attempt first."""
        folder, start = self.folder / place.fingerprint, f"{_quoted(session_id)}."
        names = [n for n in _names(folder) if n.startswith(start) and n[len(start) :].isdecimal()]
        return [Entry(self, folder / n) for n in sorted(names, key=lambda n: int(n[len(start) :]))]

    def clean(self, place: Place) -> None:
        """Remove what is left of entries that were delivered."""
        for name in _names(self.folder / place.fingerprint):
            if name.startswith(GONE):
                shutil.rmtree(self.folder / place.fingerprint / name, ignore_errors=True)

    def used(self) -> int:
        """Return the bytes of all files."""
        total = 0
        for folder, _, files in os.walk(self.folder):
            for name in files:
                with suppress(OSError):  # it has just been delivered
                    total += os.stat(os.path.join(folder, name)).st_size
        return total

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


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _quoted(session_id: str) -> str:
    name = quote(session_id, safe=" ").replace(".", "%2E")
    if len(name) <= LONGEST_NAME:
        return name
    # Folders have shorter names than sessions of models that are named in other alphabets.
    return f"{name[:96]}~{hashlib.sha256(session_id.encode()).hexdigest()[:32]}"


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
            if owner and self._owner is None:
                self._owner = _held(self.folder / OWNER)
                _owners.add(self)
            if not (self.folder / HEAD).exists():
                self._put(HEAD, _sealed({"format": FORMAT, **head}))

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
            if not (self.folder / HEAD).exists():
                raise FileNotFoundError(f"{self.folder / HEAD} is gone")
            number = f"{self._last() + 1:06d}"
            told = dict(content)
            if blob is not None:
                self.spool.require(size + ROOM)
                told["sha256"], told["size"] = self._put_blob(f"{number}.blob", blob)
            text = _sealed(told)
            self.spool.require(len(text) + ROOM)
            self._put(f"{number}.json", text)

    def finish(self, ending: Mapping[str, Any]) -> None:
        """Write how the run ended: from now on the entry is complete, and never changes.

        Raises:
            SpoolUnusable: the folder cannot be written, or the spool is full.
        """
        with self._usable(), self.locked():
            writes = {name: _first_line(self.folder / name) for name in self._files()}
            text = _sealed({**ending, "writes": writes})
            self.spool.require(len(text))
            self._put(END, text)

    def detach(self) -> None:
        """Note that no process holds the session: a script goes on with it, and ends it."""
        with self._usable(), self.locked():
            self._put(DETACHED, b"")
        self.release()

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
            with open(_opened(temporary), "wb") as file:
                for chunk in blob:
                    file.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self.folder / name)
        finally:
            temporary.unlink(missing_ok=True)
        _sync(self.folder)
        return digest.hexdigest(), size

    def _files(self) -> list[str]:
        return [n for n in _names(self.folder) if n[:6].isdecimal() and n.endswith(".json")]

    def _last(self) -> int:
        # A blob whose write did not come to its end takes a number as well.
        return max((int(n[:6]) for n in _names(self.folder) if n[:6].isdecimal()), default=0)

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
            descriptor = self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB, make=False)
        except (BlockingIOError, FileNotFoundError):
            yield False
            return
        try:
            yield True
        finally:
            os.close(descriptor)

    def _lock(self, how: int, *, make: bool = True) -> int:
        while True:
            if make:
                _make(self.folder)
            descriptor = _opened(self.folder / LOCK)
            try:
                fcntl.flock(descriptor, how)
                # Whoever held it may have delivered the entry, folder and all.
                if os.stat(self.folder / LOCK).st_ino == os.fstat(descriptor).st_ino:
                    return descriptor
            except FileNotFoundError:
                if not make:
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
            descriptor = os.open(self.folder / OWNER, os.O_RDWR)
        except FileNotFoundError:
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
        return Spool(self.folder, 0).used()

    def head(self) -> dict[str, Any]:
        """Return which session it is of.

        Raises:
            SpoolRefused: it is corrupt, or of another version.
        """
        head = _read(self.folder / HEAD)
        if head.get("format") != FORMAT:
            raise SpoolRefused(
                f"{self.folder} is {head.get('format')!r}, and this mfprefect reads {FORMAT!r}: "
                "deliver it with the version that wrote it."
            )
        return head

    def ending(self) -> dict[str, Any] | None:
        """Return how the run ended, None where it did not come to that.

        Raises:
            SpoolRefused: it is corrupt.
        """
        return _read(self.folder / END) if self.complete else None

    @property
    def digest(self) -> str | None:
        """The SHA-256 of the ending, which tells the digests of all else."""
        return _first_line(self.folder / END) if self.complete else None

    def writes(self) -> Iterator[Write]:
        """Yield what was written, in order; whoever uses a blob checks it by `check_blob`.

        Raises:
            SpoolRefused: a file is corrupt, or one is missing that the ending tells of.
        """
        ending, names = self.ending(), self._files()
        told = names if ending is None else list(ending["writes"])
        if told != names:
            odd = sorted({*told} ^ {*names})[0]
            raise SpoolRefused(
                f"{self.folder / odd} is not what the run wrote: it is not in end.json"
            )
        for name in names:
            content = _read(self.folder / name)
            if ending is not None and ending["writes"][name] != _first_line(self.folder / name):
                raise SpoolRefused(f"{self.folder / name} is not what the run wrote.")
            blob = self.folder / f"{name[:6]}.blob" if "sha256" in content else None
            yield Write(name[:6], content, blob)

    def check(self) -> None:
        """Read every byte.

        Raises:
            SpoolRefused: something is corrupt or missing.
        """
        self.head()
        for write in self.writes():
            check_blob(write)

    def discard(self) -> None:
        """Remove the entry, which was delivered; its name goes at once."""
        gone = self.folder.with_name(f"{GONE}.{secrets.token_hex(8)}")
        self.folder.rename(gone)
        _sync(self.folder.parent)
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


def _sealed(content: Mapping[str, Any]) -> bytes:
    # NaN and infinity as Python writes them: only Python reads it.
    text = json.dumps(content, default=_plain, ensure_ascii=False, separators=(",", ":")).encode()
    return hashlib.sha256(text).hexdigest().encode() + b"\n" + text


def _plain(value: Any) -> Any:
    if isinstance(value, dt.date):
        return value.isoformat()
    if hasattr(value, "item"):  # a number of numpy's
        return value.item()
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def _read(path: Path) -> dict[str, Any]:
    try:
        digest, _, text = path.read_bytes().partition(b"\n")
    except OSError as exc:
        raise SpoolRefused(f"{path} cannot be read: {exc}.") from exc
    if hashlib.sha256(text).hexdigest().encode() != digest:
        raise SpoolRefused(f"{path} is corrupt: it does not begin with the SHA-256 of the rest.")
    found: dict[str, Any] = json.loads(text)
    return found


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        return file.readline(65).strip().decode("ascii", "replace")


def _opened(path: Path) -> int:
    """Return a file that nobody else can read, made where it is missing."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _held(path: Path) -> int:
    """Return a file that this process alone has locked."""
    descriptor = _opened(path)
    for pause in (0.01, 0.02, 0.05, 0.1, 0.2, 0.0):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:  # for a moment, by somebody who looks whether it is locked
            time.sleep(pause)
    os.close(descriptor)
    raise BlockingIOError(f"another process is writing to {path.parent}")


_owners: weakref.WeakSet[Entry] = weakref.WeakSet()


def _not_shared_after_fork() -> None:
    # A forked child that outlives its parent must not pass for it.
    for entry in list(_owners):
        entry.release()


os.register_at_fork(after_in_child=_not_shared_after_fork)


def _make(folder: Path) -> None:
    """Make a folder that nobody else can read, and those above it."""
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        _make(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
