"""How much of the suite is run, and with which seed.

`MFPREFECT_TEST_SEED` decides what is random; it is printed. `MFPREFECT_TEST_FAULTS=all` injects
everything, as `make faults` does, and `MFPREFECT_TEST_FAULTS=20` at most so many of a kind on each
database; without it, a sample is that `make test` has time for. `MFPREFECT_TEST_ONLY` leaves those
whose label holds its text.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["ALL", "ONLY", "SEED", "sampled"]

T = TypeVar("T")
SEED = int(os.environ.get("MFPREFECT_TEST_SEED", "20261124"))
ALL = "MFPREFECT_TEST_FAULTS" in os.environ
"""Whether this is more than the sample of `make test`."""
MOST = os.environ.get("MFPREFECT_TEST_FAULTS", "")
ONLY = os.environ.get("MFPREFECT_TEST_ONLY", "")


def sampled(all_of_them: Sequence[T], of: str, how_many: int) -> list[T]:
    """Return what is injected in this run of the suite, in its order."""
    if ONLY or MOST == "all":
        return list(all_of_them)
    how_many = int(MOST or how_many)
    pick = random.Random(f"{SEED} {of}")  # noqa: S311 - it chooses moments
    few = pick.sample(range(len(all_of_them)), min(how_many, len(all_of_them)))
    return [all_of_them[number] for number in sorted(few)]
