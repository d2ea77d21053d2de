"""`/database`: revision, size and growth, rights, settings in force without secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from mfprefect import __version__
from mfprefect.console.answers import Answer
from mfprefect.console.listing import Cell, Column, Link, Listing
from mfprefect.console.page import Page
from mfprefect.report.formats import present, size, text
from mfprefect.settings import Settings
from mfprefect.store.database import migrate
from mfprefect.util.frames import records

__all__ = ["MEASURE", "page"]

MEASURE = "measure"
"""The name of the job."""


def page(request: Page) -> Answer:
    """Return the page of the database."""
    job = request.console.jobs.last(MEASURE)
    measured = None if job is None or job.running or job.error else job.result
    return request.show(
        "database.html",
        "Database",
        facts=list(_facts(request)),
        job=job,
        tables=None if measured is None else _tables(records(measured.tables)),
        models=None if measured is None else _models(request, records(measured.models)),
        settings=_settings(request),
    )


def _facts(request: Page) -> Iterator[tuple[str, Cell]]:
    db = request.db
    yield "database", db.place
    yield "kind", db.backend.name
    yield "mfprefect", __version__
    yield "schema revision", migrate.found_revision(db) or "none"
    yield "tables", str(len(db.schema.tables))
    yield "seals and events are signed", "yes" if db.keyring.signer is not None else "no"
    yield "actions write as", request.console.writer.database.place


def _tables(rows: list[dict[str, Any]]) -> Listing:
    columns = [
        Column("table", "table"),
        Column("rows", "rows", "number"),
        Column("bytes", "size", "number", show=lambda row: _size(row["bytes"])),
        Column(
            "index_bytes", "of it indexes", "number", show=lambda row: _size(row["index_bytes"])
        ),
    ]
    rows.sort(key=lambda row: -(row["bytes"] if present(row["bytes"]) else 0))
    return Listing(columns, rows, "Tables, the largest first")


def _models(request: Page, rows: list[dict[str, Any]]) -> Listing:
    columns = [
        Column(
            "model_id",
            "model",
            show=lambda r: Link(r["model_id"], request.url("models", r["model_id"])),
        ),
        Column("sessions", "sessions", "number"),
        Column("scores", "scores", "number"),
        Column("bytes", "size", "number", show=lambda row: _size(row["bytes"])),
        Column("recent_sessions", "sessions of 30 days", "number"),
        Column(
            "recent_bytes",
            "growth of 30 days",
            "number",
            show=lambda row: _size(row["recent_bytes"]),
        ),
        Column(
            "prunable_bytes",
            "prune would free",
            "number",
            show=lambda row: _size(row["prunable_bytes"]),
        ),
    ]
    rows.sort(key=lambda row: -(row["bytes"] if present(row["bytes"]) else 0))
    return Listing(columns, rows, "Models, the largest first")


def _size(count: Any) -> str:
    return size(float(count)) if present(count) else "\u2013"


def _settings(request: Page) -> Listing:
    settings = request.db.settings
    defaults = Settings.model_fields
    rows = [
        {"name": name, "value": _plain(value), "set": value != defaults[name].default}
        for name in defaults
        for value in [getattr(settings, name)]
    ]
    rows.sort(key=lambda row: (not row["set"], row["name"]))
    columns = [
        Column("name", "setting"),
        Column("value", "value", "code", show=lambda row: text(str(row["value"]), 300)),
        Column("set", "set", show=lambda row: "set" if row["set"] else "default"),
    ]
    return Listing(columns, rows, "Settings in force; secrets are not shown")


def _plain(value: Any) -> Any:
    """Return a setting as text, without any secret."""
    if isinstance(value, SecretStr):
        return "***"
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        filled = {name: _plain(item) for name, item in value.items()}
        return (
            ", ".join(f"{n}: {item}" for n, item in filled.items() if item not in ("", None)) or ""
        )
    if isinstance(value, (tuple, list)):
        return ", ".join(str(_plain(item)) for item in value)
    if isinstance(value, Path):
        return str(value)
    return "" if value is None else value
