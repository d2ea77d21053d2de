"""What a request is answered with: the stores, the limits, and who asks."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from mfprefect.console.api.limits import Limits
from mfprefect.console.api.problems import ProblemError
from mfprefect.store import Store
from mfprefect.store.database import Database

__all__ = ["AUDIT", "LOOK_UP", "READ", "WRITE", "Context", "Ctx", "Person", "right"]

READ, LOOK_UP, AUDIT, WRITE = "read", "look_up", "audit", "write"
RIGHTS = {
    "viewer": (READ,),
    "auditor": (READ, LOOK_UP, AUDIT),
    "writer": (READ, LOOK_UP, WRITE),
    "deployer": (READ, LOOK_UP, AUDIT),
    "admin": (READ, LOOK_UP, AUDIT, WRITE),
}
"""Of the rights of each scope, those that the API asks for."""
PERSON = "mfprefect.person"
"""Where the logon of the console puts who asks."""


@dataclass(frozen=True)
class Context:
    """What all requests share."""

    store: Store
    writer: Store | None
    limits: Limits

    @property
    def db(self) -> Database:
        """The database to read from."""
        return self.store.database

    @property
    def target(self) -> Store:
        """The store to write to.

        Raises:
            ProblemError: this server takes no writes.
        """
        if self.writer is None:
            raise ProblemError(
                403, "WritesOff", "this server takes no writes: start it with --actions."
            )
        self.writer.require_schema()
        return self.writer


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Ctx = Annotated[Context, Depends(_context)]


@dataclass(frozen=True)
class Person:
    """Who sent a request, by a token."""

    name: str
    scope: str

    def may(self, wanted: str) -> bool:
        """Return whether the person has a right."""
        return wanted in RIGHTS.get(self.scope, ())


def person_of(request: Request, context: Ctx) -> Any:
    """Return who asks: the person of the console's logon, else the owner of the token.

    Raises:
        ProblemError: nobody that the store knows.
    """
    if (person := request.scope.get(PERSON)) is not None:
        return person
    header = request.headers.getlist("authorization")
    if len(header) != 1:
        raise _unauthorized("send a token: `Authorization: Bearer mfp_..`.")
    if not _is_private(request):
        raise ProblemError(
            403, "InsecureTransport", "tokens are taken over TLS or from this machine alone."
        )
    token = context.store.token_for(_secret(header[0]))
    if token is None:
        raise _unauthorized("the token is unknown, has expired or was revoked.")
    return Person(token.owner, token.scope)


def _unauthorized(text: str) -> ProblemError:
    headers = {"WWW-Authenticate": 'Bearer realm="mfprefect", Basic realm="mfprefect"'}
    return ProblemError(401, "Unauthorized", text, headers=headers)


def _is_private(request: Request) -> bool:
    """Return whether nobody on the way can read the request."""
    if request.url.scheme == "https" or request.client is None:  # None: over a unix socket
        return True
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _secret(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def right(wanted: str) -> Callable[..., Any]:
    """Return the dependency that requires a right of who asks, and returns the person."""

    def require(person: Annotated[Any, Depends(person_of)]) -> Any:
        if not person.may(wanted):
            raise ProblemError(403, "Forbidden", f"{person.name} has no right to {_WORDS[wanted]}.")
        return person

    return require


_WORDS = {
    READ: "read sessions",
    LOOK_UP: "see scores of entities",
    AUDIT: "read the audit trail",
    WRITE: "write sessions",
}
