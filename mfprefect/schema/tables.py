"""All tables of one layout."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Table

from mfprefect.schema.access import AccessTables
from mfprefect.schema.base import Layout
from mfprefect.schema.events import EventTables
from mfprefect.schema.models import ModelTables
from mfprefect.schema.results import ResultTables
from mfprefect.schema.scores import ScoreTables
from mfprefect.schema.sessions import SessionTables

__all__ = ["Tables"]


class Tables(ModelTables, SessionTables, ResultTables, ScoreTables, EventTables, AccessTables):
    """All tables of one layout."""

    def __init__(self, layout: Layout | None = None) -> None:
        self.layout = layout or Layout()
        self.metadata = sa.MetaData(schema=self.layout.schema)
        self.tables: dict[str, Table] = {}
        self._models()
        self._sessions()
        self._session_attempts()
        self._stages()
        self._inputs()
        self._input_columns()
        self._input_summary()
        self._session_params()
        self._session_metadata()
        self._figures()
        self._judgements()
        self._scores()
        self._artifacts()
        self._events()
        self._access()

    def session_tables(self) -> list[Table]:
        """Return the tables that hold what a session produced, all keyed by `session_no`."""
        return [
            t for n, t in self.tables.items() if n != "sessions" and "session_no" in t.primary_key.c
        ]
