"""Run mfprefect with other versions of its libraries than constraints.txt (`make test-libraries`).

`newest` is what pip installs for a user today, without constraints. `lowest` has the lowest version
that pyproject.toml admits of each library that mfprefect or an extra asks for (not ray and spark),
and what pip chooses of the rest. Each gets an environment of its own in `.versions/` and runs the
demo, the life of a model on all databases, and a deployed and scheduled run. Uses only the standard
library.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".versions"
FOR_TESTS = ("dev", "test")
"""Extras whose lowest versions are no promise to users."""
FOR_ENGINES = ("ray", "spark")
"""Extras that `.[test]` does not install; `make engines` does."""
NAMES = ("newest", "lowest")
TESTS = ("tests/flows/test_lifecycle.py", "tests/flows/test_deployments.py")


def main(names: list[str]) -> int:
    """Run each environment of `names`, by default all; return the exit code."""
    if unknown := set(names) - set(NAMES):
        say(f"{', '.join(sorted(unknown))}: no such environment; the choices are {NAMES}.")
        return 2
    return max(run(name) for name in names or NAMES)


def run(name: str) -> int:
    """Make the environment `name` and run the demo and the tests in it; return the exit code."""
    say(f"installing the {name} versions ..")
    programs = install(name)
    versions = subprocess.run(
        [programs / "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    )
    wanted = re.compile(r"(prefect|SQLAlchemy|pandas|numpy|scikit-learn|pyarrow)==", re.IGNORECASE)
    say(" ".join(line for line in versions.stdout.split() if wanted.match(line)))
    with tempfile.TemporaryDirectory() as folder:
        demo = subprocess.run([programs / "mfprefect", "demo"], cwd=folder, check=False)
    tests = subprocess.run(
        [
            programs / "pytest",
            "-q",
            "-W",
            "default",
            "--numprocesses",
            "3",
            "--dist",
            "loadgroup",
            *TESTS,
        ],
        cwd=ROOT,
        check=False,
    )
    say(f"{name}: the demo ended with {demo.returncode}, the tests with {tests.returncode}")
    return max(abs(demo.returncode), abs(tests.returncode))


def install(name: str) -> Path:
    """Return the folder of the programs of a new environment."""
    folder = FOLDER / name
    venv.create(folder, clear=True, with_pip=True)
    command: list[str | Path] = [
        folder / "bin" / "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    if name == "lowest":
        pins = FOLDER / "lowest.txt"
        pins.write_text("\n".join(lowest()) + "\n", encoding="utf-8")
        command += ["--constraint", pins]
    subprocess.run([*command, "--editable", ".[test]"], cwd=ROOT, check=True)
    return folder / "bin"


def lowest() -> Iterator[str]:
    """Yield `name==version` of the lowest version that users may have of each library."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for requirements in (
        project["dependencies"],
        *(extras[extra] for extra in extras if extra not in FOR_TESTS + FOR_ENGINES),
    ):
        for requirement in requirements:
            if match := re.match(r"([\w.-]+)(?:\[.*?\])?>=([\w.]+)", requirement):
                yield f"{match[1]}=={match[2]}"


def say(text: str) -> None:
    """Print a line at once: pip and pytest print between them."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
