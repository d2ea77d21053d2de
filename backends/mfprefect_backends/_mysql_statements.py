"""Prepared statements of MySQL and MariaDB: pymysql prepares none, so its connection sends them.

The driver is not imported here: it may be missing when modules are.
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase_ps.html
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

__all__ = ["Statement", "close", "definitions", "execute", "prepare"]

_PREPARE, _EXECUTE, _CLOSE = 0x16, 0x17, 0x19
"""Commands of the protocol."""


class Statement(NamedTuple):
    """A statement that the server has prepared."""

    number: int
    columns: int
    """How many columns its result has; 0: it returns no rows."""
    parameters: int
    """How many `?` it has."""


def prepare(driver: Any, text: str | bytes) -> Statement:
    """Prepare a statement; the definitions of its parameters, then of its columns, follow.

    Raises:
        pymysql.err.MySQLError: the server's error.
    """
    driver._execute_command(_PREPARE, text)
    number, columns, parameters = struct.unpack_from("<IHH", driver._read_packet()._data, 1)
    return Statement(number, columns, parameters)


def definitions(driver: Any, count: int, *kind: Any) -> list[Any]:
    """Read the definitions of parameters or columns, and what ends them; none: read nothing.

    Args:
        driver: the connection.
        count: how many there are.
        kind: the class of packet to read them as; by default pymysql's general one.
    """
    packets = [driver._read_packet(*kind) for _ in range(count)]
    if count:
        driver._read_packet()
    return packets


def execute(driver: Any, statement: Statement, values: bytes = b"") -> None:
    """Execute a statement once, without a cursor; the server's answer is to be read then.

    Args:
        driver: the connection.
        statement: which it prepared.
        values: those of its parameters: NULL bits, 1, types and values, as the protocol has them.
    """
    driver._execute_command(_EXECUTE, struct.pack("<IBI", statement.number, 0, 1) + values)


def close(driver: Any, statement: Statement) -> None:
    """Let the server forget a statement; it does not answer."""
    if driver.open:  # no error has broken the connection
        driver._execute_command(_CLOSE, struct.pack("<I", statement.number))
