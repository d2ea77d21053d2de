"""Read scores: as Arrow batches, by entity or range, or the latest of an entity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from mfprefect.errors import InvalidValue
from mfprefect.scores import SCHEMA
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.lookup import find_session, require_model
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["iter_scores", "latest_frame", "scores_frame"]

IDS_PER_STATEMENT = 500
"""Databases limit the parameters of a statement; the lowest limit is about 1,000."""


def iter_scores(
    db: Database,
    session_id: str,
    *,
    unpublished: bool = False,
    entity_ids: Iterable[str | int] | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Iterator[pa.RecordBatch]:
    """Return an iterator over a session's scores in the order of entity ids.

    Arguments are checked at once, not at the first batch.

    Args:
        db: the database.
        session_id: the session.
        unpublished: also read scores that are not published; otherwise there are none of these.
        entity_ids: only these.
        at_least: only scores from here on.
        at_most: only scores up to here.

    Returns:
        Batches with the columns entity_id, score, score_class.

    Raises:
        InvalidValue: an id is neither text nor an integer, or a bound is no number.
        UnknownSession: the session does not exist, or was deleted between two statements.
    """
    bounds = _bounds(db, at_least, at_most)
    ids = None if entity_ids is None else _storable_ids(db, entity_ids)
    handle = find_session(db, session_id)
    scores = db.schema.scores
    select = (
        sa.select(*(scores.c[name] for name in SCHEMA.names))
        .where(scores.c.session_no == handle.session_no, *bounds)
        .order_by(scores.c.entity_id)
    )
    if not unpublished:
        # Check publication in the same statement: a reader sees all of a session or nothing.
        select = select.where(sa.exists().where(*_published(db, handle)))
    if ids is None:
        return db.stream(select, SCHEMA)
    return _of_entities(db, handle, select, ids, unpublished)


def _storable_ids(db: Database, entity_ids: Iterable[str | int]) -> list[str]:
    """Return the ids that can be stored: the database may take others for one of these."""
    column, reason = db.schema.scores.c.entity_id, db.backend.why_not_storable
    return [id_ for id_ in values.entity_ids(entity_ids) if reason(column, id_) is None]


def _published(db: Database, handle: SessionHandle) -> tuple[sa.ColumnElement[bool], ...]:
    s = db.schema.sessions
    return s.c.session_no == handle.session_no, s.c.published_at.is_not(None)


def _of_entities(
    db: Database, handle: SessionHandle, select: sa.Select[Any], ids: list[str], unpublished: bool
) -> Iterator[pa.RecordBatch]:
    # Check publication once, first: between two statements it would show the second half only.
    published = sa.select(db.schema.sessions.c.session_no).where(*_published(db, handle))
    if not unpublished and not db.fetch_all(published):
        return
    for chunk in _chunks(ids):
        yield from db.stream(select.where(db.schema.scores.c.entity_id.in_(chunk)), SCHEMA)
    if len(ids) > IDS_PER_STATEMENT:
        find_session(db, handle.session_id)  # raises if a deletion cut the scores short


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        yield ids[start : start + IDS_PER_STATEMENT]


def _bounds(
    db: Database, at_least: float | None, at_most: float | None
) -> list[sa.ColumnElement[bool]]:
    score = db.schema.scores.c.score
    low, high = _bound(at_least, "at_least"), _bound(at_most, "at_most")
    if low == math.inf or high == -math.inf:
        return [sa.false()]  # scores are finite; not every database knows infinity
    bounds = []
    if low is not None and low != -math.inf:
        bounds.append(score >= low)
    if high is not None and high != math.inf:
        bounds.append(score <= high)
    return bounds


def _bound(value: float | None, what: str) -> float | None:
    if value is None or (isinstance(value, float) and math.isinf(value)):
        return value
    try:
        return values.figure(value, what)
    except InvalidValue as exc:
        raise InvalidValue(
            f"{what}={value!r} is no number; pass a number, or leave it out for no bound."
        ) from exc


def scores_frame(db: Database, session_id: str, **options: Any) -> pd.DataFrame:
    """Return a session's scores as a DataFrame; takes the arguments of `iter_scores`."""
    batches = list(iter_scores(db, session_id, **options))
    frame: pd.DataFrame = pa.Table.from_batches(batches, schema=SCHEMA).to_pandas()
    return frame


def latest_frame(db: Database, model_id: str, entity_ids: Iterable[str | int]) -> pd.DataFrame:
    """Return each entity's score in the newest published session of a model that scored it.

    Columns: entity_id, score, score_class, session_id, as_of, published_at.

    Raises:
        InvalidValue: no entity, or an id is neither text nor an integer.
        UnknownModel: the model does not exist.
    """
    entity_ids = values.entity_ids(entity_ids)
    if not entity_ids:
        raise InvalidValue("name at least one entity; the view latest_scores shows all of them.")
    ids = _storable_ids(db, entity_ids)
    newest = _newest(db, model_id)
    entity_id = db.schema.scores.c.entity_id

    def work(connection: sa.Connection) -> list[sa.Row[Any]]:
        require_model(db, connection, model_id)
        rows = (connection.execute(newest.where(entity_id == id_)).first() for id_ in ids)
        return [row for row in rows if row is not None]

    return db.framed(newest, db.read_transaction(work))


def _newest(db: Database, model_id: str) -> sa.Select[Any]:
    # One statement for each entity: it tries sessions from the newest by the key of scores, and
    # stops at the first that has the entity. One for many entities would read every session.
    s, c = db.schema.sessions.c, db.schema.scores.c
    return (
        sa.select(c.entity_id, c.score, c.score_class, s.session_id, s.as_of, s.published_at)
        .join_from(db.schema.sessions, db.schema.scores, s.session_no == c.session_no)
        .where(s.model_id == model_id, s.published_at.is_not(None))
        .order_by(s.session_no.desc())
        .limit(1)
    )
