"""What a store answers: every public reader, as JSON that is the same from day to day."""

from __future__ import annotations

import datetime as dt
import hashlib
import html
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from mfprefect import Store
from mfprefect.errors import MfprefectError, SealBroken
from upgradekit import inside

__all__ = [
    "POLICY",
    "answers",
    "figures",
    "hidden",
    "plan",
    "problems",
    "report_text",
    "reports",
    "verified",
]

Answer = Any
POLICY: dict[str, Any] = {"keep_sessions": 1, "failed_days": 1e-6}
"""Of which the outcome does not depend on today's date."""
VIEWS = (
    "published_scores",
    "latest_scores",
    "session_overview",
    "metric_history",
    "production_models",
)
BINS = 5
PREFECT = "Flow run in Prefect"
"""The text of a link, which is there where Prefect can be asked for it."""
_SESSION_ID = re.compile(r"[\w-]+-\d{8}-\d{6}-\w{6}")
PLACES = 12
"""Of what the database adds up, in the order that it likes."""


def answers(store: Store, deletions: Mapping[str, list[str]]) -> dict[str, Answer]:
    """Return what the public readers say, but of what is being deleted.

    Args:
        store: the store.
        deletions: what is being deleted, of `inside.being_deleted`.
    """
    gone = hidden(deletions)
    sessions = [row for row in rows(store.sessions(limit=None)) if row["session_id"] not in gone]
    models = [row for row in rows(store.models()) if row["model_id"] not in gone]
    for row in models:  # what is being deleted may count, or not
        del row["sessions"], row["last_started_at"]
    ids = [row["session_id"] for row in sessions]
    return {
        "models": models,
        "sessions": sessions,
        "of_models": {row["model_id"]: _of_model(store, row["model_id"]) for row in models},
        "of_sessions": {name: _of_session(store, name) for name in ids},
        "input_columns": rows(store.input_columns()),
        "views": {view: _seen(store, view, gone) for view in VIEWS},
        "verified": verified(store, deletions),
        "head": plain(store.audit_head()),
        "audit_log": rows(store.audit_log(limit=None))[::-1],
    }


def hidden(deletions: Mapping[str, list[str]]) -> set[str]:
    """Return the sessions and models that are left out, because they are being deleted."""
    return {*deletions["sessions"], *deletions["models"], *deletions["scores"]}


def verified(
    store: Store, deletions: Mapping[str, list[str]], head: Mapping[str, Any] | None = None
) -> dict[str, int]:
    """Return how many of each kind `verify` found to be as they were sealed.

    The row of a model that is being deleted may count as one that nobody wrote.

    Raises:
        SealBroken: something else is not as it was sealed.
    """
    try:
        report = store.verify(head=head)
    except SealBroken as error:
        if any(problem.model_id not in deletions["models"] for problem in error.problems):
            raise
        report = error.report
    return {name: n for name, n in asdict(report).items() if name != "problems"}


def _seen(store: Store, view: str, gone: set[str]) -> Answer:
    seen = [plain(row) for row in inside.view_rows(store, view)]
    seen = [row for row in seen if not gone & {row["session_id"], row["model_id"]}]
    seen.sort(key=lambda row: json.dumps(row, sort_keys=True))
    return summed(seen) if view.endswith("_scores") else seen


def _of_model(store: Store, model_id: str) -> dict[str, Answer]:
    return {
        "thresholds": rows(store.thresholds(model_id)),
        "stages": rows(store.stages(model_id)),
        "production": store.production(model_id),
        "latest_training": store.latest_training(model_id),
        "latest_scores": rows(store.latest_scores(model_id, "c0001", "e101", "nobody")),
    }


FRAMES: dict[str, Callable[[Store, str], pd.DataFrame]] = {
    "metrics": lambda store, name: store.metrics(name),
    "inputs": lambda store, name: store.inputs(name),
    "checks": lambda store, name: store.checks(name),
    "gates": lambda store, name: store.gates(name),
    "drift": lambda store, name: store.drift(name),
    "variable_importance": lambda store, name: store.variable_importance(name),
    "backtests": lambda store, name: store.backtests(name),
    "artifacts": lambda store, name: store.artifacts(name),
    "notifications": lambda store, name: store.notifications(name),
    "score_parts": lambda store, name: store.score_parts(name),
}


