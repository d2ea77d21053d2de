"""The session/metric schema: tables and views, the same in every database.

Column names avoid every word that a supported database reserves. Where the usual term is such a
word (`value`, `format`, `period`), the column has the term as its key: `metrics.c.value` is the
column `metric_value`, and a DataFrame shows it as `value`.

All times are UTC with microseconds. `session_no` is the compact key of every child table; people
see `session_id`. Every table, view and column has a comment, which databases show to their users.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Select, Table

from mfprefect.schema.base import Layout
from mfprefect.schema.comments import comment_statements, comments_of
from mfprefect.schema.tables import Tables
from mfprefect.schema.types import (
    ENTITY_ID_LENGTH,
    MODEL_ID_LENGTH,
    NAME_LENGTH,
    PARAM_LENGTH,
    SESSION_ID_LENGTH,
    Blob,
    Double,
    Id,
    Instant,
    LongText,
    Timestamp,
)
from mfprefect.schema.views import (
    COMPLETE_VIEWS,
    VIEW_COMMENTS,
    VIEWS,
    JsonRows,
    OrderedJoin,
    UtcDay,
    data_day,
    newest_first,
    selects,
)

__all__ = [
    "COMPLETE_VIEWS",
    "ENTITY_ID_LENGTH",
    "MODEL_ID_LENGTH",
    "NAME_LENGTH",
    "PARAM_LENGTH",
    "SESSION_ID_LENGTH",
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
    "Timestamp",
    "UtcDay",
    "comment_statements",
    "comments_of",
    "data_day",
    "newest_first",
]


class Schema(Tables):
    """All tables and views under one layout."""

    def views(self) -> dict[str, Select[*tuple[Any, ...]]]:
        """Return the SELECT of each view; no view shows half a session."""
        return dict(zip(VIEWS, selects(self), strict=True))

    def view_tables(self) -> list[Table]:
        """Return the views as tables: their columns, with the comments of what they show."""
        return [
            Table(
                self.name(name),
                sa.MetaData(schema=self.layout.schema),
                *(sa.Column(c.name, c.type, comment=_comment(c)) for c in select.selected_columns),
                comment=VIEW_COMMENTS[name],
            )
            for name, select in self.views().items()
        ]


def _comment(column: Any) -> str | None:
    """Return the comment of the table's column that a view's column shows."""
    if column.name == "parent_session_id":
        return "Training session whose model it used."
    comments = (base.comment for base in column.proxy_set if isinstance(base, sa.Column))
    return min(filter(None, comments), default=None)
