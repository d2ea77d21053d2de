"""Rules for a command that a run started: whose session it is, and which part is its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from mfprefect.cli.lookup import ENVIRONMENT
from mfprefect.errors import SessionClosed

if TYPE_CHECKING:
    from mfprefect.session import Session

__all__ = ["check_part", "refuse_closing", "refuse_superseded"]

# Set by mfprefect.lifecycle.commands.environment.
ATTEMPT, PART, PARTS = "MFPREFECT_ATTEMPT", "MFPREFECT_PART", "MFPREFECT_PARTS"


def _attempt(session_id: str) -> int | None:
    """Return the attempt that this command is part of, None where no run started it."""
    text = os.environ.get(ATTEMPT, "")
    same_session = os.environ.get(ENVIRONMENT) == session_id
    return int(text) if same_session and text.isdecimal() else None


def refuse_superseded(attached: Session) -> None:
    """Refuse to write for an attempt whose process died while its command lived on.

    Raises:
        SessionClosed: a later attempt took the session over.
    """
    attempt = _attempt(attached.session_id)
    if attempt is not None and attempt != attached.attempt:
        raise SessionClosed(
            attached.session_id,
            f"attempt {attached.attempt} replaced attempt {attempt}, which started this command",
        )


def check_part(session_id: str, part: int | None) -> None:
    """Refuse to write another part than the command's own.

    A retry keeps the parts that are there, so each must be written by the command that it is of.
    """
    own_part, parts = os.environ.get(PART, ""), os.environ.get(PARTS, "")
    if _attempt(session_id) is None or not parts.isdecimal() or int(parts) == 1:
        return
    if str(part) != own_part:
        raise click.UsageError(
            f"the model is scored in {parts} parts, and this command is of part {own_part}: "
            f"give --part ${PART}."
        )


def refuse_closing(session_id: str) -> None:
    """Refuse to end a session that the run ends itself."""
    if _attempt(session_id) is not None:
        raise click.UsageError(
            f"session {session_id} is ended by the run that started this command. Leave "
            "`mfprefect session close` out; a run fails with a command's exit code."
        )
