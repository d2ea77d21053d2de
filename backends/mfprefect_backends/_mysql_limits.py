"""What of MySQL and MariaDB makes writes and upgrades fail, and what a DBA does about it."""

from __future__ import annotations

import logging
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from mfprefect.errors import DatabaseError

__all__ = ["explain_lost_packet", "hint", "problems"]

log = logging.getLogger(__name__)
LOST = (2006, 2013)
"""The errors of a connection that broke before or during a statement."""
LEAST_PACKET = 9 * 1024 * 1024
"""Enough for every statement: a chunk of a model takes up to twice its 4 MiB when escaped."""
SMALL_STATEMENT = 1024
"""No server allows less than this."""
PACKET = (
    "A DBA sets it with SET GLOBAL max_allowed_packet = 64 * 1024 * 1024, and in the "
    "configuration of the server, so that it outlives a restart."
)
BINLOG = (
    "The server has binlog_format = STATEMENT, which cannot log READ COMMITTED transactions. A DBA "
    "sets it with SET GLOBAL binlog_format = ROW (or MIXED), and in the configuration of the "
    "server, so that it outlives a restart."
)
HINTS = {1153: f"The server's max_allowed_packet is too small. {PACKET}", 1665: BINLOG}
"""What to change, by the server's error number."""
NO_PRIVILEGE = 1227
FOREIGN_VIEWS = (
    "The views belong to a user with the privilege SYSTEM_USER, such as root, and only users with "
    "it may replace them. Such a user makes them the admin's by running what `mfprefect grants "
    "--role admin` prints, as after each upgrade by another user than the admin."
)
_VARIABLES = sa.text(
    "SHOW VARIABLES WHERE Variable_name IN ('max_allowed_packet', 'log_bin', 'binlog_format')"
)


def hint(error: DBAPIError) -> str | None:
    """Return what stands in the way and what to change, if it is known."""
    arguments: tuple[Any, ...] = getattr(error.orig, "args", ()) or (0,)
    if arguments[0] == NO_PRIVILEGE and "SYSTEM_USER" in str(error.orig):
        return FOREIGN_VIEWS
    return HINTS.get(arguments[0])


def problems(connection: sa.Connection) -> list[tuple[str, str]]:
    """Return the variables that stand in the way of writes, each with its cure."""
    variables = {str(name): str(value) for name, value in connection.execute(_VARIABLES)}
    packet = int(variables.get("max_allowed_packet", LEAST_PACKET))
    seen = []
    if packet < LEAST_PACKET:
        text = f"max_allowed_packet is {packet:,} bytes; models need {LEAST_PACKET:,}"
        seen.append((text, PACKET))
    if variables.get("log_bin") == "ON" and variables.get("binlog_format") == "STATEMENT":
        text = "binlog_format is STATEMENT, so every write is refused"
        seen.append((text, BINLOG.partition(". ")[2]))
    return seen


def explain_lost_packet(context: Any) -> DatabaseError | None:
    """Replace a lost connection by its cause, if the server hung up because of a long statement."""
    arguments = getattr(context.original_exception, "args", ()) or (0,)
    if arguments[0] not in LOST or (size := _size(context)) < SMALL_STATEMENT:
        return None
    packet = _packet(context.engine)
    if packet is None or size < packet:
        return None
    return DatabaseError(
        f"the database refuses a statement of {size:,} bytes: its max_allowed_packet is "
        f"{packet:,} bytes. {PACKET}"
    )


def _size(context: Any) -> int:
    """Return the bytes of the longest statement that the driver may have sent, 0 if unknown."""
    cursor = getattr(context.execution_context, "cursor", None)
    parameters = context.parameters
    if cursor is None or not context.statement:
        return 0
    many = isinstance(parameters, list)
    try:
        rows = [
            len(cursor.mogrify(context.statement, row).encode(errors="replace"))
            for row in (parameters if many else [parameters])
        ]
    except Exception as exc:  # noqa: BLE001 - the connection is lost, and this only explains it
        log.debug("the statement's length is not known: %s", type(exc).__name__)
        return 0
    # The driver packs several rows into a statement up to this length.
    return max(max(rows, default=0), min(sum(rows), cursor.max_stmt_length) if many else 0)


def _packet(engine: sa.Engine | None) -> int | None:
    """Ask the server anew; None if it cannot be reached, so that it really is away."""
    if engine is None:
        return None
    # Not from the pool: all of its connections may be in use.
    other = sa.create_engine(engine.url, poolclass=sa.NullPool)
    try:
        with other.connect() as connection:
            return int(connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar_one())
    except sa.exc.SQLAlchemyError as exc:
        log.debug("max_allowed_packet is not known: %s", type(exc).__name__)
        return None
