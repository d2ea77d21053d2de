"""The digest of what a run read, which `mfprefect reproduce` compares.

Rule 2 digests columns as Arrow buffers. It is the same for a frame and for the Arrow batches that
the frame came from, however the rows are cut into batches. Its text is `2:` and the first 62
hexadecimal digits of a SHA-256. Rule 1, of earlier sessions, is 64 hexadecimal digits: a SHA-256 of
the hashes that pandas computes for each row of a frame.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from typing import TYPE_CHECKING, Any

from mfprefect.backend import Unstreamable
from mfprefect.inputs.frames import dtype_of, offsets_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "RULE_VARIABLE",
    "FrameDigest",
    "FramesDigest",
    "frame_digest",
    "row_hash_digest",
    "rule",
    "rule_of",
]

RULE_VARIABLE = "MFPREFECT_INPUT_DIGEST_RULE"
"""Environment variable with the rule to use; `mfprefect reproduce` sets it for old sessions."""
PREFIX = "2:"
DIGITS = 62


def rule() -> int:
    """Return the rule that digests of this process follow: 2, unless the environment says 1."""
    return 1 if os.environ.get(RULE_VARIABLE) == "1" else 2


def rule_of(digest: str) -> int:
    """Return the rule of a recorded digest."""
    return 2 if digest.startswith(PREFIX) else 1


def frame_digest(frame: pd.DataFrame) -> str:
    """Return the digest of a frame's column names, types and values, ignoring its index."""
    if rule() == 1:
        return row_hash_digest(frame)
    columns = [
        _Column(str(name)).add_series(frame.iloc[:, place])
        for place, name in enumerate(frame.columns)
    ]
    return _text(columns, [str(dtype) for dtype in frame.dtypes], len(frame))


def row_hash_digest(frame: pd.DataFrame) -> str:
    """Return the digest of a frame by rule 1."""
    import pandas as pd

    sha = hashlib.sha256()
    for name, dtype in frame.dtypes.items():
        sha.update(f"{name}\0{dtype}\0".encode())
    try:
        hashes = pd.util.hash_pandas_object(frame, index=False)
    except TypeError:  # unhashable cells, such as lists
        hashes = pd.util.hash_pandas_object(frame.astype(str), index=False)
    sha.update(hashes.to_numpy().tobytes())
    return sha.hexdigest()


class FrameDigest:
    """Digests a frame from the Arrow batches that it is made of."""

    def __init__(self, schema: pa.Schema) -> None:
        self.rows = 0
        self._columns = [_Column(field.name) for field in schema]
        self._kinds = list(schema.types)

    def update(self, batch: pa.RecordBatch) -> None:
        """Add the next rows."""
        for column, values in zip(self._columns, batch.columns, strict=True):
            column.add(values)
        self.rows += batch.num_rows

    @property
    def dtypes(self) -> list[str]:
        """The types of the columns in the frame of all rows."""
        return [c.dtype(kind) for c, kind in zip(self._columns, self._kinds, strict=True)]

    @property
    def columns(self) -> dict[str, str]:
        """The types by column name; of columns with one name, the last."""
        return {c.name: dtype for c, dtype in zip(self._columns, self.dtypes, strict=True)}

    def hexdigest(self) -> str:
        """Return the digest of all rows."""
        return _text(self._columns, self.dtypes, self.rows)


