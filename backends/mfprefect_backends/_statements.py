"""The text of a user's statement as the driver would send it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

__all__ = ["NO_QUERY", "is_query", "sent"]

# `/*!` is no comment of MySQL.
_START = re.compile(
    r"(?:\s|\(|--[^\n]*\n|#[^\n]*\n|/\*(?!!)(?:[^*]|\*(?!/))*\*/)*(select|with|values|table)\b",
    re.IGNORECASE,
)


NO_QUERY = "the statement is not one plain query, or a parameter has no value"


def is_query(text: str) -> bool:
    """Return whether a text is one SELECT, WITH, VALUES or TABLE; in doubt it is not.

    A semicolon anywhere but at the end may separate two statements.
    """
    return _START.match(text) is not None and ";" not in _body(text)


def _body(text: str) -> str:
    return text.rstrip().removesuffix(";")


def sent(
    connection: sa.Connection, statement: sa.TextClause, params: Mapping[str, Any]
) -> bytes | None:
    """Return the query with its parameters as the driver itself writes them into it.

    None if it is not one plain query, or a parameter has no value.

    For drivers that put parameters into the text themselves, by `cursor.mogrify`.
    """
    if not is_query(statement.text):
        return None
    dialect: Any = connection.dialect
    binds: Mapping[str, Any] = statement.compile(dialect=dialect).binds
    if binds.keys() != params.keys():
        return None
    valued = statement.bindparams(
        *(
            sa.bindparam(name, value, type_=sa.types.NullType(), expanding=binds[name].expanding)
            for name, value in params.items()
        )
    )
    compiled: Any = valued.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    parameters = compiled.params
    if compiled.positional:
        parameters = tuple(parameters[name] for name in compiled.positiontup)
    driver: Any = connection.connection.dbapi_connection
    with driver.cursor() as cursor:
        text = cursor.mogrify(compiled.string, parameters)
    data = text if isinstance(text, bytes) else text.encode(errors="surrogateescape")
    return data.rstrip().removesuffix(b";")
