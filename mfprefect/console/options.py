"""Where the console listens, and who may do what: checked before it starts."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from mfprefect.console.logon import Logon, NoLogon
from mfprefect.errors import ConfigurationError

__all__ = ["ConsoleOptions"]

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class ConsoleOptions:
    """Where the console listens, and who may do what."""

    host: str = "127.0.0.1"
    port: int = 8642
    uds: Path | None = None
    """A unix socket to listen on instead."""
    root_path: str = ""
    """The path that the pages are below, behind a proxy: `/models`."""
    allowed_hosts: Sequence[str] = ()
    """Further names in the address of the console, without port."""
    actions: bool = False
    """Whether people may promote, roll back, retire, set thresholds and verify."""
    logon: Logon = field(default_factory=NoLogon)
    tls: bool = False
    """Whether the console itself answers over TLS, or its proxy does."""
    prefect_url: str | None = None
    """Where Prefect's pages are, for links to flow runs: `https://prefect.example.com`."""

    def __post_init__(self) -> None:
        """Refuse what is unsafe.

        Raises:
            ConfigurationError: names the option and what to do.
        """
        object.__setattr__(self, "root_path", _root_path(self.root_path))
        if isinstance(self.logon, NoLogon):
            self._require_local()

    def _require_local(self) -> None:
        if self.actions:
            raise ConfigurationError(
                "--actions needs to know who acts: add --logon proxy or --logon token."
            )
        if self.uds is None and not _is_loopback(self.host):
            raise ConfigurationError(
                f"--host {self.host} is reached from other machines, by anybody; add "
                "--logon proxy or --logon token, or leave --host at 127.0.0.1."
            )

    def flow_run_url(self, flow_run_id: str | None) -> str | None:
        """Return the address of a flow run in Prefect; None without Prefect's address."""
        if self.prefect_url is None or not flow_run_id:
            return None
        return f"{self.prefect_url.rstrip('/')}/runs/flow-run/{quote(flow_run_id, safe='')}"

    @property
    def hosts(self) -> frozenset[str]:
        """The names that requests may address, in lower case."""
        names = () if self.host in ("0.0.0.0", "::") else (self.host,)  # noqa: S104 - a comparison
        return frozenset(name.lower() for name in (*LOCAL_NAMES, *names, *self.allowed_hosts))

    @property
    def address(self) -> str:
        """Where people open it on this machine."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{self.root_path}/"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _root_path(path: str) -> str:
    """Return a path without a slash at its end, as it stands in addresses."""
    path = path.rstrip("/")
    if path and (not path.startswith("/") or "//" in path or quote(unquote(path)) != path):
        raise ConfigurationError(
            f"--root-path {path!r} is no path; it begins with a slash, such as /models."
        )
    return path
