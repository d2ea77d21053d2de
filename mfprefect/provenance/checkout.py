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
"""Seconds for one command of git or hg; a network file system can be slow."""

_FILE_BYTES = 1_000_000
_TOTAL_BYTES = 64_000_000
"""Up to these sizes (one file, all files) an untracked file's content counts, else its size."""

_GIT_DIFF = (
    # What a user's configuration can change is pinned, so that the same change has the same digest
    # on another machine. --full-index names the content of binary files by their hash; --binary
    # would print them compressed, which differs between versions of zlib.
    *("-c", "diff.suppressBlankEmpty=false", "-c", "core.quotePath=true"),
    *("diff", "HEAD", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv"),
    *("--no-renames", "--no-relative", "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short"),
    *("--unified=3", "--inter-hunk-context=0", "--diff-algorithm=myers", "--indent-heuristic"),
    *("--ignore-submodules=none", "-O/dev/null"),
)

_GIT_STATUS = (
    *("-c", "core.fsmonitor=false"),  # a daemon or a script of the repository
    *("status", "--porcelain=v2", "--branch", "-z", "--no-renames"),
    *("--untracked-files=all", "--ignore-submodules=none"),
)

_HIDDEN_VARIABLES = {
    # Set inside a hook of git; they would point every command at that other repository.
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE"),
    *("GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_TRACE", "HGPLAINEXCEPT"),
}


_FIXED_VARIABLES = {
    **{"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
    **{"HGPLAIN": "1", "HGENCODING": "utf-8"},
}


class Checkout(NamedTuple):
    """What is checked out; a field is None where it could not be found out."""

    commit: str | None = None
    branch: str | None = None
    remote: str | None = None
    """As configured: it can hold credentials."""
    dirty: bool | None = None
    diff_digest: str | None = None


def find_checkout(folder: Path) -> tuple[str | None, Path | None]:
    """Return ("git" or "hg", its root) of the nearest checkout around a folder, or two None."""
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
    """Read a checkout with the program `vcs`, "git" or "hg"; None, and a warning, if it cannot.

    Never raises. The digest of the changes covers the differences from the commit, and the
    names and contents of the files that are neither tracked nor ignored.
    """
    try:
        return _read_git(root) if vcs == "git" else _read_hg(root)
    except subprocess.CalledProcessError as exc:
        reason = os.fsdecode(exc.stderr).strip()
    except (OSError, ValueError, subprocess.SubprocessError) as exc:
        reason = str(exc)
    if "dubious ownership" in reason:
        reason = (
            "it belongs to another user, so git does not read it. If you trust it: "
            f"git config --global --add safe.directory {root}"
        )
    _log.warning("the commit of the %s checkout %s is not recorded: %s", vcs, root, reason)
    return None


def run(
    root: Path, program: str, *arguments: str, timeout: float | None = None
) -> io.BufferedRandom:
    """Run git or hg and return its output as an open file: a diff can be larger than the memory.

    Raises:
        FileNotFoundError: the program is not installed.
        subprocess.SubprocessError: it failed, or took too long.
    """
    found = shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
    if found is None:
        raise FileNotFoundError(f"{program} is not installed")
    kept = {name: value for name, value in os.environ.items() if name not in _HIDDEN_VARIABLES}
    output = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        subprocess.run(  # noqa: S603 - a fixed list of arguments, no shell
            [found, *arguments],
            cwd=root,
            # The ceiling: inside a broken checkout git would go on to the one around it.
            env={**kept, **_FIXED_VARIABLES, "GIT_CEILING_DIRECTORIES": str(root.parent)},
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
    except subprocess.CalledProcessError:  # how git and hg say "there is none"
        return ""


def _read_git(root: Path) -> Checkout:
    lines = _read(root, "git", *_GIT_STATUS).split("\0")
    heads = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    commit = heads.get("branch.oid")
    branch = heads.get("branch.head")
    born = commit != "(initial)"
    tracked = [line.split(" ", 8)[-1] for line in lines if line[:2] in ("1 ", "2 ", "u ")]
    others = [line[2:] for line in lines if line.startswith("? ")]
    digest = None
    if tracked or others:
        # Before the first commit there is nothing to compare with: every file counts as new.
        diff = _GIT_DIFF if born and tracked else None
        digest = _digest(root, diff, others if born else tracked + others)
    return Checkout(
        commit if born else None,
        None if branch == "(detached)" else branch,
        _git_remote(root, branch),
        bool(tracked or others),
        digest,
    )


def _git_remote(root: Path, branch: str | None) -> str | None:
    pattern = r"^(remote\..*\.url|branch\..*\.remote)$"
    text = _optional(root, "git", "config", "-z", "--get-regexp", pattern)
    settings: dict[str, str] = {}
    for entry in text.split("\0"):
        key, _, value = entry.partition("\n")
        settings.setdefault(key, value)  # of several URLs of one remote git fetches from the first
    name = settings.get(f"branch.{branch}.remote", "origin")
    url = settings.get(f"remote.{name}.url") or settings.get("remote.origin.url")
    return url or None


def _read_hg(root: Path) -> Checkout:
    here = ("hg", "-R", ".")
    node, branch = _read(root, *here, "log", "-r", ".", "-T", "{node}\n{branch}").split("\n", 1)
    remote = _optional(root, *here, "paths", "default").strip()
    status = ("status", "--print0", "--modified", "--added", "--removed", "--deleted", "--unknown")
    changes = [line for line in _read(root, *here, *status).split("\0") if line]
    digest = None
    if changes:
        # "!" is a tracked file that was deleted without telling hg: its diff does not show it.
        others = [line[2:] for line in changes if line[0] in "?!"]
        diff = ("-R", ".", "diff", "--git") if len(others) < len(changes) else None
        digest = _digest(root, diff, others, program="hg")
    return Checkout(
        node if node.strip("0") else None,  # all zeros: no commit yet
        branch or None,
        remote or None,
        bool(changes),
        digest,
    )


def _digest(
    root: Path, diff: tuple[str, ...] | None, others: list[str], *, program: str = "git"
) -> str | None:
    digest = hashlib.sha256()
    if diff is not None:
        try:
            with run(root, program, *diff) as output:
                digest.update(hashlib.file_digest(output, "sha256").digest())
        except (OSError, subprocess.SubprocessError) as exc:
            _log.warning("the changes in %s are not digested: %s", root, exc)
            return None
    left = _TOTAL_BYTES
    for name in sorted(os.fsencode(name) for name in others):
        content = _content(root / os.fsdecode(name), left)
        left -= len(content)
        # The lengths keep one file's end and the next one's name apart.
        digest.update(b"%d:%s%d:%s" % (len(name), name, len(content), content))
    return digest.hexdigest()


def _content(path: Path, left: int) -> bytes:
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            return b"-> " + os.fsencode(os.readlink(path))
        if not stat.S_ISREG(found.st_mode):  # a nested repository, or a pipe, which would block
            return b""
        if found.st_size > min(_FILE_BYTES, left):
            return b"%d bytes" % found.st_size
        return path.read_bytes()
    except OSError:  # deleted, or not ours to read
        return b""
