"""Assertions that a model should pass before it goes to production.

Each takes a `TrainedModel`, as the fixture `mf_model` returns it, and raises AssertionError naming
the rows or columns at fault.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import DatabaseError
from mfprefect.inputs.reader import Reader
from mfprefect.lifecycle.estimator import source_of_scores
from mfprefect.lifecycle.fitting import fitted, target_of, weights_of
from mfprefect.lifecycle.split import split_rows
from mfprefect.lifecycle.unsupervised import scored_rows
from mfprefect.quality.learning import feature_names, key_columns
from mfprefect.quality.metrics.definitions import UNSUPERVISED
from mfprefect.quality.predictions import DECISION, predictions, with_classes_of
from mfprefect.quality.unsupervised import split_labels
from mfprefect.testing import sample

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.model import Model
    from mfprefect.store import Store

__all__ = [
    "TrainedModel",
    "assert_checks_accept",
    "assert_checks_refuse",
    "assert_flows_run",
    "assert_missing_column_fails",
    "assert_reproducible",
    "assert_round_trip",
    "assert_rows_independent",
    "first_difference",
]

MAX_ROWS = 1_000
BATCH = 7
SINGLE_ROWS = 10
RELATIVE, ABSOLUTE = 1e-9, 1e-12
"""Tolerances: sums over rows in another order differ by rounding."""


class TrainedModel:
    """A model trained like in the train flow, but without a session."""

    def __init__(self, kind: type[Model], as_of: dt.date | None = None) -> None:
        kind._require()
        self.kind = kind
        self.as_of = as_of or dt.datetime.now(dt.UTC).date()
        self.model = kind(Reader())

    @cached_property
    def read_data(self) -> pd.DataFrame:
        """The training data as they are read; do not change them."""
        from mfprefect.lifecycle.tasks import require_columns, require_ids, required_columns

        load = self.model.reader.load
        try:
            frame = load(lambda: self.model.training_data(self.as_of), "training_data")
        except DatabaseError as exc:
            if sample.VARIABLE in os.environ:
                exc.add_note(sample.HINT)
            raise
        require_columns(frame, required_columns(self.kind), "training_data")
        require_ids(frame, self.kind.entity_id, "training_data")
        return frame

    @cached_property
    def data(self) -> pd.DataFrame:
        """The training data as the schemas among the checks make them; do not change them."""
        return self._checked(self.read_data)[1]

    @cached_property
    def features(self) -> list[str]:
        """The columns that the model is fitted on."""
        return feature_names(self.kind, self.data.columns)

    @cached_property
    def _parts(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return split_rows(self.kind, self.data)

    @cached_property
    def estimator(self) -> Any:
        """The estimator that the model's `fit` returned; the model has the extras."""
        learn, _ = self._parts
        return fitted(self.model, learn.copy(), self.features).estimator

    @property
    def rows(self) -> pd.DataFrame:
        """A copy of the features of the held-out rows, at most 1,000."""
        return self._parts[1][self.features].head(MAX_ROWS).copy()

    def score(self, features: pd.DataFrame, estimator: Any = None) -> NDArray[np.float64]:
        """Return one score per row; for a multiclass model, one row of scores per row."""
        fitted = self.estimator if estimator is None else estimator
        predicted = predictions(self.model, fitted, features)
        if self.kind.model_type == UNSUPERVISED:
            predicted = split_labels(predicted)[0]
        return np.asarray(predicted, dtype=np.float64)

    def metrics(self) -> dict[str, float]:
        """Return the standard metrics of the model's type on the held-out rows."""
        from mfprefect.quality.metrics.evaluation import evaluate

        test, model_type = self._parts[1], self.kind.model_type
        actual = target_of(self.kind, test)
        if actual is None:
            rows = scored_rows(self.model, self.estimator, test[self.features].copy())
            return evaluate(None, rows, model_type).metrics[""]
        prediction = predictions(self.model, self.estimator, test[self.features].copy())
        predicted = with_classes_of(prediction, actual, self.kind.classes)
        source = source_of_scores(self.model, self.estimator, predicted)
        evaluation = evaluate(
            actual,
            predicted,
            model_type,
            probabilities=source != DECISION,
            weight=weights_of(self.model, test),
        )
        return evaluation.metrics[""]

    def failed_checks(self, frame: pd.DataFrame) -> list[dict[str, Any]]:
        """Return the results of the failed error-level checks, without any earlier session."""
        from mfprefect.quality.checks.result import failures

        return failures(self._checked(frame)[0])

    def _checked(self, frame: pd.DataFrame) -> tuple[list[dict[str, Any]], pd.DataFrame]:
        from mfprefect.quality.checks import checked
        from mfprefect.quality.checks.context import CheckContext
        from mfprefect.quality.checks.phases import TRAIN, checks_for

        keys = frozenset(key_columns(self.kind, frame.columns))
        context = CheckContext(as_of=self.as_of, keys=keys)
        # Skip checks that need the registry of columns, which is empty in tests.
        checks = [
            check
            for check in checks_for(self.kind.checks, TRAIN)
            if "registry" not in getattr(check, "needs", ())
        ]
        return checked(frame, checks, context=context, masked=self.kind.masked, keys=keys)


