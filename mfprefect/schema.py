"""The session/metric schema: tables and views, the same in every database.

Column names avoid every word that a supported database reserves. Where the usual term is such a
word (`value`, `format`, `period`), the column has the term as its key: `metrics.c.value` is the
column `metric_value`, and a DataFrame shows it as `value`.

All times are UTC with microseconds. `session_no` is the compact key of every child table; people
see `session_id`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Date, ForeignKey, Index, Integer, Select, Subquery, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles

from mfprefect.errors import InvalidValue

__all__ = [
    "COMPLETE_VIEWS",
    "ENTITY_ID_LENGTH",
    "MODEL_ID_LENGTH",
    "NAME_LENGTH",
    "VIEWS",
    "Blob",
    "Double",
    "Id",
    "Instant",
    "JsonRows",
    "Layout",
    "LongText",
    "OrderedJoin",
    "Schema",
    "UtcDay",
    "data_day",
    "newest_first",
]

MODEL_ID_LENGTH = 64
SESSION_ID_LENGTH = 96
ENTITY_ID_LENGTH = 255
NAME_LENGTH = 128
DIGEST_LENGTH = 64
KEY_ID_LENGTH = 32
SIGNATURE_LENGTH = 128
GATE_LENGTH = 1024

VIEWS = (
    "published_scores",
    "latest_scores",
    "current_scores",
    "session_overview",
    "metric_history",
    "production_models",
    "gate_history",
)

COMPLETE_VIEWS = {"session_overview"}
"""Views that leave no row out, so that a reader's functions can see nothing hidden."""


class Id(sa.String):
    """A name or identifier, compared byte by byte: `a`, `A` and `a ` are three values."""


class LongText(sa.Text):
    """Text of any length."""


class Blob(sa.LargeBinary):
    """Bytes, at most 4 MiB a row."""


class Double(sa.Double[float]):
    """An IEEE 754 double, stored bit for bit, including -0.0 and denormals."""


class Timestamp(sa.DateTime):
    """A point in time with microseconds, in the database's own type."""


class Instant(sa.TypeDecorator[dt.datetime]):
    """A UTC instant. Takes and returns aware datetimes; refuses naive ones."""

    impl = Timestamp
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> Any:
        """Refuse a naive datetime; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise InvalidValue(
                f"{value!r} has no time zone, and this column stores instants; "
                "pass an aware datetime such as datetime.now(timezone.utc)."
            )
        return value.astimezone(dt.UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        """Return the stored UTC instant as an aware datetime."""
        return None if value is None else value.replace(tzinfo=dt.UTC)


def _no_options(_: str) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Layout:
    """Where the tables of one installation are, and the options that its database needs."""

    schema: str | None = None
    """The database schema, or None for the connection's own."""
    prefix: str = ""
    """The start of every table and view name, for an installation that shares a schema."""
    options: Callable[[str], Mapping[str, Any]] = _no_options
    """Returns the dialect options (`mysql_engine`, ..) of a table, by its name."""


def _session_no() -> Column[int]:
    return Column("session_no", Integer, primary_key=True, autoincrement=False)


def _number(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True, autoincrement=False)


def _name(name: str, length: int = NAME_LENGTH, **options: Any) -> Column[str]:
    return Column(name, Id(length), **options)


