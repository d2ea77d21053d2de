"""`/compare?s=..&s=..`: up to ten sessions, differences first."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from mfprefect.console.answers import Answer
from mfprefect.console.charts import Point, Series, line_chart
from mfprefect.console.listing import FORMATS, Cell, Column, Link, Listing, exported
from mfprefect.console.page import Page
from mfprefect.console.params import BadRequest
from mfprefect.console.rendering import Pictures
from mfprefect.errors import UnknownSession
from mfprefect.quality.metrics.curve import roc
from mfprefect.quality.metrics.order import ordered
from mfprefect.report.blocks import Key
from mfprefect.report.drawing import Picture
from mfprefect.report.formats import brief, change, day, moment, number, percent, present, text
from mfprefect.store.browse.sessions import session_rows
from mfprefect.store.models.gate_verdicts import gates_frame
from mfprefect.store.results.frames import environment, of_sessions
from mfprefect.util.frames import records

__all__ = ["forge_link", "page"]

MOST = 10
MOST_CURVES = 6
MOST_POINTS = 200
DEFAULT = "__missing__"
LOOK = (
    ("a", "solid"),
    ("b", "solid"),
    ("c", "solid"),
    ("a", "dashed"),
    ("b", "dashed"),
    ("c", "dashed"),
)


def page(request: Page) -> Answer:
    """Return a page that compares sessions, the first one being the base."""
    ids = list(dict.fromkeys(request.query.all("s", 4 * MOST)))
    if len(ids) > MOST:
        raise BadRequest(f"{len(ids)} sessions are chosen; at most {MOST} are compared.")
    rows = session_rows(request.db, ids)
    for session_id in ids:
        if session_id not in rows:
            raise UnknownSession(session_id)
    chosen = [rows[session_id] for session_id in ids]
    if not chosen:
        return request.show("compare.html", "Compare sessions", sessions=[], heading="Compare")
    facts = _with_values(_facts(row) for row in chosen)
    params = _with_values(_params(row) for row in chosen)
    packages = _with_values(_packages(request, row) for row in chosen)
    metrics = _metrics(request, chosen)
    file = exported(request, metrics, "comparison")
    if file is not None:
        return file
    differing = [pair for pair in (*facts, *params) if _differs(pair[1])]
    equal = [pair for pair in (*facts, *params) if not _differs(pair[1])]
    return request.show(
        "compare.html",
        "Compare sessions",
        sessions=chosen,
        pictures=Pictures(),
        differing=_table(request, chosen, differing, "What differs"),
        metrics=metrics,
        curves=_curves(request, chosen),
        packages=_table(request, chosen, [p for p in packages if _differs(p[1])], "Packages"),
        equal=_table(request, chosen, equal, "What is equal"),
        code=list(_code(request, chosen)),
        equal_packages=sum(not _differs(values) for _, values in packages),
    )


def _with_values(documents: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[Any]]]:
    """Return the values of all sessions by name, missing ones as DEFAULT."""
    sides = list(documents)
    names = dict.fromkeys(name for side in sides for name in side)
    return [(name, [side.get(name, DEFAULT) for side in sides]) for name in names]


def _differs(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values[1:])


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model": row["model_id"],
        "purpose": row["purpose"],
        "status": row["status"],
        "started": moment(row["started_at"]),
        "data as of": day(row["as_of"]) if present(row["as_of"]) else "",
        "run by": row["run_by"],
        "host": row["host"],
        "commit": str(row["git_commit"] or "")[:12],
        "uncommitted changes": "yes" if row["git_dirty"] else "no",
        "branch": row["git_branch"] or "",
        "model of": row["parent_session_id"] or "",
    }


def _params(row: Mapping[str, Any]) -> dict[str, Any]:
    try:
        params = json.loads(row["params"])
    except ValueError:
        return {}
    return {f"parameter {name}": value for name, value in params.items()}


def _packages(request: Page, row: Mapping[str, Any]) -> dict[str, Any]:
    described = environment(request.db, row["session_id"])
    return {"Python": described["python"], **described["packages"]}


def _columns(request: Page, sessions: Sequence[Mapping[str, Any]], kind: str) -> list[Column]:
    return [
        Column(row["session_id"], text(row["session_id"], 60), kind, show=_at(at))
        for at, row in enumerate(sessions)
    ]


def _at(place: int) -> Callable[[Any], Cell]:
    """Return the function that shows the cell of one session."""

    def show(line: Any) -> Cell:
        shown: Cell = line["cells"][place]
        return shown

    return show


def _table(
    request: Page,
    sessions: Sequence[Mapping[str, Any]],
    lines: Sequence[tuple[str, Sequence[Any]]],
    caption: str,
) -> Listing:
    rows = [{"name": name, "cells": [_value(value) for value in values]} for name, values in lines]
    columns = [
        Column("name", "", show=lambda row: row["name"]),
        *_columns(request, sessions, "text"),
    ]
    return Listing(columns, rows, caption, "Nothing differs but the figures below.")


def _value(value: Any) -> Cell:
    if isinstance(value, str) and value == DEFAULT:
        return "\u2013"
    if isinstance(value, float):
        return number(value)
    return text(value, 300)


def _metrics(request: Page, sessions: Sequence[Mapping[str, Any]]) -> Listing:
    """Return metrics over all rows, with the change against the first session."""
    ids = [row["session_id"] for row in sessions]
    figures: dict[str, dict[str, float]] = {}
    versions: dict[str, set[Any]] = {}
    for row in records(of_sessions(request.db, "metrics", ids)):
        if row["segment"] == "":
            figures.setdefault(row["metric_name"], {})[row["session_id"]] = row["value"]
            versions.setdefault(row["metric_name"], set()).add(row["definition_version"])
    intervals = _intervals(request, ids)
    names = ordered(figures)
    names.sort(key=lambda name: len(set(figures[name].values())) == 1 and len(ids) > 1)
    rows = [
        {
            "metric": name,
            "redefined": len(versions[name]) > 1,
            **figures[name],
            "cells": [
                _figure(figures[name], ids, at, intervals.get(name, {})) for at in range(len(ids))
            ],
        }
        for name in names
    ]
    first = Column("metric", "metric", show=_metric_name)
    exports = {name: request.here(format=name) for name in FORMATS}
    return Listing(
        [first, *_columns(request, sessions, "number")],
        rows,
        "Metrics of all rows, and their change against the first session",
        "None of these sessions has metrics.",
        exports=exports,
    )


def _metric_name(row: Mapping[str, Any]) -> Key:
    note = "defined in different ways: not comparable" if row["redefined"] else ""
    return Key(row["metric"], note)


def _figure(
    figures: Mapping[str, float], ids: Sequence[str], at: int, intervals: Mapping[str, str]
) -> Cell:
    value, base = figures.get(ids[at]), figures.get(ids[0])
    if value is None:
        return "\u2013"
    below = [] if at == 0 or base is None else [change(base, value)]
    if ids[at] in intervals:
        below.append(intervals[ids[at]])
    return Key(number(value), "; ".join(below))


def _intervals(request: Page, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return intervals of differences to production that gates judged, by metric and session."""
    intervals: dict[str, dict[str, str]] = {}
    for row in records(gates_frame(request.db, list(ids))):
        if present(row["low"]) and present(row["high"]):
            name = re.split(r"[^\w]", str(row["gate"]))[0]
            words = f"to production {brief(row['low'])} to {brief(row['high'])}"
            intervals.setdefault(name, {})[row["session_id"]] = words
    return intervals


