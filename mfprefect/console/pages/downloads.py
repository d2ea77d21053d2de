"""Files: reports in a sandbox, and artifacts as attachments."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from mimetypes import guess_type
from typing import BinaryIO

from mfprefect.console.answers import REPORT_CSP, Answer, attachment
from mfprefect.console.page import Page
from mfprefect.console.params import Missing
from mfprefect.errors import InvalidValue
from mfprefect.store.artifacts import copy_artifact

__all__ = ["IMAGES", "artifact", "file", "model_report", "session_report"]

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""Pictures that a browser shows without running anything."""
PICTURE = {"content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'"}

IN_MEMORY = 4 * 1024 * 1024
PIECE = 256 * 1024
LONGEST_NAME = 128


def session_report(request: Page) -> Answer:
    """Return the report of a session: one file, which runs nothing and loads nothing."""
    return _report(request.store.report(request.session_id))


def model_report(request: Page) -> Answer:
    """Return the report of a model."""
    return _report(request.store.model_report(request.model_id))


def _report(text: str) -> Answer:
    headers = {"content-security-policy": REPORT_CSP}
    return Answer(text.encode("utf-8", "replace"), headers=headers)


def artifact(request: Page) -> Answer:
    """Return an artifact as it was stored, after its digest was verified."""
    name = _name(request)
    file: BinaryIO = tempfile.SpooledTemporaryFile(IN_MEMORY)  # type: ignore[assignment] # noqa: SIM115 - closed when it was sent
    try:
        stored = copy_artifact(request.db, request.session_id, name, file)
    except InvalidValue as exc:
        file.close()
        raise Missing("There is no such artifact.") from exc
    except BaseException:
        file.close()
        raise
    headers = {
        "content-disposition": attachment(f"{request.session_id}-{name}"),
        "content-length": str(stored.size),
    }
    return Answer(_pieces(file), "application/octet-stream", headers=headers, pack=False)


def file(request: Page) -> Answer:
    """Return a file of a session: as an attachment, or a picture for the session's page."""
    name = _name(request)
    try:
        opened = request.store.open_file(request.session_id, name)
    except InvalidValue as exc:
        raise Missing("There is no such file.") from exc
    media = guess_type(name)[0]
    if request.query.text("show") is not None and media in IMAGES:
        return Answer(_pieces(opened), str(media), headers=dict(PICTURE), pack=False)
    headers = {"content-disposition": attachment(name)}
    return Answer(_pieces(opened), "application/octet-stream", headers=headers, pack=False)


def _name(request: Page) -> str:
    name = request.parts["name"]
    if len(name) > LONGEST_NAME or "\0" in name:
        raise Missing("There is no such file.")
    return name


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece
