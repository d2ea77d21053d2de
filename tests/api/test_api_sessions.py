"""Sessions written over HTTP: the same as those of Python, each request done once."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mfprefect
from mfprefect import Store
from mfprefect_dev.apikit import Api, content, opened

SCORES = pd.DataFrame({"customer_id": ["a", "b", "c"], "p": [0.1, 0.5, 0.25]})
CSV = {"Content-Type": "text/csv"}
FEED: dict[str, Any] = {
    "params": {"rounds": 200},
    "metrics": {"auc": 0.83, "log_loss": 0.41},
    "steps": [{"step": n, "metrics": {"loss": 1 / (n + 1)}} for n in range(20)],
    "metadata": {"rows": "120000"},
    "inputs": [{"source": "crm.customers", "query": "select 1", "rows": 120000, "seconds": 1.5}],
    "checks": [{"check": "not_null", "column": "tenure", "passed": True, "message": "ok"}],
    "variable_importance": [{"kind": "permutation", "variable": "tenure", "importance": 0.4}],
    "backtests": [{"period": "2026-01", "predicted": 1.0, "actual": 2.0}],
}
MODEL = b"a model of another language" * 1000


def by_python(store: Store) -> str:
    """Run a session in Python."""
    with store.session("churn", "train", params={"depth": 6}, as_of="2026-11-30") as session:
        session.log_params(FEED["params"])
        session.log_metrics(FEED["metrics"])
        for each in FEED["steps"]:
            session.log_metrics(each["metrics"], step=each["step"])
        session.log_metadata(FEED["metadata"])
        session.log_input(**FEED["inputs"][0])
        session.log_check_results(
            [{**FEED["checks"][0], "severity": "error", "failing_rows": 0, "sample": "[]"}]
        )
        importance = pd.DataFrame(FEED["variable_importance"]).drop(columns="kind")
        session.log_variable_importance(importance, "permutation")
        session.log_backtest(pd.DataFrame(FEED["backtests"]))
        session.save_model(MODEL, format="bytes")
        session.write_scores(SCORES, "customer_id", "p")
    return session.session_id


def by_http(client: httpx.Client) -> str:
    session_id = opened(client, purpose="train", params={"depth": 6}, as_of="2026-11-30")
    for answer in (
        client.post(f"/sessions/{session_id}/log", json=FEED),
        client.put(f"/sessions/{session_id}/artifacts/model", content=MODEL),
        client.post(
            f"/sessions/{session_id}/scores?entity_id=customer_id&score=p",
            content=SCORES.to_csv(index=False),
            headers=CSV,
        ),
        client.post(f"/sessions/{session_id}/close", json={}),
    ):
        assert answer.status_code == 200, answer.text
    return session_id


def test_a_session_of_http_equals_one_of_python(each_api: Api) -> None:
    with each_api.client() as client:
        theirs = by_http(client)
    ours = by_python(each_api.store)
    assert content(each_api.store, theirs) == content(each_api.store, ours)
    each_api.store.verify()
    row = each_api.store.get_sessions(theirs).iloc[0]
    assert (row["run_by"], row["status"]) == ("the writer", "succeeded")
    assert row["published_at"] is not None
    assert each_api.store.scores(theirs)["score"].tolist() == [0.1, 0.5, 0.25]
    assert each_api.store.load_model(theirs) == MODEL


def test_where_it_came_from_is_what_the_client_says(api: Api) -> None:
    code: dict[str, Any] = {"commit": "4f1c2d9a", "branch": "main", "dirty": False}
    code["author"] = "Ann <ann@example.com>"
    code["remote"] = "https://user:password@git.example.com/team/churn"
    runtime = {"language": "R 4.5.2", "platform": "linux", "packages": {"glm_net": "4.1"}}
    with api.client() as client:
        session_id = opened(client, code=code, environment=runtime, tags=["b", "a"], host="node-7")
        row = client.get(f"/sessions/{session_id}").json()
        environment = client.get(f"/sessions/{session_id}/environment").json()
    assert (row["git_commit"], row["git_branch"], row["vcs"]) == ("4f1c2d9a", "main", "git")
    assert (row["git_author"], row["git_dirty"]) == ("Ann <ann@example.com>", False)
    assert row["git_remote"] == "https://git.example.com/team/churn"
    assert (row["host"], row["process_id"], row["tags"]) == ("node-7", 0, ["a", "b"])
    expected = {"python": "R 4.5.2", "platform": "linux", "packages": {"glm-net": "4.1"}}
    assert environment == expected
    (registered,) = api.store.audit_log(action="add_model")["actor"]
    assert registered == "the writer"
    # Not ended as crashed: no process holds it.
    assert api.store.reconcile().empty


@pytest.mark.parametrize("format", ["csv", "arrow", "parquet"])
def test_scores_in_each_format_come_back_in_each_format(api: Api, format: str) -> None:
    frame = pd.DataFrame(
        {
            "entity_id": ["007", "é", "long " * 20, "z"],
            "score": [0.1, -0.0, 5e-324, 1.7976931348623157e308],
            "score_class": ["low", None, "", "high"],
        }
    )
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with api.client() as client:
        session_id = opened(client)
        body, media_type = encoded(table, format)
        answer = client.post(
            f"/sessions/{session_id}/scores?score_class=score_class",
            content=body,
            headers={"Content-Type": media_type},
        )
        assert answer.json() == {"session_id": session_id, "rows": 4, "parts": [1]}
        assert client.post(f"/sessions/{session_id}/close", json={}).is_success
        stream = client.get(f"/sessions/{session_id}/scores", params={"format": format})
        assert stream.headers["content-type"].split(";")[0] == media_type
        assert "attachment" in stream.headers["content-disposition"]
        accepted = client.get(f"/sessions/{session_id}/scores", headers={"Accept": media_type})
    assert accepted.content == stream.content
    rows = decoded(stream.content, format).sort_by("entity_id").to_pylist()
    assert rows == table.sort_by("entity_id").to_pylist()


def encoded(table: pa.Table, format: str) -> tuple[bytes, str]:
    sink = io.BytesIO()
    if format == "parquet":
        pq.write_table(table, sink)
        return sink.getvalue(), "application/vnd.apache.parquet"
    if format == "arrow":
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
        return sink.getvalue(), "application/vnd.apache.arrow.stream"
    pa.csv.write_csv(table, sink)
    return sink.getvalue(), "text/csv"


def decoded(content: bytes, format: str) -> pa.Table:
    source = io.BytesIO(content)
    if format == "parquet":
        return pq.read_table(source)
    if format == "arrow":
        return pa.ipc.open_stream(source).read_all()
    options = pa.csv.ConvertOptions(
        column_types={"entity_id": pa.string()},
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        null_values=[""],
    )
    return pa.csv.read_csv(source, convert_options=options)


def test_a_retried_request_is_no_second_write(each_api: Api) -> None:
    body = {"model_id": "churn", "register": True}
    with each_api.client() as client:
        first = client.post("/sessions", json=body, headers={"Idempotency-Key": "open-1"})
        again = client.post("/sessions", json=body, headers={"Idempotency-Key": "open-1"})
        assert (again.status_code, again.json()) == (201, first.json())
        assert again.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in first.headers
        session_id = first.json()["session_id"]
        for key, path, sent in (
            ("log-1", "log", FEED),
            ("scores-1", "scores?entity_id=customer_id&score=p", SCORES.to_csv(index=False)),
            ("close-1", "close", {}),
        ):
            url, headers = f"/sessions/{session_id}/{path}", {"Idempotency-Key": key}
            if isinstance(sent, str):
                answers = [client.post(url, content=sent, headers=headers | CSV) for _ in range(3)]
            else:
                answers = [client.post(url, json=sent, headers=headers) for _ in range(3)]
            assert [answer.status_code for answer in answers] == [200] * 3, answers[0].text
            assert answers[0].json() == answers[1].json() == answers[2].json()
    store = each_api.store
    assert len(store.sessions()) == 1
    assert len(store.inputs(session_id)) == len(store.checks(session_id)) == 1
    assert store.score_parts(session_id)["part_no"].tolist() == [1]
    store.verify()


def test_a_key_is_of_one_request_and_one_owner(api: Api) -> None:
    headers = {"Idempotency-Key": "the-key"}
    with api.client() as client, api.client("admin") as other:
        first = opened_with(client, headers, {"depth": 6})
        refused = client.post(
            "/sessions", json={"model_id": "churn", "params": {"depth": 7}}, headers=headers
        )
        assert (refused.status_code, refused.json()["error"]) == (422, "KeyReused")
        assert opened_with(other, headers, {"depth": 6}) != first
        # A refusal takes no key.
        unknown = client.post("/sessions", json={"model_id": "x"}, headers={"Idempotency-Key": "k"})
        assert unknown.status_code == 404
        assert opened_with(client, {"Idempotency-Key": "k"}, {})


def opened_with(client: httpx.Client, headers: dict[str, str], params: dict[str, Any]) -> str:
    body = {"model_id": "churn", "register": True, "params": params}
    answer = client.post("/sessions", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session_id"])


def test_the_same_request_at_the_same_moment_is_done_once(each_api: Api) -> None:
    with each_api.client() as client:
        session_id = opened(client)

        def send(_: int) -> tuple[str, str, str]:
            headers = {"Idempotency-Key": "at-once"}
            one = client.post("/sessions", json={"model_id": "churn"}, headers=headers)
            log = client.post(
                f"/sessions/{session_id}/log",
                json={"inputs": [{"source": "crm"}]},
                headers={"Idempotency-Key": "log"},
            )
            close = client.post(
                f"/sessions/{session_id}/close", json={}, headers={"Idempotency-Key": "close"}
            )
            return one.json().get("session_id", one.text), log.text, close.text

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(send, range(6)))
    assert len(set(answers)) == 1, answers
    assert len(each_api.store.sessions()) == 2
    assert len(each_api.store.inputs(session_id)) == 1
    assert each_api.store.get_sessions(session_id)["status"].tolist() == ["succeeded"]


def test_an_end_that_is_rolled_back_refuses_no_request(each_api: Api) -> None:
    db = each_api.store.database
    sessions = db.schema.sessions
    with each_api.client() as client, ThreadPoolExecutor(1) as pool, db.engine.connect() as other:
        session_id = opened(client)
        same = sessions.c.session_id == session_id
        other.execute(sessions.update().where(same).values(status="succeeded"))
        body = {"inputs": [{"source": "crm"}]}
        logged = pool.submit(client.post, f"/sessions/{session_id}/log", json=body)
        time.sleep(1)  # time to see that end, where selects see what is not committed
        other.rollback()
        assert logged.result().status_code == 200, logged.result().text
    assert len(each_api.store.inputs(session_id)) == 1


SERVER = '''
import os, signal, sys, uvicorn, mfprefect
from mfprefect.console.api import api_app
from starlette.applications import Starlette
from starlette.routing import Mount

url, port = sys.argv[1], int(sys.argv[2])
api = api_app(mfprefect.connect(url), writer=mfprefect.connect(url))

async def app(scope, receive, send):
    """Kill the server when it is about to answer: everything is committed, nobody hears of it."""
    dies = dict(scope.get("headers") or ()).get(b"x-die") == b"before-answer"

    async def answer(message):
        if dies and message["type"] == "http.response.start":
            os.kill(os.getpid(), signal.SIGKILL)
        await send(message)

    await api(scope, receive, answer)

uvicorn.run(Starlette(routes=[Mount("/api/v1", app)]), port=port, log_level="error")
'''


class DyingServer:
    """A server process that a request can kill."""

    def __init__(self, url: str, port: int, folder: Path) -> None:
        self.url, self.port = url, port
        self.script = folder / "server.py"
        self.script.write_text(SERVER)
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, self.script, self.url, str(self.port)])
        for _ in range(600):
            assert process.poll() is None
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/api/v1/")
            except httpx.TransportError:
                time.sleep(0.1)
            else:
                return process
        raise AssertionError(self.port)

    def lost(self, client: httpx.Client, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request whose answer is lost, start the server again, and send it again."""
        headers = request.pop("headers", {}) | {
            "Idempotency-Key": f"{method} {path}".replace(" ", "-")
        }
        with pytest.raises(httpx.TransportError):
            client.request(method, path, headers=headers | {"X-Die": "before-answer"}, **request)
        assert self.process.wait(30) == -signal.SIGKILL
        self.process = self.start()
        return client.request(method, path, headers=headers, **request)


