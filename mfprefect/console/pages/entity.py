"""`/scores/{m}?entity=`: one entity's published scores in time; the look-up is recorded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from mfprefect.console.acting import acting
from mfprefect.console.answers import Answer
from mfprefect.console.charts import Point, Series, line_chart
from mfprefect.console.listing import FORMATS, Column, Link, Listing, When, exported
from mfprefect.console.logon import Refused
from mfprefect.console.page import Page
from mfprefect.console.rendering import Pictures
from mfprefect.errors import DatabaseError
from mfprefect.report.blocks import Badge, Key
from mfprefect.report.drawing import Picture
from mfprefect.report.formats import brief, day, number, present, text
from mfprefect.schema import ENTITY_ID_LENGTH
from mfprefect.store.browse.events import record_event
from mfprefect.store.results.report import model_row
from mfprefect.store.trace import Trace, trace
from mfprefect.store.trace.result import DeletedScores, TracedScore

__all__ = ["LOOK_UP", "page"]

LOOK_UP = "look_up_scores"
"""The action that the audit trail records."""
MOST = 200
"""Scores that a page shows; its files have all."""


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
    if on is not None and not 1 < on.year < dt.MAXYEAR:
        on = None  # all of time
    _record(request, model_id, entity, on)
    traced = trace(request.db, model_id, entity, on)
    listing = _listing(request, traced)
    file = exported(request, listing, "scores")
    if file is not None:
        return file
    values |= {
        "scores": listing,
        "deleted": _deleted(request, traced.deleted),
        "chart": _chart(traced),
        "pictures": Pictures(),
    }
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


def _row(score: TracedScore) -> dict[str, Any]:
    """Return a score's row, of plain values."""
    run, model, threshold = score.run, score.model, score.threshold
    promotion = model.promotion if model else None
    return {
        "as_of": score.as_of,
        "score": score.score,
        "score_class": score.score_class,
        "published_at": score.published_at,
        "newest_from": score.newest_from,
        "newest_until": score.newest_until,
        "replaced_by": score.replaced_by,
        "threshold": threshold.value if threshold else None,
        "threshold_kind": threshold.kind if threshold else None,
        "decision": score.decision,
        "session_id": score.session_id,
        "attempt": run.attempt,
        "run_by": run.run_by,
        "scheduled": score.scheduled,
        "deployment": score.deployment,
        "commit": run.commit,
        "author": run.author,
        "inputs": "; ".join(f"{x.source} ({x.digest or 'no digest'})" for x in score.inputs),
        "training": model.session_id if model else None,
        "training_commit": model.run.commit if model else None,
        "promoted_by": promotion.promoted_by if promotion else None,
        "promoted_reason": promotion.reason if promotion else None,
        "seal": score.seal,
    }


def _listing(request: Page, traced: Trace) -> Listing:
    rows = [_row(score) for score in traced.scores]
    if request.query.text("format") is not None:
        names = list(_FIELDS) if not rows else list(rows[0])
        return Listing([Column(name, name) for name in names], rows, "Published scores")
    columns = [
        Column("as_of", "data as of", "short"),
        Column("published_at", "published", "short"),
        Column("newest_from", "readers saw it", "short", show=_seen),
        Column("score", "score", "number", show=_score),
        Column("threshold", "threshold", "number", show=_threshold),
        Column("decision", "decision"),
        Column("session", "session, attempt", show=lambda row: _session(request, row)),
        Column("run_by", "started by", show=_starter),
        Column("commit", "code", show=_code),
        Column("training", "model, promoted by", show=lambda row: _training(request, row)),
        Column("inputs", "read", show=lambda row: text(row["inputs"], 120)),
    ]
    note = f"The first {MOST} are shown; the files have all." if len(rows) > MOST else ""
    on = f" that readers saw on {traced.on}" if traced.on else ""
    empty = f"This entity has no published score{on}."
    exports = {name: request.here(format=name) for name in FORMATS}
    caption = "Published scores, the last published first"
    return Listing(columns, rows[:MOST], caption, empty, note=note, exports=exports)


_FIELDS = ("as_of", "score", "published_at", "session_id")


def _seen(row: Mapping[str, Any]) -> Any:
    if row["newest_from"] is None:
        return Badge("never the newest", "info")
    if row["newest_until"] is None:
        return (Badge("now", "good"), Key("", "since"), When(row["newest_from"]))
    return (When(row["newest_from"]), Key("", "until"), When(row["newest_until"]))


def _score(row: Mapping[str, Any]) -> Key:
    return Key(number(row["score"]), row["score_class"] or "")


def _threshold(row: Mapping[str, Any]) -> Key | str:
    if not present(row["threshold"]):
        return ""
    return Key(brief(row["threshold"]), row["threshold_kind"])


def _session(request: Page, row: Mapping[str, Any]) -> Link:
    name = row["session_id"]
    return Link(name, request.url("sessions", name), f"attempt {row['attempt']}")


def _starter(row: Mapping[str, Any]) -> Key:
    how = "by a schedule" if row["scheduled"] else ""
    return Key(row["run_by"] or "", ", ".join(x for x in (row["deployment"], how) if x))


def _code(row: Mapping[str, Any]) -> Key:
    return Key(str(row["commit"] or "")[:10], text(row["author"] or "", 80))


def _training(request: Page, row: Mapping[str, Any]) -> Link | str:
    if row["training"] is None:
        return ""
    who = row["promoted_by"]
    why = f": {text(row['promoted_reason'], 80)}" if row["promoted_reason"] else ""
    below = f"{who}{why}" if who else "never promoted"
    return Link(row["training"], request.url("sessions", row["training"]), below)


def _deleted(request: Page, rows: tuple[DeletedScores, ...]) -> Listing:
    columns = [
        Column("session_id", "session"),
        Column("published_at", "published", "short"),
        Column("deleted_at", "deleted", "short"),
        Column("deleted_by", "by"),
        Column("rows", "scores", "number"),
    ]
    shown = [{column.key: getattr(row, column.key) for column in columns} for row in rows[:MOST]]
    return Listing(columns, shown, "Deleted scores, which may have been about it, too")


def _chart(traced: Trace) -> Picture | None:
    rows = sorted(traced.scores[:MOST], key=lambda score: score.published_at)
    if len(rows) < 2:
        return None
    points = [
        Point(
            row.published_at.timestamp(),
            row.score,
            f"{brief(row.score)}, data as of {day(row.as_of)}",
        )
        for row in rows
    ]
    ends = (day(rows[0].published_at), day(rows[-1].published_at))
    return line_chart("Score over time", [Series("score", points)], ends)
