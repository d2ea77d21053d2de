"""Answers: JSON that is always valid, pages by key, and entity tags."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import JSONResponse, Response

import mfprefect
from mfprefect.errors import InvalidValue

__all__ = ["Json", "cursor_of", "etag_of", "not_modified", "page", "tagged", "values_of"]

REVALIDATE = "private, no-cache"
"""Ask again each time: a token may have been revoked, a page may show more."""


class Json(JSONResponse):
    """JSON in ASCII: also a text that is no valid Unicode has a form in it."""

    def render(self, content: Any) -> bytes:
        """Return the bytes."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def etag_of(*parts: str) -> str:
    """Return the entity tag of what these parts determine."""
    text = "\0".join((mfprefect.__version__, *parts))
    return f'"{hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'


def not_modified(request: Request, etag: str) -> Response | None:
    """Return the answer 304 if the client has this version, else None."""
    sent = ",".join(request.headers.getlist("if-none-match"))
    tags = {tag.strip().removeprefix("W/") for tag in sent.split(",")}
    if etag not in tags and "*" not in tags:
        return None
    return Response(status_code=304, headers={"ETag": etag, "Cache-Control": REVALIDATE})


def tagged(request: Request, content: Any, etag: str | None = None) -> Response:
    """Return JSON with an entity tag, by default that of the content; 304 if the client has it."""
    answer = Json(content)
    etag = etag or etag_of(hashlib.sha256(bytes(answer.body)).hexdigest())
    answer.headers["ETag"], answer.headers["Cache-Control"] = etag, REVALIDATE
    return not_modified(request, etag) or answer


def page(
    request: Request, items: Sequence[Mapping[str, Any]], after: Sequence[Any] | None
) -> Response:
    """Return a page.

    Args:
        request: the request; the next page has the same filters.
        items: the rows.
        after: the key of the last one, if there are more.
    """
    cursor = None if after is None else cursor_of(after)
    answer = Json({"items": list(items), "next_cursor": cursor})
    if cursor is not None:
        filters = [(k, v) for k, v in request.query_params.multi_items() if k != "cursor"]
        query = urlencode([*filters, ("cursor", cursor)])
        answer.headers["Link"] = f'<{quote(request.url.path, safe="/%")}?{query}>; rel="next"'
    answer.headers["Cache-Control"] = REVALIDATE
    return answer


def cursor_of(values: Sequence[Any]) -> str:
    """Return the place after a row, as text that means nothing to the client."""
    text = json.dumps(list(values), separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def values_of(cursor: str | None) -> list[Any] | None:
    """Return the values in a cursor, None without one.

    Raises:
        InvalidValue: it is none.
    """
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = json.loads(base64.b64decode(padded.encode("ascii"), b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        values = None
    if not isinstance(values, list):
        raise InvalidValue(
            f"the cursor {cursor[:40]!r} is not one of this listing; leave it out to begin anew."
        )
    return values
