"""The checks of the next scoring, on the data of a plan: noted, and none stops it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mfprefect.lifecycle.part_checks import masked_columns, scoring_checks
from mfprefect.lifecycle.sql_reasons import is_computed
from mfprefect.quality.checks import checked
from mfprefect.quality.checks.base import ModelCheck, RowCount, Unique
from mfprefect.quality.checks.context import CheckContext
from mfprefect.quality.checks.masking import Disclosure, disclosure_for
from mfprefect.quality.checks.parts import NotedAnswers, PartAnswers, judge_parts
from mfprefect.quality.learning import key_columns
from mfprefect.store.handle import SessionHandle
from mfprefect.store.results.acceptances import accepted_rows
from mfprefect.store.results.check_context import check_context
from mfprefect.store.states import Purpose

if TYPE_CHECKING:
    import datetime as dt

    import pandas as pd

    from mfprefect.inputs.query_rows import QueryRows
    from mfprefect.model import Model
    from mfprefect.quality.checks.frame_data import CheckData
    from mfprefect.store import Store

__all__ = ["PlanChecks"]

SAMPLE = 5
NOT_IN_DATABASE = 0
"""The number of a session that is not in the database: all others ran before it."""
Row = dict[str, Any]


class PlanChecks:
    """The checks of a scoring that the candidate would do next, and their results.

    They compare with what that scoring would: the training of the candidate, the scorings of the
    model so far, the registry of input columns. What a person accepted counts as accepted.
    """

    def __init__(
        self, store: Store, model_class: type[Model], session_id: str, as_of: dt.date
    ) -> None:
        """Begin.

        Args:
            store: the store.
            model_class: the model.
            session_id: the candidate.
            as_of: the date of the data.
        """
        self._db, self._model_class = store.database, model_class
        settings = store.database.settings
        self._each, self._joint = scoring_checks(model_class, settings)
        self._masked = masked_columns(model_class, settings)
        self._handle = SessionHandle(
            *(NOT_IN_DATABASE, "", model_class.model_id, Purpose.SCORE, 1),
            as_of=as_of,
            parent_session_id=session_id,
        )
        self._joint_context = check_context(self._db, self._handle, self._joint, self._keys(()))
        self.part: int | None = None
        """The part whose data is being asked for."""
        self._of_reads: list[Row] = []
        self.clear()

    def clear(self) -> None:
        """Forget the results on rows, which are read anew."""
        self._rows: list[Row] = []
        self._answers: dict[int, dict[str, Any]] = {}
        self._judged = list(self._joint)
        self._unchecked: dict[tuple[str, str], None] = {}

    def _keys(self, columns: Iterable[Any]) -> set[Any]:
        return key_columns(self._model_class, columns)

    def _context(self, checks: Sequence[Any], columns: Iterable[Any]) -> CheckContext:
        keys, parts = self._keys(columns), self._model_class.parts
        return check_context(self._db, self._handle, checks, keys, self.part, parts)

    def of_read(
        self, ask: Callable[[Collection[str]], CheckData], checks: Sequence[ModelCheck]
    ) -> None:
        """Run the checks of a `read(.., checks=[..])`, before its rows are read."""
        context = self._context(list(checks), ())
        data = ask({name for check in checks for name in check.compared(context)})
        disclosure = Disclosure(SAMPLE, self._masked)
        self._of_reads += _results(checks, data, context, disclosure)

    def of_frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Run the checks on all rows of the part; return them as schemas make them."""
        each: list[Any] = self._each if len(frame) else _counting(self._each)
        changed = self._checked(frame, each, self._model_class.checked_rows)
        disclosure = disclosure_for(changed, SAMPLE, self._masked)
        self._ask(PartAnswers(changed, disclosure), disclosure)
        return changed

    def changed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return rows that the candidate does not score as schemas make them."""
        keys = self._keys(frame.columns)
        schemas = [check for check in self._each if not isinstance(check, ModelCheck)]
        _, changed = checked(frame, schemas, masked=self._masked, most_rows=1, keys=keys)
        return changed

    def of_database(self, rows: QueryRows) -> None:
        """Let the database of the part's rows answer the checks that it can."""
        each = [check for check in self._each if is_computed(check)]
        for check in list(self._judged):
            if isinstance(check, Unique) or not is_computed(check):
                self._judged.remove(check)
                self._skip(check.name, "over all parts it needs all rows, and they were not read")
        context = self._context(each, rows.columns)
        pairs = [(check, context) for check in each]
        pairs += [(check, self._joint_context) for check in self._judged]
        data = rows.check_data({name for check, c in pairs for name in check.compared(c)})
        disclosure = Disclosure(SAMPLE, self._masked)
        each = each if data.rows else _counting(each)
        self._rows += _results(each, data, context, disclosure)
        self._ask(NotedAnswers(data, disclosure), disclosure)

    def of_sample(self, frame: pd.DataFrame, rows: int) -> pd.DataFrame:
        """Run schemas and functions on a sample of the part; return it as schemas make it.

        Checks that need all rows, and that no database can answer, are not run.

        Args:
            frame: the rows of the sample.
            rows: how many rows the part has.
        """
        each: list[Any] = []
        for check in self._each:
            if not isinstance(check, ModelCheck):
                each.append(check)
            elif not is_computed(check):
                self._skip(check.name, "it needs all rows, and a sample was read")
        how = f" (in a sample of {len(frame):,} of {rows:,} rows)"
        return self._checked(frame, each, None, how)

    def not_read(self, reason: str) -> None:
        """Note that the rows of some parts were not read, so that nothing is said of all rows."""
        for check in self._judged:
            self._skip(check.name, reason)
        self._judged = []

    def _skip(self, name: str, reason: str) -> None:
        self._unchecked[name, reason] = None

    def _checked(
        self, frame: pd.DataFrame, each: list[Any], most_rows: int | None, how: str = ""
    ) -> pd.DataFrame:
        rows, changed = checked(
            frame,
            each,
            context=self._context(each, frame.columns),
            masked=self._masked,
            most_rows=most_rows,
            keys=self._keys(frame.columns),
        )
        self._rows += [row | {"message": row["message"] + how} for row in rows]
        return changed

    def _ask(self, answers: NotedAnswers, disclosure: Disclosure) -> None:
        if answers.rows:
            for check in self._judged:
                self._rows += check.ask(answers, self._joint_context, disclosure)
        if self.part is not None:
            self._answers[self.part] = answers.document()

    def results(self) -> list[Row]:
        """Return the results, as `run_checks` does, and a row for each check that did not run.

        Of these, `passed` is None, and `message` says why.
        """
        disclosure = Disclosure(SAMPLE, self._masked)
        judged = self._judged if self._answers else []
        joint = judge_parts(judged, self._answers, self._joint_context, disclosure)
        rows = accepted_rows(self._db, self._handle, [*self._of_reads, *self._rows, *joint])
        keys = ("check", "column", "severity", "passed", "failing_rows", "message")
        listed: list[Row] = [{key: row[key] for key in keys} for row in rows]
        for name, reason in self._unchecked:
            row = dict.fromkeys(keys) | {"check": name, "message": f"not checked: {reason}"}
            listed.append(row)
        return listed


def _results(
    checks: Iterable[ModelCheck], data: CheckData, context: CheckContext, disclosure: Disclosure
) -> list[Row]:
    return [row for check in checks for row in check.results(data, context, disclosure)]


def _counting(checks: Iterable[Any]) -> list[Any]:
    """Return the checks of the number of rows, which alone can judge a part without rows."""
    return [check for check in checks if isinstance(check, RowCount)]
