"""What sealing adds to a session of a million scores, side by side in one run.

    .venv/bin/python benchmarks/sealing.py [--rows 1000000] [--repeats 5] [--database NAME]

Three kinds of session take turns, so that what slows the machine down slows all: sealed ones;
such that end without a seal, but with the digests of their parts, by which retries know what is
complete; and such without either. Each is from open to published. Printed are medians and how many
times as long a sealed session takes. Without --url: on SQLite, PostgreSQL and MariaDB.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd

import mfprefect
from mfprefect.store.sessions.writing import Outcome
from mfprefect_dev.servers import server_for

MODEL = "benchmark"
KINDS = ("sealed", "with digests", "without")


def session(store: mfprefect.Store, frame: pd.DataFrame, kind: str) -> float:
    """Write one session and return the seconds it took; it is deleted afterwards, untimed."""
    with ExitStack() as stack:
        if kind == "without":
            # All parts alike would be one; a count tells them apart.
            numbers = iter(range(10**6))
            name = "mfprefect.store.scores.write.digest"
            stack.enter_context(mock.patch(name, lambda _: f"{next(numbers):064d}"))
        began = time.perf_counter()
        opened = store.session(MODEL, purpose="score")
        opened.write_scores(frame, entity_id="customer_id")
        opened.end(Outcome("succeeded", sealed=kind == "sealed"))
        took = time.perf_counter() - began
    store.delete_session(opened.session_id)
    return took


def measure(url: str, frame: pd.DataFrame, repeats: int) -> dict[str, float]:
    """Return the median seconds of each kind of session."""
    took: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with mfprefect.connect(url) as store:
        store.create_schema()
        store.add_model(MODEL)
        for kind in KINDS:
            session(store, frame.head(200_000), kind)
        for turn in range(repeats):
            # Forwards, then backwards: what a session leaves behind slows different ones down.
            for kind in KINDS if turn % 2 else KINDS[::-1]:
                took[kind].append(session(store, frame, kind))
    return {kind: statistics.median(seconds) for kind, seconds in took.items()}


def places(stack: ExitStack, given: str | None) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield the databases, each with what makes an empty one."""
    if given is not None:
        yield "given", lambda: given
        return
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mfp-sealing-"))
    yield "sqlite", lambda: f"sqlite:///{Path(folder) / 'sealing.db'}"
    for name in ("postgres", "mysql"):
        yield name, stack.enter_context(server_for(name)).new_database


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--database", choices=["sqlite", "postgres", "mysql"])
    parser.add_argument("--url")
    given = parser.parse_args()
    rng = np.random.default_rng(7)
    ids = [f"customer-{number:09d}" for number in rng.permutation(given.rows)]
    frame = pd.DataFrame({"customer_id": ids, "score": rng.random(given.rows)})
    print(f"{given.rows:,} scores, medians of {given.repeats}")
    with ExitStack() as stack:
        for name, url in places(stack, given.url):
            if given.database not in (None, name):
                continue
            took = measure(url(), frame, given.repeats)
            shown = ", ".join(f"{kind} {seconds:.2f} s" for kind, seconds in took.items())
            seal = took["sealed"] / took["with digests"] - 1
            both = took["sealed"] / took["without"] - 1
            print(f"{name}: {shown}; the seal adds {seal:+.1%}, with digests {both:+.1%}")


if __name__ == "__main__":
    main()
