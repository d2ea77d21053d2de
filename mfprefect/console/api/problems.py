"""Errors as RFC 9457 has them: `application/problem+json`, under the names of our errors."""

from __future__ import annotations

import http
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from mfprefect import errors
from mfprefect.console.api.answers import Json
from mfprefect.redaction import redact_urls
from mfprefect.store.idempotency import KeyReused

__all__ = ["Problem", "ProblemError", "install", "responses"]

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "5"

STATUSES: tuple[tuple[type[errors.MfprefectError], int], ...] = (
    (KeyReused, 422),
    (errors.AlreadyPromoted, 409),
    (errors.InvalidValue, 422),
    (errors.UnknownModel, 404),
    (errors.UnknownSession, 404),
    (errors.SessionClosed, 409),
    (errors.ChecksFailed, 422),
    (errors.GateFailed, 409),
    (errors.ArtifactUntrusted, 409),
    (errors.PermissionDenied, 403),
    (errors.DatabaseUnavailable, 503),
    (errors.DatabaseConflict, 503),
    (errors.SchemaOutdated, 503),
)
"""The status of each error; the first that fits. All others are the server's: 500."""
SHOWN = ("session_id", "model_id", "reason", "examples", "done")
"""Attributes of errors that a problem has as members."""
NAMES = {
    400: "BadRequest",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    413: "TooLarge",
    415: "UnsupportedMediaType",
}


class ProblemError(HTTPException):
    """A refusal of the API itself."""

    def __init__(
        self, status: int, error: str, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.error = error


class FieldProblem(BaseModel):
    """A part of a request that is wrong."""

    where: str = Field(description="Its place: body.metrics.auc, query.limit, path.session_id.")
    message: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="A URN of the error: urn:mfprefect:error:UnknownSession.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong, and what to do, in words.")
    error: str = Field(description="The name of the error, as in Python: UnknownSession.")
    errors: list[FieldProblem] | None = Field(None, description="The parts that are wrong.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of the refusals of an operation."""
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {MEDIA_TYPE: {"schema": schema}}
    texts = {status: http.HTTPStatus(status).phrase for status in statuses}
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "content": content} for status, text in texts.items()
    }
    return refusals | {"default": {"description": "Any other problem", "content": content}}


def answer(
    status: int,
    error: str,
    detail: str,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Json:
    """Return a problem. Its text shows no secret: not even a token that a client sent as a name."""
    content = {
        "type": f"urn:mfprefect:error:{error}",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": redact_urls(detail),
        "error": error,
        **(members or {}),
    }
    headers = dict(headers or {}) | ({"Retry-After": RETRY_AFTER} if status == 503 else {})
    return Json(content, status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make an app answer all errors so."""
    app.add_exception_handler(errors.MfprefectError, _known)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unknown)


def status_of(error: errors.MfprefectError) -> int:
    """Return the status of an error."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def _known(request: Request, exc: Exception) -> Json:
    assert isinstance(exc, errors.MfprefectError)  # noqa: S101 - for types
    status, name = status_of(exc), type(exc).__name__
    if status == 500:
        log.error("%s %s: %s", request.method, request.url.path, redact_urls(str(exc)))
    members = {key: _text(exc.__dict__[key]) for key in SHOWN if key in exc.__dict__}
    return answer(status, name, str(exc), members)


def _text(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return [redact_urls(str(item)) for item in value]
    return redact_urls(str(value))


def _malformed(_: Request, exc: Exception) -> Json:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - for types
    # Without the input: it may be a secret in the wrong place.
    details = [{"where": _place(e["loc"]), "message": e["msg"]} for e in exc.errors()]
    text = "; ".join(f"{each['where']}: {each['message']}" for each in details[:3])
    problems = [{key: redact_urls(text) for key, text in each.items()} for each in details[:50]]
    return answer(
        422, "InvalidRequest", f"the request is not as described: {text}.", {"errors": problems}
    )


def _place(loc: Iterable[Any]) -> str:
    return ".".join(str(part)[:80] for part in loc)


def _http(_: Request, exc: Exception) -> Json:
    assert isinstance(exc, HTTPException)  # noqa: S101 - for types
    name = exc.error if isinstance(exc, ProblemError) else NAMES.get(exc.status_code, "HttpError")
    return answer(exc.status_code, name, str(exc.detail), headers=exc.headers)


def _unknown(request: Request, exc: Exception) -> Json:
    log.error("%s %s: unexpected %s", request.method, request.url.path, type(exc).__name__)
    return answer(500, "InternalError", "the server made a mistake; its log says more.")
