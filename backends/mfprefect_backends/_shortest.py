"""Single precision numbers as the doubles of the texts that servers print for them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["shortest"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
MOST_DIGITS = 9


def shortest(values: Floats) -> Doubles:
    """Return, for each number, the shortest decimal that rounds to it and to no other.

    0.1 in single precision is 0.10000000149 as a double; PostgreSQL prints it as 0.1.
    """
    doubles = values.astype(np.float64)
    finite = np.isfinite(values)
    texts = pa.array(np.where(finite, values, np.float32(0))).cast(pa.large_string())
    decimals = texts.cast(pa.float64()).to_numpy()
    # PostgreSQL takes no decimal half-way between two numbers, which Arrow does.
    with np.errstate(over="ignore"):  # the next of the largest is infinity
        nexts = [np.nextafter(values, np.float32(end)) for end in (np.inf, -np.inf)]
    halves = [(doubles + other) / 2 for other in nexts]
    for place in np.flatnonzero(finite & ((decimals == halves[0]) | (decimals == halves[1]))):
        decimals = decimals.copy() if not decimals.flags.writeable else decimals
        decimals[place] = _inside(values[place])
    return np.where(finite, decimals, doubles)


def _inside(value: Any) -> float:
    exact = Fraction(float(value))
    ends = [
        (exact + Fraction(float(np.nextafter(value, np.float32(end))))) / 2
        for end in (-np.inf, np.inf)
    ]
    for digits in range(1, MOST_DIGITS + 1):
        text = f"{float(value):.{digits - 1}e}"
        if ends[0] < Fraction(text) < ends[1]:
            return float(text)
    return float(value)
