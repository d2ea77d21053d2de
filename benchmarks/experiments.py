"""How long it takes to compare trials, to log a step, and to seal a curve.

`python benchmarks/experiments.py [URL ..]` makes 1,000 trials of 5 parameters and 200 steps in each
database (by default a new SQLite file), whose schema it creates; give it an empty database.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import mfprefect

TRIALS, STEPS, TIMES = 1_000, 200, 5


def timed(call: Callable[[], Any]) -> float:
    """Return the median seconds of a call."""
    seconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def fill(store: mfprefect.Store, trials: int) -> float:
    """Make trials; return the seconds of each."""
    draw = random.Random(0)  # noqa: S311 - no secret depends on it
    with store.session("bench", "train") as search:
        pass
    began = time.perf_counter()
    for number in range(trials):
        params = {
            "depth": draw.randint(2, 12),
            "rate": draw.random(),
            "kind": draw.choice(["linear", "tree"]),
            "warm": draw.random() < 0.5,
            "trial": number,
        }
        parent = search.session_id
        with store.session("bench", "trial", params=params, parent=parent) as trial:
            for step in range(STEPS):
                trial.log_metrics({"loss": 1 / (step + 1 + draw.random())}, step=step)
            trial.log_metrics({"auc": draw.random()})
    return (time.perf_counter() - began) / trials


def step_cost(store: mfprefect.Store) -> float:
    """Return the microseconds of a step with one metric, over 100,000 steps of one session."""
    steps = 100_000
    with store.session("bench", "adhoc") as session:
        began = time.perf_counter()
        for step in range(steps):
            session.log_metrics({"loss": 1 / (step + 1)}, step=step)
        return (time.perf_counter() - began) / steps * 1e6


def measure(url: str) -> None:
    """Print the figures of a database."""
    with mfprefect.connect(url, notify={}) as store:
        store.create_schema()
        store.add_model("bench")
        print(store.database.place)
        print(f"  a trial, opened to sealed:        {fill(store, TRIALS) * 1e3:8.1f} ms")
        every: Any = {"limit": None, "sort": "-auc"}
        seconds = timed(lambda: store.experiments("bench", **every))
        print(f"  experiments, all {TRIALS:,} trials:     {seconds * 1e3:8.1f} ms")
        some: Any = {"sort": "-auc", "where": ["depth=6", "auc>0.5"]}
        seconds = timed(lambda: store.experiments("bench", **some))
        print(f"  experiments, depth=6 and auc>0.5: {seconds * 1e3:8.1f} ms")
        names = store.experiments("bench", limit=100)["session_id"].tolist()
        seconds = timed(lambda: store.metric_steps(*names))
        print(f"  curves of 100 trials:             {seconds * 1e3:8.1f} ms")
        print(f"  a step in the run:                {step_cost(store):8.1f} us")


if __name__ == "__main__":
    for address in sys.argv[1:] or [f"sqlite:///{tempfile.mkdtemp()}/bench.db"]:
        measure(address)
