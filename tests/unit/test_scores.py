from __future__ import annotations

import hashlib
import struct
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfprefect.errors import InvalidScores
from mfprefect.scores import PIECE_ROWS, SCHEMA, batches, gathered, joined, normalise, pieces
from mfprefect.scores.digest import digest

untimed = settings(deadline=None)

Rows = dict[str, tuple[float, str | None]]

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
SCORES = st.floats(allow_nan=False, allow_infinity=False)
CLASSES = st.none() | st.text(CHARACTERS, max_size=5)
ROWS = st.dictionaries(
    st.text(CHARACTERS, min_size=1, max_size=8), st.tuples(SCORES, CLASSES), max_size=20
)
SOME_ROWS = ROWS.filter(bool)


def arrow(rows: Rows, ids: list[str] | None = None) -> pa.Table:
    """Return the rows as a caller's Arrow table, in the order of `ids`."""
    names = list(rows) if ids is None else ids
    columns = {
        "customer": pa.array(names, pa.string()),
        "p": pa.array([rows[name][0] for name in names], pa.float64()),
        "band": pa.array([rows[name][1] for name in names], pa.string()),
    }
    return pa.table(columns)


def seen(data: Any) -> pa.Table:
    return normalise(data, "customer", "p", "band")


def plain(data: Any) -> pa.Table:
    return normalise(data, "id", "score", None)


def frame(ids: Any, scores: Any = (0.5, 0.25)) -> pd.DataFrame:
    return pd.DataFrame({"id": ids, "score": scores})


def documented_digest(rows: Rows) -> str:
    """Compute the digest as its docstring says, with nothing but the standard library."""
    ids = sorted(name.encode() for name in rows)
    values = [rows[name.decode()] for name in ids]
    classes = [None if c is None else c.encode() for _, c in values]
    count = len(ids)
    sha = hashlib.sha256(b"mfprefect scores 1\0" + struct.pack("<q", count))
    sha.update(struct.pack(f"<{count}i", *map(len, ids)) + b"".join(ids))
    sha.update(struct.pack(f"<{count}d", *(0.0 if s == 0 else s for s, _ in values)))
    sha.update(struct.pack(f"<{count}i", *(-1 if c is None else len(c) for c in classes)))
    sha.update(b"".join(c or b"" for c in classes))
    return sha.hexdigest()


# The digest


@untimed
@given(ROWS)
def test_the_digest_is_the_documented_one(rows: Rows) -> None:
    assert digest(seen(arrow(rows))) == documented_digest(rows)


@untimed
@given(ROWS, st.randoms(use_true_random=False), st.integers(1, 5))
def test_order_and_batches_do_not_matter(rows: Rows, random: Any, size: int) -> None:
    ids = list(rows)
    random.shuffle(ids)
    pieces = [arrow(rows, ids[start : start + size]) for start in range(0, len(ids), size)]
    whole = joined((seen(piece) for piece in pieces), "customer")
    assert whole.equals(seen(arrow(rows)))
    assert digest(whole) == digest(seen(arrow(rows)))
    chunked = pa.concat_tables([arrow({}), *pieces])
    assert digest(seen(chunked)) == digest(whole)


@untimed
@given(SOME_ROWS, st.data())
def test_one_other_value_is_another_digest(rows: Rows, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(rows)))
    score, band = rows[name]
    other_score = data.draw(SCORES.filter(lambda number: number != score))
    other_band = data.draw(CLASSES.filter(lambda text: text != band))
    other_name = data.draw(
        st.text(CHARACTERS, min_size=1, max_size=8).filter(lambda n: n not in rows)
    )
    rest = {key: value for key, value in rows.items() if key != name}
    digests = {
        digest(seen(arrow(changed)))
        for changed in (
            rows,
            rest,
            rows | {name: (other_score, band)},
            rows | {name: (score, other_band)},
            rest | {other_name: (score, band)},
            rows | {other_name: (score, band)},
        )
    }
    assert len(digests) == 6


def test_no_class_and_an_empty_class_differ() -> None:
    assert digest(seen(arrow({"a": (0.5, None)}))) != digest(seen(arrow({"a": (0.5, "")})))


def test_zero_has_no_sign() -> None:
    assert digest(seen(arrow({"a": (-0.0, None)}))) == digest(seen(arrow({"a": (0.0, None)})))


def test_neighbouring_values_do_not_run_into_each_other() -> None:
    one = seen(arrow({"ab": (0.5, "c"), "c": (0.5, "d")}))
    other = seen(arrow({"a": (0.5, "c"), "bc": (0.5, "d")}))
    third = seen(arrow({"ab": (0.5, "cd"), "c": (0.5, "")}))
    assert len({digest(one), digest(other), digest(third)}) == 3


