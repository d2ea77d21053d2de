"""Scores of SQL are the estimator's on each database."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import mfprefect
from mfprefect.schema import Double
from mfprefect.sql_scoring import compile_scoring, probe_rows, statement_text
from mfprefect_dev.sql_forms import (
    FEATURES,
    FORMS,
    Form,
    compare,
    create_rows,
    difference_of,
    expected,
    frame,
    special_rows,
    trained,
)

HAVE_INFINITIES = ("sqlite", "postgresql")
REGULAR = 100
SPECIAL = ["height", "visits", "color", "place"]


@functools.cache
def rows_of_all_forms() -> pd.DataFrame:
    """Return usual rows, some at thresholds of trees, then rows that some estimators refuse."""
    base = frame(REGULAR, seed=5)[FEATURES]
    at_thresholds: list[pd.DataFrame] = []
    for form in (form for form in FORMS if form.exact):
        features = list(form.features)
        row = base.iloc[[len(at_thresholds)]].copy()
        row[features] = probe_rows(trained(form), base[:30], features)[-1:].to_numpy()
        at_thresholds.append(row.astype(base.dtypes))
    special = special_rows(base[SPECIAL], SPECIAL)
    others = base[: len(special)].drop(columns=special.columns)
    rows = pd.concat([base, *at_thresholds, special.join(others)[FEATURES]], ignore_index=True)
    rows.insert(0, "id", [f"c{number}" for number in range(len(rows))])
    return rows


@functools.cache
def expectations(form: Form) -> pd.DataFrame:
    rows = rows_of_all_forms()
    return expected(trained(form), rows[list(form.features)], form.model_type)


def chosen(dialect: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which rows a database can store; fewer on Teradata, whose emulator is slow."""
    rows = rows_of_all_forms()
    finite = np.isfinite(rows.select_dtypes("number").fillna(0).to_numpy(float)).all(axis=1)
    if dialect == "teradatasql":
        finite[: REGULAR - 10] = False
    return np.ones_like(finite) if dialect in HAVE_INFINITIES else finite


def test_sql_gives_the_scores_of_the_estimator(database_url: str) -> None:
    with mfprefect.connect(database_url) as store, store.database.engine.connect() as connection:
        among = chosen(connection.dialect.name)
        rows = rows_of_all_forms()[among]
        table = create_rows(connection, rows)
        differences = {}
        for form in FORMS:
            difference = compare(connection, table, form, rows, expectations(form)[among])
            if len(difference.wrong) or (form.exact and difference.largest):
                differences[form.name] = difference
    assert not differences


HOSTILE = [
    "it's",
    "\\",
    "\\'; DROP TABLE t; --",
    "'; DROP TABLE t; --",
    "100%s %(x)s %%",
    ":name ::text",
    "?",
    '"quoted"',
    "`",
    "a",
    "A",
    "a ",
    "\u00e9",
    "e\u0301",
    "",
    "{fn x}",
    "/* */ -- x",
    "\t",
]
EMOJI = "\U0001f600"  # without pass-through, Teradata takes none
NAMES = ['a "b" `c`', "100% :x", "select"]


def test_a_dba_runs_the_text(database_url: str) -> None:
    """The text itself, without parameters, gives the scores; hostile words do no harm."""
    rng = np.random.default_rng(3)
    with mfprefect.connect(database_url) as store, store.database.engine.connect() as connection:
        dialect = connection.dialect
        teradata = dialect.name == "teradatasql"
        words = HOSTILE if teradata else [*HOSTILE, EMOJI]
        color, size, text = ("color", "size_x", "text_x") if teradata else NAMES
        rows = pd.DataFrame(
            {
                color: words * 2,
                size: rng.normal(size=2 * len(words)),
                text: rng.permutation(words * 2),
            }
        )
        target = np.where(rng.random(len(rows)) < 0.5, "it's", "100%\\")
        target[0] = "other"
        columns = ColumnTransformer(
            [("texts", OneHotEncoder(handle_unknown="ignore"), [color, text])],
            remainder="passthrough",
        )
        estimator = make_pipeline(columns, LogisticRegression()).fit(rows, target)
        right = expected(estimator, rows, "multiclass")
        rows.insert(0, "id", range(len(rows)))
        table = create_rows(connection, rows)
        scoring = compile_scoring(
            estimator, table, entity_id="id", features=[color, size, text], model_type="multiclass"
        )
        raw: Any = connection.connection.cursor()
        for setting in settings_of(dialect.name):
            if setting:
                raw.execute(setting)
            raw.execute(statement_text(scoring, dialect))
            result = sorted(raw.fetchall())
            assert [row[2] for row in result] == right["score_class"].tolist()
            assert np.allclose([row[1] for row in result], right["score"].astype(float), 0, 1e-12)
        raw.close()
        connection.rollback()