def test_an_answer_lost_after_the_commit(new_database: Any, tmp_path: Path, free_port: int) -> None:
    with new_database("sqlite", schema=True) as url, mfprefect.connect(url) as store:
        token = store.create_token("nightly", "writer").token
        server = DyingServer(url, free_port, tmp_path)
        base = f"http://127.0.0.1:{free_port}/api/v1"
        headers = {"Authorization": f"Bearer {token}"}
        try:
            with httpx.Client(base_url=base, headers=headers, timeout=60) as client:
                session_id = run_with_losses(server, client)
        finally:
            os.kill(server.process.pid, signal.SIGKILL)
            server.process.wait()
        assert store.sessions()["session_id"].tolist() == [session_id]
        assert len(store.inputs(session_id)) == len(store.checks(session_id)) == 1
        assert store.score_parts(session_id)["part_no"].tolist() == [1]
        assert len(store.scores(session_id)) == 3
        assert len(store.artifacts(session_id)) == 1
        store.verify()


def run_with_losses(server: DyingServer, client: httpx.Client) -> str:
    body = {"model_id": "churn", "register": True, "purpose": "train"}
    answer = server.lost(client, "POST", "/sessions", json=body)
    assert answer.headers["idempotency-replayed"] == "true", answer.text
    session_id = str(answer.json()["session_id"])
    path = f"/sessions/{session_id}"
    for answer in (
        server.lost(client, "POST", f"{path}/log", json=FEED),
        server.lost(client, "PUT", f"{path}/artifacts/model", content=MODEL),
        server.lost(
            client,
            "POST",
            f"{path}/scores?entity_id=customer_id&score=p",
            content=SCORES.to_csv(index=False),
            headers=CSV,
        ),
        server.lost(client, "POST", f"{path}/close", json={}),
    ):
        assert answer.status_code == 200, answer.text
        assert answer.headers["idempotency-replayed"] == "true"
    return session_id


