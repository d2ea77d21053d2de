"""The colours of a report, in light and dark mode.

Pictures are drawn once: matplotlib uses a stand-in colour for each role, and the style sheet of
the page defines the real one.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["DARK", "GRAPHICS", "LEVELS", "LIGHT", "ROLES", "TEXTS", "contrast", "stand_in"]

LIGHT: Mapping[str, str] = {
    "paper": "#ffffff",
    "shade": "#f4f6f8",
    "ink": "#1b2027",
    "soft": "#56606c",
    "line": "#d6dce3",
    "a": "#1d5fa8",
    "b": "#b4540a",
    "c": "#6e7783",
    "good": "#12633a",
    "good-paper": "#e4f4ea",
    "warn": "#744600",
    "warn-paper": "#fdf1d6",
    "bad": "#9b1c1c",
    "bad-paper": "#fce9e7",
    "info": "#1c528f",
    "info-paper": "#e6f0fb",
}
DARK: Mapping[str, str] = {
    "paper": "#12161b",
    "shade": "#1b2128",
    "ink": "#e7eaee",
    "soft": "#a5afba",
    "line": "#39424d",
    "a": "#7db4f3",
    "b": "#f0a35c",
    "c": "#949eaa",
    "good": "#86d9a6",
    "good-paper": "#12301f",
    "warn": "#f2c872",
    "warn-paper": "#36290d",
    "bad": "#ffa49b",
    "bad-paper": "#401b18",
    "info": "#a0c8f7",
    "info-paper": "#16293f",
}
LEVELS = ("good", "warn", "bad", "info")
"""Levels of a verdict; each has a text colour and a background (`-paper`)."""
TEXTS = (
    *(("ink", paper) for paper in ("paper", "shade", *(f"{x}-paper" for x in LEVELS))),
    *(("soft", paper) for paper in ("paper", "shade")),
    *((level, f"{level}-paper") for level in LEVELS),
    *((level, "paper") for level in LEVELS),
    ("a", "paper"),
)
"""Each text colour with its background."""
GRAPHICS = tuple((role, paper) for role in ("a", "b", "c") for paper in ("paper", "shade"))
"""Each colour of a data series with its background."""

ROLES = ("ink", "soft", "line", "a", "b", "c", "good", "warn", "bad", "info")
"""The roles that pictures use."""


def stand_in(role: str) -> str:
    """Return the unique colour that matplotlib uses for a role."""
    return f"#00fe{ROLES.index(role):02x}"


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    r, g, b = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
