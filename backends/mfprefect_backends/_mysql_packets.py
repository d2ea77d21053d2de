"""The packets with the rows of a prepared statement, many at a time.

https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from pymysql import err
from pymysql.connections import MAX_PACKET_LEN
from pymysql.constants import CR

from mfprefect_backends._packed import Ints

__all__ = ["Chunk", "Rows"]

BUFFER_BYTES = 4 * 1024 * 1024
CHUNK_ROWS = 16_384
HEADER_BYTES = 4
ERROR = 0xFF
_HEADER = struct.Struct("<I").unpack_from


class Chunk(NamedTuple):
    """Rows, and where in the data they are, without the headers of their packets."""

    data: bytearray
    starts: Ints
    ends: Ints


class Rows:
    """Reads the packets after the definitions of the columns, up to the end of the rows."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._number = driver._next_seq_id
        self._data = bytearray(BUFFER_BYTES)
        self._size = self._place = 0  # how many bytes were received, and how many are rows
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._is_over = False

    def chunks(self) -> Iterator[Chunk]:
        """Yield rows as they arrive.

        Raises:
            pymysql.err.MySQLError: the server's error, or a lost connection.
        """
        while not self._is_over:
            self._receive()
            self._scan()
            full = self._size == len(self._data)
            if self._starts and (self._is_over or full or len(self._starts) >= CHUNK_ROWS):
                yield self._take()
            elif full:
                self._data.extend(bytes(len(self._data)))  # one row is longer than all this
        self._driver._next_seq_id = self._number

    def _take(self) -> Chunk:
        rest = self._data[self._place : self._size]
        chunk = Chunk(self._data, *(np.array(x, np.int64) for x in (self._starts, self._ends)))
        self._data = bytearray(max(BUFFER_BYTES, 2 * len(rest)))
        self._data[: len(rest)] = rest
        self._size, self._place, self._starts, self._ends = len(rest), 0, [], []
        return chunk

    def _receive(self) -> None:
        try:
            # Not readinto1, which waits for more although some bytes are there.
            data = self._driver._rfile.read1(len(self._data) - self._size)
        except OSError as exc:
            if exc.errno == errno.EINTR:
                return
            raise self._lost(f" ({exc})") from exc
        if not data:
            raise self._lost("")
        self._data[self._size : self._size + len(data)] = data
        self._size += len(data)

    def _lost(self, why: str) -> Exception:
        self._driver._force_close()
        text = f"Lost connection to MySQL server during query{why}"
        error: Exception = err.OperationalError(CR.CR_SERVER_LOST, text)
        return error

    def _scan(self) -> None:
        """Note the rows whose packets have arrived whole."""
        data, place, size, number = self._data, self._place, self._size, self._number
        starts, ends = self._starts, self._ends
        while place + HEADER_BYTES <= size:
            header = _HEADER(data, place)[0]
            start, length = place + HEADER_BYTES, header & 0xFFFFFF
            end = start + length
            if end > size:
                break
            if length == MAX_PACKET_LEN:
                joined = self._joined(start, number)
                if joined is None:
                    break
                end, size, number = joined, self._size, self._number
            elif header >> 24 != number:
                raise self._lost(f" (packet {header >> 24} came in place of {number})")
            else:
                number = (number + 1) & 0xFF
            if data[start]:  # no row
                self._end(bytes(data[start:end]))
                place = end
                break
            starts.append(start)
            ends.append(end)
            place = end
        self._place, self._number = place, number

    def _joined(self, start: int, number: int) -> int | None:
        """Remove the headers within a row of several packets; return its end, None if it waits."""
        headers, end, length = [], start, MAX_PACKET_LEN
        place = start - HEADER_BYTES
        while length == MAX_PACKET_LEN:
            if place + HEADER_BYTES > self._size:
                return None
            length = _HEADER(self._data, place)[0] & 0xFFFFFF
            headers.append(place)
            place += HEADER_BYTES + length
            if place > self._size:
                return None
        for header in reversed(headers[1:]):
            del self._data[header : header + HEADER_BYTES]
        removed = HEADER_BYTES * (len(headers) - 1)
        self._size -= removed
        self._data.extend(bytes(removed))
        self._number = (number + len(headers)) & 0xFF
        end = place - removed
        return end

    def _end(self, packet: bytes) -> None:
        self._is_over = True
        if packet[0] == ERROR:
            err.raise_mysql_exception(packet)
