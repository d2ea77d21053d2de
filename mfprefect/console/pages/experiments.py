"""`/models/{m}/experiments`: parameters beside metrics, the best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mfprefect.console.answers import Answer
from mfprefect.console.charts import Point, scatter_chart
from mfprefect.console.listing import FORMATS, Check, Column, Link, Listing, cell, exported
from mfprefect.console.page import Page
from mfprefect.console.pages.sessions import bounds, status_badge
from mfprefect.console.params import LARGEST
from mfprefect.console.rendering import Pictures
from mfprefect.quality.metrics.order import ordered
from mfprefect.report.drawing import Picture
from mfprefect.report.formats import number, text
from mfprefect.store.browse.sessions import (
    PARAMS,
    TRIAL,
    SessionFilter,
    SessionPage,
    figures_of,
    list_sessions,
    params_of,
)
from mfprefect.store.results.report import model_row
from mfprefect.vocabulary import Purpose, is_of_training

__all__ = ["page"]

ROWS = 100
MOST_METRICS = 4
MOST_PARAMS = 12
LOWER_IS_BETTER = {*("brier", "log_loss", "ece", "rmse", "mae", "mape", "smape", "mase", "loss")}
FIELDS = ("sort", "where", "x", "y", "metrics")


def page(request: Page) -> Answer:
    """Return the trainings and trials of a model, sorted by a metric or a parameter."""
    model_id, query = request.model_id, request.query
    model_row(request.db, model_id)
    wanted = SessionFilter(
        model_id=model_id,
        purposes=(Purpose.TRAIN, TRIAL),
        bounds=bounds(query.text("where", 1000) or ""),
    )
    sort = query.text("sort", 300) or _best_first(request, wanted)
    result, rows = _rows(request, wanted, sort)
    metrics = (query.text("metrics", 1000) or "").split()[:MOST_METRICS] or _metrics(rows, sort)
    varied, equal = _params(rows)
    listing = _listing(request, result, rows, metrics, varied)
    file = exported(request, listing, "experiments")
    if file is not None:
        return file
    title = f"Experiments of {model_id}"
    return request.show(
        "experiments.html",
        title,
        model_id=model_id,
        listing=listing,
        values={name: query.text(name, 1000) for name in FIELDS} | {"sort": sort},
        chart=_chart(request, rows, metrics, varied),
        pictures=Pictures(),
        equal=[(name, cell(value)) for name, value in equal.items()],
    )


def _best_first(request: Page, wanted: SessionFilter) -> str | None:
    """Return the order by the main metric of the newest sessions, None without metrics."""
    newest = list_sessions(request.db, wanted, 10).rows
    figures = figures_of(request.db, [row["session_no"] for row in newest])
    names = ordered({name for of_session in figures.values() for name in of_session})
    if not names:
        return None
    return names[0] if names[0] in LOWER_IS_BETTER else f"-{names[0]}"


def _rows(
    request: Page, wanted: SessionFilter, sort: str | None
) -> tuple[SessionPage, list[dict[str, Any]]]:
    query = request.query
    value, after = query.figure("value"), query.integer("after", 0, LARGEST)
    name = None if sort is None else sort.removeprefix("-") or None
    result = list_sessions(
        request.db,
        wanted,
        ROWS,
        before=query.integer("before", 1),
        metric=name,
        descending=bool(sort and sort.startswith("-")),
        after=None if value is None or after is None else (value, after),
    )
    numbers = [row["session_no"] for row in result.rows]
    figures, params = figures_of(request.db, numbers), params_of(request.db, numbers)
    return result, [
        row | {"figures": figures[row["session_no"]], "params": params[row["session_no"]]}
        for row in result.rows
    ]


def _metrics(rows: Sequence[Mapping[str, Any]], sort: str | None) -> list[str]:
    names = ordered({name for row in rows for name in row["figures"]})
    by = (sort or "").removeprefix("-")
    first = [by] if by and not by.startswith(PARAMS) else []
    return list(dict.fromkeys([*first, *names]))[:MOST_METRICS]


def _params(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], dict[str, Any]]:
    """Return the parameters that differ, those that people set first, and the equal ones."""
    names = dict.fromkeys(name for row in rows for name in row["params"])
    varied, equal = [], {}
    for name in names:
        values = [row["params"].get(name) for row in rows]
        if any(value != values[0] for value in values):
            varied.append(name)
        else:
            equal[name] = values[0]
    return sorted(varied, key=is_of_training)[:MOST_PARAMS], equal


def _listing(
    request: Page,
    result: SessionPage,
    rows: list[dict[str, Any]],
    metrics: Sequence[str],
    params: Sequence[str],
) -> Listing:
    for row in rows:
        row.update({f"metrics.{name}": row["figures"].get(name) for name in metrics})
        row.update({f"{PARAMS}{name}": row["params"].get(name) for name in params})
    as_file = request.query.text("format") is not None
    columns = [
        Column("session_id", "session", show=lambda row: _session(request, row)),
        *([] if as_file else [Column("session_no", "", "pick", show=_choice)]),
        Column("purpose", "purpose", "short"),
        Column("status", "status", "short", show=status_badge),
        *(_column(request, f"metrics.{name}", name, name) for name in metrics),
        *(_column(request, f"{PARAMS}{name}", name, f"{PARAMS}{name}") for name in params),
        Column("started_at", "started", "short"),
    ]
    note = ""
    if result.searched is not None:
        note = f"These are among the newest {result.searched:,} sessions of the model."
    at_start = not any(map(request.query.text, ("before", "after")))
    return Listing(
        columns,
        rows,
        "Trainings and trials, the best first",
        "No training or trial has run yet: run the model's train or search flow.",
        older=_older(request, result),
        newest=None if at_start else request.here(before=None, after=None, value=None),
        note=note,
        exports={name: request.here(format=name) for name in FORMATS},
    )


def _session(request: Page, row: Mapping[str, Any]) -> Link:
    return Link(row["session_id"], request.url("sessions", row["session_id"]))


def _choice(row: Mapping[str, Any]) -> Check:
    return Check("s", row["session_id"], f"choose {row['session_id']}")


def _column(request: Page, key: str, title: str, name: str) -> Column:
    now = request.query.text("sort", 300)
    flipped = name if now == f"-{name}" else f"-{name}"
    url = request.here(sort=flipped, before=None, after=None, value=None, format=None)
    return Column(key, text(title, 40), "number", sort=url)


def _older(request: Page, result: SessionPage) -> str | None:
    if result.next_after is not None:
        value, session_no = result.next_after
        return request.here(value=repr(value), after=session_no, before=None)
    if result.next_before is None:
        return None
    return request.here(before=result.next_before, after=None, value=None)


def _chart(
    request: Page, rows: Sequence[Mapping[str, Any]], metrics: Sequence[str], params: Sequence[str]
) -> Picture | None:
    """Return the chosen figures against one another: by default the metric by a parameter."""
    numeric = [name for name in params if all(map(_is_number, _values(rows, f"{PARAMS}{name}")))]
    x = request.query.text("x", 300) or (f"{PARAMS}{numeric[0]}" if numeric else None)
    y = request.query.text("y", 300) or (metrics[0] if metrics else None)
    if x is None or y is None:
        return None
    points = []
    for row in rows:
        pair = _value(row, x), _value(row, y)
        if all(map(_is_number, pair)):
            label = f"{y} {number(pair[1])} at {x} {number(pair[0])}, {row['session_id']}"
            points.append(Point(float(pair[0]), float(pair[1]), label))
    return scatter_chart(f"{y} by {x}", points, (x, y))


def _values(rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    return [value for row in rows if (value := _value(row, name)) is not None]


def _value(row: Mapping[str, Any], name: str) -> Any:
    if name.startswith(PARAMS):
        return row["params"].get(name.removeprefix(PARAMS))
    return row["figures"].get(name)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