def test_a_slice_is_digested_as_what_it_shows() -> None:
    whole = seen(arrow({name: (0.5, name) for name in "abcdef"}))
    part = seen(arrow({name: (0.5, name) for name in "cd"}))
    assert digest(whole.slice(2, 2)) == digest(part)


# What comes in


@pytest.mark.parametrize(
    "ids",
    [
        pytest.param(pd.Series(["b", "a"], dtype=object), id="object"),
        pytest.param(pd.array(["b", "a"], "string[python]"), id="string"),
        pytest.param(pd.array(["b", "a"], "string[pyarrow]"), id="pyarrow"),
        pytest.param(pd.Categorical(["b", "a"], ["c", "b", "a"]), id="category"),
        pytest.param(np.array(["b", "a"]), id="numpy"),
        pytest.param(
            pd.Series(["b", "a"], dtype=pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))),
            id="arrow category",
        ),
    ],
)
def test_text_ids_of_every_pandas_type(ids: Any) -> None:
    table = plain(frame(ids))
    assert table.schema == SCHEMA
    assert table.to_pydict() == {
        "entity_id": ["a", "b"],
        "score": [0.25, 0.5],
        "score_class": [None, None],
    }


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.large_string()),
    ],
    ids=str,
)
def test_text_ids_and_classes_of_every_arrow_type(kind: pa.DataType) -> None:
    names = pa.array(["b", "a"])
    names = (
        names.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else names.cast(kind)
    )
    table = pa.table({"id": names, "score": pa.array([0.5, 0.25]), "band": names})
    for data in (table, pa.concat_tables([table.slice(0, 1), table.slice(1)])):
        normalised = normalise(data, "id", "score", "band")
        assert (
            normalised["entity_id"].to_pylist()
            == normalised["score_class"].to_pylist()
            == ["a", "b"]
        )


@pytest.mark.parametrize(
    "ids",
    [
        [2**63 - 1, 12],
        np.array([2**63 - 1, 12], np.uint64),
        pd.array([2**63 - 1, 12], "Int64"),
        pd.array([2**63 - 1, 12], "int64[pyarrow]"),
        pd.Series([2**63 - 1, 12], dtype=object),
        pd.Categorical([2**63 - 1, 12]),
    ],
    ids=lambda ids: str(getattr(ids, "dtype", "list")),
)
def test_integer_ids_become_decimal_text(ids: Any) -> None:
    assert plain(frame(ids))["entity_id"].to_pylist() == ["12", "9223372036854775807"]


def test_the_largest_and_the_smallest_integer_ids() -> None:
    assert plain(frame([2**64 - 1, 0]))["entity_id"].to_pylist() == ["0", str(2**64 - 1)]
    assert plain(frame([-(2**63), 0]))["entity_id"].to_pylist() == [str(-(2**63)), "0"]


def test_integers_beyond_64_bits_have_to_be_text() -> None:
    with pytest.raises(
        InvalidScores, match=r"'id' holds an integer of more than 64 bits.*astype\(str\)"
    ):
        plain(frame([2**70, 1]))


@pytest.mark.parametrize(
    "scores",
    [
        [1, 2],
        np.array([1, 2], np.uint8),
        np.array([1, 2], np.float16),
        np.array([1, 2], np.float32),
        pd.array([1, 2], "Int64"),
        pd.array([1, 2], "Float64"),
        pd.array([1, 2], "double[pyarrow]"),
        [Decimal("1.0"), Decimal("2.000")],
        pd.Series([1, 2.0], dtype=object),
        pd.Categorical([1, 2]),
    ],
    ids=lambda scores: str(getattr(scores, "dtype", type(scores[0]).__name__)),
)
def test_scores_of_every_numeric_type_become_doubles(scores: Any) -> None:
    assert plain(frame(["a", "b"], scores))["score"].to_pylist() == [1.0, 2.0]


def test_an_integer_score_that_is_no_double_is_refused() -> None:
    with pytest.raises(InvalidScores, match="'score' holds a number that a double cannot"):
        plain(frame(["a", "b"], [2**53 + 1, 1]))


@untimed
@given(SCORES)
def test_a_score_survives_bit_for_bit(score: float) -> None:
    assert plain(frame(["a"], [score]))["score"][0].as_py().hex() == score.hex()


def test_rows_are_sorted_by_the_bytes_of_their_ids() -> None:
    ids = ["é", "a", "Z", "z", "€", "\U0001f600", "\uffff", "10", "9"]
    entity_ids = plain(frame(ids, [0.5] * len(ids)))["entity_id"].to_pylist()
    assert entity_ids == sorted(ids, key=str.encode)


