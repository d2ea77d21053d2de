"""What shared checks ask of a source, computed by its database before a row is read.

One aggregate query counts rows and NULLs and takes the extremes of the columns that are compared;
only where something fails, or a key has to be unique, does a further query follow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import ConfigurationError
from mfprefect.quality.checks.frame_data import FailingRows

__all__ = ["SourceData"]


class SourceData:
    """The rows of a query; nothing but figures and failing cases leaves the database."""

    def __init__(
        self,
        connection: sa.Connection,
        query: str,
        params: Mapping[str, Any],
        *,
        compared: Collection[str],
        source: str,
    ) -> None:
        """Ask for what every check needs.

        Args:
            connection: to the source.
            query: a select; `:name` stands for a parameter.
            params: the values of the parameters.
            compared: columns whose extremes are needed.
            source: the source's name.
        """
        self.how = f" (of all rows, by the database of source {source!r})"
        self._connection, self._params = connection, dict(params)
        # On a line of its own: the query may end in a comment.
        text = sa.text(query.strip().rstrip(";") + "\n")
        whole = text.columns().subquery("source_rows")
        nothing: sa.Select[Any] = sa.select(sa.text("*")).select_from(whole).where(sa.false())
        self.columns = list(map(str, connection.execute(nothing, self._params).keys()))
        self._rows = text.columns(*map(sa.column, self.columns)).subquery("source_rows")
        self._count([name for name in self.columns if name in compared])

    def _count(self, compared: Sequence[str]) -> None:
        c = self._rows.c
        # Labels of our own: a column's name may be too long, or not a name at all.
        figures = [sa.func.count().label("n")]
        figures += [sa.func.count(c[x]).label(f"n_{i}") for i, x in enumerate(self.columns)]
        for i, name in enumerate(compared):
            figures += [sa.func.min(c[name]).label(f"low_{i}")]
            figures += [sa.func.max(c[name]).label(f"high_{i}")]
        found = self._all(sa.select(*figures).select_from(self._rows))[0]
        self.rows = int(found[0])
        self._present = {x: int(found[i]) for i, x in enumerate(self.columns, start=1)}
        ends = list(found[len(self.columns) + 1 :])
        self._extremes = {x: (ends[2 * i], ends[2 * i + 1]) for i, x in enumerate(compared)}

    def _all(self, select: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        return self._connection.execute(select, self._params).all()

    def nulls(self, column: str, most: int) -> FailingRows:
        """Return how many rows have NULL there; they have no labels to name them by."""
        return FailingRows(self.rows - self._present[column], [])

    def extremes(self, column: str) -> tuple[Any, Any]:
        """Return the smallest and the largest cell, None where all are NULL."""
        return self._extremes[column]

    def outside(self, column: str, low: Any, high: Any, most: int) -> FailingRows:
        """Return the rows below `low` or above `high`; None is no bound."""
        smallest, largest = self._extremes[column]
        below = low is not None and smallest is not None and not smallest >= low
        above = high is not None and largest is not None and not largest <= high
        if not below and not above:
            return FailingRows(0, [])
        cell = self._rows.c[column]
        ends = [] if low is None else [cell < low]
        ends += [] if high is None else [cell > high]
        count = sa.select(sa.func.count()).select_from(self._rows).where(sa.or_(*ends))
        some = sa.select(cell).where(sa.or_(*ends)).limit(most)
        return FailingRows(int(self._all(count)[0][0]), [(None, row[0]) for row in self._all(some)])

    def repeated(self, columns: Sequence[str], most: int) -> FailingRows:
        """Return the rows whose key another row has as well; the cases are keys."""
        cells = [self._rows.c[name] for name in columns]
        times = sa.func.count().label("times")
        groups = (
            sa.select(*cells, times)
            .where(*(cell.is_not(None) for cell in cells))
            .group_by(*cells)
            .having(sa.func.count() > 1)
        )
        total = sa.select(sa.func.sum(groups.subquery("keys_that_repeat").c.times))
        count = int(self._all(total)[0][0] or 0)
        found = self._all(groups.limit(most)) if count else ()
        keys = [
            row[0] if len(columns) == 1 else dict(zip(columns, row, strict=False)) for row in found
        ]
        return FailingRows(count, [(None, key) for key in keys])

    def levels(
        self, column: str, known: Collection[str], most: int
    ) -> tuple[FailingRows, list[str]]:
        """Refuse: databases write values out as text in ways of their own."""
        raise ConfigurationError(f"categories of {column!r} are told apart in rows that were read.")
