"""The query band, which shows session, model and run in the DBA's logs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mfprefect.backend import SESSION_OPTION
from mfprefect_backends.teradata.codes import driver_errors
from mfprefect_backends.teradata.dialect import execute_committed

__all__ = ["query_band", "set_query_band"]

MAX_VALUE = 256
_KEY = "mfprefect_band"
# Characters that would end a pair or the text.
_SPECIAL = re.compile(r"[;='\"\x00-\x1f\x7f\ud800-\udfff\U00010000-\U0010ffff]")


def query_band(session: Mapping[str, str]) -> str:
    """Return the pairs `name=value;` of a session, or of mfprefect alone."""
    pairs = {"ApplicationName": "mfprefect", **session}
    return "".join(f"{name}={_SPECIAL.sub('_', str(v))[:MAX_VALUE]};" for name, v in pairs.items())


def set_query_band(connection: sa.Connection) -> None:
    """Set the query band of a connection at check-out, unless it is already set.

    Before the first statement, because this SET is not allowed within a transaction.
    """
    band = query_band(connection.get_execution_options().get(SESSION_OPTION, {}))
    record = connection.connection
    if record.info.get(_KEY) == band:
        return
    driver: Any = record.dbapi_connection
    record.info.pop(_KEY, None)
    # Not UPDATE, which would keep the pairs of the previous session.
    statement = f"SET QUERY_BAND='{band}' FOR SESSION"
    with driver_errors(connection, statement):
        execute_committed(driver, statement)
    record.info[_KEY] = band