def settings_of(dialect: str) -> list[str]:
    """Return statements that change how a database reads literals."""
    if dialect in ("mysql", "mariadb"):
        return ["", "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'"]
    if dialect == "postgresql":
        return ["", "SET standard_conforming_strings = off"]
    return [""]


def test_large_models(database_url: str) -> None:
    """A forest of 500 trees gives the same bits; many columns and categories are no limit."""
    rng = np.random.default_rng(0)
    count, width = 60, 300
    rows = pd.DataFrame(rng.normal(size=(count, width)), columns=[f"n{k}" for k in range(width)])
    rows["word"] = [f"w{number % 50}" for number in range(count)]
    target = rng.normal(size=count)
    few = [f"n{k}" for k in range(4)]
    forest = RandomForestRegressor(500, max_leaf_nodes=4, random_state=0).fit(rows[few], target)
    encoder = ColumnTransformer([("w", OneHotEncoder(), ["word"])], remainder=StandardScaler())
    wide = make_pipeline(encoder, Ridge()).fit(rows, target)
    features = list(rows.columns)
    with mfprefect.connect(database_url) as store, store.database.engine.connect() as connection:
        named = rows.assign(id=[f"c{number}" for number in range(count)])
        table = create_rows(connection, named)
        for estimator, used, exact in ((forest, few, True), (wide, features, False)):
            right = expected(estimator, rows[used], "regression")
            difference = difference_of(
                connection, table, estimator, used, "regression", named, right
            )
            assert difference.wrong.empty
            assert not exact or difference.largest == 0


def test_scores_of_a_query_are_inserted(database_url: str) -> None:
    """The rows may be a query with parameters, and the SELECT the source of an INSERT."""
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(
        {
            "id": [f"c{number}" for number in range(40)],
            "height": rng.normal(size=40),
            "orders": rng.integers(0, 9, 40),
        }
    )
    features = ["height", "orders"]
    estimator = make_pipeline(StandardScaler(), LogisticRegression())
    estimator.fit(rows[features], rows["orders"] % 3)
    scored = sa.Table(
        "scored_rows",
        sa.MetaData(),
        sa.Column("entity_id", sa.String(200)),
        sa.Column("score", Double()),
        sa.Column("score_class", sa.String(200)),
    )
    query = sa.text("SELECT id, height, orders FROM rows_to_score WHERE height > :least")
    source = query.bindparams(least=0.0).columns(*map(sa.column, ["id", *features])).subquery("q")
    with mfprefect.connect(database_url) as store, store.database.engine.connect() as connection:
        create_rows(connection, rows)
        scored.create(connection)
        connection.commit()
        select = compile_scoring(
            estimator, source, entity_id="id", features=features, model_type="multiclass"
        ).select
        connection.execute(scored.insert().from_select(list(scored.c.keys()), select))
        result = connection.execute(sa.select(scored)).all()
        connection.rollback()
    chosen_rows = rows[rows["height"] > 0].set_index("id")
    right = expected(estimator, chosen_rows, "multiclass")
    assert len(result) == len(right)
    for entity_id, score, score_class in result:
        assert abs(score - right.loc[entity_id, "score"]) <= 1e-12
        assert score_class == right.loc[entity_id, "score_class"]
