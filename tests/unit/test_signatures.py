"""A signed model is that of its session, attempt and model alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import ArtifactUntrusted, Session, Store
from mfprefect.artifacts import Artifact, sign

KEY = "the team's key"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    with mfprefect.connect(url, signing_key=KEY, spool=str(tmp_path / "spool")) as opened:
        opened.create_schema()
        opened.add_model("churn")
        yield opened


def execute(store: Store, statement: Any) -> None:
    store.database.write_transaction(lambda connection, _: connection.execute(statement))


def train(store: Store, model: bytes, name: str = "churn") -> Session:
    with store.session(name, purpose="train") as session:
        session.save_model(model)
    return session


def sign_as_before(store: Store, session: Session) -> None:
    """Give a running session's model the signature that earlier versions made."""
    a = store.database.schema.artifacts
    row = store.database.fetch_all(sa.select(a).where(a.c.session_no == session.session_no))[0]
    artifact = Artifact(row.artifact_format, row.byte_count, row.sha256, row.library_versions)
    one = a.update().where(a.c.session_no == session.session_no)
    execute(store, one.values(signature=sign(artifact, KEY)))


def train_as_before(store: Store, model: bytes) -> Session:
    with store.session("churn", purpose="train") as session:
        session.save_model(model)
        session.flush()
        sign_as_before(store, session)
    return session


def replace(store: Store, session: Session, other: Session) -> None:
    """Put the model of another session in a session's place, as somebody with all rights could."""
    for name in ("artifact_chunks", "artifacts"):
        t = store.database.schema.tables[name]
        columns = [c for c in t.c if c.name != "session_no"]
        select = sa.select(sa.literal(session.session_no), *columns)
        select = select.where(t.c.session_no == other.session_no)
        execute(store, t.delete().where(t.c.session_no == session.session_no))
        execute(store, t.insert().from_select([t.c.session_no, *columns], select))


def refuses(store: Store, session: Session, tmp_path: Path) -> None:
    with pytest.raises(ArtifactUntrusted, match="as that of another session"):
        store.load_model(session.session_id)
    with pytest.raises(ArtifactUntrusted, match="as its own"):
        store.copy_model(session.session_id, tmp_path / "model")
    assert store.load_model(session.session_id, trusted=True)


@pytest.mark.parametrize("make", [train, train_as_before])
def test_a_signed_model_of_another_session_is_refused(
    store: Store, tmp_path: Path, make: Any
) -> None:
    old, new = make(store, b"the old one"), make(store, b"the new one")
    assert store.load_model(new.session_id) == b"the new one"
    replace(store, new, old)
    refuses(store, new, tmp_path)
    assert store.load_model(old.session_id) == b"the old one"
    # Nor does a session that nobody sealed vouch for it.
    s = store.database.schema.sessions
    one = s.update().where(s.c.session_no == new.session_no)
    execute(store, one.values(seal=None, previous_seal=None))
    refuses(store, new, tmp_path)


def test_a_signed_session_of_another_model_is_refused(store: Store, tmp_path: Path) -> None:
    store.add_model("toy")
    toy = train(store, b"a toy", "toy")
    s = store.database.schema.sessions
    execute(store, s.update().where(s.c.session_no == toy.session_no).values(model_id="churn"))
    refuses(store, toy, tmp_path)


@pytest.mark.parametrize("make", [train, train_as_before])
def test_a_model_that_was_renamed_keeps_its_signatures(store: Store, make: Any) -> None:
    session = make(store, b"the old one")
    for old, new in (("churn", "leavers"), ("leavers", "left")):
        store.rename_model(old, new)
        assert store.load_model(session.session_id) == b"the old one"
    e = store.database.schema.audit_events
    renaming = e.update().where(e.c.action == "rename_model")
    execute(store, renaming.values(signature="0" * 64))  # nobody's with the key
    with pytest.raises(ArtifactUntrusted):
        store.load_model(session.session_id)


def test_the_model_of_another_attempt_is_refused(store: Store, tmp_path: Path) -> None:
    session = train(store, b"of the first attempt")
    s = store.database.schema.sessions
    execute(store, s.update().where(s.c.session_no == session.session_no).values(attempt=2))
    refuses(store, session, tmp_path)


def test_an_earlier_key_vouches_for_names_too(store: Store) -> None:
    old, new = train(store, b"the old one"), train_as_before(store, b"the new one")
    settings = store.database.settings
    url = settings.url.get_secret_value()
    with mfprefect.connect(url, signing_key="another", verify_keys={"old": KEY}) as later:
        assert later.load_model(old.session_id) == b"the old one"
        assert later.load_model(new.session_id) == b"the new one"


def test_what_was_spooled_is_signed_as_its_own(store: Store) -> None:
    session = store.session("churn", purpose="train")
    session._destination._fail_over(mfprefect.DatabaseUnavailable("away"))
    session.save_model(b"spooled")
    session.close()
    assert store.load_model(session.session_id) == b"spooled"
