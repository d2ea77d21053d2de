from __future__ import annotations

import json
import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest

from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect.quality import failures, run_checks

FRAME = pd.DataFrame(
    {"age": [30, -1, 40, -2], "name": ["a", None, "c", "d"], "paid": [1.0, 2.0, math.nan, 9.0]},
    index=[10, 20, 30, 40],
)
KEYS = ["check_no", "check", "column", "severity", "passed", "failing_rows", "sample", "message"]


def by_check(rows: list[dict[str, Any]]) -> dict[tuple[str, str | None], dict[str, Any]]:
    results = {(row["check"], row["column"]): row for row in rows}
    assert len(results) == len(rows)
    return results


def cases(row: dict[str, Any]) -> list[Any]:
    return [(case["index"], case["value"]) for case in json.loads(row["sample"])]


def test_what_passed_is_told_as_well_as_what_failed() -> None:
    schema = pa.DataFrameSchema(
        {
            "age": pa.Column(int, [pa.Check.ge(0), pa.Check.lt(100)], unique=True),
            "name": pa.Column(str),
            "paid": pa.Column(float, pa.Check.le(8, raise_warning=True), nullable=True),
        }
    )
    before = FRAME.copy()
    rows = run_checks(FRAME, schema)
    pd.testing.assert_frame_equal(FRAME, before)
    assert [list(row) for row in rows] == [KEYS] * len(rows)
    assert [row["check_no"] for row in rows] == list(range(1, len(rows) + 1))
    results = by_check(rows)
    failed = {key for key, row in results.items() if not row["passed"]}
    assert failed == {
        ("greater_than_or_equal_to(0)", "age"),
        ("not_nullable", "name"),
        ("less_than_or_equal_to(8)", "paid"),
    }
    assert {
        ("less_than(100)", "age"),
        ("dtype('int64')", "age"),
        ("field_uniqueness", "age"),
        ("column_in_dataframe", "paid"),
    } < set(results)
    negative = results["greater_than_or_equal_to(0)", "age"]
    assert (negative["failing_rows"], negative["severity"]) == (2, "error")
    assert cases(negative) == [(20, -1), (40, -2)]
    assert negative["message"] == "2 of 4 rows fail: greater_than_or_equal_to(0)"
    assert cases(results["not_nullable", "name"]) == [(20, None)]
    high = results["less_than_or_equal_to(8)", "paid"]
    assert (high["severity"], high["failing_rows"], cases(high)) == ("warning", 1, [(40, 9.0)])
    assert {(row["check"], row["column"]) for row in failures(rows)} == failed - {
        ("less_than_or_equal_to(8)", "paid")
    }


def test_warning_checks_are_left_as_they_are_in_the_schema() -> None:
    check = pa.Check(lambda s: s > 0, name="positive", raise_warning=True)
    schema = pa.DataFrameSchema({"age": pa.Column(int, check)}, drop_invalid_rows=True)
    rows = run_checks(FRAME, schema)
    assert check.raise_warning
    assert schema.drop_invalid_rows
    assert by_check(rows)["positive", "age"]["failing_rows"] == 2
    assert failures(rows) == []


def test_a_missing_column_fails_and_its_checks_were_not_run() -> None:
    schema = pa.DataFrameSchema({"income": pa.Column(float, pa.Check.gt(0)), "age": pa.Column(int)})
    results = by_check(run_checks(FRAME, schema))
    missing = results["column_in_dataframe", "income"]
    assert not missing["passed"]
    assert "'age', 'name', 'paid'" in missing["message"]
    for check in ("dtype('float64')", "not_nullable", "greater_than(0)"):
        row = results[check, "income"]
        assert (row["passed"], row["message"]) == (False, "not run: column 'income' is missing")
    assert results["dtype('int64')", "age"]["passed"]


def test_an_optional_column_may_be_absent() -> None:
    schema = pa.DataFrameSchema({"income": pa.Column(float, required=False)})
    assert run_checks(FRAME, schema) == []


def test_a_wrong_type_and_a_failed_coercion() -> None:
    wrong = by_check(run_checks(FRAME, pa.DataFrameSchema({"age": pa.Column(str)})))
    (row,) = (row for row in wrong.values() if row["check"].startswith("dtype("))
    assert not row["passed"]
    assert "int64" in row["message"]
    schema = pa.DataFrameSchema({"name": pa.Column(float, coerce=True, nullable=True)})
    failed = failures(run_checks(FRAME, schema))
    assert {row["column"] for row in failed} == {"name"}
    assert "coerce_dtype('float64')" in {row["check"] for row in failed}


def test_a_coercing_schema_leaves_the_frame_alone() -> None:
    frame = pd.DataFrame({"age": ["1", "2"]})
    rows = run_checks(frame, pa.DataFrameSchema({"age": pa.Column(int, coerce=True)}))
    assert failures(rows) == []
    assert frame["age"].tolist() == ["1", "2"]


