"""Operations that read scores and files."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from typing import Annotated, Any, Literal

from anyio import CancelScope, to_thread
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from mfprefect.console.api.answers import REVALIDATE, etag_of, not_modified, page, tagged, values_of
from mfprefect.console.api.context import LOOK_UP, READ, Context, Ctx, right
from mfprefect.console.api.documents import items_of, page_of, row
from mfprefect.console.api.problems import ProblemError, responses
from mfprefect.console.api.routes_sessions import Cursor, SessionId
from mfprefect.console.api.score_files import FORMATS, encoded
from mfprefect.errors import DatabaseError, IntegrityError, InvalidValue
from mfprefect.store.audit.events import acting_as, record
from mfprefect.store.trace import Trace
from mfprefect.util.json_rows import plain, records

__all__ = ["router"]

router = APIRouter(tags=["scores"], responses=responses(401, 403, 404, 406, 409, 422, 503))
Reader = [Depends(right(READ))]
LookUp = [Depends(right(LOOK_UP))]
LookingUp = Annotated[Any, Depends(right(LOOK_UP))]
LOOK_UP_ACTION = "look_up_scores"
"""The action that the audit trail records, as of the console's page."""
JSON = "application/json"
ScoreRow = row(
    "ScoreRow",
    "A score of an entity.",
    entity_id=(str, Field(description="What was scored.")),
    score=float,
    score_class=(str | None, Field(description="Predicted class of a multiclass model.")),
)
LatestScore = row(
    "LatestScore",
    "The newest score of an entity.",
    entity_id=str,
    score=float,
    score_class=str | None,
    session_id=str,
    as_of=str | None,
    published_at=str,
)
Summary = row(
    "ScoreSummary",
    "Figures of the scores of a session.",
    n=int,
    mean=float,
    sd=float | None,
    min=float,
    max=float,
)
Bin = row("ScoreBin", "A bin of a histogram.", lower=float | None, upper=float | None, count=int)
BINARY = {"schema": {"type": "string", "format": "binary"}}


def _format(request: Request, asked: str | None) -> str:
    """Return `json` or a key of FORMATS: as asked for, else what the client accepts."""
    if asked is not None:
        return asked
    accepted = request.headers.get("accept", "*/*").lower()
    if JSON in accepted or "*/*" in accepted or "application/*" in accepted:
        return "json"
    for name, media_type in FORMATS.items():
        if media_type in accepted:
            return name
    raise ProblemError(
        406, "NotAcceptable", f"scores come as {JSON}, {', '.join(FORMATS.values())}."
    )


@router.get(
    "/sessions/{session_id}/scores",
    response_model=page_of(ScoreRow),
    summary="Read scores",
    dependencies=LookUp,
    responses={
        200: {
            "content": dict.fromkeys(FORMATS.values(), BINARY),
            "description": "As JSON a page, else all of them as a stream.",
        }
    },
)
def read_scores(
    request: Request,
    session_id: SessionId,
    context: Ctx,
    format: Annotated[
        Literal["json", "csv", "arrow", "parquet"] | None,
        Query(description="By default what Accept says, else json."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="The most rows of JSON.")] = 1_000,
    cursor: Cursor = None,
    at_least: Annotated[float | None, Query(description="Not for JSON.")] = None,
    at_most: Annotated[float | None, Query(description="Not for JSON.")] = None,
) -> Response:
    """Return published scores by entity id: as JSON in pages, in other formats as one stream.

    None before the session has succeeded.
    """
    kind = _format(request, format)
    if kind == "json":
        if at_least is not None or at_most is not None:
            raise InvalidValue("at_least and at_most are for csv, arrow and parquet.")
        after = _entity(cursor)
        frame = context.store.scores_page(session_id, limit + 1, after)
        rows = records(frame)
        more = [rows[limit - 1]["entity_id"]] if len(rows) > limit else None
        return page(request, rows[:limit], more)
    if cursor is not None:
        raise InvalidValue("a cursor is for json; other formats bring all scores.")
    batches = context.store.iter_scores(session_id, at_least=at_least, at_most=at_most)
    return _stream(encoded(batches, kind), FORMATS[kind], f"{session_id}.{kind}")


def _entity(cursor: str | None) -> str | None:
    values = values_of(cursor)
    if values is None:
        return None
    if len(values) != 1 or not isinstance(values[0], str) or "\0" in values[0]:
        raise InvalidValue("the cursor is not one of this listing; leave it out to begin anew.")
    return values[0]


def _file(pieces: Iterator[bytes], name: str, etag: str) -> Response:
    """Return a stored file.

    Raises:
        ProblemError: the session has no file of that name.
    """
    try:
        return _stream(pieces, "application/octet-stream", name, etag)
    except InvalidValue as exc:
        raise ProblemError(404, "NotFound", str(exc)) from exc


def _stream(pieces: Iterator[bytes], media_type: str, name: str, etag: str = "") -> Response:
    """Return bytes as they are made: a piece in memory at a time.

    What goes wrong before the first piece is a problem; later, the connection breaks.
    """
    first = next(pieces, b"")
    headers = {
        "Content-Disposition": f'attachment; filename="{_ascii(name)}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": REVALIDATE,
    }
    if etag:
        headers["ETag"] = etag
    return StreamingResponse(_all(first, pieces), media_type=media_type, headers=headers)


