"""The entry point of a model: its class and file, relative to the checkout, as runs record it."""

from __future__ import annotations

import inspect
from pathlib import Path

from mfprefect.provenance.checkout import find_checkout

__all__ = ["CODE", "entrypoint"]

CODE = ("code", "entrypoint")
"""Group and name of the metadata that holds it."""


def entrypoint(kind: type) -> str | None:
    """Return the file and name of a class in its checkout, such as `flows/churn.py:Churn`.

    None if its file is in no checkout, or the class is defined inside a function.
    """
    try:
        file = Path(inspect.getfile(kind)).resolve()
    except (TypeError, OSError):  # defined in a notebook or a console
        return None
    _, root = find_checkout(file.parent)
    if root is None or "<" in kind.__qualname__:
        return None
    return f"{file.relative_to(root).as_posix()}:{kind.__qualname__}"