def _curves(request: Page, sessions: Sequence[Mapping[str, Any]]) -> list[Picture]:
    """Return the ROC curves of the first sessions over one another."""
    ids = [row["session_id"] for row in sessions][:MOST_CURVES]
    frame = of_sessions(request.db, "test_curve", ids)
    series = []
    for session_id, (role, style) in zip(ids, LOOK, strict=False):
        rows = frame[frame["session_id"] == session_id]
        if rows.empty:
            continue
        points = roc(rows)
        step = max(len(points) // MOST_POINTS, 1)
        some = records(points.iloc[[*range(0, len(points), step), len(points) - 1]])
        series.append(Series(session_id, [_roc_point(x) for x in some], role, style))
    if not series:
        return []
    ends = ("0 % false positives", "100 %")
    caption = "Upwards: the share of positives intervals."
    chart = line_chart("ROC curves", series, ends, caption, limits=(0.0, 1.0))
    return [chart] if chart else []


def _roc_point(row: Mapping[str, Any]) -> Point:
    label = f"{percent(row['tpr'])} of positives at {percent(row['fpr'])} false positives"
    return Point(float(row["fpr"]), float(row["tpr"]), label)


def _code(request: Page, sessions: Sequence[Mapping[str, Any]]) -> Iterator[Link]:
    """Yield links to the changes of code, from the first session's commit to each other one."""
    first, seen = sessions[0], set()
    for other in sessions[1:]:
        pair = (first["git_commit"], other["git_commit"])
        if None in pair or pair[0] == pair[1] or pair in seen:
            continue
        seen.add(pair)
        url = forge_link(other["git_remote"], *pair)
        if url is not None:
            yield Link(f"{pair[0][:10]} to {pair[1][:10]}", url)


_SSH = re.compile(r"(?:ssh://)?[\w.-]+@([\w.-]+)(?::\d+/|[:/])(.+?)(?:\.git)?/?")
_HTTPS = re.compile(r"https?://(?:[^/@\s]*@)?([\w.-]+(?::\d+)?)/(.+?)(?:\.git)?/?")
_HEX = re.compile(r"[0-9a-f]{7,64}")


def forge_link(remote: str | None, old: str, new: str) -> str | None:
    """Return where a forge shows the changes between two commits; None if that is not known."""
    match = _HTTPS.fullmatch(remote or "") or _SSH.fullmatch(remote or "")
    if match is None or not (_HEX.fullmatch(old) and _HEX.fullmatch(new)):
        return None
    host, path = match[1], quote(match[2])
    if "bitbucket" in host:
        return f"https://{host}/{path}/branches/compare/{new}..{old}"
    middle = "/-/compare/" if "gitlab" in host else "/compare/"
    return f"https://{host}/{path}{middle}{old}...{new}"
