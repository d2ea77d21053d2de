"""The provenance that a session records: code, user, machine and packages."""

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
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mfprefect.provenance.checkout import AUTHOR_LENGTH, Checkout, find_checkout, read_checkout
from mfprefect.util import processes

__all__ = [
    "Environment",
    "Provenance",
    "capture",
    "capture_once",
    "environment",
    "strip_credentials",
]


@dataclass(frozen=True)
class Provenance:
    """The origin of a run; unknown fields are None."""

    vcs: str | None
    """"git" or "hg"."""
    commit: str | None
    """The full hash of the checked-out commit."""
    branch: str | None
    """None on a detached HEAD; for Mercurial the named branch."""
    remote: str | None
    """The URL of the branch's remote, without credentials."""
    dirty: bool | None
    """Whether a tracked file differs from the commit, or a file is neither tracked nor ignored."""
    diff_digest: str | None
    """SHA-256 (hex) of these changes; None without changes."""
    run_by: str
    """The user's name in the operating system; "uid:1234" for a user without one."""
    host: str
    process_id: int
    process_key: str | None
    """See `mfprefect.util.processes`."""
    author: str | None = None
    """The author of the commit, with the mail address."""


@dataclass(frozen=True)
class Environment:
    """The interpreter and the installed packages."""

    digest: str
    """SHA-256 (hex) of the canonical JSON of the other fields."""
    python: str
    platform: str
    packages_json: str
    """JSON text: versions by normalised package name, sorted."""

    @classmethod
    def of(cls, python: str, system: str, packages: Mapping[str, str]) -> Environment:
        """Return an environment with its digest.

        Args:
            python: the language and its version.
            system: the operating system and machine.
            packages: versions by name; names are normalised as Python's are.
        """
        normal = {_normal(name): version for name, version in packages.items()}
        content = {"packages": normal, "platform": system, "python": python}
        digest = hashlib.sha256(_canonical(content).encode()).hexdigest()
        return cls(digest, python, system, _canonical(normal))


def capture(folder: Path | None = None) -> Provenance:
    """Describe the checkout around a folder, the user and the machine.

    Never raise; unknown values are None. Without a readable checkout (a container without `.git`),
    use the variables `MFPREFECT_GIT_COMMIT`, `MFPREFECT_GIT_BRANCH`, `MFPREFECT_GIT_REMOTE` and
    `MFPREFECT_GIT_AUTHOR`.

    Args:
        folder: by default the folder of the running script, otherwise the current folder.
    """
    folder = folder or _default_folder()
    vcs, root = find_checkout(folder) if folder else (None, None)
    checkout = read_checkout(vcs, root) if vcs and root else None
    if checkout is None:
        checkout = _from_variables()
        vcs = "git" if any(checkout) else vcs
    process = processes.this_process()
    return Provenance(
        vcs=vcs,
        commit=checkout.commit,
        branch=checkout.branch,
        remote=strip_credentials(checkout.remote) if checkout.remote else None,
        dirty=checkout.dirty,
        diff_digest=checkout.diff_digest,
        run_by=_user(),
        host=process.host,
        process_id=process.number,
        process_key=process.key,
        author=checkout.author,
    )


def capture_once(folder: Path | None, flow_run_id: str | None) -> Provenance:
    """Describe the same, once for each flow run that this process executes.

    A retry in the same process runs the code that was imported at first, even if another commit
    has been checked out since.
    """
    if flow_run_id is None:
        return capture(folder)
    with _capturing:  # another thread may have begun
        return _captured(folder, flow_run_id, os.getpid())


_capturing = threading.Lock()


def _renew_lock() -> None:
    global _capturing
    _capturing = threading.Lock()  # a thread that held it is not in the child


os.register_at_fork(after_in_child=_renew_lock)


@functools.lru_cache(maxsize=64)
def _captured(folder: Path | None, *_: object) -> Provenance:
    return capture(folder)


def strip_credentials(url: str) -> str:
    """Remove users, passwords, tokens, queries and fragments from the URL of a remote.

    Keep the users `git` and `hg`, as in `git@host:org/repo`: they are not secret. Local paths stay
    unchanged.
    """
    url = url.strip()
    prefix, scheme, rest = url.rpartition("://")
    if not scheme:
        return url if url.startswith(("/", ".", "~")) else _strip_user(url.split("?")[0])
    # Of a URL inside a URL (a proxy's), keep the inner one: the outer one may be credentials.
    prefix = re.split(r"[^A-Za-z0-9+.:-]", prefix)[-1]
    head = re.split(r"[?#]", rest, maxsplit=1)[0]
    host = head.split("/")[0]
    if "@" not in head and re.search(r":(?!\d*$)[^]]*$", host):
        head = rest  # not a port, so a password with a raw "?" or "#" before the real host
    if "@" in host or ":" in host:  # a password may hold a raw "/": only the last "@" is certain
        head = _strip_user(head)
    return f"{prefix}://" + re.split(r"[?#]", head, maxsplit=1)[0]


@functools.cache
def environment() -> Environment:
    """Describe the interpreter and the installed packages, once per process."""
    packages: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # a half-removed package has none; Python imports the first of two copies
            packages.setdefault(_normal(name), distribution.version)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    # Without the kernel version: every security update of the host would be a new environment.
    system = " ".join([sysconfig.get_platform(), *filter(None, platform.libc_ver())])
    return Environment.of(python, system, packages)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _canonical(content: object) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def _strip_user(text: str) -> str:
    user, _, rest = text.rpartition("@")
    return f"{user}@{rest}" if user in ("git", "hg") else rest


def _user() -> str:
    # Not getpass, which trusts the variables LOGNAME and USER that anyone can set.
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"


def _default_folder() -> Path | None:
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if script is not None:
        path = Path(os.path.abspath(script))
        # Scripts such as `prefect`, `pytest` or `mfprefect` are not the team's code.
        tool = {"site-packages", "dist-packages"} & set(path.parts)
        if not tool and path.parent != Path(sys.executable).parent:
            return path.parent
    try:
        return Path.cwd()
    except OSError:  # the current folder was deleted
        return None


def _from_variables() -> Checkout:
    commit, branch, remote, author = (
        os.environ.get(f"MFPREFECT_GIT_{name}", "").strip() or None
        for name in ("COMMIT", "BRANCH", "REMOTE", "AUTHOR")
    )
    return Checkout(commit, branch, remote, author=author and author[:AUTHOR_LENGTH])