class Customers(pa.DataFrameModel):
    age: int = pa.Field(ge=0)
    paid: float = pa.Field(nullable=True)

    class Config:
        strict = True

    @pa.dataframe_check
    @classmethod
    def older_than_paid(cls, frame: pd.DataFrame) -> pd.Series[bool]:
        return frame["age"] > frame["paid"]


def test_a_model_class_with_a_check_of_whole_rows() -> None:
    results = by_check(run_checks(FRAME, Customers))
    assert results["column_in_schema", None]["message"].startswith("column 'name' not in")
    rows = results["older_than_paid", None]
    assert rows["failing_rows"] == 3
    assert cases(rows) == [(20, None), (30, None), (40, None)]
    assert not results["greater_than_or_equal_to(0)", "age"]["passed"]
    assert results["dtype('float64')", "paid"]["passed"]


def test_columns_by_pattern_the_index_and_a_joint_key() -> None:
    frame = pd.DataFrame({"m_1": [1, 1], "m_2": [2, 2], "z": [0, 0]}, index=[5, -5])
    schema = pa.DataFrameSchema(
        {"m_.*": pa.Column(int, pa.Check.lt(2), regex=True)},
        index=pa.Index(int, pa.Check.gt(0)),
        unique=["m_1", "m_2"],
    )
    results = by_check(run_checks(frame, schema))
    assert results["less_than(2)", "m_1"]["passed"]
    assert results["less_than(2)", "m_2"]["failing_rows"] == 2
    assert cases(results["greater_than(0)", "index"]) == [(-5, -5)]
    assert results["dtype('int64')", "index"]["passed"]
    assert results["multiple_fields_uniqueness", None]["failing_rows"] == 2
    unmatched = run_checks(frame, pa.DataFrameSchema({"q_.*": pa.Column(int, regex=True)}))
    assert [row["passed"] for row in unmatched] == [False]


def test_the_order_and_the_uniqueness_of_column_names() -> None:
    schema = pa.DataFrameSchema(
        {"age": pa.Column(), "name": pa.Column(nullable=True)}, ordered=True, strict="filter"
    )
    assert by_check(run_checks(FRAME, schema))["column_ordered", None]["passed"]
    turned = run_checks(FRAME[["name", "age"]], schema)
    assert {row["check"] for row in failures(turned)} == {"column_ordered"}
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    rows = run_checks(twice, pa.DataFrameSchema(unique_column_names=True))
    assert [row["check"] for row in failures(rows)] == ["dataframe_column_labels_unique"]


def test_index_labels_that_repeat() -> None:
    frame = FRAME.set_axis(["a", "a", "b", "b"])
    schema = pa.DataFrameSchema(
        {"age": pa.Column(int, pa.Check.ge(0))}, checks=pa.Check(lambda f: f["age"] > 0, name="all")
    )
    results = by_check(run_checks(frame, schema))
    assert cases(results["greater_than_or_equal_to(0)", "age"]) == [("a", -1), ("b", -2)]
    assert cases(results["all", None]) == [("a", None), ("b", None)]


def test_a_multi_index_never_passes_by_mistake() -> None:
    index = pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["year", "code"])
    frame = pd.DataFrame({"x": [1, 2]}, index=index)
    for bound, passes in ((0, True), (1, False)):
        levels = [pa.Index(int, pa.Check.gt(bound), name="year"), pa.Index(str, name="code")]
        rows = run_checks(frame, pa.DataFrameSchema(index=pa.MultiIndex(levels)))
        assert (failures(rows) == []) is passes
        year = [row for row in rows if row["check"] == f"greater_than({bound})"]
        assert [row["passed"] for row in year] == [passes]


def test_a_check_that_raises_or_judges_the_column_as_a_whole() -> None:
    checks = [
        pa.Check(lambda s: s.mean() > 1000, name="rich", error="the mean is too low"),
        pa.Check(lambda s: 1 / 0, name="broken"),
    ]
    results = by_check(run_checks(FRAME, pa.DataFrameSchema({"age": pa.Column(int, checks)})))
    assert (results["rich", "age"]["passed"], results["rich", "age"]["failing_rows"]) == (False, 0)
    assert "ZeroDivisionError" in results["broken", "age"]["message"]


def test_a_parser_that_raises_leaves_no_check_passed() -> None:
    schema = pa.DataFrameSchema(
        {"age": pa.Column(int)}, parsers=pa.Parser(lambda frame: frame["nowhere"])
    )
    rows = run_checks(FRAME, schema)
    assert "KeyError" in rows[0]["message"]
    assert not any(row["passed"] for row in rows)
    assert len(rows) > 1


def test_pandera_cannot_be_switched_off_from_outside() -> None:
    from pandera.config import config_context

    schema = pa.DataFrameSchema({"age": pa.Column(int, pa.Check.ge(0))})
    for options in ({"validation_enabled": False}, {"validation_depth": "SCHEMA_ONLY"}):
        with config_context(**options):
            assert len(failures(run_checks(FRAME, schema))) == 1


