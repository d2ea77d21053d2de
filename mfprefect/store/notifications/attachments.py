"""Reports that go with mails; a notice is worth more than its report, and goes without it."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mfprefect import report
from mfprefect.store.database import Database
from mfprefect.store.results import report as reports

__all__ = ["Attachments"]

log = logging.getLogger(__name__)

MOST_SCORES = 1_000_000
"""With more scores their distribution is left out: a run does not wait for its mail."""


class Attachments:
    """Renders the report of a session once, for however many mails."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._texts: dict[str, str | None] = {}

    @contextmanager
    def file(self, session_id: str) -> Iterator[Path | None]:
        """Yield a file for as long as a delivery takes; None where there is no report."""
        text = self._text(session_id)
        if text is None:
            yield None
            return
        with tempfile.TemporaryDirectory(prefix="mfprefect-") as folder:
            path = Path(folder) / report.file_name(session_id)
            path.write_text(text, encoding="utf-8")
            yield path

    def _text(self, session_id: str) -> str | None:
        if session_id not in self._texts:
            self._texts[session_id] = self._rendered(session_id)
        return self._texts[session_id]

    def _rendered(self, session_id: str) -> str | None:
        if report.missing() is not None:
            return None  # whoever wants reports installs the extra
        try:
            facts = reports.session_facts(self._db, session_id, MOST_SCORES)
            return report.session_report(facts)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the notice goes out
            log.warning("no report of %s goes with its mail: %s", session_id, type(exc).__name__)
            return None
