"""Curve and all metrics of a binary model, beside scikit-learn's `roc_auc_score` alone.

    .venv/bin/python benchmarks/metrics.py [--rows 5000000] [--repeats 5]

Both get the same arrays: int64 labels and double scores. They take turns, so that what slows the
machine down slows both; printed are medians and the range of the ratios. Memory is measured in a
process of its own for each, in turn: what numpy and Python allocate at the same time (tracemalloc),
and by how much the process's peak of resident memory grows (ru_maxrss), both as multiples of the
bytes of the scores; the arrays that are given are not counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from mfprefect.quality.metrics.evaluation import evaluate

DATA: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "all scores distinct": lambda rng, n: rng.beta(2, 5, n),
    "rounded to 3 digits": lambda rng, n: rng.beta(2, 5, n).round(3),
}


def ours(actual: Any, score: Any) -> Any:
    """Return all that is stored: the curve and every metric."""
    return evaluate(actual, score, "binary")


WAYS: dict[str, Callable[[Any, Any], Any]] = {"scikit-learn": roc_auc_score, "mfprefect": ours}


def arrays(data: str, rows: int) -> tuple[Any, Any]:
    """Return labels and scores."""
    rng = np.random.default_rng(1)
    score = DATA[data](rng, rows)
    return (rng.random(rows) < score).astype(np.int64), score


def seconds(work: Callable[[Any, Any], Any], actual: Any, score: Any) -> float:
    """Return how long it takes."""
    began = time.perf_counter()
    work(actual, score)
    return time.perf_counter() - began


def memory(way: str, data: str, rows: int) -> tuple[float, float]:
    """Return the peaks of traced and of resident memory, as multiples of the scores' bytes."""
    actual, score = arrays(data, rows)
    WAYS[way](actual[:1000], score[:1000])  # what is loaded on first use
    # A peak never falls: it is raised to what is in use now, or growth would hide below it.
    free = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - _resident()
    filler = np.ones(max(free, 0) // 8 + 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    WAYS[way](actual, score)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    del filler
    tracemalloc.start()
    WAYS[way](actual, score)
    traced = tracemalloc.get_traced_memory()[1]
    return traced / score.nbytes, grown * 1024 / score.nbytes


def _resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    print(f"\n{given.rows:,} rows, {given.repeats} repeats\n")
    print("| scores | roc_auc_score, s | mfprefect, s | ratio | range |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for data in DATA:
        actual, score = arrays(data, given.rows)
        pairs = [
            (seconds(roc_auc_score, actual, score), seconds(ours, actual, score))
            for _ in range(given.repeats)
        ]
        ratios = sorted(b / a for a, b in pairs)
        theirs, our_seconds = (statistics.median(times) for times in zip(*pairs, strict=True))
        print(
            f"| {data} | {theirs:.2f} | {our_seconds:.2f} | {statistics.median(ratios):.2f} | "
            f"{ratios[0]:.2f} to {ratios[-1]:.2f} |",
            flush=True,
        )
    print("\nPeak memory beyond the given arrays, in multiples of the scores:\n")
    print("| scores | of | traced | resident |\n| --- | --- | ---: | ---: |")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for data in DATA:
            for way in WAYS:
                traced, resident = pool.apply(memory, (way, data, given.rows))
                print(f"| {data} | {way} | {traced:.1f} | {resident:.1f} |", flush=True)


if __name__ == "__main__":
    main()
