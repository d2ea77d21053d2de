"""What a model needs beside its estimator: values, frames and arrays in a file that runs no code.

The file is a zip without compression: `extras.json` holds the values that JSON can hold and names a
member for each frame (Arrow), array (.npy) and piece of bytes. The same extras make the same bytes.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import SEEK_END
from typing import TYPE_CHECKING, Any, BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from mfprefect.errors import ArtifactCorrupt, ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EXTRAS", "Extras", "read", "write"]

EXTRAS = "extras"
"""The recorded format, and the name of the artifact."""
INDEX = "extras.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold: the bytes must not depend on the clock."""
_CHOICES = "values that JSON can hold, pandas frames and series, numpy arrays and bytes"


@dataclass(frozen=True)
class Extras:
    """Named values to store as one artifact."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def check(self, origin: str) -> None:
        """Refuse values that would not come back as they are.

        Raises:
            ConfigurationError: the message names the value and `origin`, which returned it.
        """
        for name, value in self.values.items():
            if not isinstance(name, str) or not name:
                raise ConfigurationError(
                    f"{origin} returned extras with the name {name!r}; name them by text."
                )
            _encoded(name, value, origin)


def write(extras: Extras, file: BinaryIO) -> None:
    """Write extras to an empty file."""
    index: dict[str, Any] = {}
    with ZipFile(file, "w", ZIP_STORED) as archive:
        for number, (name, value) in enumerate(extras.values.items(), start=1):
            kind, content = _encoded(name, value, "fit")
            if isinstance(content, bytes):
                index[name] = {"kind": kind, "file": f"{number:06d}"}
                archive.writestr(ZipInfo(f"{number:06d}", _EPOCH), content)
            else:
                index[name] = {"kind": kind, "value": content}
        text = json.dumps(index, ensure_ascii=False)
        archive.writestr(ZipInfo(INDEX, _EPOCH), text.encode())


def read(file: BinaryIO) -> dict[str, Any]:
    """Return extras from a verified file.

    Raises:
        ArtifactCorrupt: `write` did not write it.
    """
    size = file.seek(0, SEEK_END)
    file.seek(0)
    try:
        with ZipFile(file) as archive:
            members = archive.infolist()
            if any(member.compress_type != ZIP_STORED for member in members):
                raise ValueError("it has compressed members")
            if sum(member.file_size for member in members) > size:
                raise ValueError("its members are larger than the file")
            return dict(_decoded(archive))
    except _malformed() as exc:
        raise ArtifactCorrupt(f"the artifact holds no extras: {type(exc).__name__}: {exc}") from exc


def _malformed() -> tuple[type[Exception], ...]:
    import pyarrow as pa

    errors = (BadZipFile, KeyError, TypeError, ValueError, AttributeError, RuntimeError, EOFError)
    return (*errors, OSError, pa.ArrowException)


def _decoded(archive: ZipFile) -> Iterator[tuple[str, Any]]:
    files: set[str] = set()
    for name, entry in json.loads(archive.read(INDEX)).items():
        if entry["kind"] == "value":
            yield name, entry["value"]
            continue
        if entry["file"] in files:
            raise ValueError(f"it reads {entry['file']!r} twice")
        files.add(entry["file"])
        yield name, _decode(entry["kind"], archive.read(entry["file"]))


def _encoded(name: str, value: Any, origin: str) -> tuple[str, Any]:
    """Return the kind of a value and its content: bytes, or what JSON holds."""
    kind = _kind(value)
    try:
        content = _encode(kind, value)
        same = _equal(value, _decode(kind, content) if isinstance(content, bytes) else content)
    except Exception as exc:
        raise ConfigurationError(
            f"{origin} returned the extra {name!r}, a {type(value).__module__}."
            f"{type(value).__qualname__}, which cannot be stored ({type(exc).__name__}: {exc}). "
            f"Extras are {_CHOICES}."
        ) from exc
    if not same:
        raise ConfigurationError(
            f"{origin} returned the extra {name!r}, a {type(value).__name__} that would not come "
            "back as it is: JSON has text keys, lists and finite numbers only, and the columns of "
            f"a frame have one type each and names of text. Extras are {_CHOICES}."
        )
    return kind, content


def _kind(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes"
    import numpy as np
    import pandas as pd

    # By their very types: of a masked array or a geographic frame, only a part would come back.
    kinds = {pd.DataFrame: "frame", pd.Series: "series", np.ndarray: "array"}
    return kinds.get(type(value), "value")


def _encode(kind: str, value: Any) -> Any:
    import numpy as np

    if kind == "bytes":
        return bytes(value)
    if kind in ("frame", "series"):
        return _arrow(value if kind == "frame" else value.to_frame("value"), value)
    if kind == "array":
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(value), allow_pickle=False)
        return buffer.getvalue()
    return json.loads(json.dumps(value, allow_nan=False, default=_scalar))


def _scalar(value: Any) -> Any:
    import numpy as np

    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"JSON has no {type(value).__name__}")


def _arrow(frame: pd.DataFrame, value: Any) -> bytes:
    import pyarrow as pa

    table = pa.Table.from_pandas(frame)
    name = getattr(value, "name", None) if frame is not value else None
    metadata = {**(table.schema.metadata or {}), b"name": json.dumps(name).encode()}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.with_metadata(metadata)) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _decode(kind: str, content: bytes) -> Any:
    import numpy as np
    import pyarrow as pa

    if kind == "bytes":
        return content
    if kind == "array":
        return np.load(io.BytesIO(content), allow_pickle=False)
    if kind not in ("frame", "series"):
        raise ValueError(f"{kind!r} is no kind of extra")
    table = pa.ipc.open_stream(content).read_all()
    table.validate(full=True)
    frame = table.to_pandas()
    if kind == "frame":
        return frame
    return frame["value"].rename(json.loads(table.schema.metadata[b"name"]))


def _equal(value: Any, other: Any) -> bool:
    """Return whether a value came back as it was, with the types of lists, dicts and columns."""
    import numpy as np

    if hasattr(value, "equals"):
        same_names = getattr(value, "name", None) == getattr(other, "name", None)
        if hasattr(value, "columns"):
            same_names = list(value.columns) == list(other.columns)
        return bool(same_names and value.equals(other) and value.index.equals(other.index))
    if isinstance(value, np.ndarray):
        same = (value.dtype, value.shape) == (other.dtype, other.shape)
        return same and value.tobytes() == other.tobytes()
    if isinstance(value, Mapping):
        return (
            isinstance(other, dict)
            and [*value] == [*other]
            and all(_equal(value[key], other[key]) for key in value)
        )
    if isinstance(value, list):
        return isinstance(other, list) and all(map(_equal, value, other))
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return bool(value == other)
