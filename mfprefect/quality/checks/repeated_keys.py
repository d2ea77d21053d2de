"""Count the rows that share their key with another row, over batches that are gone by then."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.quality.checks.frame_data import FailingRows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RepeatedKeys"]

IN_MEMORY = 1_000_000
"""The keys up to which 64-bit digests of them stay in memory; further ones go to a file."""
LARGEST_INTEGER = 2.0**63


class RepeatedKeys:
    """The 64-bit digests of the keys of some rows; joining adds those of later rows.

    Two different keys have one digest with a probability of 3e-8 among a million keys.
    """

    def __init__(self, keys: pd.DataFrame, cases: list[tuple[Any, Any]]) -> None:
        """Digest the keys of a batch.

        Args:
            keys: a row for each key, without NULL.
            cases: label and value of rows whose key repeats within the batch.
        """
        self._digests = [_digests(keys)]
        self._cases = cases
        self._file: IO[bytes] | None = None
        self._in_file = 0

    def joined(self, other: RepeatedKeys) -> RepeatedKeys:
        """Add the keys of the next batch to these, which are returned."""
        self._digests += other._digests
        self._cases += other._cases
        if sum(map(len, self._digests)) > IN_MEMORY:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
                weakref.finalize(self, self._file.close)
            for digests in self._digests:
                self._file.write(digests.data)
                self._in_file += len(digests)
            self._digests = []
        return self

    def rows(self, most: int) -> FailingRows:
        """Return how many rows share their key with another one, and `most` cases of them."""
        count = sum(_repeated(digests) for digests in self._buckets())
        return FailingRows(count, self._cases[:most] if count else [])

    def _buckets(self) -> Iterator[NDArray[np.uint64]]:
        """Yield the digests in groups of about IN_MEMORY that have no digest in common."""
        rest = np.concatenate([np.empty(0, np.uint64), *self._digests])
        if self._file is None:
            yield rest
            return
        groups = np.uint64(-(-(self._in_file + len(rest)) // IN_MEMORY))
        for group in range(int(groups)):
            self._file.seek(0)
            members = [rest[rest % groups == group]]
            while block := self._file.read(8 * IN_MEMORY):
                digests = np.frombuffer(block, np.uint64)
                members.append(digests[digests % groups == group])
            yield np.concatenate(members)
        self._file.seek(0, 2)


def _repeated(digests: NDArray[np.uint64]) -> int:
    _, counts = np.unique(digests, return_counts=True)
    return int(counts[counts > 1].sum())


def _digests(keys: pd.DataFrame) -> NDArray[np.uint64]:
    """Return a digest of each row; the same number gives the same in each numeric type."""
    import pandas as pd

    columns = {name: _column(column) for name, column in keys.items()}
    hashed = pd.util.hash_pandas_object(pd.DataFrame(columns, index=keys.index), index=False)
    return np.ascontiguousarray(hashed.to_numpy(np.uint64))


def _column(column: pd.Series[Any]) -> NDArray[Any]:
    import pandas as pd

    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        return _digests_of_objects(column)
    if pd.api.types.is_float_dtype(column):
        return _digests_of_doubles(column.to_numpy(np.float64))
    return np.asarray(pd.util.hash_array(column.to_numpy().astype(np.int64)))


def _digests_of_objects(column: pd.Series[Any]) -> NDArray[Any]:
    import pandas as pd

    values = column.astype(object)
    digests = pd.util.hash_array(values.map(str).to_numpy(object), categorize=False)
    if pd.api.types.infer_dtype(values) == "string":
        return np.asarray(digests)
    # An object column may hold numbers that another batch has in a numeric one.
    numbers = np.array([type(x) in (int, float) for x in values], np.bool_)
    digests[numbers] = _digests_of_doubles(values[numbers].to_numpy(np.float64))
    return np.asarray(digests)


def _digests_of_doubles(column: NDArray[np.float64]) -> NDArray[Any]:
    import pandas as pd

    whole = (np.floor(column) == column) & (np.abs(column) < LARGEST_INTEGER)
    integers = pd.util.hash_array(np.where(whole, column, 0).astype(np.int64))
    return np.where(whole, integers, pd.util.hash_array(column + 0.0))
