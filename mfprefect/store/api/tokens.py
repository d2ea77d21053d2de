"""Store methods for the tokens of the console and its API."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from mfprefect.store import tokens as store_tokens
from mfprefect.store.api.base import Base, right_of
from mfprefect.store.tokens import NewToken, Token

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TokensApi"]


class TokensApi(Base):
    """Makes, lists and revokes tokens of the console and its API."""

    @right_of("admin", "create a token")
    def create_token(
        self,
        owner: str,
        scope: str = "viewer",
        *,
        expires: dt.timedelta = dt.timedelta(days=90),
        description: str | None = None,
    ) -> NewToken:
        """Make a token and return it: its text is known this one time, the database has a digest.

        Args:
            owner: the person or program that it stands for; audit events name it.
            scope: `viewer`, `auditor`, `writer`, `deployer` or `admin`: see docs/security.md.
            expires: how long it is valid, from a minute to 366 days.
            description: what it is for.

        Returns:
            token, to be handed to the owner; token_id, owner, scope, expires_at.

        Raises:
            InvalidValue: an argument is not as above.
        """
        return store_tokens.create(self._db, owner, scope, expires, description)

    def tokens(self) -> pd.DataFrame:
        """Return all tokens, the newest first, without anything secret.

        Columns: token_id, scope, owner, description, created_at, created_by, expires_at,
        revoked_at, revoked_by; state: `valid`, `expired` or `revoked`.
        """
        return store_tokens.tokens_frame(self._db)

    @right_of("admin", "revoke a token")
    def revoke_token(self, token_id: str) -> None:
        """Revoke a token: it is refused from the next request on. Harmless when repeated.

        Raises:
            InvalidValue: there is no such token.
        """
        store_tokens.revoke(self._db, token_id)

    def token_for(self, token: str) -> Token | None:
        """Return token_id, owner and scope of a token; None if unknown, expired or revoked."""
        return store_tokens.token_for(self._db, token)
