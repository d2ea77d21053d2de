"""The rows of a frame as a derived table: scored by a database without storing them in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.inputs.query_rows import ScoreSelect, scores_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mfprefect.backend import Backend

__all__ = ["ROW_ID", "FrameRows"]

ROW_ID = "mfprefect_row"
"""The id of a row: its position, as text."""
LONGEST_TEXT = 2_000
MOST_ROWS = 400
"""SQLite joins at most 500 selects by UNION ALL."""


class FrameRows:
    """Some rows of a frame as bound values of one select; the next ones take their place.

    Needs no right beyond that of a SELECT.
    """

    def __init__(self, connection: sa.Connection, backend: Backend, frame: pd.DataFrame) -> None:
        """Take the columns of a frame: numbers, booleans and texts; any other becomes text.

        Args:
            connection: to the database.
            backend: of the database.
            frame: at least one row; its column names are texts.
        """
        self._connection, self._backend, self._frame = connection, backend, frame
        native = connection.dialect.supports_native_boolean
        self._kinds = [_kind(frame[name], native) for name in frame.columns]
        columns = len(self._kinds) + 1
        self._size = max(1, min(MOST_ROWS, len(frame), backend.most_bound_values // columns))

    def for_model(self) -> sa.FromClause:
        """Return the derived table, with the columns of the frame and `ROW_ID`."""
        names = list(map(str, self._frame.columns))
        selects = [
            sa.select(
                _bound(row, 0, sa.String(20), ROW_ID),
                *(
                    _bound(row, at, kind, name)
                    for at, (name, kind) in enumerate(zip(names, self._kinds, strict=True), 1)
                ),
            )
            for row in range(self._size)
        ]
        united = sa.union_all(*selects).subquery("bound_rows")
        # The limit keeps databases from computing the model once for each row of the statement.
        return sa.select(*united.c).limit(self._size).subquery("model_rows")

    def scores(self, select: ScoreSelect) -> pa.Table:
        """Return the scores of all rows in their order: `score` and `score_class`."""
        import pyarrow as pa
        import pyarrow.compute as pc

        pieces = []
        for values, rows in self._pieces():
            table = scores_of(self._connection, self._backend, select.params(values))
            places = pc.index_in(pa.array(rows, pa.large_string()), table["entity_id"])
            pieces.append(table.take(places).drop_columns("entity_id"))
        return pa.concat_tables(pieces)

    def _pieces(self) -> Iterator[tuple[dict[str, Any], list[str]]]:
        """Yield the bound values of each piece, and its ids; the last one repeats its last row."""
        columns = [
            _values(self._frame[name], kind)
            for name, kind in zip(self._frame.columns, self._kinds, strict=True)
        ]
        for start in range(0, len(self._frame), self._size):
            places = range(start, min(start + self._size, len(self._frame)))
            values: dict[str, Any] = {}
            for row in range(self._size):
                place = places[min(row, len(places) - 1)]
                cells = [str(place), *(column[place] for column in columns)]
                values |= {f"r{row}_{at}": cell for at, cell in enumerate(cells)}
            yield values, [str(place) for place in places]


def _kind(column: pd.Series[Any], native_boolean: bool) -> sa.types.TypeEngine[Any]:
    import pandas as pd

    present = column.dropna()
    booleans = column.dtype == object and len(present) and {bool} == {type(x) for x in present}
    if pd.api.types.is_bool_dtype(column.dtype) or booleans:
        return sa.Boolean() if native_boolean else sa.Integer()
    if pd.api.types.is_numeric_dtype(column.dtype):
        return sa.Double()
    return sa.Unicode(LONGEST_TEXT)


def _bound(row: int, at: int, kind: sa.types.TypeEngine[Any], name: str) -> sa.ColumnElement[Any]:
    # NULL needs a type, and a number with a point would be a decimal.
    parameter = sa.bindparam(f"r{row}_{at}", type_=kind)
    return sa.cast(parameter, kind).label(name)


def _values(column: pd.Series[Any], kind: sa.types.TypeEngine[Any]) -> list[Any]:
    cells = [None if missing else cell for cell, missing in zip(column, column.isna(), strict=True)]
    convert: Any = {sa.Double: float, sa.Boolean: bool, sa.Integer: int}.get(type(kind), str)
    return [None if cell is None else convert(cell) for cell in cells]
