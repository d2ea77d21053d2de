"""Operations that read models, the audit trail and the state of the store."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field

import mfprefect
from mfprefect.console.api.answers import page, tagged, values_of
from mfprefect.console.api.context import AUDIT, READ, Ctx, right
from mfprefect.console.api.documents import items_of, page_of, row, rows_of
from mfprefect.console.api.problems import responses
from mfprefect.console.api.routes_sessions import Cursor, Limit
from mfprefect.errors import InvalidValue, UnknownModel
from mfprefect.store.database.migrate import found_revision
from mfprefect.store.spool.listing import waiting
from mfprefect.util.json_rows import plain, records

__all__ = ["router"]

router = APIRouter(responses=responses(401, 403, 404, 409, 422, 503))
Reader = [Depends(right(READ))]
Auditor = [Depends(right(AUDIT))]
ModelId = Annotated[str, Path(min_length=1, max_length=64, description="The model.")]

_model: dict[str, Any] = {
    "sessions": (int, Field(description="How many it has.")),
    "last_started_at": (str | None, Field(description="When the last one began (UTC).")),
    "production": (str | None, Field(description="The training session in production.")),
}
ModelRow = rows_of("models", **_model)
Stage = row(
    "Stage",
    "A stage of a model, and since when.",
    session_id=str,
    stage=(str, Field(description="production, experimental or retired.")),
    set_at=str,
    until=str | None,
    set_by=str,
    reason=str | None,
    override=str | None,
    rolled_back_from=str | None,
    gates=Any,
)
Freshness = row(
    "Freshness",
    "The age of the last scores of a model.",
    model_id=str,
    last_scored_at=str | None,
    max_age_seconds=float,
    age_seconds=float | None,
    stale=bool,
    session_id=str | None,
)
Event = row(
    "Event",
    "An event of the audit trail.",
    event_no=int,
    at=str,
    actor=str,
    action=str,
    subject=str,
    detail=dict[str, Any],
)
Head = row(
    "AuditHead",
    "The ends of the chains; store them where no user of the database can write.",
    event=dict[str, Any] | None,
    seals=list[dict[str, Any]],
)
Plan = row(
    "Plan",
    "What a promotion would change.",
    model_id=str,
    session_id=str,
    production_session_id=str | None,
    basis=str,
    threshold=dict[str, Any] | None,
    rows=int,
    flipped=int | None,
    movement=list[dict[str, Any]],
    flips=list[dict[str, Any]],
    segments=list[dict[str, Any]],
    columns=list[dict[str, Any]],
    gates=list[dict[str, Any]],
    readers=list[dict[str, Any]],
    problems=list[str],
    notes=list[str],
    verdicts=list[str],
)
Experiment = row(
    "Experiment",
    "A training or trial: what it was given, and what came out.",
    session_id=str,
    purpose=str,
    status=str,
    started_at=str,
    ended_at=str | None,
    run_by=str,
    git_commit=str | None,
    as_of=str | None,
    parent_session_id=str | None,
    params=(dict[str, Any], Field(description="By name; null where it lacks one.")),
    metrics=(dict[str, float | None], Field(description="Of all rows, by name.")),
)
DatabaseSize = row(
    "DatabaseSize",
    "How large the database is.",
    revision=(str, Field(description="Revision of the schema.")),
    tables=list[dict[str, Any]],
    models=list[dict[str, Any]],
)
SpoolEntry = row(
    "SpoolEntry",
    "A session that waits for its database.",
    session_id=str,
    attempt=int,
    model_id=str | None,
    purpose=str | None,
    state=(str, Field(description="complete, running, interrupted or corrupt.")),
    ended=(str | None, Field(description="The status that the run ended with.")),
    began_at=str | None,
    ended_at=str | None,
    bytes=int,
)
SPOOLED = tuple(SpoolEntry.model_fields)
About = row("About", "This server and you.", version=str, name=str, rights=list[str])


@router.get("/", response_model=About, summary="Show server and person", tags=["server"])
def about(request: Request, person: Annotated[Any, Depends(right(READ))]) -> Response:
    """Return the version of mfprefect, your name, and what you may do."""
    rights = [each for each in ("read", "look_up", "audit", "write") if person.may(each)]
    return tagged(
        request, {"version": mfprefect.__version__, "name": person.name, "rights": rights}
    )


@router.get(
    "/models",
    response_model=page_of(ModelRow),
    summary="List models",
    dependencies=Reader,
    tags=["models"],
)
def list_models(
    request: Request, context: Ctx, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Return the registered models by id."""
    after = values_of(cursor) or [""]
    if len(after) != 1 or not isinstance(after[0], str):
        raise InvalidValue("the cursor is not one of this listing; leave it out to begin anew.")
    rows = [row for row in records(context.store.models()) if row["model_id"] > after[0]]
    more = [rows[limit - 1]["model_id"]] if len(rows) > limit else None
    return page(request, rows[:limit], more)


@router.get(
    "/models/{model_id}",
    response_model=ModelRow,
    summary="Show a model",
    dependencies=Reader,
    tags=["models"],
)
def show_model(request: Request, model_id: ModelId, context: Ctx) -> Response:
    """Return a model."""
    models = {row["model_id"]: row for row in records(context.store.models())}
    if model_id not in models:
        raise UnknownModel(model_id, list(models))
    return tagged(request, models[model_id])


@router.get(
    "/models/{model_id}/stages",
    response_model=items_of(Stage),
    summary="List stages",
    dependencies=Reader,
    tags=["models"],
)
def list_stages(request: Request, model_id: ModelId, context: Ctx) -> Response:
    """Return what was in production, since when, by whom and why: the newest first."""
    return tagged(request, {"items": records(context.store.stages(model_id))})


