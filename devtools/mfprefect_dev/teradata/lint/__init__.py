"""A lint of every request for what Teradata refuses, or silently misreads.

A rule sees one request as it leaves the engine, without the tables and columns that the emulator
knows. `docs/teradata.md` explains the rules.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import event

from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.lint.rules import RULES, texts
from mfprefect_dev.teradata.tokens import escapes, tokens

__all__ = ["RULES", "Finding", "check", "check_compiled", "require_clean", "watch"]


class Finding(NamedTuple):
    """A rule that a request breaks."""

    rule: str
    why: str


@functools.lru_cache(maxsize=20_000)
def check(statement: str) -> tuple[Finding, ...]:
    """Return the rules that a request breaks."""
    try:
        read = tokens(escapes(statement)[1])
    except Refused as refused:
        return (Finding("token", str(refused.about[0])),)
    return tuple(Finding(rule.name, rule.why) for rule in RULES if rule.finds(read))


def require_clean(statement: str) -> None:
    """Refuse a request that breaks a rule.

    Raises:
        Refused: error 3706, with the rules.
    """
    if findings := check(statement):
        raise Refused(3706, "lint: " + "; ".join(f"{f.rule} ({f.why})" for f in findings))


def check_compiled(element: Any, statement: str) -> tuple[Finding, ...]:
    """Return the parts of a SQLAlchemy element that its text lost."""
    findings = []
    limited = getattr(element, "_limit_clause", None) is not None
    paged = getattr(element, "_offset_clause", None) is not None
    text = texts(tokens(statement))
    if limited and " TOP " not in f" {text} " and "ROW_NUMBER" not in text:
        findings.append(Finding("lost-limit", "the limit is not in the text"))
    if paged and "ROW_NUMBER" not in text:
        findings.append(Finding("lost-offset", "the offset is not in the text"))
    if isinstance(element, sa.schema.CreateTable):
        columns = element.element.columns
        if text.count("DEFAULT") < sum(c.server_default is not None for c in columns):
            findings.append(Finding("lost-default", "a column's default is not in the text"))
        if any(c.identity is not None for c in columns):
            findings.append(Finding("lost-identity", "a column's identity is not in the text"))
    return tuple(findings)


def watch(engine: sa.Engine | type[sa.Engine]) -> None:
    """Check every statement that an engine, or any engine, sends to Teradata.

    A statement that breaks a rule raises an AssertionError in its caller.
    """

    def before(
        connection: sa.Connection, _: Any, statement: str, __: Any, context: Any, ___: bool
    ) -> None:
        if connection.dialect.name != "teradatasql":
            return
        compiled = getattr(context, "compiled", None)
        findings = check(statement)
        if compiled is not None:
            findings += check_compiled(compiled.statement, statement)
        driver: Any = connection.connection.dbapi_connection
        level = connection.get_execution_options().get("isolation_level")
        if level != "AUTOCOMMIT" and driver.autocommit:
            findings += (Finding("autocommit", "the driver commits each statement by itself"),)
        if findings:
            raise AssertionError(f"{findings}\n{statement}")

    event.listen(engine, "before_cursor_execute", before)
