"""The text of a statement, and how long a database lets it be."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mfprefect.sql_scoring.errors import NotCompilable

__all__ = ["statement_text_of"]

# Teradata documents 1 MB for a request; the default packet of MariaDB has 16 MiB.
_LONGEST = {"teradatasql": 1_000_000, "mysql": 15_000_000, "mariadb": 15_000_000}
_LONGEST_ELSEWHERE = 50_000_000


def statement_text_of(select: sa.Select[Any], dialect: sa.Dialect) -> str:
    """Return a statement with its values inlined; see `mfprefect.sql_scoring.statement_text`."""
    compiled = select.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    text = str(compiled)
    if dialect.paramstyle in ("format", "pyformat"):
        text = text.replace("%%", "%")  # doubled for the driver, which takes % for a parameter
    longest = _LONGEST.get(dialect.name, _LONGEST_ELSEWHERE)
    size = len(text.encode())
    if size > longest:
        raise NotCompilable(
            f"the statement has {size:,} bytes, and {dialect.name} takes {longest:,}"
        )
    return text
