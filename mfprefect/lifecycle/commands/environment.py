"""The environment variables that a command gets: the session, the store, the part."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect.lifecycle.run import as_of_date
from mfprefect.lifecycle.settings_env import settings_variables, without_settings
from mfprefect.settings import PREFIX
from mfprefect.util import values

if TYPE_CHECKING:
    from mfprefect.command_model import CommandModel
    from mfprefect.session import Session
    from mfprefect.store import Store

__all__ = ["environment"]


def environment(
    store: Store,
    model_class: type[CommandModel],
    session: Session,
    part: int,
    purpose: str | None = None,
    params: Mapping[str, Any] = {},
) -> dict[str, str]:
    """Return a command's environment: our variables over the model's over this process's.

    Args:
        store: the store.
        model_class: the model.
        session: the run's session.
        part: the part of a scoring, from 1.
        purpose: `train` or `score`; by default the session's own, which is `adhoc` for a
            reproduction.
        params: the parameters that the class declares, as `fit` of a model in Python has them.
    """
    variables = without_settings(os.environ) | dict(model_class.environment)
    # A Python program would otherwise buffer its output until it ends.
    variables.setdefault("PYTHONUNBUFFERED", "1")
    programs = [
        str(Path(sys.executable).parent),
        *filter(None, [variables.get("PATH", os.defpath)]),
    ]
    variables["PATH"] = os.pathsep.join(programs)
    return (
        variables
        | settings_variables(store)
        | _session(model_class, session, part, purpose or session.purpose)
        | ({PREFIX + "PARAMS": values.json_text(dict(params), "params")} if params else {})
    )


def _session(
    model_class: type[CommandModel], session: Session, part: int, purpose: str
) -> dict[str, str]:
    facts = {
        "SESSION_ID": session.session_id,
        "MODEL_ID": session.model_id,
        "PURPOSE": purpose,
        "ATTEMPT": str(session.attempt),
        "AS_OF": as_of_date(session).isoformat(),
        "PART": str(part),
        "PARTS": str(model_class.parts if purpose == "score" else 1),
    }
    if purpose == "score" and session.parent_session_id is not None:
        facts["TRAINING_SESSION_ID"] = session.parent_session_id
    return {PREFIX + name: value for name, value in facts.items()}
