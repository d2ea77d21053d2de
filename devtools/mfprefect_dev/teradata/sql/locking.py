"""LOCKING modifiers, and the locks that a request takes without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mfprefect_dev.teradata.catalog import Table
from mfprefect_dev.teradata.sql.reader import Reader
from mfprefect_dev.teradata.sql.requests import ACCESS, MODES, READ, WRITE, Given, RowKey, Want
from mfprefect_dev.teradata.sql.scopes import Scope, Source, meant
from mfprefect_dev.teradata.tokens import NUMBER, PARAM, QUOTED, STRING, WORD, Token

__all__ = ["Locking", "Reading", "inserted"]


@dataclass
class Reading:
    """A table that a request reads."""

    table: Table
    scope: Scope | None
    """The SELECT that names it; None for a table of a view."""
    source: Source | None
    row: RowKey | None = None
    """Which row it reads, if it names one by a unique index."""
    mode: int | None = None
    """The mode that a view gives; None: the request decides."""


class Locking(Reader):
    """The grammar of LOCKING."""

    readings: list[Reading]
    row_mode: int | None
    """The mode of LOCKING ROW."""
    table_modes: dict[str, int]
    """The modes of LOCKING TABLE, by the table's key."""
    nowait: bool

    def unlocked(self) -> None:
        """Forget the modifiers of the previous request."""
        self.row_mode, self.table_modes, self.nowait = None, {}, False

    def locks(self) -> None:
        """Take LOCKING modifiers."""
        while self.comes("LOCKING") or self.comes("LOCK"):
            self.take()
            key = None
            if not self.accept("ROW"):
                self.accept("TABLE")
                key = self.catalog.table(self.table_name(), view=True).key
            if not self.accept("FOR"):
                self.expect("IN")
            mode = MODES.get(self.take().text)
            if mode is None:
                raise self.unexpected("expected ACCESS, READ, WRITE or EXCLUSIVE")
            self.accept("MODE")
            self.nowait = self.accept("NOWAIT") or self.nowait
            if key is None:
                self.row_mode = mode
            else:
                self.table_modes[key] = mode

    def reads(self) -> list[Want]:
        """Return the locks on what the request reads, and those of LOCKING TABLE."""
        explicit = {key: mode for key, mode in self.table_modes.items() if mode != ACCESS}
        wants = [Want(key, mode) for key, mode in explicit.items()]
        for reading in self.readings:
            mode = self.mode_of(reading)
            rows = () if reading.row is None else (reading.row,)
            wants.append(Want(reading.table.key, mode, rows))
        return wants

    def mode_of(self, reading: Reading) -> int:
        """Return the mode in which a table is read."""
        if reading.table.key in self.table_modes:
            return min(self.table_modes[reading.table.key], READ)
        if self.row_mode is not None:
            return self.row_mode
        return READ if reading.mode is None else reading.mode

    def writes(self, table: Table, begin: int) -> Want:
        """Return the lock for UPDATE or DELETE, whose condition began at a position."""
        source = self.scope.sources[0]  # type: ignore[attr-defined]
        key = self.row_key(table, source, begin)
        rows = () if key is None else (key,)
        return Want(table.key, WRITE, rows, counted=key is not None)

    def given(self, begin: int) -> Given | None:
        """Return the value that was just read if it is a parameter or a literal."""
        return _value(self.tokens[begin : self.at])

    def row_key(self, table: Table, source: Source, begin: int) -> RowKey | None:
        """Return which row of a table the condition names that was just read.

        It has to fix all columns of a unique index by equality, or of the primary index, which then
        names a set of rows. https://docs.teradata.com: SQL Request and Transaction Processing,
        17.10, DML Requests and Locks.
        """
        equal: dict[str, Given] = {}
        for part in _joined_by_and(self.tokens[begin : self.at]):
            name, given = _equality(part)
            if name and meant(source, name[:-1], self.catalog.database):
                equal[name[-1].upper()] = given
        primary = table.primary
        others = (index for index in table.indexes if index.unique and index is not primary)
        for index in (primary, *others):
            # A partitioned one locks nothing less than its table: rows of a value are everywhere.
            usable = index.unique or index.kind == "P"
            if usable and all(name.upper() in equal for name in index.columns):
                return RowKey(index.columns, tuple(equal[name.upper()] for name in index.columns))
        return None


def _joined_by_and(span: Sequence[Token]) -> list[Sequence[Token]]:
    """Return the parts of a condition that all have to hold; nothing if OR joins some."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in span:
        depth += (token.text == "(") - (token.text == ")") if token.kind == "sign" else 0
        if depth == 0 and token.kind == WORD and token.text == "OR":
            return []
        if depth == 0 and token.kind == WORD and token.text == "AND":
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for one in parts for part in _without_parentheses(one)]


def _without_parentheses(part: Sequence[Token]) -> list[Sequence[Token]]:
    whole = len(part) > 2 and part[0].text == "(" and part[-1].text == ")"
    return _joined_by_and(part[1:-1]) if whole else [part]


def _equality(part: Sequence[Token]) -> tuple[list[str], Given]:
    """Return column and value of `column = value`; no column for anything else."""
    *names, sign, last = part if len(part) > 2 else [Token("sign", "")] * 3
    dots = [token.text == "." for token in names]
    is_column = dots == [n % 2 == 1 for n in range(len(dots))] and all(
        token.kind in (WORD, QUOTED) for token in names[::2]
    )
    given = _value([last])
    if sign.text != "=" or not is_column or given is None:
        return [], Given()
    return [token.name for token in names[::2]], given


def _value(span: Sequence[Token]) -> Given | None:
    if len(span) != 1 or span[0].kind not in (PARAM, STRING, NUMBER):
        return None
    token = span[0]
    if token.kind == NUMBER:
        return Given(literal=int(token.text) if token.text.isdigit() else float(token.text))
    return Given(token.number, token.text)


def inserted(table: Table, names: list[str], given: Sequence[Given | None]) -> Want:
    """Return the lock for new rows: on their values of the primary and of each unique index."""
    by_name = dict(zip((name.upper() for name in names), given, strict=False))
    keys = []
    for index in table.indexes:
        if index.unique or index.kind in "PQ":
            values = [by_name.get(name.upper(), Given()) for name in index.columns]
            if None in values:
                return Want(table.key, WRITE)  # computed by the request
            keys.append(RowKey(index.columns, tuple(one for one in values if one is not None)))
    return Want(table.key, WRITE, tuple(keys), new=True, counted=True)
