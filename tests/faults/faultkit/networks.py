"""A network namespace for a run, behind a router that can lose packets and tells nobody."""

from __future__ import annotations

import ctypes
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

__all__ = ["NO_NETWORK", "Direction", "Network", "enter", "private_network"]

Direction = Literal["questions", "answers"]
NO_NETWORK = "A REAL PARTITION IS NOT TESTED: network namespaces and routes take root"
CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Network:
    """A namespace, its router, and the address under which this machine is reached from it."""

    namespace: int
    """A process in it."""
    router: int
    address: str
    guest: str

    def lose(self, *lost: Direction) -> None:
        """Drop the packets of these directions, without a word to either end."""
        for direction in lost:
            self._route("add", direction)

    def heal(self) -> None:
        """Let packets through again; TCP sends once more what it has no answer to."""
        for direction in ("questions", "answers"):
            with suppress(subprocess.CalledProcessError):  # it was not lost
                self._route("del", direction)

    def _route(self, action: str, direction: str) -> None:
        target = self.address if direction == "questions" else self.guest
        _ip("route", action, "blackhole", f"{target}/32", within=self.router)


@contextmanager
def private_network() -> Iterator[Network | None]:
    """Make a namespace that reaches this machine by way of a router; yield None without root.

    All of it ends with two processes, and these with ours.
    """
    with _namespace() as router, _namespace() as guest:
        if router is None or guest is None:
            yield None
            return
        number = secrets.randbelow(1 << 13) * 8  # of 198.18.0.0/15, which is for such tests
        near, hop, gate, far = (f"198.18.{number >> 8}.{(number & 255) + n}" for n in (1, 2, 5, 6))
        link, port = f"mfp{number}", f"mfp{number}r"
        try:
            _ip("link", "add", link, "type", "veth", "peer", "name", port, "netns", str(router))
        except (OSError, subprocess.CalledProcessError):
            yield None
            return
        _up(link, near, None)
        _up(port, hop, router)
        peer = ("type", "veth", "peer", "name", "far", "netns", str(guest))
        _ip("link", "add", "gate", *peer, within=router)
        _up("gate", gate, router)
        _up("far", far, guest)
        _ip("route", "add", "default", "via", gate, within=guest)
        _ip("route", "add", f"{far}/32", "via", hop)
        _run("sysctl", "-qw", "net.ipv4.ip_forward=1", within=router)
        yield Network(guest, router, near, far)


def enter(process_id: int) -> None:
    """Move this thread, and what it starts, into the network namespace of a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/proc/{process_id}/ns/net") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def _namespace() -> Iterator[int | None]:
    """Hold a new network namespace; yield the process in it, None where none can be had."""
    command = ["unshare", "-n", "sh", "-c", "echo made && cat"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        made = os.geteuid() == 0 and holder.stdout.readline() == b"made\n"
        try:
            yield holder.pid if made else None
        finally:
            holder.stdin.close()
            holder.wait(10)


def _up(link: str, address: str, within: int | None) -> None:
    _ip("address", "add", f"{address}/30", "dev", link, within=within)
    _ip("link", "set", link, "up", within=within)


def _ip(*words: str, within: int | None = None) -> None:
    _run("ip", *words, within=within)


def _run(*command: str, within: int | None = None) -> None:
    enter_first = () if within is None else ("nsenter", "-t", str(within), "-n")
    subprocess.run([*enter_first, *command], check=True, capture_output=True)
