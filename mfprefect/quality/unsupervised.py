"""Estimators without a target: their anomaly scores, their clusters, and what these lie in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import InvalidValue

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ANOMALIES",
    "CLUSTERS",
    "LABEL",
    "SCORE",
    "anomalous_rows",
    "cluster_points",
    "default_scores",
    "estimator_kind",
    "is_supervised",
    "score_source",
    "split_labels",
]

SCORE, LABEL = "score", "score_class"
"""The columns of predictions with a label for each row, such as its cluster."""
ANOMALIES, CLUSTERS = "anomalies", "clusters"
DECISION = "decision_function, sign reversed: above 0 is anomalous"
DENSITY = "score_samples, sign reversed: the negative log-likelihood"
PROBABILITY = "predict_proba: the probability of the row's cluster"
DISTANCE = "transform: the distance from the centre of the row's cluster"
TO_CENTRES = "cluster_centers_: the distance from the centre of the row's cluster"
_SUPERVISED = ("classifier", "regressor")


def estimator_kind(estimator: Any) -> str | None:
    """Return what an estimator of scikit-learn gives: ANOMALIES, CLUSTERS or None (unknown)."""
    kind = _estimator_type(estimator)
    # A mixture of densities has clusters, KernelDensity has none.
    density = kind in ("density_estimator", "DensityEstimator") or _is_kernel_density(estimator)
    if kind == "clusterer" or (density and hasattr(estimator, "predict")):
        return CLUSTERS
    return ANOMALIES if density or kind == "outlier_detector" else None


def _is_kernel_density(estimator: Any) -> bool:
    last = type(_last_step(estimator))  # scikit-learn says nothing about what it is
    return last.__name__ == "KernelDensity" and last.__module__.startswith("sklearn.")


def is_supervised(estimator: Any) -> bool:
    """Say whether scikit-learn calls an estimator a classifier or a regressor."""
    return _estimator_type(estimator) in _SUPERVISED


def _estimator_type(estimator: Any) -> str:
    if isinstance(estimator, type):
        return ""
    tags = getattr(estimator, "__sklearn_tags__", None)  # scikit-learn 1.6 and later
    kind = getattr(estimator, "_estimator_type", "") if tags is None else tags().estimator_type
    return str(kind or "")


def score_source(estimator: Any) -> str:
    """Return which method gives the scores of an estimator, and what they are.

    Raises:
        InvalidValue: it gives neither anomaly scores nor the cluster of a new row.
    """
    kind = estimator_kind(estimator)
    if kind == CLUSTERS and hasattr(estimator, "predict"):
        if hasattr(estimator, "predict_proba"):
            return PROBABILITY
        if hasattr(estimator, "transform"):
            return DISTANCE
        if hasattr(_last_step(estimator), "cluster_centers_"):
            return TO_CENTRES
    if kind == ANOMALIES and hasattr(estimator, "decision_function"):
        return DECISION
    if kind == ANOMALIES and hasattr(estimator, "score_samples"):
        return DENSITY
    raise _no_scores(estimator, kind)


def _no_scores(estimator: Any, kind: str | None) -> InvalidValue:
    name = type(_last_step(estimator)).__name__
    if kind == CLUSTERS:
        return InvalidValue(
            f"{name} cannot tell the cluster of a row that it was not fitted on; use KMeans, "
            "GaussianMixture or another estimator with predict, or fit a classifier on labels_."
        )
    if name == "LocalOutlierFactor":
        return InvalidValue(
            "this LocalOutlierFactor scores no row that it was not fitted on; set novelty=True."
        )
    return InvalidValue(
        f"it is unknown how a {name} scores a row; override predict in the model's class, and "
        "return one number per row that is higher the more anomalous the row is, or a DataFrame "
        f"with the columns {SCORE!r} and {LABEL!r}."
    )


def default_scores(estimator: Any, features: pd.DataFrame) -> Any:
    """Return anomaly scores, shape (n,), higher for more anomalous rows; or clusters.

    Clusters are a DataFrame with the columns `score`, a probability of the row's cluster or its
    distance from the centre, and `score_class`, the cluster's label as text.

    Raises:
        InvalidValue: the estimator gives neither.
    """
    source = score_source(estimator)
    if source == DECISION:
        return -np.asarray(estimator.decision_function(features), np.float64)
    if source == DENSITY:
        return -np.asarray(estimator.score_samples(features), np.float64)
    import pandas as pd

    labels = np.asarray(estimator.predict(features))
    if source == PROBABILITY:
        score = np.asarray(estimator.predict_proba(features)).max(axis=1)
    elif source == DISTANCE:
        score = _own_distance(estimator, np.asarray(estimator.transform(features)), labels)
    else:
        centres = np.asarray(_last_step(estimator).cluster_centers_)
        score = np.linalg.norm(_transformed(estimator, features) - centres[labels], axis=1)
    return pd.DataFrame({SCORE: score, LABEL: labels.astype(str)}, index=features.index)


def _own_distance(
    estimator: Any, distances: NDArray[Any], labels: NDArray[Any]
) -> NDArray[np.float64]:
    centres = getattr(_last_step(estimator), "cluster_centers_", None)
    if centres is None or len(centres) != distances.shape[1]:
        return np.asarray(distances.min(axis=1), np.float64)  # Birch: centres of parts of clusters
    return np.asarray(distances[np.arange(len(labels)), labels], np.float64)


def split_labels(predicted: Any) -> tuple[NDArray[np.float64], NDArray[Any] | None]:
    """Return scores and labels of checked predictions; labels are None where there are none."""
    if not hasattr(predicted, "columns"):
        return np.asarray(predicted, np.float64), None
    return predicted[SCORE].to_numpy(np.float64), predicted[LABEL].to_numpy(object)


def anomalous_rows(estimator: Any, features: pd.DataFrame) -> NDArray[np.bool_] | None:
    """Return which rows an estimator itself calls anomalous, None if it does not say."""
    if estimator_kind(estimator) != ANOMALIES or not hasattr(estimator, "predict"):
        return None
    labels: NDArray[Any] = np.asarray(estimator.predict(_own_columns(estimator, features)))
    return np.asarray(labels == -1)


def cluster_points(estimator: Any, features: pd.DataFrame) -> NDArray[np.float64] | None:
    """Return rows in the space of the clusters: behind the earlier steps of a pipeline.

    Returns:
        Doubles of shape (n, d); None if the rows are not finite numbers there.
    """
    try:
        points = _transformed(estimator, _own_columns(estimator, features))
    except (TypeError, ValueError):
        return None
    return points if points.ndim == 2 and np.isfinite(points).all() else None


def _own_columns(estimator: Any, features: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that an estimator was fitted on, where it was fitted on named ones."""
    # A `predict` of the model's own may pass it only these.
    names = list(getattr(estimator, "feature_names_in_", ()))
    return features[names] if names and set(names) <= set(features.columns) else features


def _transformed(estimator: Any, features: pd.DataFrame) -> NDArray[np.float64]:
    fitted = getattr(estimator, "best_estimator_", estimator)
    rows: Any = features
    if len(getattr(fitted, "steps", ())) > 1:
        rows = fitted[:-1].transform(features)
    return np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows, np.float64)


def _last_step(estimator: Any) -> Any:
    fitted = getattr(estimator, "best_estimator_", estimator)
    steps = getattr(fitted, "steps", ())
    return steps[-1][1] if steps else fitted
