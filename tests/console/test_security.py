"""Who may read and who may act; what every answer forbids; what never leaves the console."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

import mfprefect
from mfprefect.console import ConsoleOptions, app
from mfprefect.console.logon import (
    Caller,
    NoLogon,
    Person,
    ProxyLogon,
    Refused,
    Right,
    Role,
    TokenLogon,
)
from mfprefect.errors import ConfigurationError
from mfprefect_dev.sample_sessions import Examples

pytestmark = pytest.mark.xdist_group("console")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
Serve = Callable[..., AbstractContextManager[httpx.Client]]
AsPerson = Callable[..., Mapping[str, str]]
SAME = {"Sec-Fetch-Site": "same-origin"}
ACTIONS = ("--logon", "proxy", "--actions")


def test_every_answer_has_the_headers(console: httpx.Client) -> None:
    for path in ("/", "/sessions", "/none", "/sessions?status=x", "/static/x", "/metrics"):
        answer = console.get(path)
        assert answer.headers["content-security-policy"] == POLICY, path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in answer.headers
        assert "server" not in answer.headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "a b", "[::1"])
def test_other_hosts_are_refused(console: httpx.Client, host: str) -> None:
    answer = console.get("/", headers={"Host": host})
    assert answer.status_code == 400
    assert "churn" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:8642"])
def test_names_of_this_machine_are_taken(console: httpx.Client, host: str) -> None:
    assert console.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_pages_are_read_alone(console: httpx.Client, method: str) -> None:
    assert console.request(method, "/", headers=SAME).status_code == 405
    assert console.request(method, "/").status_code == 403
    assert console.get("/do/rollback/churn").status_code == 405


def test_head_is_get_without_a_body(console: httpx.Client, examples: Examples) -> None:
    for path in ("/", f"/sessions/{examples['first']}"):
        answer = console.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_without_a_logon_nothing_is_changed(console: httpx.Client, examples: Examples) -> None:
    before = examples.store.stages("churn")
    for path in ("rollback/churn", "promote/churn", "retire/churn", "threshold/churn", "verify"):
        answer = console.post(f"/do/{path}", headers=SAME, data={"reason": "x"})
        assert answer.status_code == 403, path
    assert '<form method="post" action="/do/promote' not in console.get("/promote/churn").text
    assert len(examples.store.stages("churn")) == len(before)


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        ({"host": "192.0.2.7"}, "--logon"),
        ({"host": "example.com"}, "--logon"),
        ({"actions": True}, "--logon"),
        ({"root_path": "models"}, "begins with a slash"),
        ({"root_path": "/a b"}, "begins with a slash"),
    ],
)
def test_unsafe_options_are_refused(options: dict[str, Any], fix: str) -> None:
    with pytest.raises(ConfigurationError, match=fix):
        ConsoleOptions(**options)


def test_a_proxy_needs_a_secret_or_a_socket(serve: Serve, examples: Examples) -> None:
    with (
        pytest.raises(AssertionError, match=r"console\.proxy_secret"),
        serve(examples.url, "--logon", "proxy", settings=""),
    ):
        pass


def test_only_the_proxy_says_who_it_is(
    serve: Serve, as_person: AsPerson, examples: Examples
) -> None:
    with serve(examples.url, *ACTIONS) as client:
        named = as_person("ada", "ops")
        assert client.get("/", headers=named).status_code == 200
        assert "ada, deployer" in client.get("/", headers=named).text
        for headers in (
            {},
            {**named, "X-Mfprefect-Proxy-Secret": "guess"},
            {"X-Forwarded-User": "a"},
        ):
            answer = client.get("/", headers=headers)
            assert answer.status_code == 403, headers
            assert "churn" not in answer.text
            assert "store.db" not in answer.text
        twice = [*named.items(), ("X-Forwarded-User", "eve")]
        assert client.get("/", headers=twice).status_code == 400
        nobody = {**named, "X-Forwarded-User": ""}
        assert client.get("/", headers=nobody).status_code == 401


def test_roles_by_group(serve: Serve, as_person: AsPerson, examples: Examples) -> None:
    with serve(examples.url, *ACTIONS) as client:
        rights = {
            "/": (200, 200, 200),
            "/sessions": (200, 200, 200),
            "/scores/churn?entity=1": (403, 200, 200),
            "/audit": (403, 200, 200),
            "/database": (403, 200, 200),
        }
        groups = ("watchers", "auditors", "ops")
        for path, codes in rights.items():
            answers = [client.get(path, headers=as_person("ada", g)).status_code for g in groups]
            assert tuple(answers) == codes, path
        assert client.get("/", headers=as_person("eve")).status_code == 200  # the default role
        assert client.get("/audit", headers=as_person("eve", "unknown")).status_code == 403


def test_actions_are_recorded_under_the_persons_name(
    serve: Serve, as_person: AsPerson, copied: Examples
) -> None:
    store, headers = copied.store, {**as_person("ada", "ops"), **SAME}
    with serve(copied.url, *ACTIONS) as client:
        page = client.get("/promote/churn", headers=headers).text
        assert copied["candidate"] in page
        assert 'action="/do/promote/churn"' in page
        form = {"session": copied["candidate"], "reason": "better <b>"}
        answer = client.post("/do/promote/churn", headers=headers, data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/models/churn")
        assert store.production("churn") == copied["candidate"]
        new = {"value": "0.25", "kind": "population", "reason": "fewer calls"}
        assert client.post("/do/threshold/churn", headers=headers, data=new).status_code == 303
        back = {"reason": "worse"}
        assert client.post("/do/rollback/churn", headers=headers, data=back).status_code == 303
        assert store.production("churn") == copied["train"]
        assert client.post("/do/retire/churn", headers=headers, data=back).status_code == 303
        assert store.production("churn") is None
        assert "better &lt;b&gt;" in client.get("/models/churn", headers=headers).text
    log = store.audit_log(actor="ada")
    log = log[log["action"] != "look_up_scores"]  # by other tests, of the same store
    assert list(log["action"])[::-1] == ["promote", "set_threshold", "rollback", "retire"]
    reasons = [event.get("reason") for event in log["detail"]]
    assert reasons[::-1] == ["better <b>", "fewer calls", "worse", "worse"]
    assert set(store.stages("churn")["set_by"].head(3)) == {"ada"}
    assert store.thresholds("churn")["set_by"][0] == "ada"
    assert store.verify().problems == []


def test_a_verification_runs_in_the_background(
    serve: Serve, as_person: AsPerson, copied: Examples
) -> None:
    headers = {**as_person("ada", "auditors"), **SAME}
    with serve(copied.url, *ACTIONS) as client:
        form = {"reason": "the quarter ends"}
        assert client.post("/do/verify", headers=headers, data=form).status_code == 303
        for _ in range(200):
            page = client.get("/audit", headers=headers).text
            if "All seals hold" in page:
                break
        assert "All seals hold" in page
        assert client.post("/do/measure", headers=headers).status_code == 303
    log = copied.store.audit_log(action="verify")
    assert (log["actor"][0], log["detail"][0]["reason"]) == ("ada", "the quarter ends")


FORMS = {
    "/do/promote/churn": {"session": "candidate", "reason": "x"},
    "/do/rollback/churn": {"reason": "x"},
    "/do/retire/churn": {"reason": "x"},
    "/do/threshold/churn": {"value": "0.5", "kind": "probability", "reason": "x"},
    "/do/verify": {"reason": "x"},
}


def test_each_action_is_refused_without_what_it_needs(
    serve: Serve, as_person: AsPerson, copied: Examples
) -> None:
    person = as_person("ada", "ops")
    with serve(copied.url, *ACTIONS) as client:
        for path, fields in FORMS.items():
            form = {k: copied["candidate"] if k == "session" else v for k, v in fields.items()}
            cases = {
                "role": ({**as_person("bob", "watchers"), **SAME}, form, 403),
                "logon": (SAME, form, 403),
                "secret": ({**as_person("ada", "ops", secret="no"), **SAME}, form, 403),
                "origin": ({**person, "Sec-Fetch-Site": "cross-site"}, form, 403),
                "same site": ({**person, "Sec-Fetch-Site": "same-site"}, form, 403),
                "none": ({**person, "Sec-Fetch-Site": "none"}, form, 403),
                "neither header": (dict(person), form, 403),
                "other origin": ({**person, "Origin": "http://evil.example"}, form, 403),
                "null origin": ({**person, "Origin": "null"}, form, 403),
                "broken origin": ({**person, "Origin": "http://[::1"}, form, 403),
                "reason": ({**person, **SAME}, {**form, "reason": " "}, 400),
            }
            for name, (headers, fields_sent, status) in cases.items():
                answer = client.post(path, headers=headers, data=fields_sent)
                assert answer.status_code == status, (path, name)
        text = client.post("/do/rollback/churn", headers={**person, **SAME}, content=b"{}")
        assert text.status_code in (400, 403)
        large = {"reason": "x" * 70_000}
        answer = client.post("/do/rollback/churn", headers={**person, **SAME}, data=large)
        assert answer.status_code == 400
    names = {"promote", "rollback", "retire", "verify"}
    log = copied.store.audit_log(actor="ada", limit=None)
    assert not names & set(log["action"])
    assert copied.store.production("churn") == copied["train"]


def test_an_old_browser_sends_its_origin(
    serve: Serve, as_person: AsPerson, copied: Examples
) -> None:
    with serve(copied.url, *ACTIONS) as client:
        origin = str(client.base_url).rstrip("/")
        headers = {**as_person("ada", "ops"), "Origin": origin}
        answer = client.post("/do/retire/churn", headers=headers, data={"reason": "over"})
        assert answer.status_code == 303


def test_actions_are_off_by_default(serve: Serve, as_person: AsPerson, copied: Examples) -> None:
    headers = {**as_person("ada", "ops"), **SAME}
    with serve(copied.url, "--logon", "proxy") as client:
        for path, form in FORMS.items():
            assert client.post(path, headers=headers, data=form).status_code == 403
        assert 'action="/do/' not in client.get("/models/churn", headers=headers).text


def test_a_unix_socket_needs_no_secret(
    serve: Serve, as_person: AsPerson, examples: Examples, tmp_path: Path
) -> None:
    socket_file = tmp_path / "console.sock"
    with serve(examples.url, "--logon", "proxy", settings="", uds=socket_file) as client:
        assert "ada, viewer" in client.get("/", headers={"X-Forwarded-User": "ada"}).text
        assert client.get("/").status_code == 401


def test_below_a_sub_path(serve: Serve, examples: Examples) -> None:
    with serve(examples.url, "--root-path", "/factory", "--allow-host", "ml.example") as client:
        for path in ("/", "/factory/", "/factory"):
            page = client.get(path, headers={"Host": "ml.example"})
            assert page.status_code == 200
            assert 'href="/factory/models/churn"' in page.text
            assert 'href="/models' not in page.text
        assert client.get("/factory/models/churn").status_code == 200
        older = client.get("/factory/sessions?format=json").json()
        assert older["rows"]


def test_a_database_that_is_away_is_said_so() -> None:
    url = "postgresql://ada:geheimnis@127.0.0.1:1/factory"
    with mfprefect.connect(url, retry_seconds=0, connect_timeout=2) as store:
        transport = httpx.ASGITransport(app(store), client=("127.0.0.1", 1))

        async def get(path: str) -> httpx.Response:
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                return await client.get(path)

        for path in ("/", "/sessions", "/audit"):
            answer = asyncio.run(get(path))
            assert answer.status_code == 503, path
            assert answer.headers["retry-after"]
            for word in ("geheimnis", "ada", "postgres", "Traceback"):
                assert word not in answer.text, word


def test_tokens_of_the_store(serve: Serve, copied: Examples) -> None:
    store = copied.store
    tokens = {scope: store.create_token("ada", scope).token for scope in ("viewer", "deployer")}
    gone = store.create_token("eve", "admin")
    store.revoke_token(gone.token_id)
    with serve(copied.url, "--logon", "token", "--actions") as client:
        answer = client.get("/")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
        for token in (gone.token, tokens["viewer"] + "x", "mfp"):
            assert client.get("/", auth=("", token)).status_code == 401
        assert "ada, viewer" in client.get("/", auth=("ada", tokens["viewer"])).text
        bearer = {"Authorization": f"Bearer {tokens['deployer']}"}
        assert client.get("/audit", headers=bearer).status_code == 200
        form = {"reason": "over"}
        viewer = client.post(
            "/do/retire/churn", auth=("", tokens["viewer"]), headers=SAME, data=form
        )
        assert viewer.status_code == 403
        crossed = client.post("/do/retire/churn", auth=("", tokens["deployer"]), data=form)
        assert crossed.status_code == 403
        done = client.post("/do/retire/churn", headers=bearer, data=form)
        assert done.status_code == 303
        for path in ("/", "/audit", "/database", "/audit?actor=ada"):
            page = client.get(path, headers=bearer).text
            assert not [token for token in tokens.values() if token in page], path
    assert list(store.audit_log(action="retire")["actor"])[:1] == ["ada"]


def test_the_api_is_behind_the_same_logon(serve: Serve, copied: Examples) -> None:
    token = copied.store.create_token("ada", "viewer").token
    with serve(copied.url, "--logon", "token") as client:
        refused = client.get("/api/v1/models")
        assert refused.status_code == 401
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["status"] == 401
        models = client.get("/api/v1/models", headers={"Authorization": f"Bearer {token}"})
        assert models.status_code == 200
        assert "churn" in models.text
        assert models.headers["x-content-type-options"] == "nosniff"
        assert client.get("/api/v1/models", headers={"Host": "evil.example"}).status_code == 400


# Logons by themselves


def caller(peer: str | None = "127.0.0.1", *, secure: bool = True, **headers: str) -> Caller:
    lists = {name.replace("_", "-").lower(): [value] for name, value in headers.items()}
    return Caller(lists, peer, secure)


class FakeToken:
    token_id, owner, scope = "t1", "ada", "deployer"


def logon() -> TokenLogon:
    return TokenLogon(lambda secret: FakeToken() if secret == "mfp_right" else None)


def test_tokens_as_bearer_and_as_password() -> None:
    basic = base64.b64encode(b"anybody:mfp_right").decode()
    for header in ("Bearer mfp_right", f"Basic {basic}", f"basic {basic}"):
        person = logon().person(caller(authorization=header))
        assert (person.name, person.role, person.token_id) == ("ada", Role.DEPLOYER, "t1")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer wrong",
        "Basic !!!",
        "Basic bWZwX3JpZ2h0",
        "Digest mfp_right",
        "mfp_right",
    ],
)
def test_wrong_tokens(header: str) -> None:
    with pytest.raises(Refused) as refused:
        logon().person(caller(authorization=header))
    assert (refused.value.status, refused.value.challenge) == (401, True)
    assert "mfp_right" not in str(refused.value)


def test_no_token_over_a_line_that_others_read() -> None:
    with pytest.raises(Refused) as refused:
        logon().person(caller("10.0.0.9", secure=False, authorization="Bearer mfp_right"))
    assert refused.value.status == 403


def test_local_readers_change_nothing() -> None:
    person = NoLogon().person(caller())
    assert person.may(Right.READ)
    assert person.may(Right.AUDIT)
    for right in (Right.DEPLOY, Right.WRITE, Right.TOKENS, Right.VERIFY):
        assert not person.may(right)


def test_the_strongest_group_counts() -> None:
    proxy = ProxyLogon("s3cret", {"a": Role.VIEWER, "b": Role.DEPLOYER}, None)

    def sent(name: str, groups: str) -> Caller:
        return caller(
            x_forwarded_user=name, x_mfprefect_proxy_secret="s3cret", x_forwarded_groups=groups
        )

    person = proxy.person(sent("ada", "c, b ,a"))
    assert person == Person("ada", Role.DEPLOYER, "proxy")
    with pytest.raises(Refused) as refused:
        proxy.person(sent("ada", "c"))
    assert refused.value.status == 403
    for name in ("a" * 129, "a\x7f", "a\u202eb"):
        with pytest.raises(Refused):
            proxy.person(sent(name, "a"))


def test_settings_name_a_wrong_role() -> None:
    with pytest.raises(ConfigurationError, match="roles"):
        mfprefect.connect("sqlite://", console={"roles": {"a": "king"}})
