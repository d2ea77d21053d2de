"""Read the commit, the remote and the uncommitted changes of a git or Mercurial checkout."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

__all__ = ["Checkout", "find_checkout", "read_checkout", "run"]

_log = logging.getLogger(__name__)

_TIMEOUT = 30.0
"""Seconds per git or hg command; a network file system can be slow."""

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
    *("-c", "core.fsmonitor=false"),  # would run a daemon or a script of the repository
    *("status", "--porcelain=v2", "--branch", "-z", "--no-renames"),
    *("--untracked-files=all", "--ignore-submodules=none"),
)

_HIDDEN_VARIABLES = {
    # Set inside a git hook; they would point every command at the hook's repository.
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE"),
    *("GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_TRACE", "HGPLAINEXCEPT"),
}


_FIXED_VARIABLES = {
    **{"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
    **{"HGPLAIN": "1", "HGENCODING": "utf-8"},
}


class Checkout(NamedTuple):
    """The state of a checkout; unknown fields are None."""

    commit: str | None = None
    branch: str | None = None
    remote: str | None = None
    """As configured; it may hold credentials."""
    dirty: bool | None = None
    diff_digest: str | None = None


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
        return _read_git(root) if vcs == "git" else _read_hg(root)
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


def run(
    root: Path, program: str, *arguments: str, timeout: float | None = None
) -> io.BufferedRandom:
    """Run git or hg and return its output as an open file, because a diff can exceed memory.

    Raises:
        FileNotFoundError: the program is not installed.
        subprocess.SubprocessError: it failed, or took too long.
    """
    path = shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
    if path is None:
        raise FileNotFoundError(f"{program} is not installed")
    environ = {name: value for name, value in os.environ.items() if name not in _HIDDEN_VARIABLES}
    output = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        subprocess.run(  # noqa: S603 - a fixed list of arguments, no shell
            [path, *arguments],
            cwd=root,
            # The ceiling stops git from reading an outer checkout if this one is broken.
            env={**environ, **_FIXED_VARIABLES, "GIT_CEILING_DIRECTORIES": str(root.parent)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            timeout=timeout or _TIMEOUT,
            check=True,
        )
    except BaseException:
        output.close()
        raise
    output.seek(0)
    return output


def _read(root: Path, program: str, *arguments: str) -> str:
    with run(root, program, *arguments) as output:
        return os.fsdecode(output.read())


def _optional(root: Path, program: str, *arguments: str) -> str:
    try:
        return _read(root, program, *arguments)
    except subprocess.CalledProcessError:  # git and hg fail if the setting does not exist
        return ""


def _read_git(root: Path) -> Checkout:
    lines = _read(root, "git", *_GIT_STATUS).split("\0")
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
        digest = _digest(root, diff, untracked if has_commit else tracked + untracked)
    return Checkout(
        commit if has_commit else None,
        None if branch == "(detached)" else branch,
        _git_remote(root, branch),
        bool(tracked or untracked),
        digest,
    )


def _git_remote(root: Path, branch: str | None) -> str | None:
    pattern = r"^(remote\..*\.url|branch\..*\.remote)$"
    text = _optional(root, "git", "config", "-z", "--get-regexp", pattern)
    settings: dict[str, str] = {}
    for entry in text.split("\0"):
        key, _, value = entry.partition("\n")
        settings.setdefault(key, value)  # git fetches from the first of several URLs
    name = settings.get(f"branch.{branch}.remote", "origin")
    url = settings.get(f"remote.{name}.url") or settings.get("remote.origin.url")
    return url or None


def _read_hg(root: Path) -> Checkout:
    hg = ("hg", "-R", ".")
    node, branch = _read(root, *hg, "log", "-r", ".", "-T", "{node}\n{branch}").split("\n", 1)
    remote = _optional(root, *hg, "paths", "default").strip()
    status = ("status", "--print0", "--modified", "--added", "--removed", "--deleted", "--unknown")
    changes = [line for line in _read(root, *hg, *status).split("\0") if line]
    digest = None
    if changes:
        # "!" is a tracked file deleted without `hg remove`, which the diff does not show.
        untracked = [line[2:] for line in changes if line[0] in "?!"]
        diff = ("-R", ".", "diff", "--git") if len(untracked) < len(changes) else None
        digest = _digest(root, diff, untracked, program="hg")
    return Checkout(
        node if node.strip("0") else None,  # all zeros: no commit yet
        branch or None,
        remote or None,
        bool(changes),
        digest,
    )


def _digest(
    root: Path, diff: tuple[str, ...] | None, untracked: list[str], *, program: str = "git"
) -> str | None:
    digest = hashlib.sha256()
    if diff is not None:
        try:
            with run(root, program, *diff) as output:
                digest.update(hashlib.file_digest(output, "sha256").digest())
        except (OSError, subprocess.SubprocessError) as exc:
            _log.warning("the changes in %s are not digested: %s", root, exc)
            return None
    remaining = _TOTAL_BYTES
    for name in sorted(os.fsencode(name) for name in untracked):
        content = _content(root / os.fsdecode(name), remaining)
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
