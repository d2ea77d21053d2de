"""Shared checks, `mfprefect.checks`: what each accepts, refuses, and says without a past."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import given

import mfprefect
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
from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect.quality import failures, input_summary, run_checks
from mfprefect.quality.checks import without_column
from mfprefect.quality.checks.context import CheckContext, Registered

DAY = dt.date(2026, 3, 10)
TRAINED = pd.DataFrame(
    {
        "age": [20, 30, 40, 60],
        "plan": ["a", "b", "a", "b"],
        "paid": [1.0, np.nan, 3.0, 4.0],
        "old": [1, 1, 1, 1],
    }
)
PAST = CheckContext(
    as_of=DAY,
    keys=frozenset({"id", "gone"}),
    training_session="m-1",
    training=input_summary(TRAINED),
    row_counts=(100, 120, 80),
    registry={
        ("", "customer"): {
            "age": Registered(True),
            "plan": Registered(True, test=True),
            "religion": Registered(False),
        }
    },
)
NO_PAST = CheckContext(as_of=DAY)


def results(
    frame: pd.DataFrame, check: Any, past: CheckContext = PAST, **options: Any
) -> list[dict[str, Any]]:
    return run_checks(frame, check, context=past, **options)


def one(
    frame: pd.DataFrame, check: Any, past: CheckContext = PAST, **options: Any
) -> dict[str, Any]:
    (row,) = results(frame, check, past, **options)
    return row


def cases(row: dict[str, Any]) -> list[Any]:
    return [(case["index"], case["value"]) for case in json.loads(row["sample"])]


@pytest.mark.parametrize(
    ("rows", "check", "passes"),
    [
        (50, RowCount(), True),  # half of the median, 100
        (49, RowCount(), False),
        (150, RowCount(), True),
        (151, RowCount(), False),
        (90, RowCount(within=0.1), True),
        (89, RowCount(within=0.1), False),
        (109, RowCount(recent=1, within=0.1), True),
        (121, RowCount(recent=1, within=0.2), False),
        (60, RowCount(at_least=61), False),
        (140, RowCount(at_most=139), False),
        (40, RowCount(at_least=1), False),  # its own bound widens nothing
        (5, RowCount(at_least=5, recent=0), True),
        (4, RowCount(at_least=5, recent=0), False),
        (0, RowCount(recent=0), True),
    ],
)
def test_row_count(rows: int, check: RowCount, passes: bool) -> None:
    row = one(pd.DataFrame({"x": range(rows)}), check)
    assert (row["check"], row["passed"], row["failing_rows"]) == ("row_count", passes, 0)
    assert row["message"].startswith(f"{rows} rows")


def test_null_share_against_training_and_as_told() -> None:
    frame = pd.DataFrame(
        {"age": [1, 2, 3, None], "paid": [None, 2.0, 3.0, None], "late": 1}, list("wxyz")
    )
    by_column = {row["column"]: row for row in results(frame, NullShare(rise=0.25))}
    assert set(by_column) == {"age", "paid"}
    assert by_column["age"]["passed"]  # 0.25 after 0
    assert by_column["paid"]["passed"]  # 0.5 after 0.25
    (row,) = results(frame, NullShare("paid", rise=0.2))
    assert (row["passed"], row["failing_rows"]) == (False, 2)
    assert cases(row) == [("w", None), ("z", None)]
    assert "2 of 4 rows are NULL, 0.5; 0.25 at training; at most 0.45" in row["message"]
    assert not one(frame, NullShare("age", at_most=0.2), NO_PAST)["passed"]
    assert one(frame, NullShare("age", at_most=0.25), NO_PAST)["passed"]
    everything = results(frame, NullShare(at_most=0.3), NO_PAST)
    assert [row["column"] for row in failures(everything)] == ["paid"]
    assert one(frame.head(0), NullShare("age", at_most=0), NO_PAST)["passed"]
    assert "had no such variable" in one(frame, NullShare("late"))["message"]


def test_range_of_the_training_session() -> None:
    frame = pd.DataFrame({"age": [20, 61, 19, 60, np.nan, np.inf], "paid": 2.0, "old": 1})
    rows = results(frame, Range())
    assert [row["column"] for row in rows] == ["age", "paid", "old"]
    (row,) = failures(rows)
    assert (row["failing_rows"], cases(row)) == (3, [(1, 61.0), (2, 19.0), (5, "inf")])
    assert "outside 20 to 60; the smallest is 19, the largest inf" in row["message"]
    assert one(frame.head(5), Range("age", margin=0.025))["passed"]  # of 40 years, one
    assert not one(frame.head(5), Range("age", margin=0.024))["passed"]
    assert one(frame, Range("age", share=0.5))["passed"]
    assert not one(frame, Range("age", share=0.49))["passed"]
    (text,) = results(pd.DataFrame({"plan": ["a"]}), Range("plan"))
    assert text["passed"] and "stored no range of it" in text["message"]


@pytest.mark.parametrize(
    ("column", "check", "wrong"),
    [
        ([1, 5, 9], Range("x", at_least=2), [1]),
        ([1, 5, 9], Range("x", at_most=5), [9]),
        ([Decimal("1.5"), None], Range("x", at_most=Decimal(1)), ["1.5"]),
        (["a", "m", "z"], Range("x", at_least="b", at_most="y"), ["a", "z"]),
        (pd.to_datetime(["2026-01-01"]), Range("x", at_most=pd.Timestamp("2025-12-31")), None),
        ([True, False], Range("x", at_least=1), [False]),
    ],
)
def test_range_as_told(column: Any, check: Range, wrong: list[Any] | None) -> None:
    row = one(pd.DataFrame({"x": column}), check, NO_PAST)
    assert not row["passed"]
    if wrong is not None:
        assert [value for _, value in cases(row)] == wrong


@pytest.mark.parametrize(
    "check",
    [
        Range("x", at_least=0),
        Range("x", at_most=dt.date(2026, 1, 1)),
        Fresh("x", dt.timedelta(1)),
        NullShare("x", "nowhere", at_most=1),
    ],
)
def test_what_cannot_be_run_has_failed(check: SharedCheck) -> None:
    frame = pd.DataFrame({"x": ["text", "more"]})
    failed = failures(results(frame, check, NO_PAST))
    assert len(failed) == 1
    assert "not run: " in failed[0]["message"]


def test_new_categories() -> None:
    frame = pd.DataFrame({"plan": ["a", "zz", None, "zz", "c"], "age": 30})
    row = one(frame, NewCategories())
    assert (row["column"], row["passed"], row["failing_rows"]) == ("plan", False, 3)
    assert cases(row) == [(1, "zz"), (3, "zz"), (4, "c")]
    assert row["message"].endswith("a new category: 'zz', 'c'")
    assert one(frame.head(1), NewCategories())["passed"]
    assert one(frame, NewCategories(share=0.6))["passed"]
    assert one(frame, NewCategories("plan", known=["a", "zz", "c"]), NO_PAST)["passed"]
    assert one(frame, NewCategories("plan", known=[]), NO_PAST)["failing_rows"] == 4
    assert "counted no categories" in one(frame, NewCategories("age"))["message"]


def test_new_categories_where_the_training_session_kept_only_the_frequent_ones() -> None:
    many = pd.DataFrame({"town": [f"t{number}" for number in range(60)]})
    past = CheckContext(training=input_summary(many), training_session="m-1")
    assert results(many, NewCategories(), past) == []
    row = one(many, NewCategories("town"), past)
    assert not row["passed"] and "list them all in known=[..]" in row["message"]


def test_unique() -> None:
    frame = pd.DataFrame({"id": [1, 2, 1, None, None], "day": [1, 1, 2, 3, 3]}, list("abcde"))
    row = one(frame, Unique("id"))
    assert (row["passed"], row["failing_rows"]) == (False, 2)
    assert cases(row) == [("a", 1.0), ("c", 1.0)]
    assert one(frame, Unique("id", "day"))["passed"]
    row = one(frame.assign(day=1), Unique("id", "day"), sample=1)
    assert (row["column"], row["failing_rows"]) == ("id, day", 2)
    assert cases(row) == [("a", {"id": 1, "day": 1})]


@given(
    st.lists(st.tuples(st.none() | st.integers(0, 3), st.none() | st.sampled_from("ab"))),
    st.integers(0, 3),
)
def test_counts_are_those_of_plain_python(rows: list[tuple[Any, Any]], bound: int) -> None:
    frame = pd.DataFrame(rows, columns=["n", "c"]).astype({"n": "Int64", "c": object})
    numbers = [n for n, _ in rows if n is not None]
    keys = [row for row in rows if None not in row]
    expected = {
        "null_share": rows and sum(n is None for n, _ in rows),
        "range": sum(n > bound for n in numbers),
        "new_categories": sum(c == "b" for _, c in rows),
        "unique": sum(keys.count(key) > 1 for key in keys),
    }
    checks = [
        NullShare("n", at_most=0),
        Range("n", at_most=bound),
        NewCategories("c", known=["a"]),
        Unique("n", "c"),
    ]
    for row in results(frame, checks, NO_PAST):
        assert row["failing_rows"] == (expected[row["check"]] or 0)
        assert row["passed"] is (row["failing_rows"] == 0)


@pytest.mark.parametrize(
    ("newest", "days", "passes"),
    [
        ("2026-03-08", 2, True),
        ("2026-03-07 23:59:59", 2, False),
        ("2026-03-08 01:00+01:00", 2, True),
        ("2026-03-08 00:30+01:00", 2, False),  # the evening before, in UTC
        ("2026-03-12", 0, True),
        (dt.date(2026, 3, 9), 1, True),
        (dt.date(2026, 3, 8), 1, False),
        (pd.Timestamp("2026-03-09"), 1, True),
    ],
)
def test_fresh(newest: Any, days: int, passes: bool) -> None:
    frame = pd.DataFrame({"at": [None, newest]}, dtype=object)
    row = one(frame, Fresh("at", dt.timedelta(days)))
    assert row["passed"] is passes
    assert f"at most {days} days" in row["message"]


def test_a_source_without_any_time_is_not_fresh() -> None:
    frame = pd.DataFrame({"at": pd.Series([pd.NaT, pd.NaT])})
    assert not one(frame, Fresh("at", dt.timedelta(days=999)))["passed"]


def test_columns_of_the_training_session() -> None:
    frame = TRAINED.drop(columns="old").assign(id=1, gone=0, new=2)
    missing, added = results(frame, Columns())
    assert (missing["check"], missing["severity"], missing["passed"]) == (
        "columns_missing",
        "error",
        False,
    )
    assert missing["message"] == "missing: old; compared with training session m-1"
    assert (added["severity"], added["passed"]) == ("warning", False)
    assert added["message"].startswith("added: new;")
    assert all(row["passed"] for row in results(TRAINED.assign(id=1), Columns()))
    assert [r["check"] for r in results(frame, Columns(missing=None))] == ["columns_added"]


def test_registered_columns() -> None:
    frame = pd.DataFrame(columns=["age", "plan", "religion", "half_age", "shoe"])
    *refused, trial = results(frame, RegisteredColumns("customer", derived=["half_age"]))
    assert {(row["column"], row["severity"], row["message"]) for row in refused} == {
        ("religion", "error", "customer: religion is registered as not valid"),
        ("shoe", "error", "customer: shoe is not registered"),
    }
    assert not any(row["passed"] for row in refused)
    assert (trial["severity"], trial["message"]) == ("warning", "customer: plan is on trial")
    assert one(frame[["age"]], RegisteredColumns("customer"))["passed"]
    assert one(frame[["plan"]], RegisteredColumns("customer", trial=None))["passed"]
    unknown = one(frame[["age"]], RegisteredColumns("customer", schema="crm"))
    assert "mfprefect columns --load" in unknown["message"]


@pytest.mark.parametrize(
    "check", [RowCount(), NullShare(), Range(), NewCategories(), Columns(), Range("age")]
)
def test_a_first_session_passes_and_says_why(check: SharedCheck) -> None:
    row = one(TRAINED, check, NO_PAST)
    assert row["passed"]
    assert "to compare with" in row["message"]


def test_severity_decides_what_stops_a_run() -> None:
    frame = pd.DataFrame({"x": [1, 1]})
    rows = results(frame, [Unique("x", severity="warning"), Range("x", at_most=0)])
    assert [row["severity"] for row in rows] == ["warning", "error"]
    assert [row["check"] for row in failures(rows)] == ["range"]


def test_scoring_data_has_no_target() -> None:
    checks = [NullShare("age", "gone", at_most=0), Range("gone", at_most=1), Unique("gone")]
    left = without_column([*checks, RowCount(recent=0)], "gone")
    rows = results(TRAINED, left)
    assert [(row["check"], row["column"]) for row in rows] == [
        ("null_share", "age"),
        ("row_count", None),
    ]
    assert results(TRAINED, without_column(Unique("gone"), "gone")) == []
    assert checks[0].columns == ("age", "gone")
    schema = pa.DataFrameSchema({"old": pa.Column(), "gone": pa.Column()}, unique=["old", "gone"])
    rows = results(TRAINED, without_column(schema, "gone"))
    assert [row["check"] for row in rows if not row["passed"]] == []
    assert schema.unique == ["old", "gone"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RowCount(recent=-1), "recent = -1"),
        (lambda: RowCount(within=-0.1), "within = -0.1"),
        (lambda: NullShare("x", at_most=1.5), "at_most = 1.5"),
        (lambda: NullShare("x", rise=True), "rise = True"),
        (lambda: NullShare(5), "not 5"),  # type: ignore[arg-type]
        (lambda: Range(at_least=0), "name the columns"),
        (lambda: Range("x", share=2), "share = 2"),
        (lambda: NewCategories(known=["a"]), "name the column"),
        (lambda: NewCategories("x", known="abc"), "a list"),
        (lambda: Unique(), "together identify a row"),
        (lambda: Fresh("x", 3), "a datetime.timedelta"),  # type: ignore[arg-type]
        (lambda: Columns(missing="fatal"), "missing = 'fatal'"),
        (lambda: RegisteredColumns("t", trial="no"), "trial = 'no'"),
        (lambda: Unique("x", severity="fatal"), "severity 'fatal'"),
    ],
)
def test_checks_that_make_no_sense_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


SECRET = "jo.secret@mail.example"
MAILS = pd.DataFrame(
    {"mail": [SECRET, SECRET], "n": [1, 2], "at": [SECRET, SECRET]},
    index=pd.Index([SECRET, "b"], name="mail"),
)
SPIES = [
    pa.DataFrameSchema({"mail": pa.Column(str, pa.Check.str_startswith("x"), unique=True)}),
    pa.DataFrameSchema({"mail": pa.Column(int, coerce=True)}),
    pa.DataFrameSchema({"mail": pa.Column(str, pa.Check(lambda s: s.map(float) > 0))}),
    pa.DataFrameSchema({"mail": pa.Column(str, pa.Check.isin(["only"]))}, unique=["mail", "at"]),
    pa.DataFrameSchema(checks=pa.Check(lambda f: f["mail"].astype(float) > 0)),
    pa.DataFrameSchema({}, parsers=pa.Parser(lambda f: f["mail"].astype(float).to_frame())),
    pa.DataFrameSchema({}, index=pa.Index(str, pa.Check.str_startswith("x"), name="mail")),
    lambda f: f["mail"].str.startswith("x"),
    lambda f: float(f["mail"].iloc[0]) > 0,
    lambda f: f["n"] > 5,
    Unique("mail", "at"),
    Unique("mail"),
    NewCategories("mail", known=["a"]),
    Range("mail", at_least="k"),
    Fresh("mail", dt.timedelta(1)),
    NullShare("mail", at_most=0),
]


@pytest.mark.parametrize("spy", SPIES)
def test_masked_cells_show_nowhere(spy: Any) -> None:
    in_clear = json.dumps(results(MAILS, spy, NO_PAST))
    hidden = json.dumps(results(MAILS, spy, NO_PAST, masked=["mail", "at"]))
    assert SECRET not in hidden
    if not isinstance(spy, NullShare):  # the others would have shown it
        assert SECRET in in_clear


def test_only_masked_columns_are_masked() -> None:
    frame = pd.DataFrame({"mail": [SECRET], "n": [7]})
    schema = pa.DataFrameSchema(
        {"mail": pa.Column(str, pa.Check.eq("x")), "n": pa.Column(int, pa.Check.eq(8))}
    )
    failed = failures(results(frame, schema, masked=["mail"]))
    assert [cases(row) for row in failed] == [[(0, "***")], [(0, 7)]]
    both = one(pd.concat([frame, frame]), Unique("mail", "n"), masked=["mail"])
    assert cases(both)[0] == (0, {"mail": "***", "n": 7})


def test_a_big_frame_is_checked_by_a_sample_and_says_so() -> None:
    frame = pd.DataFrame({"x": np.arange(10_000)})
    schema = pa.DataFrameSchema({"x": pa.Column(int, pa.Check.lt(5_000))})
    seen: list[int] = []

    def looks(data: pd.DataFrame) -> bool:
        seen.append(len(data))
        return True

    rows = results(frame, [schema, looks, Range("x", at_most=5_000)], most_rows=1_000)
    again = results(frame, schema, most_rows=1_000)
    assert rows[: len(again)] == again  # the same rows each time
    (sampled, whole) = failures(rows)
    assert sampled["message"].endswith(" (in a random sample of 1,000 of 10,000 rows)")
    assert 400 < sampled["failing_rows"] < 600
    assert seen == [1_000]
    assert (whole["check"], whole["failing_rows"]) == ("range", 4_999)  # of all rows
    assert "sample" not in whole["message"]
    assert "sample" not in results(frame, schema, most_rows=10_000)[0]["message"]
    with pytest.raises(InvalidValue, match="most_rows is 0"):
        results(frame, schema, most_rows=0)


def test_they_are_public_and_loaded_when_asked_for() -> None:
    assert mfprefect.checks.RowCount is RowCount
    assert sorted(mfprefect.checks.__all__) == mfprefect.checks.__all__
