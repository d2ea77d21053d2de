"""Where a model's class is written: recorded by each run, and found again in a checkout."""

from __future__ import annotations

import inspect
from pathlib import Path

from mfprefect.provenance.checkout import find_checkout

__all__ = ["CODE", "entrypoint"]

CODE = ("code", "entrypoint")
"""Group and name of the metadata that tells it."""


def entrypoint(kind: type) -> str | None:
    """Return a class's place in its checkout, such as `flows/churn.py:Churn`.

    None where no checkout holds its file, or where it is made inside of a function.
    """
    try:
        file = Path(inspect.getfile(kind)).resolve()
    except (TypeError, OSError):  # defined in a notebook or a console
        return None
    _, root = find_checkout(file.parent)
    if root is None or "<" in kind.__qualname__:
        return None
    return f"{file.relative_to(root).as_posix()}:{kind.__qualname__}"
