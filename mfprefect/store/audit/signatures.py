"""Whose a signed artifact is: its signature names model, session, attempt and artifact.

Signatures of earlier versions name nothing, so a blob could pass for that of another session. They
hold where the session's signed seal covers the artifact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from mfprefect import artifacts, audit
from mfprefect.artifacts import Artifact
from mfprefect.audit.signing import Signature
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle

__all__ = ["names_of", "signed_names", "signing_key"]

Names = tuple[str, ...]


def signing_key(db: Database) -> str | None:
    """Return the team's key, None if it has none."""
    key = db.settings.signing_key
    return None if key is None else key.get_secret_value()


def names_of(handle: SessionHandle, name: str, model_id: str | None = None) -> Names:
    """Return what an artifact's signature names."""
    return model_id or handle.model_id, handle.session_id, str(handle.attempt), name


def signed_names(db: Database, handle: SessionHandle, name: str, artifact: Artifact) -> Names:
    """Return the names under which an artifact's signature is to be checked.

    Those of the artifact, with the name that its model had then; none, if an earlier version signed
    it and a signed seal covers it.
    """
    names, key = names_of(handle, name), signing_key(db)
    if key is None or _is_signed(db, artifact, names):
        return names
    if _is_signed(db, artifact, ()):
        return () if _is_sealed(db, handle) else names
    earlier = (names_of(handle, name, model) for model in _earlier_models(db, handle.model_id))
    return next((other for other in earlier if _is_signed(db, artifact, other)), names)


def _is_signed(db: Database, artifact: Artifact, names: Names) -> bool:
    return artifacts.is_signed(artifact, signing_key(db) or "", db.keyring.secrets, names)


def _is_sealed(db: Database, handle: SessionHandle) -> bool:
    """Return whether the session's signed seal covers its artifacts as they are."""
    s, c, a = db.schema.sessions.c, db.schema.seals.c, db.schema.artifacts
    same = (s.session_no == c.session_no, s.session_id == c.session_id, s.seal == c.seal)
    links = sa.select(c.manifest, c.seal, c.key_id, c.signature).where(
        *same, s.session_no == handle.session_no
    )
    rows = db.fetch_all(sa.select(a).where(a.c.session_no == handle.session_no))
    for link in db.fetch_all(links):
        signature = Signature(link.key_id, link.signature)
        manifest = audit.read_manifest(link.manifest, link.seal)
        if manifest is None or db.keyring.problem("seal", link.seal, signature, expected=True):
            continue
        models = {handle.model_id, *_earlier_models(db, handle.model_id)}
        if manifest["model_id"] not in models or manifest["session_id"] != handle.session_id:
            continue
        return bool(manifest["tables"].get("artifacts", {}).get("sha256") == _digest(a, rows))
    return False


def _digest(table: sa.Table, rows: list[Any]) -> Any:
    plain = [
        audit.plain_row(table, dict(zip(table.c.keys(), row, strict=True)) | {"session_no": None})
        for row in rows
    ]
    return audit.summary("artifacts", ("artifact_name",), plain)["sha256"]


def _earlier_models(db: Database, model_id: str) -> Iterator[str]:
    """Yield the names that a model had before, by signed events of the audit trail."""
    e = db.schema.audit_events
    renamings = sa.select(e).where(e.c.action == "rename_model").order_by(e.c.event_no.desc())
    for row in db.fetch_all(renamings):
        event = dict(zip(e.c.keys(), row, strict=True))
        signature = Signature(event["key_id"], event["signature"])
        forged = audit.event_digest(event) != event["digest"] or db.keyring.problem(
            "event", event["digest"], signature, expected=True
        )
        if event["subject"] == model_id and not forged:
            model_id = str(json.loads(event["detail"])["old"])
            yield model_id
