"""What to do about failed checks, as errors of a session, mails and `mfprefect show` say it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from mfprefect.quality.checks.result import failures

__all__ = ["after_failed_checks"]


def after_failed_checks(session_id: str, rows: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
    """Return what to do, and the command that accepts the first failed check, '' without one.

    Args:
        session_id: the session that they ended.
        rows: results of its checks, with check, column, severity and passed.
    """
    text = "correct the data or the check, then run it again"
    if not (failed := failures([dict(row) for row in rows])):
        return text, ""
    check, column = failed[0]["check"], failed[0]["column"]
    words = ["mfprefect", "checks", "accept", session_id, check]
    words += ["--column", column] if column else []
    return f"{text}; if the data are right:", f"{shlex.join(words)} --reason REASON"
