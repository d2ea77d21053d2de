"""Checks of values: NULLs, ranges and categories."""

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
    """Require a small share of NULLs in a column, or about the share at training."""

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
            at_most: the largest share, 0 to 1; by default the share at training plus `rise`.
            rise: how far the share may exceed the share at training.
            severity: `error` or `warning`.
        """
        super().__init__(columns, severity)
        self._require_share("at_most", at_most)
        self._require_share("rise", rise)
        self.at_most, self.rise = at_most, rise
        self.needs = frozenset({"training"} if at_most is None or not columns else ())

    def in_parts(self) -> tuple[ModelCheck | None, ModelCheck | None]:
        """Judge the share in all rows; without any allowed NULL, refuse the first part with one."""
        return (self, None) if self.at_most == 0 else (None, self)

    def judge(
        self, data: CheckData, context: CheckContext, disclosure: Disclosure
    ) -> Iterator[Row]:
        """Yield a result per column."""
        variables = context.variables
        columns = self.columns or [name for name in data.columns if name in variables]
        if not self.columns and self.at_most is not None and not variables:
            columns = data.columns
        if not columns or (self.at_most is None and not variables):
            yield self._no_training()
            return
        for column in columns:
            yield self._compare(data, column, variables.get(column), disclosure)

    def _compare(
        self, data: CheckData, column: str, before: Mapping[str, Any] | None, disclosure: Disclosure
    ) -> Row:
        if self.at_most is None and before is None:
            text = "not compared: the training session had no such variable"
            return self._row(column, True, text)
        nulls = data.nulls(column, disclosure.sample)
        share = nulls.count / data.rows if data.rows else 0.0
        limit, message = (
            self.at_most,
            f"{nulls.count:,} of {data.rows:,} rows are NULL, {share:.4g}",
        )
        if limit is None and before is not None:
            usual = before["n_na"] / max(before["n"] + before["n_na"], 1)
            limit = usual + self.rise
            message += f"; {usual:.4g} at training"
        passed = limit is not None and share <= limit
        message += f"; at most {limit:.4g}"
        return self._row_with_cases(column, passed, message, nulls, disclosure)


class Range(ModelCheck):
    """Require values between bounds, or within the range at training; NULL passes."""

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
            columns: by default the numeric variables of the training session.
            at_least: the smallest value; without any bound, the range at training applies.
            at_most: the largest value.
            margin: widens the range at training on both sides, as a share of that range.
            share: the share of rows that may lie outside.
            severity: `error` or `warning`.
        """
        super().__init__(columns, severity)
        self._require_share("share", share)
        if not margin >= 0:
            raise self._invalid(f"has margin = {margin!r}; pass a share of the range, 0 or more")
        self.at_least, self.at_most, self.margin, self.share = at_least, at_most, margin, share
        self.given = at_least is not None or at_most is not None
        if self.given and not columns:
            raise self._invalid("has bounds but no columns; name the columns")
        self.needs = frozenset(() if self.given else {"training"})

    def in_parts(self) -> tuple[ModelCheck | None, ModelCheck | None]:
        """Judge the share in all rows; without an allowed share, refuse the first bad part."""
        return (self, None) if self.share == 0 else (None, self)

    def compared(self, context: CheckContext) -> Collection[str]:
        """Return the columns, by default the numeric variables of the training session."""
        return self.columns or [name for name in context.variables if context.bounds(name)]

    def judge(
        self, data: CheckData, context: CheckContext, disclosure: Disclosure
    ) -> Iterator[Row]:
        """Yield a result per column."""
        bounded = [c for c in data.columns if context.bounds(c)]
        if not self.given and not context.variables:
            yield self._no_training()
            return
        for column in self.columns or bounded:
            low, high = self.at_least, self.at_most
            if not self.given:
                bounds = context.bounds(column)
                if bounds is None:
                    text = "not compared: the training session stored no range of it"
                    yield self._row(column, True, text)
                    continue
                margin = self.margin * (bounds[1] - bounds[0])
                low, high = bounds[0] - margin, bounds[1] + margin
            yield self._compare(data, column, low, high, disclosure)

    def _compare(
        self, data: CheckData, column: str, low: Any, high: Any, disclosure: Disclosure
    ) -> Row:
        outside = data.outside(column, low, high, disclosure.sample)
        message = f"{outside.count:,} of {data.rows:,} rows are outside {span(low, high)}"
        if outside.count and not disclosure.hides(column):
            smallest, largest = data.extremes(column)
            message += f"; the smallest is {figure(smallest)}, the largest {figure(largest)}"
        return self._row_with_cases(
            column, outside.count <= self.share * data.rows, message, outside, disclosure
        )


class NewCategories(ModelCheck):
    """Refuse categories that the training session did not have; NULL passes."""

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
            columns: by default the categorical variables of the training session, apart from those
                with more categories than the 50 that it stores.
            known: the expected categories, instead of those at training.
            share: the share of rows that may have a new category.
            severity: `error` or `warning`.
        """
        super().__init__(columns, severity)
        self._require_share("share", share)
        if known is not None and (isinstance(known, str) or not columns):
            raise self._invalid(
                f"has known = {known!r}; pass a list of categories, and name the column"
            )
        self.known = None if known is None else [str(level) for level in known]
        self.share = share
        self.needs = frozenset({"training"} if known is None else ())

    def in_parts(self) -> tuple[ModelCheck | None, ModelCheck | None]:
        """Judge the share in all rows; without an allowed share, refuse the first bad part."""
        return (self, None) if self.share == 0 else (None, self)

    def judge(
        self, data: CheckData, context: CheckContext, disclosure: Disclosure
    ) -> Iterator[Row]:
        """Yield a result per column."""
        if self.known is None and not context.variables:
            yield self._no_training()
            return
        levels = {c: context.levels(c) for c in data.columns}
        for column in self.columns or [
            c for c, trained in levels.items() if trained and not trained[1]
        ]:
            declared, trained = self.known, levels.get(column) or ([], 0)
            if declared is None and levels.get(column) is None:
                text = "not compared: the training session counted no categories of it"
                yield self._row(column, True, text)
            elif declared is None and trained[1]:
                text = f"not run: the training session stored only {len(trained[0])} categories"
                yield self._row(column, False, f"{text}; list them all in known=[..]")
            else:
                categories = trained[0] if declared is None else declared
                yield self._compare(data, column, categories, disclosure)

    def _compare(
        self, data: CheckData, column: str, levels: Collection[str], disclosure: Disclosure
    ) -> Row:
        failing, new = data.levels(column, levels, disclosure.sample)
        message = f"{failing.count:,} of {data.rows:,} rows have a new category"
        if new and not disclosure.hides(column):
            more = f" and {len(new) - MOST_NAMED} more" if len(new) > MOST_NAMED else ""
            message += f": {', '.join(map(repr, new[:MOST_NAMED]))}{more}"
        return self._row_with_cases(
            column, failing.count <= self.share * data.rows, message, failing, disclosure
        )
