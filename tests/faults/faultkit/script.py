"""What a run of the script writes, all of it made from the run's number; no code of the product."""

from __future__ import annotations

__all__ = ["MODEL", "PARTS", "ROWS", "model_bytes", "scores"]

MODEL, PARTS, ROWS = "churn", 3, 8


def scores(number: int, part: int) -> dict[str, float]:
    """Return the scores of a part of a run, by entity."""
    return {f"c{row}": number + row / 1e3 for row in range((part - 1) * ROWS, part * ROWS)}


def model_bytes(number: int) -> bytes:
    """Return the model of a run."""
    return f"model {number}".encode()
