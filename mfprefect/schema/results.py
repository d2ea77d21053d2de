"""Tables of what sessions read and what they found: inputs, checks, figures, gates and drift."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Integer

from mfprefect.schema.base import TablesBase, column, identifier, number, session_number
from mfprefect.schema.types import (
    DIGEST_LENGTH,
    GATE_LENGTH,
    SESSION_ID_LENGTH,
    Double,
    Instant,
    LongText,
)

__all__ = ["ResultTables"]


def _count(name: str, comment: str) -> Column[int]:
    return column(name, sa.BigInteger, comment, nullable=False)


class ResultTables(TablesBase):
    """Tables of inputs and results."""

    def _inputs(self) -> None:
        self.inputs = self._table(
            "inputs",
            "What sessions read, one row for each read.",
            session_number(),
            number("input_no", "Number of the read, from 1."),
            identifier("source", "Source, path or function that was read.", 255, nullable=False),
            column("query_text", LongText, "SQL of the read.", key="query"),
            column("row_count", sa.BigInteger, "Rows that were read.", key="rows"),
            column("column_types", LongText, "Types by column, as JSON.", key="columns"),
            identifier(
                "digest",
                "SHA-256 of the rows, with the number of the rule that computed it.",
                DIGEST_LENGTH,
            ),
            column("seconds", Double, "Time of the read, in seconds.", nullable=False),
        )

    def _input_summary(self) -> None:
        self.input_summary = self._table(
            "input_summary",
            "Distributions of the columns that sessions read.",
            session_number(),
            identifier("variable", "Column of the input.", 255, primary_key=True),
            identifier("dtype", "Type of the column.", 64, nullable=False),
            *(
                column(f"{key}_value", Double, f"{word} of a column of numbers.", key=key)
                for key, word in (
                    ("mean", "Mean"),
                    ("sd", "Standard deviation"),
                    ("median", "Median"),
                    ("min", "Minimum"),
                    ("max", "Maximum"),
                )
            ),
            _count("n", "Rows with a value."),
            _count("n_na", "Rows without one."),
            _count("n_distinct", "Different values."),
            column("quantiles", LongText, "Quantiles and edges of bins, as JSON."),
            column("bin_counts", LongText, "Rows by bin or by level, as JSON."),
        )
        self.check_results = self._table(
            "check_results",
            "Checks of the input: one row for each check and column.",
            session_number(),
            number("check_no", "Number of the check, from 1."),
            identifier("check_name", "The check.", 255, nullable=False, key="check"),
            identifier("column_name", "Column, or NULL for the whole input.", 255, key="column"),
            identifier("severity", "error or warning.", 16, nullable=False),
            column("passed", Boolean, "Whether the check passed.", nullable=False),
            _count("failing_rows", "Rows that failed."),
            column("failing_sample", LongText, "Some of these rows, as JSON.", key="sample"),
            column("message", LongText, "What was found, in words.", nullable=False),
        )

    def _figures(self) -> None:
        self.metrics = self._table(
            "metrics",
            "Metrics of sessions, for the whole data and by segment.",
            session_number(),
            identifier("metric_name", "Name of the metric, such as auc.", primary_key=True),
            # A key column cannot be NULL.
            identifier("segment", "Segment of the data, empty for all of it.", primary_key=True),
            column("metric_value", Double, "Value of the metric.", nullable=False, key="value"),
            column(
                "definition_version",
                Integer,
                "Version of the formula, or NULL for a metric that the team defined.",
            ),
            *self._range_index("metrics", "value", "metric_name", "segment", "value"),
        )
        self.metric_steps = self._table(
            "metric_steps",
            "Metrics over the steps of a run, such as epochs: the last value is in metrics.",
            session_number(),
            identifier("metric_name", "Name of the metric, such as loss.", primary_key=True),
            identifier("segment", "Segment of the data, empty for all of it.", primary_key=True),
            column(
                "step_no",
                sa.BigInteger,
                "The step, such as the number of the epoch.",
                primary_key=True,
                autoincrement=False,
                key="step",
            ),
            column("step_value", Double, "Value of the metric.", nullable=False, key="value"),
            column("logged_at", Instant, "When it was logged (UTC).", nullable=False),
        )
        self.variable_importance = self._table(
            "variable_importance",
            "Importance of each variable of a trained model.",
            session_number(),
            identifier("kind", "How it was computed, such as permutation.", 64, primary_key=True),
            identifier("variable", "Variable of the model.", 255, primary_key=True),
            column("importance", Double, "Importance, in the unit of its kind."),
            column("std", Double, "Standard deviation of the importance."),
            column("coefficient", Double, "Coefficient of a linear model."),
        )
        self.test_curve = self._table(
            "test_curve",
            "Counts of the test rows at each threshold, from the highest score down.",
            session_number(),
            number("point_no", "Number of the point, from 0."),
            column(
                "score",
                Double,
                "Threshold: rows with this score or more are called.",
                nullable=False,
            ),
            _count("population", "Rows that are called."),
            _count("target_population", "Positive rows among those that are called."),
            _count("tp", "True positives, in rows."),
            _count("fp", "False positives, in rows."),
            _count("tn", "True negatives, in rows."),
            _count("fn", "False negatives, in rows."),
        )
        self.backtests = self._table(
            "backtests",
            "Predicted and actual values of time series.",
            session_number(),
            identifier("series", "Series.", primary_key=True),
            identifier(
                "period_name", "Period, such as 2026-01.", 64, primary_key=True, key="period"
            ),
            column("predicted", Double, "Predicted value, in the unit of the series."),
            column("actual", Double, "Actual value, in the unit of the series."),
        )

    def _judgements(self) -> None:
        # Sessions sealed before there was this table have a JSON list in `session_metadata`.
        self.gate_results = self._table(
            "gate_results",
            "Verdicts of the gates that decide about promotion and publication.",
            session_number(),
            number("gate_no", "Number of the gate, from 1."),
            identifier("gate", "The gate, in words.", GATE_LENGTH, nullable=False),
            *self._verdict(),
        )
        self.drift = self._table(
            "drift",
            "Drift of inputs, scores and performance against an earlier session.",
            session_number(),
            identifier("variable", "Variable, score or metric.", 255, primary_key=True),
            identifier("measure", "Measure of drift, such as psi.", 64, primary_key=True),
            column("drift_value", Double, "Drift, in the unit of the measure.", key="value"),
            column("drift_threshold", Double, "Value above which it is an alarm.", key="threshold"),
            identifier("verdict", "ok, warning, alarm or unknown.", 16, nullable=False),
            column("reference_session_no", Integer, "Number of the session compared with."),
        )

    def _verdict(self) -> Iterator[Column[Any]]:
        yield identifier("kind", "Kind of the gate.", 64, nullable=False)
        yield identifier("verdict", "Verdict, such as passed or failed.", 16, nullable=False)
        yield column("reason", LongText, "Why, in words.", nullable=False)
        yield column("figure", Double, "Figure that was judged, in the unit of its metric.")
        yield column("at_least", Double, "Lowest figure that passes.")
        yield column("at_most", Double, "Highest figure that passes.")
        yield column("margin", Double, "How much worse than production still passes.")
        yield identifier(
            "production_session_id", "Session in production, compared with.", SESSION_ID_LENGTH
        )
        yield column("production_figure", Double, "Figure of the session in production.")
        yield column("difference", Double, "Figure minus that of the session in production.")
        yield column("interval_low", Double, "Lower end of the difference's interval.", key="low")
        yield column("interval_high", Double, "Upper end of it.", key="high")
        yield identifier("interval_method", "How the interval was computed.", 255, key="method")
