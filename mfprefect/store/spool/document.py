"""An entry of the spool as one document: read once, checked completely, then delivered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect.errors import InvalidValue, SpoolRefused
from mfprefect.spool.documents import (
    ArtifactWrite,
    Ending,
    Head,
    ParamsWrite,
    PartWrite,
    RowsWrite,
    Write,
    parse_write,
)
from mfprefect.spool.entry import Entry
from mfprefect.spool.files import parse_document, read_document
from mfprefect.store.database import Database
from mfprefect.store.spool import validation
from mfprefect.store.spool.staging import Staging
from mfprefect.util.parquet import UNREADABLE, require_plausible

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EntryDocument", "open_document"]


@dataclass(frozen=True)
class EntryDocument:
    """All of an entry; every byte of it was checked.

    Rows and scores are not held in memory but staged: a session may have thousands of parts.
    """

    folder: Path
    head: Head
    ending: Ending | None
    """None if the process died before the run ended."""
    digest: str
    """A SHA-256 that identifies the entry in the audit trail."""
    _digests: Mapping[Path, str]
    """The SHA-256 of each write."""
    _staging: Staging

    def writes(self) -> Iterator[Write]:
        """Yield the writes in order, one in memory at a time."""
        for path, digest in self._digests.items():
            text = self._staging.get(path.name)
            yield parse_write(parse_document(text or _read_again(path, digest), path), path)

    def scores(self, write: PartWrite) -> pa.Table:
        """Return the scores of a part."""
        import pyarrow as pa

        if (data := self._staging.get(write.blob.path.name)) is None:
            return _decode(write)
        with pa.ipc.open_stream(data) as stream:
            return stream.read_all()


@contextmanager
def open_document(db: Database, entry: Entry) -> Iterator[EntryDocument]:
    """Read and check every byte of an entry; open no connection to the database.

    Raises:
        SpoolRefused: a file is corrupt, does not fit the schema of this version, or holds what no
            run writes.
    """
    with Staging() as staging:
        yield _read(db, entry, staging)


def _read(db: Database, entry: Entry, staging: Staging) -> EntryDocument:
    head = entry.head()
    check = validation.EntryCheck(db, entry.folder, head)
    with check.refusing_malformed():
        check.head()
        ending, digest = entry.ending() or (None, None)
        if ending is not None:
            check.ending(ending)
        digests: dict[Path, str] = {}
        unended = hashlib.sha256()
        for path, text, write_digest in entry.write_texts(ending):
            content = parse_document(text, path)
            _check_write(check, parse_write(content, path), staging)
            staging.put(path.name, text)
            if digest is None:
                _add(unended, path, content, first=not digests)
            digests[path] = write_digest
    return EntryDocument(
        entry.folder, head, ending, digest or unended.hexdigest(), digests, staging
    )


def _check_write(check: validation.EntryCheck, write: Write, staging: Staging) -> None:
    if isinstance(write, RowsWrite):
        check.rows(write)
    elif isinstance(write, ParamsWrite):
        check.params(write)
    elif isinstance(write, ArtifactWrite):
        write.blob.check()
        check.artifact(write)
    elif isinstance(write, PartWrite):
        write.blob.check()
        staging.put(write.blob.path.name, _encode(_decode(write)))


def _add(digest: Any, path: Path, content: Mapping[str, Any], *, first: bool) -> None:
    # Earlier versions computed it like this, and the audit trail holds theirs.
    line = path.name.removesuffix(".json") + json.dumps(content)
    digest.update(("" if first else "\n").encode() + line.encode())


def _read_again(path: Path, digest: str) -> bytes:
    text, actual = read_document(path)
    if actual != digest:
        raise SpoolRefused(f"{path} changed while it was delivered; push again.")
    return text


def _decode(write: PartWrite) -> pa.Table:
    """Read a part of the scores from its Parquet file.

    Raises:
        SpoolRefused: the file holds no scores, or other ones.
    """
    import pyarrow as pa
    from pyarrow import parquet

    from mfprefect.scores import SCHEMA, all_pieces, joined
    from mfprefect.scores.digest import digest

    path = write.blob.path
    try:
        with parquet.ParquetFile(path) as file:
            require_plausible(file.metadata.num_rows, path.stat().st_size, path)
        table = joined(all_pieces(str(path), *SCHEMA.names), "entity_id")
    except (InvalidValue, *UNREADABLE, pa.ArrowException) as exc:
        raise SpoolRefused(f"{path} does not hold scores that a run wrote: {exc}") from exc
    if (digest(table), table.num_rows) != (write.digest, write.rows):
        raise SpoolRefused(f"{path} is corrupt: its scores are not what the run wrote.")
    return table


def _encode(table: pa.Table) -> pa.Buffer:
    import pyarrow as pa

    buffer = pa.BufferOutputStream()
    with pa.ipc.new_stream(buffer, table.schema) as stream:
        stream.write_table(table)
    return buffer.getvalue()
