"""The agreed-upon metrics of a model without a target: its scores, its anomalies, its clusters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import InvalidValue
from mfprefect.quality._arrays import scores
from mfprefect.quality.metrics.definitions import MetricRegistry
from mfprefect.quality.metrics.regression import mean

__all__ = ["SAMPLE", "UNSUPERVISED_METRICS", "Points", "ScoredRows", "unsupervised_metrics"]

_Numbers = NDArray[np.float64]

UNSUPERVISED_METRICS = MetricRegistry()
"""Definitions by name, in report order."""
SAMPLE = 2_000
"""The most rows to compare with each other: the time grows with their square."""


@dataclass(frozen=True, eq=False)
class Points:
    """A sample of the rows, in the space of the clusters."""

    positions: NDArray[np.intp]
    """Their positions among all rows, ascending, shape (m,)."""
    values: _Numbers
    """Shape (m, d)."""

    def take(self, rows: NDArray[np.bool_]) -> Points:
        """Return the points of the rows in a boolean mask."""
        chosen = rows[self.positions]
        return Points((np.cumsum(rows) - 1)[self.positions[chosen]], self.values[chosen])


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Rows scored by a model without a target."""

    score: _Numbers
    """Shape (n,)."""
    labels: NDArray[Any] | None = None
    """The cluster of each row, as text; None for a model without clusters."""
    anomalous: NDArray[np.bool_] | None = None
    """Which rows the estimator calls anomalous; None if it does not say."""
    points: Points | None = None

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: NDArray[np.bool_]) -> ScoredRows:
        """Return the rows in a boolean mask."""
        return ScoredRows(
            self.score[rows],
            None if self.labels is None else self.labels[rows],
            None if self.anomalous is None else self.anomalous[rows],
            None if self.points is None else self.points.take(rows),
        )

    @classmethod
    def of(cls, predicted: Any) -> ScoredRows:
        """Return scored rows of scores, or of a DataFrame of `score` and `score_class`.

        Raises:
            InvalidValue: no rows, or another shape.
            InvalidScores: a score is NULL, NaN, infinite or not a number.
        """
        if isinstance(predicted, ScoredRows):
            return predicted
        labels = None
        if hasattr(predicted, "columns"):
            labels = np.array([str(x) for x in predicted["score_class"]], dtype=object)
            predicted = predicted["score"]
        rows = cls(scores(predicted), labels)
        if not len(rows):
            raise InvalidValue("no rows to describe; pass at least one score")
        return rows

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Rows by cluster, the largest first."""
        if self.labels is None:
            return {}
        names, counts = np.unique(self.labels.astype(str), return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {str(names[i]): int(counts[i]) for i in order}

    @cached_property
    def clusters(self) -> _Clusters | None:
        """The sampled rows by cluster; None for fewer than 2 clusters, or without any two alike."""
        if self.points is None or self.labels is None:
            return None
        labels = self.labels[self.points.positions].astype(str)
        names, codes = np.unique(labels, return_inverse=True)
        if not 2 <= len(names) < len(labels):
            return None
        return _Clusters(self.points.values, codes.reshape(-1), len(names))


class _Clusters:
    """Points by cluster, their centres and sizes."""

    def __init__(self, values: _Numbers, codes: NDArray[np.intp], k: int) -> None:
        # Distances lose fewer digits near the origin.
        self.values, self.codes, self.k = values - values.mean(axis=0), codes, k
        self.members = np.zeros((len(codes), k))
        self.members[np.arange(len(codes)), codes] = 1.0
        self.sizes = self.members.sum(axis=0)
        self.centres = (self.members.T @ self.values) / self.sizes[:, None]

    def distances(self) -> _Numbers:
        """Return the distance of each point from each other one, shape (m, m)."""
        squares = (self.values**2).sum(axis=1)
        between = squares[:, None] + squares[None, :] - 2 * self.values @ self.values.T
        np.fill_diagonal(between, 0.0)
        distances: _Numbers = np.sqrt(np.maximum(between, 0.0))
        return distances


def unsupervised_metrics(rows: ScoredRows) -> dict[str, float]:
    """Compute every metric that is defined for these rows, by name."""
    with np.errstate(over="ignore", invalid="ignore"):
        figures = {m.name: m.compute(rows) for m in UNSUPERVISED_METRICS.values()}
    return {k: float(v) for k, v in figures.items() if v is not None and math.isfinite(v)}


@UNSUPERVISED_METRICS.define("anomaly_share", source="predict of the estimator")
def _anomaly_share(rows: ScoredRows) -> float | None:
    """Rows that the estimator calls anomalous (predict gives -1) / all rows."""
    return None if rows.anomalous is None else float(rows.anomalous.mean())


@UNSUPERVISED_METRICS.define("silhouette", source="sklearn.metrics.silhouette_score")
def _silhouette(rows: ScoredRows) -> float | None:
    """Mean of (b - a) / max(a, b) over at most 2,000 rows; 0 for a row alone in its cluster.

    a is the mean distance of a row from the others of its cluster, b that from the rows of the
    nearest other cluster.
    """
    if (clusters := rows.clusters) is None:
        return None
    totals = clusters.distances() @ clusters.members
    same = np.arange(len(totals)), clusters.codes
    others = clusters.sizes[clusters.codes] - 1
    inside = totals[same] / np.maximum(others, 1)
    totals /= clusters.sizes
    totals[same] = np.inf
    nearest = totals.min(axis=1)
    widest = np.maximum(inside, nearest)
    values = np.divide(nearest - inside, widest, out=np.zeros(len(widest)), where=widest > 0)
    return mean(np.where(others > 0, values, 0.0))


@UNSUPERVISED_METRICS.define("calinski_harabasz", source="sklearn.metrics.calinski_harabasz_score")
def _calinski_harabasz(rows: ScoredRows) -> float | None:
    """Spread of the k centres / (k - 1), over that within clusters / (m - k); m ≤ 2,000 rows.

    Spread is the sum of squared distances: of the centres from the mean of all rows, weighted by
    their rows, and of the rows from their centre.
    """
    if (clusters := rows.clusters) is None:
        return None
    n, k = len(clusters.codes), clusters.k
    between = float((clusters.sizes * (clusters.centres**2).sum(axis=1)).sum())
    within = float(((clusters.values - clusters.centres[clusters.codes]) ** 2).sum())
    # Equal rows differ from their centre by what a double rounds.
    rounded = 2 * np.finfo(float).eps * float(np.abs(clusters.values).max())
    if within <= clusters.values.size * rounded**2:
        return 1.0
    return between * (n - k) / (within * (k - 1))


@UNSUPERVISED_METRICS.define("davies_bouldin", source="sklearn.metrics.davies_bouldin_score")
def _davies_bouldin(rows: ScoredRows) -> float | None:
    """Mean over clusters of the largest (s_i + s_j) / d_ij, of at most 2,000 rows.

    s is the mean distance of a cluster's rows from its centre, d that of two centres.
    """
    if (clusters := rows.clusters) is None:
        return None
    away = np.linalg.norm(clusters.values - clusters.centres[clusters.codes], axis=1)
    spread = (clusters.members.T @ away) / clusters.sizes
    apart = np.linalg.norm(clusters.centres[:, None] - clusters.centres[None, :], axis=2)
    if np.allclose(spread, 0) or np.allclose(apart, 0):
        return 0.0
    apart[apart == 0] = np.inf
    return mean(((spread[:, None] + spread[None, :]) / apart).max(axis=1))


@UNSUPERVISED_METRICS.define("n_clusters", source="count")
def _n_clusters(rows: ScoredRows) -> float | None:
    """Number of clusters with at least one row."""
    return len(rows.sizes) or None


@UNSUPERVISED_METRICS.define("largest_cluster", source="count")
def _largest_cluster(rows: ScoredRows) -> float | None:
    """Rows of the largest cluster / all rows."""
    return max(rows.sizes.values()) / len(rows) if rows.sizes else None


@UNSUPERVISED_METRICS.define("smallest_cluster", source="count")
def _smallest_cluster(rows: ScoredRows) -> float | None:
    """Rows of the smallest cluster that has any / all rows."""
    return min(rows.sizes.values()) / len(rows) if rows.sizes else None


@UNSUPERVISED_METRICS.define("score_mean", source="the arithmetic mean")
def _score_mean(rows: ScoredRows) -> float | None:
    """Mean of the scores."""
    return mean(rows.score)


def _quantile(share: float) -> Callable[[ScoredRows], float]:
    def compute(rows: ScoredRows) -> float:
        return float(np.quantile(rows.score, share))

    compute.__doc__ = f"{share:g} quantile of the scores, interpolated linearly."
    return compute


@UNSUPERVISED_METRICS.define("score_min", source="the smallest score")
def _score_min(rows: ScoredRows) -> float:
    """Smallest score."""
    return float(rows.score.min())


for _percent in (5, 50, 95, 99):
    UNSUPERVISED_METRICS.define(f"score_p{_percent:02}", source="numpy.quantile")(
        _quantile(_percent / 100)
    )


@UNSUPERVISED_METRICS.define("score_max", source="the largest score")
def _score_max(rows: ScoredRows) -> float:
    """Largest score."""
    return float(rows.score.max())


@UNSUPERVISED_METRICS.define("n", source="count")
def _n(rows: ScoredRows) -> float:
    """Number of rows."""
    return len(rows)
