"""Reports attached to mails. A notice is sent without its report if that cannot be rendered."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mfprefect import report
from mfprefect.store.database import Database
from mfprefect.store.results import report as reports
from mfprefect.util.removal import temporary_folder

__all__ = ["Attachments"]

log = logging.getLogger(__name__)

MAX_SCORES = 1_000_000
"""With more scores, leave out their distribution: a run must not wait for its mail."""


class Attachments:
    """Renders the report of a session once, however many mails carry it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._texts: dict[str, str | None] = {}

    @contextmanager
    def file(self, session_id: str) -> Iterator[Path | None]:
        """Yield a temporary file with the report, or None if there is none."""
        text = self._text(session_id)
        if text is None:
            yield None
            return
        with temporary_folder() as folder:
            path = folder / report.file_name(session_id)
            path.write_text(text, encoding="utf-8")
            yield path

    def _text(self, session_id: str) -> str | None:
        if session_id not in self._texts:
            self._texts[session_id] = self._render(session_id)
        return self._texts[session_id]

    def _render(self, session_id: str) -> str | None:
        if report.missing() is not None:
            return None  # the extra `report` is not installed
        try:
            content = reports.load_session_report(self._db, session_id, MAX_SCORES)
            return report.session_report(content)
        except Exception as exc:  # noqa: BLE001 - the notice goes out anyway
            # The type only: the text may quote data.
            log.warning("no report attached for session %s: %s", session_id, type(exc).__name__)
            return None
