"""Tokens: made once, stored as digests, refused as soon as revoked or expired; shown nowhere."""

from __future__ import annotations

import base64
import datetime as dt
import json
import logging
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import mfprefect
from mfprefect import InvalidValue, SealBroken, Store
from mfprefect.cli import cli
from mfprefect.redaction import redact_urls
from mfprefect.store import tokens as store_tokens


def test_a_token_lives_until_it_is_revoked(store: Store) -> None:
    new = store.create_token("nightly", "writer", description="scores at night")
    assert new.token.startswith(f"mfp_{new.token_id}_")
    assert len(new.token.rpartition("_")[2]) == 52  # 256 bits in base 32
    assert new.token not in repr(new)
    token = store.token_for(new.token)
    assert token is not None
    assert (token.token_id, token.owner, token.scope) == (new.token_id, "nightly", "writer")
    frame = store.tokens()
    assert frame["state"].tolist() == ["valid"]
    assert "token_digest" not in frame.columns
    store.revoke_token(new.token_id)
    store.revoke_token(new.token_id)
    assert store.token_for(new.token) is None
    assert store.tokens()["state"].tolist() == ["revoked"]
    events = store.audit_log()
    assert events["action"].tolist()[:2] == ["revoke_token", "create_token"]
    assert new.token not in json.dumps(events["detail"].tolist())
    store.verify()


def test_a_token_expires(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    new = store.create_token("nightly", expires=dt.timedelta(hours=1))
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    monkeypatch.setattr("mfprefect.util.values.utc_now", lambda: later)
    assert store.token_for(new.token) is None
    assert store.tokens()["state"].tolist() == ["expired"]


def test_only_the_whole_token_counts(store: Store) -> None:
    new = store.create_token("nightly")
    head, _, secret = new.token.rpartition("_")
    other = "a" if secret[0] != "a" else "b"
    for text in (
        "",
        new.token_id,
        head,
        f"{head}_{other}{secret[1:]}",
        new.token.upper(),
        new.token + "x",
    ):
        assert store.token_for(text) is None
    assert store.token_for("mfp_aaaaaaaaaa_" + secret) is None


def test_the_database_holds_no_token(store: Store) -> None:
    new = store.create_token("nightly")
    table = store.database.schema.api_tokens
    (row,) = store.database.fetch_all(sa.select(table))
    secret = new.token.rpartition("_")[2]
    assert not [value for value in row if isinstance(value, str) and secret in value]
    assert len(row.token_digest) == 64


def test_what_a_token_cannot_be(store: Store) -> None:
    for arguments in (
        {"scope": "root"},
        {"owner": ""},
        {"owner": "a\nb"},
        {"owner": "x" * 129},
        {"expires": dt.timedelta(0)},
        {"expires": dt.timedelta(days=367)},
    ):
        with pytest.raises(InvalidValue):
            store.create_token(**{"owner": "nightly", **arguments})  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="there is no token"):
        store.revoke_token("aaaaaaaaaa")
    assert store.tokens().empty


def test_a_token_that_nobody_made_is_found(schema_url: str) -> None:
    """Whoever can write the table cannot make tokens or stronger scopes unseen."""
    with mfprefect.connect(schema_url) as store:
        new = store.create_token("nightly", "viewer")
        table = store.database.schema.api_tokens
        with store.database.engine.begin() as connection:
            connection.execute(table.update().values(scope="admin"))
        with pytest.raises(SealBroken, match="api_tokens"):
            store.verify()
        with store.database.engine.begin() as connection:
            connection.execute(table.update().values(scope="viewer"))
        store.verify()
        with store.database.engine.begin() as connection:
            row = connection.execute(sa.select(table)).one()
            copy = dict(zip(table.c.keys(), row, strict=True)) | {"token_id": "a" * 10}
            connection.execute(table.insert(), copy)
        with pytest.raises(SealBroken, match="was added"):
            store.verify()
        assert new.token_id


def test_texts_lose_their_tokens(store: Store) -> None:
    new = store.create_token("nightly")
    text = redact_urls(f"Bearer {new.token} was sent")
    assert text == f"Bearer mfp_{new.token_id}_*** was sent"


