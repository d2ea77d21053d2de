"""`/promote/{m}`: what a promotion would change, its gates, and the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mfprefect.console.answers import Answer
from mfprefect.console.listing import Column, Listing
from mfprefect.console.page import Page
from mfprefect.errors import AlreadyPromoted, InvalidValue
from mfprefect.report.blocks import Badge
from mfprefect.report.formats import brief, number, present, text
from mfprefect.store.browse.sessions import SessionFilter, list_sessions
from mfprefect.store.models.promotion import candidate, standing
from mfprefect.store.plan import PromotionPlan, plan_promotion
from mfprefect.store.results.report import model_row
from mfprefect.util.frames import records
from mfprefect.vocabulary import Purpose

__all__ = ["page"]

LEVELS = {"passed": "good", "failed": "bad", "undecided": "warn"}
MOST_TRAININGS = 20


def page(request: Page) -> Answer:
    """Return the plan of a promotion: of the chosen training, or of the newest candidate."""
    model_id, db = request.model_id, request.db
    model_row(db, model_id)
    chosen = request.query.text("session", 96) or candidate(db, model_id)
    trainings = list_sessions(
        db, SessionFilter(model_id=model_id, purpose=Purpose.TRAIN), MOST_TRAININGS
    ).rows
    production: str | None = None
    problems: list[str] = []
    refused = ""
    if chosen is not None:
        try:
            production, problems = standing(db, model_id, chosen)
        except (AlreadyPromoted, InvalidValue) as exc:
            refused = str(exc)
    values = {
        "model_id": model_id,
        "chosen": chosen,
        "production": production,
        "problems": problems,
        "refused": refused,
        "trainings": [row["session_id"] for row in trainings],
        "plan": lambda: _plan(request, model_id, str(chosen)),
    }
    title = f"Promote {model_id}"
    return Answer(request.console.stream("promote.html", page=request, title=title, **values))


def _plan(request: Page, model_id: str, session_id: str) -> dict[str, Any]:
    """Return the plan; the head of the page is with the reader while it is made."""
    store = request.console.store
    plan = store.database.snapshot(lambda moment: plan_promotion(moment, model_id, session_id))
    return {
        "verdicts": plan.verdicts,
        "basis": plan.basis,
        "tables": [table for table in _tables(request, plan) if table.rows],
    }


def _tables(request: Page, plan: PromotionPlan) -> Iterator[Listing]:
    yield _gates(records(plan.gates))
    yield _plain(records(plan.movement), "How scores move", {"value": "number"})
    flips = {"rows": "number", "share": "number"}
    yield _plain(records(plan.flips), "Decisions", flips)
    yield _plain(records(plan.segments)[:20], "Segments, most changed decisions first", {})
    changed = [row for row in records(plan.columns) if row["needed_by"] != "both"]
    yield _plain(changed, "Data that only one of the models needs", {})
    yield _plain(records(plan.readers), "Who reads the scores", {})


def _gates(rows: Sequence[Mapping[str, Any]]) -> Listing:
    columns = [
        Column("gate", "gate"),
        Column(
            "verdict",
            "verdict",
            show=lambda r: Badge(r["verdict"], LEVELS.get(r["verdict"], "info")),
        ),
        Column("figure", "candidate", "number"),
        Column("production_figure", "production", "number"),
        Column("difference", "difference", "number", show=_difference),
        Column("reason", "reason", show=lambda r: text(r["reason"], 300)),
    ]
    return Listing(columns, rows, "Gates")


def _difference(row: Mapping[str, Any]) -> str:
    if not present(row["difference"]):
        return ""
    ends = [brief(row[name]) for name in ("low", "high") if present(row[name])]
    return number(row["difference"]) + (f" ({' to '.join(ends)})" if len(ends) == 2 else "")


def _plain(rows: Sequence[Mapping[str, Any]], caption: str, kinds: Mapping[str, str]) -> Listing:
    names = [name for name in (rows[0] if rows else ()) if any(present(row[name]) for row in rows)]
    columns = [Column(name, name.replace("_", " "), kinds.get(name, "text")) for name in names]
    return Listing(columns, rows, caption)
