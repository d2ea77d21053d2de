"""Files of the spool: private, self-checking, and on the disk before they have their names."""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mfprefect.errors import SpoolRefused

__all__ = [
    "bytes_of",
    "entry_name",
    "first_line",
    "held",
    "make",
    "names",
    "opened",
    "quoted",
    "read",
    "require_ours",
    "sealed",
    "sync",
]

LONGEST_NAME = 200
MOST_BYTES = 1024**3
"""A document of more is none that a run wrote, and is not read into memory."""


def names(folder: Path) -> list[str]:
    """Return what is in a folder, in order; nothing where there is none."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def bytes_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):  # it has just been delivered
                total += os.stat(os.path.join(parent, name)).st_size
    return total


def quoted(session_id: str) -> str:
    """Return the name of a session as a part of a folder's name."""
    name = quote(session_id, safe=" ", errors="surrogatepass").replace(".", "%2E")
    if len(name) <= LONGEST_NAME:
        return name
    # Folders have shorter names than sessions of models that are named in other alphabets.
    digest = hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name[:96]}~{digest[:32]}"


def entry_name(session_id: str, attempt: int) -> str:
    """Return what the folder of an attempt of a session is called."""
    return f"{quoted(session_id)}.{attempt}"


def sealed(content: Mapping[str, Any]) -> bytes:
    """Return a JSON document behind its SHA-256."""
    # NaN and infinity as Python writes them: only Python reads it.
    text = json.dumps(content, default=_plain, ensure_ascii=False, separators=(",", ":")).encode()
    return hashlib.sha256(text).hexdigest().encode() + b"\n" + text


def _plain(value: Any) -> Any:
    if isinstance(value, dt.date):
        return value.isoformat()
    if hasattr(value, "item"):  # a number of numpy's
        return value.item()
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def read(path: Path) -> dict[str, Any]:
    """Return what `sealed` wrote.

    Raises:
        SpoolRefused: it cannot be read, or is another text.
    """
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise SpoolRefused(f"{path} has {size} bytes, more than any that a run wrote.")
        digest, _, text = path.read_bytes().partition(b"\n")
    except OSError as exc:
        raise SpoolRefused(f"{path} cannot be read: {exc}.") from exc
    if hashlib.sha256(text).hexdigest().encode() != digest:
        raise SpoolRefused(f"{path} is corrupt: it does not begin with the SHA-256 of the rest.")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as exc:  # somebody made it who knew of the digest
        raise SpoolRefused(f"{path} is no JSON that a run wrote: {exc}.") from exc
    if not isinstance(found, dict):
        raise SpoolRefused(f"{path} is no JSON object, but a {type(found).__name__}.")
    return found


def require_ours(entry: Path, spool: Path) -> None:
    """Refuse what could have been put there by users whom the spool's owner does not trust.

    Raises:
        SpoolRefused: the entry, or something in it, is a link, a pipe, somebody else's, or can be
            written by everybody.
    """
    try:
        owners = {0, os.geteuid(), spool.stat().st_uid}
        found = [_distrusted(path, owners, folder=True) for path in (entry.parent, entry)]
        for name in names(entry):
            with suppress(FileNotFoundError):  # a temporary one, which has its name now
                found.append(_distrusted(entry / name, owners, folder=False))
    except OSError as exc:
        raise SpoolRefused(f"{entry} cannot be read: {exc}.") from exc
    if reasons := [reason for reason in found if reason is not None]:
        raise SpoolRefused(reasons[0])


def _distrusted(path: Path, owners: Collection[int], *, folder: bool) -> str | None:
    found = os.lstat(path)
    # Links point to what they like, and whoever reads a pipe waits for ever.
    if not (stat.S_ISDIR if folder else stat.S_ISREG)(found.st_mode):
        return f"{path} is no {'folder' if folder else 'regular file'}; remove it."
    if found.st_uid not in owners:
        return (
            f"{path} belongs to the user with the number {found.st_uid}, who could have written "
            "anything there; `chown` it if you trust that."
        )
    if found.st_mode & stat.S_IWOTH:
        return (
            f"{path} can be written by everybody, who could have written anything there; "
            "`chmod o-w` it if you trust that."
        )
    return None


def first_line(path: Path) -> str:
    """Return the SHA-256 that a sealed file begins with."""
    with path.open("rb") as file:
        return file.readline(65).strip().decode("ascii", "replace")


def opened(path: Path) -> int:
    """Return a file that nobody else can read, made where it is missing."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def held(path: Path) -> int:
    """Return a file that this process alone has locked."""
    descriptor = opened(path)
    for pause in (0.01, 0.02, 0.05, 0.1, 0.2, 0.0):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:  # for a moment, by somebody who looks whether it is locked
            time.sleep(pause)
    os.close(descriptor)
    raise BlockingIOError(f"another process is writing to {path.parent}")


def make(folder: Path) -> None:
    """Make a folder that nobody else can read, and those above it."""
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        make(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        sync(folder.parent)


def sync(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