class FramesDigest:
    """Digests a frame from the frames that it is cut into, which have the same types."""

    def __init__(self) -> None:
        self.rows = 0
        self._columns: list[_Column] | None = None
        self._kinds: dict[int, pa.DataType] = {}
        self._dtypes: list[str] = []

    def update(self, frame: pd.DataFrame) -> None:
        """Add the next rows.

        Raises:
            Unstreamable: a column of objects holds other ones than before.
        """
        if self._columns is None:
            self._columns = [_Column(str(name)) for name in frame.columns]
            self._dtypes = [str(dtype) for dtype in frame.dtypes]
        for place, column in enumerate(self._columns):
            for values in _arrow_chunks(frame.iloc[:, place]):
                kind = self._kinds.setdefault(place, values.type) if values.type != "null" else None
                if kind not in (None, values.type):
                    raise Unstreamable(f"the column {column.name!r} holds values of other types")
                column.add(values)
        self.rows += len(frame)

    @property
    def columns(self) -> dict[str, str]:
        """The types by column name; of columns with one name, the last."""
        names = (column.name for column in self._columns or ())
        return dict(zip(names, self._dtypes, strict=True))

    def hexdigest(self) -> str:
        """Return the digest of all rows."""
        return _text(self._columns or [], self._dtypes, self.rows)


def _text(columns: list[_Column], dtypes: list[str], rows: int) -> str:
    sha = hashlib.sha256(f"rule 2, {rows} rows, {len(columns)} columns".encode())
    for column, dtype in zip(columns, dtypes, strict=True):
        for text in (column.name.encode(errors="surrogatepass"), dtype.encode()):
            sha.update(len(text).to_bytes(8, "little") + text)
        sha.update(column.digest())
    return PREFIX + sha.hexdigest()[:DIGITS]


class _Column:
    """The values of a column: their bytes, the lengths of texts, and where there is none."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._rows = self._nulls = 0
        self._missing = 0  # NULL, or NaN
        self._largest = 0
        self._offsets: set[int] = set()
        self._data, self._lengths, self._places = (hashlib.sha256() for _ in range(3))
        self._floats = hashlib.sha256()
        """Of integers: what their data will be if a NULL makes floats of all of them."""
        self._integers = False

    def dtype(self, kind: pa.DataType) -> str:
        """Return the type of the column in a frame."""
        return dtype_of(
            kind,
            self._rows - self._nulls,
            self._nulls,
            largest=self._largest,
            offsets=len(self._offsets),
        )

    def digest(self) -> bytes:
        """Return 96 bytes."""
        data = self._floats if self._integers and self._missing else self._data
        parts = (data, self._lengths, self._places)
        if self._missing == self._rows:  # of any type: a frame holds None in such a column
            parts = (hashlib.sha256(), hashlib.sha256(), self._places)
        return b"".join(part.digest() for part in parts)

    def add_series(self, series: pd.Series[Any]) -> _Column:
        """Add a column of a frame; return this."""
        for values in _arrow_chunks(series):
            self.add(values)
        return self

    def add(self, values: pa.Array) -> None:
        """Add the next values, of any type that a frame or a source can have."""
        import pyarrow as pa

        types, kind = pa.types, values.type
        if types.is_integer(kind):
            self._add_integers(values)
        elif types.is_floating(kind):
            self._add_floats(values)
        elif types.is_boolean(kind):
            self._add_fixed(values, values.fill_null(False).cast(pa.uint8()).to_numpy())
        elif types.is_temporal(kind) and not types.is_interval(kind):
            if types.is_timestamp(kind) and kind.tz is not None:
                self._offsets |= offsets_of(values)
            width = pa.int32() if kind.bit_width == 32 else pa.int64()
            self._add_fixed(values, values.cast(width).fill_null(0).to_numpy())
        elif types.is_null(kind):
            self._note_missing(_mask(values), values.null_count)
        elif types.is_large_string(kind) or types.is_large_binary(kind):
            self._add_texts(values)
        elif types.is_fixed_size_binary(kind):  # objects in a frame
            cells = [None if cell is None else uuid.UUID(bytes=cell) for cell in values.to_pylist()]
            self._add_texts(pa.array(_as_bytes(cells), pa.large_binary()))
        else:
            is_binary = types.is_binary(kind) or types.is_binary_view(kind)
            self._add_texts(values.cast(pa.large_binary() if is_binary else pa.large_string()))

    def _add_integers(self, values: pa.Array) -> None:
        import numpy as np
        import pyarrow as pa

        self._integers = True
        numbers = values.fill_null(0).to_numpy()
        if pa.types.is_unsigned_integer(values.type) and len(numbers):
            self._largest = max(self._largest, int(numbers.max()))
        self._floats.update(numbers.astype(np.float64).data)
        self._add_fixed(values, numbers)

    def _add_floats(self, values: pa.Array) -> None:
        import numpy as np

        numbers = values.to_numpy(zero_copy_only=False)
        missing = np.isnan(numbers)
        # In a frame NULL is NaN; 0.0 and -0.0 are one number, as they were by rule 1.
        numbers = np.where(missing, 0, numbers) if missing.any() else numbers
        self._data.update(np.ascontiguousarray(numbers + numbers.dtype.type(0)).data)
        self._note_missing(missing, values.null_count)

    def _add_fixed(self, values: pa.Array, numbers: np.ndarray[Any, Any]) -> None:
        import numpy as np

        self._data.update(np.ascontiguousarray(numbers).data)
        self._note_missing(_mask(values), values.null_count)

    def _add_texts(self, values: pa.Array) -> None:
        """Add large texts or bytes: the lengths, and all bytes one after the other."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if values.null_count:
            self._note_missing(_mask(values), values.null_count)
            values = values.fill_null("" if pa.types.is_large_string(values.type) else b"")
        else:
            self._note_missing(None, 0, len(values))
        self._lengths.update(pc.binary_length(values).to_numpy())
        _, offsets, data = values.buffers()
        if data is not None and len(values):
            places = pa.Array.from_buffers(
                pa.int64(), len(values) + 1, [None, offsets], offset=values.offset
            ).to_numpy()
            self._data.update(memoryview(data)[int(places[0]) : int(places[-1])])

    def _note_missing(
        self, mask: np.ndarray[Any, Any] | None, nulls: int, rows: int | None = None
    ) -> None:
        import numpy as np

        if mask is not None and mask.any():
            places = np.flatnonzero(mask) + self._rows
            self._missing += len(places)
            self._places.update(places.astype(np.int64).data)
        self._nulls += nulls
        self._rows += len(mask) if mask is not None else rows or 0