async def _all(first: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield first
        while True:
            piece = await run_in_threadpool(next, pieces, None)
            if piece is None:
                return
            yield piece
    finally:
        # Also if the client has gone: the connection to the database goes back to its pool.
        with CancelScope(shield=True):
            await to_thread.run_sync(getattr(pieces, "close", lambda: None))


def _ascii(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)[:150]


@router.get(
    "/sessions/{session_id}/score-summary",
    response_model=Summary,
    summary="Summarise scores",
    dependencies=Reader,
)
def summarise_scores(request: Request, session_id: SessionId, context: Ctx) -> Response:
    """Return number, mean, standard deviation, minimum and maximum, from the database."""
    return tagged(request, plain(context.store.score_summary(session_id)))


@router.get(
    "/sessions/{session_id}/score-histogram",
    response_model=items_of(Bin),
    summary="Count scores by bin",
    dependencies=Reader,
)
def count_scores(
    request: Request,
    session_id: SessionId,
    context: Ctx,
    bins: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """Return the rows in bins of equal width."""
    frame = context.store.score_histogram(session_id, bins=bins)
    return tagged(request, {"items": records(frame)})


@router.get(
    "/compare-scores", response_model=dict[str, Any], summary="Compare scores", dependencies=Reader
)
def compare_scores(
    request: Request,
    context: Ctx,
    a: Annotated[str, Query(min_length=1, max_length=96)],
    b: Annotated[str, Query(min_length=1, max_length=96)],
) -> Response:
    """Compare the scores of two sessions on the entities of both, as `Store.compare_scores`."""
    return tagged(request, plain(context.store.compare_scores(a, b)))


@router.get(
    "/models/{model_id}/latest-scores",
    response_model=items_of(LatestScore),
    summary="Look up entities",
)
def look_up(
    request: Request,
    model_id: Annotated[str, Path(min_length=1, max_length=64)],
    context: Ctx,
    person: LookingUp,
    entity_id: Annotated[list[str], Query(min_length=1, max_length=100)],
) -> Response:
    """Return the newest published score of each of these entities.

    The look-up becomes an event of the audit trail.
    """
    record_look_up(context, person, model_id, entities=entity_id)
    frame = context.store.latest_scores(model_id, *entity_id)
    return tagged(request, {"items": records(frame)})


@router.get("/models/{model_id}/trace", response_model=Trace, summary="Trace an entity")
def trace(
    request: Request,
    model_id: Annotated[str, Path(min_length=1, max_length=64)],
    context: Ctx,
    person: LookingUp,
    entity_id: Annotated[str, Query(min_length=1, max_length=255)],
    on: Annotated[
        str | None,
        Query(max_length=40, description="Only what was the newest on this day, or then."),
    ] = None,
) -> Response:
    """Return every score of an entity that readers could see, and where each comes from.

    The look-up becomes an event of the audit trail.
    """
    record_look_up(context, person, model_id, entity=entity_id, **({"on": on} if on else {}))
    traced = context.store.trace(model_id, entity_id, on)
    return tagged(request, plain(dataclasses.asdict(traced)))


def record_look_up(context: Context, person: Any, model_id: str, **detail: Any) -> None:
    """Record a look-up before its answer is read: what cannot be recorded is not shown.

    Raises:
        UnknownModel: there is no such model.
        ProblemError: the database user may not write the audit trail.
    """
    context.store.production(model_id)  # raises if there is no such model
    db = (context.writer or context.store).database
    name = acting_as(person.name) if getattr(person, "via", "") != "local" else nullcontext()

    def work(connection: Any, _: bool) -> None:
        record(db, connection, LOOK_UP_ACTION, model_id, **detail)

    try:
        with name:
            db.write_transaction(work, also_retry=IntegrityError)
    except DatabaseError as exc:
        if exc.transient:
            raise
        raise ProblemError(
            403,
            "Unrecorded",
            "a look-up is recorded in the audit trail, which the server's database user may not "
            "write.",
        ) from exc


@router.get(
    "/sessions/{session_id}/artifacts/{name}",
    response_class=Response,
    summary="Download a file",
    dependencies=Reader,
    responses={200: {"content": {"application/octet-stream": BINARY}, "description": "The file."}},
)
def download(
    request: Request,
    session_id: SessionId,
    name: Annotated[str, Path(min_length=1, max_length=128)],
    context: Ctx,
) -> Response:
    """Return a stored file as it is, once its digest is verified."""
    seal = context.store.seal_of(session_id)
    etag = "" if seal is None else etag_of(seal, "artifacts", name)
    if etag and (unchanged := not_modified(request, etag)) is not None:
        return unchanged
    return _file(_verified(context, session_id, name), name, etag)


def _verified(context: Any, session_id: str, name: str) -> Iterator[bytes]:
    """Yield the bytes of a file, which is verified before the first of them is sent."""
    import tempfile

    from mfprefect.store.artifacts import copy_artifact

    with tempfile.TemporaryFile(prefix="mfprefect-") as file:
        copy_artifact(context.db, session_id, name, file)
        file.seek(0)
        while piece := file.read(1024 * 1024):
            yield piece


@router.get(
    "/sessions/{session_id}/files/{name}",
    response_class=Response,
    summary="Download a figure or file",
    dependencies=Reader,
    responses={200: {"content": {"application/octet-stream": BINARY}, "description": "The file."}},
)
def download_file(
    request: Request,
    session_id: SessionId,
    name: Annotated[str, Path(min_length=1, max_length=123)],
    context: Ctx,
) -> Response:
    """Return a file that a session logged, once its digest is verified."""
    seal = context.store.seal_of(session_id)
    etag = "" if seal is None else etag_of(seal, "files", name)
    if etag and (unchanged := not_modified(request, etag)) is not None:
        return unchanged
    return _file(_opened(context, session_id, name), name, etag)


def _opened(context: Any, session_id: str, name: str) -> Iterator[bytes]:
    with context.store.open_file(session_id, name) as file:
        while piece := file.read(1024 * 1024):
            yield piece
