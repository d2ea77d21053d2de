"""The grammar of one SELECT: list, conditions, groups and order."""

from __future__ import annotations

from mfprefect_dev.teradata.catalog import quoted
from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.sql.scopes import Value
from mfprefect_dev.teradata.sql.tables import CLAUSES, Query, Tables
from mfprefect_dev.teradata.tokens import QUOTED, WORD

__all__ = ["Selects"]

Item = tuple[str, Value, list[str]]
"""An item of a select list: its name, its value, and the columns outside of aggregates."""


class Selects(Tables):
    """The grammar of one SELECT."""

    def simple(self, *, last: bool = False) -> Query:
        """Take one SELECT, which may be in parentheses."""
        if self.accept("("):
            query = self.inner(self.scope.outer)
            self.expect(")")
            return query._replace(sql=f"SELECT * FROM ({query.sql})")
        self.expect("SELECT")
        distinct = self.accept("DISTINCT")
        self.accept("ALL")
        top = self._top(distinct)
        items_at, from_at = self.at, self._find_from()
        after = None
        text = ""
        if from_at is not None:
            self.at = from_at + 1
            text = f" FROM {self._from()}"
            after = self.at
            self.at = items_at
        items = self._items()
        if from_at is not None and after is not None:
            if self.at != from_at:
                raise self.unexpected("expected FROM")
            self.at = after
        return self._finished(items, text, distinct, top, last)

    def _top(self, distinct: bool) -> int | None:
        if not self.accept("TOP"):
            return None
        if distinct:
            raise Refused(6916, "TOP N option is not supported with DISTINCT.")
        number = self.whole()
        if self.comes("PERCENT") or self.comes("WITH"):
            raise self.unexpected("TOP .. PERCENT and WITH TIES are not emulated")
        return number

    def _find_from(self) -> int | None:
        depth = 0
        for place in range(self.at, len(self.tokens)):
            token = self.tokens[place]
            if token.text == "(" and token.kind == "sign":
                depth += 1
            elif token.text == ")" and token.kind == "sign":
                depth -= 1
                if depth < 0:
                    return None
            elif depth == 0 and token.kind == WORD:
                if token.text == "FROM":
                    return place
                if token.text in CLAUSES:
                    return None
        return None

    def _items(self) -> list[Item]:
        items: list[Item] = []
        while True:
            items.extend(self._item())
            if not self.accept(","):
                return items

    def _item(self) -> list[Item]:
        star = self._star()
        if star is not None:
            return star
        begin, before = self.at, len(self.scope.free)
        value = self.value("a value")
        written = " ".join(token.written for token in self.tokens[begin : self.at])
        used = self.scope.free[before:]
        name = value.column or written
        if self.accept("AS") or self._an_alias():
            name = self.identifier("an alias")
            self.scope.aliases.setdefault(name.upper(), value._replace(column=None))
        elif value.column:
            self.scope.aliases.setdefault(name.upper(), value)
        return [(name, value, used)]

    def _an_alias(self) -> bool:
        token = self.peek()
        return token.kind == QUOTED or (
            token.kind == WORD and token.text not in ("FROM", *CLAUSES) and not self.comes("INTO")
        )

    def _star(self) -> list[Item] | None:
        sources = None
        if self.accept("*"):
            sources = self.scope.sources
            if not sources:
                raise self.unexpected("* needs FROM")
        elif self.peek(1).text == "." and self.peek(2).text == "*":
            alias = self.identifier("a table")
            self.expect(".", "*")
            sources = [s for s in self.scope.sources if s.alias.upper() == alias.upper()]
            if not sources:
                raise Refused(3807, alias)
        if sources is None:
            return None
        return [
            (f.name, Value(f.sql, f.type, column=f.name), [f.sql])
            for source in sources
            for f in source.fields.values()
        ]

    def _finished(
        self, items: list[Item], source: str, distinct: bool, top: int | None, last: bool
    ) -> Query:
        scope = self.scope
        if distinct and any(value.lob for _, value, _ in items):
            raise Refused(5692)
        if not source and any(self.comes(word) for word in ("WHERE", "GROUP", "HAVING", "QUALIFY")):
            raise self.unexpected("expected FROM")
        aggregated = scope.aggregated
        text = source
        if self.accept("WHERE"):
            scope.aggregated = scope.windowed = False
            begin = self.at
            text += f" WHERE {self.condition().sql}"
            for reading in self.readings:
                if reading.scope is scope and reading.source is not None:
                    reading.row = self.row_key(reading.table, reading.source, begin)
            if scope.aggregated or scope.windowed:
                raise Refused(3706, "WHERE takes no aggregate")
        grouped, group_text = self._group()
        text += group_text
        if self.accept("HAVING"):
            before = len(scope.free)
            text += f" HAVING {self.condition().sql}"
            self._grouped_only(scope.free[before:], grouped)
            aggregated = True
        if aggregated or grouped:
            for _, value, used in items:
                if value.sql not in grouped:
                    self._grouped_only(used, grouped)
        return self._ordered_query(items, text, distinct, top, last)

    def _group(self) -> tuple[list[str], str]:
        if not self.accept("GROUP", "BY"):
            return [], ""
        grouped = []
        while True:
            grouped.append(self.comparable("a value to group by").sql)
            if not self.accept(","):
                return grouped, f" GROUP BY {', '.join(grouped)}"

    @staticmethod
    def _grouped_only(used: list[str], grouped: list[str]) -> None:
        if any(column not in grouped for column in used):
            raise Refused(3504)

    def _ordered_query(
        self, items: list[Item], text: str, distinct: bool, top: int | None, last: bool
    ) -> Query:
        listed = ", ".join(f"{value.sql} AS {quoted(name)}" for name, value, _ in items)
        select = "SELECT DISTINCT" if distinct else "SELECT"
        sql = f"{select} {listed}{text}"
        ordered = False
        if self.accept("QUALIFY"):
            sql, order = self._qualified(items, text, distinct)
            ordered = bool(order)
            sql += order
        elif self.comes("ORDER", "BY") and not last:
            ordered = True
            sql += f" {self.order_by(aliases=True)}"
        if top is not None:
            sql += f" LIMIT {top}"
        if last and top is not None:
            sql = f"SELECT * FROM ({sql})"
        fields = tuple((name, value.type) for name, value, _ in items)
        reads = bool(text)
        return Query(sql, fields, reads, ordered, top is not None)

    def _qualified(self, items: list[Item], text: str, distinct: bool) -> tuple[str, str]:
        """Filter by a window function in an outer SELECT: SQLite has no QUALIFY."""
        if distinct:
            raise Refused(3706, "DISTINCT with QUALIFY is not emulated")
        self.scope.windowed = False
        keep = self.condition().sql
        if not self.scope.windowed:
            raise Refused(3706, "QUALIFY needs a window function")
        inside = [f"{value.sql} AS c{n}" for n, (_, value, _) in enumerate(items)]
        outside = [f"c{n} AS {quoted(name)}" for n, (name, _, _) in enumerate(items)]
        order = ""
        if self.accept("ORDER", "BY"):
            keys: list[str] = []
            while True:
                key = self._ordered(False)
                flags = ""
                for word in (" ASC", " DESC", " NULLS FIRST", " NULLS LAST"):
                    if key.endswith(word):
                        key, flags = key.removesuffix(word), word + flags
                inside.append(f"{key} AS o{len(keys)}")
                keys.append(f"o{len(keys)}{flags}")
                if not self.accept(","):
                    break
            order = f" ORDER BY {', '.join(keys)}"
        keep_column = f"CASE WHEN {keep} THEN 1 ELSE 0 END AS keep"
        sql = f"SELECT {', '.join(outside)} FROM (SELECT {', '.join([*inside, keep_column])}{text})"
        return f"{sql} WHERE keep = 1", order
