"""Statements in Teradata's SQL; refuse what it would refuse or misread."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.exc import CompileError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators
from teradatasqlalchemy.dialect import TeradataCompiler, TeradataTypeCompiler

from mfprefect.schema import Double, JsonRows, LongText

__all__ = ["MAX_VARCHAR", "Compiler", "TypeCompiler", "refuse"]

ONE_ROW = " FROM (SELECT 1 AS one_column) AS one_row"
MAX_VARCHAR = 32_000
"""The maximum length of a UNICODE VARCHAR, in characters."""
MAX_JSON_TEXT = 4_000
"""Views show this many characters of a long text in JSON: JSON_TABLE returns no CLOB."""


@compiles(JsonRows, "teradatasql")
def _json_rows(element: JsonRows, compiler: Any, **options: Any) -> str:
    # https://docs.teradata.com: JSON Data Type, JSON_TABLE. The first ordinal is not documented,
    # so ROW_NUMBER numbers the rows.
    fields = [{"ordinal": True}, *(_field(key, c.type) for key, c in element.fields.items())]
    names = ["session_no", "ordinal_no", *(column.name for column in element.fields.values())]
    shown = (
        f"CAST(listed.{column.name} AS CLOB CHARACTER SET UNICODE) AS {column.name}"
        if isinstance(column.type, LongText)
        else f"listed.{column.name}"
        for column in element.fields.values()
    )
    return (
        "SELECT listed.session_no, ROW_NUMBER() OVER (PARTITION BY listed.session_no "  # noqa: S608
        f"ORDER BY listed.ordinal_no) AS place, {', '.join(shown)} FROM JSON_TABLE("
        f"ON ({compiler.process(element.documents, **options)}) USING ROWEXPR('$[*]') "
        f"COLEXPR('{json.dumps(fields)}')) AS listed ({', '.join(names)})"
    )


def _field(key: str, kind: sa.types.TypeEngine[Any]) -> dict[str, str]:
    length = MAX_JSON_TEXT if isinstance(kind, LongText) else getattr(kind, "length", None)
    text = f"VARCHAR({length}) CHARACTER SET UNICODE"
    return {"jsonpath": f"$.{key}", "type": "FLOAT" if isinstance(kind, Double) else text}


def refuse(what: str, instead: str) -> NoReturn:
    """Refuse a construct that Teradata refuses or silently misreads.

    Raises:
        CompileError: names it, and what to use instead.
    """
    raise CompileError(f"Teradata has no {what}; {instead}.")


class Compiler(TeradataCompiler):  # type: ignore[misc]
    """The stock compiler with corrections of what it silently gets wrong."""

    def get_select_precolumns(self, select: Any, **options: Any) -> str:
        """Return DISTINCT or TOP; a page (limit and offset) has neither."""
        if select._fetch_clause is not None:
            refuse("FETCH here", "use limit()")
        before = "DISTINCT " if select._distinct else ""
        if select._limit_clause is None and select._offset_clause is None:
            return before
        if before:
            refuse("DISTINCT with a limit", "take the limit of a subquery")
        if select._offset_clause is not None:
            return before
        # TOP takes no parameter, so render the number at each execution of the cached statement.
        number = self.process(select._limit_clause.render_literal_execute(), **options)
        return f"TOP {number} "

    def order_by_clause(self, select: Any, **options: Any) -> str:
        """Return ORDER BY, after QUALIFY if there is an offset."""
        ordered: str = super().order_by_clause(select, **options)
        if getattr(select, "_offset_clause", None) is None:
            return ordered
        first = self.process(select._offset_clause.render_literal_execute(), **options)
        number = f"ROW_NUMBER() OVER ({ordered.strip()})"
        if select._limit_clause is None:
            return f" QUALIFY {number} > {first}{ordered}"
        rows = self.process(select._limit_clause.render_literal_execute(), **options)
        return f" QUALIFY {number} BETWEEN {first} + 1 AND {first} + {rows}{ordered}"

    def limit_clause(self, select: Any, **options: Any) -> str:
        """Refuse limits that neither TOP nor QUALIFY expresses."""
        if not isinstance(select, sa.Select):
            refuse("limit of a union", "select from it as a subquery")
        if select._offset_clause is not None and not select._order_by_clauses:
            refuse("OFFSET without an order", "add order_by()")
        return ""

    def returning_clause(self, *_: Any, **options: Any) -> str:
        """Refuse RETURNING."""
        refuse("RETURNING", "select the row by its key")

    def fetch_clause(self, select: Any, **options: Any) -> str:
        """Refuse FETCH."""
        refuse("FETCH here", "use limit()")

    def default_from(self) -> str:
        """Return a FROM with one row: subqueries in a select list need a FROM."""
        return ONE_ROW

    def for_update_clause(self, select: Any, **options: Any) -> str:
        """Refuse FOR UPDATE."""
        refuse("FOR UPDATE", "update the row first, which locks it")

    def visit_now_func(self, function: Any, **options: Any) -> str:
        """Return the standard name."""
        return "CURRENT_TIMESTAMP(6)"

    def visit_is__binary(self, binary: Any, operator: Any, **options: Any) -> str:
        """Compare with = except for NULL, the only operand of IS."""
        return self._is(binary, "IS", "=", **options)

    def visit_is_not_binary(self, binary: Any, operator: Any, **options: Any) -> str:
        """Compare with <> except for NULL, the only operand of IS NOT."""
        return self._is(binary, "IS NOT", "<>", **options)

    def _is(self, binary: Any, null: str, other: str, **options: Any) -> str:
        sign = null if isinstance(binary.right, sa.Null) else other
        left, right = (self.process(side, **options) for side in (binary.left, binary.right))
        return f"{left} {sign} {right}"

    def visit_empty_set_op_expr(self, type_: Any, expand_op: Any, **options: Any) -> str:
        """Return a select without rows: a list with NULL raises error 3731."""
        return self.visit_empty_set_expr(type_)

    def visit_empty_set_expr(self, element_types: Any, **options: Any) -> str:
        """Return a select without rows, of a type comparable with the column's."""
        kinds = element_types if isinstance(element_types, (list, tuple)) else [element_types]
        if len(kinds) != 1:
            refuse("empty set of several columns", "skip the statement")
        kind = kinds[0]
        comparable = isinstance(kind, (sa.Integer, sa.Numeric, sa.Float, sa.DateTime, sa.Date))
        name = self.dialect.type_compiler_instance.process(kind if comparable else sa.String(255))
        return f"SELECT CAST(NULL AS {name}) AS nothing{ONE_ROW} WHERE 1 = 0"

    def visit_unary(self, unary: Any, **options: Any) -> str:
        """Refuse EXISTS in the list of a select."""
        if unary.operator is operators.exists and options.get("within_columns_clause"):
            refuse("EXISTS in the list of a select", "count, or use it in WHERE")
        text: str = super().visit_unary(unary, **options)
        return text


class TypeCompiler(TeradataTypeCompiler):  # type: ignore[misc]
    """The stock types, with Unicode text and valid lengths."""

    def visit_VARCHAR(self, type_: Any, **options: Any) -> str:
        """Return Unicode text; without a length, the stock compiler returns LONG VARCHAR."""
        length = MAX_VARCHAR if type_.length is None else type_.length
        if length > MAX_VARCHAR:
            refuse(f"VARCHAR({length})", f"use at most {MAX_VARCHAR}, or a CLOB")
        case = " CASESPECIFIC" if isinstance(options.get("type_expression"), sa.Column) else ""
        return f"VARCHAR({length}) CHARACTER SET UNICODE{case}"

    def visit_CLOB(self, type_: Any, **options: Any) -> str:
        """Return Unicode text, because a user's default may be LATIN."""
        return "CLOB CHARACTER SET UNICODE"

    def visit_double(self, type_: Any, **options: Any) -> str:
        """Return the standard name."""
        return "DOUBLE PRECISION"

    def visit_JSON(self, type_: Any, **options: Any) -> str:
        """Refuse JSON: the schema stores it as text."""
        refuse("JSON column in this schema", "store it as text")
