"""The distribution of scores, gathered part by part."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, NamedTuple, Self

import numpy as np

__all__ = ["ScoreFigures"]

MOST_CLASSES = 5


class ScoreFigures(NamedTuple):
    """How many scores there are, and how they are distributed."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """The sum of their squared distances from the mean."""
    low: float = math.inf
    high: float = -math.inf
    classes: Counter[str] = Counter()  # noqa: RUF012 - merging makes a new one
    """How many scores are of each class; empty for a model without classes."""

    @classmethod
    def of(cls, score: Any, classes: Any = None) -> Self:
        """Return the figures of finite scores, and of the class of each if there are classes."""
        numbers = np.asarray(score, dtype=np.float64)
        if not numbers.size:
            return cls()
        mean = float(numbers.mean())
        squares = float(((numbers - mean) ** 2).sum())
        names = [] if classes is None else np.asarray(classes).tolist()
        ends = float(numbers.min()), float(numbers.max())
        return cls(numbers.size, mean, squares, *ends, Counter(map(str, names)))

    def merged(self, other: ScoreFigures) -> ScoreFigures:
        """Return the figures of both sets of scores together."""
        n = self.n + other.n
        if not n:
            return self
        distance = other.mean - self.mean
        return ScoreFigures(
            n,
            self.mean + distance * other.n / n,
            self.squares + other.squares + distance**2 * self.n * other.n / n,
            min(self.low, other.low),
            max(self.high, other.high),
            self.classes + other.classes,
        )

    @property
    def sd(self) -> float | None:
        """The standard deviation (n - 1), None for a single score."""
        return math.sqrt(self.squares / (self.n - 1)) if self.n > 1 else None
