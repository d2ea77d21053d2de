"""Build a virtual environment with the recorded packages of a session, using pip."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

import mfprefect
from mfprefect.errors import ConfigurationError

__all__ = ["build_environment", "find_python", "requirements"]

IMPORT_PACKAGES = ("mfprefect", "mfprefect_backends")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")


def find_python(version: str) -> str | None:
    """Return an interpreter of a version such as `3.12`, None if none is installed."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    return shutil.which(f"python{version}")


def requirements(
    packages: Mapping[str, str], without: Collection[str] = (), project: str | None = None
) -> list[str]:
    """Return pip requirements: each package in its recorded version.

    Args:
        packages: versions by normalised name.
        without: names to leave out.
        project: the package of the checkout, which is installed from there.

    Raises:
        ConfigurationError: a name or version is invalid; pip could take it for an option.
    """
    # The installed mfprefect runs the session, not the recorded version.
    omitted = {"mfprefect", *(_normalised(name) for name in without), project}
    for name, version in packages.items():
        if not (_NAME.fullmatch(name) and _VERSION.fullmatch(version)):
            raise ConfigurationError(
                f"the recorded package {name!r} {version!r} has an invalid name or version"
            )
    return [f"{n}=={v}" for n, v in sorted(packages.items()) if n not in omitted]


def build_environment(
    folder: Path,
    packages: Mapping[str, str],
    *,
    python: str,
    checkout: Path,
    without: Collection[str] = (),
) -> str:
    """Create an environment with pip; return its interpreter.

    pip uses its configured index. It resolves nothing, because the record is complete.

    Args:
        folder: the folder to create.
        packages: versions by normalised name.
        python: the interpreter to use.
        checkout: the team's code; if it defines one of the packages, that is installed from here.
        without: packages to leave out, such as those that are not on any index.

    Raises:
        ConfigurationError: a package cannot be installed.
    """
    project = _project(checkout)
    if project not in packages or project in {_normalised(name) for name in without}:
        project = None
    interpreter, pip = _create(folder, python)
    file = folder / "requirements.txt"
    file.write_text("\n".join(requirements(packages, without, project)) + "\n")
    install = [*pip, "install", "--quiet", "--no-deps", "--no-input", "--disable-pip-version-check"]
    _call([*install, "-r", str(file)], "install the recorded packages")
    if project is not None:
        source = folder / "checkout"  # a copy, because building leaves files behind
        shutil.copytree(checkout, source, ignore=shutil.ignore_patterns(".git"), symlinks=True)
        _call([*install, str(source)], f"install {project} from the checkout")
    _copy_mfprefect(interpreter)
    return interpreter


def _create(folder: Path, python: str) -> tuple[str, list[str]]:
    """Create an empty environment; return its interpreter, and the command that runs pip for it."""
    interpreter = str(folder / "bin" / "python")
    if importlib.util.find_spec("pip") is not None:
        _call([python, "-m", "venv", "--without-pip", str(folder)], "create an environment")
        pip = [sys.executable, "-m", "pip", "--python", interpreter]
    else:  # slower
        _call([python, "-m", "venv", str(folder)], "create an environment")
        pip = [interpreter, "-m", "pip"]
    configuration = Path(sys.prefix) / "pip.conf"
    if configuration.is_file():  # the index of the current environment
        shutil.copy(configuration, folder / "pip.conf")
    return interpreter, pip


def _project(checkout: Path) -> str | None:
    try:
        document = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
        return _normalised(document["project"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _copy_mfprefect(interpreter: str) -> None:
    """Copy this version of mfprefect, because the recorded one may not support `reproduce`."""
    output = _call(
        [interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        "find its packages",
    )
    target = Path(output.strip())
    for name in IMPORT_PACKAGES:
        spec = importlib.util.find_spec(name)
        for folder in (spec and spec.submodule_search_locations) or ():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(folder, target / name, ignore=ignored, dirs_exist_ok=True)
    for file in importlib.metadata.files("mfprefect") or ():
        if file.parts[0].endswith(".dist-info") and file.name in ("METADATA", "entry_points.txt"):
            copy = target / f"mfprefect-{mfprefect.__version__}.dist-info" / file.name
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(str(file.locate()), copy)


def _call(command: list[str], purpose: str) -> str:
    removed = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    process = subprocess.run(  # noqa: S603 - a list of arguments, no shell
        command,
        env={name: value for name, value in os.environ.items() if name not in removed},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode != 0:
        lines = [line for line in process.stderr.splitlines() if "rror" in line]
        errors = "; ".join(dict.fromkeys(lines))
        reason = errors or process.stderr.strip() or process.stdout.strip()
        raise ConfigurationError(f"Python could not {purpose}: {reason}")
    return process.stdout
