"""The agreed-upon metrics of a binary model: one definition each, with a version and a source.

Every figure is computed from one `Ranking`, that is from distinct scores and exact counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfprefect.quality._arrays import labels, scores
from mfprefect.quality.curve import Ranking, rank

__all__ = ["METRICS", "Metric", "binary_metrics", "definition_version", "outcome_metrics"]

_Compute = Callable[[Ranking], float]


@dataclass(frozen=True)
class Metric:
    """The definition of a metric."""

    name: str
    version: int
    """Raised when the formula changes: figures of two versions are not to be compared."""
    formula: str
    source: str
    compute: _Compute
    probabilities_only: bool = False
    """Whether it means something only when every score lies in [0, 1]."""
    one_class: bool = False
    """Whether it means something when all rows are positive, or all negative."""


METRICS: dict[str, Metric] = {}
"""All definitions by name, in the order in which they are reported."""


def definition_version(name: str) -> int | None:
    """Return the version of a metric's definition, None for a metric that a team made itself."""
    from mfprefect.quality.regression import REGRESSION_METRICS

    metric = METRICS.get(name) or REGRESSION_METRICS.get(name)
    return None if metric is None else metric.version


def binary_metrics(ranking: Ranking) -> dict[str, float]:
    """Compute every metric of a binary model, by name.

    `brier`, `log_loss` and `ece` are left out unless all scores lie in [0, 1]. Of a ranking with
    one class only, those that it has: these three and the counts.

    Args:
        ranking: from `rank`.
    """
    both = 0 < ranking.n_positive < ranking.n
    probabilities = ranking.score[-1] >= 0 and ranking.score[0] <= 1
    return {
        metric.name: float(metric.compute(ranking))
        for metric in METRICS.values()
        if (probabilities or not metric.probabilities_only) and (both or metric.one_class)
    }


def outcome_metrics(actual: ArrayLike, score: ArrayLike) -> dict[str, float]:
    """Compute every binary metric that is defined, also where only one class has occurred.

    Takes and refuses what `rank` does, but for one class only.
    """
    positive, value = labels(actual), scores(score)
    n_positive = int(positive.sum())
    if n_positive not in (0, len(value)) or len(positive) != len(value) or not len(value):
        return binary_metrics(rank(actual, score))
    distinct, rows = np.unique(value, return_counts=True)
    population = np.cumsum(rows[::-1], dtype=np.int64)
    hits = population if n_positive else np.zeros_like(population)
    return binary_metrics(Ranking(distinct[::-1], population, hits, len(value), n_positive))


def _metric(
    name: str,
    *,
    source: str,
    version: int = 1,
    probabilities_only: bool = False,
    one_class: bool = False,
) -> Callable[[_Compute], _Compute]:
    """Register a function as a metric; its docstring is the formula."""

    def register(compute: _Compute) -> _Compute:
        formula = " ".join((compute.__doc__ or "").split())
        METRICS[name] = Metric(
            name, version, formula, source, compute, probabilities_only, one_class
        )
        return compute

    return register


