"""Noticing that a server hung up during a partition, whose farewell was lost.

Who waits for an answer sends nothing, and would wait for ever: MySQL's driver never asks whether
the server still has the connection, and PostgreSQL's asks after two hours. Probes are answered by
the operating system, however long the server takes.
"""

from __future__ import annotations

import socket

__all__ = ["KEEPALIVE", "keep_alive"]

KEEPALIVE = {"idle": 15, "interval": 5, "count": 3}
"""Seconds until the first probe and between probes, and how many may stay unanswered."""
_OPTIONS = {"idle": "TCP_KEEPIDLE", "interval": "TCP_KEEPINTVL", "count": "TCP_KEEPCNT"}


def keep_alive(connection: socket.socket) -> None:
    """Have the operating system probe a connection over TCP that is silent."""
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, option in _OPTIONS.items():
        if number := getattr(socket, option, None):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, number, KEEPALIVE[name])
