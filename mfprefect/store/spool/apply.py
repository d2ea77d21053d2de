"""Writing what an entry of the spool holds to the database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mfprefect.artifacts import Artifact
from mfprefect.spool.documents import ArtifactWrite, ParamsWrite, PartWrite, RowsWrite, Write
from mfprefect.store import artifacts
from mfprefect.store.database import Database
from mfprefect.store.database.row_validation import with_instants
from mfprefect.store.handle import SessionHandle
from mfprefect.store.scores import write as scores
from mfprefect.store.sessions.writing import add_params, flush
from mfprefect.store.spool.document import EntryDocument

__all__ = ["apply"]


def apply(db: Database, handle: SessionHandle, document: EntryDocument, write: Write) -> None:
    """Do one write of a document; it replaces what an interrupted delivery wrote.

    Raises:
        InvalidScores: an entity has a score in another part of the session.
        SessionClosed: the session takes no more writes.
    """
    if isinstance(write, RowsWrite):
        rows = {name: _with_numbers(db, name, rows) for name, rows in write.tables.items()}
        flush(db, handle, rows, replace=True)
    elif isinstance(write, ArtifactWrite):
        with write.blob.path.open("rb") as file:
            artifact = Artifact(**write.artifact)
            artifacts.save_artifact(db, handle, write.artifact_name, file, artifact)
    elif isinstance(write, PartWrite):
        scores.write_part(db, handle, write.part_no, document.scores(write))
    elif isinstance(write, ParamsWrite):
        add_params(db, handle, write.params)
    else:
        scores.drop_parts(db, handle)


def _with_numbers(db: Database, table: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Parse instants, and replace the ids of reference sessions in drift rows by their numbers."""
    if table != "drift":
        return [with_instants(db.schema.tables[table], row) for row in rows]
    names = {row["reference_session_id"] for row in rows if row.get("reference_session_id")}
    s = db.schema.sessions.c
    select = sa.select(s.session_id, s.session_no).where(s.session_id.in_(names))
    numbers = dict(tuple(row) for row in db.fetch_all(select)) if names else {}
    numbered = []
    for row in rows:
        changed = dict(row)
        if (reference := changed.pop("reference_session_id", None)) is not None:
            changed["reference_session_no"] = numbers.get(reference)
        numbered.append(changed)
    return numbered