def _groups(ranking: Ranking) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return positives and negatives at each distinct score, highest first."""
    positives = np.diff(ranking.target_population, prepend=0)
    return positives, np.diff(ranking.population, prepend=0) - positives


@_metric("auc", source="Hanley and McNeil (1982), Radiology 143(1)")
def _auc(ranking: Ranking) -> float:
    """P(score of a positive > score of a negative) + ½ P(both are equal)."""
    positives, negatives = _groups(ranking)
    # Counts of pairs stay whole numbers, hence exact.
    twice = int(np.sum(negatives * (2 * ranking.target_population - positives)))
    return twice / (2 * ranking.n_positive * ranking.n_negative)


@_metric("gini", source="Somers' D of the score; Thomas, Edelman and Crook (2002)")
def _gini(ranking: Ranking) -> float:
    """2 · AUC - 1."""
    return 2 * _auc(ranking) - 1


@_metric("ks", source="the two-sample Kolmogorov-Smirnov statistic of positives and negatives")
def _ks(ranking: Ranking) -> float:
    """Max over thresholds of |TPR - FPR|."""
    tp = ranking.target_population
    gap = tp * ranking.n_negative - (ranking.population - tp) * ranking.n_positive
    return int(np.abs(gap).max()) / (ranking.n_positive * ranking.n_negative)


def _top(ranking: Ranking, percent: int) -> tuple[int, float]:
    """Return the ⌈q·n⌉ of the top q and the positives among them, ties shared pro rata."""
    rows = -(-percent * ranking.n // 100)
    population = np.r_[0, ranking.population]
    return rows, float(np.interp(rows, population, np.r_[0, ranking.target_population]))


def _register_top(percent: int) -> None:
    def lift(ranking: Ranking) -> float:
        rows, positives = _top(ranking, percent)
        return positives * ranking.n / (rows * ranking.n_positive)

    def capture(ranking: Ranking) -> float:
        return _top(ranking, percent)[1] / ranking.n_positive

    top = f"the top ⌈{percent / 100:g} · n⌉ rows, ties shared pro rata"
    lift.__doc__ = f"Positive rate among {top}, / base rate."
    capture.__doc__ = f"Positives in {top}, / all positives."
    source = "Ling and Li (1998), Data mining for direct marketing, KDD-98"
    _metric(f"lift_{percent}", source=source)(lift)
    _metric(f"capture_{percent}", source=source)(capture)


for _percent in (1, 5, 10, 20):
    _register_top(_percent)


@_metric("average_precision", source="sklearn.metrics.average_precision_score")
def _average_precision(ranking: Ranking) -> float:
    """Σ over distinct scores, highest first, of (recall - recall before) · precision."""
    positives, _ = _groups(ranking)
    precision = ranking.target_population / ranking.population
    return float(np.sum(positives * precision)) / ranking.n_positive


@_metric(
    "brier",
    source="Brier (1950), Monthly Weather Review 78(1)",
    probabilities_only=True,
    one_class=True,
)
def _brier(ranking: Ranking) -> float:
    """Mean of (p - y)²."""
    positives, negatives = _groups(ranking)
    squares = positives * (1 - ranking.score) ** 2 + negatives * ranking.score**2
    return float(np.sum(squares)) / ranking.n


@_metric("log_loss", source="sklearn.metrics.log_loss", probabilities_only=True, one_class=True)
def _log_loss(ranking: Ranking) -> float:
    """-mean of y·ln p + (1 - y)·ln(1 - p), p clipped to [ε, 1 - ε], ε = 2⁻⁵² (that of a double)."""
    positives, negatives = _groups(ranking)
    tiny = float(np.finfo(np.float64).eps)
    p = np.clip(ranking.score, tiny, 1 - tiny)
    return -float(np.sum(positives * np.log(p) + negatives * np.log(1 - p))) / ranking.n


@_metric(
    "ece",
    source="Naeini, Cooper and Hauskrecht (2015), AAAI; Guo et al. (2017), ICML",
    probabilities_only=True,
    one_class=True,
)
def _ece(ranking: Ranking) -> float:
    """Σ (n_b / n) · |mean y - mean p| over 10 equal-width bins [0, 0.1), .., [0.9, 1]."""
    positives, negatives = _groups(ranking)
    inner = np.arange(1, 10) / 10
    which = np.searchsorted(inner, ranking.score, side="right")
    gap = np.bincount(which, weights=positives - (positives + negatives) * ranking.score)
    return float(np.sum(np.abs(gap))) / ranking.n


@_metric("n", source="count", one_class=True)
def _n(ranking: Ranking) -> float:
    """Rows tested."""
    return ranking.n


@_metric("n_positive", source="count", one_class=True)
def _n_positive(ranking: Ranking) -> float:
    """Positive rows tested."""
    return ranking.n_positive


@_metric("base_rate", source="count", one_class=True)
def _base_rate(ranking: Ranking) -> float:
    """Positive rows / rows."""
    return ranking.n_positive / ranking.n
