"""What of MySQL and MariaDB makes writes and upgrades fail, and what a DBA does about it.

Other variables do no harm, because each connection sets its own: `MysqlBackend.engine_options`.
"""

from __future__ import annotations

import logging
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from mfprefect.backend import ServerProblem
from mfprefect.errors import DatabaseError
from mfprefect_backends._settings import Setting

__all__ = ["CURES", "LOCAL_INFILE", "explain_lost_packet", "hint", "problems"]

log = logging.getLogger(__name__)
LOST = (2006, 2013)
"""The errors of a connection that broke before or during a statement."""
LOCAL_INFILE = "local_infile"
TOO_LARGE = 1153
PREVENTED = 1290
READ_ONLY = "read-only"
"""Part of the message of `PREVENTED` if that is why."""
LEAST_PACKET = 9 * 1024 * 1024
"""Enough for every statement: a chunk of a model takes up to twice its 4 MiB when escaped."""
SMALL_STATEMENT = 1024
"""No server allows less than this."""
_LASTING = "and in the configuration of the server, so that it outlives a restart"
SETTINGS = (
    Setting(
        "max_allowed_packet",
        lambda value: int(value) < LEAST_PACKET,
        f"is too small for models, which need {LEAST_PACKET:,}",
        "64 * 1024 * 1024",
    ),
    Setting("binlog_format", "STATEMENT".__eq__, "refuses READ COMMITTED", "ROW"),
    Setting("transaction_read_only", "ON".__eq__, "refuses every write", "OFF"),
    Setting("tx_read_only", "ON".__eq__, "refuses every write", "OFF"),  # MariaDB before 11.1
    Setting(
        "read_only",
        "OFF".__ne__,
        "refuses writes of users without the right READ ONLY ADMIN or CONNECTION_ADMIN",
        "OFF",
        blocks=False,
    ),
    Setting(
        LOCAL_INFILE,
        "OFF".__eq__,
        "makes sessions insert scores, more slowly than LOAD DATA LOCAL; with ON, clients may send "
        "files of their own, and mfprefect sends only rows that it writes",
        "ON",
        blocks=False,
    ),
)
_HINTED = {
    TOO_LARGE: ("max_allowed_packet",),
    PREVENTED: ("read_only",),
    1665: ("binlog_format",),
    1792: ("transaction_read_only", "tx_read_only"),
}
"""The variables that an error of the server is about, by its number."""
NO_PRIVILEGE = 1227
FOREIGN_VIEWS = (
    "The views belong to a user with the privilege SYSTEM_USER, such as root, and only users with "
    "it may replace them. Such a user makes them the admin's by running what `mfprefect grants "
    "--role admin` prints, as after each upgrade by another user than the admin."
)
_VARIABLES = sa.text("SHOW VARIABLES WHERE Variable_name IN :names").bindparams(
    sa.bindparam("names", ["log_bin", *(x.name for x in SETTINGS)], expanding=True)
)


def _cure(setting: Setting) -> str:
    return f"SET GLOBAL {setting.name} = {setting.cure}, {_LASTING}"


CURES = {setting.name: _cure(setting) for setting in SETTINGS}
"""The statement of a DBA, by the name of the variable."""


def hint(error: DBAPIError) -> str | None:
    """Return what stands in the way and what to change, if it is known."""
    arguments: tuple[Any, ...] = getattr(error.orig, "args", ())
    code = arguments[0] if arguments else None
    if code == NO_PRIVILEGE and "SYSTEM_USER" in str(error.orig):
        return FOREIGN_VIEWS
    if code == PREVENTED and READ_ONLY not in str(error.orig):
        return None
    return _advice(*_HINTED[code]) if code in _HINTED else None


def _advice(name: str, *other_names: str) -> str:
    names = " or ".join((name, *other_names))
    return f"{names} of the server is in the way. A DBA sets it: {CURES[name]}."


def problems(connection: sa.Connection) -> list[ServerProblem]:
    """Return the variables that hurt, each with the statement that cures it."""
    values = {str(name): str(value) for name, value in connection.execute(_VARIABLES)}
    if values.get("log_bin") != "ON":
        values.pop("binlog_format", None)
    return [
        ServerProblem(f"{x.name} is {_shown(values[x.name])}, which {x.why}", _cure(x), x.blocks)
        for x in SETTINGS
        if x.name in values and x.hurts(values[x.name])
    ]


def _shown(value: str) -> str:
    return f"{int(value):,} bytes" if value.isdigit() else value


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
        f"{packet:,} bytes. {_advice(*_HINTED[TOO_LARGE])}"
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
