"""The ASGI application: from a request to an answer, and from an error to a page."""

from __future__ import annotations

import asyncio
import functools
import logging
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from mfprefect.console import answers, mounting, rendering
from mfprefect.console.answers import Answer
from mfprefect.console.cache import Fresh, Rendered
from mfprefect.console.guard import Guard, Scope, headers_of
from mfprefect.console.jobs import Jobs
from mfprefect.console.logon import NoLogon, Person, Refused, Right, person_of
from mfprefect.console.options import ConsoleOptions
from mfprefect.console.page import Page
from mfprefect.console.params import BadRequest, Missing, Params
from mfprefect.console.routes import Match, find
from mfprefect.errors import (
    ConfigurationError,
    DatabaseConflict,
    DatabaseUnavailable,
    GateFailed,
    InvalidValue,
    PermissionDenied,
    SchemaOutdated,
    UnknownModel,
    UnknownSession,
)

if TYPE_CHECKING:
    from mfprefect.store import Store
    from mfprefect.store.browse.overview import ModelState

__all__ = ["Console"]

log = logging.getLogger(__name__)
WORKERS = 8
"""Requests that read the database at the same time; as many connections are open at most."""
STATES_SECONDS = 3.0
"""How old the state of all models may be that a page shows."""
LARGEST_FORM = 64 * 1024


