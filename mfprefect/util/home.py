"""The folder of the spool if no setting names one."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path

__all__ = ["default_folder"]

log = logging.getLogger(__name__)


def default_folder() -> Path | None:
    """Return `$XDG_STATE_HOME/mfprefect/spool`; `XDG_STATE_HOME` defaults to `~/.local/state`.

    None, with a warning, for a user without a home, such as the random uid of a container.
    """
    state = os.environ.get("XDG_STATE_HOME")
    base = Path(state) if state else _home_state()
    return base and base / "mfprefect" / "spool"


@cache
def _home_state() -> Path | None:
    try:
        home = Path.home()
    except RuntimeError:
        home = Path()
    if home.is_absolute():
        return home / ".local" / "state"
    log.warning(
        "uid %s has no home folder, so there is no spool: a run fails if the database is away. Set "
        "MFPREFECT_SPOOL to a folder that outlives the process, or to off.",
        os.getuid(),
    )
    return None
