"""Operations that write sessions."""

from __future__ import annotations

import json
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response

from mfprefect.console.api import writing
from mfprefect.console.api.answers import Json
from mfprefect.console.api.bodies import (
    JsonDigest,
    Key,
    LimitedRoute,
    Upload,
    UploadedFrame,
    Writer,
    keyed,
)
from mfprefect.console.api.commands import CloseSession, LogResults, OpenSession, RegisterModel
from mfprefect.console.api.context import Ctx
from mfprefect.console.api.documents import row
from mfprefect.console.api.evaluation import ENDINGS, TestColumns
from mfprefect.console.api.problems import responses
from mfprefect.console.api.score_files import FORMATS
from mfprefect.console.api.score_writes import write_scores as write_of_scores
from mfprefect.store.audit.events import acting_as
from mfprefect.store.idempotency import Answer

__all__ = ["router"]

router = APIRouter(
    route_class=LimitedRoute,
    tags=["write"],
    responses=responses(400, 401, 403, 404, 409, 413, 415, 422, 503),
)
SessionId = Annotated[str, Path(min_length=1, max_length=96, description="The session.")]
COLUMN = {"min_length": 1, "max_length": 255}

Opened = row(
    "Opened", "A session that was opened.", session_id=str, model_id=str, purpose=str, status=str
)
Logged = row(
    "Logged",
    "What was stored, by kind, and the checks that failed with severity error.",
    session_id=str,
    logged=dict[str, int],
    failed_checks=list[str],
)
Saved = row("Saved", "A stored file.", session_id=str, name=str, bytes=int, sha256=str)
Scored = row("Scored", "Stored scores.", session_id=str, rows=int, parts=list[int])
Evaluated = row(
    "Evaluated", "What test rows gave.", session_id=str, rows=int, metrics=dict[str, float]
)
Closed = row("Closed", "A session that has ended.", session_id=str, status=str)
Registered = row("Registered", "A registered model.", model_id=str)


def _respond(request: Request, answer: Answer, location: str | None = None) -> Response:
    headers = {"Idempotency-Replayed": "true"} if answer.repeated else {}
    if location is not None:
        headers["Location"] = quote(f"{request.scope.get('root_path', '')}{location}")
    # In the order in which a repeated answer comes out of the database.
    body = json.loads(json.dumps(answer.body, sort_keys=True))
    return Json(body, answer.status, headers)


@router.post("/models", response_model=Registered, summary="Register a model")
def register_model(request: Request, body: RegisterModel, context: Ctx, person: Writer) -> Response:
    """Register a model, or update its description. Harmless when repeated."""
    with acting_as(person.name):
        context.target.add_model(
            body.model_id, body.description, entity_type=body.entity_type, owner=body.owner
        )
    return Json({"model_id": body.model_id})


@router.post("/sessions", status_code=201, response_model=Opened, summary="Open a session")
def open_session(
    request: Request,
    body: OpenSession,
    digest: JsonDigest,
    context: Ctx,
    person: Writer,
    key: Key = None,
) -> Response:
    """Open a session: one run of a model, until it is closed.

    Nothing needs to stay open in between. A session that nobody writes to for a day
    (`detached_timeout`) counts as crashed.
    """
    host = request.client.host if request.client else "unix socket"
    key_of = keyed(request, person, key, digest)
    answer = writing.open_(context.target, key_of, body, person.name, host)
    return _respond(request, answer, f"/sessions/{answer.session_id}")


@router.post("/sessions/{session_id}/log", response_model=Logged, summary="Log results")
def log_results(
    request: Request,
    session_id: SessionId,
    body: LogResults,
    digest: JsonDigest,
    context: Ctx,
    person: Writer,
    key: Key = None,
) -> Response:
    """Store parameters, metrics, notes, reads, checks, importances and back-tests.

    All in one transaction. Metrics, notes and parameters replace those of the same name; reads and
    checks are added, so send them with a key.
    """
    key_of = keyed(request, person, key, digest)
    return _respond(request, writing.log_results(context.target, key_of, session_id, body))


BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/sessions/{session_id}/test-results",
    response_model=Evaluated,
    summary="Evaluate test rows",
    openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(ENDINGS, BINARY)}},
)
def log_test_results(
    request: Request,
    session_id: SessionId,
    context: Ctx,
    person: Writer,
    upload: UploadedFrame,
    actual: Annotated[
        str | None, Query(description="The column of actual values.", **COLUMN)
    ] = None,
    score: Annotated[str | None, Query(description="The column of scores.", **COLUMN)] = None,
    classes: Annotated[
        list[str],
        Query(alias="class", max_length=500, description="The columns of scores by class."),
    ] = [],  # noqa: B006 - FastAPI copies it
    score_class: Annotated[
        str | None, Query(description="Of an unsupervised model: the column of clusters.", **COLUMN)
    ] = None,
    segment_by: Annotated[
        list[str], Query(max_length=20, description="Columns of which each level is a segment.")
    ] = [],  # noqa: B006 - FastAPI copies it
    segment: Annotated[
        str | None, Query(description="The segment that all rows are of.", **COLUMN)
    ] = None,
    model_type: Annotated[
        Literal["binary", "multiclass", "regression", "time_series", "unsupervised"] | None,
        Query(description="By default binary, or multiclass with class."),
    ] = None,
    key: Key = None,
) -> Response:
    """Evaluate test rows, CSV or Parquet, and store their metrics, notes and test curve.

    Computed as for models of Python: see docs/metrics.md. The rows themselves are not stored.
    """
    columns = TestColumns(
        actual, score, tuple(classes), score_class, tuple(segment_by), segment, model_type
    )
    key_of = keyed(request, person, key, upload.sha256)
    answer = writing.log_test_results(context.target, key_of, session_id, upload, columns)
    return _respond(request, answer)


@router.put(
    "/sessions/{session_id}/artifacts/{name}",
    response_model=Saved,
    summary="Upload a model",
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/octet-stream": BINARY}}
    },
)
def save_artifact(
    request: Request,
    session_id: SessionId,
    name: Annotated[str, Path(min_length=1, max_length=128)],
    context: Ctx,
    person: Writer,
    upload: Upload,
    key: Key = None,
) -> Response:
    """Store the body as it is, under a name; `model` is the name of a session's model.

    Replaces a file of the same name. The answer has its SHA-256, to compare.
    """
    key_of = keyed(request, person, key, upload.sha256)
    answer = writing.save_artifact(context.target, key_of, session_id, name, upload)
    return _respond(request, answer)


@router.put(
    "/sessions/{session_id}/files/{name}",
    response_model=Saved,
    summary="Upload a file",
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/octet-stream": BINARY}}
    },
)
def save_file(
    request: Request,
    session_id: SessionId,
    name: Annotated[str, Path(min_length=1, max_length=123)],
    context: Ctx,
    person: Writer,
    upload: Upload,
    key: Key = None,
) -> Response:
    """Store the body as a file or figure of the session; the ending of its name says of what type.

    Replaces a file of the same name.
    """
    key_of = keyed(request, person, key, upload.sha256)
    answer = writing.save_file(context.target, key_of, session_id, name, upload)
    return _respond(request, answer)


@router.post(
    "/sessions/{session_id}/scores",
    response_model=Scored,
    summary="Write scores",
    openapi_extra={
        "requestBody": {"required": True, "content": dict.fromkeys(FORMATS.values(), BINARY)}
    },
)
def write_scores(
    request: Request,
    session_id: SessionId,
    context: Ctx,
    person: Writer,
    upload: Upload,
    entity_id: Annotated[str, Query(description="The column of ids.", **COLUMN)] = "entity_id",
    score: Annotated[str, Query(description="The column of scores.", **COLUMN)] = "score",
    score_class: Annotated[
        str | None, Query(description="The column of classes, if any.", **COLUMN)
    ] = None,
    part: Annotated[
        int | None,
        Query(
            ge=1,
            lt=2**31,
            description="The part to write or replace, for requests at the same time; by default "
            "the next free ones.",
        ),
    ] = None,
    key: Key = None,
) -> Response:
    """Store scores from CSV, an Arrow stream or Parquet: all of them or none.

    Nobody can read them until the session succeeds. In CSV, ids are text, an empty field is NULL.
    """
    key_of = keyed(request, person, key, upload.sha256)
    names = (entity_id, score, score_class)
    answer = write_of_scores(context.target, key_of, session_id, upload, names, part)
    return _respond(request, answer)


@router.post("/sessions/{session_id}/close", response_model=Closed, summary="Close a session")
def close_session(
    request: Request,
    session_id: SessionId,
    body: CloseSession,
    digest: JsonDigest,
    context: Ctx,
    person: Writer,
    key: Key = None,
) -> Response:
    """End a session: it is sealed, and its scores become visible if it succeeded."""
    key_of = keyed(request, person, key, digest)
    return _respond(request, writing.close(context.target, key_of, session_id, body))
