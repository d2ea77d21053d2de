"""What schemas that coerce, fill, filter or parse make of rows."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pandera.pandas as pa
import pytest

from mfprefect.checks import Range
from mfprefect.errors import InvalidValue
from mfprefect.quality.checks import checked

FRAME = pd.DataFrame({"id": ["a", "b"], "x": ["1", "-2"], "filled": [None, 2.0]})


class Declared(pa.DataFrameModel):
    x: float = pa.Field(coerce=True)

    @pa.parser("x")
    @classmethod
    def shifted(cls, column: Any) -> Any:
        return column.astype(float) + 1

    @pa.dataframe_parser
    @classmethod
    def widened(cls, frame: Any) -> Any:
        return frame.assign(n=len(frame))


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"columns": {"x": pa.Column(float, coerce=True)}}, {"x": [1.0, -2.0]}),
        ({"columns": {"x": pa.Column(int)}, "coerce": True}, {"x": [1, -2]}),
        ({"columns": {"^x$": pa.Column(int, coerce=True, regex=True)}}, {"x": [1, -2]}),
        ({"columns": {"filled": pa.Column(float, default=1.0)}}, {"filled": [1.0, 2.0]}),
        (
            {"columns": {"new": pa.Column(int, default=3)}, "add_missing_columns": True},
            {"new": [3, 3], "x": ["1", "-2"]},
        ),
        ({"parsers": pa.Parser(lambda frame: frame.assign(n=1))}, {"n": [1, 1]}),
        ({"columns": {"x": pa.Column(int, coerce=True)}, "strict": "filter"}, {"x": [1, -2]}),
    ],
)
def test_the_frame_is_what_the_schema_makes(
    schema: dict[str, Any], expected: dict[str, list[Any]]
) -> None:
    before = FRAME.copy()
    rows, changed = checked(FRAME, pa.DataFrameSchema(**schema), keys=["id"])
    assert [row for row in rows if not row["passed"]] == []
    assert {name: changed[name].tolist() for name in expected} == expected
    assert changed["id"].tolist() == ["a", "b"]
    pd.testing.assert_frame_equal(FRAME, before)


def test_a_parser_runs_once() -> None:
    rows, changed = checked(FRAME, Declared)
    assert all(row["passed"] for row in rows)
    assert changed["x"].tolist() == [2.0, -1.0]
    assert changed["n"].tolist() == [2, 2]


def test_other_checks_see_the_result() -> None:
    def is_number(frame: pd.DataFrame) -> bool:
        return frame["x"].dtype == float

    checks = [
        is_number,
        Range("x", at_least=-2, at_most=1),
        pa.DataFrameSchema({"x": pa.Column(float, coerce=True)}),
    ]
    rows, _ = checked(FRAME, checks)
    assert all(row["passed"] for row in rows)


def test_a_schema_that_changes_nothing_leaves_the_frame() -> None:
    _, changed = checked(FRAME, pa.DataFrameSchema({"x": pa.Column(str)}))
    assert changed is FRAME


def test_a_failed_coercion_outside_the_sample_fails() -> None:
    frame = pd.DataFrame({"x": ["1"] * 99 + ["oops"]})
    for position in (0, 50, 99):
        moved = frame["x"].to_numpy().copy()
        moved[[position, 99]] = moved[[99, position]]
        schema = pa.DataFrameSchema({"x": pa.Column(float, coerce=True)})
        rows, changed = checked(pd.DataFrame({"x": moved}), schema, most_rows=1)
        assert any(not row["passed"] and row["severity"] == "error" for row in rows)
        assert changed["x"].tolist() == list(moved)


def test_a_check_still_fails_on_what_was_coerced() -> None:
    schema = pa.DataFrameSchema({"x": pa.Column(float, pa.Check.gt(0), coerce=True)})
    rows, changed = checked(FRAME, schema)
    assert [row["failing_rows"] for row in rows if not row["passed"]] == [1]
    assert changed["x"].tolist() == [1.0, -2.0]


def test_a_key_that_cannot_be_kept_is_named() -> None:
    schema = pa.DataFrameSchema(
        {"x": pa.Column(str)}, parsers=pa.Parser(lambda frame: frame.head(1)), strict="filter"
    )
    with pytest.raises(InvalidValue, match=r"removes the column 'id' .* from 2 to 1"):
        checked(FRAME, schema, keys=["id"])
