"""Answer model checks from the database of a source, before any row is read.

One aggregate query counts rows and NULLs and computes the minimum and maximum of compared columns.
Further queries run only for failing rows and unique keys.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import ConfigurationError
from mfprefect.quality.checks.frame_data import FailingRows

__all__ = ["SourceData"]


class SourceData:
    """The rows of a query; only figures and failing cases leave the database."""

    def __init__(
        self,
        connection: sa.Connection,
        query: sa.TextClause,
        params: Mapping[str, Any],
        *,
        compared: Collection[str],
        source: str,
    ) -> None:
        """Run the aggregate query that every check needs.

        Args:
            connection: to the source.
            query: a select with its parameters, as `mfprefect.inputs.parameters.bind` returns it.
            params: the values of the parameters.
            compared: columns whose minimum and maximum are needed.
            source: the name of the source.
        """
        self.how = f" (of all rows, by the database of source {source!r})"
        self._connection, self._params = connection, dict(params)
        subquery = query.columns().subquery("source_rows")
        no_rows: sa.Select[*tuple[Any, ...]] = (
            sa.select(sa.text("*")).select_from(subquery).where(sa.false())
        )
        self.columns = list(map(str, connection.execute(no_rows, self._params).keys()))
        self._rows = self._prepared(
            query.columns(*map(sa.column, self.columns)).subquery("source_rows")
        )
        self._count([name for name in self.columns if name in compared])

    def _prepared(self, rows: sa.FromClause) -> sa.FromClause:
        """Return the rows to ask about. Override to change how cells are seen."""
        return rows

    def _exact(self, cell: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Return what to group a column by. Override where a collation makes texts equal."""
        return cell

    def _of_group(self, cell: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Return the value that all rows of such a group have."""
        return cell if self._exact(cell) is cell else sa.func.min(cell).label(cell.key)

    def _count(self, compared: Sequence[str]) -> None:
        c = self._rows.c
        # Generated labels, because a column name may be too long or invalid as a label.
        figures = [sa.func.count().label("n")]
        figures += [sa.func.count(c[x]).label(f"n_{i}") for i, x in enumerate(self.columns)]
        for i, name in enumerate(compared):
            figures += [sa.func.min(c[name]).label(f"low_{i}")]
            figures += [sa.func.max(c[name]).label(f"high_{i}")]
        row = self._all(sa.select(*figures).select_from(self._rows))[0]
        self.rows = int(row[0])
        self._present = {x: int(row[i]) for i, x in enumerate(self.columns, start=1)}
        ends = list(row[len(self.columns) + 1 :])
        self._extremes = {x: (ends[2 * i], ends[2 * i + 1]) for i, x in enumerate(compared)}

    def _all(self, select: sa.Select[*tuple[Any, ...]]) -> Sequence[sa.Row[*tuple[Any, ...]]]:
        return self._connection.execute(select, self._params).all()

    def nulls(self, column: str, most: int) -> FailingRows:
        """Return the number of NULLs, without cases: rows in a database have no labels."""
        return FailingRows(self.rows - self._present[column], [])

    def extremes(self, column: str) -> tuple[Any, Any]:
        """Return the minimum and maximum of a column, None if all cells are NULL."""
        return self._extremes[column]

    def outside(self, column: str, low: Any, high: Any, most: int) -> FailingRows:
        """Return the rows below `low` or above `high`; None means no bound."""
        smallest, largest = self._extremes[column]
        below = low is not None and smallest is not None and not smallest >= low
        above = high is not None and largest is not None and not largest <= high
        if not below and not above:
            return FailingRows(0, [])
        cell = self._rows.c[column]
        ends = [] if low is None else [cell < low]
        ends += [] if high is None else [cell > high]
        count = sa.select(sa.func.count()).select_from(self._rows).where(sa.or_(*ends))
        sample = sa.select(cell).where(sa.or_(*ends)).limit(most)
        cases = [(None, row[0]) for row in self._all(sample)]
        return FailingRows(int(self._all(count)[0][0]), cases)

    def repeated(self, columns: Sequence[str], most: int) -> FailingRows:
        """Return the rows that share their key with another row; the cases are keys."""
        cells = [self._rows.c[name] for name in columns]
        times = sa.func.count().label("times")
        groups = (
            sa.select(*map(self._of_group, cells), times)
            .where(*(cell.is_not(None) for cell in cells))
            .group_by(*map(self._exact, cells))
            .having(sa.func.count() > 1)
        )
        total = sa.select(sa.func.sum(groups.subquery("keys_that_repeat").c.times))
        count = int(self._all(total)[0][0] or 0)
        sample = self._all(groups.limit(most)) if count else ()
        keys = [
            row[0] if len(columns) == 1 else dict(zip(columns, row, strict=False)) for row in sample
        ]
        return FailingRows(count, [(None, key) for key in keys])

    def levels(
        self, column: str, levels: Collection[str], most: int
    ) -> tuple[FailingRows, list[str]]:
        """Refuse: databases differ in how they convert values to text."""
        raise self._not_compared(column)

    def level_counts(self, column: str, levels: Collection[str]) -> dict[str, int]:
        """Refuse, as `levels` does."""
        raise self._not_compared(column)

    @staticmethod
    def _not_compared(column: str) -> ConfigurationError:
        return ConfigurationError(
            f"categories of {column!r} cannot be compared in a database; list the check in the "
            "model's checks, which run on the rows after the read."
        )
