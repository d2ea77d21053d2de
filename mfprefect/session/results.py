"""The results of a run: metrics, test results, drift, gates and importances."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from mfprefect.errors import GateFailed, InvalidValue
from mfprefect.session.base import RecorderBase
from mfprefect.store.models import gate_verdicts
from mfprefect.util import values
from mfprefect.util.frames import framed, records
from mfprefect.vocabulary import Purpose

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.quality.gates.verdicts import BaseGate, Champion, GateResult
    from mfprefect.quality.metrics.time_series import Context

__all__ = ["ResultsMixin"]

TEST = "test"
"""The metadata group of test results."""


class ResultsMixin(RecorderBase):
    """Records a run's results, and judges them by gates."""

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Add parameters to those that the session was opened with; written at once.

        Args:
            params: text, numbers, dates, None, and lists and dicts of these, by name; a parameter
                of the same name is replaced.

        Raises:
            InvalidValue: a value has no JSON form.
        """
        for name in params:
            values.name(name, "the parameter's name", 255)
        self._require_running()
        # As JSON has them, so that the database and the spool hold the same.
        self._destination.add_params(json.loads(values.json_text(dict(params), "params")))

    def log_metrics(
        self, metrics: Mapping[str, Any], segment: str | None = None, *, step: int | None = None
    ) -> None:
        """Store metrics, replacing those of the same name and segment.

        With `step`, the whole curve is kept: `Store.metric_steps` returns it, and `Store.metrics`
        the value of the highest step. It costs the run some microseconds: steps are written with
        the next heartbeat, and a run that is killed loses those since the last one.

        Args:
            metrics: finite numbers by name.
            segment: the segment of rows that they describe, such as `region=north`; None: all rows.
            step: the epoch, round or batch that they were computed after: an integer from 0, in any
                order. A later value of the same step replaces the earlier one.
        """
        segment = "" if segment is None else values.name(segment, "the segment")
        if step is not None:
            self._add_step(metrics, segment, step)
            return
        from mfprefect.quality.metrics.registry import definition_version, load_metrics

        load_metrics(self._db.settings.metrics)
        rows = [
            {
                "metric_name": values.name(name, "the metric's name"),
                "segment": segment,
                "value": values.figure(value, f"the metric {name!r}"),
                "definition_version": definition_version(name),
            }
            for name, value in metrics.items()
        ]
        self._add("metrics", rows, ("metric_name", "segment"))

    def log_metadata(self, metadata: Mapping[str, Any], group: str = "run") -> None:
        """Store key-value pairs in a group; values that are not text are stored as JSON."""
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
        probabilities: bool = True,
        weight: Any = None,
        **context: Unpack[Context],
    ) -> dict[str, float]:
        """Evaluate test rows; store metrics, notes and test curve; return the metrics.

        Only a binary model has a test curve.

        Args:
            actual: the outcome of each test row: 0/1 for a binary model, a label for a multiclass
                one, None for an unsupervised one, else a number.
            score: the model's score of each test row; a multiclass model has a column per class,
                clusters are a DataFrame of `score` and `score_class`.
            segment: the segment of rows that they describe; a segment has no curve and no notes,
                and may contain a single class.
            model_type: `binary`, `multiclass`, `regression`, `time_series` or `unsupervised`; by
                default `multiclass` for scores of three and more columns, else `binary`.
            classes: the labels of the score columns, such as `estimator.classes_`, if the scores
                of a multiclass model are not a DataFrame.
            segments: columns of the test rows; metrics are also stored for each of their levels,
                as `region=north`, for the 50 most frequent levels of a column.
            probabilities: of a binary model: False leaves out `brier`, `log_loss` and `ece`, as for
                the scores of a `decision_function`.
            weight: the weight of each test row, as scikit-learn's `sample_weight`; docs/metrics.md
                says which metrics count it. The segment `unweighted` has all metrics without.
            context: series, history, season and naive of a time series; lower, upper and level of
                prediction intervals: see `mfprefect.quality.metrics.time_series.Context`.

        Raises:
            InvalidValue: an argument is not as above, all rows of a binary model have the same
                outcome, or a team's own metric did not return a finite number.
            InvalidScores: a score is NULL, NaN, infinite or not a number.
        """
        from mfprefect.quality.metrics.evaluation import evaluate
        from mfprefect.quality.metrics.registry import load_metrics

        if segment is not None and segments is not None:
            raise InvalidValue("pass either `segment` or `segments`, not both")
        masked = set(segments if segments is not None else ()) & {*self._db.settings.masked_columns}
        if masked:
            raise InvalidValue(
                f"the column {min(map(str, masked))!r} is one of the settings' masked_columns, and "
                "names of segments would show its values; segment by another column"
            )
        load_metrics(self._db.settings.metrics)
        evaluation = evaluate(
            actual,
            score,
            model_type,
            classes=classes,
            segments=segments,
            context=context,
            curve=segment is None,
            probabilities=probabilities,
            weight=weight,
        )
        if segment is None:
            if (columns := evaluation.curve) is not None:
                points = (
                    dict(zip(columns, row, strict=True))
                    for row in zip(*columns.values(), strict=True)
                )
                self._add("test_curve", points, ("point_no",))
            self.log_metadata(evaluation.notes, TEST)
        for name, metrics in evaluation.metrics.items():
            self.log_metrics(metrics, name or segment)
        return evaluation.metrics[""]

    def log_performance(
        self,
        actual: Any,
        predicted: Any,
        segment: str | None = None,
        *,
        model_type: str = "binary",
        probabilities: bool = True,
    ) -> dict[str, float]:
        """Store and return the metrics of predictions whose outcomes are known, without a curve.

        Args:
            actual: the outcome of each row: 0/1 for a binary or unsupervised model, a label for a
                multiclass one, else a number.
            predicted: the prediction for each row; for a multiclass model the predicted class.
            segment: the segment of rows that they describe; None: all rows.
            model_type: `binary`, `multiclass`, `regression`, `time_series` or `unsupervised`.
            probabilities: as in `log_test_results`.
        """
        from mfprefect.quality.metrics.performance import performance_metrics
        from mfprefect.quality.metrics.registry import load_metrics

        load_metrics(self._db.settings.metrics)
        metrics = performance_metrics(actual, predicted, model_type, probabilities=probabilities)
        self.log_metrics(metrics, segment)
        return metrics

    def log_drift(
        self, rows: pd.DataFrame | Iterable[Mapping[str, Any]], reference: str | None = None
    ) -> None:
        """Store drift, replacing rows of the same variable and measure.

        Args:
            rows: variable, measure, value and threshold (both may be None), and verdict: `ok`,
                `warning`, `alarm` or `unknown`; such as `feature_drift` returns.
            reference: the id of the session that this one was compared with.

        Raises:
            UnknownSession: there is no session `reference`.
        """
        from mfprefect.quality.drift import VERDICTS

        reference_column: dict[str, Any] = {"reference_session_no": None}
        if reference is not None:
            reference_column = self._destination.reference(reference)
        names = ("variable", "measure", "value", "threshold", "verdict")
        drift = [
            {
                "variable": values.name(row["variable"], "the variable", 255),
                "measure": values.name(row["measure"], "the measure", 64),
                "value": values.optional_figure(row["value"], "the drift"),
                "threshold": values.optional_figure(row["threshold"], "the threshold"),
                "verdict": values.choice(row["verdict"], "the verdict", VERDICTS),
                **reference_column,
            }
            for row in records(framed(rows, names), *names)
        ]
        self._add("drift", drift, ("variable", "measure"))

    def log_gates(
        self, gates: Iterable[BaseGate], champion: Champion | None = None
    ) -> list[GateResult]:
        """Judge what the session has logged by gates; store and return the result of each gate.

        Replaces the results of an earlier call. `store.gates(session_id)` returns them.

        Args:
            gates: the gates.
            champion: the model in production scored on the test rows, for gates relative to it.

        Raises:
            GateFailed: the session failed a gate; the results are stored anyway.
        """
        from mfprefect.quality.gates import judge

        gates = list(gates)
        self._require_running()
        with self._lock:
            gate_rows, pending = self._buffer.gate_rows(), self._buffer.pending()
        results = judge(gates, self._destination.evidence(gate_rows, pending, champion))
        rows = gate_verdicts.result_rows(results)
        with self._lock:
            self._buffer.clear(gate_verdicts.TABLE)  # results of an earlier call
            self._add(gate_verdicts.TABLE, rows, ("gate_no",))
        if failed := [result.reason for result in results if not result.passed]:
            subject = "scoring of model" if self.purpose == Purpose.SCORE else "model"
            raise GateFailed(
                f"{subject} {self.model_id!r} misses {len(failed)} of {len(gates)} gates: "
                + "; ".join(failed),
                failures=failed,
            )
        return results

    def part_documents(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield number and input document of each scored part, one in memory at a time."""
        return self._destination.part_documents()

    def has_results(self) -> bool:
        """Return whether any process has stored a metric or a model of the session."""
        return self._destination.has_results()

    def log_variable_importance(self, frame: pd.DataFrame, kind: str) -> None:
        """Store one importance a variable, replacing those of the same kind and variable.

        Args:
            frame: columns variable and importance, and optionally std and coefficient. Its
                `attrs`, such as scorer, repeats and seed, are stored as metadata of the kind.
            kind: how they were computed: `impurity`, `permutation`, `coefficient`, ..
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
        details = {str(name): value for name, value in frame.attrs.items() if name != "kind"}
        if details:
            self.log_metadata({kind: details}, group="importance")

    def log_backtest(self, frame: pd.DataFrame) -> None:
        """Store predicted and actual values by period of a time series.

        Args:
            frame: columns period, predicted and actual, and series if there are several.
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
