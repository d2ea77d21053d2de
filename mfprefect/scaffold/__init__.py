"""The files that `mfprefect new MODEL` writes into a team's repository.

The templates are beside this module: ordinary files about the model `my_model` and its class
`MyModel`. Only these two names are replaced.
"""

from __future__ import annotations

import json
import keyword
import os
import re
import sys
import textwrap
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.resources import files
from pathlib import Path
from typing import Any

from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect.scaffold.requirement import Requirement, driver_extra, installed_requirement

__all__ = ["Plan", "class_name", "plan", "render", "require_name", "write"]

DEPLOYMENTS = "prefect.yaml"
DATABASE = "sqlite:///mfprefect.db"
REQUIREMENTS = "requirements.txt"
EXTRAS = ("report", "sklearn")
DRIVER = "postgres"
"""The extra of the database that the new README puts into production, if none was chosen."""
MODEL_FILES = {"flows/{}.py": "model.py", "tests/test_{}.py": "test_model.py"}
"""Template of each file that every model has."""
SHARED_FILES = {
    "flows/maintenance.py": "maintenance.py",
    "tests/sample/warehouse/customer_history.csv": "customer_history.csv",
    "pytest.ini": "pytest.ini",
    "mfprefect.toml": "mfprefect.toml",
    DEPLOYMENTS: DEPLOYMENTS,
    ".github/workflows/test.yml": "workflow.yml",
    "README.md": "README.md",
    REQUIREMENTS: REQUIREMENTS,
    ".gitignore": "gitignore",
}
"""Template of each file that the models of a repository share."""
_RESERVED = ("conftest", "maintenance")
_RULE = "a name is a letter, then letters, digits and _, all lower case, at most 64 characters"


@dataclass(frozen=True)
class Plan:
    """What `write` will write."""

    files: dict[str, str]
    """Text of the new files by their path in the folder."""
    deployments: str = ""
    """Text to append to an existing prefect.yaml."""
    requirement: Requirement | None = None
    """How a new requirements.txt installs mfprefect."""


def plan(folder: Path, model: str, url: str | None = None) -> Plan:
    """Plan the files of a model: all files, or the model's own if the folder has other models.

    Args:
        folder: empty, without files of these names, or scaffolded for another model; it need not
            exist.
        model: the new model's name.
        url: the database in a new mfprefect.toml; by default an SQLite file in the folder.

    Raises:
        InvalidValue: the name is not valid for a model, or the URL contains a password.
        ConfigurationError: a file exists already, or prefect.yaml has another structure.
    """
    require_name(model)
    model_files = {
        path.format(model): render(template, model) for path, template in MODEL_FILES.items()
    }
    text = _scaffolded(folder)
    if text is not None:
        if url is not None:
            raise InvalidValue(
                f"{folder / 'mfprefect.toml'} exists already; set url there and omit --url."
            )
        _require_free(folder, model_files)
        return Plan(model_files, _deployments(text, folder / DEPLOYMENTS, model))
    shared = {path: render(template, model) for path, template in SHARED_FILES.items()}
    shared[DEPLOYMENTS] += render("prefect-model.yaml", model)
    if url is not None:
        shared["mfprefect.toml"] = _with_url(shared["mfprefect.toml"], url)
    requirement = installed_requirement(_extras(url))
    shared[REQUIREMENTS] = _with_requirement(shared[REQUIREMENTS], requirement)
    _require_free(folder, model_files | shared)
    return Plan(model_files | shared, requirement=requirement)


