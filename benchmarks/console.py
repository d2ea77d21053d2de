"""How long the console takes to answer over a large store.

    .venv/bin/python benchmarks/console.py [--url URL] [--sessions 100000] [--models 50] [--times 9]

Fills a store with sessions of many models (30 metrics a session, drift, thresholds, stages), starts
`mfprefect serve` over it, and asks for each page many times, each time with another model, session
or place in the list. Prints, for each page, the median and 95th percentile of the time to the first
byte and to the last, and the largest transfer (gzip). Without --url: on SQLite and PostgreSQL.
--keep FILE keeps the SQLite file for the next run.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import numpy as np
import sqlalchemy as sa

import mfprefect
from mfprefect import Store
from mfprefect_dev.servers import server_for

BEGIN = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
METRICS = (
    *("auc", "gini", "ks", "lift_10", "average_precision", "brier", "log_loss", "ece"),
    *(f"capture_{share}" for share in range(1, 12)),
    *(f"lift_{share}" for share in range(20, 31)),
)
PURPOSES = (
    "train",
    "score",
    "score",
    "score",
    "score",
    "monitor",
    "adhoc",
    "score",
    "score",
    "score",
)
CHUNK = 5_000
VARIABLES = 20
LIMIT_MS, LIMIT_KB = 150, 100


class Figures(NamedTuple):
    """Milliseconds and bytes of one page."""

    first: list[float]
    last: list[float]
    size: int


def fill(store: Store, sessions: int, models: int) -> None:
    """Write sessions straight into the tables: running them would take days."""
    store.create_schema()
    for number in range(models):
        store.add_model(name_of(number), f"model {number}", max_age=dt.timedelta(days=1))
    with store.session(name_of(0)) as first:  # its environment is that of all
        pass
    schema, engine = store.database.schema, store.database.engine
    columns = schema.sessions.c
    with engine.connect() as connection:
        environment = connection.scalar(
            sa.select(columns.environment_digest).where(columns.session_no == first.session_no)
        )
    rng = np.random.default_rng(7)
    for start in range(2, sessions + 2, CHUNK):
        numbers = range(start, min(start + CHUNK, sessions + 2))
        rows = [session_row(number, models, str(environment), sessions) for number in numbers]
        with engine.begin() as connection:
            connection.execute(schema.sessions.insert(), rows)
            connection.execute(schema.metrics.insert(), list(metric_rows(rows, rng)))
            connection.execute(schema.seals.insert(), list(seal_rows(rows)))
            if drift := list(drift_rows(rows, rng)):
                connection.execute(schema.drift.insert(), drift)
    _stages(store, models)


def name_of(number: int) -> str:
    """Return a model's id."""
    return f"model_{number:03d}"


