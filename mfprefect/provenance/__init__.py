"""Which code, on which machine, with which packages: what a session records about its run."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import pwd
import re
import sys
import sysconfig
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mfprefect.provenance.checkout import Checkout, find_checkout, read_checkout

__all__ = ["Environment", "Provenance", "capture", "environment", "strip_credentials"]


@dataclass(frozen=True)
class Provenance:
    """Where a run came from; a field is None where it could not be found out."""

    vcs: str | None
    """"git" or "hg"."""
    commit: str | None
    """The full hash of the commit that is checked out."""
    branch: str | None
    """None on a detached HEAD; for Mercurial the named branch."""
    remote: str | None
    """The URL that the branch comes from, without credentials."""
    dirty: bool | None
    """Whether a tracked file differs from the commit, or a file is neither tracked nor ignored."""
    diff_digest: str | None
    """SHA-256 (hex) of those differences; None when there are none."""
    run_by: str
    """The operating system's name of the user; "uid:1234" where it has none."""
    host: str
    process_id: int


@dataclass(frozen=True)
class Environment:
    """The interpreter and the installed packages."""

    digest: str
    """SHA-256 (hex) of the canonical JSON of the other fields."""
    python: str
    platform: str
    packages_json: str
    """JSON text: version by normalised package name, sorted."""


def capture(folder: Path | None = None) -> Provenance:
    """Describe the checkout that holds a folder, the user and the machine.

    Never raises: what cannot be found out is None. Where there is no readable checkout (a container
    without `.git`), the variables `MFPREFECT_GIT_COMMIT`, `MFPREFECT_GIT_BRANCH` and
    `MFPREFECT_GIT_REMOTE` are believed.

    Args:
        folder: where to look; by default the folder of the running script, else the current one.
    """
    folder = folder or _default_folder()
    vcs, root = find_checkout(folder) if folder else (None, None)
    found = read_checkout(vcs, root) if vcs and root else None
    if found is None:
        found = _from_variables()
        vcs = "git" if any(found) else vcs
    return Provenance(
        vcs=vcs,
        commit=found.commit,
        branch=found.branch,
        remote=strip_credentials(found.remote) if found.remote else None,
        dirty=found.dirty,
        diff_digest=found.diff_digest,
        run_by=_user(),
        host=platform.node(),
        process_id=os.getpid(),
    )


def strip_credentials(url: str) -> str:
    """Remove users, passwords, tokens, queries and fragments from a remote's URL.

    The user names `git` and `hg` stay, as in `git@host:org/repo`: everybody has them. A path on
    this machine is returned unchanged.
    """
    url = url.strip()
    prefix, scheme, rest = url.rpartition("://")
    if not scheme:
        return url if url.startswith(("/", ".", "~")) else _strip_user(url.split("?")[0])
    # Of a URL inside a URL (a proxy's) only the inner one can be told from its credentials.
    prefix = re.split(r"[^A-Za-z0-9+.:-]", prefix)[-1]
    head = re.split(r"[?#]", rest, maxsplit=1)[0]
    host = head.split("/")[0]
    if "@" not in head and re.search(r":(?!\d*$)[^]]*$", host):
        head = rest  # no port, so a password with a raw "?" or "#", which hides the real host
    if "@" in host or ":" in host:  # a raw "/" in a password: only the last "@" is sure
        head = _strip_user(head)
    return f"{prefix}://" + re.split(r"[?#]", head, maxsplit=1)[0]


@functools.cache
def environment() -> Environment:
    """Describe the interpreter and the installed packages, once per process."""
    packages: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # a half-removed package has none; of two copies the first is the imported one
            packages.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    # Not the kernel: it would make a new environment of every security update of the host.
    system = " ".join([sysconfig.get_platform(), *filter(None, platform.libc_ver())])
    content = {"packages": packages, "platform": system, "python": python}
    digest = hashlib.sha256(_canonical(content).encode()).hexdigest()
    return Environment(digest, python, system, _canonical(packages))


def _canonical(content: object) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def _strip_user(text: str) -> str:
    user, _, rest = text.rpartition("@")
    return f"{user}@{rest}" if user in ("git", "hg") else rest


def _user() -> str:
    # Not getpass: it believes the variables LOGNAME and USER, which anyone can set.
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"


def _default_folder() -> Path | None:
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if script is not None:
        path = Path(os.path.abspath(script))
        # `prefect`, `pytest` or `mfprefect` itself: a tool of the environment, not the team's code.
        tool = {"site-packages", "dist-packages"} & set(path.parts)
        if not tool and path.parent != Path(sys.executable).parent:
            return path.parent
    try:
        return Path.cwd()
    except OSError:  # the current folder was deleted
        return None


def _from_variables() -> Checkout:
    commit, branch, remote = (
        os.environ.get(f"MFPREFECT_GIT_{name}", "").strip() or None
        for name in ("COMMIT", "BRANCH", "REMOTE")
    )
    return Checkout(commit, branch, remote)
