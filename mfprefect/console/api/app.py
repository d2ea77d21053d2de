"""The API as one FastAPI app."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import mfprefect
from mfprefect.console.api import (
    problems,
    routes_models,
    routes_scores,
    routes_sessions,
    routes_write,
)
from mfprefect.console.api.answers import Json
from mfprefect.console.api.context import Context
from mfprefect.console.api.limits import Limits
from mfprefect.console.api.problems import FieldProblem, Problem
from mfprefect.store import Store
from mfprefect.store.database import Database

__all__ = ["build", "description"]

LONGEST_WAIT = 5.0
"""Seconds to retry while the database is away: the client sends its request again."""
TITLE = "mfprefect"
TEXT = """Sessions of models, their results and scores.

Send a token with each request: `Authorization: Bearer mfp_..`. Errors are problems (RFC 9457).
Requests that write take an `Idempotency-Key`: sent again, they get their first answer."""


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Return the description of the API."""
        if self.openapi_schema is None:
            self.openapi_schema = _described(self)
        return self.openapi_schema


def build(store: Store, writer: Store | None, limits: Limits) -> FastAPI:
    """Return the app; see `mfprefect.console.api.api_app`."""
    app = _api()
    app.state.context = Context(store, None if writer is None else _impatient(writer), limits)
    return app


def _api() -> FastAPI:
    app = _Api(
        title=TITLE,
        version=mfprefect.__version__,
        description=TEXT,
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        default_response_class=Json,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    problems.install(app)
    for routes in (routes_models, routes_sessions, routes_scores, routes_write):
        app.include_router(routes.router)
    return app


def _impatient(writer: Store) -> Store:
    """Return the store to write to: without the spool, which would hold a client's session here."""
    settings = writer.database.settings
    seconds = min(settings.retry_seconds, LONGEST_WAIT)
    update = {"spool": "off", "retry_seconds": seconds}
    return Store(Database(settings.model_copy(update=update)))


def description() -> dict[str, Any]:
    """Return the description of the API without a store, for the documentation."""
    return _api().openapi()


def _described(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        # Of the interface: what the path says, not the package's.
        version="1",
        summary="Sessions of models, for programs of any language.",
        description=app.description,
        routes=app.routes,
        servers=[{"url": "/api/v1"}],
        separate_input_output_schemas=False,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in (Problem, FieldProblem):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        schemas[model.__name__] = schema
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "bearerFormat": "mfp_.."},
        "password": {"type": "http", "scheme": "basic"},
    }
    document["security"] = [{"token": []}, {"password": []}]
    return document
