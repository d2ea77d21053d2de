"""Find the session that a command names."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from mfprefect.errors import UnknownModel, UnknownSession

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = [
    "ENVIRONMENT",
    "require_known_model",
    "resolve_id",
    "resolve_scoring",
    "resolve_session",
    "resolve_training",
]

ENVIRONMENT = "MFPREFECT_SESSION_ID"
LATEST, PRODUCTION = "latest", "production"
MAX_SEARCHED = 1_000
NEWEST = 20
"""How many sessions to read first: among them is nearly always one that is no reproduction."""


def resolve_session(store: Store, name: str) -> dict[str, Any]:
    """Return the row of a session named by its id, `latest`, `latest:MODEL` or `production:MODEL`.

    The latest session is the newest that is no reproduction, if there is one.

    Raises:
        UnknownSession: no session has that id, or nothing is in production; the message suggests
            similar ids.
        UnknownModel: the model after the colon is not registered.
    """
    word, model_id = _word(name)
    if word == LATEST:
        row = _latest(store, model_id or None)
        if row is None:
            if model_id:
                require_known_model(store, model_id)
            raise UnknownSession(name)
        return row
    return _named(store, _in_production(store, model_id) if word else name)


def resolve_id(store: Store, name: str | None) -> str | None:
    """Return the id of a session named as in `resolve_session`; an id as it is, stored or not."""
    if name is None or not _word(name)[0]:
        return name
    return str(resolve_session(store, name)["session_id"])


def resolve_training(store: Store, name: str, model_id: str) -> str:
    """Return the id of a training session named as in `resolve_session`.

    `latest` is the last successful training with a saved model: of MODEL after the colon, or else
    of `model_id`.

    Raises:
        UnknownSession: there is none.
        UnknownModel: the model is not registered.
    """
    word, named_model = _word(name)
    if word != LATEST:
        return str(resolve_id(store, name))
    wanted = named_model or model_id
    require_known_model(store, wanted)
    session_id = store.latest_training(wanted)
    if session_id is None:
        exc = UnknownSession(name)
        exc.args = (f"model {wanted!r} has no successful training session with a saved model.",)
        raise exc
    return session_id


def _word(name: str) -> tuple[str, str]:
    """Return `latest` or `production`, or nothing for an id, and the model after the colon."""
    word, colon, model_id = name.partition(":")
    if word == LATEST or (word == PRODUCTION and colon):
        return word, model_id
    return "", ""


def _in_production(store: Store, model_id: str) -> str:
    session_id = store.production(model_id)
    if session_id is None:
        exc = UnknownSession(f"{PRODUCTION}:{model_id}")
        exc.args = (f"model {model_id!r} has nothing in production: see `mfprefect models`.",)
        raise exc
    return session_id


def _named(store: Store, session_id: str) -> dict[str, Any]:
    from mfprefect.cli.formats import records

    try:
        return records(store.show(session_id))[0]
    except UnknownSession as exc:
        newest = store.sessions(limit=MAX_SEARCHED, trials=True)["session_id"].tolist()
        near = get_close_matches(session_id, newest, n=3, cutoff=0.7)
        raise _with_hint(exc, near) from None


def resolve_scoring(store: Store, name: str) -> dict[str, Any]:
    """Return the row of a session to read scores of; as `resolve_session`, but for `latest:MODEL`.

    That is the session whose scores are current, if the model has any: not a backfill that ran
    after it, and no training.
    """
    word, _, model_id = name.partition(":")
    if word == LATEST and model_id:
        require_known_model(store, model_id)
        name = store.current_session(model_id) or name
    return resolve_session(store, name)


def _latest(store: Store, model_id: str | None) -> dict[str, Any] | None:
    from mfprefect.cli.formats import records
    from mfprefect.store.states import is_reproduction

    frame = store.sessions(model_id, limit=NEWEST)
    if frame["params"].map(is_reproduction).all() and len(frame) == NEWEST:
        frame = store.sessions(model_id, limit=MAX_SEARCHED)
    if frame.empty:
        return None
    originals = frame[~frame["params"].map(is_reproduction).astype(bool)]
    return records((frame if originals.empty else originals).head(1))[0]


def _with_hint(exc: UnknownSession, near: list[str]) -> UnknownSession:
    if near:
        exc.args = (f"{exc.args[0]} Did you mean {' or '.join(near)}?",)
    return exc


def require_known_model(store: Store, model_id: str) -> None:
    """Raise UnknownModel, with the registered models, unless the model is registered."""
    model_ids = store.models()["model_id"].tolist()
    if model_id not in model_ids:
        raise UnknownModel(model_id, model_ids)
