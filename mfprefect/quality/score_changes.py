"""How the scores of two models on the same rows differ, and which decisions flip.

Figures come from arrays here, or from a database that computes the same ones; the frames are the
same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfprefect.errors import InvalidValue
from mfprefect.quality._arrays import _is_null
from mfprefect.quality.drift import THRESHOLD, drift_row, psi_edges, psi_of_counts, psi_ranks
from mfprefect.quality.drift.sampling import sampling_threshold

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ACTED",
    "BINS",
    "LEVELS",
    "NOT_ACTED",
    "Cut",
    "OperatingThreshold",
    "ScoreChanges",
    "SegmentChanges",
    "Side",
    "bins_of",
    "largest",
    "order_places",
    "score_changes",
    "segment_level",
    "segment_name",
]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS = 10
"""The bins of PSI."""
LEVELS = 50
"""The most levels of a segment column; the largest ones are compared."""
ACTED, NOT_ACTED = "acted on", "not acted on"
"""Decisions at an operating threshold."""
Decisions = Mapping[tuple[str, str], int]
"""Rows by decision of production's model and of the candidate."""


@dataclass(frozen=True)
class OperatingThreshold:
    """The score, or the share of the population, from which on a model's users act."""

    value: float
    kind: str
    """`probability` or `population`."""

    def __str__(self) -> str:
        return f"{self.kind} {self.value:g}"


class Cut(NamedTuple):
    """The scores that are acted on: those above a value, and the value itself if it is included."""

    value: float
    inclusive: bool

    @classmethod
    def of(cls, threshold: OperatingThreshold, n: int, value: Mapping[int, float]) -> Cut:
        """Return the cut of a threshold among n scores.

        A share of the population is the top ⌈share·n⌉ scores without a tie that the cut would
        split, as in the confusion matrix.

        Args:
            threshold: the operating threshold.
            n: how many scores there are, at least one.
            value: the scores at `order_places`, in ascending order from 0 on.
        """
        if threshold.kind == "probability":
            return cls(threshold.value, True)
        place = n - _top(threshold, n)
        if place >= n:
            return cls(value[n - 1], False)
        return cls(value[place], place <= 0 or value[place - 1] < value[place])


def _top(threshold: OperatingThreshold, n: int) -> int:
    return math.ceil(Decimal(repr(threshold.value)) * n)


def order_places(n: int, threshold: OperatingThreshold | None) -> list[int]:
    """Return the places among n ascending scores that quantiles, PSI and cuts need, from 0 on."""
    low, high, _ = psi_ranks(n, BINS)
    places = {0, n - 1, *map(_quantile_place, QUANTILES, [n] * len(QUANTILES))}
    places |= {*low.tolist(), *high.tolist()}
    if threshold is not None and threshold.kind == "population":
        at = n - _top(threshold, n)
        places |= {at - 1, at}
    return sorted(place for place in places if 0 <= place < n)


def _quantile_place(probability: float, n: int) -> int:
    # As numpy.quantile(.., method="inverted_cdf").
    return min(max(math.ceil(n * probability - 1), 0), n - 1)


def bins_of(n: int, value: Mapping[int, float]) -> list[float]:
    """Return the inner edges of PSI: distinct quantiles of production's n scores, ascending."""
    low, high, share = psi_ranks(n, BINS)
    at = [np.array([value[place] for place in places.tolist()]) for places in (low, high)]
    return [float(edge) for edge in psi_edges(at[0], at[1], share)]


class Side(NamedTuple):
    """The scores of one model."""

    mean: float
    value: Mapping[int, float]
    """The scores at `order_places`."""


class SegmentChanges(NamedTuple):
    """The rows of one segment."""

    segment: str
    """Column and level, such as `region=north`."""
    rows: int
    means: tuple[float, float]
    """Of the scores of production's model and of the candidate."""
    decisions: Decisions


