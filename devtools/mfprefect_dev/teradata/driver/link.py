"""A connection's session with the emulated server, which its cursors share."""

from __future__ import annotations

import threading

from mfprefect_dev.teradata.engine.fastload import FastLoad
from mfprefect_dev.teradata.engine.session import Session
from mfprefect_dev.teradata.errors import VERSION, OperationalError, Refused

__all__ = ["SCOPE", "Link"]

SCOPE = frozenset(
    [
        "teradata_require_fastload",
        "teradata_try_fastload",
        "teradata_require_fastexport",
        "teradata_try_fastexport",
        "teradata_govern_off",
        "teradata_govern_on",
        "teradata_parameter",
        "teradata_sessions",
        "teradata_error_table_1_suffix",
        "teradata_error_table_2_suffix",
        "teradata_failfast",
        "teradata_rpo",
        "teradata_untrusted",
        "teradata_lobselect",
    ]
)
"""The escape functions that may begin a request."""


class Link:
    """One open session, its lock, the FastLoad that runs on it and what it exported."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.lock = threading.RLock()
        self.load: FastLoad | None = None
        self.exports: list[str] = []
        """The texts of all requests that were a FastExport."""
        self.closed = False

    def require_open(self) -> None:
        """Raise if the connection is closed."""
        if self.closed:
            raise OperationalError(
                f"[Version {VERSION}] [Session {self.session.number}] [Teradata SQL Driver] "
                "[Error 804] the connection is closed"
            )

    def native(self, functions: list[tuple[str, str]], text: str) -> str:
        """Execute the functions after `{fn teradata_nativesql}`; return results and the rest."""
        results = ""
        for name, _ in functions:
            if name == "teradata_autocommit":
                results += "true" if self.session.autocommit else "false"
            elif name == "teradata_autocommit_on":
                if not self.session.autocommit:
                    self.session.commit()
                self.session.autocommit = True
            elif name == "teradata_autocommit_off":
                self.session.autocommit = False
            elif name == "teradata_get_warnings":
                return self.load.warnings if self.load and self.load.text == text else ""
            elif name == "teradata_get_errors":
                return self.load.errors if self.load and self.load.text == text else ""
            elif name == "teradata_logon_sequence_number":
                return str(1 + self.exports.index(text)) if text in self.exports else ""
            elif name == "teradata_session_number":
                results += str(self.session.number)
            elif name == "teradata_driver_version":
                results += VERSION
            elif name == "teradata_amp_count":
                results += "1"
            elif name not in SCOPE:
                raise Refused(3706, f"{{fn {name}}} is not emulated")
        return results + text
