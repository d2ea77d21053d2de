from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfprefect.errors import InvalidValue
from mfprefect.util import values

untimed = settings(deadline=None)

STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
SURROGATES = st.characters(categories=["Cs"])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | STORABLE,
    lambda inner: st.lists(inner) | st.dictionaries(STORABLE, inner),
    max_leaves=20,
)


def test_now_is_in_utc() -> None:
    before = dt.datetime.now(dt.UTC)
    assert before <= values.utc_now() <= dt.datetime.now(dt.UTC)
    assert values.utc_now().utcoffset() == dt.timedelta()


# text and names


@untimed
@given(STORABLE)
def test_text_comes_back_as_it_is(text: str) -> None:
    assert values.text(text, "it") == text


@untimed
@given(STORABLE, STORABLE)
def test_text_with_a_nul_is_refused(before: str, after: str) -> None:
    with pytest.raises(InvalidValue, match=r"^the note .*NUL"):
        values.text(f"{before}\0{after}", "the note")


@untimed
@given(STORABLE, SURROGATES, STORABLE)
def test_text_with_half_a_character_is_refused(before: str, half: str, after: str) -> None:
    with pytest.raises(InvalidValue, match=r"^the note .*not valid Unicode") as caught:
        values.text(before + half + after, "the note")
    str(caught.value).encode()  # the message itself can be written anywhere


@pytest.mark.parametrize("value", [None, 3, b"x", ["x"]])
def test_what_is_no_text_is_refused_by_its_type(value: Any) -> None:
    with pytest.raises(InvalidValue, match=rf"the note must be text.*{type(value).__name__}"):
        values.text(value, "the note")


@untimed
@given(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), st.integers(1, 200))
def test_a_name_is_measured_in_characters(character: str, length: int) -> None:
    assert values.name(character * length, "the name", length) == character * length
    with pytest.raises(InvalidValue, match=f"has {length + 1} characters; at most {length} fit"):
        values.name(character * (length + 1), "the name", length)


def test_a_name_has_128_characters_at_most_where_nothing_is_said() -> None:
    assert values.name("x" * 128, "it")
    with pytest.raises(InvalidValue, match="at most 128"):
        values.name("x" * 129, "it")


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(InvalidValue, match="the segment is empty"):
        values.name("", "the segment")


def test_a_choice_names_the_choices() -> None:
    assert values.choice("b", "the kind", ("a", "b")) == "b"
    for value in ("c", None, ["a"]):
        with pytest.raises(InvalidValue, match=r"the kind .* is not one of a, b"):
            values.choice(value, "the kind", ("a", "b"))


# figures


@untimed
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_survives_bit_for_bit(number: float) -> None:
    for given_as in (number, np.float64(number), np.array(number)):
        figure = values.figure(given_as, "it")
        assert type(figure) is float
        assert figure.hex() == number.hex()


@pytest.mark.parametrize(
    "value",
    [2, np.int8(2), np.uint64(2), np.float16(2), np.float32(2), Decimal("2.0"), Fraction(4, 2)],
)
def test_numbers_of_all_kinds_are_welcome(value: Any) -> None:
    assert values.figure(value, "it") == 2.0


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, np.float32("nan"), Decimal("NaN"), Decimal("Infinity")]
)
def test_what_is_not_finite_is_refused(value: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^the metric 'auc' is .*left out, not stored"):
        values.figure(value, "the metric 'auc'")


@pytest.mark.parametrize(
    "value",
    [
        True,
        np.bool_(True),
        "1",
        b"1",
        bytearray(b"1"),
        memoryview(b"1"),
        None,
        pd.NA,
        pd.NaT,
        1j,
        [1.0],
        np.array([1.0, 2.0]),
        dt.date(2026, 1, 1),
        Decimal("sNaN"),
        10**400,
    ],
)
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^the metric 'auc' must be a number"):
        values.figure(value, "the metric 'auc'")


@pytest.mark.parametrize(
    "value", [None, math.nan, np.float32("nan"), pd.NA, pd.NaT, Decimal("NaN")]
)
def test_a_missing_figure_is_none(value: Any) -> None:
    assert values.optional_figure(value, "it") is None


def test_a_figure_that_is_there_is_checked() -> None:
    assert values.optional_figure(np.int64(3), "it") == 3.0
    for value in (math.inf, "3", True):
        with pytest.raises(InvalidValue):
            values.optional_figure(value, "it")


# dates


@untimed
@given(st.dates())
def test_a_date_is_given_as_a_date_or_iso_text(day: dt.date) -> None:
    assert values.as_date(day, "as_of") == day
    assert values.as_date(day.isoformat(), "as_of") == day


@untimed
@given(st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1)), st.integers(-23 * 60, 23 * 60))
def test_an_aware_datetime_gives_its_date_in_utc(local: dt.datetime, minutes: int) -> None:
    zone = dt.timezone(dt.timedelta(minutes=minutes))
    date = values.as_date(local.replace(tzinfo=zone), "as_of")
    assert date == (local - dt.timedelta(minutes=minutes)).date()
    assert type(date) is dt.date


