"""The views: SELECTs over the tables, which show no half session, and the SQL that they need."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Date, Integer, Select, Subquery, Table
from sqlalchemy.ext.compiler import compiles

from mfprefect.schema.tables import Tables

__all__ = [
    "COMPLETE_VIEWS",
    "VIEWS",
    "VIEW_COMMENTS",
    "JsonRows",
    "OrderedJoin",
    "UtcDay",
    "data_day",
    "newest_first",
    "selects",
]

VIEW_COMMENTS = {
    "published_scores": "Scores of all published sessions.",
    "latest_scores": "For each model and entity its newest score, whichever session has it.",
    "current_scores": "For each model the scores of its newest published session.",
    "session_overview": "Sessions, with their origin, parameters and training session.",
    "metric_history": "Metrics of sessions that succeeded.",
    "production_models": "For each model the session in production.",
    "gate_history": "Verdicts of gates, of sessions that succeeded or failed.",
}
VIEWS = tuple(VIEW_COMMENTS)
"""The names of all views."""

COMPLETE_VIEWS = {"session_overview"}
"""Views that leave no row out, so that a reader's functions can see nothing hidden."""


class JsonRows(sa.TextClause):
    """A SELECT of the objects in JSON lists, a row each; backends say how their SQL does it.

    Its columns are `session_no`, `place` (of the object in its list, from 1) and the fields. It has
    no rows where a backend does not say: a view then lacks what older versions kept as JSON.
    """

    inherit_cache = False

    def __init__(
        self, documents: Select[*tuple[Any, ...]], fields: Mapping[str, Column[Any]]
    ) -> None:
        super().__init__("")
        self.documents = documents
        """Selects `session_no` and `document`, the text of a list."""
        self.fields = dict(fields)
        """Columns by the objects' keys: their names and types are those of the rows."""

    def rows(self, name: str) -> sa.Subquery:
        """Return the rows as a subquery of that name."""
        numbers = (sa.column("session_no", Integer()), sa.column("place", Integer()))
        fields = (sa.column(column.name, column.type) for column in self.fields.values())
        return self.columns(*numbers, *fields).subquery(name)


class OrderedJoin(sa.Join):
    """A join of sessions with a table of theirs, by its key, which views read in this order.

    What the view leaves out of the sessions then hides their rows also from functions that a reader
    puts into conditions: such a function must not meet a row before the session is judged. Backends
    say so in their SQL where the optimizer is free to choose.
    """

    inherit_cache = True


class UtcDay(sa.FunctionElement[dt.date]):
    """The day of a stored instant, which is in UTC."""

    name = "utc_day"
    type = Date()
    inherit_cache = True


@compiles(UtcDay)
def _utc_day(element: UtcDay, compiler: Any, **options: Any) -> str:
    return str(compiler.process(sa.cast(next(iter(element.clauses)), Date()), **options))


def data_day(sessions: Any) -> sa.ColumnElement[dt.date]:
    """Return the day of a session's data: its `as_of`, or the UTC day on which it started.

    Args:
        sessions: the columns of `sessions`, or of an alias of it.
    """
    return sa.func.coalesce(sessions.as_of, UtcDay(sessions.started_at), type_=Date())


def newest_first(sessions: Any) -> tuple[sa.UnaryExpression[Any], ...]:
    """Return the order of published sessions, newest first: THE definition of "latest" scores.

    By the day of the data, so that a backfill of an older day does not replace newer scores; of
    one day, what was published last; `session_no` decides between equal times.

    Args:
        sessions: the columns of `sessions`, or of an alias of it.
    """
    order = (data_day(sessions), sessions.published_at, sessions.session_no)
    return tuple(key.desc() for key in order)


@compiles(JsonRows)
def _no_rows(element: JsonRows, compiler: Any, **options: Any) -> str:
    nulls = (sa.cast(None, column.type).label(column.name) for column in element.fields.values())
    documents = element.documents.subquery("documents")
    number = documents.c.session_no
    select = sa.select(number, number.label("place"), *nulls).where(number < sa.literal(0))
    return str(compiler.process(select, **options))


def selects(schema: Tables) -> tuple[Select[*tuple[Any, ...]], ...]:
    """Return the SELECTs of the views, in the order of their names."""
    s, m = schema.sessions.c, schema.metrics.c
    ended = sa.select(s.model_id, s.session_id, s.as_of, s.started_at)
    history = (
        ended.add_columns(m.metric_name, m.segment, m.value, m.definition_version)
        .select_from(_of_sessions(schema.sessions, schema.metrics))
        .where(s.status == sa.literal("succeeded"))
    )
    parent = schema.sessions.alias("parent")
    hidden = {"session_no", "parent_session_no", "environment_digest", "process_id"}
    hidden |= {"process_key", "suspected_at", "attempt_started_at", "git_author"}
    overview = sa.select(
        *(x for x in s if x.key not in hidden), parent.c.session_id.label("parent_session_id")
    ).join_from(schema.sessions, parent, parent.c.session_no == s.parent_session_no, isouter=True)
    scores = (_published_scores(schema), _latest_scores(schema), _current_scores(schema))
    return (*scores, overview, history, _production(schema), _gate_history(schema))


