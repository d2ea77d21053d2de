"""`/scores/{m}?entity=`: one entity's published scores in time; the look-up is recorded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from mfprefect.console.acting import acting
from mfprefect.console.answers import Answer
from mfprefect.console.charts import Point, Series, line_chart
from mfprefect.console.listing import FORMATS, Column, Link, Listing, exported
from mfprefect.console.logon import Refused
from mfprefect.console.page import Page
from mfprefect.console.rendering import Pictures
from mfprefect.errors import DatabaseError
from mfprefect.report.blocks import Badge, Key
from mfprefect.report.formats import brief, day, number, present
from mfprefect.schema import ENTITY_ID_LENGTH
from mfprefect.store.browse.entity import EntityScores, entity_scores
from mfprefect.store.browse.events import record_event
from mfprefect.store.results.report import model_row

__all__ = ["LOOK_UP", "page"]

LOOK_UP = "look_up_scores"
"""The action that the audit trail records."""


def page(request: Page) -> Answer:
    """Return the scores of an entity; without one, the form that asks for it."""
    model_id = request.model_id
    model = model_row(request.db, model_id)
    entity, on = request.query.text("entity", ENTITY_ID_LENGTH), request.query.day("on")
    values: dict[str, Any] = {
        "model_id": model_id,
        "entity": entity,
        "on": on,
        "what": model["entity_type"] or "entity",
        "scores": None,
    }
    if entity is None:
        return request.show("entity.html", f"Scores of {model_id}", **values)
    _record(request, model_id, entity, on)
    until = None if on is None else _instant(on) + dt.timedelta(days=1)
    found = entity_scores(request.db, model_id, entity, until)
    listing = _listing(request, found, on)
    file = exported(request, listing, "scores")
    if file is not None:
        return file
    values |= {"scores": listing, "chart": _chart(found), "pictures": Pictures()}
    return request.show("entity.html", f"Scores of {model_id}", **values)


def _record(request: Page, model_id: str, entity: str, on: dt.date | None) -> None:
    """Record the look-up before anything is shown: what cannot be recorded is not shown.

    Raises:
        Refused: the database user may not write the audit trail.
    """
    detail = {"entity": entity, **({"on": str(on)} if on else {})}
    try:
        with acting(request.person):
            record_event(request.console.writer.database, LOOK_UP, model_id, **detail)
    except DatabaseError as exc:
        if exc.transient:
            raise
        raise Refused(
            403,
            "a look-up is recorded in the audit trail, which this console's database user may "
            "not write; set `console.write_url`.",
        ) from exc


def _instant(on: dt.date) -> dt.datetime:
    if on >= dt.date.max:
        on = dt.date.max - dt.timedelta(days=1)
    return dt.datetime(on.year, on.month, on.day, tzinfo=dt.UTC)


def _listing(request: Page, found: EntityScores, on: dt.date | None) -> Listing:
    for place, row in enumerate(found.rows):
        row["seen"] = place == 0
    columns = [
        Column("day", "data as of", "short", show=lambda row: day(row["day"])),
        Column("seen", "readers saw", show=_seen),
        Column("published_at", "published", "short"),
        Column("score", "score", "number", show=_score),
        Column("threshold", "threshold", "number", show=_threshold),
        Column("decision", "decision", show=_decision),
        Column(
            "session_id",
            "session",
            show=lambda r: Link(r["session_id"], request.url("sessions", r["session_id"])),
        ),
        Column("training", "model of", show=lambda row: _training(request, row)),
        Column("git_commit", "commit", "code", show=lambda r: str(r["git_commit"] or "")[:10]),
        Column("run_by", "by", show=lambda r: Key(r["run_by"], r["deployment"] or "")),
    ]
    for row in found.rows:
        row["decision"] = _decided(row)
    note = ""
    if found.searched is not None:
        note = (
            f"The {found.searched} newest published sessions were searched; there are older ones."
        )
    caption = "Published scores, the newest day of data first"
    empty = "This entity has no published score" + (f" of {on} or before." if on else ".")
    exports = {name: request.here(format=name) for name in FORMATS}
    return Listing(columns, found.rows, caption, empty, note=note, exports=exports)


def _seen(row: Mapping[str, Any]) -> Badge | str:
    return Badge("this one", "good") if row["seen"] else ""


def _score(row: Mapping[str, Any]) -> Key:
    return Key(number(row["score"]), row["score_class"] or "")


def _threshold(row: Mapping[str, Any]) -> Key | str:
    if not present(row["threshold"]):
        return ""
    return Key(brief(row["threshold"]), row["threshold_kind"])


def _decided(row: Mapping[str, Any]) -> str | None:
    if row["threshold"] is None or row["threshold_kind"] != "probability":
        return None
    return "acted on" if row["score"] >= row["threshold"] else "not acted on"


def _decision(row: Mapping[str, Any]) -> str:
    return row["decision"] or ""


def _training(request: Page, row: Mapping[str, Any]) -> Link | str:
    if row["training"] is None:
        return ""
    return Link(row["training"], request.url("sessions", row["training"]))


def _chart(found: EntityScores) -> Any:
    rows = sorted(found.rows, key=lambda row: row["published_at"])
    if len(rows) < 2:
        return None
    points = [
        Point(
            row["published_at"].timestamp(),
            row["score"],
            f"{brief(row['score'])}, data as of {day(row['day'])}",
        )
        for row in rows
    ]
    ends = (day(rows[0]["published_at"]), day(rows[-1]["published_at"]))
    return line_chart("Score over time", [Series("score", points)], ends)
