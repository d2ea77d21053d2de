"""One private server process: its folder, its user, its watcher."""

from __future__ import annotations

import atexit
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mfprefect.errors import ConfigurationError
from mfprefect_dev.servers import watcher

__all__ = ["PrivateProcess", "free_port", "unpacked"]

_GIB = 1 << 30
_SOCKET_NAME = 40  # longest name of a socket in the folder
_SOCKET_PATH = 107  # sun_path, less its final NUL


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on.

    It is below the ephemeral range: an outgoing connection cannot take it during a restart.
    """
    for _ in range(1000):
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ConfigurationError("no free port on 127.0.0.1 between 20000 and 31999")


def unpacked(name: str, *programs: str) -> Path:
    """Return the tree of this name in `.servers` of the checkout.

    Raises:
        ConfigurationError: the tree has not all of the programs.
    """
    for checkout in (Path(__file__).parents[3], Path.cwd()):
        tree = checkout / ".servers" / name
        if all((tree / program).exists() for program in programs):
            return tree
    raise ConfigurationError(
        f"no test server: {tree} has no {' and no '.join(programs)}, and neither has this machine. "
        "Get them with `python tests/install_servers.py`; CONTRIBUTING.md says how to name a "
        "running server instead, or to do without."
    )


class PrivateProcess:
    """A server in a temporary folder; runs as an unprivileged user if root starts it.

    Args:
        name: short name of the server, part of the folder's name.
        programs: tree of the server's programs and libraries; copied into the folder if the
            unprivileged user cannot read it (in a checkout under /root, for example).

    Attributes:
        folder: the temporary folder; the data is in `folder / "data"`.
        programs: the tree to run from.
        command: the server's command line, for `start`.
        environ: variables to add to the server's minimal environment.
    """

    def __init__(self, name: str, programs: Path | None = None) -> None:
        drop = _unprivileged()
        copied = programs is not None and bool(drop) and not _public(programs)
        self.folder = Path(tempfile.mkdtemp(prefix=f"mfp-{name}-", dir=_base(executable=copied)))
        self.command: list[str] = []
        self.environ: dict[str, str] = {}
        self._drop = drop
        self._owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher = _watch(self.folder)
        atexit.register(self.close)
        self.programs = programs
        if programs is not None and copied:
            self.programs = self.folder / "programs"
            shutil.copytree(programs, self.programs, symlinks=True)
        self.give(self.folder)

    def give(self, path: Path) -> None:
        """Make the server's user the owner of a file or folder."""
        if self._drop:
            os.chown(path, self._drop["user"], self._drop["group"])

    def write(self, name: str, text: str) -> Path:
        """Write a file that only the server's user can read."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        self.give(path)
        return path

    def run(self, command: Sequence[str]) -> None:
        """Run a command as the server's user; raise ConfigurationError if it fails."""
        code = self._popen(command).wait()
        if code != 0:
            raise ConfigurationError(f"{command[0]} ended with {code}:\n{self.log()}")

    def start(self) -> None:
        """Start the server, without waiting until it accepts connections."""
        self._process = self._popen(self.command)

    @property
    def running(self) -> bool:
        """Whether the main process runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL the whole server; return when all its processes are gone."""
        pids = watcher.processes(self.folder)
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        watcher.kill_all(self.folder, pids)

    def send(self, how: signal.Signals) -> None:
        """Send a signal to every process of the server."""
        for pid in watcher.processes(self.folder):
            with suppress(ProcessLookupError):
                os.kill(pid, how)

    def shut_down(self, how: signal.Signals, seconds: float = 60.0) -> None:
        """Ask the server to stop; kill it if it still runs after the given time."""
        if self._process is not None and self.running:
            self._process.send_signal(how)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()

    def close(self) -> None:
        """Kill the server and remove its folder; a second call does nothing."""
        if os.getpid() != self._owner:  # a forked child
            return
        atexit.unregister(self.close)
        self.kill()
        if self._watcher.stdin is not None:
            self._watcher.stdin.close()
        self._watcher.wait()
        watcher.remove(self.folder)  # in case somebody killed the watcher

    def log(self, characters: int = 3000) -> str:
        """Return the end of the output of the server and its helpers."""
        path = self.folder / "log"
        return path.read_text(errors="replace")[-characters:] if path.exists() else "(no log)"

    def _popen(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        # The server must not see the caller's PGOPTIONS, MYSQL_HOME and the like.
        env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(self.folder)}
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - programs that we looked up
                command,
                cwd=self.folder,
                env=env | self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C must reach only the tests
                **self._drop,
            )


def _watch(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", watcher.__file__, str(os.getpid()), str(folder)]
    return subprocess.Popen(  # noqa: S603 - our own file
        command,
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _unprivileged() -> dict[str, Any]:
    """Return arguments of Popen that drop root: the servers refuse to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("nobody")
    except KeyError:
        return {"user": 65534, "group": 65534, "extra_groups": []}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _public(path: Path) -> bool:
    """Return whether any user can read the path."""
    resolved = path.resolve()
    return all(part.stat().st_mode & stat.S_IXOTH for part in (resolved, *resolved.parents))


def _base(*, executable: bool) -> str | None:
    """Return the parent of temporary folders, in memory if there is room; None is tempfile's.

    Creating a MariaDB data directory takes 5 s on a disk and 0.5 s in memory.
    """
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the name
    if memory.is_dir() and os.access(memory, os.W_OK):
        status = os.statvfs(memory)
        room = status.f_bavail * status.f_frsize >= _GIB
        if room and not (executable and status.f_flag & os.ST_NOEXEC):
            return str(memory)
    if len(tempfile.gettempdir()) + _SOCKET_NAME + len("/mfp-postgres17-12345678") < _SOCKET_PATH:
        return None
    return "/tmp"  # noqa: S108 - mkdtemp makes the name