def test_scores_are_written_all_or_none(api: Api) -> None:
    rows = "".join(f"e{n},0.5\n" for n in range(150_000))
    with api.client() as client:
        session_id = opened(client)
        url = f"/sessions/{session_id}/scores"
        bad = client.post(url, content=f"entity_id,score\n{rows}e7,nan\n", headers=CSV)
        assert (bad.status_code, bad.json()["error"]) == (422, "InvalidScores"), bad.text
        assert api.store.score_parts(session_id).empty
        good = client.post(url, content=f"entity_id,score\n{rows}", headers=CSV)
        assert (good.json()["rows"], good.json()["parts"]) == (150_000, [1, 2])
        more = client.post(url, content="entity_id,score\nx,1\n", headers=CSV)
        assert more.json()["parts"] == [3]
        replaced = client.post(url + "?part=3", content="entity_id,score\ny,1\n", headers=CSV)
        assert replaced.json() == {"session_id": session_id, "rows": 1, "parts": [3]}
        duplicate = client.post(url, content="entity_id,score\ne1,1\n", headers=CSV)
        assert (duplicate.status_code, duplicate.json()["error"]) == (422, "InvalidScores")
        assert client.post(f"/sessions/{session_id}/close", json={}).is_success
    assert len(api.store.scores(session_id)) == 150_001


