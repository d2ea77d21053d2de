"""The agreed-upon metrics of a binary model: one definition each, with a version and a source.

Every metric is computed from a `Ranking` of distinct scores with exact counts, block by block:
millions of distinct scores need no memory beyond the ranking.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfprefect.quality.metrics.curve import Ranking, collapse
from mfprefect.quality.metrics.definitions import Metric, MetricRegistry

__all__ = [
    "CALIBRATION",
    "METRICS",
    "Metric",
    "binary_metrics",
    "calibration_gap",
    "outcome_metrics",
]

METRICS = MetricRegistry()
"""Definitions by name, in report order."""
BINS = 10
CALIBRATION = {"scheme": "equal_width", "bins": BINS}
"""The bins of `ece`; a session records them next to the metric."""
_BLOCK = 1 << 16


def binary_metrics(
    ranking: Ranking, *, probabilities: bool = True, weighted: Ranking | None = None
) -> dict[str, float]:
    """Compute every metric of a binary model, by name.

    Leave out `brier`, `log_loss` and `ece` unless all scores lie in [0, 1]. For rows of one class,
    compute only these three and the counts.

    Args:
        ranking: from `rank`.
        probabilities: False if scores are none, even if all lie in [0, 1].
        weighted: the same rows with their weights, for the metrics that count weights.
    """
    probabilities = probabilities and ranking.score[-1] >= 0 and ranking.score[0] <= 1
    figures = {}
    for metric in METRICS.values():
        rows = weighted if metric.weighted and weighted is not None else ranking
        both = 0 < rows.n_positive < rows.n
        if (probabilities or not metric.probabilities_only) and (both or metric.one_class):
            figures[metric.name] = metric.compute(rows)
    return {name: float(value) for name, value in figures.items() if value is not None}


def outcome_metrics(actual: ArrayLike, score: ArrayLike) -> dict[str, float]:
    """Compute every binary metric that is defined, also for rows of one class.

    Arguments and errors as in `rank`, except that one class is accepted.
    """
    return binary_metrics(collapse(actual, score))


class _Block(NamedTuple):
    """Some distinct scores, highest first."""

    score: NDArray[np.float64]
    positives: NDArray[np.int64]
    """Positive rows with exactly this score."""
    negatives: NDArray[np.int64]
    population: NDArray[np.int64]
    """Rows with at least this score."""
    tp: NDArray[np.int64]


def _blocks(ranking: Ranking) -> Iterator[_Block]:
    rows = hits = 0
    for start in range(0, len(ranking.score), _BLOCK):
        part = slice(start, start + _BLOCK)
        population, tp = ranking.population[part], ranking.target_population[part]
        positives = np.diff(tp, prepend=hits)
        negatives = np.diff(population, prepend=rows) - positives
        yield _Block(ranking.score[part], positives, negatives, population, tp)
        rows, hits = population[-1], tp[-1]


def _sum(ranking: Ranking, term: Callable[[_Block], NDArray[np.float64]]) -> float:
    return math.fsum(float(np.sum(term(block))) for block in _blocks(ranking))


@METRICS.define("auc", source="Hanley and McNeil (1982), Radiology 143(1)", weighted=True)
def _auc(ranking: Ranking) -> float:
    """P(score of a positive > score of a negative) + ½ P(the two are equal)."""
    return _area(ranking)


def _area(ranking: Ranking) -> float:
    # Without weights, counts of pairs are whole numbers, and so the area is exact.
    twice = sum(np.sum(b.negatives * (2 * b.tp - b.positives)).item() for b in _blocks(ranking))
    return float(twice / (2 * ranking.n_positive * ranking.n_negative))


@METRICS.define(
    "gini", source="Somers' D of the score; Thomas, Edelman and Crook (2002)", weighted=True
)
def _gini(ranking: Ranking) -> float:
    """2 · AUC - 1."""
    return 2 * _area(ranking) - 1


@METRICS.define(
    "ks", source="the two-sample Kolmogorov-Smirnov statistic of the two classes", weighted=True
)
def _ks(ranking: Ranking) -> float:
    """Maximum of |TPR - FPR| over all thresholds."""
    n_positive, n_negative = ranking.n_positive, ranking.n_negative
    gaps = (b.tp * n_negative - (b.population - b.tp) * n_positive for b in _blocks(ranking))
    return float(max(np.abs(gap).max().item() for gap in gaps) / (n_positive * n_negative))


def _top(ranking: Ranking, percent: int) -> tuple[int, float]:
    """Return the ⌈q·n⌉ rows of the top share q and their positives; ties are shared pro rata."""
    rows = -(-percent * ranking.n // 100)
    last = int(np.searchsorted(ranking.population, rows))
    above = (int(ranking.population[last - 1]), int(ranking.target_population[last - 1]))
    population, positives = above if last else (0, 0)
    tied = int(ranking.population[last]) - population
    hits = int(ranking.target_population[last]) - positives
    return rows, positives + (rows - population) * hits / tied


def _define_top(percent: int) -> None:
    def lift(ranking: Ranking) -> float:
        rows, positives = _top(ranking, percent)
        return positives * ranking.n / (rows * ranking.n_positive)

    def capture(ranking: Ranking) -> float:
        return _top(ranking, percent)[1] / ranking.n_positive

    top = f"the top ⌈{percent / 100:g} · n⌉ rows"
    lift.__doc__ = f"Positive rate of {top} / base rate; ties are shared pro rata."
    capture.__doc__ = f"Positives in {top} / all positives; ties are shared pro rata."
    source = "Ling and Li (1998), Data mining for direct marketing, KDD-98"
    METRICS.define(f"lift_{percent}", source)(lift)
    METRICS.define(f"capture_{percent}", source)(capture)


for _percent in (1, 5, 10, 20):
    _define_top(_percent)


@METRICS.define(
    "average_precision", source="sklearn.metrics.average_precision_score", weighted=True
)
def _average_precision(ranking: Ranking) -> float:
    """Σ over distinct scores, highest first, of (recall - previous recall) · precision."""
    return _sum(ranking, lambda b: b.positives * (b.tp / b.population)) / ranking.n_positive


@METRICS.define(
    "brier",
    source="Brier (1950), Monthly Weather Review 78(1)",
    probabilities_only=True,
    one_class=True,
    weighted=True,
)
def _brier(ranking: Ranking) -> float:
    """Mean of (p - y)²."""
    return (
        _sum(ranking, lambda b: b.positives * (1 - b.score) ** 2 + b.negatives * b.score**2)
        / ranking.n
    )


@METRICS.define(
    "log_loss",
    source="sklearn.metrics.log_loss",
    probabilities_only=True,
    one_class=True,
    weighted=True,
)
def _log_loss(ranking: Ranking) -> float:
    """-mean of ln p of the actual class; p clipped to [ε, 1 - ε], ε = 2⁻⁵² (of a double)."""
    tiny = float(np.finfo(np.float64).eps)

    def term(block: _Block) -> NDArray[np.float64]:
        p = np.clip(block.score, tiny, 1 - tiny)
        return np.asarray(block.positives * np.log(p) + block.negatives * np.log(1 - p))

    return -_sum(ranking, term) / ranking.n


@METRICS.define(
    "ece",
    source="Naeini, Cooper and Hauskrecht (2015), AAAI; Guo et al. (2017), ICML",
    probabilities_only=True,
    one_class=True,
    weighted=True,
)
def _ece(ranking: Ranking) -> float:
    """Σ (n_b / n) · |mean y - mean p| over 10 equal-width bins [0, 0.1), .., [0.9, 1]."""
    gaps = [
        calibration_gap(b.score, b.positives, b.positives + b.negatives) for b in _blocks(ranking)
    ]
    return math.fsum(abs(math.fsum(bin_)) for bin_ in zip(*gaps, strict=True)) / ranking.n


def calibration_gap(p: NDArray[np.float64], hits: NDArray[Any], rows: NDArray[Any]) -> list[float]:
    """Return Σ (hits - rows · p) in each of the bins of `CALIBRATION`."""
    bin_no = np.searchsorted(np.arange(1, BINS) / BINS, p, side="right")
    gaps: list[float] = np.bincount(bin_no, weights=hits - rows * p, minlength=BINS).tolist()
    return gaps


@METRICS.define("n", source="count", one_class=True)
def _n(ranking: Ranking) -> float:
    """Number of rows."""
    return ranking.n


@METRICS.define("n_positive", source="count", one_class=True)
def _n_positive(ranking: Ranking) -> float:
    """Number of positive rows."""
    return ranking.n_positive


@METRICS.define("base_rate", source="count", one_class=True, weighted=True)
def _base_rate(ranking: Ranking) -> float:
    """Positive rows / all rows."""
    return ranking.n_positive / ranking.n