def test_the_command(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/t.db"
    with mfprefect.connect(url) as store:
        store.create_schema()
        made = invoke(url, "create", "nightly", "--scope", "writer", "--expires", "12h")
        token = made.stdout.strip()
        assert store.token_for(token) is not None
        assert token not in made.stderr
        listed = invoke(url, "list", "--json")
        (row,) = json.loads(listed.stdout)
        assert (row["owner"], row["scope"], row["state"]) == ("nightly", "writer", "valid")
        assert token not in listed.stdout
        assert invoke(url, "revoke", token).exit_code == 0  # by its name, or as a whole
        assert store.token_for(token) is None
        assert CliRunner().invoke(cli, ["token", "create", "x", "--expires", "long"]).exit_code != 0


def invoke(url: str, *arguments: str) -> Any:
    result = CliRunner().invoke(cli, ["token", *arguments, "--url", url])
    assert result.exit_code == 0, result.output
    return result


def test_who_is_let_in(api: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = api.token("viewer")
    name = token.split("_")[1]
    basic = base64.b64encode(f"anybody:{token}".encode()).decode()
    with api.client(None) as client:
        for header in (f"Bearer {token}", f"bearer {token}", f"Basic {basic}"):
            answer = client.get("/", headers={"Authorization": header})
            assert answer.json()["name"] == "the viewer", answer.text
        for header in (
            "",
            "Bearer",
            "Bearer x",
            f"Basic {token}",
            f"Basic {basic}x",
            f"Digest {token}",
            token,
        ):
            refused = client.get("/sessions", headers={"Authorization": header})
            assert (refused.status_code, refused.json()["error"]) == (401, "Unauthorized")
            assert "Bearer" in refused.headers["www-authenticate"]
        assert client.get("/sessions").status_code == 401
        api.store.revoke_token(name)
        assert client.get("/", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert token not in caplog.text
    assert basic not in caplog.text


def test_tokens_are_not_taken_in_clear_text(api: Any) -> None:
    from mfprefect.console.api import api_app

    app = api_app(api.store)
    headers = {"Authorization": f"Bearer {api.token('viewer')}"}

    def get(base: str, peer: str) -> httpx.Response:
        import anyio

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app, client=(peer, 4711))
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                return await client.get("/", headers=headers)

        return anyio.run(send)

    assert get("http://console", "10.0.0.7").json()["error"] == "InsecureTransport"
    for base, peer in (
        ("https://console", "10.0.0.7"),
        ("http://console", "127.0.0.1"),
        ("http://c", "::1"),
    ):
        assert get(base, peer).status_code == 200


def test_what_each_scope_may(api: Any) -> None:
    with api.client("writer") as client:
        answer = client.post("/sessions", json={"model_id": "churn", "register": True})
        session_id = answer.json()["session_id"]
    look_up = {"auditor", "writer", "deployer", "admin"}
    wanted = {
        ("GET", "/sessions"): {"viewer", "auditor", "writer", "deployer", "admin"},
        ("GET", f"/sessions/{session_id}/scores"): look_up,
        ("GET", "/models/churn/latest-scores?entity_id=a"): {
            "auditor",
            "writer",
            "deployer",
            "admin",
        },
        ("GET", "/audit/events"): {"auditor", "deployer", "admin"},
        ("GET", "/audit/head"): {"auditor", "deployer", "admin"},
        ("POST", f"/sessions/{session_id}/log"): {"writer", "admin"},
        ("POST", f"/sessions/{session_id}/close"): {"writer", "admin"},
        ("POST", "/sessions"): {"writer", "admin"},
        ("POST", "/models"): {"writer", "admin"},
        ("PUT", f"/sessions/{session_id}/artifacts/x"): {"writer", "admin"},
        ("POST", f"/sessions/{session_id}/scores"): {"writer", "admin"},
    }
    for scope in store_tokens.SCOPES:
        with api.client(scope) as client:
            for (method, path), scopes in wanted.items():
                # A body that no operation takes: nothing is written.
                body = {"json": {"nothing": 1}} if method == "POST" else {}
                status = client.request(method, path, **body).status_code
                if scope in scopes:
                    assert status in (200, 415, 422), (scope, method, path)
                elif not (method == "POST" and status == 422):  # refused for its form first
                    assert status == 403, (scope, method, path)


def test_a_server_that_takes_no_writes(serve: Any, new_database: Any) -> None:
    from mfprefect.console.api import api_app
    from mfprefect_dev.apikit import mounted, serving

    with new_database("sqlite", schema=True) as url, mfprefect.connect(url) as store:
        token = store.create_token("boss", "admin").token
        with serving(mounted(api_app(store))) as address:
            headers = {"Authorization": f"Bearer {token}"}
            answer = httpx.post(f"{address}/sessions", json={"model_id": "churn"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (403, "WritesOff")