@dataclass(frozen=True, eq=False)
class ScoreChanges:
    """What changes if the candidate scores instead of the model in production."""

    rows: int
    sides: tuple[Side, Side]
    """The scores of production's model, and of the candidate."""
    expected: Sequence[int]
    """Rows in each bin of PSI by the scores of production's model."""
    actual: Sequence[int]
    """The same by the scores of the candidate."""
    spearman: float | None
    """The rank correlation with mean ranks of ties; None if all scores of a model are equal."""
    mean_abs_difference: float
    max_abs_difference: float
    decisions: Decisions
    """Empty without an operating threshold and without classes."""
    segments: Sequence[SegmentChanges] = ()
    psi_threshold: float = THRESHOLD
    """The PSI above which the verdict is an alarm."""

    @property
    def psi(self) -> float:
        """The population stability index: see `mfprefect.quality.drift.psi`."""
        return psi_of_counts(self.expected, self.actual)

    @property
    def flipped(self) -> int:
        """How many rows get another decision."""
        return flipped_of(self.decisions)

    def movement(self) -> pd.DataFrame:
        """Return how scores move: measure, production, candidate, value, verdict.

        `mean`, `min`, `q01` to `q99` and `max` have both sides, and as value the candidate's less
        production's. `psi`, `spearman`, `mean_abs_difference` and `max_abs_difference` have a value
        alone. `verdict`, of `psi` only: as in `drift`, at `psi_threshold`.
        """
        import pandas as pd

        rows: list[tuple[Any, ...]] = [
            ("psi", None, None, self.psi, self._psi_verdict()),
            ("spearman", None, None, self.spearman, None),
            ("mean_abs_difference", None, None, self.mean_abs_difference, None),
            ("max_abs_difference", None, None, self.max_abs_difference, None),
        ]
        for measure, a, b in self._both_sides():
            rows.append((measure, a, b, b - a, None))
        columns = ["measure", "production", "candidate", "value", "verdict"]
        frame = pd.DataFrame(rows, columns=columns)
        return frame.astype(dict.fromkeys(columns[1:4], "float64"))

    def _psi_verdict(self) -> str:
        # The bound for independent samples; those of the same rows differ by less.
        noise = sampling_threshold(np.asarray(self.expected), np.asarray(self.actual))
        return str(drift_row("score", "psi", self.psi, self.psi_threshold, noise)["verdict"])

    def _both_sides(self) -> Iterator[tuple[str, float, float]]:
        (a, b), last = self.sides, self.rows - 1
        yield "mean", a.mean, b.mean
        yield "min", a.value[0], b.value[0]
        for probability in QUANTILES:
            place = _quantile_place(probability, self.rows)
            yield f"q{round(probability * 100):02}", a.value[place], b.value[place]
        yield "max", a.value[last], b.value[last]

    def flips(self) -> pd.DataFrame:
        """Return decisions: production, candidate (the decision of each), rows, share, flipped."""
        import pandas as pd

        rows = [
            (a, b, count, count / self.rows, a != b)
            for (a, b), count in sorted(self.decisions.items(), key=lambda x: (-x[1], x[0]))
        ]
        return pd.DataFrame(rows, columns=["production", "candidate", "rows", "share", "flipped"])

    def segment_frame(self) -> pd.DataFrame:
        """Return each segment, most flips first.

        Columns: segment, rows; flipped, how many of them get another decision, and flipped_share;
        production_acted, candidate_acted, how many each model acts on; production_mean,
        candidate_mean, of the scores. What there is not is missing.
        """
        import pandas as pd

        rows = []
        for part in self.segments:
            flipped = flipped_of(part.decisions) if part.decisions else None
            share = None if flipped is None else flipped / part.rows
            rows.append((part.segment, part.rows, flipped, share, *_acted(part), *part.means))
        rows.sort(key=lambda row: (-(row[3] or 0.0), row[0]))
        counts = ["flipped", "flipped_share", "production_acted", "candidate_acted"]
        means = ["production_mean", "candidate_mean"]
        frame = pd.DataFrame(rows, columns=["segment", "rows", *counts, *means])
        return frame.astype(dict.fromkeys([*counts, *means], "float64"))


def flipped_of(decisions: Decisions) -> int:
    """Return how many rows get another decision."""
    return sum(count for (a, b), count in decisions.items() if a != b)


def _acted(part: SegmentChanges) -> tuple[int | None, int | None]:
    words = {word for pair in part.decisions for word in pair}
    if not words or not words <= {ACTED, NOT_ACTED}:
        return None, None
    a, b = (
        sum(count for pair, count in part.decisions.items() if pair[side] == ACTED)
        for side in (0, 1)
    )
    return a, b


