from __future__ import annotations

import hashlib
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfprefect.errors import InvalidValue
from mfprefect.lifecycle.split import is_test, split

untimed = settings(deadline=None)

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SHARES = st.floats(0.01, 0.99)


def fraction(text: str) -> float:
    return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) / 2**64


@untimed
@given(NAMES, SHARES)
def test_an_entity_is_held_out_by_the_first_64_bits_of_its_digest(name: str, share: float) -> None:
    assert is_test(name, share) == (fraction(name) < share)


def test_known_entities_stay_where_they_are() -> None:
    ids = [f"patient-{number:03d}" for number in range(8)]
    assert [is_test(name, 0.3) for name in ids] == [fraction(name) < 0.3 for name in ids]
    # printf patient-000 | sha256sum
    digest = hashlib.sha256(b"patient-000").hexdigest()
    assert digest.startswith("c7acf24421f270ec")
    assert is_test("patient-000", fraction("patient-000")) is False
    assert is_test("patient-000", math.nextafter(fraction("patient-000"), 1)) is True


@pytest.mark.parametrize("entity", [5, np.int64(5), np.int32(5), "5", np.str_("5")])
def test_an_integer_is_split_as_its_decimal_text(entity: object) -> None:
    assert is_test(entity, 0.3) == (fraction("5") < 0.3)


@untimed
@given(st.permutations(range(200)))
def test_the_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    learn, test = split(pd.DataFrame({"customer": order}), "customer", 0.3)
    assert set(test["customer"]) == {n for n in range(200) if fraction(str(n)) < 0.3}
    assert set(learn["customer"]) == set(range(200)) - set(test["customer"])


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_the_share_is_about_right(share: float) -> None:
    rows = 20_000
    learn, test = split(pd.DataFrame({"id": np.arange(rows)}), "id", share)
    six_sigma = 6 * math.sqrt(rows * share * (1 - share))
    assert abs(len(test) - rows * share) < six_sigma
    assert len(learn) + len(test) == rows


def test_an_entity_of_many_rows_is_on_one_side() -> None:
    frame = pd.DataFrame(
        {"id": [n % 50 for n in range(1_000)], "x": range(1_000)}, index=[0] * 1_000
    )
    learn, test = split(frame, "id", 0.4)
    assert not set(learn["id"]) & set(test["id"])
    assert sorted([*learn["x"], *test["x"]]) == list(range(1_000))


def test_more_share_only_adds_to_the_test_rows() -> None:
    ids = pd.DataFrame({"id": range(500)})
    small, large = (set(split(ids, "id", share)[1]["id"]) for share in (0.2, 0.4))
    assert small < large


def test_columns_types_and_index_are_kept() -> None:
    frame = pd.DataFrame({"id": range(50), "x": pd.array([None, 1] * 25, "Int64")})
    frame.index += 1_000
    for part in split(frame, "id", 0.5):
        pd.testing.assert_frame_equal(part, frame.loc[part.index])


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_are_refused(rows: int) -> None:
    with pytest.raises(InvalidValue, match=f"^{rows} rows give .* test_share = 0.3; use more rows"):
        split(pd.DataFrame({"id": list(range(rows))}), "id", 0.3)
