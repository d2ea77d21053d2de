from __future__ import annotations

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from mfprefect.scores.byte_order import byte_order

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
# Few letters: many texts share their first eight bytes, or are the beginning of another one.
ALIKE = st.text("ab", max_size=14)


@given(
    st.lists(TEXTS | ALIKE), st.sampled_from(["", "customer-", "\u00e9\U0001f600"]), st.booleans()
)
@example(["a", "a" * 8, "a" * 9, "a" * 16, "a" * 7, ""], "", False)
def test_texts_are_ordered_by_their_bytes(texts: list[str], prefix: str, cut: bool) -> None:
    texts = [prefix + text for text in texts]
    array = pa.array(texts, pa.large_string())
    if cut and len(array) > 2:  # a slice has the buffers of the whole
        array, texts = array[1:-1], texts[1:-1]
    order = byte_order(array)
    assert sorted(order.tolist()) == list(range(len(texts)))
    assert array.take(pa.array(order)).to_pylist() == sorted(texts, key=str.encode)
