"""What a run began and what was acknowledged to it; written by the run, read by its judge."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

__all__ = ["Journal"]


class Journal:
    """What a run began and what it was told is done, one line each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dies_before: str | None = None
        """The line before which this process kills itself: what it says, nobody hears."""

    def write(self, line: str) -> None:
        """Append a line at once."""
        if line == self.dies_before:
            os.kill(os.getpid(), signal.SIGKILL)
        with self.path.open("ab", buffering=0) as file:
            file.write(f"{line}\n".encode())

    def lines(self) -> list[str]:
        """Return what was written so far."""
        return self.path.read_text().splitlines() if self.path.exists() else []

    def saw(self, session: Any) -> None:
        """Note in which step the session went over to the spool."""
        if session.spooled and self.spooled_in is None:
            self.write(f"spooled in {self.step}")

    @property
    def spooled_in(self) -> str | None:
        """The step in which the session went over to the spool."""
        folders = [line[11:] for line in self.lines() if line.startswith("spooled in ")]
        return folders[0] if folders else None

    @property
    def step(self) -> str:
        """The step that is going on, or was when the run died."""
        begun = [line[6:] for line in self.lines() if line.startswith("begin ")]
        return begun[-1] if begun else "start"

    @property
    def done(self) -> list[str]:
        """The steps that were acknowledged."""
        return [line[5:] for line in self.lines() if line.startswith("done ")]

    @property
    def failure(self) -> str | None:
        """The error that the run ended with, if it could still say so."""
        said = [line[7:] for line in self.lines() if line.startswith("failed ")]
        return said[-1] if said else None

    @property
    def hit(self) -> tuple[str, str] | None:
        """The step and the statement at which a seam acted."""
        step = "start"
        for line in self.lines():
            if line.startswith("begin "):
                step = line[6:]
            elif line.startswith("hit "):
                return step, line[4:]
        return None

    @property
    def session_id(self) -> str | None:
        """The session, once its opening was acknowledged."""
        session_ids = [line[8:] for line in self.lines() if line.startswith("session ")]
        return session_ids[-1] if session_ids else None
