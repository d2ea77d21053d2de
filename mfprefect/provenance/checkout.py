"""Read the commit, the remote and the uncommitted changes of a git or Mercurial checkout."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import subprocess
from pathlib import Path
from typing import NamedTuple

from mfprefect.provenance.git_objects import read_commit
from mfprefect.provenance.vcs_commands import Vcs

__all__ = ["Checkout", "find_checkout", "read_checkout"]

_log = logging.getLogger(__name__)

_FILE_BYTES = 1_000_000
_TOTAL_BYTES = 64_000_000
"""Limits (one file, all files) for digesting the content of untracked files; beyond, the size."""

_GIT_DIFF = (
    # Override user configuration, so that the same change has the same digest on every machine.
    # --full-index identifies binary files by hash; --binary would print them compressed, which
    # differs between zlib versions.
    *("-c", "diff.suppressBlankEmpty=false", "-c", "core.quotePath=true"),
    *("diff", "HEAD", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv"),
    *("--no-renames", "--no-relative", "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short"),
    *("--unified=3", "--inter-hunk-context=0", "--diff-algorithm=myers", "--indent-heuristic"),
    *("--ignore-submodules=none", "-O/dev/null"),
)

_GIT_STATUS = (
    *("status", "--porcelain=v2", "--branch", "-z", "--no-renames"),
    *("--untracked-files=all", "--ignore-submodules=none"),
)

AUTHOR_LENGTH = 255

_HERE = ("-R", ".")
"""Options of hg: the repository is the current folder."""


class Checkout(NamedTuple):
    """The state of a checkout; unknown fields are None."""

    commit: str | None = None
    branch: str | None = None
    remote: str | None = None
    """As configured; it may hold credentials."""
    dirty: bool | None = None
    diff_digest: str | None = None
    author: str | None = None
    """Of the commit: name and mail address."""


def find_checkout(folder: Path) -> tuple[str | None, Path | None]:
    """Return "git" or "hg", and the root, of the nearest checkout around a folder, or two None."""
    try:
        start = folder.resolve()
        for root in (start, *start.parents):
            for vcs in ("git", "hg"):  # .git is a file in a worktree or submodule
                if (root / f".{vcs}").exists():
                    return vcs, root
    except (OSError, RuntimeError) as exc:
        _log.warning("cannot look for a checkout around %s: %s", folder, exc)
    return None, None


def read_checkout(vcs: str, root: Path) -> Checkout | None:
    """Read a checkout with the program `vcs`, "git" or "hg".

    Never raise: log a failure as a warning and return None. The digest of the changes covers the
    differences from the commit, and the names and contents of files that are neither tracked nor
    ignored.
    """
    try:
        checkout = Vcs(vcs, root)
        return _read_git(checkout) if vcs == "git" else _read_hg(checkout)
    except subprocess.CalledProcessError as exc:
        reason = os.fsdecode(exc.stderr).strip()
    except (OSError, ValueError, subprocess.SubprocessError) as exc:
        reason = str(exc)
    if "dubious ownership" in reason:
        reason = (
            "it belongs to another user, so git refuses to read it. If you trust it, run "
            f"git config --global --add safe.directory {root}"
        )
    _log.warning("the commit of the %s checkout %s is not recorded: %s", vcs, root, reason)
    return None


def _read_git(git: Vcs) -> Checkout:
    lines = git.output(*_GIT_STATUS).split("\0")
    heads = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    commit = heads.get("branch.oid")
    branch = heads.get("branch.head")
    has_commit = commit != "(initial)"
    tracked = [line.split(" ", 8)[-1] for line in lines if line[:2] in ("1 ", "2 ", "u ")]
    untracked = [line[2:] for line in lines if line.startswith("? ")]
    digest = None
    if tracked or untracked:
        # Before the first commit, every file counts as new.
        diff = _GIT_DIFF if has_commit and tracked else None
        digest = _digest(git, diff, untracked if has_commit else tracked + untracked)
    return Checkout(
        commit if has_commit else None,
        None if branch == "(detached)" else branch,
        _git_remote(git, branch),
        bool(tracked or untracked),
        digest,
        _git_author(git.root, commit) if commit and has_commit else None,
    )


def _git_author(root: Path, commit: str) -> str | None:
    head = (read_commit(root, commit) or b"").partition(b"\n\n")[0].split(b"\n")
    fields = dict(line.split(b" ", 1) for line in reversed(head) if b" " in line)
    try:
        text = fields.get(b"author", b"").decode(fields.get(b"encoding", b"utf-8").decode())
    except (LookupError, UnicodeDecodeError):
        text = fields.get(b"author", b"").decode("latin-1")
    return _one_line(text.rpartition(">")[0] + ">") if ">" in text else None


def _one_line(author: str) -> str | None:
    """Return a name as a column holds it: printable, and not longer."""
    plain = "".join(c if c.isprintable() else " " for c in author).split()
    return " ".join(plain)[:AUTHOR_LENGTH] or None


def _git_remote(git: Vcs, branch: str | None) -> str | None:
    settings: dict[str, str] = {}
    for _, key, value in git.settings:
        settings.setdefault(key, value)  # git fetches from the first of several URLs
    name = settings.get(f"branch.{branch}.remote", "origin")
    url = settings.get(f"remote.{name}.url") or settings.get("remote.origin.url")
    return url or None


def _read_hg(hg: Vcs) -> Checkout:
    fields = "{node}\n{branch}\n{author}"
    node, branch, author = hg.output(*_HERE, "log", "-r", ".", "-T", fields).split("\n", 2)
    remote = _hg_remote(hg.root) or hg.optional_output(*_HERE, "paths", "default").strip()
    status = ("status", "--print0", "--modified", "--added", "--removed", "--deleted", "--unknown")
    changes = [line for line in hg.output(*_HERE, *status).split("\0") if line]
    digest = None
    if changes:
        # "!" is a tracked file deleted without `hg remove`, which the diff does not show.
        untracked = [line[2:] for line in changes if line[0] in "?!"]
        diff = (*_HERE, "diff", "--git") if len(untracked) < len(changes) else None
        digest = _digest(hg, diff, untracked)
    has_commit = bool(node.strip("0"))  # all zeros: no commit yet
    return Checkout(
        node if has_commit else None,
        branch or None,
        remote or None,
        bool(changes),
        digest,
        _one_line(author) if has_commit else None,
    )


def _hg_remote(root: Path) -> str | None:
    """Read the default path of a repository's hgrc, which hg is not allowed to read."""
    try:
        text = (root / ".hg" / "hgrc").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[] \t")
        key, equals, value = line.partition("=")
        if section == "paths" and equals and key.strip() == "default":
            return value.strip()
    return None


def _digest(vcs: Vcs, diff: tuple[str, ...] | None, untracked: list[str]) -> str | None:
    digest = hashlib.sha256()
    if diff is not None:
        try:
            with vcs.run(*diff) as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except (OSError, subprocess.SubprocessError) as exc:
            _log.warning("the changes in %s are not digested: %s", vcs.root, exc)
            return None
    remaining = _TOTAL_BYTES
    for name in sorted(os.fsencode(name) for name in untracked):
        content = _content(vcs.root / os.fsdecode(name), remaining)
        remaining -= len(content)
        # The lengths separate the end of a file from the next name.
        digest.update(b"%d:%s%d:%s" % (len(name), name, len(content), content))
    return digest.hexdigest()


def _content(path: Path, remaining: int) -> bytes:
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            return b"-> " + os.fsencode(os.readlink(path))
        if not stat.S_ISREG(status.st_mode):  # a nested repository, or a pipe, which would block
            return b""
        if status.st_size > min(_FILE_BYTES, remaining):
            return b"%d bytes" % status.st_size
        return path.read_bytes()
    except OSError:  # deleted, or not readable
        return b""
