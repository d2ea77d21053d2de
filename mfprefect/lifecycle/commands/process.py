"""Runs a command as a step: its output is logged as it appears, and no process outlives it."""

from __future__ import annotations

import codecs
import errno
import os
import re
import selectors
import shlex
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mfprefect.errors import CommandFailed, ConfigurationError
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.settings_env import Redactor

__all__ = ["TAIL", "Command", "run_command"]

TAIL = 50
"""How many of the last lines an error shows."""
MAX_LINE = 4_000
"""Characters of a line that are logged."""
MAX_TAIL = 8_000
"""Characters of the end of the output that an error shows."""
BLOCK = 65_536
# If a pipe stays open after its command, this much of it may still be the command's output.
LEFT_IN_PIPES = 2 * 1024 * 1024
PAUSE = 0.2
_BUSY = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, eq=False)
class Command:
    """A program with its arguments, folder and environment."""

    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    grace_seconds: float
    transient_exit_codes: Sequence[int]
    hidden: Redactor = field(repr=False)

    def __str__(self) -> str:
        return self.hidden(shlex.join(self.arguments))


def run_command(command: Command) -> None:
    """Run a command to its end in a process group of its own, which is ended with it.

    Raises:
        ConfigurationError: the program or the folder does not exist, or cannot be used.
        CommandFailed: it exited with a code other than 0, or was killed.
    """
    tail: deque[str] = deque(maxlen=TAIL)
    running = _Running(command, tail)
    try:
        code = running.follow()
        left_behind = running.signal(0)
    finally:
        running.end_group()
    if code:
        raise _failure(command, code, list(tail))
    if left_behind:
        tasks.log().warning("`%s` left processes behind; they were ended", command)


def _failure(command: Command, code: int, tail: list[str]) -> CommandFailed:
    how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
    if code == -signal.SIGKILL:
        how += " (as the system does when memory runs out)"
    printed = "\n".join(tail)[-MAX_TAIL:]
    end = f"Its last output:\n{printed}" if tail else "It printed nothing."
    return CommandFailed(
        f"the command `{command}` {how}. {end}",
        command=[command.hidden(part) for part in command.arguments],
        exit_code=code,
        tail=tail,
        transient=code in command.transient_exit_codes,
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _start(command: Command) -> subprocess.Popen[bytes]:
    if not command.folder.is_dir():
        raise ConfigurationError(
            f"the command `{command}` cannot run in {str(command.folder)!r}, which is not a "
            "folder; set `folder` in the model's class."
        )
    try:
        return subprocess.Popen(  # noqa: S603 - the model's own command, no shell
            command.arguments,
            cwd=command.folder,
            env=command.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as exc:
        if exc.errno in _BUSY:
            raise
        raise _not_runnable(command, exc) from exc


def _not_runnable(command: Command, exc: OSError) -> ConfigurationError:
    program = command.hidden(command.arguments[0])
    if isinstance(exc, FileNotFoundError) and "/" not in program:
        path = command.hidden(command.environment["PATH"])
        return ConfigurationError(
            f"the program {program!r} is not installed where this run can see it; PATH is {path}. "
            "Install it, or name it by its full path."
        )
    return ConfigurationError(
        f"the program {program!r} cannot be run: {exc.strerror}. A script needs its first line "
        '(`#!`) and the right to be executed, or its program in front: ["bash", "train.sh"].'
    )


class _Running:
    """A running command and every process it started."""

    def __init__(self, command: Command, tail: deque[str]) -> None:
        self._grace = command.grace_seconds
        log = tasks.log()
        self._process = _start(command)
        self._selector = selectors.DefaultSelector()
        self._lines: list[_Lines] = []
        outputs = ((self._process.stdout, log.info), (self._process.stderr, log.warning))
        for pipe, log_line in outputs:
            if pipe is not None:
                lines = _Lines(command.hidden, log_line, tail)
                self._lines.append(lines)
                self._selector.register(pipe, selectors.EVENT_READ, lines)

    def follow(self) -> int:
        """Read its output until it ends; return its exit code."""
        remaining = LEFT_IN_PIPES
        while self._selector.get_map() and remaining > 0:
            ended = self._process.poll() is not None
            read = self._read()
            if ended:  # another process holds the pipes open
                remaining = remaining - read if read else 0
        code = self._process.wait()
        for lines in self._lines:
            lines.end()
        return code

    def _read(self) -> int:
        read = 0
        for key, _ in self._selector.select(PAUSE):
            data = os.read(key.fd, BLOCK)
            key.data.feed(data)
            read += len(data)
            if not data:
                self._selector.unregister(key.fileobj)
        return read

    def signal(self, number: int) -> bool:
        """Send a signal to the whole group; return whether a process is left in it."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:  # the remaining ones belong to another user
            return self._process.poll() is None
        return True

    def end_group(self) -> None:
        """Ask the group to end, and kill what is left after the grace period."""
        try:
            if self.signal(signal.SIGTERM):
                deadline = time.monotonic() + self._grace
                while self._is_alive() and time.monotonic() < deadline:
                    if not self._read():
                        time.sleep(PAUSE / 4)
        finally:
            # Even if a second interrupt cut the wait short.
            if self._is_alive():
                self.signal(signal.SIGKILL)
            self._process.wait()
            self._close()

    def _is_alive(self) -> bool:
        self._process.poll()  # a zombie would count as a remaining process
        return self.signal(0)

    def _close(self) -> None:
        self._selector.close()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


class _Lines:
    """Turns arbitrary bytes into lines of any length."""

    def __init__(self, hidden: Redactor, log_line: Callable[..., None], tail: deque[str]) -> None:
        self._hidden, self._log_line, self._tail = hidden, log_line, tail
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest, self._dropped = "", 0

    def feed(self, data: bytes) -> None:
        """Log the complete lines."""
        *lines, rest = (self._rest + self._decoder.decode(data)).split("\n")
        for line in lines:
            self._log(line)
        limit = MAX_LINE + self._hidden.longest
        self._dropped += max(0, len(rest) - limit)
        self._rest = rest[:limit]

    def end(self) -> None:
        """Log a last line that has no line end."""
        rest = self._rest + self._decoder.decode(b"", final=True)
        if rest:
            self._log(rest)

    def _log(self, line: str) -> None:
        # Drop what a carriage return overwrites on a screen, such as progress bars.
        visible = _ESCAPES.sub("", line.rstrip("\r").rpartition("\r")[2])
        more = self._dropped + max(0, len(visible) - MAX_LINE)
        text = _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", self._hidden(visible, MAX_LINE))
        if more:
            text += f" .. ({more} more characters)"
        self._rest, self._dropped = "", 0
        self._tail.append(text)
        self._log_line("%s", text)
