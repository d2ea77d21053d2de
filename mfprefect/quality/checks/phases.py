"""Which checks run where: in training or in scoring, in each part or on the rows of all parts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from mfprefect.errors import ConfigurationError
from mfprefect.quality.checks.base import ModelCheck, Unique

__all__ = ["EACH_PART", "PHASES", "SCORE", "TRAIN", "On", "checks_for", "listed", "of_parts", "on"]

TRAIN, SCORE, EACH_PART = "train", "score", "part"
PHASES = (TRAIN, SCORE, EACH_PART)


@dataclass(frozen=True)
class On:
    """Checks that run in one phase only, made by `on`."""

    phase: str
    checks: tuple[Any, ...]


def on(phase: str, *checks: Any) -> On:
    """Limit checks to one phase, in the list of a model's checks.

        checks = [schema, on("train", RowCount(at_least=10_000)), on("score", Fresh(..))]

    Args:
        phase: `train`, `score`, or `part`: each part of a scoring alone, also where the check would
            otherwise judge the rows of all parts together.
        checks: schemas, functions and checks of `mfprefect.checks`.

    Raises:
        ConfigurationError: there is no such phase, or no check.
    """
    if phase not in PHASES:
        raise ConfigurationError(f"on({phase!r}, ..): choose one of {', '.join(PHASES)}.")
    flat = tuple(check for item in checks for check in listed(item))
    if not flat or any(isinstance(check, On) for check in flat):
        raise ConfigurationError(f"on({phase!r}, ..) takes one check or more, and no other on(..).")
    return On(phase, flat)


def listed(checks: Any) -> list[Any]:
    """Return one check, a list of checks or None as a list."""
    if checks is None:
        return []
    return list(checks) if isinstance(checks, list | tuple) else [checks]


def checks_for(checks: Any, phase: str) -> list[Any]:
    """Return the checks that run in a phase, each part of a scoring included, without their `on`.

    Args:
        checks: a model's checks.
        phase: `train` or `score`; in any other, only the checks without `on` run.
    """
    return [check for check, _ in _in_phase(checks, phase)]


def _in_phase(checks: Any, phase: str) -> Iterator[tuple[Any, str | None]]:
    phases = (SCORE, EACH_PART) if phase == SCORE else (phase,)
    for check in listed(checks):
        if not isinstance(check, On):
            yield check, None
        elif check.phase in phases:
            yield from ((item, check.phase) for item in check.checks)


def of_parts(
    checks: Any, parts: int, masked: Collection[str] = (), entity_id: str | None = None
) -> tuple[list[Any], list[ModelCheck]]:
    """Return the checks of each part of a scoring, and those of the rows of all parts together.

    With a single part, all of them look at that part, before the model does.

    Args:
        checks: a model's checks.
        parts: the number of parts.
        masked: columns whose cells must not be stored, so they cannot be compared between parts.
        entity_id: the column of ids, which publication requires to be unique anyway.
    """
    each: list[Any] = []
    together: list[ModelCheck] = []
    for check, phase in _in_phase(checks, SCORE):
        if parts == 1 or phase == EACH_PART or not isinstance(check, ModelCheck):
            each.append(check)
            continue
        alone, joint = check.in_parts()
        if joint is not None and joint.keeps_cells and set(joint.columns) & set(masked):
            alone, joint = check, None
        if isinstance(joint, Unique) and joint.columns == (entity_id,):
            joint = None
        each += [] if alone is None else [alone]
        together += [] if joint is None else [joint]
    return each, together
