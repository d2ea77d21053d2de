"""Files of the spool: private, and each document begins with its own SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mfprefect.errors import SpoolRefused
from mfprefect.util.files import sync_folder
from mfprefect.util.values import json_value

__all__ = [
    "MODE",
    "encode_document",
    "entry_name",
    "file_names",
    "make_folder",
    "open_private",
    "parse_document",
    "quote_session_id",
    "read_document",
    "require_trusted",
    "total_size",
]

LONGEST_NAME = 200
MOST_BYTES = 1024**3
"""No run writes a larger document; a larger one is refused before it is read into memory."""
MODE = 0o600
"""Permissions of every file."""


def file_names(folder: Path) -> list[str]:
    """Return the sorted names in a folder; none if it does not exist."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def total_size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):  # it has just been delivered
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def quote_session_id(session_id: str) -> str:
    """Return a session's id as part of a folder's name."""
    name = quote(session_id, safe=" ", errors="surrogatepass").replace(".", "%2E")
    if len(name) <= LONGEST_NAME:
        return name
    # Quoted ids in other alphabets can be longer than the name of a folder may be.
    digest = hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name[:96]}~{digest[:32]}"


def entry_name(session_id: str, attempt: int) -> str:
    """Return the name of the folder of a session's attempt."""
    return f"{quote_session_id(session_id)}.{attempt}"


def encode_document(content: Mapping[str, Any]) -> bytes:
    """Return a JSON document after a line with its SHA-256."""
    # NaN and infinity are written as Python writes them: only Python reads this.
    text = json.dumps(content, default=json_value, ensure_ascii=False, separators=(",", ":"))
    data = text.encode()
    return hashlib.sha256(data).hexdigest().encode() + b"\n" + data


def read_document(path: Path) -> tuple[bytes, str]:
    """Return the JSON text that `encode_document` wrote, and its SHA-256.

    Raises:
        SpoolRefused: the file cannot be read, is too large, or does not match its SHA-256.
    """
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise SpoolRefused(
                f"{path} has {size} bytes; no run writes a document of more than {MOST_BYTES}."
            )
        digest, _, text = path.read_bytes().partition(b"\n")
    except OSError as exc:
        raise SpoolRefused(f"{path} cannot be read: {exc}.") from exc
    computed = hashlib.sha256(text).hexdigest()
    if computed.encode() != digest:
        raise SpoolRefused(f"{path} is corrupt: it does not begin with the SHA-256 of the rest.")
    return text, computed


def parse_document(text: bytes, path: Path) -> dict[str, Any]:
    """Parse the text of a document.

    Raises:
        SpoolRefused: it is not a JSON object.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as exc:  # a forger can compute a digest, too
        raise SpoolRefused(f"{path} is not JSON that a run wrote: {exc}.") from exc
    if not isinstance(content, dict):
        raise SpoolRefused(f"{path} must hold a JSON object, not a {type(content).__name__}.")
    return content


def require_trusted(entry: Path, spool: Path) -> None:
    """Refuse an entry that a user whom the spool's owner does not trust could have written.

    Raises:
        SpoolRefused: the entry or a file in it is a link or a pipe, belongs to another user, or is
            writable by everybody.
    """
    try:
        owners = {0, os.geteuid(), spool.stat().st_uid}
        reasons = [_distrust(path, owners, folder=True) for path in (entry.parent, entry)]
        for name in file_names(entry):
            with suppress(FileNotFoundError):  # a temporary file that was renamed meanwhile
                reasons.append(_distrust(entry / name, owners, folder=False))
    except OSError as exc:
        raise SpoolRefused(f"{entry} cannot be read: {exc}.") from exc
    for reason in filter(None, reasons):
        raise SpoolRefused(reason)


def _distrust(path: Path, owners: Collection[int], *, folder: bool) -> str | None:
    state = os.lstat(path)
    # A link can point anywhere, and reading a pipe can block for ever.
    if not (stat.S_ISDIR if folder else stat.S_ISREG)(state.st_mode):
        return f"{path} is not a {'folder' if folder else 'regular file'}; remove it."
    if state.st_uid not in owners:
        return (
            f"{path} belongs to the user number {state.st_uid}, who could have written anything "
            "there; `chown` it if you trust that user."
        )
    if state.st_mode & stat.S_IWOTH:
        return (
            f"{path} is writable by everybody, so anybody could have written anything there; "
            "`chmod o-w` it if you trust its content."
        )
    return None


def open_private(path: Path) -> int:
    """Open a file that only its owner can read; create it if it is missing."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)


def make_folder(folder: Path) -> None:
    """Create a folder that only its owner can read, and its parents."""
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        sync_folder(folder.parent)
