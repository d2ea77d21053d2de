"""Check out a commit of a git repository into a temporary worktree."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mfprefect.errors import ConfigurationError
from mfprefect.provenance.vcs_commands import Vcs
from mfprefect.util.removal import temporary_folder

__all__ = ["has_commit", "is_commit", "worktree"]

_TIMEOUT = 600.0
"""Seconds for a checkout."""


def is_commit(text: str | None) -> bool:
    """Say whether a text is the full hash of a commit, not an option or a name for git."""
    return text is not None and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text) is not None


def has_commit(repository: Path, commit: str) -> bool:
    """Say whether a repository holds a commit.

    Raises:
        ConfigurationError: git is not installed, or cannot read the repository.
    """
    try:
        Vcs("git", repository).run("cat-file", "-e", f"{commit}^{{commit}}").close()
    except subprocess.CalledProcessError as exc:
        if exc.returncode not in (1, 128) or b"ownership" in exc.stderr:
            raise _git_error(exc) from exc
        return False
    except (OSError, subprocess.SubprocessError) as exc:
        raise _git_error(exc) from exc
    return True


@contextmanager
def worktree(repository: Path, commit: str) -> Iterator[Path]:
    """Check out a commit into a temporary folder, and delete the folder at the end of the block.

    Raises:
        ConfigurationError: git cannot check out the commit.
    """
    git = Vcs("git", repository)
    root = Path()
    try:
        with temporary_folder() as folder:
            root = folder / repository.name
            add = ("worktree", "add", "--quiet", "--detach", str(root), commit)
            try:
                git.run(*add, timeout=_TIMEOUT).close()
            except (OSError, subprocess.SubprocessError) as exc:
                raise _git_error(exc) from exc
            yield root
    finally:
        # git locks a worktree while adding it; the lock remains if git was killed.
        for command in (("unlock", str(root)), ("prune",)):
            with suppress(OSError, subprocess.SubprocessError):
                git.run("worktree", *command).close()


def _git_error(exc: Exception) -> ConfigurationError:
    output = exc.stderr if isinstance(exc, subprocess.CalledProcessError) else str(exc).encode()
    return ConfigurationError(f"git says: {os.fsdecode(output).strip()}")
