"""Find the session that a command names."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from mfprefect.errors import UnknownModel, UnknownSession

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = ["ENVIRONMENT", "require_known_model", "resolve_scoring", "resolve_session"]

ENVIRONMENT = "MFPREFECT_SESSION_ID"
LATEST = "latest"
MAX_SEARCHED = 1_000
NEWEST = 20
"""How many sessions to read first: among them is nearly always one that is no reproduction."""


def resolve_session(store: Store, name: str) -> dict[str, Any]:
    """Return the row of a session named by its id, `latest` or `latest:MODEL`.

    The latest session is the newest that is no reproduction, if there is one.

    Raises:
        UnknownSession: no session has that id; the message suggests similar ids.
        UnknownModel: the model of `latest:MODEL` is not registered.
    """
    from mfprefect.cli.formats import records

    word, _, model_id = name.partition(":")
    if word != LATEST:
        try:
            return records(store.show(name))[0]
        except UnknownSession as exc:
            newest = store.sessions(limit=MAX_SEARCHED)["session_id"].tolist()
            raise _with_hint(exc, get_close_matches(name, newest, n=3, cutoff=0.7)) from None
    row = _latest(store, model_id or None)
    if row is None:
        if model_id:
            require_known_model(store, model_id)
        raise UnknownSession(name)
    return row


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
