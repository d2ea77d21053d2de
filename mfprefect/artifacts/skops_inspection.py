"""What a skops file may cost and how it may be built, found out before any of it is unpacked.

A skops file is a zip file of arrays and a `schema.json` that says which objects to make of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from os import SEEK_END
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from mfprefect.artifacts.boosters import BOOSTERS
from mfprefect.errors import ArtifactCorrupt

__all__ = ["SCHEMA", "check_file", "nodes"]

_WRONG = (BadZipFile, KeyError, TypeError, ValueError, AttributeError, RuntimeError, EOFError)
"""What zipfile and json raise at a file that is damaged, or made up."""

SCHEMA = "schema.json"
SPARSE_BYTES = 256 * 1024**2
SPARSE_RATIO = 20
"""Sparse matrices alone are compressed: a file may unpack them to the larger of these two."""


def check_file(file: BinaryIO, schema: dict[str, Any] | None = None) -> None:
    """Refuse a file that is no skops file, or would take far more memory than its own size.

    skops compresses nothing but sparse matrices. It reads a member each time that the schema names
    it, so each time counts.

    Args:
        file: the file.
        schema: what its `schema.json` holds, of a file that was written just now.

    Raises:
        ArtifactCorrupt: that is so, or the schema is not one that skops writes.
    """
    size = file.seek(0, SEEK_END)
    try:
        with ZipFile(file) as archive:
            members = {entry.filename: entry for entry in archive.infolist()}
            if any(entry.compress_type != ZIP_STORED for entry in archive.infolist()):
                raise _too_large(size, "has compressed members, and skops writes none")
            claimed = sum(entry.file_size for entry in archive.infolist())
            if claimed > size:
                raise _too_large(size, f"claims to hold {claimed}")
            plain, sparse = 0, 0
            for name in _read_members(schema or json.loads(archive.read(SCHEMA))):
                plain += members[name].file_size
                sparse += _unpacked(archive, name)
    except _WRONG as exc:
        raise ArtifactCorrupt(
            f"the artifact is no skops file: {type(exc).__name__}: {exc}"
        ) from exc
    if plain > size:
        raise _too_large(size, f"has members read again and again, {plain} bytes in all")
    if sparse > max(SPARSE_BYTES, SPARSE_RATIO * size):
        raise _too_large(size, f"claims to unpack sparse matrices to {sparse}")


def nodes(state: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects of a schema, each before what it holds."""
    waiting = [state]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(reversed(node.values()))
        elif isinstance(node, list | tuple):
            waiting.extend(reversed(node))


def _read_members(schema: Any) -> Iterator[str]:
    """Yield the names of the members that skops reads, as often as it reads them."""
    read: set[tuple[Any, str]] = set()
    for node in nodes(schema):
        _check_loader(node)
        if not isinstance(name := node.get("file"), str):
            continue
        # An object that has a number is made once, from one of the members given for it.
        key = (node.get("__id__"), name)
        if not key[0] or key not in read:
            read.add(key)
            yield name


def _check_loader(node: dict[str, Any]) -> None:
    """Refuse that a booster is made otherwise than from its state: it would read any file."""
    name, loader = f"{node.get('__module__')}.{node.get('__class__')}", node.get("__loader__")
    if name in BOOSTERS and loader != "ObjectNode":
        raise ArtifactCorrupt(
            f"the artifact makes a {name} by {loader!r}; skops writes ObjectNode, so it is refused."
        )


def _unpacked(archive: ZipFile, name: str) -> int:
    """Return what a sparse matrix claims to unpack to; it is a zip file inside of the zip file."""
    with archive.open(name) as member:
        if member.read(2) != b"PK":
            return 0
        with ZipFile(member) as inner:
            return sum(entry.file_size for entry in inner.infolist())


def _too_large(size: int, what: str) -> ArtifactCorrupt:
    return ArtifactCorrupt(f"the artifact has {size} bytes and {what}, so it is refused.")