def test_curves_over_several_requests(each_api: Api) -> None:
    with each_api.client() as client:
        session_id = opened(client)
        for steps in ([3, 4], [1, 2], [5], [4]):
            body = [{"step": n, "metrics": {"loss": 10.0 - n}, "segment": "north"} for n in steps]
            answer = client.post(f"/sessions/{session_id}/log", json={"steps": body})
            assert answer.json()["logged"] == {"steps": len(steps)}, answer.text
        rows = client.get(f"/sessions/{session_id}/metric-steps").json()["items"]
        assert [(row["step"], row["value"]) for row in rows] == [(n, 10.0 - n) for n in range(1, 6)]
        (metric,) = client.get(f"/sessions/{session_id}/metrics").json()["items"]
        assert (metric["segment"], metric["value"]) == ("north", 5.0)  # of the highest step
        for wrong in ({"step": -1}, {"step": 2**63}, {"step": 1.5}, {"step": True}, {}):
            body = [{"metrics": {"loss": 1.0}, **wrong}]
            answer = client.post(f"/sessions/{session_id}/log", json={"steps": body})
            assert answer.status_code == 422, wrong
        assert client.post(f"/sessions/{session_id}/close", json={}).is_success
    each_api.store.verify()


def test_a_session_that_failed(api: Api) -> None:
    with api.client() as client:
        session_id = opened(client)
        token = api.token("viewer")
        reason = f"no space for postgresql://u:secret@db/x with {token}"
        body = {"status": "failed", "kind": "IOError", "reason": reason}
        assert client.post(f"/sessions/{session_id}/close", json=body).is_success
        row = client.get(f"/sessions/{session_id}").json()
        assert (row["status"], row["failure_kind"]) == ("failed", "IOError")
        assert "secret" not in row["failure_text"]
        assert token not in row["failure_text"]
        late = client.post(f"/sessions/{session_id}/log", json={"metrics": {"auc": 1}})
        assert (late.status_code, late.json()["error"]) == (409, "SessionClosed")
        assert late.json()["session_id"] == session_id


