"""Steps of metrics on their way to the buffer: a training loop logs some thousand a second."""

from __future__ import annotations

import datetime as dt
import math
import operator
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mfprefect.errors import InvalidValue
from mfprefect.util import values

__all__ = ["MANY", "MOST_WAITING", "Step", "Steps"]

MANY = 10_000
"""Steps waiting above which they are written before the next heartbeat."""
MOST_WAITING = 100_000
"""Steps waiting above which the run itself writes them, so that its memory stays bounded."""
END = 2**63


class Step(NamedTuple):
    """The value of a metric at a step."""

    metric_name: str
    segment: str
    step: int
    value: float
    logged_at: dt.datetime


class Steps:
    """Steps that nobody has looked at yet. Safe to use from several threads."""

    def __init__(self, version: Callable[[str, str], int | None]) -> None:
        """Start without any.

        `version(name, segment)` returns that of the metric's formula, or refuses a name.
        """
        self._version = version
        self._lock = threading.Lock()
        self._waiting: list[Step] = []
        self.versions: dict[tuple[str, str], int | None] = {}
        """The version of the metric's formula, by metric and segment, of all curves."""
        self.unwritten = 0
        """Steps that were taken, and that the database does not have yet."""

    def add(self, metrics: Mapping[str, Any], segment: str, step: Any) -> int:
        """Add the values of a step, after checking all of them; return how many were not taken.

        Raises:
            InvalidValue: a name, a value or the step does not fit.
        """
        number = step if type(step) is int and 0 <= step < END else _number(step)
        now = values.utc_now()
        rows = []
        for name, value in metrics.items():
            if type(name) is not str or (name, segment) not in self.versions:
                self._add_curve(name, segment)
            if type(value) is not float or not math.isfinite(value):
                value = values.figure(value, f"the metric {name!r}")
            rows.append(Step(name, segment, number, value, now))
        with self._lock:
            self._waiting += rows
            return len(self._waiting)

    def take(self) -> list[Step]:
        """Return the waiting steps in the order in which they were logged, and forget them."""
        with self._lock:
            taken, self._waiting = self._waiting, []
        return taken

    def _add_curve(self, name: Any, segment: str) -> None:
        checked = values.name(name, "the metric's name")
        self.versions[checked, segment] = self._version(checked, segment)


def _number(step: Any) -> int:
    try:
        if isinstance(step, bool):
            raise TypeError
        number = operator.index(step)
    except TypeError as exc:
        raise InvalidValue(f"step must be an integer from 0, not {step!r}.") from exc
    if not 0 <= number < END:
        raise InvalidValue(f"step is {number}, and must be from 0 to {END - 1}.")
    return number