@router.get(
    "/models/{model_id}/thresholds",
    response_model=items_of(rows_of("model_thresholds")),
    summary="List thresholds",
    dependencies=Reader,
    tags=["models"],
)
def list_thresholds(request: Request, model_id: ModelId, context: Ctx) -> Response:
    """Return the operating thresholds, the newest first."""
    return tagged(request, {"items": records(context.store.thresholds(model_id))})


@router.get(
    "/models/{model_id}/experiments",
    response_model=items_of(Experiment),
    summary="List experiments",
    dependencies=Reader,
    tags=["models"],
)
def list_experiments(
    request: Request,
    model_id: ModelId,
    context: Ctx,
    sort: Annotated[
        str | None,
        Query(max_length=300, description="A metric or parameter; with - the highest first."),
    ] = None,
    where: Annotated[
        list[str],
        Query(max_length=20, description="Conditions such as depth=6 or auc>0.8; all must hold."),
    ] = [],  # noqa: B006 - FastAPI copies it
    parent: Annotated[
        str | None, Query(max_length=96, description="Only the trials of this session.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
) -> Response:
    """Return trainings and trials, parameters beside metrics: the newest first, or the best."""
    frame = context.store.experiments(model_id, sort=sort, where=where, parent=parent, limit=limit)
    return tagged(request, {"items": [_nested(item) for item in records(frame)]})


def _nested(item: dict[str, Any]) -> dict[str, Any]:
    """Return a wide row with its parameters and metrics as objects."""
    nested: dict[str, Any] = {"params": {}, "metrics": {}}
    for name, value in item.items():
        group, _, rest = name.partition(".")
        if rest and group in ("params", "metrics"):
            nested[group][rest] = value
        else:
            nested[name] = value
    return nested


@router.get(
    "/models/{model_id}/plan",
    response_model=Plan,
    summary="Plan a promotion",
    dependencies=Reader,
    tags=["models"],
)
def plan(
    request: Request,
    model_id: ModelId,
    context: Ctx,
    session_id: Annotated[str, Query(min_length=1, max_length=96)],
) -> Response:
    """Return what promoting a training session would change, from stored scores."""
    planned = context.store.plan(model_id, session_id)
    frames = ("movement", "flips", "segments", "columns", "gates", "readers")
    body = {
        name: records(value) if name in frames else plain(value)
        for name, value in vars(planned).items()
    }
    return tagged(request, body)


@router.get(
    "/freshness",
    response_model=items_of(Freshness),
    summary="List ages of scores",
    dependencies=Reader,
    tags=["server"],
)
def list_freshness(request: Request, context: Ctx) -> Response:
    """Return the age of the last scores of each model that has a greatest age."""
    return tagged(request, {"items": records(context.store.freshness())})


@router.get(
    "/audit/events",
    response_model=page_of(Event),
    summary="List events",
    dependencies=Auditor,
    tags=["audit"],
)
def list_events(
    request: Request,
    context: Ctx,
    model_id: Annotated[str | None, Query(max_length=64)] = None,
    session_id: Annotated[str | None, Query(max_length=96)] = None,
    actor: Annotated[str | None, Query(max_length=128)] = None,
    action: Annotated[str | None, Query(max_length=32)] = None,
    since: Annotated[
        str | None, Query(max_length=40, description="A date in UTC, or a span: 7d, 12h.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Return the audit trail, newest first; notices only with action=notice."""
    frame = context.store.audit_log(
        model_id=model_id,
        session_id=session_id,
        actor=actor,
        action=action,
        since=since,
        before=_number(cursor),
        limit=limit + 1,
    )
    rows = records(frame)
    more = [rows[limit - 1]["event_no"]] if len(rows) > limit else None
    return page(request, rows[:limit], more)


def _number(cursor: str | None) -> int | None:
    values = values_of(cursor)
    if values is None:
        return None
    if len(values) != 1 or type(values[0]) is not int or not 0 <= values[0] < 2**31:
        raise InvalidValue("the cursor is not one of this listing; leave it out to begin anew.")
    return values[0]


@router.get(
    "/audit/head",
    response_model=Head,
    summary="Show the ends of the chains",
    dependencies=Auditor,
    tags=["audit"],
)
def audit_head(request: Request, context: Ctx) -> Response:
    """Return the last event, and the last seal of each model."""
    return tagged(request, plain(context.store.audit_head()))


@router.get(
    "/database",
    response_model=DatabaseSize,
    summary="Show the size of the database",
    dependencies=Auditor,
    tags=["server"],
)
def show_database(request: Request, context: Ctx) -> Response:
    """Return revision, tables with rows and bytes, and how much each model takes.

    Counts the rows of all tables but the scores: do not ask each minute.
    """
    size = context.store.size()
    body = {
        "revision": found_revision(context.db),
        "tables": records(size.tables),
        "models": records(size.models),
    }
    return tagged(request, body)


@router.get(
    "/spool",
    response_model=items_of(SpoolEntry),
    summary="List what waits in the spool",
    dependencies=Auditor,
    tags=["server"],
)
def list_spool(request: Request, context: Ctx) -> Response:
    """Return the sessions of this database that wait on the server's machine."""
    entries = waiting(context.db) if context.db.settings.spool_folder else []
    rows = [{name: vars(info)[name] for name in SPOOLED} for _, info in entries if info.here]
    return tagged(request, {"items": plain(rows)})
