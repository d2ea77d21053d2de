"""Checks that every model can use, public as `mfprefect.checks`.

A model lists them in `checks`, next to a pandera schema or instead of one. A `CheckContext` holds
what they compare with, such as the training session. With nothing to compare with, as in a model's
first session, a check passes and its message says so.
"""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from statistics import median
from typing import Any, ClassVar, Self

from mfprefect.errors import ConfigurationError
from mfprefect.quality.checks.context import CheckContext
from mfprefect.quality.checks.frame_data import CheckData, FailingRows, instant
from mfprefect.quality.checks.masking import Disclosure
from mfprefect.quality.checks.result import result_row

__all__ = ["SEVERITIES", "Fresh", "ModelCheck", "Row", "RowCount", "Unique", "figure", "span"]

SEVERITIES = ("error", "warning")
NONE = dt.timedelta(0)
Row = dict[str, Any]


class ModelCheck(ABC):
    """The base of the checks of `mfprefect.checks`: subclass it to write another one."""

    needs: frozenset[str] = frozenset()
    """The parts of the context it reads: `training`, `row_counts` or `registry`."""
    in_database: ClassVar[bool] = False
    """Whether a database can compute it without returning rows."""
    keeps_cells: ClassVar[bool] = False
    """Whether judging all parts of a scoring needs cells or keys of each part."""
    name: ClassVar[str]

    def __init__(self, columns: Iterable[str] = (), severity: str = "error") -> None:
        self.columns = tuple(columns)
        self.severity = severity
        if wrong := [column for column in self.columns if not isinstance(column, str)]:
            raise self._invalid(f"takes column names, not {wrong[0]!r}")
        if severity not in SEVERITIES:
            choices = ", ".join(SEVERITIES)
            raise self._invalid(f"has severity {severity!r}; choose one of {choices}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.columns))})"

    def results(self, data: CheckData, context: CheckContext, disclosure: Disclosure) -> list[Row]:
        """Run the check and return its result rows, without `check_no`."""
        rows, _ = self._run(data, context, disclosure)
        return [row | {"message": row["message"] + data.how} for row in rows]

    def ask(self, data: CheckData, context: CheckContext, disclosure: Disclosure) -> list[Row]:
        """Ask of a part what judging all parts will need; return rows only if that is impossible.

        Args:
            data: the rows of the part, which notes its answers.
            context: the same for every part.
            disclosure: what results may disclose.
        """
        rows, judged = self._run(data, context, disclosure)
        return [] if judged else rows

    def _run(
        self, data: CheckData, context: CheckContext, disclosure: Disclosure
    ) -> tuple[list[Row], bool]:
        """Return the result rows, and whether they are a judgement."""
        missing = [column for column in self.columns if column not in data.columns]
        if missing:
            texts = {c: f"not run: column {c!r} is missing" for c in missing}
            return [self._row(column, False, text) for column, text in texts.items()], False
        try:
            return list(self.judge(data, context, disclosure)), True
        except (TypeError, ValueError, ArithmeticError) as exc:
            # A cell cannot be compared, counted or read as a time.
            error = disclosure.error_text(exc, *self.columns)
            column = ", ".join(self.columns) or None
            return [self._row(column, False, f"not run: {error}")], False

    def in_parts(self) -> tuple[ModelCheck | None, ModelCheck | None]:
        """Return what judges each part of a scoring, and what judges the rows of all parts.

        By default the check judges each part alone. Override it for a check whose verdict on all
        rows does not follow from its verdicts on the parts.
        """
        return self, None

    def compared(self, context: CheckContext) -> Collection[str]:
        """Return the columns whose minimum and maximum the check reads."""
        return ()

    @abstractmethod
    def judge(
        self, data: CheckData, context: CheckContext, disclosure: Disclosure
    ) -> Iterator[Row]:
        """Yield the result rows; `results` has checked that `self.columns` exist."""

    def without(self, column: str) -> ModelCheck | None:
        """Return the check for data without a column, None if nothing remains to check."""
        if column not in self.columns:
            return self
        remaining = tuple(name for name in self.columns if name != column)
        if not remaining or isinstance(self, Unique):
            return None
        return self._copy(columns=remaining)

    def _copy(self, **changed: Any) -> Self:
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__ | changed)
        return copy

    def _row(self, column: str | None, passed: bool, message: str, **more: Any) -> Row:
        more = {"severity": self.severity} | more
        return result_row(self.name, column, passed=passed, message=message, **more)

    def _row_with_cases(
        self, column: str, passed: bool, message: str, failing: FailingRows, disclosure: Disclosure
    ) -> Row:
        cases = disclosure.cases([column], failing.cases)
        return self._row(column, passed, message, failing_rows=failing.count, cases=cases)

    def _invalid(self, problem: str) -> ConfigurationError:
        return ConfigurationError(f"the check {type(self).__name__} {problem}.")

    def _require_share(self, name: str, value: float | None) -> None:
        if value is not None and (isinstance(value, bool) or not 0 <= value <= 1):
            raise self._invalid(f"has {name} = {value!r}; pass a share from 0 to 1")

    def _no_training(self) -> Row:
        return self._row(None, True, "not compared: no training session to compare with")


