"""What a run reads, and the results of its input checks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mfprefect.errors import DatabaseError, InvalidValue
from mfprefect.provenance import strip_credentials
from mfprefect.session.base import RecorderBase
from mfprefect.util import values
from mfprefect.util.frames import records

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.quality.checks.base import ModelCheck
    from mfprefect.quality.checks.frame_data import CheckData

__all__ = ["InputsMixin"]

log = logging.getLogger(__name__)


class InputsMixin(RecorderBase):
    """Records a run's inputs and checks them."""

    def log_input(
        self,
        source: str,
        *,
        query: str | None = None,
        rows: int | None = None,
        columns: Mapping[str, str] | None = None,
        digest: str | None = None,
        seconds: float = 0.0,
    ) -> None:
        """Record one read: its source, its query and the rows that it returned.

        Args:
            source: a source of the settings, a path, or the function that made the rows.
            query: the SQL text.
            rows: the number of rows.
            columns: column types by name.
            digest: the digest of the rows.
            seconds: how long the read took.
        """
        where = strip_credentials(source) if "://" in str(source) else source
        row = {
            "source": values.name(where, "the source", 255),
            "query": None
            if query is None
            else self._db.without_secrets(values.text(query, "the query")),
            "rows": rows,
            "columns": None if columns is None else values.json_text(columns, "the columns"),
            "digest": None if digest is None else values.text(digest, "the digest"),
            "seconds": values.figure(seconds, "the seconds"),
        }
        self._add("inputs", [{"input_no": self._buffer.next_number("input"), **row}], ("input_no",))

    def log_input_summary(
        self,
        frame: pd.DataFrame,
        reference: pd.DataFrame | None = None,
        *,
        masked: Collection[str] = (),
    ) -> pd.DataFrame:
        """Compute, store and return a summary of each column.

        Args:
            frame: the rows.
            reference: a summary whose bins to count in, such as
                `store.input_summary(training_session_id)`; drift from it is then exact.
            masked: columns whose values must not be stored, besides those of the settings.
        """
        from mfprefect.quality.checks.masking import without_cells
        from mfprefect.quality.summary import input_summary

        summary = input_summary(frame, reference=reference)
        if columns := self._masked(masked):
            summary = without_cells(summary, columns)
        self.log_summary(summary)
        return summary

    def log_summary(self, summary: pd.DataFrame) -> None:
        """Store a finished input summary, such as one merged from several parts."""
        self._add("input_summary", records(summary), ("variable",))

    def restore_rows(
        self, rows: Mapping[str, Sequence[Mapping[str, Any]]], keys: Mapping[str, str]
    ) -> None:
        """Store rows of an earlier attempt again, under their old numbers.

        Args:
            rows: rows by table.
            keys: the name of the number's column, by table.
        """
        for table, table_rows in rows.items():
            self._add(table, table_rows, (keys[table],))

    def log_checks(
        self,
        frame: pd.DataFrame,
        checks: Any,
        *,
        keys: Collection[str] = (),
        masked: Collection[str] = (),
        most_rows: int | None = None,
        part: int | None = None,
    ) -> list[dict[str, Any]]:
        """Run input checks on a frame and store the results.

        Args:
            frame: the data that the model is about to get.
            checks: a pandera schema, a function of the frame, a check of `mfprefect.checks`, or a
                list of them; those under `on(..)` run only in sessions of that purpose.
            keys: columns that are not features: the entity id and the target.
            masked: columns whose values must not be shown or stored, besides those of the settings.
            most_rows: the most rows that schemas and functions see; of a larger frame, they get a
                random sample.
            part: the part of a scoring that the frame belongs to.

        Raises:
            ChecksFailed: an error-level check failed; the results are stored anyway.
        """
        rows, _ = self._checked(frame, checks, keys, masked, most_rows, part)
        return self.log_check_results(rows)

    def checked_frame(
        self,
        frame: pd.DataFrame,
        checks: Any,
        *,
        keys: Collection[str] = (),
        masked: Collection[str] = (),
        most_rows: int | None = None,
        part: int | None = None,
    ) -> pd.DataFrame:
        """Run input checks as `log_checks` does; return the frame as the schemas make it.

        Schemas that coerce, fill or parse change the frame that the model gets. `strict="filter"`
        removes no column in `keys`.
        """
        rows, changed = self._checked(frame, checks, keys, masked, most_rows, part)
        self.log_check_results(rows)
        return changed

    def _checked(
        self,
        frame: pd.DataFrame,
        checks: Any,
        keys: Collection[str],
        masked: Collection[str],
        most_rows: int | None,
        part: int | None,
    ) -> tuple[list[dict[str, Any]], pd.DataFrame]:
        from mfprefect.quality.checks import checked
        from mfprefect.quality.checks.phases import checks_for
        from mfprefect.store.results.check_context import check_context

        checks = checks_for(checks, self.purpose)
        return checked(
            frame,
            checks,
            context=check_context(self._db, self.handle, checks, keys, part),
            masked=self._masked(masked),
            most_rows=most_rows,
            keys=keys,
        )

    def log_source_checks(
        self,
        ask: Callable[[Collection[str]], CheckData],
        checks: Sequence[ModelCheck],
        *,
        keys: Collection[str] = (),
        masked: Collection[str] = (),
        part: int | None = None,
    ) -> list[dict[str, Any]]:
        """Check a source before reading its rows; other arguments and errors as in `log_checks`.

        Args:
            ask: returns what checks need to know of the source; takes the names of the columns
                whose extremes they need.
            checks: checks of `mfprefect.checks` that a database can compute.
            keys: columns that are not features.
            masked: columns whose values must not be shown or stored.
            part: the part of a scoring.
        """
        from mfprefect.quality.checks.masking import Disclosure
        from mfprefect.store.results.check_context import check_context

        context = check_context(self._db, self.handle, list(checks), keys, part)
        data = ask({name for check in checks for name in check.compared(context)})
        disclosure = Disclosure(5, frozenset(self._masked(masked)))
        return self.log_check_results(
            [row for check in checks for row in check.results(data, context, disclosure)]
        )

    def _masked(self, masked: Collection[str]) -> set[str]:
        if isinstance(masked, str):
            raise InvalidValue(f"masked is a list of columns, not {masked!r}; pass [{masked!r}].")
        return {*masked, *self._db.settings.masked_columns}

    def log_check_results(
        self, rows: list[dict[str, Any]], *, after: int = 0
    ) -> list[dict[str, Any]]:
        """Store what `quality.run_checks` returned; return it with the session's numbers.

        Args:
            rows: the results. A failed check that a person accepted is stored as accepted.
            after: number the results after this number.

        Raises:
            ChecksFailed: an error-level check failed; the results are stored anyway.
        """
        from mfprefect.quality.checks.result import checks_failed, failures

        self._buffer.reserve_number("check", after)
        rows = [
            row | {"check_no": self._buffer.next_number("check")}
            for row in self._with_acceptances(rows)
        ]
        self._add("check_results", rows, ("check_no",))
        earlier, self._check_rows = self._check_rows, [*self._check_rows, *rows]
        if failures(rows):
            raise checks_failed({1: rows}, earlier)
        return rows

    def _with_acceptances(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        from mfprefect.store.results.acceptances import accepted_rows

        try:
            return accepted_rows(self._db, self.handle, rows)
        except DatabaseError as exc:
            if not exc.transient:
                raise
            log.warning("failed checks count as failed: acceptances cannot be read: %s", exc)
            return rows
