"""Classes of scripts, for processes that cannot import them."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import cloudpickle

__all__ = ["pickle_by_value"]

RAY = "ray.cloudpickle.cloudpickle"
"""Ray's copy of cloudpickle, which keeps a list of its own."""


def pickle_by_value(model_class: type) -> None:
    """Pickle a script's classes with their code, since other processes cannot import a script.

    Classes of installed packages are imported there; a package may rely on being loaded once.
    """
    name = model_class.__module__
    module = sys.modules.get(name)
    file = Path(getattr(module, "__file__", None) or "")
    installed = (Path(sysconfig.get_path(place)) for place in ("purelib", "platlib", "stdlib"))
    if module is None or name == "__main__" or "." in name:
        return  # pickled by value anyway, or part of a package
    if not any(file.is_relative_to(folder) for folder in installed):
        cloudpickle.register_pickle_by_value(module)
        if (copy := sys.modules.get(RAY)) is not None:
            copy.register_pickle_by_value(module)