@pytest.mark.parametrize(
    "data",
    [
        frame([], []),
        pa.table({"id": [], "score": []}),
        pa.table({"id": pa.array([], pa.string()), "score": pa.array([], pa.float64())}),
    ],
)
def test_no_rows_are_fine(data: Any) -> None:
    table = plain(data)
    assert (table.schema, table.num_rows) == (SCHEMA, 0)
    assert digest(table) == digest(joined([], "id")) == documented_digest({})


# What is refused


def refused(data: Any, match: str) -> InvalidScores:
    with pytest.raises(InvalidScores, match=match) as caught:
        plain(data)
    return caught.value


def test_ids_are_measured_in_characters() -> None:
    for character in ("x", "é", "\U0001f600"):
        assert plain(frame([character * 255], [0.5])).num_rows == 1
        error = refused(
            frame([character * 256, "a"]), "1 of 2 values in 'id' are longer than 255 characters"
        )
        assert error.examples == (character * 256,)
        assert len(str(error)) < 200


def test_classes_are_measured_in_characters() -> None:
    long = pd.DataFrame({"id": ["a"], "score": [0.5], "band": ["é" * 129]})
    with pytest.raises(InvalidScores, match="longer than 128 characters"):
        normalise(long, "id", "score", "band")
    assert normalise(long.assign(band="é" * 128), "id", "score", "band").num_rows == 1


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_ids_are_refused(missing: Any) -> None:
    refused(frame(pd.Series(["a", missing], dtype=object)), "1 of 2 values in 'id' are NULL")


def test_missing_integer_ids_are_refused_in_every_type() -> None:
    for ids in (pd.array([1, None], "Int64"), pd.Categorical([1, None])):
        refused(frame(ids), "1 of 2 values in 'id' are NULL")


def test_integers_that_a_gap_made_floats_are_refused_with_the_way_out() -> None:
    error = refused(frame([1, None]), r"'id' is of type double")
    assert "astype('Int64')" in str(error)
    repaired = frame([1, None]).dropna().astype({"id": "Int64"})
    assert plain(repaired)["entity_id"].to_pylist() == ["1"]


@pytest.mark.parametrize(
    "ids", [[True, False], [b"a", b"b"], pd.to_datetime(["2026-11-23", "2026-11-24"]), [0.5, 1.5]]
)
def test_ids_of_other_types_are_refused(ids: Any) -> None:
    refused(frame(ids), "column 'id' is of type .*it must be text or integers. Convert it")


def test_mixed_ids_are_refused_by_their_types() -> None:
    refused(frame(pd.Series(["a", 1], dtype=object)), r"'id' mixes types \(int, str\)")


def test_duplicates_are_refused_and_shown() -> None:
    error = refused(frame(list("aabbbccc"), [0.5] * 8), "5 of 8 values in 'id' are duplicates")
    assert set(error.examples) == {"a", "b", "c"}


def test_an_integer_and_its_text_are_one_entity() -> None:
    pieces = [plain(frame([1, 2])), plain(frame(["2", "3"]))]
    with pytest.raises(InvalidScores, match="duplicates") as caught:
        joined(pieces, "id")
    assert caught.value.examples == ("2",)


def test_empty_ids_and_nul_are_refused() -> None:
    refused(frame(["", "a"]), "1 of 2 values in 'id' are empty")
    assert refused(frame(["a\0", "b"]), "hold a NUL character").examples == ("a\0",)


@pytest.mark.parametrize("dtype", [object, "string[python]"])
def test_half_a_character_is_refused(dtype: Any) -> None:
    refused(frame(pd.Series(["\ud800", "a"], dtype=dtype)), "'id' holds text that is not Unicode")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, None])
def test_scores_that_are_no_figures_are_refused_with_their_entities(bad: Any) -> None:
    error = refused(frame(["a", "b"], [0.5, bad]), "1 of 2 scores are NULL, NaN or infinite.*'b'")
    assert error.examples == ("b",)


def test_few_examples_stand_for_many() -> None:
    error = refused(frame([f"e{n}" for n in range(1_000)], [np.nan] * 1_000), "1000 of 1000")
    assert len(error.examples) == 5


@pytest.mark.parametrize("scores", [["0.5", "1"], [True, False], [None, None], [b"1", b"2"]])
def test_scores_of_other_types_are_refused(scores: Any) -> None:
    refused(frame(["a", "b"], scores), "column 'score' is of type .*scores are numbers")


def test_a_missing_column_names_those_that_are_there() -> None:
    error = refused(pd.DataFrame({"customer": ["a"], 3: [0.5]}), "no column 'id'")
    assert "customer, 3" in str(error)
    assert "entity_id=" in str(error)
    with pytest.raises(InvalidScores, match="no column '3'"):
        normalise(pd.DataFrame({"id": ["a"], 3: [0.5]}), "id", "3", None)


