"""How fast rows are read from a source, beside `pandas.read_sql`, on each database.

    .venv/bin/python benchmarks/reading.py [--rows 500000] [--repeats 5] [--only postgres,mysql]

The table has an integer key, 20 numbers and 2 texts; the key is not read. The contenders take
turns, each run in a process of its own, so that what slows the machine down slows all: compare the
ratios, which are medians of the ratios within each round.

- `read_sql`: pandas over SQLAlchemy, and nothing else;
- `before`: what `self.read` did until it read columns: the same, and a digest of the rows' hashes;
- `read`: `self.read` as it is, with its digest;
- `batches`: `Reader.batches`, in batches of 50,000 rows that are dropped at once, with its digest.

Memory is the peak of the process above what it held before, in MB.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from mfprefect.inputs.digest import row_hash_digest
from mfprefect.inputs.reader import Read, Reader
from mfprefect.settings import load_settings
from mfprefect_dev.servers import server_class

CONTENDERS = ("read_sql", "before", "read", "batches")
NUMBERS = [f"x{i}" for i in range(20)]
COLUMNS = [*NUMBERS, "segment", "city"]
QUERY = f"SELECT {', '.join(COLUMNS)} FROM customers"  # noqa: S608 - the names above
TYPES = {"sqlite": ("INTEGER", "REAL", "TEXT")}
PIECE = 50_000
Result = tuple[float, float]
"""Seconds and MB."""


def main() -> None:
    """Fill a table on each database, let the contenders take turns, print a line for each."""
    given = _arguments()
    with ExitStack() as stack:
        for name in given.only.split(","):
            url = _started(stack, name)
            _fill(url, name, given.rows)
            results = _measured(url, given.repeats)
            _print(name, given.rows, results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="postgres,mysql,mysql9,sqlite")
    arguments: argparse.Namespace = parser.parse_args()
    return arguments


def _started(stack: ExitStack, name: str) -> str:
    if name == "sqlite":
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mfp-reading-"))
        return f"sqlite:///{Path(folder) / 'source.db'}"
    server = stack.enter_context(server_class(name).start())
    return server.new_database()


def _fill(url: str, name: str, rows: int) -> None:
    integer, number, text = TYPES.get(name, ("BIGINT", "DOUBLE PRECISION", "VARCHAR(40)"))
    columns = [f"{x} {number}" for x in NUMBERS] + [f"{x} {text}" for x in COLUMNS[20:]]
    engine = sa.create_engine(url, insertmanyvalues_page_size=1_000)
    table = sa.table("customers", *map(sa.column, ["id", *COLUMNS]))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE customers (id {integer} PRIMARY KEY, {', '.join(columns)})"
        )
        for frame in _frames(rows):
            records: list[Any] = frame.to_dict("records")
            connection.execute(table.insert(), records)
    engine.dispose()


def _frames(rows: int) -> Iterator[pd.DataFrame]:
    random = np.random.default_rng(7)
    for first in range(0, rows, PIECE):
        size = min(PIECE, rows - first)
        frame = pd.DataFrame({"id": np.arange(first, first + size)})
        for place, name in enumerate(NUMBERS):
            frame[name] = random.normal(size=size).round(3 if place % 4 == 3 else 17)
        frame["segment"] = random.choice(["retail", "private", "corporate"], size)
        frame["city"] = random.choice([f"city {i}" for i in range(500)], size)
        yield frame


def _measured(url: str, repeats: int) -> dict[str, list[Result]]:
    results: dict[str, list[Result]] = {name: [] for name in CONTENDERS}
    context = multiprocessing.get_context("spawn")
    for _ in range(repeats):
        for name in CONTENDERS:
            with ProcessPoolExecutor(1, context) as pool:
                results[name].append(pool.submit(run, name, url).result())
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return results


def run(name: str, url: str) -> Result:
    """Read once with a contender in this process; return seconds and MB."""
    reads: list[Read] = []
    reader = Reader(load_settings(sources={"w": {"url": url}}, default_source="w"), reads.append)
    reader.read("SELECT 1 AS x")  # imports and the first connection
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        pd.read_sql(sa.text("SELECT 1 AS x"), connection)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        held = _peak()
        started = time.perf_counter()
        if name in ("read_sql", "before"):
            frame = pd.read_sql(sa.text(QUERY), connection)
            if name == "before":
                row_hash_digest(frame)
        elif name == "read":
            reader.read(QUERY)
        else:
            with reader.batches(QUERY) as batches:
                for _ in batches:
                    pass
        seconds = time.perf_counter() - started
    return seconds, _peak() - held


def _peak() -> float:
    status = Path("/proc/self/status").read_text()
    return float(status.partition("VmHWM:")[2].split()[0]) / 1024


def _print(name: str, rows: int, results: dict[str, list[Result]]) -> None:
    print(f"\n{name}, {rows:,} rows: seconds, MB, times as fast as read_sql (median, range)")
    for contender, runs in results.items():
        ratios = [base[0] / run[0] for base, run in zip(results["read_sql"], runs, strict=True)]
        print(
            f"  {contender:9} {statistics.median(run[0] for run in runs):7.2f} s"
            f" {statistics.median(run[1] for run in runs):7.0f} MB"
            f" {statistics.median(ratios):6.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
        )


if __name__ == "__main__":
    main()