class Schema:
    """All tables and views under one layout."""

    def __init__(self, layout: Layout | None = None) -> None:
        self.layout = layout or Layout()
        self.metadata = sa.MetaData(schema=self.layout.schema)
        self.tables: dict[str, Table] = {}
        self._models()
        self._sessions()
        self._inputs()
        self._figures()
        self._scores()
        self._artifacts()
        self._events()

    def name(self, name: str) -> str:
        """Return the name of a table or view in the database, including the prefix."""
        return self.layout.prefix + name

    def session_tables(self) -> list[Table]:
        """Return the tables that hold what a session produced, all keyed by `session_no`."""
        return [
            t for n, t in self.tables.items() if n != "sessions" and "session_no" in t.primary_key.c
        ]

    def _table(self, name: str, *items: Any, of_session: bool = True) -> Table:
        first = items[0]
        if name != "sessions" and of_session and first.name == "session_no":
            items = (*items, sa.ForeignKeyConstraint(["session_no"], [self.sessions.c.session_no]))
        options = dict(self.layout.options(name))
        table = Table(self.name(name), self.metadata, *items, **options)
        self.tables[name] = table
        return table

    def _models(self) -> None:
        self.models = self._table(
            "models",
            _name("model_id", MODEL_ID_LENGTH, primary_key=True),
            Column("description", LongText, nullable=False),
            _name("entity_type", nullable=False),
            _name("owner", nullable=False),
            Column("created_at", Instant, nullable=False),
            # Maximum age of the last scores before an alarm; NULL: no alarm.
            Column("max_age_seconds", sa.BigInteger),
        )
        self.model_thresholds = self._table(
            "model_thresholds",
            self._model_key(),
            Column("set_at", Instant, primary_key=True),
            Column("threshold_value", Double, nullable=False, key="value"),
            _name("threshold_kind", 16, nullable=False, key="kind"),
            _name("set_by", nullable=False),
        )
        self.environments = self._table(
            "environments",
            _name("environment_digest", DIGEST_LENGTH, primary_key=True),
            _name("python_version", nullable=False),
            _name("platform_name", 255, nullable=False),
            Column("packages", LongText, nullable=False),
        )

    def _model_key(self) -> Column[str]:
        return Column(
            "model_id", Id(MODEL_ID_LENGTH), ForeignKey(self.models.c.model_id), primary_key=True
        )

    def _sessions(self) -> None:
        name = self.name("sessions")
        self.sessions = self._table(
            "sessions",
            _number("session_no"),
            _name("session_id", SESSION_ID_LENGTH, nullable=False, unique=True),
            Column(
                "model_id", Id(MODEL_ID_LENGTH), ForeignKey(self.models.c.model_id), nullable=False
            ),
            _name("purpose", 16, nullable=False),
            _name("status", 16, nullable=False),
            Column("attempt", Integer, nullable=False),
            Column("started_at", Instant, nullable=False),
            Column("ended_at", Instant),
            Column("heartbeat_at", Instant, nullable=False),
            _name("run_by", nullable=False),
            _name("host", 255, nullable=False),
            Column("process_id", Integer, nullable=False),
            _name("vcs", 8),
            _name("git_commit", DIGEST_LENGTH),
            _name("git_branch", 255),
            Column("git_remote", LongText),
            Column("git_dirty", Boolean),
            _name("git_diff_digest", DIGEST_LENGTH),
            Column(
                "environment_digest",
                Id(DIGEST_LENGTH),
                ForeignKey(self.environments.c.environment_digest),
                nullable=False,
            ),
            Column("as_of", Date),
            Column("params", LongText, nullable=False),
            _name("flow_run_id", 64),
            Column("flow_run_seq", Integer),
            _name("deployment", 255),
            Column("parent_session_no", Integer),
            _name("failure_kind", 255),
            Column("failure_text", LongText),
            Column("published_at", Instant),
            Column("last_exported_at", Instant),
            _name("seal", DIGEST_LENGTH),
            _name("previous_seal", DIGEST_LENGTH),
            Column("tags", LongText),
            # When a reconciler first missed a heartbeat; the next heartbeat resets it to NULL.
            Column("suspected_at", Instant),
            # While it is being deleted: `session`, or `model` where it goes with its model.
            _name("deletion", 16),
            # When the attempt began that this row describes; earlier versions left it NULL.
            Column("attempt_started_at", Instant),
            # Which process of which boot and container; NULL where nobody can tell.
            _name("process_key"),
            # A flow run has one session with attempts; a flow that opens more numbers them.
            sa.UniqueConstraint("flow_run_id", "flow_run_seq", name=f"uq_{name}_flow_run"),
            Index(f"ix_{name}_model", "model_id", "session_no"),
            Index(f"ix_{name}_status", "status", "heartbeat_at"),
        )
        # Of sessions that were retried: copies of what `sessions` said of each attempt.
        self.session_attempts = self._table(
            "session_attempts",
            _session_no(),
            _number("attempt"),
            _name("status", 16, nullable=False),
            # NULL, like its code and environment: an earlier version did not record them.
            Column("started_at", Instant),
            Column("ended_at", Instant),
            _name("failure_kind", 255),
            Column("failure_text", LongText),
            _name("run_by"),
            _name("host", 255, nullable=False),
            Column("process_id", Integer, nullable=False),
            _name("vcs", 8),
            _name("git_commit", DIGEST_LENGTH),
            _name("git_branch", 255),
            Column("git_remote", LongText),
            Column("git_dirty", Boolean),
            _name("git_diff_digest", DIGEST_LENGTH),
            _name("environment_digest", DIGEST_LENGTH),
        )
        self.model_stages = self._table(
            "model_stages",
            self._model_key(),
            Column("set_at", Instant, primary_key=True),
            Column("session_no", Integer, ForeignKey(self.sessions.c.session_no), nullable=False),
            _name("stage", 16, nullable=False),
            _name("set_by", nullable=False),
            Column("reason", LongText),
            Column("gates", LongText),
            of_session=False,
        )

    def _inputs(self) -> None:
        self.inputs = self._table(
            "inputs",
            _session_no(),
            _number("input_no"),
            _name("source", 255, nullable=False),
            Column("query_text", LongText, key="query"),
            Column("row_count", sa.BigInteger, key="rows"),
            Column("column_types", LongText, key="columns"),
            _name("digest", DIGEST_LENGTH),
            Column("seconds", Double, nullable=False),
        )
        self.input_columns = self._table(
            "input_columns",
            _name("schema_name", primary_key=True),
            _name("table_name", primary_key=True),
            _name("column_name", primary_key=True),
            Column("is_valid", Boolean, nullable=False, key="valid"),
            Column("is_test", Boolean, nullable=False, key="test"),
            Column("note", LongText),
        )
        self.input_summary = self._table(
            "input_summary",
            _session_no(),
            _name("variable", 255, primary_key=True),
            _name("dtype", 64, nullable=False),
            Column("mean_value", Double, key="mean"),
            Column("sd_value", Double, key="sd"),
            Column("median_value", Double, key="median"),
            Column("min_value", Double, key="min"),
            Column("max_value", Double, key="max"),
            Column("n", sa.BigInteger, nullable=False),
            Column("n_na", sa.BigInteger, nullable=False),
            Column("n_distinct", sa.BigInteger, nullable=False),
            Column("quantiles", LongText),
            Column("bin_counts", LongText),
        )
        self.check_results = self._table(
            "check_results",
            _session_no(),
            _number("check_no"),
            _name("check_name", 255, nullable=False, key="check"),
            _name("column_name", 255, key="column"),
            _name("severity", 16, nullable=False),
            Column("passed", Boolean, nullable=False),
            Column("failing_rows", sa.BigInteger, nullable=False),
            Column("failing_sample", LongText, key="sample"),
            Column("message", LongText, nullable=False),
        )

    def _figures(self) -> None:
        self.session_metadata = self._table(
            "session_metadata",
            _session_no(),
            _name("meta_group", primary_key=True),
            _name("meta_name", primary_key=True),
            Column("meta_value", LongText, nullable=False, key="value"),
        )
        self.metrics = self._table(
            "metrics",
            _session_no(),
            _name("metric_name", primary_key=True),
            # '' is the whole test set, because a key column cannot be NULL.
            _name("segment", primary_key=True),
            Column("metric_value", Double, nullable=False, key="value"),
            Column("definition_version", Integer),
        )
        self.variable_importance = self._table(
            "variable_importance",
            _session_no(),
            _name("kind", 64, primary_key=True),
            _name("variable", 255, primary_key=True),
            Column("importance", Double),
            Column("std", Double),
            Column("coefficient", Double),
        )
        self.test_curve = self._table(
            "test_curve",
            _session_no(),
            _number("point_no"),
            Column("score", Double, nullable=False),
            *(
                Column(name, sa.BigInteger, nullable=False)
                for name in ("population", "target_population", "tp", "fp", "tn", "fn")
            ),
        )
        self.backtests = self._table(
            "backtests",
            _session_no(),
            _name("series", primary_key=True),
            _name("period_name", 64, primary_key=True, key="period"),
            Column("predicted", Double),
            Column("actual", Double),
        )
        # Sessions sealed before there was this table have a JSON list in `session_metadata`.
        self.gate_results = self._table(
            "gate_results",
            _session_no(),
            _number("gate_no"),
            _name("gate", GATE_LENGTH, nullable=False),
            _name("kind", 64, nullable=False),
            _name("verdict", 16, nullable=False),
            Column("reason", LongText, nullable=False),
            Column("figure", Double),
            Column("at_least", Double),
            Column("at_most", Double),
            Column("margin", Double),
            _name("production_session_id", SESSION_ID_LENGTH),
            Column("production_figure", Double),
            Column("difference", Double),
            # The interval of the difference, and how it was computed.
            Column("interval_low", Double, key="low"),
            Column("interval_high", Double, key="high"),
            _name("interval_method", 255, key="method"),
        )
        self.drift = self._table(
            "drift",
            _session_no(),
            _name("variable", 255, primary_key=True),
            _name("measure", 64, primary_key=True),
            Column("drift_value", Double, key="value"),
            Column("drift_threshold", Double, key="threshold"),
            _name("verdict", 16, nullable=False),
            Column("reference_session_no", Integer),
        )

    def _scores(self) -> None:
        # No foreign key: the database would look up the session for each of 100 million rows.
        self.scores = self._table(
            "scores",
            _session_no(),
            _name("entity_id", ENTITY_ID_LENGTH, primary_key=True),
            Column("score", Double, nullable=False),
            _name("score_class"),
            Column("part_no", Integer, nullable=False),
            of_session=False,
        )
        self.score_parts = self._table(
            "score_parts",
            _session_no(),
            _number("part_no"),
            Column("row_count", sa.BigInteger, nullable=False, key="rows"),
            _name("digest", DIGEST_LENGTH, nullable=False),
            # The attempt that wrote it.
            Column("attempt", Integer, nullable=False),
            Column("written_at", Instant, nullable=False),
            # The last attempt that kept it. Closing deletes parts that it neither wrote nor kept.
            Column("kept_by", Integer),
        )

        # For a retry, which keeps complete parts: gone when the session has succeeded.
        self.part_inputs = self._table(
            "part_inputs",
            _session_no(),
            _number("part_no"),
            Column("document", LongText, nullable=False),
        )

    def _artifacts(self) -> None:
        self.artifacts = self._table(
            "artifacts",
            _session_no(),
            _name("artifact_name", primary_key=True),
            _name("artifact_format", 32, nullable=False, key="format"),
            Column("byte_count", sa.BigInteger, nullable=False, key="bytes"),
            _name("sha256", DIGEST_LENGTH, nullable=False),
            _name("signature", DIGEST_LENGTH),
            Column("library_versions", LongText, nullable=False),
        )
        self.artifact_chunks = self._table(
            "artifact_chunks",
            _session_no(),
            _name("artifact_name", primary_key=True),
            _number("chunk_no"),
            Column("chunk_bytes", Blob(4 * 1024 * 1024), nullable=False, key="bytes"),
        )

    def _events(self) -> None:
        self.notifications = self._table(
            "notifications",
            _session_no(),
            _number("notice_no"),
            _name("event", 32, nullable=False),
            _name("channel", 255, nullable=False),
            Column("sent_at", Instant, nullable=False),
            Column("delivered", Boolean, nullable=False),
            Column("failure", LongText),
            # The process that inserts the row sends the notice, so each event is sent once.
            Index(
                f"uq_{self.name('notifications')}_fact",
                "session_no",
                "event",
                "channel",
                unique=True,
            ),
        )
        self.audit_events = self._table(
            "audit_events",
            _number("event_no"),
            Column("event_at", Instant, nullable=False, key="at"),
            _name("actor", nullable=False),
            _name("event_action", 32, nullable=False, key="action"),
            _name("subject", 255, nullable=False),
            Column("detail", LongText, nullable=False),
            _name("previous_digest", DIGEST_LENGTH),
            _name("digest", DIGEST_LENGTH, nullable=False),
            _name("key_id", KEY_ID_LENGTH),
            _name("signature", SIGNATURE_LENGTH),
            Index(f"ix_{self.name('audit_events')}_subject", "subject", "event_no"),
        )
        # One chain for each model. No foreign key: rows outlive their sessions.
        self.seals = self._table(
            "seals",
            _name("model_id", MODEL_ID_LENGTH, primary_key=True),
            _number("seal_no"),
            Column("session_no", Integer, nullable=False),
            _name("session_id", SESSION_ID_LENGTH, nullable=False),
            Column("sealed_at", Instant, nullable=False),
            Column("manifest", LongText, nullable=False),
            _name("seal", DIGEST_LENGTH, nullable=False),
            _name("key_id", KEY_ID_LENGTH),
            _name("signature", SIGNATURE_LENGTH),
            Index(f"ix_{self.name('seals')}_session", "session_no"),
            of_session=False,
        )

    def views(self) -> dict[str, Select[*tuple[Any, ...]]]:
        """Return the SELECT of each view; no view shows half a session."""
        return dict(zip(VIEWS, _views(self), strict=True))


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


