"""Shadow scoring: a challenger scores what the champion has just scored, unpublished."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfprefect.command_model import CommandModel
from mfprefect.errors import InvalidValue
from mfprefect.lifecycle import commands, scoring, tasks
from mfprefect.lifecycle.ended import Ended
from mfprefect.lifecycle.run import completed
from mfprefect.store.models.promotion import candidate
from mfprefect.store.states import SHADOW_OF

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.session import Session
    from mfprefect.store import Store

__all__ = ["score_shadow"]

LATEST = "latest"


def score_shadow(
    store: Store, model_class: type[Model], champion: Ended, wanted: str
) -> str | None:
    """Score with a challenger as a second session of the run; return it, None if there is none.

    It is never published. Any failure is only logged: the champion's scores stand.

    Args:
        store: the store.
        model_class: the model.
        champion: the successful scoring session.
        wanted: a training session, or `latest`.
    """
    try:
        challenger = _challenger(store, model_class, champion, wanted)
        if challenger is None:
            return None
        return _score(store, model_class, champion, challenger)
    except Exception as exc:  # noqa: BLE001 - a challenger must not harm the champion's run
        tasks.log().warning("the challenger did not score: %s: %s", type(exc).__name__, exc)
        return None


def _challenger(store: Store, model_class: type[Model], champion: Ended, wanted: str) -> str | None:
    challenger = candidate(
        store.database, model_class.model_id, None if wanted == LATEST else wanted
    )
    if challenger is None and wanted != LATEST:
        raise InvalidValue(
            f"session {wanted!r} is not a training session of {model_class.model_id!r} that "
            "succeeded or failed only its gates."
        )
    if challenger is None or challenger == champion.parent_session_id:
        tasks.log().info("no challenger: there is no other training than the one in use")
        return None
    return challenger


def _score(store: Store, model_class: type[Model], champion: Ended, challenger: str) -> str:
    params = {SHADOW_OF: champion.session_id, "parts": model_class.parts}

    def work(session: Session) -> None:
        if issubclass(model_class, CommandModel):
            commands.score_command(store, model_class, session)
        else:
            scoring.score_model(store, model_class, session)
        session.close(publish=False)

    as_of = champion.as_of
    session = completed(
        store, model_class, "score", work, as_of=as_of, params=params, parent=challenger
    )
    return session.session_id
