"""Values at places in a buffer of packed rows, column by column, without a loop over rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Ints", "Packed", "boolean", "fixed", "validity"]

Ints = npt.NDArray[np.int64]


class Packed:
    """The bytes of rows, and views of them as numbers that begin at any byte."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self.bytes = np.frombuffer(data, np.uint8)
        self._data = data

    def numbers(self, dtype: str, places: Ints) -> npt.NDArray[Any]:
        """Return the numbers that begin at places, such as `>i4` or `<f8`."""
        kind = np.dtype(dtype)
        size = len(self.bytes) - kind.itemsize + 1
        if size < 1:
            return np.zeros(len(places), kind.newbyteorder("="))
        view = np.ndarray((size,), kind, self._data, strides=(1,))
        if len(places) and places[-1] >= size:
            # The place of a NULL may be too near to the end: what is read there is not used.
            places = np.minimum(places, size - 1)
        return view[places].astype(kind.newbyteorder("="), copy=False)

    def texts(self, starts: Ints, lengths: Ints, present: npt.NDArray[np.bool_]) -> pa.Array:
        """Return the bytes from starts on as large_binary; lengths are 0 where there is none."""
        ends = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=ends[1:])
        places = np.repeat(starts - ends[:-1], lengths)
        places += np.arange(ends[-1])
        return pa.Array.from_buffers(
            pa.large_binary(),
            len(lengths),
            [validity(present), pa.py_buffer(ends), pa.py_buffer(self.bytes[places])],
        )


def validity(present: npt.NDArray[np.bool_]) -> pa.Buffer | None:
    """Return the bitmap of an array with NULLs, None if it has none."""
    return None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))


def fixed(kind: pa.DataType, values: npt.NDArray[Any], present: npt.NDArray[np.bool_]) -> pa.Array:
    """Return numbers, dates or times as an array; values of NULLs become 0."""
    if not present.all():
        values = np.where(present, values, values.dtype.type(0))
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind, len(values), [validity(present), data])


def boolean(values: npt.NDArray[np.bool_], present: npt.NDArray[np.bool_]) -> pa.Array:
    """Return booleans as an array."""
    data = pa.py_buffer(np.packbits(values & present, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [validity(present), data])
