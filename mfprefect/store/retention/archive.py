"""Writing sessions to archives before they are deleted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from mfprefect.schema import Blob, Instant
from mfprefect.scores import SCHEMA
from mfprefect.store.database import Database
from mfprefect.store.lookup import find_session
from mfprefect.store.retention.archive_files import Content, folder_of, write_archive
from mfprefect.store.retention.delete_scores import without_scores
from mfprefect.store.states import Status
from mfprefect.util import values

__all__ = ["archive_session"]

SCORES = SCHEMA.append(pa.field("part_no", pa.int32(), nullable=False))
LARGE_TABLES = ("scores", "artifact_chunks")
"""Tables that are too large to be read at once."""


def archive_session(db: Database, session_id: str, root: Path) -> tuple[Path, str]:
    """Write everything about a session to a folder; return it, and the digest of its head.

    Scores of a session that did not succeed are left out.

    Raises:
        ArtifactCorrupt: it has a damaged archive already, or its own data is damaged.
        OSError: the folder cannot be written.
        UnknownSession: there is no such session.
    """
    handle = find_session(db, session_id)
    folder = folder_of(root, handle.model_id, session_id).resolve()
    head = _head(db, handle.session_no)
    number = db.schema.session_metadata.c.session_no
    scores_deleted = without_scores(db).where(number == handle.session_no)
    with_scores = handle.status == Status.SUCCEEDED and not db.fetch_all(scores_deleted)
    return folder, write_archive(folder, head, _tables(db, handle.session_no, with_scores))


def _head(db: Database, number: int) -> dict[str, Any]:
    s, e, stages = db.schema.sessions, db.schema.environments, db.schema.model_stages
    session = dict(db.fetch_all(sa.select(s).where(s.c.session_no == number))[0]._mapping)
    a, digest = db.schema.session_attempts, session["environment_digest"]
    ran = sa.select(e).where(e.c.environment_digest == digest)
    attempts = sa.select(a.c.environment_digest).where(a.c.session_no == number)
    others = sa.select(e).where(
        e.c.environment_digest != digest, e.c.environment_digest.in_(attempts)
    )
    staged = sa.select(stages).where(stages.c.session_no == number).order_by(stages.c.set_at)
    drift = db.schema.drift.c
    references = sa.select(drift.reference_session_no).where(drift.session_no == number)
    needed = {session["parent_session_no"], *(row[0] for row in db.fetch_all(references))} - {None}
    names = sa.select(s.c.session_no, s.c.session_id).where(s.c.session_no.in_(needed))
    return {
        "archived_at": values.utc_now(),
        "session": session,
        "environment": dict(db.fetch_all(ran)[0]._mapping),
        # Those of earlier attempts.
        "environments": [
            dict(row._mapping) for row in db.fetch_all(others.order_by(e.c.environment_digest))
        ],
        "stages": [dict(row._mapping) for row in db.fetch_all(staged)],
        # The sessions whose numbers are in `session` and in the table `drift`.
        "session_ids": {str(no): name for no, name in db.fetch_all(names)} if needed else {},
    }


def _tables(db: Database, number: int, with_scores: bool) -> Iterator[Content]:
    for name, table in db.schema.tables.items():
        if table not in db.schema.session_tables() or name in LARGE_TABLES:
            continue
        columns = [c for c in table.c if c.key != "session_no"]
        select = sa.select(*columns).where(table.c.session_no == number)
        rows = db.fetch_all(select.order_by(*table.primary_key.columns))
        if rows:
            schema = pa.schema([pa.field(c.key, _type(c)) for c in columns])
            yield Content(name, schema, [_batch(rows, schema)])
            if name == "artifacts":
                yield Content("artifact_chunks", *_chunks(db, number))
            if name == "score_parts" and with_scores:
                yield Content("scores", SCORES, _scores(db, number))


def _scores(db: Database, number: int) -> Iterator[pa.RecordBatch]:
    # Sorted by part, to check the digest of each with only one in memory.
    c = db.schema.scores.c
    select = sa.select(*(c[name] for name in SCORES.names)).where(c.session_no == number)
    yield from db.stream(select.order_by(c.part_no, c.entity_id), SCORES)


def _chunks(db: Database, number: int) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    table = db.schema.artifact_chunks
    columns = [c for c in table.c if c.key != "session_no"]
    schema = pa.schema([pa.field(c.key, _type(c)) for c in columns])
    keys = sa.select(table.c.artifact_name, table.c.chunk_no).where(table.c.session_no == number)

    def batches() -> Iterator[pa.RecordBatch]:
        for name, chunk_no in db.fetch_all(keys.order_by(table.c.artifact_name, table.c.chunk_no)):
            select = sa.select(*columns).where(
                table.c.session_no == number,
                table.c.artifact_name == name,
                table.c.chunk_no == chunk_no,
            )
            yield _batch(db.fetch_all(select), schema)

    return schema, batches()


def _batch(rows: Sequence[sa.Row[*tuple[Any, ...]]], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _type(column: sa.Column[Any]) -> pa.DataType:
    if isinstance(column.type, Instant):
        return pa.timestamp("us", "UTC")
    if isinstance(column.type, Blob):
        return pa.large_binary()
    kinds = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), dt.date: pa.date32()}
    return kinds.get(column.type.python_type, pa.string())
