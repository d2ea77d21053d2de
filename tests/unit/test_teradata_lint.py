"""Each rule of the lint reports bad requests, also of the stock dialect; good requests pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from teradatasqlalchemy.dialect import TeradataDialect

from mfprefect_dev.teradata import EmulatedTeradata, lint

TABLE = "CREATE MULTISET TABLE t (a INTEGER NOT NULL{}) UNIQUE PRIMARY INDEX (a)"
BAD = {
    "limit": ["SELECT a FROM t LIMIT 5", "SELECT a FROM t LIMIT ?"],
    "offset": ["SELECT a FROM t OFFSET 5"],
    "fetch": ["SELECT a FROM t ORDER BY a FETCH FIRST 5 ROWS ONLY"],
    "top-distinct": ["SELECT DISTINCT TOP 5 a FROM t"],
    "top-bound": ["SELECT TOP ? a FROM t"],
    "returning": ["INSERT INTO t (a) VALUES (?) RETURNING a"],
    "for-update": ["SELECT a FROM t WHERE a = 1 FOR UPDATE"],
    "now": ["SELECT now() AS x FROM t"],
    "is-value": ["SELECT a FROM t WHERE a IS 1", "SELECT a FROM t WHERE a IS NOT TRUE"],
    "boolean": ["UPDATE t SET a = true"],
    "exists-value": ["SELECT EXISTS (SELECT a FROM t) AS x FROM t"],
    "values-table": ["SELECT x.a FROM (VALUES (1)) AS x (a)"],
    "empty-insert": ["INSERT INTO t () VALUES ()"],
    "rows": ["INSERT INTO t (a) VALUES (?), (?)"],
    "null-in": ["SELECT a FROM t WHERE a IN (NULL) AND (1 <> 1)", "SELECT a FROM t WHERE a IN ()"],
    "null-compared": ["SELECT a FROM t WHERE a = NULL", "UPDATE t SET a = 1 WHERE a <> NULL"],
    "if-exists": ["CREATE TABLE IF NOT EXISTS t (a INTEGER)", "DROP TABLE IF EXISTS t"],
    "schema": ["CREATE SCHEMA s"],
    "cascade": [
        TABLE.format(", FOREIGN KEY (a) REFERENCES WITH NO CHECK OPTION u (a) ON DELETE CASCADE")
    ],
    "checked-reference": [TABLE.format(", FOREIGN KEY (a) REFERENCES u (a)")],
    "long-text": [TABLE.format(", b VARCHAR(32001) CHARACTER SET UNICODE")],
    "charset": [TABLE.format(", b VARCHAR(10)"), TABLE.format(", b CLOB NOT NULL")],
    "multiset": ["CREATE TABLE t (a INTEGER) PRIMARY INDEX (a)"],
    "primary-index": ["CREATE MULTISET TABLE t (a INTEGER)"],
    "key-and-index": [TABLE.format(", PRIMARY KEY (a)")],
    "identity": [TABLE.format(" GENERATED ALWAYS AS IDENTITY")],
    "index-order": ["CREATE INDEX ix ON t (a)"],
    "reserved": [
        "SELECT t.value FROM t",
        "SELECT a AS rank FROM t",
        TABLE.format(", session INTEGER"),
        "UPDATE t SET title = ?",
    ],
    "long-name": [f"SELECT {'a' * 129} FROM t"],  # noqa: S608
    "long-string": [f"SELECT '{'a' * 31_001}' AS x FROM t"],  # noqa: S608
    "long-request": [f"SELECT a FROM t WHERE a IN ({', '.join(['1000000'] * 160_000)})"],  # noqa: S608
    "parameters": [f"SELECT a FROM t WHERE a IN ({', '.join('?' * 2_537)})"],  # noqa: S608
    "one-request": ["DELETE FROM t; DELETE FROM u"],
    "unequal": ["SELECT a FROM t WHERE a != 1"],
    "modulo": ["SELECT a % 2 AS x FROM t"],
    "cast": ["SELECT a::integer AS x FROM t"],
    "backquote": ["SELECT `a` FROM t"],
    "ilike": ["SELECT a FROM t WHERE a ILIKE 'x'"],
    "update-from": ["UPDATE t SET a = u.a FROM u WHERE t.b = u.b"],
    "using": ["SELECT t.a FROM t JOIN u USING (a)"],
    "on-conflict": ["INSERT INTO t (a) VALUES (?) ON CONFLICT (a) DO NOTHING"],
    "ordered-inside": ["SELECT x.a FROM (SELECT a FROM t ORDER BY a) AS x"],
    "frame": ["SELECT a, SUM(COALESCE(b, 0)) OVER (PARTITION BY c ORDER BY a) AS so_far FROM t"],
    "unordered-rank": [
        "SELECT ROW_NUMBER() OVER (PARTITION BY a) AS n FROM t",
        "SELECT a FROM t QUALIFY ROW_NUMBER() = 1",
    ],
    "query-band": [
        "SET QUERY_BAND='a=b' FOR SESSION",
        f"SET QUERY_BAND='a={'b' * 257};' FOR SESSION",
    ],
    "transaction": ["BEGIN TRANSACTION", "COMMIT"],
}
GOOD = [
    'SELECT TOP 5 a, "value" FROM t WHERE b IS NULL AND c IS NOT NULL ORDER BY a',
    "LOCKING ROW FOR ACCESS SELECT x.a FROM (SELECT TOP 3 a FROM t ORDER BY a) AS x",
    "SELECT a FROM t QUALIFY ROW_NUMBER() OVER (ORDER BY a DESC) BETWEEN 1 AND ?",
    "SELECT SUM(b) OVER (ORDER BY a ROWS UNBOUNDED PRECEDING), COUNT(*) OVER (PARTITION BY a), "
    "RANK() OVER (ORDER BY (a)) FROM t ORDER BY a",
    "UPDATE t SET a = NULL, b = ? WHERE c <> 'LIMIT 5; FOR UPDATE != NULL'",
    "SELECT a FROM t WHERE NOT (EXISTS (SELECT b FROM u WHERE u.a = t.a)) AND a IN (?, ?)",
    "SET QUERY_BAND='ApplicationName=mfprefect;session=42;' UPDATE FOR SESSION",
    "CREATE UNIQUE INDEX ix (a, b) ON t",
    TABLE.format(", b VARCHAR(32000) CHARACTER SET UNICODE CASESPECIFIC DEFAULT 'x'"),
    "SELECT CAST(NULL AS INTEGER) AS nothing, current_timestamp(6) AS at_once FROM t",
    "DROP INDEX ix ON t",
]


@pytest.mark.parametrize("rule", [rule.name for rule in lint.RULES])
def test_each_rule_reports(rule: str) -> None:
    for statement in BAD[rule]:
        assert rule in {finding.rule for finding in lint.check(statement)}, statement[:200]


@pytest.mark.parametrize("statement", GOOD, ids=range(len(GOOD)))
def test_valid_statements_pass(statement: str) -> None:
    assert lint.check(statement) == ()


def test_a_statement_that_is_not_sql() -> None:
    assert [finding.rule for finding in lint.check("SELECT a FROM t WHERE b = $1 \\")] == ["token"]


METADATA = sa.MetaData()
T = sa.Table(
    "t",
    METADATA,
    sa.Column("a", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("b", sa.String(20), server_default="running"),
)
STOCK = {
    "a page loses both": (sa.select(T.c.a).limit(5).offset(10), {"lost-limit", "lost-offset"}),
    "an offset is lost": (sa.select(T.c.a).offset(10), {"lost-offset"}),
    "a union's limit is lost": (
        sa.union_all(sa.select(T.c.a), sa.select(T.c.a)).limit(3),
        {"lost-limit"},
    ),
    "distinct and top": (sa.select(T.c.a).distinct().limit(3), {"top-distinct"}),
    "an empty list": (sa.select(T.c.a).where(T.c.a.in_([])), {"null-in"}),
    "exists": (sa.select(sa.exists().where(T.c.a == 1)), {"exists-value"}),
    "is true": (sa.select(T.c.a).where(T.c.a.is_(sa.true())), {"is-value"}),
    "now": (sa.select(sa.func.now()).select_from(T), {"now"}),
    "a default is lost": (
        sa.schema.CreateTable(T),
        {"lost-default", "charset", "multiset", "primary-index"},
    ),
    "if not exists": (sa.schema.CreateTable(T, if_not_exists=True), {"if-exists"}),
    "for update": (sa.select(T.c.a).with_for_update(), {"for-update"}),
}


@pytest.mark.parametrize("case", STOCK)
def test_mistakes_of_the_stock_dialect_are_reported(case: str) -> None:
    element: Any = STOCK[case][0]
    options = {} if isinstance(element, sa.schema.CreateTable) else {"render_postcompile": True}
    text = str(element.compile(dialect=TeradataDialect(), compile_kwargs=options))
    findings = lint.check(text) + lint.check_compiled(element, text)
    assert STOCK[case][1] <= {finding.rule for finding in findings}, text


@pytest.fixture
def engine(emulated_teradata: EmulatedTeradata) -> Iterator[sa.Engine]:
    with emulated_teradata.new_database() as url:
        engine = sa.create_engine(url + "&tmode=ANSI", poolclass=sa.NullPool)
        yield engine
        engine.dispose()


def test_the_stock_dialect_cannot_pass_the_suite(engine: sa.Engine) -> None:
    """The listener of tests/conftest.py refuses it: the driver commits by itself."""
    with pytest.raises(AssertionError, match="autocommit"), engine.begin() as connection:
        connection.execute(sa.select(sa.literal(1)))
