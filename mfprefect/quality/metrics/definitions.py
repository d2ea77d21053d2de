"""What a metric is: a name, a version, a formula, a source and the function that computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["MODEL_TYPES", "Metric", "MetricRegistry"]

MODEL_TYPES = ("binary", "multiclass", "regression", "time_series")
"""What a model can be."""
Compute = Callable[..., float | None]


@dataclass(frozen=True)
class Metric:
    """The definition of a metric."""

    name: str
    version: int
    """Raised when the formula changes: figures of two versions are not to be compared."""
    formula: str
    source: str
    compute: Compute
    """Returns None where the metric is not defined."""
    probabilities_only: bool = False
    """Whether it means something only when every score lies in [0, 1]."""
    one_class: bool = False
    """Whether it means something when all rows are positive, or all negative."""
    model_types: tuple[str, ...] = ()
    """Of a team's own metric: the types of model that it is of."""
    home: str = ""
    """Of a team's own metric: where it is defined."""


class MetricRegistry(dict[str, Metric]):
    """Definitions by name, in the order in which they are reported."""

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
