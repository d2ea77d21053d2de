"""What every request passes before a page sees it: host, logon, origin."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, MutableMapping
from typing import Any

from mfprefect.console.logon import SCOPE_KEY, Caller, Refused
from mfprefect.console.options import ConsoleOptions

__all__ = ["Guard", "headers_of"]

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
Scope = MutableMapping[str, Any]
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")


def headers_of(scope: Scope) -> dict[str, list[str]]:
    """Return the values of the headers by name in lower case."""
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return headers


class Guard:
    """Checks requests, and finds out who sent them."""

    def __init__(self, options: ConsoleOptions) -> None:
        self._options = options
        self._hosts = options.hosts

    def admit(self, scope: Scope) -> None:
        """Note the person of a request in its scope.

        Raises:
            Refused: the request is not for this console, of nobody it knows, or from another site.
        """
        headers = headers_of(scope)
        self._require_host(headers)
        person = self._options.logon.person(self._caller(scope, headers))
        scope[SCOPE_KEY] = person
        if scope["method"] not in SAFE_METHODS and not _is_bearer(headers):
            _require_same_origin(headers)

    def _require_host(self, headers: Mapping[str, list[str]]) -> None:
        hosts = headers.get("host", [])
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        name = match[1].strip("[]").lower() if match else ""
        if name not in self._hosts:
            raise Refused(
                400,
                "this console does not answer under the address of this request; "
                "`mfprefect serve --allow-host NAME` adds one.",
            )

    def _caller(self, scope: Scope, headers: Mapping[str, list[str]]) -> Caller:
        peer = None if self._options.uds is not None else (scope.get("client") or ("",))[0]
        secure = scope["scheme"] == "https" or self._options.tls or _is_local(peer)
        return Caller(headers, peer, secure)


def _is_local(peer: str | None) -> bool:
    if peer is None:
        return True
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False


def _is_bearer(headers: Mapping[str, list[str]]) -> bool:
    """Return whether a program sent a token, which no browser adds by itself."""
    values = headers.get("authorization", [])
    return len(values) == 1 and values[0][:7].lower() == "bearer "


def _require_same_origin(headers: Mapping[str, list[str]]) -> None:
    """Refuse what another site makes a browser send."""
    site = headers.get("sec-fetch-site", [])
    if site:
        # A link of a mail, or an address that was typed, sends `none`; a form never does.
        if site == ["same-origin"]:
            return
    else:
        origin = headers.get("origin", [])
        if len(origin) == 1 and origin[0].partition("://")[2] == headers["host"][0]:
            return
    raise Refused(403, "the request came from another site; send it from this console's pages.")