def _mask(values: pa.Array) -> np.ndarray[Any, Any]:
    mask: np.ndarray[Any, Any] = values.is_null().to_numpy(zero_copy_only=False)
    return mask


def _arrow_chunks(series: pd.Series[Any]) -> list[pa.Array]:
    """Return a column of a frame as Arrow arrays; cells of no plain type as bytes."""
    import numpy as np
    import pyarrow as pa

    if str(series.dtype) == "category":
        series = series.astype(series.cat.categories.dtype)
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "iuf":
        return [pa.array(series.to_numpy())]  # without a copy
    try:
        array = pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):  # mixed types, among others
        array = None
    if array is None or not _is_plain(array.type):
        array = pa.array(_as_bytes(list(series)), pa.large_binary())
    return list(array.chunks) if isinstance(array, pa.ChunkedArray) else [array]


def _is_plain(kind: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_null(kind)
        or types.is_unicode(kind)
        or types.is_large_string(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or (types.is_temporal(kind) and not types.is_interval(kind))
    )


def _as_bytes(cells: list[Any]) -> list[bytes | None]:
    raw = (bytes, bytearray, memoryview)
    if all(isinstance(cell, raw) or _is_missing(cell) for cell in cells):
        return [None if _is_missing(cell) else bytes(cell) for cell in cells]
    return [
        None
        if _is_missing(cell)
        else f"{type(cell).__name__}\0{cell}".encode(errors="surrogatepass")
        for cell in cells
    ]


def _is_missing(cell: Any) -> bool:
    import pandas as pd

    return bool(cell is None or (pd.api.types.is_scalar(cell) and pd.isna(cell)))
