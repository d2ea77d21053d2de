"""How much a request may bring."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """The most bytes that a request may bring. What is larger is refused before it is read."""

    json: int = 8 * MIB
    upload: int = 4096 * MIB
    """A model or scores: they go through a temporary file, not through memory."""
    frame: int = 256 * MIB
    """Test rows: they are evaluated in memory."""
