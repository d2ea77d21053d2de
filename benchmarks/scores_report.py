"""A recorded run as tables and as a picture."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["DATABASES", "Runs", "markdown", "picture"]

DATABASES = {
    "sqlite": "SQLite",
    "postgres": "PostgreSQL",
    "mysql": "MariaDB",
    "mysql9": "MySQL 9, default settings",
}
LABELS = {
    "raw": "the database's own loader, presorted file",
    "raw_unsorted": "the database's own loader, file as given",
    "mfprefect": "mfprefect, from open to published",
    "inserts": "mfprefect without local_infile",
    "append": "mfprefect's append alone",
    "to_sql": "pandas.to_sql",
    "core": "SQLAlchemy Core inserts",
    "read_sql": "pandas.read_sql",
    "scores": "mfprefect, store.scores",
    "iter_scores": "mfprefect, store.iter_scores",
}
BASES = {"write": "raw", "read": "read_sql"}
READ_BOUNDS = {"postgres": 4.0, "sqlite": 3.0, "mysql": 1.3}
BOUNDS: tuple[tuple[str, str, str, float], ...] = (
    ("postgres", "mfprefect", "raw", 0.8),
    ("postgres", "mfprefect", "to_sql", 10.0),
    ("mysql", "mfprefect", "raw", 0.85),
    ("mysql", "mfprefect", "to_sql", 4.0),
    ("mysql9", "mfprefect", "raw", 0.85),
    ("mysql9", "inserts", "mfprefect", 0.8),
    ("mysql9", "inserts", "to_sql", 1.3),
    ("sqlite", "mfprefect", "to_sql", 6.0),
    *((name, "mfprefect", "append", 0.85) for name in DATABASES),
    *((name, "scores", "read_sql", bound) for name, bound in READ_BOUNDS.items()),
    *((name, "iter_scores", "read_sql", bound) for name, bound in READ_BOUNDS.items()),
)
"""Database, contender, base, and how many times as fast as the base the contender should be.

