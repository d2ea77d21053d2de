"""Requests that no client should send: each is refused as a problem, and nothing breaks."""

from __future__ import annotations

import io
import json
import socket
import tempfile
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pyarrow as pa
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure as CheckFailed
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from mfprefect.redaction import TOKEN
from mfprefect_dev.apikit import Api, opened

HOSTILE = (
    "<script>alert(1)</script>",
    "'; drop table sessions; --",
    "../../etc/passwd",
    "%00",
    "a\nb",
    "\u202e",
    "é" * 64,
    "x" * 5000,
    "{{7*7}}",
    "\\",
)
JSON = {"Content-Type": "application/json"}


def problem(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """Return the problem of an answer, which must be one."""
    assert answer.status_code in statuses, (answer.status_code, answer.text[:500])
    assert answer.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = answer.json()
    assert content["status"] == answer.status_code
    assert content["type"] == f"urn:mfprefect:error:{content['error']}"
    assert content["title"] and content["detail"]
    return content


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_in_addresses(api: Api, text: str) -> None:
    with api.client("admin") as client:
        for path in ("/sessions/{}", "/sessions/{}/metrics", "/models/{}", "/sessions/{}/scores"):
            answer = client.get(path.format(quote(text, safe="")))
            problem(answer, 404, 422)
        for name in ("model_id", "run_by", "git_commit", "since", "status", "cursor", "purpose"):
            answer = client.get("/sessions", params={name: text})
            if answer.status_code != 200:
                problem(answer, 422)
        answer = client.get("/models/churn/latest-scores", params={"entity_id": text})
        problem(answer, 404, 422)
        problem(client.get("/audit/events", params={"cursor": text}), 422)
        problem(client.get("/models", params={"cursor": text}), 422)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_stored_as_texts(api: Api, text: str) -> None:
    with api.client() as client:
        session_id = opened(client, params={"p": text})
        log = {"metadata": {"note": text}, "params": {text[:100]: 1}}
        stored = client.post(f"/sessions/{session_id}/log", json=log)
        if stored.status_code == 200:
            (note,) = client.get(f"/sessions/{session_id}/metadata").json()["items"]
            assert note["value"] == text
        else:
            problem(stored, 422)
        assert client.get(f"/sessions/{session_id}/params").json()["p"] == text
        name = quote(text, safe="")
        answer = client.put(f"/sessions/{session_id}/artifacts/{name}", content=b"x")
        if answer.status_code == 200:
            got = client.get(f"/sessions/{session_id}/artifacts/{name}")
            assert got.content == b"x"
            disposition = got.headers["content-disposition"]
            assert disposition.startswith('attachment; filename="')
            assert "\n" not in disposition and "<" not in disposition
        else:
            problem(answer, 404, 422)


def test_texts_that_no_database_stores(api: Api) -> None:
    with api.client() as client:
        for bad in ("\0", "\ud800", "a\udfffb"):
            # As JSON, NUL is a text without one: what is stored as JSON can hold it.
            in_json = bad.replace("\0", "\ud800")
            for body in (
                {"model_id": bad, "register": True},
                {"model_id": "churn", "register": True, "params": {"x": in_json}},
                {"model_id": "churn", "register": True, "params": {bad: "x"}},
                {"model_id": "churn", "register": True, "tags": [bad]},
                {"model_id": "churn", "register": True, "host": bad},
                {"model_id": "churn", "register": True, "code": {"commit": bad}},
                {"model_id": "churn", "register": True, "environment": {"language": bad}},
                {"model_id": "churn", "register": True, "parent": bad},
            ):
                answer = client.post("/sessions", content=json.dumps(body), headers=JSON)
                problem(answer, 404, 422)
            session_id = opened(client)
            for log in (
                {"metrics": {bad: 1.0}},
                {"metadata": {"n": bad}},
                {"metadata": {bad: "n"}},
                {"metrics": {"auc": 1.0}, "segment": bad},
                {"inputs": [{"source": bad}]},
                {"inputs": [{"source": "s", "query": bad}]},
                {"inputs": [{"source": "s", "digest": bad}]},
                {"inputs": [{"source": "s", "columns": {in_json: in_json}}]},
                {"checks": [{"check": bad, "passed": True}]},
                {"checks": [{"check": "c", "column": bad, "passed": True}]},
                {"checks": [{"check": "c", "passed": True, "message": bad}]},
                {"checks": [{"check": "c", "passed": True, "sample": [{"value": in_json}]}]},
                {"variable_importance": [{"kind": bad, "variable": "v", "importance": 1.0}]},
                {"variable_importance": [{"kind": "k", "variable": bad, "importance": 1.0}]},
                {"backtests": [{"period": bad, "predicted": 1.0, "actual": None}]},
            ):
                answer = client.post(
                    f"/sessions/{session_id}/log", content=json.dumps(log), headers=JSON
                )
                problem(answer, 422)
            close = {"status": "failed", "kind": "k", "reason": bad}
            answer = client.post(
                f"/sessions/{session_id}/close", content=json.dumps(close), headers=JSON
            )
            problem(answer, 422)
    api.store.verify()


def test_bodies_that_are_no_json(api: Api) -> None:
    with api.client() as client:
        for body in (
            b"",
            b"{",
            b"[]",
            b"null",
            b'"x"',
            b"\xff\xfe",
            b'{"model_id": "churn", "params": {"x": NaN}}',
            b'{"model_id": "churn", "params": {"x": 1e999}}',
            b'{"model_id": "churn", "params": ' + b"[" * 40_000 + b"]" * 40_000 + b"}",
            b'{"model_id": 7}',
            b'{"model_id": "churn", "unknown": 1}',
            b'{"model_id": "churn", "register": "yes"}',
            b'{"model_id": "churn", "as_of": 0}',
            b'{"model_id": "churn", "as_of": "2026-02-30"}',
            b'{"model_id": "churn", "purpose": "dance"}',
        ):
            answer = client.post("/sessions", content=body, headers=JSON)
            problem(answer, 400, 404, 422)
        for media_type in ("text/plain", "application/xml", "multipart/form-data", ""):
            answer = client.post(
                "/sessions", content=b'{"model_id": "churn"}', headers={"Content-Type": media_type}
            )
            assert problem(answer, 415)["error"] == "UnsupportedMediaType"
            assert "json" in answer.headers["accept"]
    assert api.store.sessions().empty


def test_bodies_that_are_too_large(api: Api) -> None:
    with api.client() as client:
        large = json.dumps({"model_id": "churn", "params": {"x": "y" * 100_000}})
        assert problem(client.post("/sessions", content=large, headers=JSON), 413)
        chunks = (b" " * 10_000 for _ in range(50))
        assert problem(client.post("/sessions", content=chunks, headers=JSON), 413)
        session_id = opened(client)
        url = f"/sessions/{session_id}/artifacts/model"
        assert problem(client.put(url, content=b"x" * 2_000_001), 413)["error"] == "TooLarge"
        assert problem(client.put(url, content=(b"x" * 500_000 for _ in range(5))), 413)
        scores = f"/sessions/{session_id}/scores"
        csv = {"Content-Type": "text/csv"}
        assert problem(client.post(scores, content=b"x" * 2_000_001, headers=csv), 413)
        packed = client.put(url, content=b"x", headers={"Content-Encoding": "gzip"})
        assert problem(packed, 415)["detail"].startswith("the content encoding is 'gzip'")
        packed = client.post("/sessions", json={}, headers={"Content-Encoding": "gzip"})
        assert problem(packed, 415)
        assert client.put(url, content=b"x" * 2_000_000).status_code == 200
    assert api.store.artifacts(session_id)["bytes"].tolist() == [2_000_000]


def test_files_that_are_none(api: Api) -> None:
    parquet, arrow = "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"
    stream = io.BytesIO()
    table = pa.table({"entity_id": ["a", "b"], "score": [0.1, 0.2]})
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    whole = stream.getvalue()
    bodies = [
        ("text/csv", b""),
        ("text/csv", b"\xff\xff,\x00\n1,2\n"),
        ("text/csv", b"id,score\na,1\n"),
        ("text/csv", b"entity_id,score\na\n"),
        ("text/csv", b"entity_id,score\na,high\n"),
        ("text/csv", b"entity_id,score\n,1\n"),
        ("text/csv", b"entity_id,score\na,1\na,2\n"),
        ("text/csv", b"entity_id,score,score\na,1,2\n"),
        ("text/csv", b'entity_id,score\n"a,1\n'),
        (parquet, b""),
        (parquet, b"PAR1" + b"\x00" * 100 + b"PAR1"),
        (arrow, b""),
        (arrow, b"\xff\xff\xff\xff" + b"\x7f" * 100),
        (arrow, whole[:-30]),
        (arrow, whole[:100]),
    ]
    with api.client() as client:
        session_id = opened(client)
        for media_type, body in bodies:
            answer = client.post(
                f"/sessions/{session_id}/scores", content=body, headers={"Content-Type": media_type}
            )
            text = problem(answer, 422)["detail"]
            assert tempfile.gettempdir() not in text and "mfprefect-" not in text, text
        for media_type in ("application/json", "", "text/html"):
            answer = client.post(
                f"/sessions/{session_id}/scores", content=b"x", headers={"Content-Type": media_type}
            )
            problem(answer, 415)
    assert api.store.score_parts(session_id).empty


def test_damaged_arrow_streams_crash_nothing(api: Api) -> None:
    """A byte anywhere in the stream is changed: an error or other scores, never a crash."""
    stream = io.BytesIO()
    table = pa.table({"entity_id": ["a", "bb", "ccc"], "score": [0.1, 0.2, 0.3]})
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    whole = stream.getvalue()
    headers = {"Content-Type": "application/vnd.apache.arrow.stream"}
    with api.client() as client:
        session_id = opened(client)
        for place in range(0, len(whole), 7):
            damaged = bytearray(whole)
            damaged[place] ^= 0xFF
            answer = client.post(
                f"/sessions/{session_id}/scores?part=1", content=bytes(damaged), headers=headers
            )
            assert answer.status_code in (200, 422), (place, answer.text)


def test_keys_and_headers(api: Api) -> None:
    body = {"model_id": "churn", "register": True}
    with api.client() as client:
        for key in ("", "x" * 256, "a b", "a\tb"):
            answer = client.post("/sessions", json=body, headers={"Idempotency-Key": key})
            problem(answer, 422)
        for length in ("-1", "x", "1e3", "999999999999999999999"):
            status = raw(
                api,
                f"POST /api/v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n",
            )
            assert status in (400, 401, 413, 415), length
        for method in ("PATCH", "DELETE", "PUT"):
            answer = client.request(method, "/sessions")
            assert problem(answer, 405)["error"] == "MethodNotAllowed"
            assert "GET" in answer.headers["allow"]
        problem(client.get("/nowhere"), 404)
        problem(client.get("/sessions/"), 404)


def raw(api: Api, request: str) -> int:
    address = urlsplit(api.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(request.encode())
        return int(connection.recv(1000).split()[1])


def test_a_token_in_the_wrong_place_is_not_repeated(api: Api, caplog: Any) -> None:
    token = api.token("writer")
    with api.client() as client:
        for answer in (
            client.get(f"/models/{token[:64]}"),
            client.get("/sessions", params={"cursor": token}),
            client.get("/sessions", params={"status": token}),
            client.post("/sessions", json={"model_id": "x", token: token}),
            client.post("/sessions", json={"model_id": "x", "purpose": token}),
            client.post("/sessions", content=token, headers=JSON),
            client.get("/sessions", params={"since": token}),
        ):
            assert answer.status_code >= 400
            assert token not in answer.text
            assert not TOKEN.search(answer.text)
    assert token not in caplog.text


def test_two_requests_for_the_next_parts(api: Api) -> None:
    """The second is refused, because both would take the same numbers."""
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> Any:
        yield b"entity_id,score\na,1\n"
        begun.set()
        assert go_on.wait(30)
        yield b"b,1\n"

    csv = {"Content-Type": "text/csv"}
    with api.client() as client:
        session_id = opened(client)
        url = f"/sessions/{session_id}/scores"
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(client.post, url, content=slowly(), headers=csv)
            assert begun.wait(30)
            # The body has not arrived, so nothing is being written: this one goes first.
            assert client.post(url, content=b"entity_id,score\nc,1\n", headers=csv).is_success
            go_on.set()
            assert first.result().json()["parts"] == [2]
        bodies = [f"entity_id,score\n{chr(100 + n)},1\n".encode() for n in range(6)]
        with ThreadPoolExecutor(6) as pool:
            answers = list(
                pool.map(lambda body: client.post(url, content=body, headers=csv), bodies)
            )
        written = [answer for answer in answers if answer.status_code == 200]
        for answer in answers:
            if answer not in written:
                assert problem(answer, 409)["error"] == "Busy"
        assert client.post(f"/sessions/{session_id}/close", json={}).is_success
    assert len(api.store.scores(session_id)) == 3 + len(written)
    numbers = [part for answer in written for part in answer.json()["parts"]]
    assert len(set(numbers)) == len(numbers)


def test_a_client_that_hangs_up(api: Api) -> None:
    """Neither a half upload nor a half download leaves anything behind."""
    address = urlsplit(api.url)
    with api.client() as client:
        session_id = opened(client)
    for _ in range(20):
        with socket.create_connection((address.hostname, address.port)) as connection:
            head = (
                f"PUT /api/v1/sessions/{session_id}/artifacts/model HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {api.token('writer')}\r\nContent-Length: 1000000\r\n\r\n"
            )
            connection.sendall(head.encode() + b"x" * 1000)
    with api.client() as client:
        assert client.get(f"/sessions/{session_id}/artifacts").json() == {"items": []}


def test_an_upload_does_not_fill_memory(serve: Any, new_database: Any) -> None:
    with new_database("sqlite", schema=True) as url:
        api = serve(url)
        with api.client() as client:
            session_id = opened(client)
            tracemalloc.start()
            chunk = b"m" * 1_000_000
            answer = client.put(
                f"/sessions/{session_id}/artifacts/model", content=(chunk for _ in range(80))
            )
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert answer.json()["bytes"] == 80_000_000
            assert peak < 40_000_000, peak


# What the description says


EXCLUDED = [
    ignored_auth,  # sends requests without the token, which test_who_is_let_in does
    positive_data_acceptance,  # no schema says which cursor is one, or which session is closed
]


def schema_of(api: Api) -> Any:
    config = SchemathesisConfig()
    return schemathesis.openapi.from_url(f"{api.url}/openapi.json", config=config)


def test_the_api_is_as_it_describes_itself(api: Api) -> None:
    """Requests made from the description: no 5xx, answers as described, wrong ones refused."""
    with api.client() as client:
        session_id = opened(client)
        client.post(f"/sessions/{session_id}/log", json={"metrics": {"auc": 0.5}})
    schema = schema_of(api)
    headers = {"Authorization": f"Bearer {api.token('admin')}"}
    problems = []
    for result in schema.get_all_operations():
        operation = result.ok()
        try:
            fuzz(api, operation, headers, session_id)
        except* CheckFailed as group:  # each operation has its turn
            problems += [f"{operation.label}: {error.message}" for error in group.exceptions]
    assert not problems, "\n".join(problems)


def fuzz(api: Api, operation: Any, headers: dict[str, str], session_id: str) -> None:
    from hypothesis import given

    @given(case=operation.as_strategy())
    @settings(
        max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    def check(case: Any) -> None:
        # Half of the requests are about something that exists.
        if "session_id" in (case.path_parameters or {}) and len(str(case.path_parameters)) % 2:
            case.path_parameters["session_id"] = session_id
        case.call_and_validate(base_url=api.url, headers=headers, excluded_checks=EXCLUDED)

    check()