def _of_session(store: Store, name: str) -> dict[str, Answer]:
    few: dict[str, Answer] = {n: rows(read(store, name)) for n, read in FRAMES.items()}
    metadata = rows(store.metadata(name))
    return {
        **{n: [_without(row, "session_id") for row in part] for n, part in few.items() if part},
        # Gates have a reader of their own, wherever they are stored.
        "metadata": [
            _without(row, "session_id") for row in metadata if row["meta_group"] != "gates"
        ],
        "input_summary": summed(rows(store.input_summary(name))),
        "curve": summed(rows(store.curve(name))),
        "lift": _attempt(lambda: summed(rows(store.lift(name)))),
        "scores": summed(rows(store.scores(name))),
        "score_summary": _attempt(lambda: _rounded(store.score_summary(name))),
        "score_histogram": _attempt(lambda: rows(store.score_histogram(name, bins=BINS))),
        "environment": summed([plain(store.environment(name))]),
        "model": _attempt(lambda: _model(store.load_model(name))),
    }


def _without(row: dict[str, Answer], name: str) -> dict[str, Answer]:
    return {key: value for key, value in row.items() if key != name}


def _attempt(ask: Callable[[], Answer]) -> Answer:
    """Return an answer, or the name of the error that is raised in its place."""
    try:
        return ask()
    except MfprefectError as error:
        return type(error).__name__


def _rounded(figures: Mapping[str, Any]) -> Answer:
    return {
        name: round(value, PLACES) if isinstance(value, float) else plain(value)
        for name, value in figures.items()
    }


def _model(estimator: Any) -> Answer:
    if isinstance(estimator, bytes):
        return estimator.decode()
    return [type(estimator).__name__, *map(plain, estimator.coef_.ravel())]


def plan(store: Store, deletions: Mapping[str, list[str]]) -> list[Answer]:
    """Return what `prune` would do, oldest first."""
    judged = rows(store.prune(**POLICY, dry_run=True))[::-1]
    return [row for row in judged if row["session_id"] not in hidden(deletions)]


def problems(expected: Answer, answer: Answer, where: str = "") -> Iterable[str]:
    """Yield where an answer is not as expected; it may have columns that nobody expected."""
    if isinstance(expected, dict) and isinstance(answer, dict):
        for name, value in expected.items():
            if name in answer:
                yield from problems(value, answer[name], f"{where}.{name}")
            else:
                yield f"{where}.{name} is missing"
    elif isinstance(expected, list) and isinstance(answer, list):
        if len(expected) != len(answer):
            yield f"{where} has {len(answer)} rows, not {len(expected)}"
        for number, (value, other) in enumerate(zip(expected, answer, strict=False)):
            yield from problems(value, other, f"{where}[{number}]")
    elif expected != answer:
        yield f"{where} is {answer!r}, not {expected!r}"


def reports(store: Store, deletions: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the words of the report of the newest session of each purpose and ending."""
    sessions = store.sessions(limit=None)
    sessions = sessions[~sessions["session_id"].isin(hidden(deletions))]
    newest = sessions.drop_duplicates(["purpose", "status"])["session_id"]
    return {name: report_text(store.report(name)) for name in newest}


def report_text(page: str) -> list[str]:
    """Return the words of a report, without pictures and tags, a line for each element."""
    page = re.sub(r"(?s)<(style|svg|head)\b.*?</\1>", "", page)
    lines = (html.unescape(line).strip() for line in re.split(r"<[^>]*>", page))
    return [re.sub(r"\s+", " ", line) for line in lines if line and line != PREFECT]


def figures(lines: list[str]) -> list[str]:
    """Return the figures, times and session ids of a report; its prose may change."""
    return [figure for line in lines for figure in _figures(line) if re.search(r"\d", figure)]


def _figures(line: str) -> list[str]:
    """Return a line without prose as it is, otherwise the session ids in it."""
    is_prose = re.search("[a-z]{4,}", _SESSION_ID.sub("", line)) is not None
    return _SESSION_ID.findall(line) if is_prose else [line]


# Values that JSON can hold


def rows(frame: pd.DataFrame) -> list[dict[str, Answer]]:
    """Return a frame's rows; what is missing is None."""
    return [{str(k): plain(v) for k, v in row.items()} for row in frame.to_dict("records")]


def summed(rows: list[Any]) -> Answer:
    """Return how many rows there are, their digest, and the columns that it is over."""
    if not rows:
        return None
    text = json.dumps(rows, sort_keys=True, ensure_ascii=False)
    return {"rows": len(rows), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def plain(value: Any) -> Answer:
    """Return a value as JSON gives it back; every instant is in UTC, and NaN is None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, pd.Timestamp | dt.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return aware.astimezone(dt.UTC).isoformat(timespec="microseconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, str | int | float | bool):
        return 0.0 if value == 0 and isinstance(value, float) else value
    return str(value)