def test_columns_of_one_name_are_refused() -> None:
    doubled = pd.DataFrame([["a", "b", 0.5]], columns=["id", "id", "score"])
    refused(doubled, "several columns named 'id'")
    refused(pa.Table.from_arrays([["a"], [0.5], [0.5]], ["id", "score", "score"]), "named 'score'")


def test_doubled_columns_that_are_not_used_do_not_matter() -> None:
    assert plain(pd.DataFrame([["a", 0.5, 1, 2]], columns=["id", "score", "x", "x"])).num_rows == 1


# Pieces


def test_frames_tables_and_batches_come_one_by_one() -> None:
    one = frame(["a", "b"])
    table = pa.Table.from_pandas(one)
    assert [piece is one for piece in batches(one)] == [True]
    assert [piece.num_rows for piece in batches(table)] == [2]
    assert [piece.num_rows for piece in batches(table.to_batches()[0])] == [2]
    assert [len(piece) for piece in batches([one, table, iter([one])])] == [2, 2, 2]
    assert [piece.num_rows for piece in batches(table.to_reader(1))] == [1, 1]
    assert list(batches([])) == []


def test_pieces_are_asked_for_one_at_a_time() -> None:
    asked = []

    def produce() -> Any:
        for number in range(3):
            asked.append(number)
            yield frame([f"{number}"], [0.5])

    next(batches(produce()))
    assert asked == [0]


def test_a_parquet_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    frame(["b", "a"]).to_parquet(path)
    for data in (path, str(path), [path]):
        assert [plain(p)["entity_id"].to_pylist() for p in batches(data)] == [["a", "b"]]


def test_a_large_parquet_file_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    pq.write_table(pa.table({"id": np.arange(500_001), "score": np.zeros(500_001)}), path)
    assert sum(len(piece) for piece in batches(path)) == 500_001
    assert max(len(piece) for piece in batches(path)) <= PIECE_ROWS


@given(SOME_ROWS, st.integers(1, 5))
def test_pieces_are_what_is_normalised_cut(rows: Rows, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mfprefect.scores.PIECE_ROWS", size)
        tables = list(pieces(arrow(rows), "customer", "p", "band"))
    assert max(table.num_rows for table in tables) <= size
    assert pa.concat_tables(tables).equals(seen(arrow(rows)))


def test_all_of_a_frame_is_checked_before_its_first_piece() -> None:
    ids = [f"{number}" for number in range(PIECE_ROWS + 1)]
    with pytest.raises(InvalidScores, match="duplicates"):
        next(pieces(frame([*ids, ids[0]], np.zeros(len(ids) + 1)), "id", "score", None))


@given(st.lists(st.integers(0, 5), max_size=12), st.randoms(use_true_random=False))
def test_small_pieces_are_gathered_to_few(sizes: list[int], random: Any) -> None:
    ids = iter(random.sample(range(100), sum(sizes)))
    pieces = [plain(frame([f"{next(ids)}" for _ in range(n)], np.zeros(n))) for n in sizes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mfprefect.scores.PIECE_ROWS", 7)
        tables = list(gathered(iter(pieces), "id"))
    assert all(0 < table.num_rows <= 7 for table in tables if sum(sizes))
    assert sum(table.num_rows for table in tables) == sum(sizes)
    assert all(a.num_rows + b.num_rows > 7 - 5 for a, b in pairwise(tables))
    for table in tables:
        assert table["entity_id"].to_pylist() == sorted(table["entity_id"].to_pylist())


def test_a_path_without_parquet_is_refused_by_its_name(tmp_path: Path) -> None:
    text = tmp_path / "scores.csv"
    text.write_text("id,score\na,0.5\n" * 10)
    for path in (tmp_path / "missing.parquet", text, tmp_path):
        with pytest.raises(InvalidScores, match="Pass the path of a Parquet file") as caught:
            list(batches(path))
        assert str(path) in str(caught.value)
        assert caught.value.__cause__ is not None


@pytest.mark.parametrize("data", [3, None, pd.Series([0.5]), np.array([0.5])])
def test_other_things_are_no_scores(data: Any) -> None:
    with pytest.raises(InvalidScores, match=rf"cannot be a {type(data).__name__}; pass a frame"):
        list(batches(data))


@untimed
@given(SOME_ROWS)
def test_an_entity_of_two_pieces_is_refused(rows: Rows) -> None:
    again = min(rows)
    with pytest.raises(InvalidScores, match="'customer' are duplicates") as caught:
        joined([seen(arrow(rows)), seen(arrow({again: (0.5, None)}))], "customer")
    assert caught.value.examples == (again,)
