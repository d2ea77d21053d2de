"""Files of a session that are no models: stored as they are, and never parsed.

They share the tables of models. Their artifact's name begins with `FOLDER`, which no name of a file
and no name of a model does, so that neither can replace the other.
"""

from __future__ import annotations

import mimetypes
import shutil
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mfprefect.errors import InvalidValue
from mfprefect.schema import NAME_LENGTH
from mfprefect.util import values

__all__ = [
    "FILE",
    "FOLDER",
    "StoredFile",
    "artifact_name",
    "file_name",
    "media_type",
    "source_of",
    "write_file",
]

FILE = "file"
"""The recorded format."""
FOLDER = "file/"
"""The start of the artifact's name."""
LENGTH = NAME_LENGTH - len(FOLDER)
MOST_BYTES = 255
"""File systems take no longer names."""
UNKNOWN_TYPE = "application/octet-stream"
_SEPARATORS = "/\\:"
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of characters that change how a name looks, such as U+202E."""


@dataclass(frozen=True)
class StoredFile:
    """The content of a file to store."""

    source: Path | bytes | bytearray | memoryview


def source_of(content: Any) -> StoredFile:
    """Return what `log_file` takes.

    Args:
        content: bytes, or the path of a file.

    Raises:
        InvalidValue: it is neither, or there is no such file.
    """
    if isinstance(content, bytes | bytearray | memoryview):
        return StoredFile(content)
    if not isinstance(content, str | Path):
        kind = type(content).__name__
        raise InvalidValue(f"a file is its path or bytes, not a {kind}; pass one of these.")
    path = Path(content)
    # A pipe would be waited for, and a folder has no bytes.
    try:
        why = "" if path.is_file() else "is no regular file" if path.exists() else "does not exist"
    except OSError as exc:  # a name that is too long, a folder that may not be read
        why = f"cannot be read: {exc.strerror}"
    if why:
        short = f"{str(path)[:200]!r}{'..' if len(str(path)) > 200 else ''}"
        raise InvalidValue(f"the file {short} {why}; pass the path of a file, or bytes.")
    return StoredFile(path)


def write_file(file: StoredFile, to: BinaryIO) -> None:
    """Copy a content to an empty file."""
    if isinstance(file.source, Path):
        with file.source.open("rb") as content:
            shutil.copyfileobj(content, to)
    else:
        to.write(file.source)


def file_name(name: Any) -> str:
    """Return the name of a file unchanged; refuse one that a folder could not hold safely.

    Raises:
        InvalidValue: it is empty, too long, hidden (a dot first), has a separator or an invisible
            character, or begins or ends with a space.
    """
    checked = values.name(name, "the file's name", LENGTH)
    if len(checked.encode()) > MOST_BYTES:
        raise InvalidValue(
            f"the file's name {checked[:60]!r}.. has {len(checked.encode())} bytes in UTF-8; file "
            f"systems take {MOST_BYTES}."
        )
    wrong = next((c for c in checked if c in _SEPARATORS), None)
    if wrong is not None:
        raise InvalidValue(
            f"the file's name {checked!r} has the character {wrong!r}; a name has no folders: "
            f"write {checked.translate(dict.fromkeys(map(ord, _SEPARATORS), '_'))!r}."
        )
    if any(unicodedata.category(c) in _INVISIBLE for c in checked):
        raise InvalidValue(f"the file's name {checked!r} has an invisible character; leave it out.")
    if checked.startswith(".") or checked != checked.strip() or checked.endswith("."):
        raise InvalidValue(
            f"the file's name {checked!r} begins or ends with a space or a dot; leave it out."
        )
    return checked


def artifact_name(name: str) -> str:
    """Return the name of the artifact of a file."""
    return FOLDER + name


def media_type(name: str) -> str:
    """Return the media type that the ending of a file's name stands for."""
    kind, encoding = _TYPES.guess_type(name)
    return UNKNOWN_TYPE if kind is None or encoding is not None else kind


# Without the files of the system: a name has the same type on every machine.
_TYPES = mimetypes.MimeTypes()
for _kind, _ending in {
    "application/vnd.apache.parquet": ".parquet",
    "application/json": ".json",
    "application/yaml": ".yaml",
    "text/markdown": ".md",
    "image/webp": ".webp",
}.items():
    _TYPES.add_type(_kind, _ending)