def grown_up(frame: pd.DataFrame) -> Any:
    return frame["age"] >= 18


def enough(frame: pd.DataFrame) -> bool:
    return len(frame) > 3


def test_callables() -> None:
    rows = run_checks(FRAME, [grown_up, enough, lambda frame: np.bool_(False)])
    assert [(row["check"], row["column"], row["passed"]) for row in rows] == [
        ("grown_up", "age", False),
        ("enough", None, True),
        ("<lambda>", None, False),
    ]
    assert rows[0]["failing_rows"] == 2
    assert cases(rows[0]) == [(20, -1), (40, -2)]
    assert run_checks(FRAME, grown_up, sample=1)[0]["sample"] == '[{"index": 20, "value": -1}]'


def test_null_is_no_yes() -> None:
    (row,) = run_checks(FRAME, lambda frame: frame["paid"].astype("Float64") > 0)
    assert (row["passed"], row["failing_rows"]) == (False, 1)
    assert cases(row) == [(30, None)]


def test_a_callable_cannot_change_the_frame() -> None:
    def spoil(frame: pd.DataFrame) -> bool:
        frame["age"] = 0
        frame.loc[10, "paid"] = 77.0
        return True

    before = FRAME.copy()
    assert run_checks(FRAME, spoil)[0]["passed"]
    pd.testing.assert_frame_equal(FRAME, before)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda frame: frame["nowhere"] > 0, "it raised KeyError"),
        (lambda frame: None, "it returned a NoneType; a check returns a bool"),
        (lambda frame: "yes", "it returned a str"),
        (lambda frame: frame["age"], "Series of shape .* and dtype int64"),
        (lambda frame: np.array([True]), "one value for each of the 4 rows"),
        (lambda frame: frame > 0, "it returned a DataFrame|it raised TypeError"),
    ],
)
def test_a_callable_that_cannot_say_yes_fails(check: Any, message: str) -> None:
    (row,) = failures(run_checks(FRAME, check))
    assert pd.Series([row["message"]]).str.contains(message).all()


def test_schemas_and_callables_together_are_numbered_through() -> None:
    checks = [pa.DataFrameSchema({"age": pa.Column(int)}), enough, pa.Check(enough, name="many")]
    rows = run_checks(FRAME, checks)
    assert [row["check_no"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["check"] for row in rows[-2:]] == ["enough", "many"]
    assert failures(rows) == []


def test_no_rows_no_checks_and_values_that_json_has_not() -> None:
    schema = pa.DataFrameSchema({"age": pa.Column(int, pa.Check.ge(0))})
    assert failures(run_checks(FRAME.head(0), schema)) == []
    assert run_checks(FRAME, []) == []
    frame = pd.DataFrame(
        {"x": [math.inf, 1.0], "t": pd.to_datetime(["2020-01-01", "2021-01-01"])},
        index=pd.to_datetime(["2022-01-01", "2022-01-02"]),
    )
    rows = run_checks(frame, [lambda f: f["x"] < 0, lambda f: f["t"] > pd.Timestamp("2030-01-01")])
    assert cases(rows[0]) == [("2022-01-01 00:00:00", "inf"), ("2022-01-02 00:00:00", 1.0)]
    assert cases(rows[1])[0][1] == "2020-01-01 00:00:00"


def test_no_more_than_the_sample_is_kept_of_many_failures() -> None:
    frame = pd.DataFrame({"x": np.zeros(5000), "y": np.ones(5000)}, index=np.zeros(5000))
    schema = pa.DataFrameSchema(
        {"x": pa.Column(float, pa.Check.gt(0))}, checks=pa.Check(lambda f: f["x"] > f["y"])
    )
    failed = failures(run_checks(frame, schema, sample=3))
    assert [row["failing_rows"] for row in failed] == [5000, 5000]
    assert len(json.loads(failed[0]["sample"])) == 3
    assert all(len(row["message"]) <= 500 for row in failed)


@pytest.mark.parametrize("checks", ["age > 0", None, 5, [enough, "age"], pd.DataFrame])
def test_what_is_no_check_is_refused(checks: Any) -> None:
    with pytest.raises(ConfigurationError, match="it takes a pandera DataFrameSchema"):
        run_checks(FRAME, checks)


@pytest.mark.parametrize("sample", [-1, 2.5, True])
def test_a_sample_that_is_refused(sample: Any) -> None:
    with pytest.raises(InvalidValue, match="sample is"):
        run_checks(FRAME, enough, sample=sample)


def test_warnings_of_a_check_itself_are_not_hidden() -> None:
    def noisy(frame: pd.DataFrame) -> bool:
        warnings.warn("look here", RuntimeWarning, stacklevel=1)
        return True

    with pytest.warns(RuntimeWarning, match="look here"):
        assert run_checks(FRAME, noisy)[0]["passed"]
