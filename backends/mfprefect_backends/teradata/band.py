"""The query band: which session, model and run a connection works for, in the DBA's logs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mfprefect.backend import SESSION_OPTION
from mfprefect_backends.teradata.codes import told
from mfprefect_backends.teradata.dialect import by_itself

__all__ = ["band", "wear"]

LONGEST = 256
_KEY = "mfprefect_band"
# What would end a pair or the text; the rest of a name is shown as it is.
_UNFIT = re.compile(r"[;='\"\x00-\x1f\x7f\ud800-\udfff\U00010000-\U0010ffff]")


def band(serves: Mapping[str, str]) -> str:
    """Return the pairs, each ended by a semicolon."""
    pairs = {"ApplicationName": "mfprefect", **serves}
    return "".join(f"{name}={_UNFIT.sub('_', str(v))[:LONGEST]};" for name, v in pairs.items())


def wear(connection: sa.Connection) -> None:
    """Set the band of a connection that just left the pool, where it has another one on.

    Before its first statement: such a SET may not stand between others of a transaction.
    """
    wanted = band(connection.get_execution_options().get(SESSION_OPTION, {}))
    record = connection.connection
    if record.info.get(_KEY) == wanted:
        return
    driver: Any = record.dbapi_connection
    record.info.pop(_KEY, None)
    # Not UPDATE, which would keep the pairs of the session before.
    statement = f"SET QUERY_BAND='{wanted}' FOR SESSION"
    with told(connection, statement):
        by_itself(driver, statement)
    record.info[_KEY] = wanted
