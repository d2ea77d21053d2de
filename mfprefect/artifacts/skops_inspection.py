"""Check the size and structure of a skops file before unpacking any of it.

A skops file is a zip file of arrays and a `schema.json` that lists the objects to build from them.
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

_MALFORMED = (BadZipFile, KeyError, TypeError, ValueError, AttributeError, RuntimeError, EOFError)
"""Errors of zipfile and json on a damaged or forged file."""

SCHEMA = "schema.json"
SPARSE_BYTES = 256 * 1024**2
SPARSE_RATIO = 20
"""Only sparse matrices are compressed; they may unpack to the larger of these two limits."""


def check_file(file: BinaryIO, schema: dict[str, Any] | None = None) -> None:
    """Refuse a file that is not a skops file, or would need far more memory than its size.

    skops compresses only sparse matrices. It reads a member every time the schema names it, so
    every time counts.

    Args:
        file: the file.
        schema: the content of `schema.json`, for a file that was just written: its members are
            what their names say.

    Raises:
        ArtifactCorrupt: the file is refused, or its schema is not one that skops writes.
    """
    size = file.seek(0, SEEK_END)
    try:
        with ZipFile(file) as archive:
            members = {entry.filename: entry for entry in archive.infolist()}
            if any(entry.compress_type != ZIP_STORED for entry in archive.infolist()):
                raise _too_large(size, "has compressed members, which skops never writes")
            claimed = sum(entry.file_size for entry in archive.infolist())
            if claimed > size:
                raise _too_large(size, f"claims to hold {claimed}")
            plain, sparse = 0, 0
            for name in _read_members(schema or json.loads(archive.read(SCHEMA))):
                plain += members[name].file_size
                if schema is None or name.endswith(".npz"):
                    sparse += _unpacked(archive, name)
    except _MALFORMED as exc:
        raise ArtifactCorrupt(
            f"the artifact is not a skops file: {type(exc).__name__}: {exc}"
        ) from exc
    if plain > size:
        raise _too_large(size, f"reads its members repeatedly, {plain} bytes in total")
    if sparse > max(SPARSE_BYTES, SPARSE_RATIO * size):
        raise _too_large(size, f"claims to unpack sparse matrices to {sparse}")


def nodes(state: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects of a schema, each before its children."""
    stack = [state]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield node
            stack.extend(reversed(node.values()))
        elif isinstance(node, list | tuple):
            stack.extend(reversed(node))


def _read_members(schema: Any) -> Iterator[str]:
    """Yield the name of a member each time that skops reads it."""
    seen: set[tuple[Any, str]] = set()
    for node in nodes(schema):
        _check_loader(node)
        if not isinstance(name := node.get("file"), str):
            continue
        # An object with a number is built once, from one of the members given for it.
        key = (node.get("__id__"), name)
        if not key[0] or key not in seen:
            seen.add(key)
            yield name


def _check_loader(node: dict[str, Any]) -> None:
    """Refuse a booster that is not built from its state: its constructor can read any file."""
    name, loader = f"{node.get('__module__')}.{node.get('__class__')}", node.get("__loader__")
    if name in BOOSTERS and loader != "ObjectNode":
        raise ArtifactCorrupt(
            f"the artifact builds a {name} with {loader!r}; skops writes ObjectNode, so it is "
            "refused."
        )


def _unpacked(archive: ZipFile, name: str) -> int:
    """Return the claimed size of a sparse matrix, which is a zip file inside the zip file."""
    with archive.open(name) as member:
        if member.read(2) != b"PK":
            return 0
        with ZipFile(member) as inner:
            return sum(entry.file_size for entry in inner.infolist())


def _too_large(size: int, problem: str) -> ArtifactCorrupt:
    return ArtifactCorrupt(f"the artifact has {size} bytes and {problem}, so it is refused.")
