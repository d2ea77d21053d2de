"""What `mfprefect demo` shows of its models."""

from __future__ import annotations

import datetime as dt
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect.cli.output import Output

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = ["MODELS", "Demo", "Run", "export", "gather", "program", "write", "write_reports"]

TOP = 5


@dataclass(frozen=True)
class Demo:
    """A model of the demo: a file of flows/."""

    name: str
    scoring: str
    """What the spinner says while it scores."""
    scored: str
    """What the summary says of its scoring."""
    metrics: tuple[str, ...]
    """What is read of its training."""
    as_of: dt.date | None = None
    """The date that its data is asked for; None: today."""
    monitoring: str = ""
    """What the spinner says while it is monitored; empty: it is not."""


MODELS = (
    Demo(
        "breast_cancer",
        "scoring 569 patients",
        "569 patients scored",
        ("auc", "ks", "log_loss", "brier", "n"),
    ),
    Demo("diabetes", "scoring 442 patients", "442 patients scored", ("rmse", "mae", "r2", "n")),
    Demo(
        "air_passengers",
        "forecasting the months of 1960",
        "12 months forecast, then compared with what came",
        ("mape", "mase", "skill", "n"),
        dt.date(1959, 12, 31),
        "comparing the forecasts with what came",
    ),
)
METRICS_SHOWN = 3
COMMANDS_SHOWN = 2
"""Of `next`; the first one chooses the database."""


@dataclass(frozen=True)
class Run:
    """The sessions of a model that the demo ran."""

    of: Demo
    trained: str
    scored: str
    monitored: str | None = None

    @property
    def sessions(self) -> list[str]:
        """Their ids."""
        return [name for name in (self.trained, self.scored, self.monitored) if name]


def gather(store: Store, runs: Sequence[Run], url: str, folder: Path) -> dict[str, Any]:
    """Return what is shown, from the store."""
    from mfprefect.cli.commands.scores import first_scores
    from mfprefect.cli.formats import records

    first = runs[0]
    importance = records(store.variable_importance(first.trained), "session_id")
    kinds = [row["kind"] for row in importance]
    kind = "permutation" if "permutation" in kinds else kinds[0] if kinds else None
    watched = [run.monitored for run in runs if run.monitored]
    return {
        "database": store.database.place,
        "models": {
            run.of.name: {"trained": run.trained, "scored": run.scored, "monitored": run.monitored}
            for run in runs
        },
        "sessions": records(store.show(*(name for run in runs for name in run.sessions))),
        "metrics": [row for run in runs for row in _metrics(store, run)],
        "importance": [row for row in importance if row["kind"] == kind][:TOP],
        "scores": first_scores(store, first.scored, TOP),
        "backtest": records(store.backtests(*watched), "session_id")[:TOP] if watched else [],
        "next": _next(store, url, first, folder),
        "pages": f"{program()} serve",
    }


def write_reports(store: Store, runs: Sequence[Run], folder: Path) -> dict[str, str]:
    """Write the report of each training into the folder; return the files by model.

    Raises:
        ConfigurationError: the extra `report` is not installed.
    """
    files = {run.of.name: (folder / f"{run.of.name}.html").resolve() for run in runs}
    for run in runs:
        text = store.report(run.trained)
        files[run.of.name].write_text(text, encoding="utf-8", errors="backslashreplace")
    return {name: str(file) for name, file in files.items()}


def _metrics(store: Store, run: Run) -> list[dict[str, Any]]:
    from mfprefect.cli.formats import records

    metrics = records(store.metrics(run.trained), "session_id")
    whole = {row["metric_name"]: row for row in metrics if not row["segment"]}
    return [{"model": run.of.name} | whole[name] for name in run.of.metrics if name in whole]


def export(store: Store, url: str) -> str:
    """Return the command that chooses the database, without its password."""
    parts = store.database.backend.url
    if parts.password or parts.query or "${" in url:
        return f"# export MFPREFECT_URL: the URL of {store.database.place}, with its password"
    return f"export MFPREFECT_URL={shlex.quote(url)}"


def _next(store: Store, url: str, run: Run, folder: Path) -> list[str]:
    from mfprefect.cli.formats import records

    model = run.of.name
    trainings = [
        row["session_id"]
        for row in records(store.sessions(model, "succeeded"))
        if row["purpose"] == "train" and row["session_id"] != run.trained
    ]
    commands = [
        "sessions",
        f"show {run.trained}",
        *(f"compare {earlier} {run.trained}" for earlier in trainings[:1]),
        f"scores latest:{model} --limit 10",
        # Not beside the code: the checkout would have changes that are not committed.
        f"scores latest:{model} -o {shlex.quote(str(folder / 'scores.csv'))} --force",
        "doctor",
    ]
    return [export(store, url), *(f"{program()} {command}" for command in commands)]


def program() -> str:
    """Return what to type: the name where the shell finds it, else the path."""
    on_path = shutil.which("mfprefect")
    here = Path(sys.argv[0])
    if here.name != "mfprefect" or (on_path and Path(on_path).resolve() == here.resolve()):
        return "mfprefect"
    near = os.path.relpath(here)
    return shlex.quote(str(here) if near.startswith("..") else near)


def write(out: Output, facts: dict[str, Any], folder: Path) -> None:
    """Write what a new user needs, in at most 10 lines together with the note on stderr."""
    entries = [(model.name, _result(facts, model)) for model in MODELS]
    entries.append(("database", facts["database"]))
    if facts["reports"]:
        files = (shlex.quote(str(folder / Path(file).name)) for file in facts["reports"].values())
        entries.append(("reports", " ".join(files)))
    first, *others = facts["next"][:COMMANDS_SHOWN]
    entries += [("next", first), *(("", command) for command in others)]
    entries.append(("", f"{facts['pages']}  # opens all this in a browser"))
    label_width = max(len(label) for label, _ in entries)
    for label, text in entries:
        out.line(f"{label:{label_width}}  {text}")


def _result(facts: dict[str, Any], model: Demo) -> str:
    rows = [row for row in facts["metrics"] if row["model"] == model.name]
    figures = ", ".join(f"{row['metric_name']} {row['value']:.3g}" for row in rows[:METRICS_SHOWN])
    return f"trained: {figures}; {model.scored}"
