"""Settings of servers that hurt."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Setting"]


class Setting(NamedTuple):
    """A setting of a server, a database or a user, and the values of it that hurt."""

    name: str
    hurts: Callable[[str], bool]
    """Whether a value, as the server shows it, hurts."""
    why: str
    """What it does to mfprefect, to end a sentence that begins with the setting."""
    cure: str
    """The value to set, in SQL."""
    blocks: bool = True
    """Whether it makes writes fail."""