@pytest.mark.parametrize("kind", ["binary", "multiclass", "unsupervised", "regression"])
def test_test_rows_are_evaluated_as_in_python(api: Api, kind: str) -> None:
    choices: dict[str, dict[str, Any]] = {
        "binary": {"actual": "y", "score": "s"},
        "multiclass": {"actual": "label", "class": ["a", "b", "c"]},
        "unsupervised": {"score": "s", "score_class": "label"},
        "regression": {"actual": "s", "score": "y"},
    }
    columns = choices[kind]
    frame = pd.DataFrame(
        {
            "y": [0, 1, 0, 1, 1, 0],
            "s": [0.1, 0.9, 0.3, 0.8, 0.2, 0.4],
            "label": ["a", "b", "c", "a", "b", "c"],
            **{
                name: [0.5 if n % 3 == place else 0.25 for n in range(6)]
                for place, name in enumerate("abc")
            },
        }
    )
    ours: dict[str, Any]
    with api.client() as client:
        theirs = opened(client, purpose="train")
        sink = io.BytesIO()
        frame.to_parquet(sink)
        answer = client.post(
            f"/sessions/{theirs}/test-results",
            params={**columns, "model_type": kind},
            content=sink.getvalue(),
            headers={"Content-Type": "application/vnd.apache.parquet"},
        )
        assert answer.status_code == 200, answer.text
    with api.store.session("churn", "train") as session:
        score: Any = frame["s"] if kind != "multiclass" else frame[["a", "b", "c"]]
        if kind == "unsupervised":
            score = pd.DataFrame({"score": frame["s"], "score_class": frame["label"]})
        if kind == "regression":
            score = frame["y"]
        actual = {"binary": "y", "multiclass": "label", "regression": "s"}.get(kind)
        ours = session.log_test_results(
            None if actual is None else frame[actual], score, model_type=kind
        )
    assert answer.json() == {"session_id": theirs, "rows": 6, "metrics": ours}
    for table in ("metrics", "test_curve", "session_metadata"):
        assert content(api.store, theirs)[table] == content(api.store, session.session_id)[table]


