"""What a run produces: computed in the agreed-upon way, buffered, written in few transactions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from mfprefect.errors import GateFailed, InvalidValue
from mfprefect.session.inputs import InputsMixin
from mfprefect.store.models import gate_verdicts
from mfprefect.util import values
from mfprefect.util.frames import framed, records

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.quality.gates.verdicts import BaseGate, Champion, GateResult
    from mfprefect.quality.metrics.time_series import Context

__all__ = ["ResultsMixin"]

TEST = "test"
"""The group of the metadata that belongs to test results."""


class ResultsMixin(InputsMixin):
    """Takes what a run produces. `Session` adds how a run ends."""

    def log_metrics(self, metrics: Mapping[str, Any], segment: str | None = None) -> None:
        """Store metrics; one of the same name and segment is replaced.

        Args:
            metrics: finite numbers by name.
            segment: which rows they are of, such as `region=north`; None: all.
        """
        from mfprefect.quality.metrics.registry import definition_version, load_metrics

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
                prediction intervals: see `mfprefect.quality.metrics.time_series.Context`.

        Raises:
            InvalidValue: rows or arguments are not as above, a binary model's are of one class
                only, or a team's own metric gave no finite number.
            InvalidScores: a score is NULL, NaN, infinite or no number.
        """
        from mfprefect.quality.metrics.evaluation import evaluate
        from mfprefect.quality.metrics.registry import load_metrics

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
        from mfprefect.quality.metrics.performance import performance_metrics
        from mfprefect.quality.metrics.registry import load_metrics

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

        compared: dict[str, Any] = {"reference_session_no": None}
        if reference is not None:
            compared = self._destination.reference(reference)
        needed = ("variable", "measure", "value", "threshold", "verdict")
        found = records(framed(rows, needed), *needed)
        drift = [
            {
                "variable": values.name(row["variable"], "the variable", 255),
                "measure": values.name(row["measure"], "the measure", 64),
                "value": values.optional_figure(row["value"], "the drift"),
                "threshold": values.optional_figure(row["threshold"], "the threshold"),
                "verdict": values.choice(row["verdict"], "the verdict", VERDICTS),
                **compared,
            }
            for row in found
        ]
        self._add("drift", drift, ("variable", "measure"))

    def log_gates(
        self, gates: Iterable[BaseGate], champion: Champion | None = None
    ) -> list[GateResult]:
        """Hold what the session has logged against gates; store and return a verdict of each.

        Those of an earlier call are replaced. `store.gates(session_id)` shows them.

        Args:
            gates: what the model promises.
            champion: the model in production scored on the test rows, for gates relative to it.

        Raises:
            GateFailed: one of them was not passed; the verdicts are stored all the same.
        """
        from mfprefect.quality.gates import judge

        gates = list(gates)
        self._require_running()
        with self._lock:
            made = {table: list(rows.values()) for table, rows in self._gate_rows.items()}
            pending = self._rows()
        results = judge(gates, self._destination.evidence(made, pending, champion))
        rows = gate_verdicts.result_rows(results)
        with self._lock:
            self._pending.pop(gate_verdicts.TABLE, None)  # of an earlier call
            self._add(gate_verdicts.TABLE, rows, ("gate_no",))
        if failed := [verdict.reason for verdict in results if not verdict.passed]:
            raise GateFailed(
                f"model {self.model_id!r} misses {len(failed)} of {len(gates)} gates: "
                + "; ".join(failed),
                failures=failed,
            )
        return results

    def part_documents(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield what is kept of the input of each part that was scored, one in memory at a time."""
        return self._destination.part_documents()

    def has_results(self) -> bool:
        """Return whether the session has a metric or a model, whichever process stored it."""
        return self._destination.has_results()

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
            for row in records(frame, "variable", "importance")
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
            for row in records(frame, "period", "predicted", "actual")
        ]
        self._add("backtests", rows, ("series", "period"))
