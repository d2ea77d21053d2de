"""Shared checks of values: NULLs, ranges and categories."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from mfprefect.quality.checks.base import ModelCheck, Row, figure, span
from mfprefect.quality.checks.context import CheckContext
from mfprefect.quality.checks.frame_data import CheckData
from mfprefect.quality.checks.masking import Disclosure

__all__ = ["NewCategories", "NullShare", "Range"]

MOST_NAMED = 5


class NullShare(ModelCheck):
    """The share of NULLs in a column is small, or about that of the training session."""

    name = "null_share"
    in_database = True

    def __init__(
        self,
        *columns: str,
        at_most: float | None = None,
        rise: float = 0.1,
        severity: str = "error",
    ) -> None:
        """Choose columns and a bound.

        Args:
            columns: by default the variables of the training session.
            at_most: the largest share, 0 to 1; by default that of the training session plus `rise`.
            rise: by how much it may be above that of the training session.
            severity: `error` or `warning`.
        """
        super().__init__(columns, severity)
        self._share("at_most", at_most)
        self._share("rise", rise)
        self.at_most, self.rise = at_most, rise
        self.needs = frozenset({"training"} if at_most is None or not columns else ())

    def judge(self, data: CheckData, background: CheckContext, shown: Disclosure) -> Iterator[Row]:
        """Yield a result a column."""
        variables = background.variables
        columns = self.columns or [name for name in data.columns if name in variables]
        if not self.columns and self.at_most is not None and not variables:
            columns = data.columns
        if not columns or (self.at_most is None and not variables):
            yield self._first()
            return
        for column in columns:
            yield self._judged(data, column, variables.get(column), shown)

    def _judged(
        self, data: CheckData, column: str, before: Mapping[str, Any] | None, shown: Disclosure
    ) -> Row:
        if self.at_most is None and before is None:
            return self._row(column, True, "not judged: the training session had no such variable")
        nulls = data.nulls(column, shown.sample)
        share = nulls.count / data.rows if data.rows else 0.0
        limit, message = (
            self.at_most,
            f"{nulls.count:,} of {data.rows:,} rows are NULL, {share:.4g}",
        )
        if limit is None and before is not None:
            usual = before["n_na"] / max(before["n"] + before["n_na"], 1)
            limit = usual + self.rise
            message += f", after {usual:.4g} at training"
        passed = limit is not None and share <= limit
        message += f"; at most {limit:.4g}"
        return self._found(column, passed, message, nulls, shown)


class Range(ModelCheck):
    """Values lie between bounds, or between those of the training session; NULL passes."""

    name = "range"
    in_database = True

    def __init__(
        self,
        *columns: str,
        at_least: Any = None,
        at_most: Any = None,
        margin: float = 0.0,
        share: float = 0.0,
        severity: str = "error",
    ) -> None:
        """Choose columns and bounds.

        Args:
            columns: by default the numbers of the training session.
            at_least: the smallest value; with neither bound, those of the training session hold.
            at_most: the largest value.
            margin: by what share of its range the training session's bounds are moved outwards.
            share: the share of rows that may lie outside.
            severity: `error` or `warning`.
        """
        super().__init__(columns, severity)
        self._share("share", share)
        if not margin >= 0:
            raise self._wrong(f"has margin = {margin!r}; it is a share of the range, 0 or more")
        self.at_least, self.at_most, self.margin, self.share = at_least, at_most, margin, share
        self.given = at_least is not None or at_most is not None
        if self.given and not columns:
            raise self._wrong("has bounds and no columns; name them")
        self.needs = frozenset(() if self.given else {"training"})

    def compared(self, background: CheckContext) -> Collection[str]:
        """Return the columns, by default the numbers of the training session."""
        return self.columns or [name for name in background.variables if background.bounds(name)]

    def judge(self, data: CheckData, background: CheckContext, shown: Disclosure) -> Iterator[Row]:
        """Yield a result a column."""
        bounded = [c for c in data.columns if background.bounds(c)]
        if not self.given and not background.variables:
            yield self._first()
            return
        for column in self.columns or bounded:
            low, high = self.at_least, self.at_most
            if not self.given:
                bounds = background.bounds(column)
                if bounds is None:
                    text = "not judged: the training session kept no numbers of it"
                    yield self._row(column, True, text)
                    continue
                wider = self.margin * (bounds[1] - bounds[0])
                low, high = bounds[0] - wider, bounds[1] + wider
            yield self._judged(data, column, low, high, shown)

    def _judged(self, data: CheckData, column: str, low: Any, high: Any, shown: Disclosure) -> Row:
        outside = data.outside(column, low, high, shown.sample)
        message = f"{outside.count:,} of {data.rows:,} rows are outside {span(low, high)}"
        if outside.count and not shown.hides(column):
            smallest, largest = data.extremes(column)
            message += f"; the smallest is {figure(smallest)}, the largest {figure(largest)}"
        return self._found(column, outside.count <= self.share * data.rows, message, outside, shown)


class NewCategories(ModelCheck):
    """A column holds no category that is new since the training session; NULL passes."""

    name = "new_categories"

    def __init__(
        self,
        *columns: str,
        known: Iterable[str] | None = None,  # public name
        share: float = 0.0,
        severity: str = "error",
    ) -> None:
        """Choose columns.

        Args:
            columns: by default those of the training session that it counted by category, all of
                whose categories it kept (it keeps 50).
            known: the categories, in place of the training session's.
            share: the share of rows that may have a new one.
            severity: `error` or `warning`.
        """
        super().__init__(columns, severity)
        self._share("share", share)
        if known is not None and (isinstance(known, str) or not columns):
            raise self._wrong("has known categories; give a list of them, and name the column")
        self.known = None if known is None else [str(level) for level in known]
        self.share = share
        self.needs = frozenset({"training"} if known is None else ())

    def judge(self, data: CheckData, background: CheckContext, shown: Disclosure) -> Iterator[Row]:
        """Yield a result a column."""
        if self.known is None and not background.variables:
            yield self._first()
            return
        levels = {c: background.levels(c) for c in data.columns}
        for column in self.columns or [
            c for c, trained in levels.items() if trained and not trained[1]
        ]:
            declared, trained = self.known, levels.get(column) or ([], 0)
            if declared is None and levels.get(column) is None:
                text = "not judged: the training session counted no categories of it"
                yield self._row(column, True, text)
            elif declared is None and trained[1]:
                text = (
                    f"not run: the training session kept {len(trained[0])} categories and no more"
                )
                yield self._row(column, False, f"{text}; name them by known=[..]")
            else:
                yield self._judged(
                    data, column, trained[0] if declared is None else declared, shown
                )

    def _judged(
        self, data: CheckData, column: str, levels: Collection[str], shown: Disclosure
    ) -> Row:
        failing, new = data.levels(column, levels, shown.sample)
        message = f"{failing.count:,} of {data.rows:,} rows have a new category"
        if new and not shown.hides(column):
            more = f" and {len(new) - MOST_NAMED} more" if len(new) > MOST_NAMED else ""
            message += f": {', '.join(map(repr, new[:MOST_NAMED]))}{more}"
        return self._found(column, failing.count <= self.share * data.rows, message, failing, shown)
