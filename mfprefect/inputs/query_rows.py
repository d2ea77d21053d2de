"""The rows of a query in the database that holds them: checked, sampled and scored there."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from mfprefect.inputs.parameters import bind, subquery_text
from mfprefect.inputs.sql_data import SourceData
from mfprefect.quality.checks.frame_data import FailingRows, by_frequency, level_texts
from mfprefect.scores import SCHEMA

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mfprefect.backend import Backend
    from mfprefect.inputs.query import Query

__all__ = ["QueryRows", "ScoreSelect", "scores_of"]

T = TypeVar("T")
ScoreSelect = sa.Select[*tuple[Any, ...]]


class QueryRows:
    """What a query returns, on a connection to its source; figures, samples and scores leave it."""

    def __init__(self, connection: sa.Connection, backend: Backend | None, query: Query) -> None:
        """Ask for the columns of a query, which reads no row.

        Args:
            connection: to its source.
            backend: of the source's database, None if there is none.
            query: the query.

        Raises:
            InvalidValue: the SQL has no such parameter.
        """
        self._connection, self.backend, self._query = connection, backend, query
        native = connection.dialect.supports_native_decimal
        text, values = bind(subquery_text(query.text), query.params, native_decimal=native)
        self._text = _with_values(text, values)
        subquery = self._text.columns().subquery("source_rows")
        no_rows = sa.select(sa.text("*")).select_from(subquery).where(sa.false())
        with connection.execute(no_rows) as result:
            cursor: Any = result.cursor
            self.columns = list(map(str, result.keys()))
            """The names of its columns, in order."""
            self._codes = {
                name: entry[1] for name, entry in zip(self.columns, cursor.description, strict=True)
            }

    @property
    def dialect(self) -> str:
        """The name of the database's dialect, such as `postgresql`."""
        return self._connection.dialect.name

    def check_data(self, compared: Collection[str]) -> _CheckData:
        """Return what checks of all rows may ask; takes the columns whose extremes they need."""
        backend = self._scoring_backend
        place = (compared, self._query.source, backend)
        return _CheckData(self._connection, self._text, self._source, *place)

    def for_model(self, entity_id: str, features: Sequence[str], share: int = 1) -> sa.FromClause:
        """Return the rows as a model gets them, the id as text.

        Args:
            entity_id: the column of ids.
            features: the columns of the model.
            share: take about one row in so many, by a hash of the ids.
        """
        c = self._source.c
        text = self._scoring_backend.scored_id(self._connection, c[entity_id])
        select = sa.select(text.label(entity_id), *(c[name] for name in features))
        if share > 1:
            condition = self._scoring_backend.sampled(self._connection, c[entity_id], share)
            select = select.where(condition)
        return select.subquery("model_rows")

    def beside(self, query: Query) -> QueryRows:
        """Return the rows of another query of the same source, on the same connection."""
        return QueryRows(self._connection, self.backend, query)

    def row_count(self) -> int:
        """Return the number of rows."""
        count = sa.select(sa.func.count()).select_from(self._source)
        return int(self._connection.execute(count).scalar_one())

    def time_limit(self, seconds: float | None) -> AbstractContextManager[None]:
        """Let the database stop what takes longer, which raises an error; None: no limit."""
        if seconds is None:
            return nullcontext()
        return self._scoring_backend.time_limit(self._connection, seconds)

    def count(self, rows: sa.FromClause, entity_id: str) -> tuple[int, int]:
        """Return how many rows a table or subquery has, and how many different ids."""
        ids = sa.func.count(sa.distinct(rows.c[entity_id]))
        count = sa.select(sa.func.count(), ids).select_from(rows)
        total, distinct = self._connection.execute(count).one()
        return int(total), int(distinct)

    def null_counts(self, names: Sequence[str]) -> tuple[int, dict[str, int]]:
        """Return the number of rows, and how many of them are NULL in each of some columns."""
        c = self._source.c
        counts = [sa.func.count(), *(sa.func.count(c[name]) for name in names)]
        total, *present = self._connection.execute(
            sa.select(*counts).select_from(self._source)
        ).one()
        return total, {name: total - n for name, n in zip(names, present, strict=True)}

    @functools.cached_property
    def _source(self) -> sa.Subquery:
        """The rows, with the types that the backend knows."""
        kinds = self._scoring_backend.source_type
        columns = (sa.column(name, kinds(code)) for name, code in self._codes.items())
        return self._text.columns(*columns).subquery("source_rows")

    def sample(self, names: Sequence[str], entity_id: str, share: int = 1) -> pd.DataFrame:
        """Return columns of about one row in `share`, chosen by a hash of the ids.

        The values are those that reading the query gives.
        """
        import pandas as pd

        plain = self._text.columns(*map(sa.column, self.columns)).subquery("source_rows")
        select = sa.select(*(plain.c[name] for name in names))
        if share > 1:
            id_ = plain.c[entity_id]
            condition = self._scoring_backend.sampled(self._connection, id_, share)
            select = select.where(condition)
        frame: pd.DataFrame = pd.read_sql(select, self._connection)
        return frame

    def scores(self, select: ScoreSelect) -> pa.Table:
        """Return `entity_id`, `score` and `score_class` of a select, in no order."""
        return scores_of(self._connection, self._scoring_backend, select)

    def on_connection(self, work: Callable[[sa.Connection, Backend], T]) -> T:
        """Return what `work` does on the connection to the database, given its backend."""
        return work(self._connection, self._scoring_backend)

    @property
    def _scoring_backend(self) -> Backend:
        if self.backend is None:
            raise AssertionError("a database without a backend does not score")
        return self.backend


