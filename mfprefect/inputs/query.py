"""The frame of a query that was not read yet: a model that returns it as it is can score in SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

__all__ = ["Query", "QueryFrame", "plain", "unread_query"]

_QUERY, _ROWS = "_mfprefect_query", "_mfprefect_rows"


@dataclass(frozen=True)
class Query:
    """SQL text for a source, with the values of its parameters."""

    text: str
    source: str
    params: Mapping[str, Any]
    read: Callable[[], pd.DataFrame]
    """Runs it; what it raises, the user of the frame sees."""


class QueryFrame(pd.DataFrame):
    """A frame that runs its query when anybody looks at its rows, columns or types.

    Everything that pandas does with a frame asks for `_mgr`, where it keeps the columns, so the
    rows arrive in time for each method, operator and function. What these return is a plain frame.
    It has no public attribute of its own, which could hide a column.
    """

    def __init__(self, query: Query) -> None:
        state = {name: value for name, value in pd.DataFrame().__dict__.items() if name != "_mgr"}
        self.__dict__.update(state, **{_QUERY: query})

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    @property
    def _mgr(self) -> Any:
        if _ROWS not in self.__dict__:
            self.__dict__[_ROWS] = self.__dict__[_QUERY].read()._mgr
        return self.__dict__[_ROWS]

    @_mgr.setter
    def _mgr(self, value: Any) -> None:
        self.__dict__[_ROWS] = value


def unread_query(frame: Any) -> Query | None:
    """Return the query of a frame that nobody has looked at yet, else None."""
    if not isinstance(frame, QueryFrame) or _ROWS in frame.__dict__:
        return None
    query: Query = frame.__dict__[_QUERY]
    return query


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame as an ordinary one; run its query if nobody has looked at it yet."""
    return pd.DataFrame(frame) if isinstance(frame, QueryFrame) else frame
