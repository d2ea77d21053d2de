"""Sort texts by their bytes, several times as fast as by comparing texts."""

from __future__ import annotations

from itertools import takewhile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["byte_order"]

WORD = 8
BLOCK = 65_536
"""The texts to process at once, to limit memory."""


def byte_order(texts: pa.LargeStringArray) -> NDArray[np.int64]:
    """Return the positions of the texts in ascending order of their UTF-8 bytes; shape (n,).

    Sort the eight bytes after the prefix that all texts share, as one number. Few ids tie in these;
    Arrow sorts them. No text may be NULL or hold a NUL character.
    """
    if len(texts) < 2:
        return np.arange(len(texts))
    skip, starts = _common_bytes(texts), range(0, len(texts), BLOCK)
    word = np.concatenate([_words(texts[start : start + BLOCK], skip) for start in starts])
    order = np.argsort(word)
    word = word[order]
    same = word[1:] == word[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    if len(tied):
        # Each group of ties keeps its positions, so sorting all ties together keeps word order.
        positions = order[tied]
        order[tied] = positions[pc.sort_indices(texts.take(pa.array(positions))).to_numpy()]
    return order


def _common_bytes(texts: pa.LargeStringArray) -> int:
    ends = pc.min_max(texts)
    pairs = zip(ends["min"].as_py().encode(), ends["max"].as_py().encode(), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _words(texts: pa.LargeStringArray, skip: int) -> NDArray[np.uint64]:
    """Return the eight bytes of each text from byte `skip` on as a number, padded with zeros."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    raw = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    padded = np.concatenate([raw, np.zeros(WORD, np.uint8)])
    at_each_byte = np.ndarray(len(raw) + 1, ">u8", padded, strides=(1,))
    start = np.minimum(ends[:-1] - ends[0] + skip, len(raw))
    word = at_each_byte[start].astype(np.uint64)
    # Bytes behind the end of a text belong to the next one: clear them.
    foreign = WORD - np.clip(np.diff(ends) - skip, 0, WORD)
    bits = np.minimum(foreign * 8, 63).astype(np.uint64)
    cleared: NDArray[np.uint64] = np.where(foreign == WORD, np.uint64(0), word >> bits << bits)
    return cleared
