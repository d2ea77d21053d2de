"""What requests bring: JSON of a limited size, and files that go through the disk."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO, cast

from anyio import to_thread
from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute

from mfprefect.console.api.context import WRITE, Context, Ctx, right
from mfprefect.console.api.problems import ProblemError
from mfprefect.store.idempotency import KeyedRequest

__all__ = [
    "JsonDigest",
    "Key",
    "LimitedRoute",
    "Upload",
    "Uploaded",
    "UploadedFrame",
    "Writer",
    "keyed",
]

KEY_HEADER = "Idempotency-Key"
PIECE = 1024 * 1024


class LimitedRoute(APIRoute):
    """A route that takes JSON alone, and no more of it than the limit."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, behind the checks of the body."""
        handle = super().get_route_handler()
        takes_json = self.body_field is not None

        async def limited(request: Request) -> Response:
            if not takes_json:
                return await handle(request)
            media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type != "application/json":
                raise ProblemError(
                    415,
                    "UnsupportedMediaType",
                    f"the content type is {media_type[:60]!r}; send application/json.",
                    headers={"Accept": "application/json"},
                )
            context: Context = request.app.state.context
            return await handle(_limited(request, context.limits.json))

        return limited


def _limited(request: Request, limit: int) -> Request:
    _check_length(request, limit)
    received = 0

    async def receive() -> Any:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise _too_large(limit)
        return message

    return Request(request.scope, receive, request._send)


def _check_length(request: Request, limit: int) -> None:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        # Stored as it is, it would be another file than the client means.
        raise ProblemError(
            415,
            "UnsupportedMediaType",
            f"the content encoding is {encoding[:60]!r}; send the body as it is.",
            headers={"Accept-Encoding": "identity"},
        )
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> ProblemError:
    return ProblemError(
        413, "TooLarge", f"the body has more than {limit:,} bytes, the most of this request."
    )


@dataclass(frozen=True)
class Uploaded:
    """A body that has arrived whole."""

    file: BinaryIO
    """A temporary file with a name."""
    size: int
    sha256: str
    media_type: str

    @property
    def path(self) -> str:
        """Its path while the request lasts."""
        return str(self.file.name)


async def _upload(request: Request, context: Ctx) -> AsyncIterator[Uploaded]:
    async with _received(request, context.limits.upload) as upload:
        yield upload


async def _upload_frame(request: Request, context: Ctx) -> AsyncIterator[Uploaded]:
    async with _received(request, context.limits.frame) as upload:
        yield upload


@asynccontextmanager
async def _received(request: Request, limit: int) -> AsyncIterator[Uploaded]:
    """Receive a body into a temporary file: memory stays as it is, however large it is."""
    _check_length(request, limit)
    digest, size, pending = hashlib.sha256(), 0, bytearray()
    with tempfile.NamedTemporaryFile(prefix="mfprefect-") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            digest.update(chunk)
            pending += chunk
            if len(pending) >= PIECE:
                await to_thread.run_sync(file.write, bytes(pending))
                pending.clear()
        await to_thread.run_sync(file.write, bytes(pending))
        await to_thread.run_sync(file.flush)
        file.seek(0)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        yield Uploaded(cast("BinaryIO", file), size, digest.hexdigest(), media_type)


Upload = Annotated[Uploaded, Depends(_upload)]
UploadedFrame = Annotated[Uploaded, Depends(_upload_frame)]
Key = Annotated[
    str | None,
    Header(
        alias=KEY_HEADER,
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text that is new for each request, such as a UUID. The same request with "
        "the same key is done once: sent again, it gets the first answer.",
    ),
]


def keyed(request: Request, person: Any, key: str | None, body_digest: str) -> KeyedRequest | None:
    """Return the request under its key, None if it has none."""
    if key is None:
        return None
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    url = request.url
    return KeyedRequest.of(
        person.name, key, request.method, url.path, url.query, media_type, body_digest
    )


async def json_digest(request: Request) -> str:
    """Return the SHA-256 of a body of JSON, which is in memory already."""
    return hashlib.sha256(await request.body()).hexdigest()


JsonDigest = Annotated[str, Depends(json_digest)]
Writer = Annotated[Any, Depends(right(WRITE))]