def scores_of(connection: sa.Connection, backend: Backend, select: ScoreSelect) -> pa.Table:
    """Return `entity_id`, `score` and `score_class` of a select, as the database computes them."""
    import pyarrow as pa

    backend.prepare_scoring(connection)
    if "score_class" not in select.selected_columns:
        select = select.add_columns(sa.cast(sa.null(), sa.String(1)).label("score_class"))
    schema = pa.schema([SCHEMA.field(name).with_nullable(True) for name in SCHEMA.names])
    batches = list(backend.stream(connection, select, schema))
    return pa.Table.from_batches(batches, schema)


class _CheckData(SourceData):
    """Answers checks; decimals as doubles and NaN as NULL, which is how pandas reads them."""

    def __init__(
        self,
        connection: sa.Connection,
        text: sa.TextClause,
        typed: sa.FromClause,
        compared: Collection[str],
        source: str,
        backend: Backend,
    ) -> None:
        self._typed, self._backend = typed, backend
        super().__init__(connection, text, {}, compared=compared, source=source)

    def _prepared(self, rows: sa.FromClause) -> sa.FromClause:
        cells = [
            self._backend.without_nan(cell).label(name) if isinstance(cell.type, sa.Float) else cell
            for name, cell in self._typed.c.items()
        ]
        return sa.select(*cells).subquery("checked_rows")

    def _exact(self, cell: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return self._backend.exact(cell) if self._may_be_text(cell) else cell

    def _may_be_text(self, cell: sa.ColumnElement[Any]) -> bool:
        kind = self._typed.c[str(cell.key)].type
        return isinstance(kind, (sa.String, sa.types.NullType))

    def extremes(self, column: str) -> tuple[Any, Any]:
        """Return the minimum and maximum of a column, None if all cells are NULL."""
        low, high = (float(x) if isinstance(x, Decimal) else x for x in super().extremes(column))
        return low, high

    def levels(
        self, column: str, levels: Collection[str], most: int
    ) -> tuple[FailingRows, list[str]]:
        """Return the rows of categories outside `levels`, and these categories by frequency."""
        counts = {x: n for x, n in self._levels(column).items() if x not in set(levels)}
        cases = [(None, level) for level in by_frequency(counts)[:most]]
        return FailingRows(sum(counts.values()), cases), by_frequency(counts)

    def level_counts(self, column: str, levels: Collection[str]) -> dict[str, int]:
        """Return how many rows are of each of these categories."""
        counts = self._levels(column)
        return {level: counts[level] for level in levels if level in counts}

    def _levels(self, column: str) -> Counter[str]:
        """Count each category, as the text that it has when pandas reads it.

        The distinct values, NULL among them, have the types that all values would have.
        """
        import pandas as pd

        cell = self._rows.c[column]
        select = (
            sa.select(self._of_group(cell).label("level"), sa.func.count().label("times"))
            .select_from(self._rows)
            .group_by(self._exact(cell))
        )
        groups = pd.read_sql(select, self._connection).dropna(subset=["level"])
        texts = level_texts(groups["level"])
        counts: Counter[str] = Counter()
        for text, times in zip(texts, groups["times"], strict=True):
            counts[text] += int(times)
        return counts


def _with_values(text: sa.TextClause, values: Mapping[str, Any]) -> sa.TextClause:
    """Return SQL text with the values of its parameters in it."""
    # Unique: a statement may have several queries, with other values of the same parameters.
    parameters = []
    for name, value in values.items():
        if isinstance(value, list) and _is_expanding(text, name):
            kind = sa.literal(value[0]).type
            parameters.append(sa.bindparam(name, value, unique=True, expanding=True, type_=kind))
        else:
            parameters.append(sa.bindparam(name, value, unique=True))
    return text.bindparams(*parameters)


def _is_expanding(text: sa.TextClause, name: str) -> bool:
    return bool(text._bindparams[name].expanding)
