"""What a run produces: computed in the agreed-upon way, buffered, written in few transactions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Unpack

from mfprefect import values
from mfprefect.buffer import Buffer
from mfprefect.errors import ChecksFailed, GateFailed, InvalidValue
from mfprefect.store import artifacts, scores, verdicts
from mfprefect.store.handle import find_session

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.quality.data import Data
    from mfprefect.quality.series import Context
    from mfprefect.quality.shared import SharedCheck
    from mfprefect.quality.verdicts import AnyGate, Champion, Verdict

__all__ = ["Recorder"]

TEST = "test"
"""The group of the metadata that belongs to test results."""


class Recorder(Buffer):
    """Takes what a run produces. `Session` adds how a run ends."""

    def log_metrics(self, metrics: Mapping[str, Any], segment: str | None = None) -> None:
        """Store metrics; one of the same name and segment is replaced.

        Args:
            metrics: finite numbers by name.
            segment: which rows they are of, such as `region=north`; None: all.
        """
        from mfprefect.quality.custom import load_metrics
        from mfprefect.quality.definitions import definition_version

        load_metrics(self._db.settings.metrics)
        part = "" if segment is None else values.name(segment, "the segment")
        rows = [
            {
                "metric_name": values.name(name, "the metric's name"),
                "segment": part,
                "value": values.figure(value, f"the metric {name!r}"),
                "definition_version": definition_version(name),
            }
            for name, value in metrics.items()
        ]
        self._add("metrics", rows, ("metric_name", "segment"))

    def log_metadata(self, metadata: Mapping[str, Any], group: str = "run") -> None:
        """Store key-values under a group; what is not text is stored as JSON."""
        rows = [
            {
                "meta_group": values.name(group, "the group"),
                "meta_name": values.name(name, "the name"),
                "value": values.text(value, f"the value of {name!r}")
                if isinstance(value, str)
                else values.json_text(value, f"the value of {name!r}"),
            }
            for name, value in metadata.items()
        ]
        self._add("session_metadata", rows, ("meta_group", "meta_name"))

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
        row = {
            "source": values.name(source, "the source", 255),
            "query": query,
            "rows": rows,
            "columns": None if columns is None else values.json_text(columns, "the columns"),
            "digest": digest,
            "seconds": values.figure(seconds, "the seconds"),
        }
        self._add("inputs", [{"input_no": self._take("input"), **row}], ("input_no",))

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
        from mfprefect.quality.masking import without_cells
        from mfprefect.quality.summary import input_summary

        summary = input_summary(frame, reference=reference)
        if hidden := self._hidden(masked):
            summary = without_cells(summary, hidden)
        self._add("input_summary", _records(summary), ("variable",))
        return summary

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
        from mfprefect.store.background import background

        rows = run_checks(
            frame,
            checks,
            background=background(self._db, self._handle, checks, keys, part),
            masked=self._hidden(masked),
            most_rows=most_rows,
        )
        return self.log_check_results(rows)

    def log_source_checks(
        self,
        ask: Callable[[Collection[str]], Data],
        checks: Sequence[SharedCheck],
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
        from mfprefect.quality.masking import Shown
        from mfprefect.store.background import background

        past = background(self._db, self._handle, list(checks), keys, part)
        data = ask({name for check in checks for name in check.compared(past)})
        shown = Shown(5, frozenset(self._hidden(masked)))
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
        from mfprefect.quality.checks import failures

        rows = [row | {"check_no": self._take("check")} for row in rows]
        self._add("check_results", rows, ("check_no",))
        if failed := failures(rows):
            raise ChecksFailed(
                f"{len(failed)} of {len(rows)} input checks failed: "
                + "; ".join(_told(row) for row in failed[:5]),
                failures=failed,
            )
        return rows

    def log_test_results(
        self,
        actual: Any,
        score: Any,
        segment: str | None = None,
        *,
        model_type: str | None = None,
        classes: Sequence[Any] | None = None,
        segments: pd.DataFrame | Mapping[str, Any] | None = None,
        **context: Unpack[Context],
    ) -> dict[str, float]:
        """Store what test rows say of a model, with the test curve of a binary one; return metrics.

        Args:
            actual: what happened, one a test row: 0/1 of a binary model, a label of a multiclass
                one, else a number.
            score: what the model said, one a test row; of a multiclass model a column a class.
            segment: which rows they are of; curve and notes are stored for all rows (None) only,
                and one class only will do in a segment.
            model_type: `binary`, `multiclass`, `regression` or `time_series`; by default
                `multiclass` for scores of three and more columns, else `binary`.
            classes: the labels of the columns, such as `estimator.classes_`, where the scores of a
                multiclass model are no DataFrame.
            segments: columns of the test rows; the metrics are also stored for each of their
                levels, as `region=north`; the 50 most frequent of a column.
            context: series, history, season and naive of a time series; lower, upper and level of
                prediction intervals: see `mfprefect.quality.series.Context`.

        Raises:
            InvalidValue: rows or arguments are not as above, a binary model's are of one class
                only, or a team's own metric gave no finite number.
            InvalidScores: a score is NULL, NaN, infinite or no number.
        """
        from mfprefect.quality.custom import load_metrics
        from mfprefect.quality.evaluation import evaluate

        if segment is not None and segments is not None:
            raise InvalidValue("rows are of one segment, or of several by columns; pass either")
        hidden = set(segments if segments is not None else ()) & {*self._db.settings.masked_columns}
        if hidden:
            raise InvalidValue(
                f"{min(map(str, hidden))!r} is one of the settings' masked_columns; the names of "
                "segments would show what is masked"
            )
        load_metrics(self._db.settings.metrics)
        found = evaluate(
            actual,
            score,
            model_type,
            classes=classes,
            segments=segments,
            context=context,
            curve=segment is None,
        )
        if segment is None:
            if (columns := found.curve) is not None:
                points = (
                    dict(zip(columns, row, strict=True))
                    for row in zip(*columns.values(), strict=True)
                )
                self._add("test_curve", points, ("point_no",))
            self.log_metadata(found.notes, TEST)
        for part, metrics in found.metrics.items():
            self.log_metrics(metrics, part or segment)
        return found.metrics[""]

    def log_performance(
        self, actual: Any, predicted: Any, segment: str | None = None, *, model_type: str = "binary"
    ) -> dict[str, float]:
        """Store and return the metrics of predictions whose outcomes are known, without a curve.

        Args:
            actual: what happened, one a row: 0/1 of a binary model, a label of a multiclass one,
                else numbers.
            predicted: what the model said, one a row; of a multiclass model the predicted class.
            segment: which rows they are of; None: all.
            model_type: `binary`, `multiclass`, `regression` or `time_series`.
        """
        from mfprefect.quality.custom import load_metrics
        from mfprefect.quality.performance import performance_metrics

        load_metrics(self._db.settings.metrics)
        metrics = performance_metrics(actual, predicted, model_type)
        self.log_metrics(metrics, segment)
        return metrics

    def log_drift(
        self, rows: pd.DataFrame | Iterable[Mapping[str, Any]], reference: str | None = None
    ) -> None:
        """Store drift; a row of the same variable and measure is replaced.

        Args:
            rows: variable, measure, value and threshold (both may be None), and verdict: `ok`,
                `warning`, `alarm` or `unknown`; such as `feature_drift` returns.
            reference: the id of the session that was compared with.

        Raises:
            UnknownSession: there is no session `reference`.
        """
        from mfprefect.quality.drift import VERDICTS

        number = None if reference is None else find_session(self._db, reference).session_no
        needed = ("variable", "measure", "value", "threshold", "verdict")
        found = _records(_frame(rows, needed), *needed)
        drift = [
            {
                "variable": values.name(row["variable"], "the variable", 255),
                "measure": values.name(row["measure"], "the measure", 64),
                "value": values.optional_figure(row["value"], "the drift"),
                "threshold": values.optional_figure(row["threshold"], "the threshold"),
                "verdict": values.choice(row["verdict"], "the verdict", VERDICTS),
                "reference_session_no": number,
            }
            for row in found
        ]
        self._add("drift", drift, ("variable", "measure"))

    def log_gates(
        self, gates: Iterable[AnyGate], champion: Champion | None = None
    ) -> list[Verdict]:
        """Hold what the session has stored against gates; store and return a verdict of each.

        Those of an earlier call are replaced. `store.gates(session_id)` shows them.

        Args:
            gates: what the model promises.
            champion: the model in production scored on the test rows, for gates relative to it.

        Raises:
            GateFailed: one of them was not passed; the verdicts are stored all the same.
        """
        from mfprefect.quality.gates import judge

        gates = list(gates)
        self.flush()
        found = judge(gates, verdicts.evidence(self._db, self._handle, champion))
        text = [verdict.as_dict() for verdict in found]
        self.log_metadata({verdicts.NAME: text}, verdicts.GROUP)
        if failed := [verdict.reason for verdict in found if not verdict.passed]:
            raise GateFailed(
                f"model {self.model_id!r} misses {len(failed)} of {len(gates)} gates: "
                + "; ".join(failed),
                failures=failed,
            )
        return found

    def log_variable_importance(self, frame: pd.DataFrame, kind: str) -> None:
        """Store variable importances.

        Args:
            frame: columns variable, importance, and where they apply std and coefficient.
            kind: how they were computed: `impurity`, `permutation`, `coefficient`, ..; its
                `attrs`, such as scorer, repeats and seed, are kept as metadata of the kind.
        """
        kind = values.name(kind, "the kind of importance", 64)
        rows = [
            {
                "kind": kind,
                "variable": values.name(row["variable"], "the variable", 255),
                **{
                    name: values.optional_figure(row.get(name), f"the {name}")
                    for name in ("importance", "std", "coefficient")
                },
            }
            for row in _records(frame, "variable", "importance")
        ]
        self._add("variable_importance", rows, ("kind", "variable"))
        how = {str(name): value for name, value in frame.attrs.items() if name != "kind"}
        if how:
            self.log_metadata({kind: how}, group="importance")

    def log_backtest(self, frame: pd.DataFrame) -> None:
        """Store a back-test of a time series.

        Args:
            frame: columns period, predicted, actual, and series where there are several.
        """
        rows = [
            {
                "series": values.name(str(row.get("series", "all")), "the series"),
                "period": values.name(str(row["period"]), "the period", 64),
                "predicted": values.optional_figure(row["predicted"], "predicted"),
                "actual": values.optional_figure(row["actual"], "actual"),
            }
            for row in _records(frame, "period", "predicted", "actual")
        ]
        self._add("backtests", rows, ("series", "period"))

    def save_model(
        self,
        estimator: Any,
        name: str = artifacts.MODEL,
        *,
        format: str | None = None,
        trusted_types: Collection[str] = (),
    ) -> None:
        """Store a model in chunks, with its digest; one of the same name is replaced.

        Args:
            estimator: a scikit-learn estimator (stored as skops), or bytes or the path of a file
                that holds a model of another language.
            name: what to load it by.
            format: `pickle` for anything else; loading that needs `trusted=True`.
            trusted_types: type names allowed in the blob, beside the setting's.

        Raises:
            ArtifactUntrusted: the blob would hold a type that is not allowed.
        """
        self._require_running()
        artifacts.save_model(
            self._db,
            self._handle,
            values.name(name, "the artifact's name"),
            estimator,
            format,
            {*trusted_types, *self._db.settings.trusted_types},
        )

    def write_scores(
        self,
        data: Any,
        entity_id: str,
        score: str = "score",
        score_class: str | None = None,
        *,
        part: int | None = None,
    ) -> int:
        """Write scores, each part in one transaction; return the number of rows.

        They can be read when the session has ended well, and not before.

        Args:
            data: a DataFrame, an Arrow table, the path of a Parquet file, or an iterable of
                frames, tables or record batches; a part is made of each 250,000 rows.
            entity_id: the column of ids: text or integers, unique in the session.
            score: the column of scores: finite numbers.
            score_class: the column of classes, if there is one.
            part: the number of the part, which is held in memory and written whole; by default
                numbers that are free.

        Raises:
            InvalidScores: something would not be stored exactly; nothing of the part was written.
                That two parts of a large session hold the same entity may be found only when it
                is closed.
        """
        from mfprefect import scores as scoring

        pieces = (
            scoring.normalise(piece, entity_id, score, score_class)
            for piece in scoring.batches(data)
        )
        if part is None:
            return self._write_parts(scoring.gathered(pieces, entity_id))
        return self._write_part(part, scoring.joined(pieces, entity_id))

    def _write_parts(self, pieces: Iterator[Any]) -> int:
        """Write each piece as a part, while the caller's thread prepares the next one."""
        rows, written = 0, None
        with ThreadPoolExecutor(1, "mfprefect-scores") as writer:
            for piece in pieces:
                rows += written.result() if written else 0
                written = writer.submit(self._write_part, self._take("part"), piece)
            return rows + (written.result() if written else 0)

    def _write_part(self, part: int, table: Any) -> int:
        self._require_running()
        scores.write_part(self._db, self._handle, part, table)
        return int(table.num_rows)

    def keep_part(self, part: int) -> int | None:
        """Keep a part that an earlier attempt wrote completely; return its rows, None if none."""
        self._require_running()
        return scores.keep_part(self._db, self._handle, part)


def _told(row: Mapping[str, Any]) -> str:
    # The words of shared checks are about a column without naming it.
    return f"{row['column']}: {row['message']}" if row["column"] else str(row["message"])


def _frame(rows: pd.DataFrame | Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Any:
    import pandas as pd

    if isinstance(rows, pd.DataFrame):
        return rows
    found = list(rows)
    return pd.DataFrame(found) if found else pd.DataFrame(columns=list(columns))


def _records(frame: pd.DataFrame, *required: str) -> list[dict[str, Any]]:
    missing = [name for name in required if name not in frame.columns]
    if missing:
        raise InvalidValue(
            f"the frame has no column {missing[0]!r}; its columns: "
            f"{', '.join(map(str, frame.columns))}."
        )
    names = list(map(str, frame.columns))
    columns = [_plain(column) for _, column in frame.items()]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(column: pd.Series[Any]) -> list[Any]:
    """Return Python's own values, None for what is missing."""
    found, missing = column.astype(object).tolist(), column.isna()
    if not missing.any():
        return found
    return [None if gone else value for value, gone in zip(found, missing, strict=True)]