class Console:
    """Pages over a store, and the applications that are mounted beside them."""

    def __init__(
        self,
        store: Store,
        options: ConsoleOptions,
        *,
        writer: Store | None = None,
        mounts: Mapping[str, Any] | None = None,
    ) -> None:
        self.store = store
        self.options = options
        self.writer = writer or store
        self.environment = store.database.settings.environment
        self.jobs = Jobs()
        self.rendered = Rendered()
        self.states: Fresh[list[ModelState]] = Fresh(STATES_SECONDS)
        self._guard = Guard(options)
        self._mounts = mounting.Mounts(mounts or {})
        self._render = rendering.environment()
        self._limiter: anyio.CapacityLimiter | None = None
        if options.actions and isinstance(options.logon, NoLogon):
            raise ConfigurationError("actions need a logon.")

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: Scope, receive: Any, send: Any) -> None:
        path = self._inner_path(scope)
        mounted = self._mounts.find(path)
        try:
            # A logon may read tokens from the database.
            await self._in_thread(functools.partial(self._guard.admit, scope))
        except Refused as exc:
            await self._send(scope, send, self._refusal(exc, api=mounted is not None))
            return
        except Exception as exc:  # noqa: BLE001 - the database of the tokens may be away
            await self._send(scope, send, self._failure(exc, None))
            return
        if mounted is not None:
            await mounted(self._mounts.inner_scope(scope, path), receive, mounting.guarded(send))
            return
        try:
            form = await _form(scope, receive)
        except BadRequest as exc:
            await self._send(scope, send, self._problem(400, "That does not work", str(exc), None))
            return
        await self._send(
            scope, send, await self._in_thread(lambda: self._answer(scope, path, form))
        )

    def _inner_path(self, scope: Scope) -> str:
        """Return the path below the root path, as it was sent: escapes tell slashes apart."""
        raw = scope.get("raw_path") or scope["path"].encode()
        path: str = raw.decode("ascii", "replace").partition("?")[0]
        root = self.options.root_path
        # Some proxies cut the root path off, some do not.
        if root and (path == root or path.startswith(f"{root}/")):
            path = path[len(root) :] or "/"
        return path

    async def _in_thread(self, work: Any) -> Any:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(WORKERS)
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)

    def _answer(self, scope: Scope, path: str, form: Params | None) -> Answer:
        person = person_of(scope)
        try:
            match = find(path)
            if isinstance(match, Answer):
                return match
            method = "GET" if scope["method"] == "HEAD" else scope["method"]
            if method not in match.route.methods:
                allowed = ", ".join(match.route.methods)
                answer = self._problem(405, "Not that way", f"This page takes {allowed}.", person)
                answer.headers["allow"] = allowed
                return answer
            self._require(person, match.route.right, method)
            query = Params(scope["query_string"].decode("ascii", "replace"))
            if method == "POST":
                answer = self._run(match, self.store, person, query, form)
                self.states.clear()
                return answer
            return self.store.snapshot(lambda at: self._run(match, at, person, query, None))
        except Exception as exc:  # noqa: BLE001 - any error becomes a page
            return self._failure(exc, person)

    def _require(self, person: Person, right: Right, method: str) -> None:
        if method == "POST" and right in (Right.DEPLOY, Right.VERIFY) and not self.options.actions:
            raise Refused(403, "actions are off; `mfprefect serve --actions` turns them on.")
        if not person.may(right):
            if person.via == "local":
                raise Refused(403, "this needs a logon: see `mfprefect serve --help`.")
            raise Refused(403, f"the role {person.role} has no right to this.")

    def _run(
        self, match: Match, store: Store, person: Person, query: Params, form: Params | None
    ) -> Answer:
        page = Page(self, store, person, match.parts, query, match.segments, form)
        return match.route.handler(page)

    def render(self, template: str, **values: Any) -> str:
        """Return a rendered template."""
        return self._render.get_template(template).render(console=self, **values)

    def stream(self, template: str, **values: Any) -> Iterator[bytes]:
        """Yield a rendered template, piece by piece: see `rendering.pieces`.

        An error after the first piece becomes the last one: the status was sent before.
        """
        pieces = rendering.pieces(self._render.get_template(template), console=self, **values)
        try:
            for piece in pieces:
                yield piece.encode("utf-8", "replace")
        except Exception as exc:  # noqa: BLE001 - any error becomes a sentence
            yield self.render("broken.html", text=self._unexpected(exc)).encode()

    # Errors

    def _failure(self, exc: Exception, person: Person | None) -> Answer:
        if isinstance(exc, Refused):
            return self._problem(exc.status, "Not allowed", exc.reason, person)
        if isinstance(exc, (UnknownModel, UnknownSession, Missing)):
            what = "model" if isinstance(exc, UnknownModel) else "session"
            text = str(exc) if isinstance(exc, Missing) else f"There is no such {what}."
            return self._problem(404, "Not found", text, person)
        if isinstance(exc, (BadRequest, InvalidValue, GateFailed)):
            return self._problem(400, "That does not work", str(exc), person)
        if isinstance(exc, PermissionDenied):
            text = "The database user of this console may not read or write this."
            return self._problem(403, "Not allowed", text, person)
        if isinstance(exc, (DatabaseUnavailable, DatabaseConflict, SchemaOutdated)):
            log.warning("a page could not be read: %s", exc)
            text = "The database does not answer as it should now. Try again in a minute."
            answer = self._problem(503, "The database is away", text, person)
            answer.headers["retry-after"] = "60"
            return answer
        return self._problem(500, "Something broke", self._unexpected(exc), person)

    @staticmethod
    def _unexpected(exc: Exception) -> str:
        """Log an error under a number; return a sentence that leads there."""
        number = secrets.token_hex(4)
        log.error("error %s of the console", number, exc_info=exc)
        return f"The log of the console has it under the number {number}."

    def _problem(self, status: int, title: str, text: str, person: Person | None) -> Answer:
        page = None
        if person is not None:
            page = Page(self, self.store, person, {}, Params(""), ())
        sentence = text[:1].upper() + text[1:]
        rendered = self.render("problem.html", page=page, title=title, text=sentence)
        return Answer(rendered.encode("utf-8", "replace"), status=status)

    def _refusal(self, exc: Refused, *, api: bool) -> Answer:
        if api:
            answer = mounting.problem(exc.status, exc.reason)
        else:
            answer = self._problem(exc.status, "Not allowed", exc.reason, None)
        if exc.challenge:
            answer.headers["www-authenticate"] = 'Basic realm="mfprefect", charset="UTF-8"'
        return answer

    # Sending

    async def _send(self, scope: Scope, send: Any, answer: Answer) -> None:
        headers = headers_of(scope)
        gzip = "gzip" in ",".join(headers.get("accept-encoding", [])).lower()
        if isinstance(answer.body, bytes):
            await self._send_whole(scope, send, answer, headers, gzip)
            return
        if _is_known(answer, headers):
            await _start(send, replace(answer, status=304), {})
            await send({"type": "http.response.body", "body": b""})
            return
        packed = gzip and answer.pack
        extra = {"content-encoding": "gzip"} if packed else {}
        await _start(send, answer, extra)
        if scope["method"] != "HEAD":
            pieces = answers.compressed(answer.body) if packed else answer.body
            await self._send_pieces(send, pieces)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_whole(
        self, scope: Scope, send: Any, answer: Answer, headers: Mapping[str, list[str]], gzip: bool
    ) -> None:
        body: bytes = answer.body  # type: ignore[assignment] # the caller looked
        if answer.status == 200 and scope["method"] in ("GET", "HEAD"):
            answer.headers.setdefault("etag", answers.etag(body))
            if _is_known(answer, headers):
                await _start(send, replace(answer, status=304), {})
                await send({"type": "http.response.body", "body": b""})
                return
        body, extra = answers.content(body, gzip, answer.pack)
        await _start(send, answer, {**extra, "content-length": str(len(body))})
        if scope["method"] == "HEAD":
            body = b""
        await send({"type": "http.response.body", "body": body})

    async def _send_pieces(self, send: Any, pieces: Iterable[bytes]) -> None:
        iterator = iter(pieces)
        end = object()
        while (piece := await self._in_thread(lambda: next(iterator, end))) is not end:
            await send({"type": "http.response.body", "body": piece, "more_body": True})


def _is_known(answer: Answer, headers: Mapping[str, list[str]]) -> bool:
    """Return whether the browser has this answer already."""
    tags = [tag.strip() for value in headers.get("if-none-match", []) for tag in value.split(",")]
    return answer.status == 200 and answer.headers.get("etag", "") in tags


async def _start(send: Any, answer: Answer, extra: Mapping[str, str]) -> None:
    headers = {**answers.SECURITY, "content-type": answer.media, **answer.headers, **extra}
    if answer.status == 304:
        headers.pop("content-type")
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})


async def _form(scope: Scope, receive: Any) -> Params | None:
    """Return what a form sent, None for other methods.

    Raises:
        BadRequest: it is no form, or too long.
    """
    if scope["method"] != "POST":
        return None
    media = ",".join(headers_of(scope).get("content-type", [])).partition(";")[0].strip().lower()
    if media not in ("application/x-www-form-urlencoded", ""):
        raise BadRequest("this page takes a form, as a browser sends it.")
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST_FORM:
            raise BadRequest(f"the form has more than {LARGEST_FORM} bytes.")
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return Params(body.decode("ascii", "replace"))


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
        await asyncio.sleep(0)
