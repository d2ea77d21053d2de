"""Where a model's class is written: recorded by each run, and found again in a checkout."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mfprefect.errors import ConfigurationError
from mfprefect.provenance.checkout import find_checkout

if TYPE_CHECKING:
    from mfprefect.model import Model

__all__ = ["CODE", "entrypoint", "load_class"]

CODE = ("code", "entrypoint")
"""Group and name of the metadata that tells it."""


def entrypoint(kind: type[Model]) -> str | None:
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


def load_class(root: Path, place: str) -> type[Model]:
    """Import a class from a checkout, which comes before anything that is installed.

    Raises:
        ConfigurationError: the file or the class is not there, or cannot be imported.
    """
    from mfprefect.model import Model

    name, _, path = place.rpartition(":")
    file = (root / name).resolve()
    if not (file.is_file() and file.suffix == ".py" and file.is_relative_to(root.resolve())):
        raise ConfigurationError(f"the checkout has no file {name!r}")
    try:
        found: Any = _imported(root.resolve(), file)
    except Exception as exc:
        raise ConfigurationError(
            f"{name} cannot be imported ({type(exc).__name__}: {exc})"
        ) from exc
    for part in path.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise ConfigurationError(f"{name} has no model class {path!r}")
    return found


def _imported(root: Path, file: Path) -> ModuleType:
    top = file.parent
    while (top / "__init__.py").is_file() and top != root:
        top = top.parent
    for folder in dict.fromkeys([str(root), str(top)]):
        sys.path.insert(0, folder)
    name = ".".join(file.relative_to(top).with_suffix("").parts)
    if "." in name:
        module = importlib.import_module(name)
        if Path(str(module.__file__)).resolve() != file:
            raise ImportError(f"{name} is imported from {module.__file__}")
        return module
    if name in sys.modules:  # a script may have the name of any library
        name = f"{name}_of_the_checkout"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError("it is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # classes are looked up by their module's name
    spec.loader.exec_module(module)
    return module