def score_changes(
    production: ArrayLike,
    candidate: ArrayLike,
    *,
    threshold: OperatingThreshold | None = None,
    classes: tuple[Sequence[Any], Sequence[Any]] | None = None,
    segments: Mapping[str, Sequence[Any]] | None = None,
) -> ScoreChanges:
    """Compare two models' scores of the same rows.

    Args:
        production: scores of the model in production, shape (n,), finite.
        candidate: scores of the candidate, in the same order.
        threshold: the operating threshold; None: decisions are the classes, if there are any.
        classes: the classes that the two models give, each of shape (n,).
        segments: columns of the rows by name.

    Raises:
        InvalidValue: no rows, unequal numbers of rows, or a score that is no finite number.
    """
    scores = _scores(production, "production"), _scores(candidate, "candidate")
    n = len(scores[0])
    if not n or len(scores[1]) != n:
        raise InvalidValue(
            f"there are {n} scores of production's model and {len(scores[1])} of the candidate; "
            "compare two scores of each row, of at least one."
        )
    places = order_places(n, threshold)
    sides = _side(scores[0], places), _side(scores[1], places)
    edges = bins_of(n, sides[0].value)
    expected, actual = (_counts(score, edges) for score in scores)
    decisions = _decisions(scores, sides, threshold, classes)
    difference = np.abs(scores[1] - scores[0])
    return ScoreChanges(
        n,
        sides,
        expected,
        actual,
        _spearman(*scores),
        float(difference.mean()),
        float(difference.max()),
        _counted(decisions),
        [
            segment
            for name, column in (segments or {}).items()
            for segment in _by_level(name, column, scores, decisions)
        ],
    )


def _scores(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64) + 0.0  # -0.0 and 0.0 are one score
    if array.ndim != 1 or not np.isfinite(array).all():
        raise InvalidValue(
            f"the scores of {name} have shape {array.shape} and "
            f"{int(np.count_nonzero(~np.isfinite(array)))} are NaN or infinite; pass one finite "
            "number a row."
        )
    return array


def _side(score: NDArray[np.float64], places: Sequence[int]) -> Side:
    ordered = np.sort(score)
    return Side(float(score.mean()), {place: float(ordered[place]) for place in places})


def _counts(score: NDArray[np.float64], edges: Sequence[float]) -> list[int]:
    bins = np.searchsorted(np.asarray(edges), score, side="left")
    return [int(count) for count in np.bincount(bins, minlength=len(edges) + 1)]


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Return the correlation of mean ranks (Spearman 1904; ties as in scipy.stats.spearmanr)."""
    x, y = _centred_ranks(a), _centred_ranks(b)
    size = math.sqrt(float(x @ x) * float(y @ y))
    return max(-1.0, min(1.0, float(x @ y) / size)) if size else None


def _centred_ranks(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return twice the mean rank of each score, less twice the mean of all ranks."""
    _, position, count = np.unique(score, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    twice = 2 * last - count + 1 - (len(score) + 1)
    return np.asarray(twice[position.reshape(-1)], dtype=np.float64)


def _decisions(
    scores: tuple[NDArray[np.float64], NDArray[np.float64]],
    sides: Sequence[Side],
    threshold: OperatingThreshold | None,
    classes: tuple[Sequence[Any], Sequence[Any]] | None,
) -> tuple[list[str], list[str]] | None:
    if threshold is None:
        if classes is None:
            return None
        a, b = ([segment_level(value) for value in _cells(side)] for side in classes)
        return a, b
    words = []
    for score, side in zip(scores, sides, strict=True):
        cut = Cut.of(threshold, len(score), side.value)
        acts = score >= cut.value if cut.inclusive else score > cut.value
        words.append(np.where(acts, ACTED, NOT_ACTED).tolist())
    return words[0], words[1]


def _counted(decisions: tuple[list[str], list[str]] | None) -> Decisions:
    return {} if decisions is None else Counter(zip(*decisions, strict=True))


def _by_level(
    name: str,
    column: Sequence[Any],
    scores: tuple[NDArray[np.float64], NDArray[np.float64]],
    decisions: tuple[list[str], list[str]] | None,
) -> Iterator[SegmentChanges]:
    levels = np.array([segment_level(value) for value in _cells(column)], dtype=object)
    for level, count in largest(Counter(levels.tolist()).items()):
        rows = np.flatnonzero(levels == level)
        means = float(scores[0][rows].mean()), float(scores[1][rows].mean())
        counted = _counted(decisions and (_at(decisions[0], rows), _at(decisions[1], rows)))
        yield SegmentChanges(segment_name(name, level), count, means, counted)


def _at(words: list[str], rows: NDArray[np.int64]) -> list[str]:
    return [words[row] for row in rows]


def _cells(column: Sequence[Any]) -> list[Any]:
    return column.tolist() if hasattr(column, "tolist") else list(column)


def largest(counts: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return the levels with the most rows, at most `LEVELS` of them."""
    return sorted(counts, key=lambda entry: (-entry[1], entry[0]))[:LEVELS]


def segment_level(value: Any) -> str:
    """Return the text of a level, as in the metrics of segments."""
    return "<NULL>" if _is_null(value) else str(value)


def segment_name(column: str, value: Any) -> str:
    """Return the name of a segment, as in the metrics of segments: `region=north`."""
    return f"{column}={segment_level(value)}"
