"""A session as a folder of files: one Parquet file a table, and `session.json`.

The folder gets its name when it is complete and on the disk. `session.json` holds the session's row
and the SHA-256 of every file. Pure: takes rows and batches; opens no connection.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from mfprefect.errors import ArtifactCorrupt
from mfprefect.util import values
from mfprefect.util.files import file_digest, sync_folder, synced_file
from mfprefect.util.parquet import longest_texts, require_plausible
from mfprefect.util.removal import remove_folder

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FORMAT", "Content", "check_archive", "folder_of", "parts_of", "write_archive"]

FORMAT = "mfprefect archive 1"
HEAD = "session.json"
BLOCK_BYTES = 1024 * 1024
MOST_BYTES = 1024**3
"""Bytes of texts and blobs that a file may decode to; ours are megabytes."""
# What forged JSON and Parquet files raise.
_UNREADABLE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError),
    *(RecursionError, NotImplementedError, OverflowError, MemoryError),
)


class Content(NamedTuple):
    """The rows of one table."""

    name: str
    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]
    """Each becomes a row group."""


def folder_of(root: Path, model_id: str, session_id: str) -> Path:
    """Return the folder of a session's archive: `<root>/<model>/<session>`, percent-encoded."""
    model, session = (quote(name, safe=" ").replace(".", "%2E") for name in (model_id, session_id))
    return root / model / session


def write_archive(folder: Path, head: Mapping[str, Any], tables: Iterable[Content]) -> str:
    """Write a session's archive, unless it exists; return the SHA-256 of its `session.json`.

    It is read back and checked before it gets its name.

    Raises:
        ArtifactCorrupt: the archive that exists, or the one that was written, is damaged.
        OSError: the folder cannot be written.
    """
    if folder.exists():  # an earlier run was interrupted before it deleted the session
        check_archive(folder)
        return file_digest(folder / HEAD)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name[:150]}.{secrets.token_hex(4)}.part")
    temporary.mkdir()
    try:
        written = {table.name: _write(temporary, table) for table in tables}
        content = {"format": FORMAT, **head, "tables": written}
        with synced_file(temporary / HEAD) as file:
            file.write(values.json_text(content, "the head of an archive").encode())
        sync_folder(temporary)
        check_archive(temporary)
        temporary.rename(folder)
        sync_folder(folder.parent)
    finally:
        remove_folder(temporary, folder.parents[1], _is_archive_file)
    return file_digest(folder / HEAD)


def _is_archive_file(name: str) -> bool:
    return name == HEAD or re.fullmatch(r"[a-z_]+\.parquet", name) is not None


def _write(folder: Path, table: Content) -> dict[str, Any]:
    from pyarrow import parquet

    rows, name = 0, f"{table.name}.parquet"
    with synced_file(folder / name) as file:
        with parquet.ParquetWriter(file, table.schema) as writer:
            for batch in table.batches:
                writer.write_batch(batch)
                rows += batch.num_rows
        digest = file.sha256
    return {"file": name, "rows": rows, "sha256": digest}


def check_archive(folder: Path) -> dict[str, Any]:
    """Check an archive and return its head.

    Checks the SHA-256 of the files, the digests of the parts of scores, and those of the models.

    Raises:
        ArtifactCorrupt: a file is missing or changed.
    """
    try:
        head: dict[str, Any] = json.loads((folder / HEAD).read_bytes())
        if head["format"] != FORMAT:
            raise ArtifactCorrupt(
                f"{folder} has the format {head['format']!r}, and this mfprefect reads {FORMAT!r}."
            )
        for name, table in head["tables"].items():
            if not re.fullmatch("[a-z_]+", name):
                raise ArtifactCorrupt(f"{folder}: {name[:60]!r} is not the name of a table.")
            _check_table(folder, name, table)
        _check_scores(folder, head["tables"])
        _check_artifacts(folder, head["tables"])
    except _UNREADABLE as exc:
        raise ArtifactCorrupt(f"the archive {folder} cannot be read: {exc!r}.") from exc
    return head


def _check_table(folder: Path, name: str, table: Mapping[str, Any]) -> None:
    from pyarrow import parquet

    path = folder / f"{name}.parquet"
    if file_digest(path) != table["sha256"]:
        raise ArtifactCorrupt(f"{path} changed since it was written: its SHA-256 is another one.")
    with parquet.ParquetFile(path) as file:
        rows, columns = file.metadata.num_rows, file.schema_arrow.names
    if rows != table["rows"]:
        raise ArtifactCorrupt(f"{path} holds {rows} rows, not {table['rows']}")
    require_plausible(rows, path.stat().st_size, path)
    # Scores and models are read one row group at a time, other tables at once.
    at_once = max if name in ("scores", "artifact_chunks") else sum
    sizes = [longest * number for _, longest, number in longest_texts(path, columns)]
    if sizes and (size := at_once(sizes)) > MOST_BYTES:
        raise ArtifactCorrupt(
            f"{path} decodes to up to {size} bytes; at most {MOST_BYTES:,} are read at once. "
            "mfprefect writes no such file."
        )


def _check_scores(folder: Path, tables: Mapping[str, Any]) -> None:
    from pyarrow import parquet

    from mfprefect.scores.digest import digest

    if "scores" not in tables:
        return
    parts = parquet.read_table(folder / "score_parts.parquet").to_pylist()
    digests = {number: digest(rows) for number, rows in parts_of(folder)}
    for part in parts:
        if part["rows"] and digests.pop(part["part_no"], None) != part["digest"]:
            raise ArtifactCorrupt(f"{folder}: part {part['part_no']} is not what was published.")
    if digests:
        raise ArtifactCorrupt(f"{folder}: the parts {sorted(digests)} of the scores are unknown.")


def parts_of(folder: Path) -> Iterator[tuple[int, pa.Table]]:
    """Yield number and scores of each part, one in memory at a time; the file is sorted by part."""
    from pyarrow import parquet

    from mfprefect.scores.digest import by_part

    with parquet.ParquetFile(folder / "scores.parquet") as file:
        yield from by_part(file.iter_batches())


def _check_artifacts(folder: Path, tables: Mapping[str, Any]) -> None:
    from pyarrow import parquet

    if "artifacts" not in tables:
        return
    digests: dict[str, Any] = {}
    with parquet.ParquetFile(folder / "artifact_chunks.parquet") as file:
        for group in range(file.num_row_groups):
            for chunk in file.read_row_group(group).to_pylist():
                digests.setdefault(chunk["artifact_name"], hashlib.sha256()).update(chunk["bytes"])
    for head in parquet.read_table(folder / "artifacts.parquet").to_pylist():
        digest = digests.get(head["artifact_name"], hashlib.sha256())
        if digest.hexdigest() != head["sha256"]:
            raise ArtifactCorrupt(f"{folder}: the artifact {head['artifact_name']!r} is corrupt.")
