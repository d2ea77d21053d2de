"""Rules for a command that a run started: what it may write to the run's session."""

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
    """Return the attempt that started this command, None if no run did."""
    text = os.environ.get(ATTEMPT, "")
    same_session = os.environ.get(ENVIRONMENT) == session_id
    return int(text) if same_session and text.isdecimal() else None


def refuse_superseded(attached: Session) -> None:
    """Refuse writes from a command that outlived the process of its attempt.

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
    """Refuse to write any part but the command's own.

    A retry keeps complete parts, so each part must come from its own command.
    """
    command_part, parts = os.environ.get(PART, ""), os.environ.get(PARTS, "")
    if _attempt(session_id) is None or not parts.isdecimal() or int(parts) == 1:
        return
    if str(part) != command_part:
        raise click.UsageError(
            f"the model is scored in {parts} parts, and this command scores part {command_part}: "
            f"pass --part ${PART}."
        )


def refuse_closing(session_id: str) -> None:
    """Refuse to end a session that the run ends itself."""
    if _attempt(session_id) is not None:
        raise click.UsageError(
            f"the run that started this command ends session {session_id}. Remove `mfprefect "
            "session close`; to fail the run, exit with a code other than 0."
        )
