"""Import contracts cover new modules: each test adds some to a copy of the packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ROOTS = {"mfprefect": ".", "mfprefect_backends": "backends", "mfprefect_dev": "devtools"}
NEW = "added_today"
COMMAND = "from importlinter.cli import lint_imports_command as lint; lint()"
Lint = Callable[[], tuple[int, str]]


def packages(tree: Path) -> Iterator[tuple[str, Path]]:
    """Yield every package of a tree by its name, the folder with it."""
    for name, place in ROOTS.items():
        base = tree / place
        for init in sorted((base / name).rglob("__init__.py")):
            yield ".".join(init.parent.relative_to(base).parts), init.parent


def contracts() -> list[dict[str, Any]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        document = tomllib.load(file)
    listed = document["tool"]["importlinter"]["contracts"]
    return [{"protected_modules": [], **contract} for contract in listed]


def layers() -> list[list[str]]:
    """Return the layers of mfprefect, highest first."""
    lines = next(contract["layers"] for contract in contracts() if contract["type"] == "layers")
    return [[name.strip() for name in line.split("|")] for line in lines]


def inside(package: str, names: Iterable[str]) -> bool:
    """Return whether a package is one of these, or in one."""
    return any(f"{package}.".startswith(f"{name}.") for name in names)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages and of the contracts."""
    only_python = shutil.ignore_patterns("__pycache__", "templates", "*.so")
    for name, place in ROOTS.items():
        shutil.copytree(ROOT / place / name, tmp_path / place / name, ignore=only_python)
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


@pytest.fixture
def lint(tree: Path) -> Lint:
    """Returns the exit code of lint-imports on the copy, and its output on one line."""
    paths = os.pathsep.join(str(tree / place) for place in ROOTS.values())

    def run() -> tuple[int, str]:
        result = subprocess.run(
            [sys.executable, "-c", COMMAND, "--no-cache"],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "1000"},
            capture_output=True,
            text=True,
            check=False,
        )
        return result.returncode, result.stdout + result.stderr

    return run


def add(folder: Path, *imports: str, name: str = NEW) -> None:
    text = "".join(f"import {module}\n" for module in imports)
    (folder / f"{name}.py").write_text(text)


def test_the_copy_is_clean(lint: Lint) -> None:
    code, output = lint()
    assert code == 0, output


def allowed_importers(module: str) -> list[str]:
    return next(c["allowed_importers"] for c in contracts() if module in c["protected_modules"])


def test_a_new_module_in_each_package_is_refused(tree: Path, lint: Lint) -> None:
    drivers = ["mfprefect_backends", "mfprefect_dev"]
    allowed = {
        "prefect": allowed_importers("prefect"),
        "sqlalchemy": allowed_importers("sqlalchemy"),
        "mfprefect_dev": ["mfprefect_dev"],
        "pymysql": drivers,
        "mfprefect_backends.sqlite": drivers,
        "mfprefect.quality": ["mfprefect", "mfprefect_dev"],
    }
    refused = set()
    for package, folder in packages(tree):
        imports = [m for m, importers in allowed.items() if not inside(package, importers)]
        if package != "mfprefect":  # a new file there needs a layer: see below
            add(folder, *imports)
            refused |= {f"{package}.{NEW} -> {module} " for module in imports}
    code, output = lint()
    assert code == 1
    assert {f"mfprefect.quality.gates.{NEW} -> {m} " for m in ("prefect", "sqlalchemy")} < refused
    assert [line for line in sorted(refused) if line not in output] == []


def test_a_new_module_of_a_lower_layer_imports_no_higher_one(tree: Path, lint: Lint) -> None:
    refused = []
    for place, names in enumerate(layers()):
        above = [f"mfprefect.{name}" for line in layers()[:place] for name in line]
        for package, folder in packages(tree):
            if inside(package, [f"mfprefect.{name}" for name in names]):
                beside = [f"mfprefect.{name}" for name in names if name != package.split(".")[1]]
                add(folder, *above, *beside)
                refused += [f"{package}.{NEW} -> {name} " for name in (*above, *beside)]
    code, output = lint()
    assert code == 1
    assert len(refused) > 100
    assert [line for line in refused if line not in output] == []


@pytest.mark.parametrize("form", ["module", "package"])
def test_a_new_top_level_name_needs_a_layer(tree: Path, lint: Lint, form: str) -> None:
    if form == "module":
        add(tree / "mfprefect")
    else:
        (tree / "mfprefect" / NEW).mkdir()
        add(tree / "mfprefect" / NEW, name="__init__")
    code, output = lint()
    assert code == 1
    assert "Imports go down BROKEN" in output
    assert f"mfprefect.{NEW}" in output


def test_circles_are_refused_in_each_package(tree: Path, lint: Lint) -> None:
    circles = []
    for package, folder in packages(tree):
        add(folder, package)
        init = folder / "__init__.py"
        guard = "\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
        init.write_text(f"{init.read_text()}{guard}    import {package}.{NEW}\n")
        circles.append(package)
    code, output = lint()
    assert code == 1
    lines = output.splitlines()
    for package in circles:
        pair = {package, f"{package}.{NEW}"}
        assert any(set(line.strip().split(" -> ")) == pair for line in lines), package


def test_packages_that_import_each_other_are_refused(tree: Path, lint: Lint) -> None:
    """Two packages in each package, without a circle between their modules."""
    parents = [package for package, _ in packages(tree)]
    for package, folder in packages(tree):
        for name, other in (("new_one", "new_two"), ("new_two", "new_one")):
            (folder / name).mkdir()
            for file in ("__init__", "low"):
                add(folder / name, name=file)
            add(folder / name, f"{package}.{other}.low", name="high")
    code, output = lint()
    assert code == 1
    assert [name for name in parents if f"No cycles are allowed in {name}." not in output] == []
