"""`/`: all models in one table, the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mfprefect.console.answers import Answer
from mfprefect.console.listing import FORMATS, Column, Link, Listing, When, exported
from mfprefect.console.page import Page
from mfprefect.quality.metrics.order import ordered
from mfprefect.report.blocks import Badge, Key
from mfprefect.report.formats import brief, duration, text
from mfprefect.store.browse.overview import ModelState, model_states

__all__ = ["NOTHING", "age", "find_problems", "listing_of", "page", "row_of", "short_id", "span"]

NOTHING = "nothing in production"
SHOWN_FIGURES = 2
RANK = {"bad": 2, "warn": 1, "good": 0}


def page(request: Page) -> Answer:
    """Return the page of all models."""
    states = request.console.states.get(lambda: model_states(request.db))
    listing = listing_of(request, states)
    file = exported(request, listing, "models")
    if file is not None:
        return file
    bad = sum(row["level"] == "bad" for row in listing.rows)
    summary = f"{len(states)} {'model' if len(states) == 1 else 'models'}"
    summary += f"; {bad} {'needs' if bad == 1 else 'need'} attention" if bad else ""
    return request.show("overview.html", "Models", listing=listing, summary=summary)


def listing_of(request: Page, states: list[ModelState]) -> Listing:
    """Return the table of models, the worst first."""
    rows = [row_of(state) for state in states]
    rows.sort(key=lambda row: (-RANK[row["level"]], -len(row["problems"]), row["model_id"]))
    as_file = request.query.text("format") is not None
    columns = [
        Column("model_id", "model", show=lambda row: _model(request, row)),
        Column("state", "state", show=_state),
        Column("production", "in production", show=lambda row: _production(request, row)),
        Column("since", "since, by", "short", show=_since),
        *([Column("by", "by"), Column("why", "why")] if as_file else []),
        Column("tested", "test", "number", show=lambda row: _figures(row["tested"])),
        Column("outcomes", "real outcomes", "number", show=lambda row: _figures(row["outcomes"])),
        Column("scored_at", "last scores", "short", show=_scores),
        Column("alarms", "drift", show=_drift),
        Column("candidate", "waiting", show=lambda row: _candidate(request, row)),
    ]
    formats = () if request.site else FORMATS
    exports = {name: request.here(format=name) for name in formats}
    return Listing(columns, rows, "Models, those that need attention first", exports=exports)


def row_of(state: ModelState) -> dict[str, Any]:
    """Return a model's row, of plain values."""
    problems = list(find_problems(state))
    levels = [level for level, _ in problems]
    stage, scoring = state.production, state.scoring
    return {
        "model_id": state.model_id,
        "description": state.model["description"],
        "level": max(levels, key=RANK.__getitem__, default="good"),
        "problems": problems,
        "state": "; ".join(text_ for _, text_ in problems) or "healthy",
        "production": stage["session_id"] if stage else None,
        "stage": state.stage["stage"] if state.stage else None,
        "since": stage["set_at"] if stage else None,
        "by": stage["set_by"] if stage else None,
        "why": stage["reason"] if stage else None,
        "tested": state.tested,
        "outcomes": state.outcomes,
        "scored_at": scoring["published_at"] if scoring else None,
        "age": state.age(),
        "max_age": state.model["max_age_seconds"],
        "alarms": state.alarms,
        "alarmed": state.alarmed,
        "candidate": state.candidate["session_id"] if state.candidate else None,
        "candidate_failed": bool(state.candidate and state.candidate["status"] == "failed"),
    }


def find_problems(state: ModelState) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a model: level and text, the worst first."""
    if state.stale:
        yield "bad", "no scores in time"
    for row in state.failing:
        yield "bad", f"last {row['purpose']} {row['status']}"
    if state.alarms:
        yield "bad", "drift"
    if state.undelivered:
        yield "warn", "notices not delivered"
    if not state.last:
        yield "warn", "no session yet"
    elif state.production is None:
        stage = state.stage["stage"] if state.stage else "nothing"
        yield "warn", {"nothing": NOTHING}.get(stage, stage)


def _model(request: Page, row: Mapping[str, Any]) -> Link:
    url = request.url("models", row["model_id"])
    return Link(row["model_id"], url, text(row["description"] or "", 90))


def _state(row: Mapping[str, Any]) -> tuple[Badge, ...]:
    if not row["problems"]:
        return (Badge("healthy", "good"),)
    return tuple(Badge(words, level) for level, words in row["problems"])


def _production(request: Page, row: Mapping[str, Any]) -> Link | str:
    if row["production"] is None:
        return ""
    name = short_id(row["production"], row["model_id"])
    return Link(name, request.url("sessions", row["production"]), text(row["why"] or "", 80))


def short_id(session_id: str, model_id: str) -> str:
    """Return a session's id without its model, where a page names that beside it."""
    return session_id.removeprefix(f"{model_id}-") or session_id


def _since(row: Mapping[str, Any]) -> tuple[Any, ...] | str:
    return "" if row["since"] is None else (When(row["since"]), Key("", row["by"]))


def _figures(figures: Mapping[str, float]) -> Key | str:
    names = ordered(figures)[:SHOWN_FIGURES]
    if not names:
        return ""
    first, *others = [f"{name} {brief(figures[name])}" for name in names]
    return Key(first, ", ".join(others))


def _scores(row: Mapping[str, Any]) -> Key | str:
    expected = f"every {span(row['max_age'])}" if row["max_age"] else ""
    if row["age"] is None:
        return Key("never", expected) if expected else ""
    return Key(f"{age(row['age'])} ago", expected)


def span(seconds: float) -> str:
    """Format a span that people chose, such as a day: in whole units where it is whole."""
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit and seconds % unit == 0:
            count = int(seconds // unit)
            return f"{count} {name}s" if count > 1 else name
    return duration(seconds)


def age(seconds: float) -> str:
    """Format an age: from two days on in days."""
    return f"{seconds / 86400:.0f} days" if seconds >= 2 * 86400 else duration(max(seconds, 0))


def _drift(row: Mapping[str, Any]) -> Key | str:
    if not row["alarms"]:
        return ""
    count = row["alarms"]
    names = ", ".join(text(name, 30) for name in row["alarmed"][:3])
    more = f" and {len(row['alarmed']) - 3} more" if len(row["alarmed"]) > 3 else ""
    return Key(f"{count} {'alarm' if count == 1 else 'alarms'}", names + more)


def _candidate(request: Page, row: Mapping[str, Any]) -> Link | str:
    if row["candidate"] is None:
        return ""
    url = request.url("promote", row["model_id"], session=row["candidate"])
    return Link("candidate", url, "failed its gates" if row["candidate_failed"] else "")
