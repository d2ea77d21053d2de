"""Run git and hg in a checkout so that they only read it: nothing that it configures is run.

A checkout's own configuration may name programs: hooks, a file system monitor, pagers, external
diffs, filters, transports of a partial clone, extensions of Mercurial. Whoever sends somebody a
folder would run them. Filters that the user or the system configures, such as Git LFS, stay:
without them, their files would count as changed.
"""

from __future__ import annotations

import functools
import io
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Vcs"]

_TIMEOUT = 30.0
"""Seconds per git or hg command; a network file system can be slow."""

_HIDDEN_VARIABLES = {
    # Set inside a git hook; they would point every command at the hook's repository.
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE"),
    *("GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_TRACE", "HGPLAINEXCEPT"),
}

_FIXED_VARIABLES = {
    **{"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_PAGER": "cat"},
    # A missing object of a partial clone would be fetched by a transport that the checkout names.
    **{"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"},
    # Without the hgrc of the repository, which may name extensions and hooks.
    **{"HGPLAIN": "1", "HGENCODING": "utf-8", "HGRCSKIPREPO": "1"},
}

_GIT_OPTIONS = ("--no-pager", *("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"))

_KEYS = r"^(filter\..*\.(clean|smudge|process|required)|remote\..*\.url|branch\..*\.remote)$"
"""Settings of filters, and of remotes, which one process reads along with them."""

_LIST_INDEX = ("ls-files", "-s", "-z")

_OWN_SCOPES = {"local", "worktree"}
"""Scopes of git's settings that belong to the checkout; the others belong to user and system."""


@dataclass(frozen=True)
class Vcs:
    """The program `git` or `hg` in one checkout."""

    program: str
    root: Path

    def run(self, *arguments: str, timeout: float | None = None) -> io.BufferedRandom:
        """Run a command and return its output as an open file, because a diff can exceed memory.

        Raises:
            FileNotFoundError: the program is not installed.
            subprocess.SubprocessError: it failed, or took longer than `timeout` seconds.
        """
        options = self._filter_options if self.program == "git" else ()
        return _run(self.root, self.program, *options, *arguments, timeout=timeout)

    def output(self, *arguments: str) -> str:
        """Run a command and return its output as text.

        Raises:
            FileNotFoundError: the program is not installed.
            subprocess.SubprocessError: it failed, or took too long.
        """
        return _text(self.run(*arguments))

    def optional_output(self, *arguments: str) -> str:
        """Return the output as text, or nothing if the command fails (a setting that is unset)."""
        try:
            return self.output(*arguments)
        except subprocess.CalledProcessError:
            return ""

    @functools.cached_property
    def settings(self) -> list[tuple[str, str, str]]:
        """Scope, key and value of git's settings of filters and remotes, as git lists them."""
        return _settings(self.root)

    @functools.cached_property
    def _filter_options(self) -> tuple[str, ...]:
        """Options that turn off the filters which the checkout or its submodules configure."""
        # At the same time as the settings, because each session that opens waits for both.
        listing = _Command(self.root, "git", *_LIST_INDEX)
        try:
            _ = self.settings
        except BaseException:
            listing.stop()
            raise
        inner = (_settings(folder) for folder in _submodules(self.root, listing))
        values = [item for read in (self.settings, *inner) for item in _own_filters(read).items()]
        return tuple(option for key, value in values for option in ("-c", f"{key}={value}"))


class _Command:
    """A running command, whose output goes into a file."""

    def __init__(self, root: Path, program: str, *arguments: str) -> None:
        path = shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
        if path is None:
            raise FileNotFoundError(f"{program} is not installed")
        visible = {k: value for k, value in os.environ.items() if k not in _HIDDEN_VARIABLES}
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - the caller of `output` closes it
        self._process = subprocess.Popen(  # noqa: S603 - a fixed list of arguments, no shell
            [path, *(_GIT_OPTIONS if program == "git" else ()), *arguments],
            cwd=root,
            # The ceiling stops git from reading an outer checkout if this one is broken.
            env={**visible, **_FIXED_VARIABLES, "GIT_CEILING_DIRECTORIES": str(root.parent)},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.PIPE,
        )

    def output(self, timeout: float | None = None) -> io.BufferedRandom:
        """Wait for its end and return its output; errors are those of `Vcs.run`."""
        process = self._process
        try:
            _, errors = process.communicate(timeout=timeout or _TIMEOUT)
            if process.returncode:
                command = process.args
                raise subprocess.CalledProcessError(process.returncode, command, stderr=errors)
        except BaseException:
            self.stop()
            raise
        self._output.seek(0)
        return self._output

    def stop(self) -> None:
        """End it, if it still runs, and give up its output."""
        with self._process as process:
            process.kill()  # does nothing to a process that has ended
        self._output.close()


def _run(
    root: Path, program: str, *arguments: str, timeout: float | None = None
) -> io.BufferedRandom:
    return _Command(root, program, *arguments).output(timeout)


def _text(file: io.BufferedRandom) -> str:
    with file:
        return os.fsdecode(file.read())


def _settings(root: Path) -> list[tuple[str, str, str]]:
    command = ("config", "-z", "--show-scope", "--get-regexp", _KEYS)
    try:
        fields = _text(_run(root, "git", *command)).split("\0")
    except subprocess.CalledProcessError:  # no such setting, or no repository
        return []
    entries = zip(fields[0::2], fields[1::2], strict=False)
    return [(scope, *entry.partition("\n")[::2]) for scope, entry in entries]


def _own_filters(settings: list[tuple[str, str, str]]) -> dict[str, str]:
    """Map each filter setting of a checkout to the user's value, or to that which turns it off."""
    filters = [entry for entry in settings if entry[1].startswith("filter.")]
    owned = {key for scope, key, _ in filters if scope in _OWN_SCOPES}
    foreign = {key: value for scope, key, value in filters if scope not in _OWN_SCOPES}
    names = sorted({key.rpartition(".")[0] for key in owned})
    return {key: value for name in names for key, value in _filter(name, owned, foreign).items()}


def _filter(name: str, owned: set[str], foreign: dict[str, str]) -> dict[str, str]:
    values = {f"{name}.{part}": foreign.get(f"{name}.{part}", "") for part in ("clean", "smudge")}
    process, required = f"{name}.process", f"{name}.required"
    # A process that is set, even to nothing, takes the place of the two others.
    if process in owned or process in foreign:
        values[process] = foreign.get(process, "")
    works = foreign.get(process) if process in values else foreign.get(f"{name}.clean")
    return {**values, required: foreign.get(required, "false") if works else "false"}


def _submodules(root: Path, listing: _Command | None = None) -> list[Path]:
    """Return the checked-out submodules of a checkout, and theirs: git reads their settings too."""
    try:
        entries = _text((listing or _Command(root, "git", *_LIST_INDEX)).output()).split("\0")
    except subprocess.CalledProcessError:  # no working tree
        return []
    links = [root / entry.partition("\t")[2] for entry in entries if entry.startswith("160000 ")]
    folders = [folder for folder in links if (folder / ".git").exists()]
    return [*folders, *(inner for folder in folders for inner in _submodules(folder))]