def assert_checks_accept(model: TrainedModel, frame: pd.DataFrame | None = None) -> None:
    """Assert that no error-level check fails on the training data, or on a frame."""
    __tracebackhide__ = True
    if failed := model.failed_checks(model.read_data if frame is None else frame):
        raise AssertionError(f"{len(failed)} checks refuse the data: {_messages(failed)}")


def assert_checks_refuse(model: TrainedModel, broken: Mapping[str, Any]) -> None:
    """Assert that the checks refuse the training data with one wrong cell, for each column.

    Args:
        model: the model.
        broken: a wrong value by column, such as `{"age": -1}`; one row gets it.
    """
    __tracebackhide__ = True
    if not broken:
        raise AssertionError('give wrong values by column: broken = {"age": -1}')
    failing_before = _keys(model.failed_checks(model.read_data))
    for column, value in broken.items():
        if column not in model.read_data.columns:
            raise AssertionError(f"the training data has no column {column!r} to break")
        frame = model.read_data.copy()
        cells = frame[column].astype(object).to_list()
        cells[len(cells) // 2] = value
        # With the dtype that a source would return.
        frame[column] = frame[column].__class__(cells, index=frame.index).infer_objects()
        if not _keys(model.failed_checks(frame)) - failing_before:
            raise AssertionError(f"no check refuses {column} = {value!r}")


def assert_reproducible(model: TrainedModel) -> None:
    """Assert that a second training gives the same metrics and scores."""
    __tracebackhide__ = True
    second = type(model)(model.kind, model.as_of)
    before, after = model.metrics(), second.metrics()
    changed = {
        name: (before[name], after.get(name))
        for name in before
        if not np.isclose(before[name], after.get(name, np.nan), rtol=RELATIVE, atol=ABSOLUTE)
    }
    if changed or before.keys() != after.keys():
        name, (old, new) = next(iter(changed.items()), ("the set of metrics", (None, None)))
        raise AssertionError(
            f"two trainings differ: {name} is {old}, then {new}. Set the seed of everything "
            "random: random_state=0."
        )
    if difference := first_difference(model.score(model.rows), second.score(model.rows)):
        raise AssertionError(f"two trainings score differently: {difference}. Set the seeds.")


def assert_rows_independent(model: TrainedModel) -> None:
    """Assert that a score depends only on its own row, not on the order or on other rows."""
    __tracebackhide__ = True
    rows = model.rows
    scores = model.score(rows)
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = np.empty_like(scores)
    shuffled[order] = model.score(rows.iloc[order])
    if difference := first_difference(scores, shuffled):
        raise AssertionError(f"scores depend on the order of rows: {difference}")
    for size, limit in ((BATCH, len(rows)), (1, SINGLE_ROWS)):
        starts = range(0, min(limit, len(rows)), size)
        batched = np.concatenate([model.score(rows.iloc[i : i + size]) for i in starts])
        if difference := first_difference(scores[: len(batched)], batched):
            raise AssertionError(f"scores depend on how many rows are scored at once: {difference}")


def assert_missing_column_fails(model: TrainedModel) -> None:
    """Assert that a check or the model raises an error if a feature is missing."""
    __tracebackhide__ = True
    rows = model.rows
    model.score(rows)
    for column in model.features:
        if model.failed_checks(_without(model.read_data, column)):
            continue
        try:
            model.score(rows.drop(columns=column))
        except AssertionError:
            raise
        except Exception:  # noqa: BLE001, S112 - any error will do
            continue
        raise AssertionError(f"without the column {column!r} the model still scores")


def assert_round_trip(model: TrainedModel, store: Store) -> None:
    """Assert that the model gives the same scores after storing and loading."""
    __tracebackhide__ = True
    store.add_model(model.kind.model_id, model.kind.description)
    with store.session(model.kind.model_id, purpose="adhoc") as session:
        session.save_model(model.model.storable(model.estimator), format=model.kind.format)
        session.save_extras(model.model.extras)
    # A pickle that this function has just written; the flows need a signature.
    trusted = model.kind.format == "pickle"
    loaded = store.load_model(session.session_id, trusted=trusted, model=model.model)
    before, model.model.extras = model.score(model.rows), store.load_extras(session.session_id)
    if difference := first_difference(before, model.score(model.rows, loaded)):
        raise AssertionError(f"the stored model scores differently: {difference}")


def assert_flows_run(model: TrainedModel, store: Store) -> tuple[str, str, str]:
    """Assert that train, score and monitor succeed and score each row once; return their ids."""
    __tracebackhide__ = True
    train, score, monitor = model.kind.flows()
    ids = train(as_of=model.as_of), score(as_of=model.as_of), monitor(as_of=model.as_of)
    sessions = store.show(*ids).set_index("session_id")
    if failed := [i for i in ids if sessions.loc[i, "status"] != "succeeded"]:
        raise AssertionError(f"sessions that did not succeed: {', '.join(failed)}")
    parts = [model.model.scoring_data(model.as_of, p) for p in range(1, model.kind.parts + 1)]
    rows = sum(len(model.model.read(part)) for part in parts)
    scores = int(store.score_parts(ids[1])["rows"].sum())
    if not rows or scores != rows:
        raise AssertionError(f"{scores} scores were written for {rows} rows")
    return ids


def first_difference(
    before: NDArray[np.float64], after: NDArray[np.float64], tolerance: float = ABSOLUTE
) -> str:
    """Describe where scores differ most; return an empty text if they are equal."""
    same = np.isclose(before, after, rtol=RELATIVE, atol=tolerance, equal_nan=True)
    if same.all():
        return ""
    change = np.where(same, -1.0, np.nan_to_num(np.abs(before - after), nan=np.inf))
    worst = np.unravel_index(int(np.argmax(change)), change.shape)
    rows = int((~same).reshape(len(same), -1).any(axis=1).sum())
    return (
        f"{rows} of {len(same)} rows, most in row {worst[0]}: "
        f"{before[worst]:.10g}, then {after[worst]:.10g}"
    )


def _without(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    # A schema may have added the column.
    return frame.drop(columns=column, errors="ignore")


def _keys(failed: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    return {(row["check"], row["column"], row["failing_rows"]) for row in failed}


def _messages(failed: list[dict[str, Any]]) -> str:
    return "; ".join(
        f"{row['column'] or 'all'} ({row['check']}): {row['message']}" for row in failed[:5]
    )
