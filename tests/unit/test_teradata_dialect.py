"""Statements that the repaired dialect emits or refuses, without a server or driver."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import CompileError

from mfprefect.backend import Backend, backend_for
from mfprefect.errors import ConfigurationError
from mfprefect.schema import Double, Id, LongText
from mfprefect.settings import load_settings

T = sa.Table(
    "t",
    sa.MetaData(),
    sa.Column("part_no", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", Id(10)),
    sa.Column("seen", sa.DateTime),
    sa.Column("done", sa.Boolean, nullable=False),
)
C = T.c
SOME = sa.select(C.part_no)
PAGE = SOME.order_by(C.name).limit(5).offset(10)


def backend(query: str = "", **settings: Any) -> Backend:
    url = f"teradatasql://u:p@host/?database=mf{query}"
    return backend_for(load_settings(url=url, **settings))


def sql(statement: Any, **options: Any) -> str:
    options.setdefault("compile_kwargs", {"render_postcompile": True})
    text = str(statement.compile(dialect=backend().dialect(), **options))
    return re.sub(r"\s+", " ", text).strip()


# ruff: noqa: S608 - the statements are compared, not executed
ONE_ROW = "FROM (SELECT 1 AS one_column) AS one_row"
EMITTED: dict[str, tuple[Any, str]] = {
    "a limit": (SOME.limit(5), "SELECT TOP 5 t.part_no FROM t"),
    "a cast to text": (
        sa.select(*(sa.cast(C.part_no, kind).label("a") for kind in (Id(8), sa.String(9)))),
        "SELECT CAST(t.part_no AS VARCHAR(8) CHARACTER SET UNICODE) AS a, "
        "CAST(t.part_no AS VARCHAR(9) CHARACTER SET UNICODE) AS a FROM t",
    ),
    "a page": (
        PAGE,
        "SELECT t.part_no FROM t QUALIFY ROW_NUMBER() OVER (ORDER BY t.name) "
        "BETWEEN 10 + 1 AND 10 + 5 ORDER BY t.name",
    ),
    "all but the first": (
        SOME.order_by(C.name).offset(3),
        "SELECT t.part_no FROM t QUALIFY ROW_NUMBER() OVER (ORDER BY t.name) > 3 ORDER BY t.name",
    ),
    "the limit of a union": (
        sa.select(sa.union_all(SOME, SOME).subquery("pairs").c.part_no).limit(3),
        "SELECT TOP 3 pairs.part_no FROM (SELECT t.part_no AS part_no FROM t UNION ALL "
        "SELECT t.part_no AS part_no FROM t) AS pairs",
    ),
    "a condition on a Boolean": (
        SOME.where(C.done.is_(True)),
        "SELECT t.part_no FROM t WHERE t.done = 1",
    ),
    "NULL": (SOME.where(C.name.is_not(None)), "SELECT t.part_no FROM t WHERE t.name IS NOT NULL"),
    "now()": (sa.select(sa.func.now()), f"SELECT CURRENT_TIMESTAMP(6) AS now_1 {ONE_ROW}"),
    "no FROM": (
        sa.select(sa.select(sa.func.max(C.part_no)).scalar_subquery().label("last")),
        "SELECT (SELECT max(t.part_no) AS max_1 FROM t) AS last " + ONE_ROW,
    ),
    "an empty set of names": (
        SOME.where(C.name.in_([])),
        "SELECT t.part_no FROM t WHERE t.name IN (SELECT CAST(NULL AS VARCHAR(255) CHARACTER SET "
        f"UNICODE) AS nothing {ONE_ROW} WHERE 1 = 0)",
    ),
    "an empty set of times": (
        SOME.where(C.seen.not_in([])),
        "SELECT t.part_no FROM t WHERE (t.seen NOT IN (SELECT CAST(NULL AS TIMESTAMP(6)) AS "
        f"nothing {ONE_ROW} WHERE 1 = 0))",
    ),
    "EXISTS in WHERE": (
        SOME.where(sa.exists().where(C.part_no == 1)),
        "SELECT t.part_no FROM t WHERE EXISTS (SELECT * FROM t WHERE t.part_no = ?)",
    ),
    "an unequal pair": (SOME.where(C.part_no != 1), "SELECT t.part_no FROM t WHERE t.part_no <> ?"),
}


@pytest.mark.parametrize("case", EMITTED)
def test_emitted_statements(case: str) -> None:
    statement, expected = EMITTED[case]
    if case == "EXISTS in WHERE":
        other = T.alias("other")
        statement = SOME.where(sa.exists().where(other.c.part_no == C.part_no))
        expected = (
            "SELECT t.part_no FROM t WHERE EXISTS (SELECT * FROM t AS other "
            "WHERE other.part_no = t.part_no)"
        )
    assert sql(statement) == expected


REFUSED: dict[str, Any] = {
    "DISTINCT with a limit": SOME.distinct().limit(5),
    "OFFSET without an order": SOME.limit(5).offset(10),
    "limit of a union": sa.union_all(SOME, SOME).limit(3),
    "FETCH": SOME.fetch(5),
    "FOR UPDATE": SOME.with_for_update(),
    "EXISTS in the list": sa.select(sa.exists().where(C.part_no == 1)),
    "RETURNING": T.insert().returning(C.part_no),
    "multirow inserts": T.insert().values([{"part_no": 1}, {"part_no": 2}]),
    "IF NOT EXISTS": sa.schema.CreateTable(T, if_not_exists=True),
    "IF EXISTS": sa.schema.DropTable(T, if_exists=True),
    "numbering of rows": sa.schema.CreateTable(
        sa.Table("a", sa.MetaData(), sa.Column("n", sa.Integer, primary_key=True))
    ),
    "column of this kind": sa.schema.CreateTable(
        sa.Table("a", sa.MetaData(), sa.Column("n", sa.Integer, sa.Identity(), primary_key=True))
    ),
    "ON DELETE": sa.schema.CreateTable(
        sa.Table(
            "a",
            T.metadata,
            sa.Column("n", sa.ForeignKey("t.part_no", ondelete="CASCADE"), primary_key=True),
        )
    ),
    r"VARCHAR\(32001\)": sa.schema.CreateTable(
        sa.Table("a", sa.MetaData(), sa.Column("n", sa.String(32001), primary_key=True))
    ),
    "JSON": sa.schema.CreateTable(
        sa.Table(
            "a", sa.MetaData(), sa.Column("n", Id(1), primary_key=True), sa.Column("j", sa.JSON)
        )
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_statements(case: str) -> None:
    with pytest.raises(CompileError, match=case):
        sql(REFUSED[case])


def test_a_cached_statement_takes_the_limit_of_each_call() -> None:
    dialect = backend().dialect()
    first, second = (SOME.limit(n)._generate_cache_key() for n in (2, 5))
    assert first is not None and second is not None
    assert first.key == second.key  # so the cached text must not contain the number
    assert "POSTCOMPILE" in str(SOME.limit(2).compile(dialect=dialect))


def test_a_table_has_defaults_and_an_explicit_primary_index() -> None:
    table = sa.Table(
        "mf_things",
        sa.MetaData(),
        sa.Column("model_id", Id(64), primary_key=True),
        sa.Column("note", LongText),
        sa.Column("figure", Double, nullable=False, server_default=sa.text("0")),
        sa.Column("run", Id(8)),
        sa.UniqueConstraint("run", name="uq_run"),
    )
    assert sql(sa.schema.CreateTable(table), compile_kwargs={}) == (
        "CREATE MULTISET TABLE mf_things ( "
        "model_id VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL, "
        "note CLOB CHARACTER SET UNICODE, figure DOUBLE PRECISION DEFAULT 0 NOT NULL, "
        "run VARCHAR(8) CHARACTER SET UNICODE CASESPECIFIC ) "
        "UNIQUE PRIMARY INDEX (model_id) UNIQUE INDEX uq_run (run)"
    )


def test_other_modes_are_refused_and_secrets_are_redacted() -> None:
    with pytest.raises(ConfigurationError, match="tmode=TERA"):
        backend("&tmode=TERA")
    with pytest.raises(ConfigurationError, match="AS PERM"):
        sql(sa.schema.CreateSchema("other"))
    with_token = backend("&logmech=JWT&logdata=token%3Dabc.def")
    (text,), _ = with_token.dialect().create_connect_args(with_token.url)
    for part in ('"tmode": "ANSI"', '"logmech": "JWT"', '"logdata": "token=abc.def"'):
        assert part in text
    assert "abc" not in repr(with_token)
    assert set(with_token.secrets()) == {"p", "token=abc.def"}
