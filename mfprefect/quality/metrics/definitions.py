"""Metric definitions: a name, a version, a formula, a source and the function that computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["MODEL_TYPES", "UNSUPERVISED", "Metric", "MetricRegistry"]

UNSUPERVISED = "unsupervised"
MODEL_TYPES = ("binary", "multiclass", "regression", "time_series", UNSUPERVISED)
"""The types of models; an unsupervised one has no target."""
Compute = Callable[..., float | None]


@dataclass(frozen=True)
class Metric:
    """The definition of a metric."""

    name: str
    version: int
    """Increases when the formula changes; figures of two versions cannot be compared."""
    formula: str
    source: str
    compute: Compute
    """Returns None if the metric is not defined for the rows."""
    probabilities_only: bool = False
    """Whether it requires every score to lie in [0, 1]."""
    one_class: bool = False
    """Whether it is defined if all rows are positive, or all negative."""
    weighted: bool = False
    """Whether it counts each row with its weight, if rows have weights."""
    model_types: tuple[str, ...] = ()
    """Custom metrics only: the model types it applies to."""
    home: str = ""
    """Custom metrics only: the file and function that define it."""


class MetricRegistry(dict[str, Metric]):
    """Definitions by name, in report order."""

    def define(
        self, name: str, source: str, version: int = 1, **options: Any
    ) -> Callable[[Compute], Compute]:
        """Register a function as a metric; its docstring is the formula."""

        def register(compute: Compute) -> Compute:
            self[name] = Metric(name, version, formula(compute), source, compute, **options)
            return compute

        return register


def formula(compute: Compute) -> str:
    """Return the docstring of a function, on one line."""
    return " ".join((compute.__doc__ or "").split())
