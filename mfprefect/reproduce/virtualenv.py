"""An environment with the packages that a session ran with, made anew by pip."""

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

OURS = ("mfprefect", "mfprefect_backends")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")


def find_python(version: str) -> str | None:
    """Return an interpreter of a version such as `3.12`, None where none is installed here."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    return shutil.which(f"python{version}")


def requirements(
    packages: Mapping[str, str], without: Collection[str] = (), project: str | None = None
) -> list[str]:
    """Return what pip is asked for: each package in the version that was recorded.

    Args:
        packages: versions by normalised name.
        without: names to leave out.
        project: the name of the checkout's own package, which is installed from there.

    Raises:
        ConfigurationError: a name or version is none, so that pip could take it for an option.
    """
    # The mfprefect that is here runs the session.
    left_out = {"mfprefect", *(_normalised(name) for name in without), project}
    for name, version in packages.items():
        if not (_NAME.fullmatch(name) and _VERSION.fullmatch(version)):
            raise ConfigurationError(f"the package {name!r} {version!r} is no name and version")
    return [f"{n}=={v}" for n, v in sorted(packages.items()) if n not in left_out]


def build_environment(
    folder: Path,
    packages: Mapping[str, str],
    *,
    python: str,
    checkout: Path,
    without: Collection[str] = (),
) -> str:
    """Make an environment; return its interpreter.

    pip takes the packages from wherever it is configured to. Nothing is resolved: what was recorded
    is complete.

    Args:
        folder: where to; there is nothing yet.
        packages: versions by normalised name.
        python: the interpreter to make it of.
        checkout: where the team's code is: a package that it defines is installed from there.
        without: packages to leave out, such as those that no index has.

    Raises:
        ConfigurationError: a package cannot be installed.
    """
    own = _project(checkout)
    if own not in packages or own in {_normalised(name) for name in without}:
        own = None
    wanted = requirements(packages, without, own)
    interpreter = str(folder / "bin" / "python")
    if importlib.util.find_spec("pip") is not None:  # else the new environment gets one: slower
        _call([python, "-m", "venv", "--without-pip", str(folder)], "make an environment")
        pip = [sys.executable, "-m", "pip", "--python", interpreter]
    else:
        _call([python, "-m", "venv", str(folder)], "make an environment")
        pip = [interpreter, "-m", "pip"]
    configuration = Path(sys.prefix) / "pip.conf"
    if configuration.is_file():  # the present environment's own: where its index is
        shutil.copy(configuration, folder / "pip.conf")
    listed = folder / "requirements.txt"
    listed.write_text("\n".join(wanted) + "\n")
    install = [*pip, "install", "--quiet", "--no-deps", "--no-input", "--disable-pip-version-check"]
    _call([*install, "-r", str(listed)], "install what was recorded")
    if own is not None:
        source = folder / "checkout"  # building leaves files behind
        shutil.copytree(checkout, source, ignore=shutil.ignore_patterns(".git"), symlinks=True)
        _call([*install, str(source)], f"install {own} of the checkout")
    _copy_ourselves(interpreter)
    return interpreter


def _project(checkout: Path) -> str | None:
    try:
        found = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
        return _normalised(found["project"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _copy_ourselves(interpreter: str) -> None:
    """Copy this mfprefect: the recorded one may not know how to run a session again."""
    told = _call(
        [interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        "find its packages",
    )
    target = Path(told.strip())
    for name in OURS:
        spec = importlib.util.find_spec(name)
        for place in (spec and spec.submodule_search_locations) or ():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(place, target / name, ignore=ignored, dirs_exist_ok=True)
    for file in importlib.metadata.files("mfprefect") or ():
        if file.parts[0].endswith(".dist-info") and file.name in ("METADATA", "entry_points.txt"):
            copy = target / f"mfprefect-{mfprefect.__version__}.dist-info" / file.name
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(str(file.locate()), copy)


def _call(command: list[str], what: str) -> str:
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    done = subprocess.run(  # noqa: S603 - a list of arguments, no shell
        command,
        env={name: value for name, value in os.environ.items() if name not in hidden},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "rror" in line]
        told = "; ".join(dict.fromkeys(lines)) or done.stderr.strip() or done.stdout.strip()
        raise ConfigurationError(f"Python could not {what}: {told}")
    return done.stdout
