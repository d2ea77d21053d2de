"""The rows of a query in the database that holds them: checked, sampled and scored there."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.inputs.parameters import bind, subquery_text
from mfprefect.inputs.sql_data import SourceData
from mfprefect.scores import SCHEMA

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mfprefect.backend import Backend
    from mfprefect.inputs.query import Query

__all__ = ["QueryRows"]

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
            self._codes = {x: entry[1] for x, entry in zip(result.keys(), cursor.description, strict=True)}

    @property
    def dialect(self) -> str:
        """The name of the database's dialect, such as `postgresql`."""
        return self._connection.dialect.name

    def check_data(self, compared: Collection[str]) -> _CheckData:
        """Return what checks of all rows may ask; takes the columns whose extremes they need."""
        return _CheckData(
            self._connection, self._text, {}, compared=compared, source=self._query.source
        )

    def for_model(self, entity_id: str, features: Sequence[str]) -> sa.FromClause:
        """Return the rows as a model gets them: the id as text, and numbers as doubles."""
        if self.backend is None:
            raise AssertionError("a database without a backend does not score")
        c = self._source.c
        ids = self.backend.scored_id(self._connection, c[entity_id]).label(entity_id)
        return sa.select(ids, *(self._feature(c[name]) for name in features)).subquery("model_rows")

    def _feature(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        kind, number = column.type, column
        if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float):
            number = sa.cast(column, sa.Double())
        if isinstance(kind, sa.Numeric) and self.backend is not None:
            return self.backend.without_nan(number).label(column.key)
        if isinstance(kind, sa.Boolean):
            return sa.cast(column, sa.Integer()).label(column.key)
        return column

    @functools.cached_property
    def _source(self) -> sa.Subquery:
        """The rows, with the types that the backend knows."""
        columns = (
            sa.column(name, self.backend.source_type(code) if self.backend else None)
            for name, code in self._codes.items()
        )
        return self._text.columns(*columns).subquery("source_rows")

    def sample(self, names: Sequence[str], entity_id: str, share: int) -> pd.DataFrame:
        """Return the columns of about one row in `share`, chosen by a hash of the ids.

        As pandas reads them. With a share of 1, all rows.
        """
        import pandas as pd

        plain = self._text.columns(*map(sa.column, self.columns)).subquery("source_rows")
        select = sa.select(*(plain.c[name] for name in names))
        if share > 1:
            select = select.where(self._is_sampled(self._id_text(plain.c[entity_id]), share))
        frame: pd.DataFrame = pd.read_sql(select, self._connection)
        return frame

    def sampled_scores(self, select: ScoreSelect, share: int) -> pa.Table:
        """Return the scores of the same rows, in no order."""
        scored = select.subquery("scored")
        sampled = sa.select(*scored.c)
        if share > 1:
            sampled = sampled.where(self._is_sampled(scored.c.entity_id, share))
        return self.scores(sampled)

    def _id_text(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
        if self.backend is None:
            raise AssertionError("a database without a backend does not score")
        return self.backend.scored_id(self._connection, column)

    def _is_sampled(self, text: sa.ColumnElement[str], share: int) -> sa.ColumnElement[bool]:
        if self.backend is None:
            raise AssertionError("a database without a backend does not score")
        return self.backend.sampled(self._connection, text, share)

    def scores(self, select: ScoreSelect) -> pa.Table:
        """Return entity_id, score and score_class of a select, as the database computes them."""
        import pyarrow as pa

        if self.backend is None:
            raise AssertionError("a database without a backend does not score")
        self.backend.prepare_scoring(self._connection)
        columns = select.selected_columns
        if "score_class" not in columns:
            nothing = sa.cast(sa.null(), sa.String(1)).label("score_class")
            select = select.add_columns(nothing)
        fields = [SCHEMA.field(name).with_nullable(True) for name in SCHEMA.names]
        batches = list(self.backend.stream(self._connection, select, pa.schema(fields)))
        return pa.Table.from_batches(batches, pa.schema(fields))


class _CheckData(SourceData):
    """Answers checks; decimals as doubles, which is how pandas reads them."""

    def extremes(self, column: str) -> tuple[Any, Any]:
        """Return the minimum and maximum of a column, None if all cells are NULL."""
        low, high = (float(x) if isinstance(x, Decimal) else x for x in super().extremes(column))
        return low, high


def _with_values(text: sa.TextClause, values: Mapping[str, Any]) -> sa.TextClause:
    """Return SQL text with the values of its parameters in it."""
    lists = [
        sa.bindparam(name, value, expanding=True, type_=sa.literal(value[0]).type)
        for name, value in values.items()
        if isinstance(value, list) and _is_expanding(text, name)
    ]
    names = {parameter.key for parameter in lists}
    single = {name: value for name, value in values.items() if name not in names}
    return text.bindparams(*lists, **single)


def _is_expanding(text: sa.TextClause, name: str) -> bool:
    return bool(text._bindparams[name].expanding)
