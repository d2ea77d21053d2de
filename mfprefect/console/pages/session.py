"""`/sessions/{s}`: verdict first, then what the report shows; live while it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mfprefect import report as reports
from mfprefect.console import answers
from mfprefect.console.answers import Answer
from mfprefect.console.listing import Cell, Column, Link, Listing, When, cell
from mfprefect.console.page import Page
from mfprefect.console.pages.downloads import IMAGES
from mfprefect.console.rendering import Pictures
from mfprefect.errors import ConfigurationError, UnknownSession
from mfprefect.report.blocks import Badge, Headline, Note, Section, Sheet
from mfprefect.report.formats import day, duration, present, size, text
from mfprefect.report.sections.headline import LEVEL_OF_STATUS
from mfprefect.store import Store
from mfprefect.store.browse.operations import progress_of
from mfprefect.store.browse.sessions import session_rows
from mfprefect.store.models.stages import stage_now
from mfprefect.store.results.artifacts import files_frame
from mfprefect.store.results.frames import of_sessions, thresholds_frame
from mfprefect.store.results.report import load_session_report
from mfprefect.util.frames import records
from mfprefect.vocabulary import Status

__all__ = ["page"]

MOST_SCORES = 500_000
"""Scores of a session whose distribution a page counts; of more, the report does."""
LARGEST_IMAGE = 4 * 1024 * 1024
MOST_IMAGES = 12
SECONDS = 5
"""Between two looks at a session that runs."""


def page(request: Page) -> Answer:
    """Return the page of a session: its head at once, the rest as soon as it is read."""
    rows = session_rows(request.db, [request.session_id])
    if request.session_id not in rows:
        raise UnknownSession(request.session_id)
    row = rows[request.session_id]
    key = _key(request, row)
    tag = None if key is None else answers.etag(*(str(part).encode() for part in key))
    files = records(files_frame(request.db, (row["session_id"],)))
    values = {
        "row": row,
        "files": _files(request, row["session_id"], files),
        "images": list(_images(request, row["session_id"], files)),
        "facts": list(_facts(request, row)),
        "progress": _progress(request, row),
        "artifacts": _artifacts(request, row["session_id"]),
        "live": SECONDS if row["status"] == Status.RUNNING else 0,
        "sheet": lambda: _sheet(request, row, key),
    }
    title = row["session_id"]
    pieces = request.console.stream("session.html", page=request, title=title, **values)
    return Answer(pieces, headers={"etag": tag} if tag else {})


def _key(request: Page, row: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Return what the page of a sealed session depends on, None for others."""
    if row["seal"] is None:
        return None
    model_id = row["model_id"]
    thresholds = thresholds_frame(request.db, model_id)
    newest = None if thresholds.empty else thresholds["set_at"].iloc[0]
    return (
        row["session_id"],
        row["seal"],
        row["published_at"],
        row["last_exported_at"],
        stage_now(request.db, model_id),
        newest,
        request.console.options.root_path,
        request.person.role,
    )


def _facts(request: Page, row: Mapping[str, Any]) -> Iterator[tuple[str, Cell]]:
    yield "model", Link(row["model_id"], request.url("models", row["model_id"]))
    yield "purpose", row["purpose"]
    yield "status", Badge(row["status"], LEVEL_OF_STATUS.get(row["status"], "bad"))
    yield "started", When(row["started_at"])
    if present(row["ended_at"]):
        yield "took", duration((row["ended_at"] - row["started_at"]).total_seconds())
    else:
        yield "last sign of life", When(row["heartbeat_at"])
    if row["attempt"] > 1:
        yield "attempt", str(row["attempt"])
    if present(row["as_of"]):
        yield "data as of", day(row["as_of"])
    yield "by", row["run_by"]
    if present(row["parent_session_id"]):
        yield (
            "model of",
            Link(row["parent_session_id"], request.url("sessions", row["parent_session_id"])),
        )
    if present(row["published_at"]):
        yield "published", When(row["published_at"])
    if (run := request.console.options.flow_run_url(row["flow_run_id"])) is not None:
        yield "flow run and logs", Link("in Prefect", run)
    if present(row["seal"]):
        yield "sealed", str(row["seal"])[:12]


def _progress(request: Page, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return how far a running scoring is, by its parts."""
    if row["status"] != Status.RUNNING:
        return None
    written = progress_of(request.db, [row["session_no"]]).get(row["session_no"])
    if written is None:
        return {"parts": 0, "rows": 0, "of": None}
    try:
        params = json.loads(row["params"])
    except ValueError:
        params = {}
    of = params.get("parts") if isinstance(params, dict) else None
    return {"parts": written.parts, "rows": written.rows, "of": of if isinstance(of, int) else None}


def _artifacts(request: Page, session_id: str) -> Listing:
    rows = records(of_sessions(request.db, "artifacts", [session_id]))
    columns = [
        Column("artifact_name", "artifact", show=lambda row: _artifact(request, session_id, row)),
        Column("format", "format"),
        Column("bytes", "size", "number", show=lambda row: size(row["bytes"])),
        Column("sha256", "SHA-256", "code", show=lambda row: cell(row["sha256"])),
    ]
    return Listing(columns, rows, "Saved by this session")


def _artifact(request: Page, session_id: str, row: Mapping[str, Any]) -> Link:
    name = row["artifact_name"]
    return Link(text(name, 80), request.url("sessions", session_id, "artifacts", name))


def _files(request: Page, session_id: str, rows: list[dict[str, Any]]) -> Listing:
    columns = [
        Column("name", "file", show=lambda row: _file(request, session_id, row["name"])),
        Column("media_type", "type"),
        Column("bytes", "size", "number", show=lambda row: size(row["bytes"])),
        Column("sha256", "SHA-256", "code"),
    ]
    return Listing(columns, rows, "Files and figures of this session")


def _file(request: Page, session_id: str, name: str) -> Link:
    return Link(text(name, 80), request.url("sessions", session_id, "files", name))


def _images(
    request: Page, session_id: str, rows: list[dict[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Yield names and addresses of pictures that a browser may show: no SVG, which is a page."""
    shown = [row for row in rows if row["media_type"] in IMAGES and row["bytes"] <= LARGEST_IMAGE]
    for row in shown[:MOST_IMAGES]:
        name = row["name"]
        yield name, request.url("sessions", session_id, "files", name, show=1)


def _sheet(request: Page, row: Mapping[str, Any], key: tuple[Any, ...] | None) -> Any:
    """Return verdict, figures and sections as markup: rendered once of a sealed session."""
    import markupsafe

    if key is not None and (stored := request.console.rendered.get(key)) is not None:
        return markupsafe.Markup(stored)  # noqa: S704 - rendered by the template below
    # Not `request.store`: the moment that it reads is over when the head has been sent.
    sheet = _content(request.console.store, row)
    markup = request.console.render("sheet.html", sheet=sheet, pictures=Pictures(), page=request)
    if key is not None:
        request.console.rendered.put(key, markup)
    return markupsafe.Markup(markup)  # noqa: S704 - rendered by a template that escapes


def _content(store: Store, row: Mapping[str, Any]) -> Sheet:
    """Return what the report of a session shows."""
    from dataclasses import replace

    try:
        content = load_session_report(store.database, row["session_id"], MOST_SCORES)
        summary = reports.session_summary(content)
        return replace(summary, sections=reports.session_sections(content))
    except ConfigurationError as exc:
        level = LEVEL_OF_STATUS.get(str(row["status"]), "bad")
        note = Section("Report", [Note(str(exc))])
        heading: Any = None
        return Sheet(heading, Headline(level, f"The session {row['status']}"), [], [note])
