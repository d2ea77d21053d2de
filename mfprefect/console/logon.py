"""Who asks: the person of a request, and what that person may do.

Three kinds of logon: none, for programs on this machine alone; the header of a reverse proxy, which
proves itself by a secret or comes over a unix socket; and tokens. Pure: no SQL, no framework.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

__all__ = [
    "LOCAL",
    "RIGHTS",
    "Caller",
    "FindToken",
    "Logon",
    "NoLogon",
    "Person",
    "ProxyLogon",
    "Refused",
    "Right",
    "Role",
    "Token",
    "TokenLogon",
    "person_of",
]

SCOPE_KEY = "mfprefect.person"
LONGEST_NAME = 128
"""As long as the column of actors."""


class Role(StrEnum):
    """What a person is to the console, by group or token."""

    VIEWER = "viewer"
    AUDITOR = "auditor"
    WRITER = "writer"
    DEPLOYER = "deployer"
    ADMIN = "admin"


class Right(StrEnum):
    """What a page or an action needs."""

    READ = "read"
    LOOK_UP = "look_up"
    """See the scores of single entities."""
    AUDIT = "audit"
    """Read the audit trail, and what the database holds."""
    VERIFY = "verify"
    """Start a verification of seals."""
    WRITE = "write"
    """Open and fill sessions by the API."""
    DEPLOY = "deploy"
    """Promote, roll back, retire, set a threshold."""
    TOKENS = "tokens"
    """Make and revoke tokens."""


_READS = frozenset({Right.READ, Right.LOOK_UP, Right.AUDIT})
RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.READ}),
    Role.AUDITOR: _READS | {Right.VERIFY},
    Role.WRITER: frozenset({Right.READ, Right.LOOK_UP, Right.WRITE}),
    Role.DEPLOYER: _READS | {Right.VERIFY, Right.DEPLOY},
    Role.ADMIN: frozenset(Right),
}
"""The rights of each role."""
ORDER = (Role.VIEWER, Role.WRITER, Role.AUDITOR, Role.DEPLOYER, Role.ADMIN)
"""Roles by their strength: of several groups, the strongest role counts."""


@dataclass(frozen=True)
class Person:
    """Who sent a request."""

    name: str
    """What audit events record."""
    role: Role
    via: str
    """`local`, `proxy` or `token`."""
    token_id: str | None = None

    def may(self, right: Right) -> bool:
        """Return whether this person has a right. Without a logon, nobody may change anything."""
        if self.via == "local":
            return right in _READS
        return right in RIGHTS[self.role]


LOCAL = Person("local", Role.ADMIN, "local")
"""Whoever asks from this machine, where no logon is configured."""


class Token(Protocol):
    """What a store knows of a valid token."""

    @property
    def token_id(self) -> str:
        """The public name of the token."""

    @property
    def owner(self) -> str:
        """The person or program that it stands for."""

    @property
    def scope(self) -> str:
        """The name of a role."""


FindToken = Callable[[str], Token | None]
"""Returns the token of a secret; None if it is unknown, expired or revoked."""


@dataclass(frozen=True)
class Caller:
    """What a logon needs of a request."""

    headers: Mapping[str, Sequence[str]]
    """Values by name in lower case."""
    peer: str | None
    """The address of the other end of the connection; None over a unix socket."""
    secure: bool
    """Whether nobody on the way can read the request: TLS, this machine, or a unix socket."""

    def one(self, name: str) -> str | None:
        """Return the value of a header that must not be repeated.

        Raises:
            Refused: it is there twice: a proxy and a client disagree.
        """
        values = self.headers.get(name.lower(), ())
        if len(values) > 1:
            raise Refused(400, f"the header {name} is there {len(values)} times.")
        return values[0] if values else None


class Refused(Exception):
    """Why a request gets no person.

    Args:
        status: 400, 401 or 403.
        reason: a sentence for the person; holds no secret.
        challenge: whether a browser may ask for name and password.
    """

    def __init__(self, status: int, reason: str, *, challenge: bool = False) -> None:
        super().__init__(reason)
        self.status, self.reason, self.challenge = status, reason, challenge


class Logon(Protocol):
    """A way to find out who sent a request."""

    @property
    def kind(self) -> str:
        """What the option `--logon` calls it."""

    def person(self, caller: Caller) -> Person:
        """Return the person.

        Raises:
            Refused: nobody that this console knows.
        """


class NoLogon:
    """Everybody who can reach the console reads; it listens on this machine alone."""

    kind = "none"

    def person(self, caller: Caller) -> Person:
        """Return the same person for all."""
        return LOCAL


@dataclass(frozen=True)
class ProxyLogon:
    """A reverse proxy says who it is, in a header."""

    secret: str | None
    """What the proxy sends in `secret_header`; None where only a unix socket leads here."""
    roles: Mapping[str, Role]
    """The role of each group; the strongest counts."""
    default_role: Role | None = Role.VIEWER
    """The role of a person in none of these groups; None: such a person is refused."""
    user_header: str = "X-Forwarded-User"
    groups_header: str = "X-Forwarded-Groups"
    secret_header: str = "X-Mfprefect-Proxy-Secret"  # noqa: S105 - its name
    kind: str = field(default="proxy", init=False)

    def person(self, caller: Caller) -> Person:
        """Return the person that the proxy names."""
        self._require_proxy(caller)
        name = (caller.one(self.user_header) or "").strip()
        if not name:
            raise Refused(401, f"the proxy sent no name in {self.user_header}.")
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise Refused(400, f"the name in {self.user_header} is too long or not printable.")
        groups = (caller.one(self.groups_header) or "").split(",")
        roles = [self.roles[g] for group in groups if (g := group.strip()) in self.roles]
        role = max(roles, key=ORDER.index, default=self.default_role)
        if role is None:
            raise Refused(403, f"{name} is in no group that may read this console.")
        return Person(name, role, "proxy")

    def _require_proxy(self, caller: Caller) -> None:
        if self.secret is None:
            if caller.peer is not None:
                raise Refused(403, "this console is reached through its reverse proxy alone.")
            return
        sent = caller.one(self.secret_header) or ""
        if not hmac.compare_digest(sent.encode("utf-8", "replace"), self.secret.encode()):
            raise Refused(403, "this console is reached through its reverse proxy alone.")


@dataclass(frozen=True)
class TokenLogon:
    """Tokens of the store: as bearer for programs, as the password of HTTP Basic for browsers."""

    find: FindToken
    kind: str = field(default="token", init=False)

    def person(self, caller: Caller) -> Person:
        """Return the owner of the token."""
        header = caller.one("authorization")
        if header is None:
            raise Refused(401, "this console asks for a token, as the password.", challenge=True)
        if not caller.secure:
            raise Refused(403, "tokens are taken over TLS or from this machine alone.")
        secret = _secret(header)
        token = self.find(secret) if secret else None
        if token is None:
            text = "the token is unknown, has expired or was revoked."
            raise Refused(401, text, challenge=True)
        return Person(token.owner, Role(token.scope), "token", token.token_id)


def _secret(header: str) -> str:
    """Return the token of an Authorization header; empty if there is none."""
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() != "basic":
        return ""
    try:
        decoded = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[2]


def person_of(request: Any) -> Person:
    """Return the person of a request, or of its ASGI scope."""
    scope = getattr(request, "scope", request)
    person: Person = scope[SCOPE_KEY]
    return person
