"""Tables of what happened: notices, the audit trail and the seals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Boolean, Column, Index, Integer

from mfprefect.schema.base import TablesBase, column, identifier, number, session_number
from mfprefect.schema.types import (
    DIGEST_LENGTH,
    KEY_ID_LENGTH,
    MODEL_ID_LENGTH,
    SESSION_ID_LENGTH,
    SIGNATURE_LENGTH,
    Instant,
    LongText,
)

__all__ = ["EventTables"]


def _signature() -> Iterator[Column[Any]]:
    yield identifier("key_id", "Key that signed it, or NULL if not signed.", KEY_ID_LENGTH)
    yield identifier("signature", "Signature, in hexadecimal.", SIGNATURE_LENGTH)


class EventTables(TablesBase):
    """Tables of notices, audit events and seals."""

    def _events(self) -> None:
        self.notifications = self._table(
            "notifications",
            "Notices about sessions, each event once to each channel.",
            session_number(),
            number("notice_no", "Number of the notice, from 1."),
            identifier("event", "What happened, such as failed.", 32, nullable=False),
            identifier("channel", "Target of the settings.", 255, nullable=False),
            column("sent_at", Instant, "When it was last sent (UTC).", nullable=False),
            column("delivered", Boolean, "Whether it was delivered.", nullable=False),
            column("failure", LongText, "Why it was not delivered."),
            # The process that inserts the row sends the notice, so each event is sent once.
            Index(
                f"uq_{self.name('notifications')}_fact",
                "session_no",
                "event",
                "channel",
                unique=True,
            ),
        )
        self.audit_events = self._table(
            "audit_events",
            "Audit trail: who did what, and when, as a chain of digests.",
            number("event_no", "Number of the event, from 1."),
            column("event_at", Instant, "When it happened (UTC).", nullable=False, key="at"),
            identifier("actor", "User who did it.", nullable=False),
            identifier(
                "event_action", "What was done, such as promote.", 32, nullable=False, key="action"
            ),
            identifier("subject", "Session or model that it concerns.", 255, nullable=False),
            column("detail", LongText, "Details, as JSON.", nullable=False),
            identifier("previous_digest", "Digest of the event before it.", DIGEST_LENGTH),
            identifier(
                "digest", "SHA-256 of the event, in hexadecimal.", DIGEST_LENGTH, nullable=False
            ),
            *_signature(),
            Index(f"ix_{self.name('audit_events')}_subject", "subject", "event_no"),
        )
        # No foreign key: rows outlive their sessions.
        self.seals = self._table(
            "seals",
            "Seals of sessions, one chain for each model, which outlive their sessions.",
            identifier("model_id", "Model of the chain.", MODEL_ID_LENGTH, primary_key=True),
            number("seal_no", "Place in the chain, from 1."),
            column("session_no", Integer, "Number of the session that it seals.", nullable=False),
            identifier("session_id", "Session that it seals.", SESSION_ID_LENGTH, nullable=False),
            column("sealed_at", Instant, "When it was sealed (UTC).", nullable=False),
            column("manifest", LongText, "Digests of its rows, as JSON.", nullable=False),
            identifier(
                "seal",
                "SHA-256 of manifest and previous seal, in hexadecimal.",
                DIGEST_LENGTH,
                nullable=False,
            ),
            *_signature(),
            Index(f"ix_{self.name('seals')}_session", "session_no"),
            of_session=False,
        )
