"""How much of the suite is run, and with which seed.

`MFPREFECT_TEST_SEED` decides what is random; it is printed. `MFPREFECT_TEST_FAULTS=20` injects so
many of a kind on each database, and more where it takes more to have one in each phase, as
`make faults` does; `MFPREFECT_TEST_FAULTS=all` injects everything. Without it, a sample is that
`make test` has time for. `MFPREFECT_TEST_ONLY` leaves those whose label holds its text.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

__all__ = ["ALL", "ONLY", "SEED", "sampled"]

T = TypeVar("T")
SEED = int(os.environ.get("MFPREFECT_TEST_SEED", "20261124"))
ALL = "MFPREFECT_TEST_FAULTS" in os.environ
"""Whether this is more than the sample of `make test`."""
MOST = os.environ.get("MFPREFECT_TEST_FAULTS", "")
ONLY = os.environ.get("MFPREFECT_TEST_ONLY", "")


def sampled(
    all_of_them: Sequence[T],
    of: str,
    how_many: int,
    stratum: Callable[[T], Any] = lambda _: None,
    *,
    dear: int = 1,
) -> list[T]:
    """Return what is injected in this run of the suite, in its order.

    Args:
        all_of_them: what could be injected.
        of: what makes this sample another one than those of the same seed.
        how_many: the size of the sample of `make test`.
        stratum: what more than that sample must have one of each, such as the phase; only then
            does chance fill it up.
        dear: how many others one of these costs: there are as many fewer.
    """
    if ONLY or MOST == "all":
        return list(all_of_them)
    pick = random.Random(f"{SEED} {of}")  # noqa: S311 - it chooses moments
    order = pick.sample(range(len(all_of_them)), len(all_of_them))
    first: dict[Any, int] = {}
    if ALL:
        how_many = int(MOST) // dear
        for number in order:
            first.setdefault(stratum(all_of_them[number]), number)
    chosen = dict.fromkeys([*first.values(), *order])
    few = list(chosen)[: max(len(first), how_many)]
    return [all_of_them[number] for number in sorted(few)]