def test_test_rows_that_cannot_be_evaluated(api: Api) -> None:
    csv = {"Content-Type": "text/csv"}
    with api.client() as client:
        session_id = opened(client)
        url = f"/sessions/{session_id}/test-results"
        for query, body, status in (
            ("actual=y&score=s", "y,s\n1,0.5\n", 422),  # one class only
            ("actual=y&score=s", "y,s\n1,nan\n0,0.5\n", 422),
            ("actual=y&score=s", "y,s\n1\n", 422),
            ("actual=y&score=s", "", 422),
            ("actual=y&score=other", "y,s\n1,0.5\n0,0.1\n", 422),
            ("score=s", "y,s\n1,0.5\n0,0.1\n", 422),
            ("actual=y", "y,s\n1,0.5\n0,0.1\n", 422),
            ("actual=y&score=s&class=a", "y,s\n1,0.5\n0,0.1\n", 422),
            ("actual=y&score=s&model_type=magic", "y,s\n1,0.5\n0,0.1\n", 422),
        ):
            answer = client.post(f"{url}?{query}", content=body, headers=csv)
            assert answer.status_code == status, (query, body, answer.text)
            assert tempfile.gettempdir() not in answer.text
        assert client.post(url + "?actual=y&score=s", content="x").status_code == 415
    assert api.store.metrics(session_id).empty


def test_failed_checks_are_stored_and_said(api: Api) -> None:
    checks: list[dict[str, Any]] = [
        {
            "check": "not_null",
            "column": "income",
            "passed": False,
            "failing_rows": 3,
            "sample": [{"index": "c1", "value": None}, {"index": 7, "value": 1.5}],
        },
        {"check": "in_range", "column": "age", "passed": False, "severity": "warning"},
    ]
    with api.client() as client:
        session_id = opened(client)
        answer = client.post(f"/sessions/{session_id}/log", json={"checks": checks})
        assert answer.json()["failed_checks"] == ["not_null(income)"]
        stored = client.get(f"/sessions/{session_id}/checks").json()["items"]
        assert stored[0]["sample"] == checks[0]["sample"]
        sample: Any
        for sample in (["a"], [{"index": 1}], [{"value": []}], [{"value": {}, "index": 1}]):
            wrong = {"checks": [checks[0] | {"sample": sample}]}
            assert client.post(f"/sessions/{session_id}/log", json=wrong).status_code == 422
    assert api.store.checks(session_id)["passed"].tolist() == [False, False]


def test_the_database_is_away(api: Api, serve: Any, tmp_path: Path) -> None:
    away = serve("postgresql://u:secret@127.0.0.1:1/db")
    with httpx.Client(
        base_url=away.url, headers={"Authorization": f"Bearer {api.token('writer')}"}
    ) as client:
        answer = client.get("/sessions", timeout=60)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.json()["error"] == "DatabaseUnavailable"
    assert "secret" not in answer.text


def test_a_session_opened_here_is_continued_by_python(api: Api) -> None:
    with api.client() as client:
        session_id = opened(client)
        with api.store.attach(session_id) as session:
            session.log_metrics({"auc": 0.9})
        assert client.post(f"/sessions/{session_id}/close", json={}).is_success
        rows = client.get(f"/sessions/{session_id}/metrics").json()["items"]
    assert [(row["metric_name"], row["value"]) for row in rows] == [("auc", 0.9)]
    assert json.loads(json.dumps(rows)) == rows
