"""Training a model without a target: what its test rows show of its scores and clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect.lifecycle.estimator import SCORES, source_of_scores
from mfprefect.model import Model
from mfprefect.quality import unsupervised
from mfprefect.quality.metrics.definitions import UNSUPERVISED
from mfprefect.quality.metrics.unsupervised import SAMPLE, Points, ScoredRows
from mfprefect.quality.predictions import predictions

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from mfprefect.session import Session

__all__ = ["log_test_rows", "refuse_supervised", "scored_rows"]

SKIPPED = "skipped: a model without a target has no error that a variable could reduce"
"""The text in place of variable importances."""


def refuse_supervised(model: Model, estimator: Any) -> None:
    """Refuse a classifier or regressor that was fitted without a target.

    Raises:
        ConfigurationError: the class has no target.
    """
    if model.model_type == UNSUPERVISED and unsupervised.is_supervised(estimator):
        name = type(model).__name__
        raise ConfigurationError(
            f"{name}.fit returned a {type(estimator).__name__}, which learns a target, and {name} "
            'has none; set it in the class: target = "..".'
        )


def scored_rows(model: Model, estimator: Any, features: pd.DataFrame) -> ScoredRows:
    """Return a model's scores and clusters of rows, with a sample of the rows to compare.

    Raises:
        InvalidValue: the scores are scikit-learn's labels of anomalies.
    """
    score, labels = unsupervised.split_labels(predictions(model, estimator, features))
    if set(np.unique(score)) == {-1.0, 1.0}:
        raise InvalidValue(
            f"{type(model).__name__}.predict returned 1 and -1 only, scikit-learn's labels, of "
            "which -1 is the anomaly; return scores that are higher the more anomalous a row is, "
            "such as -estimator.decision_function(features)."
        )
    points = None if labels is None else _sample(estimator, features)
    return ScoredRows(score, labels, _anomalous(model, estimator, features, score), points)


def _sample(estimator: Any, features: pd.DataFrame) -> Points | None:
    positions = np.arange(len(features))
    if len(features) > SAMPLE:
        drawn = np.random.default_rng(0).choice(len(features), SAMPLE, replace=False)
        positions = np.sort(drawn)
    values = unsupervised.cluster_points(estimator, features.iloc[positions])
    return None if values is None else Points(positions, values)


def _anomalous(
    model: Model, estimator: Any, features: pd.DataFrame, score: NDArray[np.float64]
) -> NDArray[np.bool_] | None:
    if type(model).predict is Model.predict:
        decided = unsupervised.score_source(estimator) == unsupervised.DECISION
        return score > 0 if decided else None
    try:
        return unsupervised.anomalous_rows(estimator, features)
    except Exception:  # noqa: BLE001 - a predict of the model's own may give it other columns
        return None


def log_test_rows(
    model: Model,
    session: Session,
    estimator: Any,
    features: pd.DataFrame,
    segments: pd.DataFrame | None,
) -> dict[str, float]:
    """Store metrics, score distribution and sizes of clusters of the test rows; return the metrics.

    Variable importances are stored only if the class computes its own.
    """
    rows = scored_rows(model, estimator, features)
    metrics = session.log_test_results(None, rows, model_type=UNSUPERVISED, segments=segments)
    source = source_of_scores(model, estimator, rows.score)
    session.log_metadata({SCORES[1]: source}, group=SCORES[0])
    nothing: Any = None
    frames = model.importance(estimator, features, nothing)
    for kind, frame in frames.items():
        session.log_variable_importance(frame, kind)
    if not frames:
        session.log_metadata({"all": SKIPPED}, group="importance")
    return metrics
