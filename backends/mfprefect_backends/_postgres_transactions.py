"""Transactions of PostgreSQL that begin with the settings that exactness needs."""

from __future__ import annotations

import weakref
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

__all__ = ["exact"]

EXACT = {
    "extra_float_digits": "1",  # the shortest text that is the same double
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",  # the only one that the driver reads
    "bytea_output": "hex",
}
STRINGS = "standard_conforming_strings"
IDLE = 0
"""libpq's PQTRANS_IDLE."""


def exact(engine: sa.Engine) -> None:
    """Let an engine of psycopg2 begin, commit and roll back by itself.

    psycopg2 sends BEGIN before the first statement, in a round trip of its own. Ours takes its
    place and sets, for this transaction only, what a database or a role may have changed.
    """
    dialect: Any = engine.dialect
    event.listen(engine, "connect", _connected)
    without: weakref.WeakSet[Any] = weakref.WeakSet()
    set_level = dialect.set_isolation_level

    def set_isolation_level(driver: Any, level: str) -> None:
        set_level(driver, level)
        (without.add if level == "AUTOCOMMIT" else without.discard)(driver)

    def begin(connection: Any) -> None:
        if connection.dbapi_connection not in without:
            _begin(connection)

    dialect.set_isolation_level = set_isolation_level
    dialect.do_begin = begin
    dialect.do_commit = lambda connection: _end(connection, "COMMIT")
    dialect.do_rollback = lambda connection: _end(connection, "ROLLBACK")


def _connected(connection: Any, record: Any) -> None:
    connection.autocommit = True
    # The driver decides now, for good, how it escapes texts; the server has to read them so.
    strings = connection.get_parameter_status(STRINGS) or "on"
    settings = {**EXACT, STRINGS: strings}
    record.info["exact"] = "; ".join(
        f"SET LOCAL {name} = '{value}'" for name, value in settings.items()
    )


def _begin(connection: Any) -> None:
    # Without autocommit, as after another isolation level, the driver sends its own BEGIN.
    begin = "BEGIN; " if connection.autocommit else ""
    _execute(connection, begin + connection.info["exact"])


def _end(connection: Any, statement: str) -> None:
    if not connection.autocommit:
        (connection.commit if statement == "COMMIT" else connection.rollback)()
    elif connection.get_transaction_status() != IDLE:
        _execute(connection, statement)


def _execute(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
