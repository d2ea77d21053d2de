"""Checks of a part read in batches: the results are those of the part read whole."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import given

from mfprefect.checks import (
    Columns,
    Fresh,
    NewCategories,
    NullShare,
    Range,
    RegisteredColumns,
    RowCount,
    SharedCheck,
    Unique,
)
from mfprefect.quality import input_summary, run_checks
from mfprefect.quality.checks import repeated_keys
from mfprefect.quality.checks.batches import BatchChecks, needs_all_rows
from mfprefect.quality.checks.context import CheckContext, Registered
from mfprefect.quality.checks.masking import Disclosure
from mfprefect.quality.checks.parts import AllParts, PartAnswers, judge_parts, merged

DAY = dt.date(2026, 3, 10)
TRAINED = pd.DataFrame({"age": [20.0, 30, 40, None], "plan": ["a", "b", "a", "b"]})
PAST = CheckContext(
    as_of=DAY,
    training_session="m-1",
    training=input_summary(TRAINED),
    row_counts=(10, 12, 8),
    registry={("", "customers"): {"age": Registered(True), "plan": Registered(True, test=True)}},
)
CHECKS: list[Any] = [
    RowCount(at_least=3, within=0.9),
    RowCount(at_most=6, recent=0),
    NullShare("age", at_most=0.4),
    NullShare("age", "plan", at_most=0),
    NullShare(rise=0.2),
    NullShare("gone"),
    Range("age", at_least=18, at_most=60, share=0.3),
    Range("age", at_least=18, severity="warning"),
    Range(margin=0.5),
    Range("seen", at_least=pd.Timestamp("2026-03-08")),
    NewCategories("plan", share=0.4),
    NewCategories("plan"),
    NewCategories("age", known=["17.0"]),
    Unique("age", "plan"),
    Unique("plan"),
    Fresh("seen", dt.timedelta(days=2)),
    Fresh("age", dt.timedelta(days=2)),
    Columns(),
    RegisteredColumns("customers", trial="error"),
    pa.DataFrameSchema(
        {
            "age": pa.Column(float, [pa.Check.ge(18), pa.Check.le(60)], nullable=False),
            "plan": pa.Column(str, pa.Check.isin(["a", "b"], raise_warning=True), nullable=True),
            "gone": pa.Column(int),
        },
        strict=True,
    ),
    pa.DataFrameSchema(
        {"age": pa.Column("Int64", pa.Check(lambda x: x < 80, element_wise=True), nullable=True)},
        coerce=True,
        strict="filter",
    ),
]
ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, 17.0, 25.0, 33.0, 90.0, 25.5, float("inf")]),
        st.sampled_from(["a", "b", "c", "d", None]),
        st.dates(DAY - dt.timedelta(days=4), DAY),
    ),
    min_size=1,
    max_size=14,
)


def framed(rows: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": pd.Series([row[0] for row in rows], dtype=float),
            "plan": pd.Series([row[1] for row in rows], dtype=object),
            "seen": pd.to_datetime([row[2] for row in rows]),
        }
    )


def in_batches(
    frame: pd.DataFrame, rows: int, checks: list[Any], masked: Any = ()
) -> list[dict[str, Any]]:
    batches = BatchChecks(checks, PAST, masked)
    for start in range(0, len(frame), rows):
        batches.look(frame.iloc[start : start + rows])
    return batches.rows()


def without_cases(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what is said of keys that repeat: the cases between batches are not listed.

    A schema that cannot convert a column of all rows may do so in a batch: 90.0 is then 90.
    """
    return [
        row | {"sample": "" if row["check"] == "unique" else json.loads(row["sample"])}
        for row in rows
    ]


@given(ROWS, st.sampled_from(CHECKS), st.integers(1, 6), st.sampled_from([(), ("age", "plan")]))
def test_the_results_are_those_of_the_whole(
    rows: Any, check: Any, batch: int, masked: tuple[str, ...]
) -> None:
    frame = framed(rows)
    whole = run_checks(frame, [check], context=PAST, masked=masked)
    assert without_cases(in_batches(frame, batch, [check], masked)) == without_cases(whole)


def grown_up(frame: pd.DataFrame) -> pd.Series[Any]:
    return (frame["age"] >= 18).rename("age")


def finite(frame: pd.DataFrame) -> bool:
    return bool(np.isfinite(frame["age"].dropna()).all())


@given(ROWS, st.sampled_from([grown_up, finite]), st.integers(1, 6))
def test_functions_that_take_each_row_alone(rows: Any, check: Any, batch: int) -> None:
    assert needs_all_rows([check]) and not needs_all_rows([check], functions_by_row=True)
    whole = run_checks(framed(rows), [check], context=PAST)
    assert in_batches(framed(rows), batch, [check]) == whole