Of `append` 0.85: digests, parts, session and publication should cost at most 15 % of a write.
"""
PEAK_MB, PEAK_ROWS = 150.0, 20_000_000
"""The memory that streaming may need, and from how many rows on that is looked at."""

Runs = list[dict[str, Any]]


def markdown(result: dict[str, Any]) -> str:
    """Return the tables of a run, and the line that tells what it was measured on."""
    runs: Runs = result["runs"]
    lines = [f"Measured on {result['date']}: {result['machine']}.", ""]
    lines += [f"- {version}" for version in result["versions"]] + [""]
    for kind, base in BASES.items():
        if some := [run for run in runs if run["kind"] == kind]:
            lines += [f"### {kind.capitalize()}s", "", *_table(some, base), ""]
    if bounds := [*_rate_bounds(runs), *_peak_bounds(runs)]:
        head = [
            "| database | rows | what | should be | is | |",
            "| --- | ---: | --- | --- | --- | --- |",
        ]
        lines += ["### Bounds", "", *head, *bounds, ""]
    if result["sessions"]:
        lines += ["### Sessions", "", *_sessions(result["sessions"]), ""]
    return "\n".join(lines)


def _table(runs: Runs, base: str) -> Iterator[str]:
    yield f"| database | rows | | rows/s | of `{base}` | memory, MB | CPU s: client | server |"
    yield "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |"
    for database, rows, contender in _cases(runs):
        measured = _of(runs, database, rows, contender)
        yield (
            f"| {DATABASES[database]} | {rows:,} | {LABELS[contender]} (`{contender}`) "
            f"| {rows / _median(measured, 'seconds'):,.0f} "
            f"| {_spread(_ratios(runs, database, rows, contender, base))} "
            f"| {_median(measured, 'peak_mb'):.0f} | {_median(measured, 'client_cpu'):.1f} "
            f"| {_median(measured, 'server_cpu'):.1f} |"
        )


def _rate_bounds(runs: Runs) -> Iterator[str]:
    for database, contender, base, bound in BOUNDS:
        for rows in sorted({run["rows"] for run in runs}):
            if ratios := _ratios(runs, database, rows, contender, base):
                held = "yes" if statistics.median(ratios) >= bound else "**no**"
                yield (
                    f"| {DATABASES[database]} | {rows:,} | rate of `{contender}` / `{base}` "
                    f"| at least {bound:g} | {_spread(ratios)} | {held} |"
                )


def _peak_bounds(runs: Runs) -> Iterator[str]:
    for database, rows, contender in _cases(runs):
        if rows >= PEAK_ROWS and contender in ("mfprefect", "iter_scores"):
            peak = _median(_of(runs, database, rows, contender), "peak_mb")
            held = "yes" if peak < PEAK_MB else "**no**"
            yield (
                f"| {DATABASES[database]} | {rows:,} | extra memory of `{contender}` "
                f"| under {PEAK_MB:g} MB | {peak:.0f} MB | {held} |"
            )


def _sessions(sessions: Runs) -> Iterator[str]:
    yield "| database | mfprefect session, ms | MLflow run, ms | |"
    yield "| --- | ---: | ---: | ---: |"
    for row in sessions:
        ours, theirs = statistics.median(row["mfprefect"]), row["mlflow"]
        other = f"{statistics.median(theirs):.0f}" if theirs else "not installed"
        share = f"{ours / statistics.median(theirs):.2f} of MLflow's" if theirs else "-"
        yield f"| {DATABASES[row['database']]} | {ours:.0f} | {other} | {share} |"


def _cases(runs: Runs) -> list[tuple[str, int, str]]:
    order = (list(DATABASES), list(LABELS))
    cases = {(run["database"], run["rows"], run["contender"]) for run in runs}
    return sorted(
        cases, key=lambda case: (order[0].index(case[0]), case[1], order[1].index(case[2]))
    )


def _of(runs: Runs, database: str, rows: int, contender: str) -> Runs:
    wanted = (database, rows, contender)
    return [run for run in runs if (run["database"], run["rows"], run["contender"]) == wanted]


def _ratios(runs: Runs, database: str, rows: int, contender: str, base: str) -> list[float]:
    # Per round: what slows the machine down slows both.
    seconds: Callable[[str], dict[int, float]] = lambda name: {  # noqa: E731
        run["round"]: run["seconds"] for run in _of(runs, database, rows, name)
    }
    bases = seconds(base)
    return [bases[n] / took for n, took in seconds(contender).items() if n in bases]


def _median(runs: Runs, figure: str) -> float:
    return float(statistics.median(run[figure] for run in runs))


def _spread(ratios: list[float]) -> str:
    if not ratios:
        return "-"
    middle = f"{statistics.median(ratios):.2f}"
    return f"{middle} ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else middle


def picture(result: dict[str, Any], path: Path) -> None:
    """Draw rows a second, a panel a database and kind, a bar a contender and size."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    runs: Runs = result["runs"]
    panels = sorted({(run["kind"], run["database"]) for run in runs}, reverse=True)
    figure, axes = plt.subplots(
        len(panels), 1, squeeze=False, layout="constrained", figsize=(9, 3 * len(panels))
    )
    for (kind, database), axis in zip(panels, axes[:, 0], strict=True):
        _panel(axis, [r for r in runs if (r["kind"], r["database"]) == (kind, database)])
        axis.set_title(f"{DATABASES[database]}: {kind}s", loc="left")
    axes[-1, 0].set_xlabel("thousand rows a second")
    figure.suptitle(f"{result['date']}, {result['machine']}", fontsize="small")
    plt.rcParams["svg.hashsalt"] = "mfprefect"  # the same run gives the same file
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _panel(axis: Any, runs: Runs) -> None:
    sizes = sorted({run["rows"] for run in runs})
    names = list(
        dict.fromkeys(
            case[2] for case in sorted(_cases(runs), key=lambda c: list(LABELS).index(c[2]))
        )
    )
    height = 0.8 / len(sizes)
    for number, rows in enumerate(sizes):
        bars = [
            (names.index(name) + number * height, rows / _median(measured, "seconds") / 1000)
            for name in names
            if (measured := _of(runs, runs[0]["database"], rows, name))
        ]
        label = f"{rows / 1e6:g} million rows"
        drawn = axis.barh(*zip(*bars, strict=True), height=height, label=label)
        axis.bar_label(drawn, fmt="{:,.0f}", fontsize="x-small", padding=2)
    axis.margins(x=0.1)  # room for the label of the longest bar
    axis.set_yticks([n + 0.4 - height / 2 for n in range(len(names))], [LABELS[n] for n in names])
    axis.invert_yaxis()
    axis.legend(fontsize="x-small")
