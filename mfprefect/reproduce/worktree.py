"""A commit of a git repository in a folder of its own, for as long as it is needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mfprefect.errors import ConfigurationError
from mfprefect.provenance.checkout import run

__all__ = ["has_commit", "is_commit", "worktree"]

_SECONDS = 600.0
"""How long a checkout may take."""

_NO_HOOKS = ("-c", "core.hooksPath=/dev/null")
"""What a repository does when somebody checks out is no part of what was recorded."""


def is_commit(text: str | None) -> bool:
    """Return whether a text is the full hash of a commit, and nothing that git takes otherwise."""
    return text is not None and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text) is not None


def has_commit(repository: Path, commit: str) -> bool:
    """Return whether a repository holds a commit.

    Raises:
        ConfigurationError: git is not installed, or cannot read the repository.
    """
    try:
        run(repository, "git", "cat-file", "-e", f"{commit}^{{commit}}").close()
    except subprocess.CalledProcessError as exc:
        if exc.returncode not in (1, 128) or b"ownership" in exc.stderr:
            raise _cannot(exc) from exc
        return False
    except (OSError, subprocess.SubprocessError) as exc:
        raise _cannot(exc) from exc
    return True


@contextmanager
def worktree(repository: Path, commit: str) -> Iterator[Path]:
    """Check a commit out into a temporary folder, which goes when the block is left.

    Raises:
        ConfigurationError: git cannot check it out.
    """
    folder = Path(tempfile.mkdtemp(prefix="mfprefect-")).resolve()
    root = folder / repository.name
    add = ("worktree", "add", "--quiet", "--detach", str(root), commit)
    try:
        try:
            run(repository, "git", *_NO_HOOKS, *add, timeout=_SECONDS).close()
        except (OSError, subprocess.SubprocessError) as exc:
            raise _cannot(exc) from exc
        yield root
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        # Locked by git while it adds it, and for good if it was killed then.
        for tidy in (("unlock", str(root)), ("prune",)):
            with suppress(OSError, subprocess.SubprocessError):
                run(repository, "git", "worktree", *tidy).close()


def _cannot(exc: Exception) -> ConfigurationError:
    said = exc.stderr if isinstance(exc, subprocess.CalledProcessError) else str(exc).encode()
    return ConfigurationError(f"git says: {os.fsdecode(said).strip()}")