@untimed
@given(st.datetimes())
def test_a_naive_datetime_is_refused(local: dt.datetime) -> None:
    with pytest.raises(InvalidValue, match=r"as_of .* has no time zone; pass a date or an aware"):
        values.as_date(local, "as_of")


def test_a_pandas_timestamp_is_a_datetime() -> None:
    late = pd.Timestamp("2026-11-23 23:30", tz="America/New_York")
    assert values.as_date(late, "as_of") == dt.date(2026, 11, 24)
    with pytest.raises(InvalidValue, match="no time zone"):
        values.as_date(pd.Timestamp("2026-11-23"), "as_of")


@pytest.mark.parametrize("value", ["", "yesterday", "23.11.2026", "2026-02-30", "2026-11-23T00:00"])
def test_text_that_is_no_date_shows_one(value: str) -> None:
    with pytest.raises(InvalidValue, match=r"as_of .* is not a date such as 2026-11-23"):
        values.as_date(value, "as_of")


@pytest.mark.parametrize("value", [20261123, 1.5, ["2026-11-23"], dt.time()])
def test_other_things_are_no_dates(value: Any) -> None:
    with pytest.raises(InvalidValue, match=rf"as_of must be a date.*{type(value).__name__}"):
        values.as_date(value, "as_of")


def test_no_date_is_none() -> None:
    assert values.as_date(None, "as_of") is None


# JSON


@untimed
@given(JSON)
def test_json_comes_back_the_same(value: Any) -> None:
    assert json.loads(values.json_text(value, "it")) == value


@untimed
@given(st.dictionaries(STORABLE, JSON), st.data())
def test_equal_content_is_equal_text(content: dict[str, Any], data: st.DataObject) -> None:
    items = data.draw(st.permutations(list(content.items())))
    for other in (dict(items), MappingProxyType(dict(items))):
        assert values.json_text(other, "it") == values.json_text(content, "it")


@untimed
@given(st.sets(STORABLE))
def test_a_set_is_a_sorted_list(names: set[str]) -> None:
    assert json.loads(values.json_text(names, "it")) == sorted(names)
    assert values.json_text(frozenset(names), "it") == values.json_text(names, "it")


class Params(pydantic.BaseModel):
    depth: int = 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), "3"),
        (np.float32(0.5), "0.5"),
        (np.bool_(True), "true"),
        (np.array([[1, 2], [3, 4]]), "[[1, 2], [3, 4]]"),
        (pd.Series([1.5, 2]), "[1.5, 2.0]"),
        (pd.Timestamp("2026-11-23 12:00", tz="UTC"), '"2026-11-23T12:00:00+00:00"'),
        (dt.date(2026, 11, 23), '"2026-11-23"'),
        (dt.time(12, 30), '"12:30:00"'),
        (PurePosixPath("data/x.csv"), '"data/x.csv"'),
        (Params(), '{"depth": 3}'),
        ((1, "é"), '[1, "é"]'),
        ({"b": {2, 1}, "a": None}, '{"a": null, "b": [1, 2]}'),
        ("a\0b", '"a\\u0000b"'),
    ],
)
def test_common_values_have_a_json_form(value: Any, expected: str) -> None:
    assert values.json_text(value, "it") == expected


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        np.float32("nan"),
        np.array([1.0, math.nan]),
        pd.NA,
        pd.NaT,
        object(),
        b"x",
        {1, "a"},
        {1: 2, "a": 3},
        {(1, 2): 3},
        pd.DataFrame({"a": [1]}),
        Decimal("1.5"),
        1j,
    ],
)
def test_what_has_no_json_form_is_refused(value: Any) -> None:
    for inside in (value, [value], {"x": value}):
        with pytest.raises(InvalidValue, match=r"^params cannot be written as JSON: "):
            values.json_text(inside, "params")


def test_json_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InvalidValue, match="params cannot be written as JSON: Circular"):
        values.json_text(loop, "params")


@untimed
@given(STORABLE, SURROGATES)
def test_json_that_no_database_could_store_is_refused(text: str, half: str) -> None:
    for value in (text + half, {text + half: 1}):
        with pytest.raises(InvalidValue, match=r"^params .*not valid Unicode"):
            values.json_text(value, "params")
