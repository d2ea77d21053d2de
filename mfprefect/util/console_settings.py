"""The settings of the console, below `console`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, SecretStr

__all__ = ["Console"]

ConsoleRole = Literal["viewer", "auditor", "writer", "deployer", "admin"]


class Console(BaseModel, extra="forbid", frozen=True, hide_input_in_errors=True):
    """Who reads the console of `mfprefect serve`, and who acts there."""

    write_url: SecretStr | None = None
    """The SQLAlchemy URL that actions and look-ups write with; by default that of the sessions."""
    proxy_secret: SecretStr | None = None
    """What the reverse proxy sends in `secret_header`, so that its other headers are believed."""
    secret_header: str = "X-Mfprefect-Proxy-Secret"  # noqa: S105 - its name
    """The header of that secret."""
    user_header: str = "X-Forwarded-User"
    """The header in which the proxy names the person."""
    groups_header: str = "X-Forwarded-Groups"
    """The header in which it names the person's groups, separated by commas."""
    roles: dict[str, ConsoleRole] = {}
    """The role of each group: `[console.roles] ml-ops = "deployer"`."""
    default_role: ConsoleRole | Literal["none"] = "viewer"
    """The role of people in none of these groups; `none`: they are refused."""
    prefect_url: str | None = Field(default=None, pattern=r"^https?://[^\s<>\"']+$")
    """Where Prefect's pages are, for links to flow runs."""