@given(ROWS, st.integers(1, 6))
def test_all_checks_together_keep_their_order(rows: Any, batch: int) -> None:
    checks = [check for check in CHECKS if not isinstance(check, pa.DataFrameSchema)]
    whole = run_checks(framed(rows), checks, context=PAST)
    assert without_cases(in_batches(framed(rows), batch, checks)) == without_cases(whole)


@given(ROWS, st.integers(1, 5), st.sampled_from([c for c in CHECKS if isinstance(c, SharedCheck)]))
def test_the_document_of_a_part_is_judged_as_if_it_was_read_whole(
    rows: Any, batch: int, check: SharedCheck
) -> None:
    frame, disclosure = framed(rows), Disclosure(5, frozenset({"plan"}))
    whole = PartAnswers(frame, disclosure)
    not_run = check.ask(whole, PAST, disclosure)
    answers = None
    for start in range(0, len(frame), batch):
        part = PartAnswers(frame.iloc[start : start + batch], disclosure)
        check.ask(part, PAST, disclosure)
        answers = merged(answers, part.document(), 5)
    documents = [json.loads(json.dumps(x, allow_nan=False)) for x in (whole.document(), answers)]
    if not not_run:
        first, second = (judge_parts([check], {3: x}, PAST, disclosure) for x in documents)
        assert first == second


def test_a_number_with_and_without_nulls_is_one_type_and_one_key() -> None:
    schema = pa.DataFrameSchema({"n": pa.Column(float, nullable=True)})
    batches = BatchChecks([schema, Unique("n")], CheckContext())
    pieces = [pd.DataFrame({"n": [1, 2]}), pd.DataFrame({"n": [2.0, None]}, index=[2, 3])]
    for piece in pieces:
        batches.look(piece)
    rows = {row["check"]: row for row in batches.rows()}
    assert rows["dtype('float64')"]["passed"]
    assert rows["dtype('float64')"]["message"] == "4 rows checked"
    assert (rows["unique"]["passed"], rows["unique"]["failing_rows"]) == (False, 2)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=80), st.integers(1, 9))
def test_keys_in_a_file_are_counted_as_in_memory(keys: list[int], batch: int) -> None:
    frame = pd.DataFrame({"k": keys, "of": ["x"] * len(keys)})
    (whole,) = run_checks(frame, Unique("k", "of"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(repeated_keys, "IN_MEMORY", 7)
        (row,) = in_batches(frame, batch, [Unique("k", "of")])
    assert row["failing_rows"] == whole["failing_rows"]
    assert row["message"] == whole["message"]


def test_what_looks_at_all_rows_is_named() -> None:
    def positive(frame: pd.DataFrame) -> bool:
        return bool((frame["age"] > 0).all())

    class Strict(Range):
        pass

    named = {
        "the check positive": positive,
        "the check Strict": Strict("age", at_least=0),
        "unique=True of column 'age'": pa.DataFrameSchema({"age": pa.Column(float, unique=True)}),
        "the unique key ['age'] of": pa.DataFrameSchema({"age": pa.Column()}, unique=["age"]),
        "the check mean of column 'age'": pa.DataFrameSchema(
            {"age": pa.Column(float, pa.Check(lambda x: x.mean() > 0, name="mean"))}
        ),
        "the check isin of column 'age'": pa.DataFrameSchema(
            {"age": pa.Column(float, pa.Check(lambda x: x.mean() > 0, name="isin"))}
        ),
        "a parser of column 'age'": pa.DataFrameSchema(
            {"age": pa.Column(float, parsers=pa.Parser(lambda x: x - x.mean()))}
        ),
        "the index of": pa.DataFrameSchema({"age": pa.Column()}, index=pa.Index(int)),
        "the check ": pa.Check(lambda frame: frame["age"] > 0),
    }
    for reason, check in named.items():
        assert needs_all_rows([RowCount(), check]).startswith(reason), reason
        assert needs_all_rows([check]).endswith("looks at all rows of a part")
    assert not needs_all_rows(CHECKS)


def test_extremes_of_batches_are_values_and_not_text() -> None:
    disclosure, answers = Disclosure(5, frozenset({"n"})), None
    for low in (10, 9):
        part = PartAnswers(pd.DataFrame({"n": [low, low + 1]}), disclosure, stored=False)
        part.extremes("n")
        answers = merged(answers, part.document(), 5)
    assert answers is not None
    low, high = AllParts({1: answers}).extremes("n")
    assert (low, high) == (9, 11) and isinstance(low, np.integer)
