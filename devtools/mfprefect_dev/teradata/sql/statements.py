"""Requests that read and write rows, and those that change the session."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from mfprefect_dev.teradata.catalog import Catalog, Table, quoted
from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.lint.rules import MOST_PARAMETERS
from mfprefect_dev.teradata.sql.definitions import Definitions
from mfprefect_dev.teradata.sql.locking import inserted
from mfprefect_dev.teradata.sql.merging import Merging, listed
from mfprefect_dev.teradata.sql.requests import WRITE, Given, Request, Want
from mfprefect_dev.teradata.tokens import PARAM, tokens
from mfprefect_dev.teradata.types import Type

__all__ = ["read_request"]

BAND = re.compile(r"(?:[A-Za-z_]\w*=[^;=]{0,256};)*")
BAND_LENGTH = 2_046


class Statements(Merging):
    """The grammar of all requests but DDL."""

    def request(self) -> Request:
        """Take a whole request."""
        self.start()
        word = self.peek().text
        if word in ("LOCKING", "LOCK"):
            at = self.at
            self.locks()
            word = self.peek().text
            if word in ("SELECT", "WITH", "SEL"):
                self.at = at
                self.unlocked()
        made = {
            "SELECT": self._select,
            "WITH": self._select,
            "INSERT": self._insert,
            "UPDATE": self._update,
            "DELETE": self._delete,
            "MERGE": self._merge,
            "SET": self._set,
            "DATABASE": self._database,
        }.get(word)
        if made is None:
            raise self.unexpected()
        request = made()
        self.end()
        request.parameters = sum(token.kind == PARAM for token in self.tokens)
        if request.parameters > MOST_PARAMETERS:
            raise Refused(
                3706, f"{request.parameters} parameters, at most {MOST_PARAMETERS} are allowed"
            )
        # What is read is locked first: its rows decide about those to write.
        request.wants = (*self.reads(), *request.wants)
        request.nowait = self.nowait
        request.looked_up = frozenset(self.looked_up)
        return request

    def _select(self) -> Request:
        query = self.query()
        return Request("select", (query.sql,), query.fields)

    def _insert(self) -> Request:
        self.expect("INSERT")
        self.accept("INTO")
        table = self._target()
        names = [column.name for column in table.columns]
        if self.comes("(") and not self._is_values():
            names = [table.column(name).name for name in self.columns()]
        if self.peek().text in ("SELECT", "WITH", "LOCKING"):
            return self._insert_select(table, names)
        self.accept("VALUES")
        self.expect("(")
        types: dict[int, Type] = {}
        values: list[str] = []
        given: list[Given | None] = []
        while True:
            token, begin = self.peek(), self.at
            if token.kind == PARAM and len(values) < len(names):
                types[token.number] = table.column(names[len(values)]).type
            values.append(self.value().sql)
            given.append(self.given(begin))
            if not self.accept(","):
                break
        self.expect(")")
        if self.comes(","):
            raise self.unexpected("VALUES takes one row")
        self._same_number(values, names)
        sql = f"INSERT INTO {table.in_sqlite()} ({listed(names)}) VALUES ({', '.join(values)})"
        return self._written("insert", table, sql, want=inserted(table, names, given), types=types)

    def _is_values(self) -> bool:
        """Return whether the short form `INSERT INTO t (?, ?)` comes next."""
        return self.peek(1).kind in (PARAM, "string", "number")

    def _insert_select(self, table: Table, names: list[str]) -> Request:
        query = self.query()
        self._same_number(query.fields, names)
        ignore = "" if table.multiset else " OR IGNORE"
        sql = f"INSERT{ignore} INTO {table.in_sqlite()} ({listed(names)}) {query.sql}"
        return self._written("insert", table, sql)

    def _update(self) -> Request:
        self.expect("UPDATE")
        table = self._target()
        alias = table.name.lower()
        if self._an_alias_of_table(self.peek()) and not self.comes("SET"):
            self.accept("AS")
            alias = self.identifier("an alias").lower()
        if self.comes("FROM"):
            raise self.unexpected("UPDATE .. FROM is not emulated")
        self._scope_of(table, alias)
        self.expect("SET")
        sets, types = self._assignments(table)
        where, want = self._where(table)
        if any(
            f"{quoted(name)} = " in sets for i in table.indexes if i.unique for name in i.columns
        ):
            want = Want(table.key, WRITE)  # the new values of an index are rows too
        sql = f"UPDATE {table.in_sqlite()} AS {quoted(alias)} SET {sets}{where}"
        return self._written("update", table, sql, types=types, want=want)

    def _where(self, table: Table) -> tuple[str, Want]:
        """Take the condition of UPDATE or DELETE; return it and the lock that it needs."""
        if not self.accept("WHERE"):
            self.accept("ALL")
            return "", Want(table.key, WRITE)
        begin = self.at
        where = f" WHERE {self.condition().sql}"
        return where, self.writes(table, begin)

    def _assignments(self, table: Table) -> tuple[str, dict[int, Type]]:
        parts, types = [], {}
        while True:
            column = table.column(self.identifier("a column"))
            self.expect("=")
            if self.peek().kind == PARAM:
                types[self.peek().number] = column.type
            parts.append(f"{quoted(column.name)} = {self.value().sql}")
            if not self.accept(","):
                return ", ".join(parts), types

    def _delete(self) -> Request:
        self.expect("DELETE")
        self.accept("FROM")
        table = self._target()
        alias = table.name.lower()
        if self._an_alias_of_table(self.peek()):
            self.accept("AS")
            alias = self.identifier("an alias").lower()
        self._scope_of(table, alias)
        where, want = self._where(table)
        sql = f"DELETE FROM {table.in_sqlite()} AS {quoted(alias)}{where}"
        return self._written("delete", table, sql, want=want)

    def _set(self) -> Request:
        self.expect("SET")
        if self.accept("QUERY_BAND", "="):
            return self._query_band()
        if self.accept("TIME", "ZONE"):
            return self._time_zone()
        self.expect("SESSION")
        if self.accept("CHARACTER", "SET", "UNICODE", "PASS", "THROUGH"):
            on = self.take().text
            if on not in ("ON", "OFF"):
                raise self.unexpected("expected ON or OFF")

            def pass_through(session: Any) -> None:
                session.pass_through = on == "ON"

            return Request("set", setting=pass_through)
        if self.accept("COLLATION"):
            if (name := self.take().text) not in ("ASCII", "CHARSET_COLL", "HOST", "MULTINATIONAL"):
                raise self.unexpected(f"unknown collation {name}")
            return Request("set", setting=lambda session: setattr(session, "collation", name))
        raise self.unexpected("expected an emulated setting")

    def _time_zone(self) -> Request:
        """Take INTERVAL 'hours:minutes' HOUR TO MINUTE."""
        self.expect("INTERVAL")
        sign = -1 if self.accept("-") else 1
        if not (match := re.fullmatch(r"(\d\d):([0-5]\d)", self.string())):
            raise Refused(3706, "a time zone is an interval of hours and minutes, such as '01:00'")
        self.expect("HOUR", "TO", "MINUTE")
        zone = sign * dt.timedelta(hours=int(match[1]), minutes=int(match[2]))
        return Request("set", setting=lambda session: setattr(session, "zone", zone))

    def _query_band(self) -> Request:
        band = "" if self.accept("NONE") else self.string()
        if not BAND.fullmatch(band) or len(band) > BAND_LENGTH:
            raise Refused(
                3706, f"the query band {band[:60]!r} does not have the form 'name=value;'"
            )
        update = self.accept("UPDATE")
        self.expect("FOR")
        if self.accept("TRANSACTION"):
            return Request("set")
        self.expect("SESSION")

        def set_band(session: Any) -> None:
            pairs = dict(pair.split("=", 1) for pair in band.split(";") if pair)
            session.band = (session.band | pairs) if update else pairs

        return Request("band", setting=set_band)

    def _database(self) -> Request:
        self.expect("DATABASE")
        name = self.identifier("a database")
        if name.lower() != self.catalog.database.lower():
            raise Refused(3802, name)
        return Request("set")


_CACHE: dict[tuple[int, str, str], Request] = {}


def read_request(text: str, catalog: Catalog) -> Request:
    """Parse a request.

    Raises:
        Refused: Teradata would refuse it, or the emulator does not know it.
    """
    key = (catalog.fingerprint, catalog.database.lower() if "." in text else "", text)
    request = _CACHE.get(key)
    if request is None:
        read = tokens(text)
        first = read[0].text if read else ""
        if first in Definitions.BEGINNINGS:
            return Definitions(read, catalog).request(text)
        request = Statements(read, catalog).request()
        if len(_CACHE) > 20_000:
            _CACHE.clear()
        _CACHE[key] = request
    return request
