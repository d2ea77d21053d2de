"""Tokens of the console and its API: made once, stored as digests, refused as soon as revoked.

A token is `mfp_`, ten characters that name it, `_` and a secret of 256 bits. The database holds
the name and the SHA-256 of the whole token, never the secret.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.errors import InvalidValue
from mfprefect.redaction import TOKEN
from mfprefect.store.audit.events import actor, record, row_digest
from mfprefect.store.database import Database
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SCOPES", "NewToken", "Token", "create", "revoke", "token_for", "tokens_frame"]

SCOPES = ("viewer", "auditor", "writer", "deployer", "admin")
"""What a token allows: the roles of the console. See docs/security.md."""
SHORTEST, LONGEST = dt.timedelta(minutes=1), dt.timedelta(days=366)
_NOBODY = "0" * 64
"""Compared with where there is no token, so that the answer takes as long."""


@dataclass(frozen=True)
class NewToken:
    """A token that was just made: the only time that its text is known."""

    token_id: str
    """Its public name, for `revoke_token`."""
    token: str = field(repr=False)
    """The whole token, to be handed to its owner."""
    owner: str
    scope: str
    expires_at: dt.datetime


@dataclass(frozen=True)
class Token:
    """What the database knows of a valid token."""

    token_id: str
    owner: str
    scope: str


def create(
    db: Database, owner: str, scope: str, expires: dt.timedelta, description: str | None
) -> NewToken:
    """Make a token; write its digest and an audit event in one transaction.

    Raises:
        InvalidValue: an unknown scope, or a life of under a minute or over 366 days.
    """
    if not SHORTEST <= expires <= LONGEST:
        raise InvalidValue(
            f"a token cannot be valid for {expires}; choose from a minute to 366 days, and make "
            "another one then."
        )
    now = values.utc_now()
    token_id, token = _new_token()
    row: dict[str, Any] = {
        "token_id": token_id,
        "token_digest": _digest(token),
        "scope": values.choice(scope, "the scope", SCOPES),
        "owner": values.name(owner, "the owner"),
        "description": None if description is None else values.text(description, "description"),
        "created_at": now,
        "created_by": actor(),
        "expires_at": now + expires,
        "revoked_at": None,
        "revoked_by": None,
    }
    if not row["owner"].isprintable():
        raise InvalidValue(f"the owner {row['owner']!r} has characters that cannot be printed.")
    detail = {name: row[name] for name in ("owner", "scope", "description", "expires_at")}

    def work(connection: sa.Connection, again: bool) -> None:
        table = db.schema.api_tokens
        c = table.c.token_id
        if again and connection.scalar(sa.select(c).where(c == token_id)) is not None:
            return  # the interrupted commit had succeeded
        connection.execute(table.insert(), row)
        digest = row_digest(db.schema, "api_tokens", row)
        record(db, connection, "create_token", token_id, **detail, **digest)

    db.write_transaction(work)
    return NewToken(token_id, token, row["owner"], row["scope"], row["expires_at"])


def _new_token() -> tuple[str, str]:
    token_id = _base32(secrets.token_bytes(7))[:10]
    return token_id, f"mfp_{token_id}_{_base32(secrets.token_bytes(32))}"


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def _digest(token: str) -> str:
    # Of 256 random bits, a plain digest tells nothing; a slow one would only slow the server down.
    return hashlib.sha256(token.encode()).hexdigest()


def revoke(db: Database, token_id: str) -> None:
    """Revoke a token: from the next request on it is refused. Harmless when repeated.

    Raises:
        InvalidValue: there is no such token.
    """
    table = db.schema.api_tokens
    same = table.c.token_id == values.name(token_id, "the name of the token", 16)

    def work(connection: sa.Connection, _: bool) -> None:
        stored = connection.execute(sa.select(table).where(same)).first()
        if stored is None:
            raise InvalidValue(
                f"there is no token {token_id!r}; `mfprefect token list` names all of them."
            )
        row = dict(zip(table.c.keys(), stored, strict=True))
        if row["revoked_at"] is not None:
            return
        changes = {"revoked_at": values.utc_now(), "revoked_by": actor()}
        unrevoked = table.c.revoked_at.is_(None)
        if connection.execute(table.update().where(same, unrevoked), changes).rowcount:
            digest = row_digest(db.schema, "api_tokens", row | changes)
            record(db, connection, "revoke_token", token_id, owner=row["owner"], **digest)

    db.write_transaction(work)


def tokens_frame(db: Database) -> pd.DataFrame:
    """Return all tokens without their digests, the newest first."""
    c = db.schema.api_tokens.c
    columns = [column for column in c if column.key != "token_digest"]
    frame = db.frame(sa.select(*columns).order_by(c.created_at.desc(), c.token_id))
    now = values.utc_now()
    return frame.assign(
        state=[
            "revoked" if revoked == revoked and revoked is not None else _state(expires, now)
            for revoked, expires in zip(frame["revoked_at"], frame["expires_at"], strict=True)
        ]
    )


def _state(expires: dt.datetime, now: dt.datetime) -> str:
    return "valid" if now < expires else "expired"


def token_for(db: Database, text: str) -> Token | None:
    """Return the token of a text; None if it is unknown, has expired or was revoked.

    One select by the primary key, each time: what was revoked is refused from the next request on.
    Digests are compared in constant time.
    """
    match = TOKEN.fullmatch(text)
    row = None
    if match is not None:
        c = db.schema.api_tokens.c
        select = sa.select(
            c.token_id, c.token_digest, c.owner, c.scope, c.expires_at, c.revoked_at
        ).where(c.token_id == match["id"])
        row = next(iter(db.fetch_all(select)), None)
    same = hmac.compare_digest(_digest(text), _NOBODY if row is None else str(row.token_digest))
    if row is None or not same or row.revoked_at is not None:
        return None
    if row.expires_at <= values.utc_now() or row.token_scope not in SCOPES:
        return None
    return Token(row.token_id, row.owner, row.token_scope)