class RowCount(ModelCheck):
    """Require about as many rows as in the model's recent sessions, or a number within bounds."""

    name = "row_count"
    in_database = True
    judged: ClassVar[bool] = True
    """False where tests read a sample: how many rows it has says nothing about the table."""

    def __init__(
        self,
        at_least: int | None = None,
        at_most: int | None = None,
        *,
        recent: int = 5,
        within: float = 0.5,
        severity: str = "error",
    ) -> None:
        """Choose bounds.

        Args:
            at_least: the fewest rows, regardless of earlier sessions.
            at_most: the most rows, likewise.
            recent: compare with the median of this many of the last successful sessions of the
                same purpose, 0 to 50. In a scoring in parts, so are all rows, and each part with
                the same part; the bounds are for all rows.
            within: how far the rows may differ from that median, as a share of it.
            severity: `error` or `warning`.
        """
        super().__init__(severity=severity)
        if isinstance(recent, bool) or not isinstance(recent, int) or not 0 <= recent <= 50:
            raise self._invalid(f"has recent = {recent!r}; choose a whole number from 0 to 50")
        if not within >= 0:
            raise self._invalid(f"has within = {within!r}; pass a share of the median, 0 or more")
        self.at_least, self.at_most, self.recent, self.within = at_least, at_most, recent, within
        self.needs = frozenset({"row_counts"} if recent else ())

    def in_parts(self) -> tuple[ModelCheck | None, ModelCheck | None]:
        """Compare each part with the same part of earlier sessions; all rows with all bounds."""
        return (self._copy(at_least=None, at_most=None) if self.recent else None), self

    def judge(
        self, data: CheckData, context: CheckContext, disclosure: Disclosure
    ) -> Iterator[Row]:
        """Yield one result."""
        if not self.judged:
            yield self._row(None, True, f"{data.rows:,} rows; not judged: tests read a sample")
            return
        counts = list(context.row_counts[: self.recent])
        low: float | None = self.at_least
        high: float | None = self.at_most
        clauses = [f"{data.rows:,} rows"]
        if counts:
            usual = median(counts)
            margin = self.within * usual
            clauses.append(f"the median of the last {len(counts)} sessions is {usual:,.0f}")
            low = usual - margin if low is None else max(low, usual - margin)
            high = usual + margin if high is None else min(high, usual + margin)
        elif self.recent:
            clauses.append("no earlier session to compare with")
        passed = (low is None or data.rows >= low) and (high is None or data.rows <= high)
        if low is not None or high is not None:
            clauses.append(f"allowed: {span(low, high, ',.0f')}")
        yield self._row(None, passed, "; ".join(clauses))


class Unique(ModelCheck):
    """Require that no two rows share a key; rows with a NULL in a key column are ignored."""

    name = "unique"
    in_database = True
    keeps_cells = True

    def __init__(self, *columns: str, severity: str = "error") -> None:
        super().__init__(columns, severity)
        if not columns:
            raise self._invalid("needs columns; name those that together identify a row")

    def in_parts(self) -> tuple[ModelCheck | None, ModelCheck | None]:
        """Look for keys that repeat in a part, and for keys that repeat between parts."""
        return self, self

    def judge(
        self, data: CheckData, context: CheckContext, disclosure: Disclosure
    ) -> Iterator[Row]:
        """Yield one result."""
        repeated = data.repeated(self.columns, disclosure.sample)
        message = f"{repeated.count:,} of {data.rows:,} rows share their key with another row"
        cases = disclosure.cases(self.columns, repeated.cases)
        column = ", ".join(self.columns)
        yield self._row(
            column, not repeated.count, message, failing_rows=repeated.count, cases=cases
        )


class Fresh(ModelCheck):
    """Require that the newest time in a column is close to the session's `as_of` date."""

    name = "fresh"
    in_database = True
    keeps_cells = True

    def __init__(self, column: str, at_most: dt.timedelta, *, severity: str = "error") -> None:
        """Choose a column of times or dates.

        Args:
            column: times without a zone are UTC.
            at_most: the most time between the newest value and the start of the day `as_of` (UTC).
            severity: `error` or `warning`.
        """
        super().__init__([column], severity)
        if not isinstance(at_most, dt.timedelta):
            raise self._invalid(f"has at_most = {at_most!r}; pass a datetime.timedelta")
        self.at_most = at_most

    def compared(self, context: CheckContext) -> Collection[str]:
        """Return the column of times."""
        return self.columns

    def in_parts(self) -> tuple[ModelCheck | None, ModelCheck | None]:
        """Judge the newest time of all parts."""
        return None, self

    def judge(
        self, data: CheckData, context: CheckContext, disclosure: Disclosure
    ) -> Iterator[Row]:
        """Yield one result."""
        column, newest = self.columns[0], data.extremes(self.columns[0])[1]
        if newest is None:
            yield self._row(column, False, "the column holds no time")
            return
        day = context.as_of or dt.datetime.now(dt.UTC).date()
        age = instant(day) - instant(newest)
        message = f"the newest is {_days(age)} before {day}" if age > NONE else "up to date"
        if not disclosure.hides(column):
            message += f": {newest}"
        yield self._row(column, age <= self.at_most, f"{message}; at most {_days(self.at_most)}")


def _days(age: dt.timedelta) -> str:
    return f"{age / dt.timedelta(days=1):.4g} days"


def span(low: Any, high: Any, form: str = "") -> str:
    """Return bounds as text: `at least 3`, `3 to 5`."""
    first = None if low is None else (f"{low:{form}}" if form else figure(low))
    last = None if high is None else (f"{high:{form}}" if form else figure(high))
    if first is None:
        return f"at most {last}"
    return f"at least {first}" if last is None else f"{first} to {last}"


def figure(value: Any) -> str:
    """Return a value as messages show it: floats with six digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
