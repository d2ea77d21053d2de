"""The process that runs a session again: `python -m mfprefect.reproduce.worker REQUEST ANSWER`.

It runs in the checkout of the commit, perhaps in a separate environment. Both files hold JSON:
REQUEST describes the run; ANSWER names the new session, or the reason why it could not run.
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
    """Run the requested session; return the exit code, 0 on success."""
    request: dict[str, Any] = json.loads(request_file.read_text())

    def answer(**fields: Any) -> None:
        answer_file.write_text(json.dumps(fields))

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


def load_class(root: Path, entrypoint: str) -> type[Model]:
    """Import a model class from a checkout, which takes precedence over installed packages.

    Raises:
        ConfigurationError: the file or the class does not exist, or cannot be imported.
    """
    from mfprefect.model import Model

    name, _, path = entrypoint.rpartition(":")
    file = (root / name).resolve()
    if not (file.is_file() and file.suffix == ".py" and file.is_relative_to(root.resolve())):
        raise ConfigurationError(f"the checkout has no file {name!r}")
    try:
        member: Any = _import(root.resolve(), file)
    except Exception as exc:
        raise ConfigurationError(
            f"{name} cannot be imported ({type(exc).__name__}: {exc})"
        ) from exc
    for part in path.split("."):
        member = getattr(member, part, None)
    if not (isinstance(member, type) and issubclass(member, Model)):
        raise ConfigurationError(f"{name} has no model class {path!r}")
    return member


def _import(root: Path, file: Path) -> ModuleType:
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
    if name in sys.modules:  # a script may share its name with a library
        name = f"{name}_of_the_checkout"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError("it is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pickle looks up classes by the name of their module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
