"""Operations that read sessions and what they hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field

from mfprefect.console.api.answers import etag_of, not_modified, page, tagged, values_of
from mfprefect.console.api.context import READ, Ctx, right
from mfprefect.console.api.documents import items_of, page_of, row, rows_of
from mfprefect.console.api.problems import responses
from mfprefect.store import Store
from mfprefect.util.json_rows import plain, records, with_parsed

__all__ = ["SessionId", "router"]

router = APIRouter(
    tags=["sessions"],
    dependencies=[Depends(right(READ))],
    responses=responses(401, 403, 404, 422, 503),
)
SessionId = Annotated[str, Path(min_length=1, max_length=96, description="The session.")]
Limit = Annotated[int, Query(ge=1, le=500, description="The most rows.")]
Cursor = Annotated[str | None, Query(max_length=500, description="next_cursor of the page before.")]

SessionRow = rows_of(
    "sessions",
    without=("parent_session_no",),
    session_no=(int | None, Field(description="Number of the session.")),
    parent_session_id=(str | None, Field(description="Training session whose model it used.")),
)


@router.get("/sessions", response_model=page_of(SessionRow), summary="List sessions")
def list_sessions(
    request: Request,
    context: Ctx,
    model_id: Annotated[str | None, Query(max_length=64)] = None,
    status: Literal["running", "succeeded", "failed", "crashed", "cancelled"] | None = None,
    purpose: Annotated[str | None, Query(max_length=16)] = None,
    run_by: Annotated[str | None, Query(max_length=128)] = None,
    git_commit: Annotated[str | None, Query(max_length=64)] = None,
    since: Annotated[
        str | None, Query(max_length=40, description="A date in UTC, or a span: 7d, 12h.")
    ] = None,
    trials: Annotated[bool, Query(description="Also trials.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Return sessions, newest first; trials only if asked for."""
    frame, after = context.store.sessions_page(
        limit,
        values_of(cursor),
        model_id=model_id,
        status=status,
        purpose=purpose,
        run_by=run_by,
        git_commit=git_commit,
        since=since,
        trials=trials,
    )
    return page(request, _session_rows(frame), after)


def _session_rows(frame: Any) -> list[dict[str, Any]]:
    rows = [with_parsed(item, "tags") for item in records(frame)]
    for item in rows:
        item.pop("parent_session_no", None)
    return rows


@router.get("/sessions/{session_id}", response_model=SessionRow, summary="Show a session")
def show_session(request: Request, session_id: SessionId, context: Ctx) -> Response:
    """Return a session."""
    (item,) = _session_rows(context.store.get_sessions(session_id))
    return tagged(request, item)


@dataclass(frozen=True)
class _Part:
    """What sessions hold, as one listing."""

    path: str
    summary: str
    model: Any
    read: Callable[[Store, str], Any]
    sealed: bool = True
    """Whether a seal covers it: then it never changes, and the seal is its entity tag."""


def _of(method: str) -> Callable[[Store, str], Any]:
    return lambda store, session_id: getattr(store, method)(session_id)


def _table(table: str, **options: Any) -> Any:
    return rows_of(table, session_id=str, **options)


Gate = row(
    "Gate",
    "The verdict of a gate.",
    session_id=str,
    gate=str,
    kind=str,
    verdict=str,
    reason=str,
    figure=float | None,
    at_least=float | None,
    at_most=float | None,
    margin=float | None,
    production_session_id=str | None,
    production_figure=float | None,
    difference=float | None,
    low=float | None,
    high=float | None,
    method=str | None,
)
Point = row("RocPoint", "A point of the ROC curve.", threshold=float | None, fpr=float, tpr=float)
LiftPoint = row(
    "LiftPoint",
    "A point of the lift chart.",
    threshold=float,
    population_share=float,
    lift=float | None,
    capture=float | None,
)
PARTS = (
    _Part("metrics", "List metrics", _table("metrics"), _of("metrics")),
    _Part("metric-steps", "List metrics over steps", _table("metric_steps"), _of("metric_steps")),
    _Part("metadata", "List notes", _table("session_metadata"), _of("metadata"), sealed=False),
    _Part("inputs", "List reads", _table("inputs"), _of("inputs")),
    _Part("input-summary", "List input summaries", _table("input_summary"), _of("input_summary")),
    _Part("checks", "List results of checks", _table("check_results"), _of("checks")),
    _Part("gates", "List verdicts of gates", Gate, _of("gates"), sealed=False),
    _Part(
        "variable-importance",
        "List variable importances",
        _table("variable_importance"),
        _of("variable_importance"),
    ),
    _Part("backtests", "List back-tests", _table("backtests"), _of("backtests")),
    _Part(
        "drift",
        "List drift",
        _table("drift", without=("reference_session_no",), reference_session_id=str | None),
        _of("drift"),
        sealed=False,
    ),
    _Part(
        "notifications",
        "List notifications",
        _table("notifications"),
        _of("notifications"),
        sealed=False,
    ),
    _Part("artifacts", "List stored files", _table("artifacts"), _of("artifacts")),
    _Part(
        "files",
        "List figures and files",
        row(
            "File",
            "A file that a session logged.",
            session_id=str,
            name=str,
            media_type=(str, Field(description="By the ending of its name.")),
            bytes=int,
            sha256=str,
        ),
        _of("files"),
    ),
    _Part("score-parts", "List parts of scores", _table("score_parts"), _of("score_parts")),
    _Part("curve", "Read the test curve", _table("test_curve"), _of("curve")),
    _Part("roc", "Read the ROC curve", Point, _of("roc")),
    _Part("lift", "Read the lift chart", LiftPoint, _of("lift")),
    _Part(
        "attempts",
        "List attempts",
        _table("session_attempts", host=str | None, process_id=int | None),
        _of("attempts"),
        sealed=False,
    ),
)


def _endpoint(part: _Part) -> Callable[..., Response]:
    def endpoint(request: Request, session_id: SessionId, context: Ctx) -> Response:
        etag = None
        if part.sealed and (seal := context.store.seal_of(session_id)) is not None:
            etag = etag_of(seal, part.path)
            if (unchanged := not_modified(request, etag)) is not None:
                return unchanged
        frame = part.read(context.store, session_id)
        return tagged(request, {"items": records(frame)}, etag)

    endpoint.__name__ = f"read_{part.path.replace('-', '_')}"
    endpoint.__doc__ = f"{part.summary} of a session. Those of a sealed session never change."
    return endpoint


for _part in PARTS:
    router.add_api_route(
        f"/sessions/{{session_id}}/{_part.path}",
        _endpoint(_part),
        response_model=items_of(_part.model),
        summary=_part.summary,
    )


Environment = row(
    "Environment",
    "What a session ran in.",
    python=(str, Field(description="The language and its version.")),
    platform=str,
    packages=(dict[str, str], Field(description="Versions by name.")),
)


@router.get(
    "/sessions/{session_id}/environment", response_model=Environment, summary="Show the environment"
)
def show_environment(request: Request, session_id: SessionId, context: Ctx) -> Response:
    """Return language, platform and packages."""
    return tagged(request, plain(context.store.environment(session_id)))


@router.get(
    "/sessions/{session_id}/params", response_model=dict[str, Any], summary="List parameters"
)
def list_params(request: Request, session_id: SessionId, context: Ctx) -> Response:
    """Return the parameters by name."""
    (item,) = records(context.store.get_sessions(session_id))
    return tagged(request, item["params"] or {})
