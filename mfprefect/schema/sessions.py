"""Tables of sessions: what ran, when, where, on which code, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Date, ForeignKey, Index, Integer

from mfprefect.schema.base import TablesBase, column, identifier, number, session_number
from mfprefect.schema.types import (
    DIGEST_LENGTH,
    PARAM_LENGTH,
    SESSION_ID_LENGTH,
    Double,
    Id,
    Instant,
    LongText,
)

__all__ = ["SessionTables"]


def _code() -> Iterator[Column[Any]]:
    """Yield the columns that say which code ran."""
    yield identifier("vcs", "Version control system of the code, such as git.", 8)
    yield identifier("git_commit", "Commit of the code, in hexadecimal.", DIGEST_LENGTH)
    yield identifier("git_branch", "Branch that was checked out.", 255)
    yield column("git_remote", LongText, "Address of the remote repository.")
    yield column("git_dirty", Boolean, "Whether the code had changes that were not committed.")
    yield identifier("git_diff_digest", "SHA-256 of those changes, in hexadecimal.", DIGEST_LENGTH)


def _author() -> Column[Any]:
    return identifier("git_author", "Author of the commit, as name and mail address.", 255)


def _process() -> Iterator[Column[Any]]:
    """Yield the columns that say where it ran."""
    yield identifier("host", "Name of the machine.", 255, nullable=False)
    yield column("process_id", Integer, "Operating system's number of the process.", nullable=False)


def _failure() -> Iterator[Column[Any]]:
    """Yield the columns that say why it did not succeed."""
    yield identifier("failure_kind", "Kind of the failure, such as ValueError.", 255)
    yield column("failure_text", LongText, "Message of the failure.")


class SessionTables(TablesBase):
    """Tables of sessions."""

    environments: sa.Table

    def _sessions(self) -> None:
        name = self.name("sessions")
        self.sessions = self._table(
            "sessions",
            "Sessions: one row for each run of a model, from open to sealed.",
            *self._identity(),
            *self._origin(),
            *self._state(),
            # A flow run has one session with attempts; a flow that opens more numbers them.
            sa.UniqueConstraint("flow_run_id", "flow_run_seq", name=f"uq_{name}_flow_run"),
            Index(f"ix_{name}_model", "model_id", "session_no"),
            Index(f"ix_{name}_status", "status", "heartbeat_at"),
        )

    def _identity(self) -> Iterator[Column[Any]]:
        yield number("session_no", "Number of the session: the key of all that it produced.")
        yield identifier(
            "session_id",
            "Name of the session, as people see it.",
            SESSION_ID_LENGTH,
            nullable=False,
            unique=True,
        )
        yield self._model_id(nullable=False)
        yield identifier(
            "purpose", "What it is for: train, score, monitor, adhoc or trial.", 16, nullable=False
        )
        yield identifier(
            "status", "running, succeeded, failed, crashed or cancelled.", 16, nullable=False
        )
        yield column("attempt", Integer, "Number of the last attempt, from 1.", nullable=False)
        yield column("started_at", Instant, "When the session was opened (UTC).", nullable=False)
        yield column("ended_at", Instant, "When it ended (UTC), or NULL while it runs.")
        yield column(
            "heartbeat_at",
            Instant,
            "When its process last gave a sign of life (UTC).",
            nullable=False,
        )

    def _origin(self) -> Iterator[Column[Any]]:
        yield identifier("run_by", "User who ran it.", nullable=False)
        yield from _process()
        yield from _code()
        yield column(
            "environment_digest",
            Id(DIGEST_LENGTH),
            "Python environment, as in environments.environment_digest.",
            ForeignKey(self.environments.c.environment_digest),
            nullable=False,
        )
        yield column("as_of", Date, "Day of the data, or NULL if it is the day of started_at.")
        yield column("params", LongText, "Parameters, as JSON.", nullable=False)
        yield identifier("flow_run_id", "Flow run in Prefect, or NULL outside of one.", 64)
        yield column("flow_run_seq", Integer, "Number of the session within its flow run, from 1.")
        yield identifier("deployment", "Deployment in Prefect.", 255)
        yield column(
            "parent_session_no", Integer, "Number of the training session whose model it used."
        )

    def _state(self) -> Iterator[Column[Any]]:
        yield from _failure()
        yield column("published_at", Instant, "When its scores became visible (UTC), or NULL.")
        yield column("last_exported_at", Instant, "When its scores were last exported (UTC).")
        yield identifier("seal", "SHA-256 that seals it, in hexadecimal.", DIGEST_LENGTH)
        yield identifier(
            "previous_seal", "Seal before it in the chain of its model.", DIGEST_LENGTH
        )
        yield column("tags", LongText, "Tags, as a JSON list.")
        yield column(
            "suspected_at",
            Instant,
            "When its heartbeat was first missed (UTC), or NULL again after the next.",
        )
        yield identifier(
            "deletion", "While it is being deleted: session, or model if it goes with it.", 16
        )
        yield column(
            "attempt_started_at",
            Instant,
            "When the last attempt began (UTC), or NULL if an earlier version opened it.",
        )
        yield identifier(
            "process_key", "Boot, container and start of its process, or NULL if nobody can tell."
        )
        yield _author()

    def _session_attempts(self) -> None:
        self.session_attempts = self._table(
            "session_attempts",
            "Attempts of sessions that were retried: what sessions said of each.",
            session_number(),
            number("attempt", "Number of the attempt, from 1."),
            identifier("status", "How the attempt ended.", 16, nullable=False),
            column("started_at", Instant, "When it began (UTC), or NULL if not recorded."),
            column("ended_at", Instant, "When it ended (UTC)."),
            *_failure(),
            identifier("run_by", "User who ran it."),
            *_process(),
            *_code(),
            identifier(
                "environment_digest",
                "Python environment, as in environments.environment_digest.",
                DIGEST_LENGTH,
            ),
            _author(),
        )

    def _session_params(self) -> None:
        # What sessions.params holds as JSON, by which sessions are found.
        self.session_params = self._table(
            "session_params",
            "Parameters of sessions, one row each, to find sessions by their values.",
            session_number(),
            identifier("param_name", "Name of the parameter.", PARAM_LENGTH, primary_key=True),
            identifier(
                "param_type",
                "What the value is: number, text, boolean or json.",
                16,
                nullable=False,
                key="type",
            ),
            column(
                "number_value", Double, "The number, or 1 for true and 0 for false.", key="number"
            ),
            identifier("text_value", "The text, if it is not longer.", PARAM_LENGTH, key="text"),
            column(
                "json_value",
                LongText,
                "The value as JSON: a list, an object, null, or a longer text or number.",
                key="json",
            ),
            *self._range_index("session_params", "number", "param_name", "number"),
            *self._range_index("session_params", "text", "param_name", "text"),
        )

    def _session_metadata(self) -> None:
        self.session_metadata = self._table(
            "session_metadata",
            "Notes of sessions, by group and name.",
            session_number(),
            identifier("meta_group", "Group of the note.", primary_key=True),
            identifier("meta_name", "Name of the note.", primary_key=True),
            column("meta_value", LongText, "The note.", nullable=False, key="value"),
        )
