"""Models in the database: written and read in chunks, never in one statement."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import sqlalchemy as sa

from mfprefect import artifacts
from mfprefect.artifacts import Artifact
from mfprefect.artifacts.by_class import ModelHooks
from mfprefect.artifacts.extras import EXTRAS
from mfprefect.artifacts.files import artifact_name
from mfprefect.errors import ArtifactUntrusted
from mfprefect.store.artifacts.rows import copy_verified, read_record
from mfprefect.store.audit import signatures
from mfprefect.store.audit.signatures import signing_key as _signing_key
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle, begin_write, require_running
from mfprefect.store.lookup import find_session

__all__ = [
    "MODEL",
    "copy_artifact",
    "dumped",
    "load_artifact",
    "load_extras",
    "open_file",
    "save_artifact",
    "stored_and_loaded",
]

MODEL = "model"
IN_MEMORY = 16 * 1024 * 1024


@contextmanager
def dumped(
    db: Database,
    estimator: Any,
    format: str | None,
    trusted_types: Collection[str],
    names: Sequence[str] = (),
) -> Iterator[tuple[BinaryIO, Artifact]]:
    """Yield a serialised model, signed under `names`; refuse one that could not be loaded later.

    Raises:
        ArtifactUntrusted: the model holds a type that is not allowed.
    """
    with _temporary_file() as file:
        artifact = artifacts.dump(
            estimator,
            file,
            format=format,
            trusted_types=trusted_types,
            signing_key=_signing_key(db),
            names=names,
        )
        yield file, artifact


def stored_and_loaded(
    db: Database, estimator: Any, *, format: str | None = None, model: ModelHooks | None = None
) -> Any:
    """Return what loading a model, or `Extras`, would give after storing them; store nothing.

    Raises:
        ArtifactUntrusted: the model holds a type that is not allowed, or nobody would vouch for it.
        ConfigurationError: it cannot be stored, or cannot be rebuilt.
    """
    trusted_types = db.settings.trusted_types
    with dumped(db, estimator, format, trusted_types) as (file, artifact):
        return artifacts.load(
            file,
            artifact,
            trusted_types=trusted_types,
            signing_key=_signing_key(db),
            older_keys=db.keyring.secrets,
            model=model,
        )


def save_artifact(
    db: Database,
    handle: SessionHandle,
    name: str,
    file: BinaryIO,
    artifact: Artifact,
    *,
    also: Callable[[sa.Connection], None] | None = None,
) -> None:
    """Write an artifact and its chunks in one transaction; replace one of the same name.

    Calls `also` last in that transaction.
    """
    heads, chunks = db.schema.artifacts, db.schema.artifact_chunks
    key = {"session_no": handle.session_no, "artifact_name": name}
    head = key | {
        "format": artifact.format,
        "bytes": artifact.size,
        "sha256": artifact.sha256,
        "signature": artifact.signature,
        "library_versions": artifact.library_versions,
    }

    def work(connection: sa.Connection, _: bool) -> None:
        require_running(db, connection, handle)
        same = {table: _same(table, key) for table in (heads, chunks)}
        replaces = connection.scalar(sa.select(heads.c.artifact_name).where(*same[heads]))
        if replaces is not None:
            connection.execute(chunks.delete().where(*same[chunks]))
        file.seek(0)
        for number, chunk in enumerate(artifacts.chunks(file)):
            connection.execute(chunks.insert(), key | {"chunk_no": number, "bytes": chunk})
        # Lock late: other parts and heartbeats need the session's row. What is sealed comes after.
        begin_write(db, connection, handle)
        if replaces is not None:
            connection.execute(heads.delete().where(*same[heads]))
        connection.execute(heads.insert(), head)
        if also is not None:
            also(connection)

    db.write_transaction(work)


def _same(table: sa.Table, key: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    return [table.c[column] == value for column, value in key.items()]


def load_artifact(
    db: Database,
    session_id: str,
    name: str,
    *,
    trusted: bool,
    trusted_types: Collection[str],
    model: ModelHooks | None = None,
) -> Any:
    """Load an artifact; check its size and digest before parsing it.

    Raises:
        UnknownSession: there is no such session.
        InvalidValue: the session has no artifact of that name.
        ArtifactCorrupt: the blob is not the one that was stored.
        ArtifactUntrusted: loading it could run code of unknown origin.
        ConfigurationError: its class wrote it, and no model is given; or it cannot be rebuilt.
    """
    handle = find_session(db, session_id)
    artifact = read_record(db, handle, name)
    with _temporary_file() as file:
        copy_verified(db, handle, name, artifact, file)
        return artifacts.load(
            file,
            artifact,
            trusted=trusted,
            trusted_types=trusted_types,
            signing_key=_signing_key(db),
            older_keys=db.keyring.secrets,
            names=() if trusted else signatures.signed_names(db, handle, name, artifact),
            model=model,
        )


def load_extras(db: Database, session_id: str) -> dict[str, Any]:
    """Load what `fit` returned beside the estimator; empty if there is nothing.

    Errors as in `load_artifact`.
    """
    handle, heads = find_session(db, session_id), db.schema.artifacts
    of_session = sa.select(heads.c.artifact_name).where(
        heads.c.session_no == handle.session_no,
        heads.c.artifact_name == EXTRAS,
        heads.c.format == EXTRAS,
    )
    if not db.fetch_all(of_session):
        return {}
    extras: dict[str, Any] = load_artifact(db, session_id, EXTRAS, trusted=False, trusted_types=())
    return extras


def open_file(db: Database, session_id: str, name: str) -> BinaryIO:
    """Return a file of a session, open at its start: see `Store.open_file`."""
    file = _temporary_file()
    try:
        copy_artifact(db, session_id, artifact_name(name), file, is_file=True)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def copy_artifact(
    db: Database, session_id: str, name: str, to: BinaryIO, *, is_file: bool = False
) -> Artifact:
    """Write an artifact's bytes to a file; return its record.

    If this raises, the file must not be used.

    Raises:
        UnknownSession: there is no such session.
        InvalidValue: the session has no artifact of that name.
        ArtifactCorrupt: the blob is not the one that was stored.
        ArtifactUntrusted: the team's key did not sign it.
    """
    handle = find_session(db, session_id)
    artifact = read_record(db, handle, name, file=is_file)
    copy_verified(db, handle, name, artifact, to)
    key = _signing_key(db)
    names = signatures.signed_names(db, handle, name, artifact)
    if key is not None and not artifacts.is_signed(artifact, key, db.keyring.secrets, names):
        raise ArtifactUntrusted(
            f"the artifact {name!r} of session {session_id!r} is not signed as its own with "
            "MFPREFECT_SIGNING_KEY. Add the earlier key to verify_keys, or store the model again."
        )
    return artifact


def _temporary_file() -> BinaryIO:
    # In memory while it is small, then in an unnamed file.
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(IN_MEMORY))
