"""A team's own repository: what `mfprefect new MODEL` puts into a folder.

The files lie beside this module as templates. They are ordinary files about the model `my_model`
and its class `MyModel`; the two names are all that is replaced.
"""

from __future__ import annotations

import json
import keyword
import os
import re
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.resources import files
from pathlib import Path
from typing import Any

from mfprefect.errors import ConfigurationError, InvalidValue

__all__ = ["Plan", "class_name", "plan", "render", "require_name", "write"]

DEPLOYMENTS = "prefect.yaml"
DATABASE = "sqlite:///mfprefect.db"
MODEL_FILES = {"flows/{}.py": "model.py", "tests/test_{}.py": "test_model.py"}
"""What each model has, by template."""
SHARED_FILES = {
    "flows/maintenance.py": "maintenance.py",
    "pytest.ini": "pytest.ini",
    "mfprefect.toml": "mfprefect.toml",
    DEPLOYMENTS: DEPLOYMENTS,
    ".github/workflows/test.yml": "workflow.yml",
    "README.md": "README.md",
    "requirements.txt": "requirements.txt",
    ".gitignore": "gitignore",
}
"""What the models of a repository have in common."""
_OTHERS = ("conftest", "maintenance")
_RULE = "a name is a letter, then letters, digits and _, all lower case, at most 64 characters"


@dataclass(frozen=True)
class Plan:
    """What is to be written; nothing is yet."""

    files: dict[str, str]
    """New files: their text by their path in the folder."""
    deployments: str = ""
    """What is appended to the prefect.yaml that is there already."""


def plan(folder: Path, model: str, url: str | None = None) -> Plan:
    """Return what a model needs in a folder: everything, or its own files beside other models.

    Args:
        folder: empty, nearly so, or scaffolded for another model; it need not exist.
        model: the new model's name.
        url: the database in a new mfprefect.toml; by default an SQLite file in the folder.

    Raises:
        InvalidValue: the name cannot be a model's, or the URL holds a password.
        ConfigurationError: a file is there already, or prefect.yaml has another structure.
    """
    require_name(model)
    model_files = {
        path.format(model): render(template, model) for path, template in MODEL_FILES.items()
    }
    text = _scaffolded(folder)
    if text is not None:
        if url is not None:
            raise InvalidValue(
                f"{folder / 'mfprefect.toml'} is there already; set url there, or leave --url out."
            )
        _require_free(folder, model_files)
        return Plan(model_files, _deployments(text, folder / DEPLOYMENTS, model))
    shared = {path: render(template, model) for path, template in SHARED_FILES.items()}
    shared[DEPLOYMENTS] += render("prefect-model.yaml", model)
    if url is not None:
        shared["mfprefect.toml"] = _with_url(shared["mfprefect.toml"], url)
    _require_free(folder, model_files | shared)
    return Plan(model_files | shared)


def write(plan: Plan, folder: Path) -> None:
    """Write the files; one that has appeared in the meantime is not overwritten.

    Raises:
        FileExistsError: such a file is there; those before it are written.
    """
    for path, text in plan.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with (folder / path).open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    if plan.deployments:
        with (folder / DEPLOYMENTS).open("a", encoding="utf-8", newline="\n") as file:
            file.write(plan.deployments)


def render(template: str, model: str) -> str:
    """Return a template's text for a model."""
    text = (files(__name__) / "templates" / f"{template}.txt").read_text(encoding="utf-8")
    return text.replace("my_model", model).replace("MyModel", class_name(model))


def class_name(model: str) -> str:
    """Return `ChurnMonthly` for `churn_monthly`."""
    return "".join(part.capitalize() for part in model.split("_"))


def require_name(model: str) -> None:
    """Refuse what cannot name a model, a module, a class and a tag in YAML alike.

    Raises:
        InvalidValue: it cannot.
    """
    if problem := _problem(model):
        raise InvalidValue(f"{model!r} cannot be a model's name: {problem}.")


def _problem(model: str) -> str | None:
    import yaml

    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", model):
        return _RULE
    name = class_name(model)
    if keyword.iskeyword(model) or keyword.iskeyword(name):
        return f"Python has a word {model if keyword.iskeyword(model) else name} of its own"
    if yaml.safe_load(model) != model:
        return f"YAML reads it as {yaml.safe_load(model)}"
    if model in _OTHERS:
        return f"mfprefect writes a {model}.py of its own"
    spec = PathFinder.find_spec(model)
    if model in sys.stdlib_module_names or (spec is not None and spec.origin is not None):
        return f"flows/{model}.py would be imported in place of the Python package {model}"
    return None


def _scaffolded(folder: Path) -> str | None:
    """Return the text of a prefect.yaml that was scaffolded, None where there is none."""
    path = folder / DEPLOYMENTS
    if not path.is_file() or not (folder / "flows" / "maintenance.py").is_file():
        return None
    text = path.read_text(encoding="utf-8")
    parsed = _parsed(text)
    if not parsed:
        raise ConfigurationError(f"{path} is no valid YAML mapping; mend it first.")
    entrypoints = {item.get("entrypoint") for item in _items(parsed)}
    return text if "flows/maintenance.py:maintain" in entrypoints else None


def _parsed(text: str) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return document if isinstance(document, dict) else {}


def _items(parsed: dict[str, Any]) -> list[dict[str, Any]]:
    items = parsed.get("deployments")
    return items if isinstance(items, list) and all(isinstance(i, dict) for i in items) else []


def _deployments(text: str, path: Path, model: str) -> str:
    """Return what to append for a model; nothing where it is deployed already."""
    before = _parsed(text)
    script = f"flows/{model}.py:"
    if any(str(item.get("entrypoint")).startswith(script) for item in _items(before)):
        return ""
    addition = ("" if text.endswith("\n") else "\n") + render("prefect-model.yaml", model)
    after = _parsed(text + addition)
    count_before = len(_items(before))
    added = [(item.get("entrypoint"), item.get("name")) for item in _items(after)[count_before:]]
    wanted = [
        (script + flow, variant)
        for flow in ("train", "score", "monitor")
        for variant in ("local", "development", "production")
    ]
    # Nothing but new deployments at the end may come of it.
    if added != wanted or after | {"deployments": _items(after)[:count_before]} != before:
        raise ConfigurationError(
            f"{path} has another structure than `mfprefect new` gave it, so {model!r} cannot be "
            f"appended. Add its deployments by hand, such as these, and repeat the command:\n"
            f"{addition}"
        )
    return addition


def _require_free(folder: Path, paths: dict[str, str]) -> None:
    taken = [path for path in paths if os.path.lexists(folder / path)]
    blocked = {
        str(parent)
        for path in paths
        for parent in Path(path).parents
        if os.path.lexists(folder / parent) and not (folder / parent).is_dir()
    }
    if existing := [*taken, *sorted(blocked - set(taken))]:
        raise ConfigurationError(
            f"nothing was written: {folder} has {', '.join(existing)} already, and files are never "
            "overwritten; move them away, or name another folder by --into."
        )


def _with_url(text: str, url: str) -> str:
    from mfprefect.backend import parse_url

    password = parse_url(url).password
    if password and not re.search(r"\$\{\w+\}", str(password)):
        raise InvalidValue(
            "--url holds a password, which does not belong in a file; name a variable in its "
            "place: postgresql://user:${FACTORY_PASSWORD}@host/database."
        )
    return text.replace(json.dumps(DATABASE), json.dumps(url, ensure_ascii=False))
