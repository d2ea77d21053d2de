"""Which installed libraries have versions that mfprefect's tests never ran with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from mfprefect.cli.commands.doctor.finding import CheckResult

__all__ = ["TriedVersions", "libraries", "tried_versions"]


class TriedVersions(NamedTuple):
    """The lowest and the highest version of a library that the tests ran with."""

    lowest: Version
    highest: Version

    def __str__(self) -> str:
        return f"{self.lowest} to {self.highest}"


def libraries(_: str | None) -> Iterator[CheckResult]:
    """Compare the installed libraries with the versions that the tests ran with."""
    tried = tried_versions()
    installed = {name: version for name in tried if (version := _installed(name)) is not None}
    older = {name: v for name, v in installed.items() if v < tried[name].lowest}
    newer = {name: v for name, v in installed.items() if v > tried[name].highest}
    if older:
        cure = "pip install " + " ".join(f"'{name}>={tried[name].lowest}'" for name in older)
        yield CheckResult("libraries", "failed", f"too old: {_listed(older, tried)}", cure)
    if newer:
        cure = "pip install -c constraints.txt .. gives the versions of the tests"
        text = f"newer than the tests ran with: {_listed(newer, tried)}"
        yield CheckResult("libraries", "warning", text, cure)
    if not older and not newer:
        text = f"{len(installed)} have versions that the tests ran with"
        yield CheckResult("libraries", "ok", text)


def tried_versions() -> dict[str, TriedVersions]:
    """Return the versions tried of each library that mfprefect or an extra for users asks for.

    The tests run with the lowest versions that the package's metadata admit, and with those of
    constraints.txt.
    """
    highest = _constraints()
    tried: dict[str, TriedVersions] = {}
    for text in metadata.requires("mfprefect") or ():
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        floors = [Version(s.version) for s in requirement.specifier if s.operator == ">="]
        if floors and name in highest and _is_for_users(requirement):
            tried[name] = TriedVersions(max(floors), highest[name])
    return tried


def _is_for_users(requirement: Requirement) -> bool:
    marker = requirement.marker
    return marker is None or not any(marker.evaluate({"extra": e}) for e in ("dev", "test"))


def _installed(name: str) -> Version | None:
    try:
        return Version(metadata.version(name))
    except metadata.PackageNotFoundError:
        return None


def _listed(versions: Mapping[str, Version], tried: Mapping[str, TriedVersions]) -> str:
    return ", ".join(f"{name} {version} ({tried[name]})" for name, version in versions.items())


def _constraints() -> dict[str, Version]:
    import mfprefect

    package = Path(mfprefect.__file__).parent
    checkout = package.parent / "constraints.txt"
    path = checkout if checkout.is_file() else package / "_constraints.txt"
    pins = (line.partition("==") for line in path.read_text(encoding="utf-8").splitlines())
    return {canonicalize_name(name): Version(pin) for name, equals, pin in pins if equals}
