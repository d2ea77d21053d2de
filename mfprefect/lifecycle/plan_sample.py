"""A sample of rows that arrive part by part: those with the smallest hashes of their ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SampledRows"]


class SampledRows:
    """Keeps at most twice the rows of the sample."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._pieces: list[list[pd.DataFrame]] = []
        self._hashes: list[Any] = []

    def add(self, frames: Sequence[pd.DataFrame], ids: pd.Series[Any]) -> None:
        """Add rows.

        Args:
            frames: the rows of each model, one frame if it is the same for all.
            ids: their ids.
        """
        import pandas as pd

        hashes = pd.util.hash_array(ids.astype(str).to_numpy(object), categorize=False)
        self._pieces.append(list(frames))
        self._hashes.append(hashes)
        if sum(map(len, self._hashes)) > 2 * self._most:
            self._reduce()

    def _reduce(self) -> None:
        import pandas as pd

        hashes = np.concatenate(self._hashes)
        chosen = np.sort(np.argsort(hashes, kind="stable")[: self._most])
        joined = [pd.concat(frames) for frames in zip(*self._pieces, strict=True)]
        self._pieces = [[frame.iloc[chosen] for frame in joined]]
        self._hashes = [hashes[chosen]]

    def frames(self) -> list[pd.DataFrame]:
        """Return the rows of the sample, for each model; empty if no rows were added."""
        if not self._pieces:
            return []
        self._reduce()
        return self._pieces[0]
