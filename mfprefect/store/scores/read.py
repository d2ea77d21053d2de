"""Read scores: of a session, by entity or range; the latest of an entity; a model's current ones.

Statements need no common snapshot here: the scores of a published session never change. A reader
notes first which sessions are published, and verifies at its end that those it read still are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from mfprefect.errors import DatabaseConflict, InvalidValue, UnknownSession
from mfprefect.schema import newest_first
from mfprefect.scores import SCHEMA
from mfprefect.store import views
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.lookup import find_session, require_model
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "current_frame",
    "current_session",
    "iter_scores",
    "latest_frame",
    "scores_frame",
    "scores_page",
]

IDS_PER_STATEMENT = 500
"""Databases limit the parameters of a statement; the lowest limit is about 1,000."""
KEYS_PER_STATEMENT = 2_000
"""Pairs of session and entity to look up at once: of too many, MySQL would scan the table."""
NEWEST = 20
"""How many sessions to list first: they nearly always have every entity."""


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
    scores = views.published_scores(db) if db.views_only else db.schema.scores
    bounds = _bounds(scores.c.score, at_least, at_most)
    ids = None if entity_ids is None else _storable_ids(db, entity_ids)
    if db.views_only:
        return _of_view(db, session_id, scores, bounds, ids)
    handle = find_session(db, session_id)
    select = (
        sa.select(*(scores.c[name] for name in SCHEMA.names))
        .where(scores.c.session_no == handle.session_no, *bounds)
        .order_by(scores.c.entity_id)
    )
    if not unpublished:
        # Check publication in the same statement: a reader sees all of a session or nothing.
        select = select.where(sa.exists().where(*_published(db, handle)))
    if ids is None:
        # Of scores in bounds, nobody knows how many there are.
        count = partial(_readable_rows, db, handle, unpublished)
        return db.stream(select, SCHEMA, None if bounds else count)
    return _of_entities(db, handle, select, ids, unpublished)


def _readable_rows(db: Database, handle: SessionHandle, unpublished: bool) -> int:
    """Return how many scores of a session its parts say that there are to read."""
    parts = db.schema.score_parts
    select = sa.select(sa.func.sum(parts.c.rows)).where(parts.c.session_no == handle.session_no)
    if not unpublished:
        select = select.where(sa.exists().where(*_published(db, handle)))
    return int(db.fetch_all(select)[0][0] or 0)


def _of_view(
    db: Database, session_id: str, scores: sa.Table, bounds: Sequence[Any], ids: list[str] | None
) -> Iterator[pa.RecordBatch]:
    views.require_sessions(db, [session_id])
    select = (
        sa.select(*(scores.c[name] for name in SCHEMA.names))
        .where(scores.c.session_id == session_id, *bounds)
        .order_by(scores.c.entity_id)
    )
    if ids is None:
        return db.stream(select, SCHEMA)
    return _of_view_entities(db, session_id, select, scores.c.entity_id, ids)


def _of_view_entities(
    db: Database,
    session_id: str,
    select: sa.Select[*tuple[Any, ...]],
    entity_id: Any,
    ids: list[str],
) -> Iterator[pa.RecordBatch]:
    for chunk in _chunks(ids):
        yield from db.stream(select.where(entity_id.in_(chunk)), SCHEMA)
    if len(ids) > IDS_PER_STATEMENT:
        views.require_sessions(db, [session_id])  # raises if a deletion cut the scores short


def _storable_ids(db: Database, entity_ids: Iterable[str | int]) -> list[str]:
    """Return the ids that can be stored: the database may take others for one of these."""
    column, reason = db.schema.scores.c.entity_id, db.backend.why_not_storable
    return [id_ for id_ in values.entity_ids(entity_ids) if reason(column, id_) is None]


def _published(db: Database, handle: SessionHandle) -> tuple[sa.ColumnElement[bool], ...]:
    s = db.schema.sessions
    return s.c.session_no == handle.session_no, s.c.published_at.is_not(None)


def _of_entities(
    db: Database,
    handle: SessionHandle,
    select: sa.Select[*tuple[Any, ...]],
    ids: list[str],
    unpublished: bool,
) -> Iterator[pa.RecordBatch]:
    # Check publication once, first: between two statements it would show the second half only.
    published = sa.select(db.schema.sessions.c.session_no).where(*_published(db, handle))
    if not unpublished and not db.fetch_all(published):
        return
    for chunk in _chunks(ids):
        yield from db.stream(select.where(db.schema.scores.c.entity_id.in_(chunk)), SCHEMA)
    if len(ids) > IDS_PER_STATEMENT:
        find_session(db, handle.session_id)  # raises if a deletion cut the scores short
        if not unpublished and not db.fetch_all(published):
            raise InvalidValue(
                f"the scores of session {handle.session_id!r} were deleted while they were read; "
                "store.metadata() says when and why."
            )


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        yield ids[start : start + IDS_PER_STATEMENT]


def _bounds(
    score: sa.ColumnElement[float], at_least: float | None, at_most: float | None
) -> list[sa.ColumnElement[bool]]:
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


def scores_page(db: Database, session_id: str, limit: int, after: str | None) -> pd.DataFrame:
    """Return the first published scores of a session after an entity, by the order of ids.

    Raises:
        UnknownSession: the session does not exist.
    """
    scores = views.published_scores(db) if db.views_only else db.schema.scores
    select = sa.select(*(scores.c[name] for name in SCHEMA.names))
    if db.views_only:
        views.require_sessions(db, [session_id])
        select = select.where(scores.c.session_id == session_id)
    else:
        handle = find_session(db, session_id)
        published = sa.exists().where(*_published(db, handle))
        select = select.where(scores.c.session_no == handle.session_no, published)
    if after is not None:
        select = select.where(scores.c.entity_id > after)
    return db.frame(select.order_by(scores.c.entity_id).limit(limit))


def latest_frame(db: Database, model_id: str, entity_ids: Iterable[str | int]) -> pd.DataFrame:
    """Return each entity's newest score, by the order of `newest_first`.

    All rows show the model's scores at one moment, on every database.

    Columns: entity_id, score, score_class, session_id, as_of, published_at.

    Raises:
        InvalidValue: no entity, or an id is neither text nor an integer.
        UnknownModel: the model does not exist.
    """
    entity_ids = values.entity_ids(entity_ids)
    if not entity_ids:
        raise InvalidValue("name at least one entity; the view latest_scores shows all of them.")
    ids = _storable_ids(db, entity_ids)
    shown = sa.select(*_columns(db))
    if db.views_only:
        return views.latest_scores(db, model_id, ids, shown.selected_columns.keys())

    def work(connection: sa.Connection) -> list[Any]:
        require_model(db, connection, model_id)
        return _latest(db, connection, model_id, ids)

    return db.framed(shown, db.read_transaction(work))


def _columns(db: Database) -> list[sa.Column[Any]]:
    c, s = db.schema.scores.c, db.schema.sessions.c
    return [c.entity_id, c.score, c.score_class, s.session_id, s.as_of, s.published_at]


def _latest(
    db: Database, connection: sa.Connection, model_id: str, ids: Sequence[str]
) -> list[tuple[Any, ...]]:
    """Return the newest rows in the order of ids, without those that were never scored."""
    select = _published_sessions(db, model_id)
    sessions = connection.execute(select.limit(NEWEST)).all()
    scores = _newest_scores(db, connection, sessions, ids)
    if len(scores) < len(ids) and len(sessions) == NEWEST:
        newest, sessions = sessions, connection.execute(select).all()
        if sessions[:NEWEST] != newest:
            raise _changed(model_id)
        remaining = [id_ for id_ in ids if id_ not in scores]
        scores |= _scores_of_all(db, connection, model_id, remaining)
        unchanged = connection.execute(select).all() == sessions
    else:
        unchanged = _still_published(db, connection, sessions)
    if not unchanged:
        raise _changed(model_id)
    return [scores[id_] for id_ in ids if id_ in scores]


def _changed(model_id: str) -> DatabaseConflict:
    return DatabaseConflict(
        f"scores of model {model_id!r} were published or deleted while they were read; try again."
    )


def _published_sessions(db: Database, model_id: str) -> sa.Select[*tuple[Any, ...]]:
    """Return the select of a model's published sessions, newest first."""
    s = db.schema.sessions.c
    return (
        sa.select(s.session_no, s.session_id, s.as_of, s.published_at)
        .where(s.model_id == model_id, s.published_at.is_not(None))
        .order_by(*newest_first(s))
    )


