"""Summarise the input of a part that arrives in batches: all rows, or a sample of them.

A sample has the rows whose ids have the smallest digests. So it is the same however the rows are
cut into batches and ordered, and two scorings of the same entities look at the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.quality.summary import input_summary
from mfprefect.quality.summary.merge import SummaryMerger

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["InputSummarizer", "scaled"]


class InputSummarizer:
    """Takes the features of a part batch by batch.

    With a sample, the summary of up to `most` rows is exact, and that of more rows an estimate from
    `most` of them. Without, batches are summarised one by one and merged, as parts are: see
    `SummaryMerger`.
    """

    def __init__(self, references: Mapping[str, pd.DataFrame], most: int) -> None:
        """Begin.

        Args:
            references: the input summaries whose bins are used, by name; each gives a summary.
            most: the most rows to look at; 0: all.
        """
        self._references, self._most = references, most
        self._mergers = {name: SummaryMerger(reference) for name, reference in references.items()}
        self._frames: list[pd.DataFrame] = []
        self._digests: list[NDArray[np.uint64]] = []
        self._bound: np.uint64 | None = None
        """No row with a larger digest is in the sample; None: no row was left out."""
        self._waiting: list[tuple[pd.DataFrame, Any]] = []
        """Features and ids while there are too few rows for a sample."""
        self.rows = 0
        """The rows so far."""
        self.sampled = 0
        """How many of them the summaries look at; after `summaries`."""

    @classmethod
    def of_sample(
        cls, references: Mapping[str, pd.DataFrame], sample: pd.DataFrame, rows: int
    ) -> InputSummarizer:
        """Return what summarises a sample that was drawn elsewhere, as an estimate for all rows.

        Args:
            references: the input summaries whose bins are used.
            sample: the features of its rows, at least one.
            rows: how many rows it was drawn from.
        """
        summarizer = cls(references, len(sample))
        summarizer._frames, summarizer._digests = [sample], [np.empty(0, np.uint64)]
        summarizer.rows = rows
        return summarizer

    def add(self, features: pd.DataFrame, ids: Any) -> None:
        """Add a batch.

        Args:
            features: the rows about to be scored; kept, not copied.
            ids: their entity ids.
        """
        self.rows += len(features)
        if not self._most:
            for name, merger in self._mergers.items():
                merger.add(input_summary(features, reference=self._references[name]))
            return
        if self.rows <= self._most:
            # Most parts are this small: their ids need no digests.
            self._waiting.append((features, ids))
            return
        for frame, frame_ids in (*self._waiting, (features, ids)):
            self._add_digested(frame, _digests(frame_ids))
        self._waiting = []

    def _add_digested(self, features: pd.DataFrame, digests: NDArray[np.uint64]) -> None:
        if self._bound is not None:
            chosen = digests <= self._bound
            features, digests = features[chosen], digests[chosen]
        self._frames.append(features)
        self._digests.append(digests)
        if sum(map(len, self._digests)) > 2 * self._most:
            self._reduce()

    def _reduce(self) -> None:
        """Keep the rows with the smallest digests."""
        import pandas as pd

        features, digests = pd.concat(self._frames), np.concatenate(self._digests)
        if len(digests) > self._most:
            self._bound = np.partition(digests, self._most - 1)[self._most - 1]
            chosen = digests <= self._bound
            features, digests = features[chosen], digests[chosen]
        self._frames, self._digests = [features], [digests]

    def summaries(self) -> dict[str, pd.DataFrame]:
        """Return the summary of all rows in the bins of each reference; empty without rows."""
        import pandas as pd

        self.sampled = self.rows
        if not self._most:
            return {name: merger.summary() for name, merger in self._mergers.items()}
        if self.rows > self._most:
            self._reduce()
        frames = [*self._frames, *(features for features, _ in self._waiting)]
        if not frames:
            return {name: pd.DataFrame() for name in self._references}
        features = frames[0] if len(frames) == 1 else pd.concat(frames)
        self.sampled = len(features)
        return {
            name: scaled(input_summary(features, reference=reference), self.rows)
            for name, reference in self._references.items()
        }


def _digests(ids: Any) -> NDArray[np.uint64]:
    """Return a 64-bit digest of each id; a text of digits has another one than the integer."""
    import pandas as pd

    values = pd.Series(ids).astype(object) if not _are_integers(ids) else ids
    return np.asarray(pd.util.hash_array(np.asarray(values), categorize=False))


def _are_integers(ids: Any) -> bool:
    return getattr(ids, "dtype", None) is not None and ids.dtype.kind in "iu"


def scaled(summary: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Return the summary of a sample as an estimate for all rows that it was drawn from.

    Counts become those of all rows, and their sums stay right: `n` and `n_na` are `rows` together.
    `n_distinct`, `min` and `max` stay those of the sample.
    """
    result = summary.copy()
    for label, row in summary.to_dict("index").items():
        sample = int(row["n"]) + int(row["n_na"])
        if not sample or sample == rows:
            continue
        n, n_na = _spread([int(row["n"]), int(row["n_na"])], rows)
        result.loc[label, ["n", "n_na"]] = n, n_na
        counts = json.loads(row["bin_counts"])
        if counts["kind"] == "levels":
            *levels, other = _spread([*counts["levels"].values(), counts["other"]], n)
            counts |= {"levels": dict(zip(counts["levels"], levels, strict=True)), "other": other}
        else:
            quantiles = json.loads(row["quantiles"])
            infinite = int(quantiles.get("n_inf", 0))
            finite, infinite = _spread([int(row["n"]) - infinite, infinite], n)
            if "n_inf" in quantiles:
                quantiles["n_inf"] = infinite
                result.loc[label, "quantiles"] = json.dumps(quantiles)
            for name in ("counts", "grid_counts"):
                if name in counts:
                    counts[name] = _spread(counts[name], finite)
        result.loc[label, "bin_counts"] = json.dumps(counts)
    return result


def _spread(counts: Sequence[int], total: int) -> list[int]:
    """Return counts in the same proportions, rounded, whose sum is `total`."""
    up_to = np.cumsum(counts, dtype=np.int64)
    if not len(up_to) or not up_to[-1]:
        return [int(count) for count in counts]
    # Whole numbers: the product of two counts may not be exact as a double.
    ends = [int(end) * total * 2 // int(up_to[-1]) for end in up_to]
    return [int(x) for x in np.diff([0, *((end + 1) // 2 for end in ends)])]
