"""FastExport as the driver implements it: it selects over sessions of its own.

So it has neither Unicode pass-through nor the time zone of the session that asks, and does not see
what that session has not committed. What a server does with characters that need pass-through is
not documented for it: here they come as U+FFFD, without an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mfprefect_dev.teradata.engine.locks import LIMITS
from mfprefect_dev.teradata.engine.transactions import Result
from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.sql.requests import Request
from mfprefect_dev.teradata.sql.statements import read_request
from mfprefect_dev.teradata.types import LOBS, without_pass_through

if TYPE_CHECKING:
    from mfprefect_dev.teradata.engine.session import Session

__all__ = ["exported", "incompatibility"]


def incompatibility(session: Session, text: str) -> str | None:
    """Return why FastExport does not take a request, None if it does.

    Raises:
        Refused: it is no request that Teradata takes.
    """
    request = read_request(text, session.catalog())
    if request.kind != "select":
        return "FastExport takes SELECT only"
    if any(kind in LOBS for _, kind in request.fields):
        return "FastExport does not take CLOB and BLOB"
    return None


def exported(
    session: Session, other: Session, text: str, rows: Sequence[Sequence[Any]] | None
) -> Result:
    """Execute a SELECT over a session of the driver's own, which is closed.

    Args:
        session: the session that asks.
        other: the driver's.
        text: the SELECT.
        rows: its parameters, or nothing.

    Raises:
        Refused: 3695 if it asks a single AMP; or any other error of the SELECT.
    """
    session.require_link()
    try:
        request = read_request(text, session.catalog())
        if _single_amp(request):
            raise Refused(3695)
        result = other.execute(text, rows)
        cells = list(map(_transferred, result.rows))
        session.notify_watchers("fastexport", text, len(cells))
    finally:
        other.close()
    if LIMITS.export_reorders or "ORDER BY" not in " ".join(text.upper().split()):
        cells.reverse()  # any order is right
    return Result(result.fields, iter(cells), -1)


def _single_amp(request: Request) -> bool:
    """Return whether an index names all rows that a request reads."""
    return bool(request.wants) and all(want.rows for want in request.wants)


def _transferred(row: list[Any]) -> list[Any]:
    return [without_pass_through(cell) if type(cell) is str else cell for cell in row]
