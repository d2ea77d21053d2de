"""A proxy in the environment, and this machine's own addresses, which no proxy can reach."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

__all__ = ["LOOPBACK", "bypass_on_loopback", "proxies_loopback"]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
EXEMPT = ("NO_PROXY", "no_proxy")


def proxies_loopback(variables: MutableMapping[str, str] | None = None) -> bool:
    """Say whether requests to this machine itself would go through a proxy."""
    environment = os.environ if variables is None else variables
    if not any(environment.get(name) or environment.get(name.upper()) for name in PROXIES):
        return False
    exempt = _exempt(environment)
    return "*" not in exempt and not exempt.issuperset(LOOPBACK)


def bypass_on_loopback(variables: MutableMapping[str, str] | None = None) -> None:
    """Add this machine's own addresses to NO_PROXY where a proxy is set.

    Prefect's temporary server listens on one, and its client honours proxies even there.

    Args:
        variables: changed; by default the environment of this process and its children.
    """
    environment = os.environ if variables is None else variables
    if not proxies_loopback(environment):
        return
    exempt = _exempt(environment)
    value = ",".join([*sorted(exempt), *(name for name in LOOPBACK if name not in exempt)])
    # Some libraries read one spelling, some the other.
    for name in EXEMPT:
        environment[name] = value


def _exempt(environment: MutableMapping[str, str]) -> set[str]:
    text = ",".join(environment.get(name, "") for name in EXEMPT)
    return {part.strip() for part in text.split(",") if part.strip()}
