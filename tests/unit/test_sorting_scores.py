"""Scores that arrive in batches are the same part as scores that arrive in one piece."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given

from mfprefect.errors import InvalidScores
from mfprefect.scores import normalise, sorting, validated
from mfprefect.scores.digest import ScoreDigest, digest
from mfprefect.scores.sorting import ScoreSorter

IDS = st.lists(st.text("aé€z019\U0001f600", min_size=1, max_size=9), unique=True, max_size=60)


def scores(ids: list[str]) -> pd.DataFrame:
    rng = np.random.default_rng(len(ids))
    classes = [None if number % 3 == 0 else f"c{number % 5}" for number in range(len(ids))]
    values = rng.normal(size=len(ids)) * (rng.random(len(ids)) > 0.1)
    return pd.DataFrame({"id": ids, "score": -values, "label": pd.Series(classes, dtype=object)})


def validated_batches(frame: pd.DataFrame, rows: int) -> list[pa.Table]:
    starts = range(0, len(frame), rows)
    return [validated(frame.iloc[at : at + rows], "id", "score", "label") for at in starts]


@given(IDS, st.integers(1, 20), st.integers(1, 40), st.integers(1, 7), st.integers(1, 30))
def test_batches_are_sorted_and_digested_as_one_piece(
    ids: list[str], rows: int, in_memory: int, block: int, piece: int
) -> None:
    frame = scores(ids)
    whole = normalise(frame, "id", "score", "label")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sorting, "IN_MEMORY", in_memory)
        patched.setattr(sorting, "BLOCK_ROWS", block)
        patched.setattr(sorting, "PIECE_ROWS", piece)
        with ScoreSorter("id") as sorter:
            for batch in validated_batches(frame, rows):
                sorter.add(batch)
            part = sorter.finish()
            for _ in range(2):  # a retry reads them again
                pieces = list(part.pieces())
                assert pa.concat_tables(pieces).combine_chunks().equals(whole.combine_chunks())
            assert part.table().equals(whole)
            assert (part.num_rows, part.digest) == (len(ids), digest(whole))


@given(IDS, st.integers(1, 20))
def test_a_digest_of_pieces_is_that_of_the_whole(ids: list[str], rows: int) -> None:
    whole = normalise(scores(ids), "id", "score", "label")
    with ScoreDigest() as sha:
        for start in range(0, whole.num_rows, rows):
            sha.add(whole.slice(start, rows))
        assert sha.hexdigest() == digest(whole)


@given(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=30), st.integers(1, 9))
def test_duplicates_in_any_batches_are_refused_as_in_one_piece(ids: list[str], rows: int) -> None:
    frame = scores(ids)
    error: InvalidScores | None = None
    try:
        normalise(frame, "id", "score", "label")
    except InvalidScores as exc:
        error = exc
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sorting, "IN_MEMORY", 5)
        patched.setattr(sorting, "BLOCK_ROWS", 2)
        patched.setattr(sorting, "PIECE_ROWS", 4)
        with ScoreSorter("id") as sorter:
            for batch in validated_batches(frame, rows):
                sorter.add(batch)
            if error is None:
                assert sorter.finish().num_rows == len(ids)
                return
            with pytest.raises(InvalidScores, match=re.escape(str(error))) as refused:
                sorter.finish()
            assert refused.value.examples == error.examples


def test_files_are_deleted_and_memory_does_not_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    peaks = []
    for rows in (400_000, 4_000_000):
        before = pa.total_allocated_bytes()
        tracemalloc.start()
        pool_peak = 0
        with ScoreSorter("id") as sorter:
            for start in range(0, rows, 50_000):
                ids = (np.arange(start, start + 50_000) * 7_919) % 10_000_019
                batch = pd.DataFrame({"id": ids, "score": ids / 3})
                sorter.add(validated(batch, "id", "score", None))
                pool_peak = max(pool_peak, pa.total_allocated_bytes() - before)
            count = 0
            for piece in sorter.finish().pieces():
                count += piece.num_rows
                pool_peak = max(pool_peak, pa.total_allocated_bytes() - before)
            assert count == rows
            assert list(tmp_path.iterdir())
        peaks.append(tracemalloc.get_traced_memory()[1] + pool_peak)
        tracemalloc.stop()
        assert not list(tmp_path.iterdir())
    assert peaks[1] < 1.3 * peaks[0]
