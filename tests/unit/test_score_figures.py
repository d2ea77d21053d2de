"""The distribution of scores does not depend on the parts that it was gathered from."""

from __future__ import annotations

from functools import reduce

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from mfprefect.quality.score_figures import ScoreFigures

SCORES = st.lists(st.floats(-1e6, 1e6), max_size=12)


@given(st.lists(SCORES, min_size=1, max_size=5))
def test_parts_together_are_as_all_scores_at_once(parts: list[list[float]]) -> None:
    scores = np.concatenate([np.asarray(part, float) for part in parts])
    merged = reduce(ScoreFigures.merged, map(ScoreFigures.of, parts), ScoreFigures())
    assert merged.n == len(scores)
    if len(scores):
        assert (merged.low, merged.high) == (scores.min(), scores.max())
        assert merged.mean == pytest.approx(scores.mean(), abs=1e-6)
    if len(scores) > 1:
        assert merged.sd == pytest.approx(np.std(scores, ddof=1), abs=1e-3)


def test_classes_are_counted_over_the_parts() -> None:
    first = ScoreFigures.of([0.5, 0.7], np.array(["a", "b"]))
    second = ScoreFigures.of([0.9], np.array(["b"]))
    assert first.merged(second).classes == {"a": 1, "b": 2}
    assert ScoreFigures.of([0.5]).sd is None
    assert ScoreFigures().merged(ScoreFigures()) == ScoreFigures()
