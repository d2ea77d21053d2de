"""What gets from a model into a statement: finite numbers, quoted texts, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from mfprefect.settings import load_settings
from mfprefect.sql_scoring import NotCompilable, Scoring, compile_scoring, statement_text
from mfprefect.sql_scoring.expressions import Number, Sql, Text
from mfprefect.sql_scoring.trees import at_most_as_float32
from mfprefect_backends.teradata import TeradataBackend

DIALECTS = {
    name: sa.make_url(f"{name}://").get_dialect()()
    for name in ("postgresql+psycopg2", "mysql+pymysql", "sqlite")
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@pytest.fixture(scope="module")
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def compiled(estimator: Any, features: list[str], model_type: str = "binary") -> Scoring:
    rows = sa.table("customers", *(sa.column(name) for name in ["id", *features]))
    return compile_scoring(
        estimator, rows, entity_id="id", features=features, model_type=model_type
    )


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(0.876288113086164)  # SQLite 3.40 reads the shortest text as its neighbour
@example(-0.0)
@example(1.7976931348623157e308)
def test_sqlite_reads_the_same_double(connection: sa.Connection, value: float) -> None:
    (result,) = connection.execute(sa.select(Sql(Number(value)))).one()
    # Far from 1, SQLite's own arithmetic is inexact in the last digits.
    exact = value == 0 or 1e-25 < abs(value) < 1e25
    assert result == value if exact else math.isclose(result, value, rel_tol=1e-14)


@pytest.mark.parametrize("value", ["1); DROP TABLE customers; --", None, math.nan, math.inf, [1]])
def test_only_finite_numbers_are_numbers(value: Any) -> None:
    with pytest.raises(NotCompilable, match="the model contains"):
        Number(value)


@given(TEXTS)
@example("it's \\' 100% :name ?")
def test_a_quoted_text_is_the_text(connection: sa.Connection, text: str) -> None:
    (result,) = connection.execute(sa.select(Sql(Text(text), text=True))).one()
    assert result == text


@given(TEXTS)
@example("\\'; DROP TABLE t; -- 100%s :name {fn teradata_nativesql}")
def test_no_text_ends_its_literal(text: str) -> None:
    postgres = Text(text).render("postgresql")
    body = postgres.removeprefix("E")[1:-1]
    assert "'" not in body.replace("''", "")
    assert postgres.startswith("E") == ("\\" in postgres) or postgres.startswith("E")
    assert "%" not in postgres
    maria = Text(text).render("mysql")
    if maria.startswith("X'"):
        assert bytes.fromhex(maria[2:-1]).decode() == text
    else:
        assert maria == f"'{text}'"
        assert not set(text) & set("'\\%:")
    teradata = Text(text).render("teradatasql")
    assert teradata.endswith(".'")
    assert "'" not in teradata[1:-1].replace("{'||'", "").replace("''", "")
    assert "{fn" not in teradata


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 2001])
def test_texts_that_no_database_can_have(text: str) -> None:
    with pytest.raises(NotCompilable, match="category"):
        Text(text)


@given(
    st.floats(-1e39, 1e39, width=64) | st.sampled_from([0.0, 1.0, 0.1, 3.4028235677973366e38]),
    st.floats(-1e38, 1e38, width=64),
    st.integers(-2, 2),
)
def test_a_double_is_compared_as_its_float32(threshold: float, other: float, steps: int) -> None:
    limit = float(at_most_as_float32(threshold))
    near = limit
    for _ in range(abs(steps)):
        near = math.nextafter(near, math.copysign(math.inf, steps))
    for x in (near, other, threshold):
        with np.errstate(over="ignore"):
            single = float(np.float32(x))
        if math.isfinite(single):
            assert (x <= limit) == (single <= threshold)


def test_a_forged_coefficient_is_refused() -> None:
    estimator = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    for forged in (np.array(["1) FROM customers; --"], dtype=object), [math.inf], "x", None):
        estimator.coef_ = forged
        with pytest.raises(NotCompilable):
            compiled(estimator, ["a"], "regression")


def test_a_forged_tree_is_refused() -> None:
    class Forged:
        children_left = np.array([1, -1, -1])
        children_right = np.array([2, -1, -1])
        feature = np.array([0, -2, -2])
        threshold = np.array(["0 THEN 1 END; DROP TABLE customers; --", -2, -2], dtype=object)
        value = np.zeros((3, 1, 1))

    estimator = DecisionTreeRegressor().fit([[0.0], [1.0]], [0.0, 1.0])
    estimator.tree_ = Forged()
    with pytest.raises(NotCompilable):
        compiled(estimator, ["a"], "regression")


def test_a_class_of_somebody_else_is_refused() -> None:
    class LinearRegression:
        coef_ = (1.0,)
        intercept_ = 0.0

    with pytest.raises(NotCompilable, match="LinearRegression is not supported"):
        compiled(LinearRegression(), ["a"], "regression")


def test_hostile_names_of_columns_are_quoted(connection: sa.Connection) -> None:
    names = ['a"; DROP TABLE t; --', "100% :x", "ü ?", "x1", "row_ok", "entity_id"]
    rows = pd.DataFrame(np.arange(60.0).reshape(10, 6) % 7, columns=names)
    target = (rows.sum(axis=1) > 15).astype(int)
    estimator = make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0))
    estimator.fit(rows, target)
    rows.assign(id=range(10)).to_sql("customers", connection, index=False, if_exists="replace")
    scoring = compiled(estimator, names)
    scores = [score for _, score in connection.execute(scoring.select)]
    assert scores == estimator.predict_proba(rows)[:, 1].tolist()
    raw: Any = connection.connection.dbapi_connection
    text = statement_text(scoring, connection.dialect)
    assert [score for _, score in raw.execute(text)] == scores
    for dialect in DIALECTS.values():
        assert "100% :x" in statement_text(scoring, dialect)


def test_hostile_categories_stay_in_their_literals() -> None:
    hostile = ["'; DROP TABLE t; --", "\\'; DROP TABLE t; --", "%s %(x)s", ":name", "\U0001f600"]
    rows = pd.DataFrame({"color": hostile * 4, "n": range(20)})
    encoder = make_column_transformer((OneHotEncoder(), ["color"]), remainder="passthrough")
    estimator = make_pipeline(encoder, LogisticRegression()).fit(rows, [0, 1] * 10)
    scoring = compiled(estimator, ["color", "n"])
    text = statement_text(scoring, DIALECTS["mysql+pymysql"])
    assert "DROP" not in text
    assert f"X'{hostile[1].encode().hex()}'" in text
    text = statement_text(scoring, DIALECTS["postgresql+psycopg2"])
    assert "E'\\\\''; DROP TABLE t; --'" in text
    assert "%" not in text


def test_teradata_refuses_a_text_over_its_limit() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(2000, 3)), columns=list("abc"))
    estimator = RandomForestRegressor(30, random_state=0).fit(rows, rng.normal(size=2000))
    scoring = compiled(estimator, list("abc"), "regression")
    assert len(statement_text(scoring, DIALECTS["postgresql+psycopg2"])) > 1_000_000
    backend = TeradataBackend(
        sa.make_url("teradatasql://u:p@host"), load_settings(url="teradatasql://u:p@host")
    )
    with pytest.raises(NotCompilable, match=r"teradatasql takes 1,000,000"):
        statement_text(scoring, backend.dialect())