def _newest_scores(
    db: Database,
    connection: sa.Connection,
    sessions: Sequence[sa.Row[*tuple[Any, ...]]],
    ids: Sequence[str],
) -> dict[str, tuple[Any, ...]]:
    """Return the newest row of each id in sessions, newest first: in no older one than it must."""
    scores: dict[str, tuple[Any, ...]] = {}
    remaining, tried = list(ids), 0
    while remaining and tried < len(sessions):
        some = sessions[tried : tried + max(1, KEYS_PER_STATEMENT // len(remaining))]
        for entity_id, score, score_class, session in _scores_in(db, connection, some, remaining):
            origin = (session.session_id, session.as_of, session.published_at)
            scores.setdefault(entity_id, (entity_id, score, score_class, *origin))
        remaining = [id_ for id_ in remaining if id_ not in scores]
        tried += len(some)
    return scores


def _scores_in(
    db: Database,
    connection: sa.Connection,
    sessions: Sequence[sa.Row[*tuple[Any, ...]]],
    ids: Sequence[str],
) -> list[tuple[Any, ...]]:
    """Return entity_id, score, score_class and session of ids, in the order of sessions."""
    c = db.schema.scores.c
    places = {row.session_no: place for place, row in enumerate(sessions)}
    select = sa.select(c.session_no, c.entity_id, c.score, c.score_class)
    select = select.where(c.session_no.in_(list(places)))
    rows = [
        (places[number], *row)
        for chunk in _chunks(ids)
        for number, *row in connection.execute(select.where(c.entity_id.in_(chunk)))
    ]
    return [(*row, sessions[place]) for place, *row in sorted(rows, key=lambda row: row[0])]


def _scores_of_all(
    db: Database, connection: sa.Connection, model_id: str, ids: Sequence[str]
) -> dict[str, tuple[Any, ...]]:
    """Return the newest row of each id, from the sessions of all times, as the view shows it."""
    view = db.schema.views()["latest_scores"].subquery("latest")
    select = sa.select(*(view.c[column.key] for column in _columns(db)))
    select = select.where(view.c.model_id == model_id)
    return {
        row.entity_id: tuple(row)
        for chunk in _chunks(ids)
        for row in connection.execute(select.where(view.c.entity_id.in_(chunk)))
    }


def _still_published(
    db: Database, connection: sa.Connection, sessions: Sequence[sa.Row[*tuple[Any, ...]]]
) -> bool:
    """Return whether sessions are as they were listed, so that their scores were all there."""
    s = db.schema.sessions.c
    numbers = [row.session_no for row in sessions]
    columns = sa.select(s.session_no, s.session_id, s.published_at)
    rows = connection.execute(columns.where(s.session_no.in_(numbers)))
    now = {tuple(row) for row in rows}
    return all((row.session_no, row.session_id, row.published_at) in now for row in sessions)


def current_session(db: Database, model_id: str) -> str | None:
    """Return the model's newest session with published scores, None if it has none.

    Raises:
        UnknownModel: the model does not exist.
    """
    session = _newest_session(db, model_id)
    return None if session is None else str(session.session_id)


def _newest_session(db: Database, model_id: str) -> sa.Row[*tuple[Any, ...]] | None:
    if db.views_only:
        return views.newest_published(db, model_id)

    def work(connection: sa.Connection) -> sa.Row[*tuple[Any, ...]] | None:
        row = connection.execute(_published_sessions(db, model_id).limit(1)).first()
        if row is None:
            require_model(db, connection, model_id)
        return row

    return db.read_transaction(work)


def current_frame(db: Database, model_id: str, **options: Any) -> pd.DataFrame:
    """Return the scores of the model's newest published session; options as in `iter_scores`.

    Columns: those of `latest_frame`.

    Raises:
        InvalidValue: an option is wrong.
        UnknownModel: the model does not exist.
    """
    if options.get("entity_ids") is not None:
        options["entity_ids"] = values.entity_ids(options["entity_ids"])
    return db.retry(lambda: _current_frame(db, model_id, options))


def _current_frame(db: Database, model_id: str, options: Mapping[str, Any]) -> pd.DataFrame:
    session = _newest_session(db, model_id)
    if session is None:
        return db.framed(sa.select(*_columns(db)), [])

    def there() -> bool:
        if db.views_only:
            return views.newest_published(db, model_id) == session
        return db.read_transaction(lambda c: _still_published(db, c, [session]))

    try:
        frame = scores_frame(db, session.session_id, **options)
    except (InvalidValue, UnknownSession) as exc:
        if there():
            raise
        raise _changed(model_id) from exc
    if not there():
        raise _changed(model_id)
    shown = ("session_id", "as_of", "published_at")
    return frame.assign(**{name: session._mapping[name] for name in shown})