def session_row(number: int, models: int, environment: str, sessions: int) -> dict[str, Any]:
    """Return the row of a session."""
    model, place = number % models, number // models
    purpose = PURPOSES[place % len(PURPOSES)]
    started = BEGIN + dt.timedelta(minutes=number * 700_000 // sessions)
    status = "failed" if number % 97 == 0 else "succeeded"
    published = started if purpose == "score" and status == "succeeded" else None
    return {
        "session_no": number,
        "session_id": f"{name_of(model)}-{started:%Y%m%d-%H%M%S}-{number:06d}",
        "model_id": name_of(model),
        "purpose": purpose,
        "status": status,
        "attempt": 1,
        "started_at": started,
        "ended_at": started + dt.timedelta(minutes=3),
        "heartbeat_at": started + dt.timedelta(minutes=3),
        "run_by": f"user{number % 12}",
        "host": "worker",
        "process_id": number % 30_000,
        "git_commit": f"{number % 500:040x}",
        "environment_digest": environment,
        "params": '{"depth": 6, "parts": 4}',
        "published_at": published,
        "seal": f"{number:064x}",
        "failure_kind": "ValueError" if status == "failed" else None,
        "failure_text": "a value" if status == "failed" else None,
        "tags": '["nightly"]' if number % 3 == 0 else None,
    }


def metric_rows(rows: list[dict[str, Any]], rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Yield 30 metrics of each session."""
    for row in rows:
        for name, value in zip(METRICS, rng.random(len(METRICS)).tolist(), strict=True):
            yield {
                "session_no": row["session_no"],
                "metric_name": name,
                "segment": "",
                "value": value,
            }


def seal_rows(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the seal of each session."""
    for row in rows:
        yield {
            "model_id": row["model_id"],
            "seal_no": row["session_no"],
            "session_no": row["session_no"],
            "session_id": row["session_id"],
            "sealed_at": row["ended_at"],
            "manifest": "{}",
            "seal": row["seal"],
        }


def drift_rows(rows: list[dict[str, Any]], rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Yield the drift of every tenth session."""
    for row in rows:
        if row["purpose"] != "monitor":
            continue
        for variable, value in enumerate(rng.random(VARIABLES).tolist()):
            yield {
                "session_no": row["session_no"],
                "variable": f"variable_{variable}",
                "measure": "psi",
                "value": value * 0.3,
                "threshold": 0.25,
                "verdict": "alarm" if value * 0.3 > 0.25 else "ok",
            }


def _stages(store: Store, models: int) -> None:
    schema, engine = store.database.schema, store.database.engine
    s = schema.sessions.c
    with engine.begin() as connection:
        for number in range(models):
            select = sa.select(s.session_no).where(
                s.model_id == name_of(number), s.purpose == "train", s.status == "succeeded"
            )
            trained = connection.scalars(select.order_by(s.session_no.desc()).limit(2)).all()
            connection.execute(
                schema.model_stages.insert(),
                {
                    "model_id": name_of(number),
                    "set_at": BEGIN,
                    "session_no": trained[-1],
                    "stage": "production",
                    "set_by": "ada",
                    "reason": "better",
                },
            )
    for number in range(models):
        for value in (0.3, 0.4):
            store.set_threshold(name_of(number), value)


@contextmanager
def serving(url: str) -> Iterator[httpx.Client]:
    """Run `mfprefect serve` over a store."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "from mfprefect.cli import main; main()", "serve"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--url", url, "--port", str(port)], env={**os.environ}
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            for _ in range(600):
                try:
                    client.get("/static/none")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield client
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


Address = Callable[[random.Random], str]


def pages(sessions: int, models: int) -> dict[str, Address]:
    """Return a function for each page that returns an address of it."""

    def model(rng: random.Random) -> str:
        return name_of(rng.randrange(models))

    def session(rng: random.Random) -> str:
        row = session_row(rng.randrange(2, sessions), models, "", sessions)
        return quote(str(row["session_id"]), safe="")

    return {
        "/": lambda rng: "/",
        "/models/{m}": lambda rng: f"/models/{model(rng)}",
        "/models/{m}/sessions": lambda rng: f"/models/{model(rng)}/sessions",
        "/models/{m}/sessions?sort=-auc": lambda rng: f"/models/{model(rng)}/sessions?sort=-auc",
        "/sessions": lambda rng: f"/sessions?before={rng.randrange(100, sessions)}",
        "/sessions?where=auc>0.99": lambda rng: (
            f"/sessions?where=auc%3E0.99&before={rng.randrange(100, sessions)}"
        ),
        "/sessions?status=crashed": lambda rng: (
            f"/sessions?status=crashed&before={rng.randrange(100, sessions)}"
        ),
        "/sessions/{s}": lambda rng: f"/sessions/{session(rng)}",
        "/compare, 10 sessions": lambda rng: (
            "/compare?" + "&".join(f"s={session(rng)}" for _ in range(10))
        ),
        "/scores/{m}?entity=": lambda rng: f"/scores/{model(rng)}?entity=4711",
        "/promote/{m}": lambda rng: f"/promote/{model(rng)}",
        "/audit": lambda rng: "/audit",
        "/operations": lambda rng: "/operations",
        "/database": lambda rng: "/database",
        "/metrics": lambda rng: "/metrics",
    }


def ask(client: httpx.Client, address: Address, times: int) -> Figures:
    """Ask for a page many times, after two requests that warm the caches of the database."""
    rng = random.Random(11)  # noqa: S311 - a benchmark
    first, last, size = [], [], 0
    for number in range(times + 2):
        began = time.perf_counter()
        with client.stream("GET", address(rng)) as answer:
            raw = answer.iter_raw()
            content = len(next(raw, b""))
            at_first = time.perf_counter() - began
            content += sum(map(len, raw))
        at_last = time.perf_counter() - began
        if answer.status_code != 200:
            raise SystemExit(f"{answer.request.url} answers {answer.status_code}")
        if number >= 2:
            first.append(at_first * 1000)
            last.append(at_last * 1000)
            size = max(size, content)
    return Figures(first, last, size)


def report(url: str, name: str, sessions: int, models: int, times: int) -> bool:
    """Print a table for one database; return whether it holds the limits."""
    print(
        f"\n{name}: {sessions:,} sessions, {sessions * len(METRICS):,} metrics, {models} models\n"
    )
    print("| page | first byte, p50 ms | p95 ms | last byte, p95 ms | KB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    holds = True
    with serving(url) as client:
        for page, address in pages(sessions, models).items():
            figures = ask(client, address, times)
            p50, p95 = np.percentile(figures.first, [50, 95])
            end = np.percentile(figures.last, 95)
            print(f"| `{page}` | {p50:.0f} | {p95:.0f} | {end:.0f} | {figures.size / 1024:.0f} |")
            holds = holds and p95 <= LIMIT_MS and figures.size <= LIMIT_KB * 1024
    return holds


def main() -> int:
    """Measure; the exit code is 1 if a page misses a limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url")
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    args = parser.parse_args()
    with ExitStack() as stack:
        places = {"given": args.url} if args.url else dict(_places(stack, args.keep, args.only))
        holds = True
        for name, url in places.items():
            with mfprefect.connect(url, heartbeat_seconds=600) as store:
                if args.keep is None or not args.keep.exists():
                    fill(store, args.sessions, args.models)
            holds = report(url, name, args.sessions, args.models, args.times) and holds
    return 0 if holds else 1


def _places(stack: ExitStack, keep: Path | None, only: str | None) -> Iterator[tuple[str, str]]:
    if only != "postgres":
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mfp-bench-")))
        yield "sqlite", f"sqlite:///{keep or folder / 'bench.db'}"
    if only != "sqlite":
        yield "postgres", stack.enter_context(server_for("postgres")).new_database()


if __name__ == "__main__":
    sys.exit(main())
