"""What a run read, and what its checks found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mfprefect.errors import ChecksFailed, InvalidValue
from mfprefect.provenance import strip_credentials
from mfprefect.session.bulk import BulkMixin
from mfprefect.util import values
from mfprefect.util.frames import records

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.quality.checks.base import ModelCheck
    from mfprefect.quality.checks.frame_data import CheckData

__all__ = ["InputsMixin"]


class InputsMixin(BulkMixin):
    """Takes what is known of a run's inputs."""

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
        """Record what the run read: where from, what it asked, and what it got.

        Args:
            source: a source of the settings, a path, or what made the rows.
            query: the SQL text.
            rows: how many.
            columns: types by name.
            digest: of the content.
            seconds: how long it took.
        """
        shown = strip_credentials(source) if "://" in str(source) else source
        row = {
            "source": values.name(shown, "the source", 255),
            "query": None
            if query is None
            else self._db.without_secrets(values.text(query, "the query")),
            "rows": rows,
            "columns": None if columns is None else values.json_text(columns, "the columns"),
            "digest": None if digest is None else values.text(digest, "the digest"),
            "seconds": values.figure(seconds, "the seconds"),
        }
        self._add("inputs", [{"input_no": self._next_number("input"), **row}], ("input_no",))

    def log_input_summary(
        self,
        frame: pd.DataFrame,
        reference: pd.DataFrame | None = None,
        *,
        masked: Collection[str] = (),
    ) -> pd.DataFrame:
        """Compute and store a summary of each column; return it.

        Args:
            frame: the rows.
            reference: the summary to count in the bins of, such as
                `store.input_summary(training_session_id)`: drift from it is exact then.
            masked: columns no cell of which is kept, beside those of the settings.
        """
        from mfprefect.quality.checks.masking import without_cells
        from mfprefect.quality.summary import input_summary

        summary = input_summary(frame, reference=reference)
        if hidden := self._hidden(masked):
            summary = without_cells(summary, hidden)
        self.log_summary(summary)
        return summary

    def log_summary(self, summary: pd.DataFrame) -> None:
        """Store a summary that is made already: such as that of several parts, put together."""
        self._add("input_summary", records(summary), ("variable",))

    def restore_rows(
        self, rows: Mapping[str, Sequence[Mapping[str, Any]]], keys: Mapping[str, str]
    ) -> None:
        """Store rows as an earlier attempt stored them, under their own numbers.

        Args:
            rows: by table.
            keys: the column of the number, by table.
        """
        for table, found in rows.items():
            self._add(table, found, (keys[table],))

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
            frame: what is about to be given to the model.
            checks: a pandera schema, a function of the frame, a check of `mfprefect.checks`, or a
                list of them.
            keys: columns that are no features: the entity id and the target.
            masked: columns no cell of which is shown or stored, beside those of the settings.
            most_rows: of more rows, schemas and functions see a random sample of so many.
            part: the part of a scoring that the frame is.

        Raises:
            ChecksFailed: an error-level check failed; the results are stored all the same.
        """
        from mfprefect.quality.checks import run_checks
        from mfprefect.store.results.check_context import check_context

        rows = run_checks(
            frame,
            checks,
            background=check_context(self._db, self.handle, checks, keys, part),
            masked=self._hidden(masked),
            most_rows=most_rows,
        )
        return self.log_check_results(rows)

    def log_source_checks(
        self,
        ask: Callable[[Collection[str]], CheckData],
        checks: Sequence[ModelCheck],
        *,
        keys: Collection[str] = (),
        masked: Collection[str] = (),
        part: int | None = None,
    ) -> list[dict[str, Any]]:
        """Judge a source before its rows are read; arguments and errors as in `log_checks`.

        Args:
            ask: returns what the source says, told the columns whose extremes are needed.
            checks: those of `mfprefect.checks` that a database can compute.
            keys: columns that are no features.
            masked: columns no cell of which is shown or stored.
            part: the part of a scoring.
        """
        from mfprefect.quality.checks.masking import Disclosure
        from mfprefect.store.results.check_context import check_context

        past = check_context(self._db, self.handle, list(checks), keys, part)
        data = ask({name for check in checks for name in check.compared(past)})
        shown = Disclosure(5, frozenset(self._hidden(masked)))
        return self.log_check_results([r for c in checks for r in c.results(data, past, shown)])

    def _hidden(self, masked: Collection[str]) -> set[str]:
        if isinstance(masked, str):
            raise InvalidValue(f"masked is a list of columns, not {masked!r}; pass [{masked!r}].")
        return {*masked, *self._db.settings.masked_columns}

    def log_check_results(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Store what `quality.run_checks` returned; return it with the session's numbers.

        Raises:
            ChecksFailed: an error-level check failed; the results are stored all the same.
        """
        from mfprefect.quality.checks.result import failures

        rows = [row | {"check_no": self._next_number("check")} for row in rows]
        self._add("check_results", rows, ("check_no",))
        if failed := failures(rows):
            raise ChecksFailed(
                f"{len(failed)} of {len(rows)} input checks failed: "
                + "; ".join(_told(row) for row in failed[:5]),
                failures=failed,
            )
        return rows


def _told(row: Mapping[str, Any]) -> str:
    # The words of shared checks are about a column without naming it.
    return f"{row['column']}: {row['message']}" if row["column"] else str(row["message"])
