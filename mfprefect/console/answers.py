"""Answers: what goes back to the browser, compressed, with an ETag."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

__all__ = ["Answer", "attachment", "compressed", "content", "etag", "html", "redirect"]

HTML = "text/html; charset=utf-8"
SMALLEST = 500
"""Bytes from which on an answer is compressed."""
GZIP_WINDOW = 31
LEVEL = 6
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
REPORT_CSP = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
"""Of a report, which is one file with styles of its own: it runs nothing and loads nothing."""
SECURITY = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "private, no-cache",
    "vary": "accept-encoding",
}
"""Headers of every answer that does not set its own."""


@dataclass
class Answer:
    """An HTTP answer."""

    body: bytes | Iterable[bytes]
    """The whole content, or its pieces as they are made."""
    media: str = HTML
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case."""
    pack: bool = True
    """Whether to compress it."""


def html(text: str, status: int = 200, **headers: str) -> Answer:
    """Return a page."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(text.encode("utf-8", "replace"), status=status, headers=names)


def redirect(url: str) -> Answer:
    """Return the way to another page, after an action: the browser gets it by GET."""
    return Answer(b"", status=303, headers={"location": url})


def attachment(name: str) -> str:
    """Return the header that makes a browser store an answer under a name."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def etag(*parts: bytes) -> str:
    """Return the ETag of content."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return f'W/"{digest.hexdigest()[:32]}"'


def content(body: bytes, accepts_gzip: bool, pack: bool) -> tuple[bytes, Mapping[str, str]]:
    """Return a body as it is sent, and the headers that say so."""
    if not (accepts_gzip and pack and len(body) >= SMALLEST):
        return body, {}
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP_WINDOW)
    return packer.compress(body) + packer.flush(), {"content-encoding": "gzip"}


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield pieces as gzip, each one as soon as it is there."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP_WINDOW)
    for piece in pieces:
        yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()
