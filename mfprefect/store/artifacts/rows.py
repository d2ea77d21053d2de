"""Reading the rows of an artifact, which are verified before anything uses them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import sqlalchemy as sa

from mfprefect.artifacts import Artifact
from mfprefect.artifacts.files import FILE, FOLDER
from mfprefect.errors import ArtifactCorrupt, InvalidValue
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle

__all__ = ["copy_verified", "is_file", "is_model", "read_record"]

_SHA256 = re.compile("[0-9a-f]{64}")


def is_model(db: Database) -> sa.ColumnElement[bool]:
    """Return the condition that a row of `artifacts` is a model or its extras, and no file."""
    kind = db.schema.artifacts.c.format
    return sa.or_(kind != FILE, kind.is_(None))  # NULL: a damaged row, which must be named


def is_file(db: Database) -> sa.ColumnElement[bool]:
    """Return the condition that a row of `artifacts` is a file."""
    return db.schema.artifacts.c.format == FILE


def read_record(db: Database, handle: SessionHandle, name: str, *, file: bool = False) -> Artifact:
    """Return the record of a model, or of a file by the artifact's name of it.

    Raises:
        InvalidValue: the session has nothing of that name and kind.
        ArtifactCorrupt: the record is not one that mfprefect writes.
    """
    heads = db.schema.artifacts
    which = is_file(db) if file else is_model(db)
    rows = db.fetch_all(sa.select(heads).where(heads.c.session_no == handle.session_no, which))
    artifacts_by_name = {row.artifact_name: row for row in rows}
    if name not in artifacts_by_name:
        start, kind = (FOLDER, "file") if file else ("", "artifact")
        names = sorted(str(other).removeprefix(start) for other in artifacts_by_name)
        raise InvalidValue(
            f"session {handle.session_id!r} has no {kind} {name.removeprefix(start)!r}; "
            f"it has: {', '.join(names) or 'none'}."
        )
    row = artifacts_by_name[name]
    for what in _wrong_columns(row):
        raise _corrupt(handle, name, f"its record says {what}")
    return Artifact(
        row.artifact_format, row.byte_count, row.sha256, row.library_versions, row.signature
    )


def _wrong_columns(row: sa.Row[*tuple[Any, ...]]) -> Iterator[str]:
    if not isinstance(row.artifact_format, str):
        yield f"format {row.artifact_format!r}"
    if not isinstance(row.byte_count, int) or row.byte_count < 0:
        yield f"{row.byte_count!r} bytes"
    if not isinstance(row.sha256, str) or not _SHA256.fullmatch(row.sha256):
        yield f"SHA-256 {row.sha256!r}"
    if not isinstance(row.signature, str | None):
        yield f"signature {row.signature!r}"
    try:
        versions = json.loads(row.library_versions)
    except (TypeError, ValueError):
        versions = None
    if not isinstance(row.library_versions, str) or not isinstance(versions, dict):
        yield f"library versions {row.library_versions!r}"


def copy_verified(
    db: Database, handle: SessionHandle, name: str, artifact: Artifact, to: BinaryIO
) -> None:
    """Write an artifact's bytes to a file; if this raises, the file must not be used.

    Raises:
        ArtifactCorrupt: they are not those that were stored.
    """
    size, digest = 0, hashlib.sha256()
    for chunk in _chunks(db, handle, name):
        size += len(chunk)
        if size > artifact.size:
            break
        to.write(chunk)
        digest.update(chunk)
    if (size, digest.hexdigest()) != (artifact.size, artifact.sha256):
        raise _corrupt(
            handle,
            name,
            f"it has {size} bytes{' or more' if size > artifact.size else ''} with SHA-256 "
            f"{digest.hexdigest()}, but {artifact.size} bytes with SHA-256 {artifact.sha256} were "
            "recorded",
        )


def _chunks(db: Database, handle: SessionHandle, name: str) -> Iterator[bytes]:
    c = db.schema.artifact_chunks.c
    of_artifact = (c.session_no == handle.session_no, c.artifact_name == name)
    rows = db.fetch_all(sa.select(c.chunk_no).where(*of_artifact).order_by(c.chunk_no))
    numbers = [row[0] for row in rows]
    if numbers != list(range(len(numbers))):
        raise _corrupt(handle, name, f"its {len(numbers)} chunks are not numbered from 0")
    for number in numbers:
        try:
            rows = db.fetch_all(sa.select(c.bytes).where(*of_artifact, c.chunk_no == number))
        except (TypeError, ValueError):  # SQLite: a text, for example
            rows = []
        chunk = rows[0][0] if rows else None
        if not isinstance(chunk, bytes) or not chunk:
            raise _corrupt(handle, name, f"its chunk {number} is gone or holds no bytes")
        yield chunk


def _corrupt(handle: SessionHandle, name: str, why: str) -> ArtifactCorrupt:
    return ArtifactCorrupt(
        f"the artifact {name!r} of session {handle.session_id!r} was damaged or replaced: {why}. "
        "Restore it from a backup, or train again."
    )
