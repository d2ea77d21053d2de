"""Requests that read and write rows, and those that change the session."""

from __future__ import annotations

import re
from typing import Any

from mfprefect_dev.teradata.catalog import Catalog, Table, quoted
from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.lint.rules import MOST_PARAMETERS
from mfprefect_dev.teradata.sql.definitions import Definitions
from mfprefect_dev.teradata.sql.merging import Merging, listed
from mfprefect_dev.teradata.sql.requests import Request
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
                self.access, self.write_locks = False, set()
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
        request.locks = frozenset(self.write_locks - {"nowait"})
        request.nowait = "nowait" in self.write_locks
        request.looked_up = frozenset(self.looked_up)
        request.access = self.access or not self.touched
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
        while True:
            token = self.peek()
            if token.kind == PARAM and len(values) < len(names):
                types[token.number] = table.column(names[len(values)]).type
            values.append(self.value().sql)
            if not self.accept(","):
                break
        self.expect(")")
        if self.comes(","):
            raise self.unexpected("VALUES takes one row")
        self._same_number(values, names)
        sql = f"INSERT INTO {table.in_sqlite()} ({listed(names)}) VALUES ({', '.join(values)})"
        return self._written("insert", table, sql, by_row=True, types=types)

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
        where = f" WHERE {self.condition().sql}" if self.accept("WHERE") else ""
        if not where:
            self.accept("ALL")
        sql = f"UPDATE {table.in_sqlite()} AS {quoted(alias)} SET {sets}{where}"
        return self._written("update", table, sql, types=types, by_row=_by_key(table, where))

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
        where = f" WHERE {self.condition().sql}" if self.accept("WHERE") else ""
        if not where:
            self.accept("ALL")
        sql = f"DELETE FROM {table.in_sqlite()} AS {quoted(alias)}{where}"
        return self._written("delete", table, sql, by_row=_by_key(table, where))

    def _set(self) -> Request:
        self.expect("SET")
        if self.accept("QUERY_BAND", "="):
            return self._query_band()
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


def _by_key(table: Table, where: str) -> bool:
    """Return whether a condition fixes every column of the primary index."""
    return all(
        re.search(rf'\."{re.escape(name)}" = \?', where, re.IGNORECASE)
        for name in table.primary.columns
    )


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
