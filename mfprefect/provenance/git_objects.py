"""Read a commit from git's files, because another process of git would delay each opening.

The formats: git's documents gitrepository-layout and gitformat-pack. What is not as they say counts
as not there. An object is only believed if its digest is its name.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

__all__ = ["read_commit"]

MOST_BYTES = 1024 * 1024
"""Of an object; commits with a signature have a few thousand."""
READ_BYTES = 4096
MOST_DELTAS = 64
"""Of a chain; git makes at most 50 by default."""
MOST_ALTERNATES = 5
SHA256_BYTES = 32
_IDX_2 = b"\xfftOc\x00\x00\x00\x02"
_COMMIT, _OFFSET_DELTA, _NAMED_DELTA = 1, 6, 7


class _Malformed(Exception):
    """A file is not as git writes it."""


def read_commit(root: Path, commit: str) -> bytes | None:
    """Return the content of a commit of a checkout; None if it cannot be read.

    Args:
        root: the folder with `.git`, which is a folder, or a file in a worktree or submodule.
        commit: its full hash, of SHA-1 or SHA-256.
    """
    try:
        name = bytes.fromhex(commit)
        for objects in _object_folders(_git_folder(root) / "objects", MOST_ALTERNATES):
            content = _loose(objects, commit) or _packed(objects, name)
            if content is not None and _is_named(content, name):
                return content
    except (OSError, OverflowError, ValueError, _Malformed, struct.error, zlib.error):
        return None
    return None


def _is_named(content: bytes, name: bytes) -> bool:
    data = b"commit %d\0" % len(content) + content
    if len(name) == SHA256_BYTES:
        return hashlib.sha256(data).digest() == name
    return hashlib.sha1(data, usedforsecurity=False).digest() == name


def _git_folder(root: Path) -> Path:
    """Return the folder with the objects: of a worktree, that of its repository."""
    folder = root / ".git"
    if folder.is_file():
        line = _text(folder)
        if not line.startswith("gitdir: "):
            raise _Malformed
        folder = root / line.removeprefix("gitdir: ").rstrip("\n")
    common = folder / "commondir"
    return folder / _text(common).rstrip("\n") if common.is_file() else folder


def _object_folders(folder: Path, depth: int) -> Iterator[Path]:
    """Yield a folder of objects and those that it borrows from."""
    yield folder
    alternates = folder / "info" / "alternates"
    if depth and alternates.is_file():
        for line in _text(alternates).splitlines():
            if line and not line.startswith("#"):
                yield from _object_folders(folder / line, depth - 1)


def _text(path: Path) -> str:
    with _opened(path) as file:
        return os.fsdecode(file.read(MOST_BYTES))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    # A pipe of a stranger's checkout must not be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _Malformed
        yield file


def _inflated(file: BinaryIO) -> bytes:
    """Return what is compressed from here on."""
    stream, content = zlib.decompressobj(), bytearray()
    while not stream.eof and (data := file.read(READ_BYTES)):
        content += stream.decompress(data, MOST_BYTES + 1 - len(content))
        if len(content) > MOST_BYTES:
            raise _Malformed
    return bytes(content)


def _loose(objects: Path, commit: str) -> bytes | None:
    try:
        with _opened(objects / commit[:2] / commit[2:]) as file:
            head, _, content = _inflated(file).partition(b"\0")
    except FileNotFoundError:
        return None
    return content if head.startswith(b"commit ") else None


def _packed(objects: Path, name: bytes) -> bytes | None:
    for index in sorted((objects / "pack").glob("pack-*.idx")):
        with _opened(index) as file:
            offset = _find(file, name)
        if offset is not None:
            with _opened(index.with_suffix(".pack")) as pack, _opened(index) as file:
                kind, content = _entry(_Pack(pack, file, len(name)), offset, MOST_DELTAS)
            return content if kind == _COMMIT else None
    return None


class _Pack(NamedTuple):
    file: BinaryIO
    names: BinaryIO
    digest_size: int


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    data = file.read(size)
    if len(data) != size:
        raise _Malformed
    return data


def _find(index: BinaryIO, name: bytes) -> int | None:
    """Return where in its pack an object is; None if it is in another one."""
    if index.read(8) != _IDX_2:
        return None  # of a git from before 2007
    size, names = len(name), 8 + 256 * 4
    fanout = struct.unpack(">256I", _read(index, 8, 256 * 4))
    low, high, count = (fanout[name[0] - 1] if name[0] else 0), fanout[name[0]], fanout[255]
    while low < high:
        middle = (low + high) // 2
        other = _read(index, names + middle * size, size)
        if other == name:
            return _offset(index, names + count * (size + 4), count, middle)
        low, high = (middle + 1, high) if other < name else (low, middle)
    return None


def _offset(index: BinaryIO, table: int, count: int, place: int) -> int:
    (offset,) = struct.unpack(">I", _read(index, table + place * 4, 4))
    if not offset & 0x80000000:
        return int(offset)
    large = table + count * 4 + (offset & 0x7FFFFFFF) * 8
    return int(struct.unpack(">Q", _read(index, large, 8))[0])


def _entry(pack: _Pack, offset: int, depth: int) -> tuple[int, bytes]:
    """Return the type and content of an object, rebuilt if it is stored as a difference."""
    if not depth:
        raise _Malformed
    pack.file.seek(offset)
    byte = _byte(pack.file)
    kind = byte >> 4 & 7
    while byte & 0x80:  # the rest of the size
        byte = _byte(pack.file)
    if kind == _OFFSET_DELTA:
        base = offset - _distance(pack.file)
    elif kind == _NAMED_DELTA:
        name, place = pack.file.read(pack.digest_size), pack.file.tell()
        pack.names.seek(0)
        if (of_name := _find(pack.names, name)) is None:
            raise _Malformed
        base = of_name
        pack.file.seek(place)
    else:
        return kind, _inflated(pack.file)
    delta = _inflated(pack.file)
    if not 0 < base < offset and kind == _OFFSET_DELTA:
        raise _Malformed
    base_kind, content = _entry(pack, base, depth - 1)
    return base_kind, _patched(content, delta)


def _byte(file: BinaryIO) -> int:
    data = file.read(1)
    if not data:
        raise _Malformed
    return data[0]


def _distance(file: BinaryIO) -> int:
    byte = _byte(file)
    distance = byte & 0x7F
    while byte & 0x80:
        byte = _byte(file)
        distance = ((distance + 1) << 7) | (byte & 0x7F)
    return distance


def _patched(base: bytes, delta: bytes) -> bytes:
    """Return what a difference makes of an object: copies of its parts, and new bytes."""
    codes = iter(delta)
    try:
        if _size(codes) != len(base):
            raise _Malformed
        target_size, target = _size(codes), bytearray()
        if target_size > MOST_BYTES:
            raise _Malformed
        for code in codes:
            if code & 0x80:
                start, length = _number(codes, code, 4), _number(codes, code >> 4, 3) or 0x10000
                target += base[start : start + length]
            elif code:
                target += bytes(next(codes) for _ in range(code))
            else:
                raise _Malformed
            if len(target) > target_size:
                raise _Malformed
    except (StopIteration, RuntimeError) as exc:
        raise _Malformed from exc
    return bytes(target)


def _size(codes: Iterator[int]) -> int:
    size = shift = 0
    byte = 0x80
    while byte & 0x80:
        byte = next(codes)
        size |= (byte & 0x7F) << shift
        shift += 7
    return size


def _number(codes: Iterator[int], present: int, places: int) -> int:
    """Return a number of which only the bytes are stored that `present` has a bit for."""
    return sum(next(codes) << 8 * place for place in range(places) if present >> place & 1)
