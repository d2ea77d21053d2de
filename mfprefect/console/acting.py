"""Writing in the name of a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mfprefect.console.logon import Person
from mfprefect.store.audit.events import acting_as

__all__ = ["acting"]


@contextmanager
def acting(person: Person) -> Iterator[None]:
    """Record a person as the actor; without a logon, the process's user, who is all that is known.

    Everything that is written within says so: audit events, stages, thresholds.
    """
    if person.via == "local":
        yield
        return
    with acting_as(person.name):
        yield