def _production(schema: Tables) -> Select[*tuple[Any, ...]]:
    """Return each model's newest stage, if it is production.

    By rank: MySQL would let a reader's function judge rows before a NOT EXISTS hides them. The
    description is ranked, too, for the same reason.
    """
    s, m, stages = schema.sessions, schema.models, schema.model_stages.c
    newest = sa.func.rank().over(partition_by=stages.model_id, order_by=stages.set_at.desc())
    ranked = (
        sa.select(*stages, m.c.description, newest.label("recency"))
        .join_from(schema.model_stages, m, stages.model_id == m.c.model_id)
        .subquery("ranked")
    )
    c = ranked.c
    return (
        sa.select(c.model_id, s.c.session_id, c.set_at, c.set_by, c.reason, c.description)
        .join_from(ranked, s, c.session_no == s.c.session_no)
        .where(c.stage == sa.literal("production"), c.recency == 1)
    )


def _of_sessions(sessions: sa.FromClause, table: Table) -> OrderedJoin:
    return OrderedJoin(sessions, table, sessions.c.session_no == table.c.session_no)


def _published_scores(schema: Tables) -> Select[*tuple[Any, ...]]:
    s, c = schema.sessions.c, schema.scores.c
    return (
        sa.select(*_score_columns(s, c))
        .select_from(_of_sessions(schema.sessions, schema.scores))
        .where(s.published_at.is_not(None))
    )


def _ranked_sessions(schema: Tables) -> Subquery:
    """Return the published sessions with their place in their model's order: 1 is the newest."""
    s = schema.sessions.c
    place = sa.func.row_number().over(partition_by=s.model_id, order_by=newest_first(s))
    return (
        sa.select(
            s.model_id, s.session_id, s.as_of, s.published_at, s.session_no, place.label("place")
        )
        .where(s.published_at.is_not(None))
        .subquery("ordered")
    )


def _latest_scores(schema: Tables) -> Select[*tuple[Any, ...]]:
    """Return the newest score of each entity, from whichever session of its model has it."""
    s, c = _ranked_sessions(schema), schema.scores.c
    # One number to sort each score by, instead of three columns of its session.
    newest = sa.func.row_number().over(partition_by=(s.c.model_id, c.entity_id), order_by=s.c.place)
    ranked = (
        sa.select(*_score_columns(s.c, c), newest.label("recency"))
        .select_from(_of_sessions(s, schema.scores))
        .subquery("ranked")
    )
    return sa.select(*(x for x in ranked.c if x.key != "recency")).where(ranked.c.recency == 1)


def _current_scores(schema: Tables) -> Select[*tuple[Any, ...]]:
    """Return the scores of the newest published session of each model, and of no other."""
    s, c = _ranked_sessions(schema), schema.scores.c
    return (
        sa.select(*_score_columns(s.c, c))
        .select_from(_of_sessions(s, schema.scores))
        .where(s.c.place == 1)
    )


def _score_columns(s: Any, c: Any) -> tuple[sa.ColumnElement[Any], ...]:
    """Return what views show of a score: columns of `sessions` and `scores`."""
    return s.model_id, s.session_id, c.entity_id, c.score, c.score_class, s.as_of, s.published_at


def _gate_history(schema: Tables) -> Select[*tuple[Any, ...]]:
    """Return what gates said of each session that ended, wherever that is stored."""
    s, m, g = schema.sessions.c, schema.session_metadata.c, schema.gate_results
    fields = {column.key: column for column in g.c if not column.primary_key}
    ended = s.status.in_([sa.literal("succeeded"), sa.literal("failed")])
    of_session = (s.model_id, s.session_id, s.status, s.started_at)
    replaced = sa.exists().where(g.c.session_no == m.session_no)
    documents = (
        sa.select(m.session_no, m.value.label("document"))
        .select_from(_of_sessions(schema.sessions, schema.session_metadata))
        .where(ended, m.meta_group == sa.literal("gates"), m.meta_name == sa.literal("verdicts"))
        .where(~replaced)
    )
    legacy = JsonRows(documents, fields).rows("legacy")
    shown = [column.label(column.name) for column in g.c if column.key != "session_no"]
    stored = (
        sa.select(*of_session, *shown).select_from(_of_sessions(schema.sessions, g)).where(ended)
    )
    older = sa.select(*of_session, *(c for c in legacy.c if c.key != "session_no")).join_from(
        schema.sessions, legacy, s.session_no == legacy.c.session_no
    )
    return sa.select(*sa.union_all(stored, older).subquery("verdicts").c)
