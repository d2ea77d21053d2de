"""The data that model checks query: a frame here, a database in `mfprefect.inputs.sql_data`."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CheckData",
    "FailingRows",
    "FrameData",
    "PartData",
    "by_frequency",
    "instant",
    "level_texts",
]


@dataclass(frozen=True)
class FailingRows:
    """The number of failing rows, and a sample of them."""

    count: int
    cases: list[tuple[Any, Any]]
    """Label and value of each sampled row."""


class CheckData(Protocol):
    """Rows in memory or in a database; a NULL is never out of range, new or repeated."""

    how: str
    """Appended to messages: where the check ran; empty for a frame."""
    rows: int
    columns: list[str]

    def nulls(self, column: str, most: int) -> FailingRows:
        """Return the rows whose cell is NULL."""

    def extremes(self, column: str) -> tuple[Any, Any]:
        """Return the minimum and maximum of a column, None if all cells are NULL."""

    def outside(self, column: str, low: Any, high: Any, most: int) -> FailingRows:
        """Return the rows below `low` or above `high`; None means no bound."""

    def repeated(self, columns: Sequence[str], most: int) -> FailingRows:
        """Return the rows that share their key with another row."""

    def levels(
        self, column: str, levels: Collection[str], most: int
    ) -> tuple[FailingRows, list[str]]:
        """Return the rows of categories outside `levels`, and these categories by frequency."""


class PartData(CheckData, Protocol):
    """Rows of a part, whose answers are noted for the rows of all parts."""

    def level_counts(self, column: str, levels: Collection[str]) -> dict[str, int]:
        """Return how many rows are of each of these categories."""


class FrameData:
    """Answer model checks from a frame."""

    how = ""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self._extremes: dict[str, tuple[Any, Any]] = {}
        self.rows = len(frame)
        self.columns = [str(name) for name in frame.columns]

    def nulls(self, column: str, most: int) -> FailingRows:
        """Return the rows whose cell is NULL."""
        missing = np.flatnonzero(self._frame[column].isna().to_numpy())
        return FailingRows(len(missing), [(self._frame.index[i], None) for i in missing[:most]])

    def extremes(self, column: str) -> tuple[Any, Any]:
        """Return the minimum and maximum of a column, None if all cells are NULL."""
        if column not in self._extremes:
            self._extremes[column] = _extremes(self._frame[column])
        return self._extremes[column]

    def outside(self, column: str, low: Any, high: Any, most: int) -> FailingRows:
        """Return the rows below `low` or above `high`; None means no bound."""
        import pandas as pd

        if (
            self._frame[column].dtype == np.float64
        ):  # of most columns, two figures say that all is well
            smallest, largest = self.extremes(column)
            if smallest is None or (
                (low is None or smallest >= low) and (high is None or largest <= high)
            ):
                return FailingRows(0, [])
        values = self._frame[column].dropna()
        wrong = pd.Series(False, values.index)
        if low is not None:
            wrong |= values < low
        if high is not None:
            wrong |= values > high
        return self._cases(values[wrong.to_numpy(dtype=bool)], most)

    def repeated(self, columns: Sequence[str], most: int) -> FailingRows:
        """Return the rows that share their key with another row."""
        keys = self._frame[list(columns)].dropna()
        repeated = keys[keys.duplicated(keep=False)]
        if len(columns) == 1:
            return self._cases(repeated[columns[0]], most)
        head = repeated.head(most)
        cases = list(zip(head.index, head.to_dict("records"), strict=True))
        return FailingRows(len(repeated), cases)

    def levels(
        self, column: str, levels: Collection[str], most: int
    ) -> tuple[FailingRows, list[str]]:
        """Return the rows of categories outside `levels`, and these categories by frequency."""
        if self._has_only(column, levels):
            return FailingRows(0, []), []
        texts = self._level_texts(column)
        new = texts[~texts.isin(list(levels))]
        return self._cases(new, most), by_frequency(Counter(new.tolist()))

    def level_counts(self, column: str, levels: Collection[str]) -> dict[str, int]:
        """Return how many rows are of each of these categories."""
        texts = self._level_texts(column)
        return dict(Counter(texts[texts.isin(list(levels))].tolist()))

    def _has_only(self, column: str, levels: Collection[str]) -> bool:
        """Return True if a column of texts has no other levels: few are compared, not all rows."""
        from mfprefect.quality.summary import LEVEL_LENGTH

        values = self._frame[column]
        if values.dtype != "str":
            return False
        allowed = set(levels)
        return all(text[:LEVEL_LENGTH] in allowed for text in values.dropna().unique())

    def _level_texts(self, column: str) -> pd.Series[Any]:
        return level_texts(self._frame[column])

    @staticmethod
    def _cases(values: pd.Series[Any], most: int) -> FailingRows:
        head = values.head(most)
        return FailingRows(len(values), list(zip(head.index, head, strict=True)))


def _extremes(column: pd.Series[Any]) -> tuple[Any, Any]:
    if column.dtype == np.float64:
        numbers = column.to_numpy()
        ends = np.fmin.reduce(numbers, initial=np.nan), np.fmax.reduce(numbers, initial=np.nan)
        return (None, None) if np.isnan(ends[0]) else ends
    present = column.dropna()
    return (None, None) if present.empty else (present.min(), present.max())


def level_texts(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return the cells of a column as categories, without NULLs: the first 100 characters."""
    from mfprefect.quality.summary import LEVEL_LENGTH

    texts: pd.Series[Any] = column.dropna().astype(object).map(str).str[:LEVEL_LENGTH]
    return texts


def by_frequency(counts: Mapping[str, int]) -> list[str]:
    """Return names, the most frequent first and those of one frequency in their own order."""
    return sorted(counts, key=lambda name: (-counts[name], name))


def instant(value: Any) -> dt.datetime:
    """Return a date, a time or ISO text as a UTC datetime; values without a zone are UTC.

    Raises:
        ValueError: the value is none of these.
    """
    import pandas as pd

    if isinstance(value, bool | int | float):
        raise ValueError(f"{value!r} is not a point in time")  # not nanoseconds since 1970
    timestamp = pd.Timestamp(value)
    timestamp = (
        timestamp.tz_localize("UTC") if timestamp.tzinfo is None else timestamp.tz_convert("UTC")
    )
    moment: dt.datetime = timestamp.to_pydatetime(warn=False)
    return moment