def _views(schema: Schema) -> tuple[Select[*tuple[Any, ...]], ...]:
    s, m = schema.sessions.c, schema.metrics.c
    ended = sa.select(s.model_id, s.session_id, s.as_of, s.started_at)
    history = (
        ended.add_columns(m.metric_name, m.segment, m.value, m.definition_version)
        .select_from(_of_sessions(schema.sessions, schema.metrics))
        .where(s.status == sa.literal("succeeded"))
    )
    parent = schema.sessions.alias("parent")
    hidden = {"session_no", "parent_session_no", "environment_digest", "process_id"}
    hidden |= {"process_key", "suspected_at", "attempt_started_at"}
    overview = sa.select(
        *(x for x in s if x.key not in hidden), parent.c.session_id.label("parent_session_id")
    ).join_from(schema.sessions, parent, parent.c.session_no == s.parent_session_no, isouter=True)
    scores = (_published_scores(schema), _latest_scores(schema), _current_scores(schema))
    return (*scores, overview, history, _production(schema), _gate_history(schema))


def _production(schema: Schema) -> Select[*tuple[Any, ...]]:
    """Return each model's newest stage, if it is production.

    By rank: MySQL would let a reader's function judge rows before a NOT EXISTS hides them.
    """
    s, stages = schema.sessions, schema.model_stages.c
    newest = sa.func.rank().over(partition_by=stages.model_id, order_by=stages.set_at.desc())
    ranked = sa.select(*stages, newest.label("recency")).subquery("ranked")
    c = ranked.c
    return (
        sa.select(c.model_id, s.c.session_id, c.set_at, c.set_by, c.reason)
        .join_from(ranked, s, c.session_no == s.c.session_no)
        .where(c.stage == sa.literal("production"), c.recency == 1)
    )


def _of_sessions(sessions: sa.FromClause, table: Table) -> OrderedJoin:
    return OrderedJoin(sessions, table, sessions.c.session_no == table.c.session_no)


def _published_scores(schema: Schema) -> Select[*tuple[Any, ...]]:
    s, c = schema.sessions.c, schema.scores.c
    return (
        sa.select(*_score_columns(s, c))
        .select_from(_of_sessions(schema.sessions, schema.scores))
        .where(s.published_at.is_not(None))
    )


def _ranked_sessions(schema: Schema) -> Subquery:
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


def _latest_scores(schema: Schema) -> Select[*tuple[Any, ...]]:
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


def _current_scores(schema: Schema) -> Select[*tuple[Any, ...]]:
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


def _gate_history(schema: Schema) -> Select[*tuple[Any, ...]]:
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
