"""`/sessions` and `/models/{m}/sessions`: filter, sort, choose columns, leaf through."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mfprefect.console.answers import Answer
from mfprefect.console.listing import (
    FORMATS,
    PAGE_ROWS,
    Check,
    Column,
    Link,
    Listing,
    When,
    cell,
    exported,
)
from mfprefect.console.page import Page
from mfprefect.console.params import LARGEST, BadRequest, Params, as_figure
from mfprefect.quality.metrics.order import ordered
from mfprefect.report.blocks import Badge, Key
from mfprefect.report.formats import duration, present
from mfprefect.report.sections.headline import LEVEL_OF_STATUS
from mfprefect.store.browse.sessions import (
    PARAMS,
    TRIAL,
    Bound,
    SessionFilter,
    SessionPage,
    figures_of,
    list_sessions,
    params_of,
)
from mfprefect.vocabulary import Purpose, Status

__all__ = ["bounds", "page", "picker", "status_badge", "took"]

MOST_BOUNDS = 5
MOST_METRICS = 8
DEFAULT_METRICS = 3
PURPOSES = list(dict.fromkeys([*Purpose, TRIAL]))
_BOUND = re.compile(r"([^\s<>=]+)\s*(<=|>=|<|>|=)\s*([^\s<>=]+)\s*")
_COMMIT = re.compile(r"[0-9a-fA-F]{1,64}")


def page(request: Page) -> Answer:
    """Return a page of sessions."""
    query, model_id = request.query, request.parts.get("model")
    if model_id is not None:
        model_id = request.model_id
        _require_model(request, model_id)
    wanted = _filter(query, model_id)
    sort, descending = _sort(query)
    result = list_sessions(
        request.db,
        wanted,
        PAGE_ROWS,
        before=query.integer("before", 1),
        metric=sort,
        descending=descending,
        after=_after(query),
    )
    numbers = [row["session_no"] for row in result.rows]
    figures = figures_of(request.db, numbers)
    rows = [row | {"figures": figures[row["session_no"]]} for row in result.rows]
    metrics = _metrics(query, rows, sort)
    names = [name.removeprefix(PARAMS) for name in metrics if name.startswith(PARAMS)]
    params = params_of(request.db, numbers, names)
    for row in rows:
        row["figures"] |= {f"{PARAMS}{k}": v for k, v in params[row["session_no"]].items()}
    listing = _listing(request, result, rows, metrics, model_id)
    file = exported(request, listing, "sessions")
    if file is not None:
        return file
    heading = f"Sessions of {model_id}" if model_id else "Sessions"
    return request.show(
        "sessions.html",
        heading,
        heading=heading,
        model_id=model_id,
        listing=listing,
        values={name: query.text(name, 1000) for name in FIELDS},
        filtered=any(query.text(name, 1000) for name in FIELDS),
        purposes=PURPOSES,
        statuses=list(Status),
        action=request.url(*request.path),
    )


FIELDS = (
    "model", "purpose", "status", "person", "commit", "tag", "since", "until", "where", "columns",
    "sort",
)  # fmt: skip


def _require_model(request: Page, model_id: str) -> None:
    from mfprefect.store.results.report import model_row

    model_row(request.db, model_id)


def _filter(query: Params, model_id: str | None) -> SessionFilter:
    commit = query.text("commit", 64)
    if commit is not None and not _COMMIT.fullmatch(commit):
        raise BadRequest(f"commit is {commit!r}; give the first hexadecimal digits of a commit.")
    return SessionFilter(
        model_id=model_id or query.text("model", 64),
        purpose=query.choice("purpose", PURPOSES),
        without_trials=query.text("purpose") is None,
        status=query.choice("status", list(Status)),
        person=query.text("person", 128),
        commit=commit and commit.lower(),
        tag=query.text("tag", 128),
        since=query.day("since"),
        until=query.day("until"),
        bounds=bounds(query.text("where", 1000) or ""),
    )


def bounds(conditions: str) -> tuple[Bound, ...]:
    """Return the conditions of a text such as `auc>0.8 rmse<=2`.

    Raises:
        BadRequest: it is no list of conditions.
    """
    parsed: list[Bound] = []
    rest = conditions.strip()
    while rest:
        match = _BOUND.match(rest)
        bound = None if match is None else _bound(*match.groups())
        if match is None or bound is None:
            text_ = "write such as auc>0.8 rmse<=2 params.kernel=rbf."
            raise BadRequest(f"where is {conditions[:60]!r}; {text_}")
        parsed.append(bound)
        rest = rest[match.end() :]
    if len(parsed) > MOST_BOUNDS:
        raise BadRequest(f"where has {len(parsed)} conditions; at most {MOST_BOUNDS} are read.")
    return tuple(parsed)


def _bound(name: str, sign: str, value: str) -> Bound | None:
    """Return a condition; None if it is none."""
    figure = as_figure(value)
    is_text = figure is None and sign == "=" and name.startswith(PARAMS)
    if len(name) > 262 or (figure is None and not is_text):
        return None
    return Bound(name, sign, value if figure is None else figure)  # type: ignore[arg-type]


def _sort(query: Params) -> tuple[str | None, bool]:
    name = query.text("sort", 129)
    if name is None:
        return None, True
    return name.removeprefix("-") or None, name.startswith("-")


def _after(query: Params) -> tuple[float, int] | None:
    """Return where the page before ended, in the order of a metric."""
    value, session_no = query.figure("value"), query.integer("after", 0, LARGEST)
    return None if value is None or session_no is None else (value, session_no)


def _metrics(query: Params, rows: Sequence[Mapping[str, Any]], sort: str | None) -> list[str]:
    """Return the metrics to show: the chosen ones, or the most important ones of these rows."""
    chosen = (query.text("columns", 1000) or "").split()
    if not chosen:
        names = {name for row in rows for name in row["figures"]}
        chosen = ordered(dict.fromkeys(sorted(names), 0.0))[:DEFAULT_METRICS]
    names_shown = [*([sort] if sort else []), *chosen]
    return list(dict.fromkeys(names_shown))[:MOST_METRICS]


def _listing(
    request: Page,
    result: SessionPage,
    rows: Sequence[dict[str, Any]],
    metrics: Sequence[str],
    model_id: str | None,
) -> Listing:
    for row in rows:
        row.update({_key(name): row["figures"].get(name) for name in metrics})
    for_model = [] if model_id else [Column("model_id", "model", show=_model_link(request))]
    columns: list[Column]
    as_file = request.query.text("format") is not None
    metric_columns = [_figure_column(request, name) for name in metrics]
    if as_file:
        names = ("session_id", "model_id", "purpose", "status", "attempt", "started_at", "ended_at")
        more = ("as_of", "run_by", "git_commit", "git_dirty", "deployment", "tags")
        columns = [*map(_plain, names), *metric_columns, *map(_plain, more)]
    else:
        columns = [
            Column("session_id", "session", show=lambda row: _session(request, row)),
            picker(),
            *for_model,
            Column("purpose", "purpose", "short"),
            Column("status", "status", "short", show=status_badge),
            Column("started_at", "started, took", "short", show=_started),
            *metric_columns,
            Column("as_of", "data as of", "short"),
            Column("run_by", "by, commit", show=_by),
            Column("tags", "tags", show=_tags),
        ]
    note = ""
    if result.searched is not None:
        note = f"This looked at {result.searched:,} sessions; there are more after these."
    at_start = not any(map(request.query.text, ("before", "after")))
    return Listing(
        columns,
        rows,
        "Sessions",
        _empty(request, model_id),
        older=_older(request, result),
        newest=None if at_start else request.here(before=None, after=None, value=None),
        note=note,
        exports={name: request.here(format=name) for name in FORMATS},
    )


def picker() -> Column:
    """Return the column of boxes that choose sessions to compare."""
    return Column(
        "session_no",
        "",
        "pick",
        show=lambda row: Check("s", row["session_id"], f"choose {row['session_id']}"),
    )


def _older(request: Page, result: SessionPage) -> str | None:
    if result.next_after is not None:
        value, session_no = result.next_after
        return request.here(value=repr(value), after=session_no, before=None)
    if result.next_before is None:
        return None
    return request.here(before=result.next_before, after=None, value=None)


def _empty(request: Page, model_id: str | None) -> str:
    if any(request.query.text(name, 1000) for name in FIELDS):
        return "No session is like that. Take a condition away, or look further back."
    of_model = f" of {model_id}" if model_id else ""
    return f"No session{of_model} has run yet: run its flow, or `mfprefect demo`."


def _session(request: Page, row: Mapping[str, Any]) -> Link:
    return Link(row["session_id"], request.url("sessions", row["session_id"]))


def _model_link(request: Page) -> Any:
    return lambda row: Link(row["model_id"], request.url("models", row["model_id"]))


def status_badge(row: Mapping[str, Any]) -> Badge:
    """Return the status of a session as a badge."""
    return Badge(row["status"], LEVEL_OF_STATUS.get(row["status"], "bad"))


def took(row: Mapping[str, Any]) -> Any:
    """Return how long a session took, or when it was last alive."""
    if present(row["ended_at"]):
        return duration((row["ended_at"] - row["started_at"]).total_seconds())
    return (Key("alive"), When(row["heartbeat_at"]))


def _key(name: str) -> str:
    """Return the name of a column in files."""
    return name if name.startswith(PARAMS) else f"metrics.{name}"


def _figure_column(request: Page, name: str) -> Column:
    now = request.query.text("sort", 129)
    flipped = name if now == f"-{name}" else f"-{name}"
    return Column(
        _key(name),
        name.removeprefix(PARAMS),
        "number",
        show=lambda row: cell(row["figures"].get(name)),
        sort=request.here(sort=flipped, before=None, after=None, value=None, format=None),
    )


def _plain(name: str) -> Column:
    return Column(name, name)


def _started(row: Mapping[str, Any]) -> tuple[Any, ...]:
    if present(row["ended_at"]):
        return When(row["started_at"]), Key("", f"took {took(row)}")
    return When(row["started_at"]), Key("", "runs")


def _by(row: Mapping[str, Any]) -> Key:
    commit = str(row["git_commit"])[:10] if present(row["git_commit"]) else ""
    return Key(row["run_by"], f"{commit}, changed" if commit and row["git_dirty"] else commit)


def _tags(row: Mapping[str, Any]) -> str:
    import json

    try:
        tags = json.loads(row["tags"]) if row["tags"] else []
    except ValueError:
        return ""
    return ", ".join(map(str, tags)) if isinstance(tags, list) else ""