def write(plan: Plan, folder: Path) -> None:
    """Write the files without overwriting any.

    Raises:
        FileExistsError: a file has appeared since `plan`; the files before it were written.
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
    """Require a name that works for a model, a module, a class and a YAML tag.

    Raises:
        InvalidValue: the name does not.
    """
    if problem := _problem(model):
        raise InvalidValue(f"{model!r} cannot be a model's name: {problem}.")


def _problem(model: str) -> str | None:
    import yaml

    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", model):
        return _RULE
    name = class_name(model)
    if keyword.iskeyword(model) or keyword.iskeyword(name):
        return f"{model if keyword.iskeyword(model) else name} is a Python keyword"
    if yaml.safe_load(model) != model:
        return f"YAML reads it as {yaml.safe_load(model)}"
    if model in _RESERVED:
        return f"mfprefect writes its own {model}.py"
    spec = PathFinder.find_spec(model)
    if model in sys.stdlib_module_names or (spec is not None and spec.origin is not None):
        return f"flows/{model}.py would shadow the Python package {model}"
    return None


def _scaffolded(folder: Path) -> str | None:
    """Return the text of a scaffolded prefect.yaml, None if the folder has none."""
    path = folder / DEPLOYMENTS
    if not path.is_file() or not (folder / "flows" / "maintenance.py").is_file():
        return None
    text = path.read_text(encoding="utf-8")
    document = _load_mapping(text)
    if not document:
        raise ConfigurationError(f"{path} is not a valid YAML mapping; correct it first.")
    entrypoints = {item.get("entrypoint") for item in _deployment_items(document)}
    return text if "flows/maintenance.py:maintain" in entrypoints else None


def _load_mapping(text: str) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return document if isinstance(document, dict) else {}


def _deployment_items(document: dict[str, Any]) -> list[dict[str, Any]]:
    items = document.get("deployments")
    return items if isinstance(items, list) and all(isinstance(i, dict) for i in items) else []


def _deployments(text: str, path: Path, model: str) -> str:
    """Return the deployments to append for a model, empty if it is deployed already."""
    before = _load_mapping(text)
    items_before = _deployment_items(before)
    script = f"flows/{model}.py:"
    if any(str(item.get("entrypoint")).startswith(script) for item in items_before):
        return ""
    addition = ("" if text.endswith("\n") else "\n") + render("prefect-model.yaml", model)
    after = _load_mapping(text + addition)
    items_after = _deployment_items(after)
    added = items_after[len(items_before) :]
    expected = [
        (script + flow, variant)
        for flow in ("train", "score", "monitor")
        for variant in ("local", "development", "production")
    ]
    only_added = after | {"deployments": items_after[: len(items_before)]} == before
    if not only_added or [(item.get("entrypoint"), item.get("name")) for item in added] != expected:
        raise ConfigurationError(
            f"{path} no longer has the structure that `mfprefect new` gave it, so the deployments "
            f"of {model!r} cannot be appended. Add them by hand and repeat the command:\n"
            f"{addition}"
        )
    return addition


def _require_free(folder: Path, paths: dict[str, str]) -> None:
    existing = [path for path in paths if os.path.lexists(folder / path)]
    blocked = {
        str(parent)
        for path in paths
        for parent in Path(path).parents
        if os.path.lexists(folder / parent) and not (folder / parent).is_dir()
    }
    if obstacles := [*existing, *sorted(blocked - set(existing))]:
        raise ConfigurationError(
            f"nothing was written: {folder} has {', '.join(obstacles)} already, and files are "
            "never overwritten. Move them away, or choose another folder with --into."
        )


def _with_url(text: str, url: str) -> str:
    from mfprefect.backend import parse_url

    password = parse_url(url).password
    if password and not re.search(r"\$\{\w+\}", str(password)):
        raise InvalidValue(
            "--url contains a password, which does not belong in a file; use a variable: "
            "postgresql://user:${FACTORY_PASSWORD}@host/database."
        )
    return text.replace(json.dumps(DATABASE), json.dumps(url, ensure_ascii=False))


def _extras(url: str | None) -> list[str]:
    driver = DRIVER if url is None else driver_extra(url)
    return [*EXTRAS, *([driver] if driver else [])]


def _with_requirement(text: str, requirement: Requirement) -> str:
    note = f"Note: {requirement.note}" if requirement.note else ""
    lines = textwrap.wrap(note, 98, break_long_words=False, break_on_hyphens=False)
    comment = "".join(f"# {line}\n" for line in [*lines, ""] if lines).replace("# \n", "#\n")
    return text.replace("# NOTE\n", comment).replace("MFPREFECT\n", f"{requirement.line}\n")
