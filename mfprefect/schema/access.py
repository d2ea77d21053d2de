"""Tables of the API: who may use it, and which requests it has answered."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Index, Integer

from mfprefect.schema.base import TablesBase, column, identifier
from mfprefect.schema.types import DIGEST_LENGTH, SESSION_ID_LENGTH, Instant, LongText

__all__ = ["AccessTables"]


class AccessTables(TablesBase):
    """Tables of tokens and of requests."""

    api_tokens: sa.Table
    idempotency_keys: sa.Table

    def _access(self) -> None:
        self.api_tokens = self._table(
            "api_tokens",
            "Tokens of programs and people for the console and its API, by their digests.",
            identifier(
                "token_id",
                "Public name of the token, the part of it before its secret.",
                16,
                primary_key=True,
            ),
            identifier(
                "token_digest",
                "SHA-256 of the token, in hexadecimal.",
                DIGEST_LENGTH,
                nullable=False,
            ),
            identifier(
                "token_scope",
                "What it allows: viewer, auditor, writer, deployer or admin.",
                16,
                nullable=False,
                key="scope",
            ),
            identifier("owner", "Person or program that it stands for.", nullable=False),
            column("description", LongText, "What it is for."),
            column("created_at", Instant, "When it was made (UTC).", nullable=False),
            identifier("created_by", "User who made it.", nullable=False),
            column("expires_at", Instant, "When it ends (UTC).", nullable=False),
            column("revoked_at", Instant, "When it was revoked (UTC), or NULL."),
            identifier("revoked_by", "User who revoked it, or NULL."),
        )
        # No reference to sessions: an answer outlives the session that it is about.
        self.idempotency_keys = self._table(
            "idempotency_keys",
            "Requests of the API that may be retried, each answered once.",
            identifier(
                "key_digest",
                "SHA-256 of caller and Idempotency-Key, in hexadecimal.",
                DIGEST_LENGTH,
                primary_key=True,
            ),
            identifier(
                "request_digest",
                "SHA-256 of method, path, query, type and body, in hexadecimal.",
                DIGEST_LENGTH,
                nullable=False,
            ),
            identifier("actor", "Who sent it.", nullable=False),
            identifier("session_id", "Session that it opened or wrote to.", SESSION_ID_LENGTH),
            column(
                "detail",
                LongText,
                "What was fixed before the first write, such as the first part, as JSON.",
            ),
            column("created_at", Instant, "When it came (UTC).", nullable=False),
            column("answered_at", Instant, "When it was answered (UTC), or NULL while it is not."),
            column("answer_status", Integer, "HTTP status of the answer."),
            column("answer", LongText, "Body of the answer, as JSON."),
            Index(f"ix_{self.name('idempotency_keys')}_created", "created_at"),
        )
