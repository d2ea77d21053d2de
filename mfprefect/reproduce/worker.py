"""The process that runs a session again: `python -m mfprefect.reproduce.worker REQUEST ANSWER`.

A process of its own, in the checkout of the commit and perhaps with packages of its own. Both files
hold JSON: what to run, and the session that it was run as, or why it was not.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mfprefect.errors import ConfigurationError

if TYPE_CHECKING:
    from mfprefect.model import Model

__all__ = ["load_class", "main"]


def main(request_file: Path, answer_file: Path) -> int:
    """Run what is asked for; the exit code is 0 where it ended well."""
    request: dict[str, Any] = json.loads(request_file.read_text())

    def answer(**found: Any) -> None:
        answer_file.write_text(json.dumps(found))

    try:
        kind = load_class(Path(request["root"]), request["entrypoint"])
        kind._require()
        if kind.model_id != request["model_id"]:
            raise ConfigurationError(
                f"{request['entrypoint']} is the model {kind.model_id!r} in that commit, not "
                f"{request['model_id']!r}"
            )
    except ConfigurationError as exc:
        answer(reason=str(exc).rstrip("."))
        return 1
    from mfprefect.lifecycle.flows import rerun

    rerun(
        kind,
        request["purpose"],
        as_of=dt.date.fromisoformat(request["as_of"]),
        params=request["params"],
        parent=request["parent"],
        opened=lambda session_id: answer(session_id=session_id),
    )
    return 0


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


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
