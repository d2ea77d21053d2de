"""What the API reads: the same as Python, in pages, with entity tags, as its description says."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from mfprefect import Store
from mfprefect.console.api.app import description
from mfprefect.console.api.routes_sessions import PARTS
from mfprefect.migrations import REVISIONS
from mfprefect_dev.api_description import PAGE, text
from mfprefect_dev.apikit import PREFIX, Api, opened


def train(store: Store, **params: Any) -> str:
    """Run a training session that has something of everything."""
    store.add_model("churn", "who leaves", entity_type="customer", owner="team")
    frame = pd.DataFrame({"tenure": [1.0, 2.0, 3.0, 4.0], "left": [1, 0, 1, 0]})
    with store.session("churn", "train", params=params, tags=["weekly"]) as session:
        session.log_input("crm", query="select 1", rows=4, columns={"tenure": "float64"})
        session.log_input_summary(frame)
        session.log_metadata({"note": "é"})
        session.log_check_results(
            [
                {
                    "check": "not_null",
                    "column": None,
                    "severity": "error",
                    "passed": True,
                    "failing_rows": 0,
                    "sample": "[]",
                    "message": "ok",
                }
            ]
        )
        session.log_test_results([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1])
        session.log_variable_importance(
            pd.DataFrame({"variable": ["tenure"], "importance": [0.5]}), "permutation"
        )
        session.log_backtest(pd.DataFrame({"period": ["1"], "predicted": [1.0], "actual": [None]}))
        session.log_drift(
            [{"variable": "x", "measure": "psi", "value": 0.1, "threshold": 0.2, "verdict": "ok"}]
        )
        session.save_model(LogisticRegression().fit(frame[["tenure"]], frame["left"]))
    return session.session_id


def score(store: Store, parent: str, rows: int = 5) -> str:
    with store.session("churn", "score", parent=parent) as session:
        ids = [f"c{n}" for n in range(rows)]
        session.write_scores({"id": ids, "score": [n / rows for n in range(rows)]}, "id")
    return session.session_id


@pytest.fixture
def trained(api: Api) -> str:
    return train(api.store, depth=6)


def test_everything_that_a_session_holds(api: Api, trained: str) -> None:
    frames = {
        "input-summary": api.store.input_summary(trained),
        "checks": api.store.checks(trained),
        "metrics": api.store.metrics(trained),
        "curve": api.store.curve(trained),
        "drift": api.store.drift(trained),
    }
    with api.client("viewer") as client:
        for part in PARTS:
            answer = client.get(f"/sessions/{trained}/{part.path}")
            assert answer.status_code == 200, (part.path, answer.text)
            items = answer.json()["items"]
            for item in items:
                assert set(item) == set(part.model.model_fields), part.path
            if (frame := frames.get(part.path)) is not None:
                assert len(items) == len(frame)
        auc = [row for row in client.get(f"/sessions/{trained}/metrics").json()["items"]]
        values = {(row["metric_name"], row["segment"]): row["value"] for row in auc}
        assert values["auc", ""] == 0.75
        assert client.get(f"/sessions/{trained}/params").json() == {"depth": 6}
        shown = client.get(f"/sessions/{trained}").json()
        assert (shown["session_id"], shown["tags"]) == (trained, ["weekly"])
        backtest = client.get(f"/sessions/{trained}/backtests").json()["items"][0]
        assert backtest["actual"] is None


def test_models_stages_and_the_audit_trail(api: Api, trained: str) -> None:
    api.store.promote("churn", trained, override="a test", reason="because")
    api.store.set_threshold("churn", 0.5)
    score(api.store, trained)
    with api.client("auditor") as client:
        (model,) = client.get("/models").json()["items"]
        assert model == client.get("/models/churn").json()
        assert (model["production"], model["sessions"]) == (trained, 2)
        (stage,) = client.get("/models/churn/stages").json()["items"]
        assert (stage["session_id"], stage["reason"]) == (trained, "because")
        (threshold,) = client.get("/models/churn/thresholds").json()["items"]
        assert (threshold["value"], threshold["kind"]) == (0.5, "probability")
        events = client.get("/audit/events?model_id=churn").json()["items"]
        assert [event["action"] for event in events] == ["set_threshold", "promote", "add_model"]
        (page, *_) = pages = pages_of(client, "/audit/events?limit=2")
        assert [event["event_no"] for event in page] == [4, 3]
        assert [event["event_no"] for each in pages for event in each] == [4, 3, 2, 1]
        assert client.get("/audit/head").json()["event"]["event_no"] == 4
        assert client.get("/freshness").json() == {"items": []}
        unknown = client.get("/models/nobody").json()
        assert (unknown["error"], unknown["status"]) == ("UnknownModel", 404)
        again = client.get(f"/models/churn/plan?session_id={trained}")
        assert (again.status_code, again.json()["error"]) == (409, "AlreadyPromoted")


def test_a_plan(api: Api, trained: str) -> None:
    with api.client("viewer") as client:
        plan = client.get(f"/models/churn/plan?session_id={trained}").json()
    assert plan["session_id"] == trained
    assert plan["production_session_id"] is None
    assert plan["problems"] and plan["verdicts"]


def test_scores_in_pages_and_by_entity(api: Api, trained: str) -> None:
    session_id = score(api.store, trained, 25)
    with api.client("auditor") as client:
        url = f"/sessions/{session_id}/scores?limit=10"
        pages = pages_of(client, url)
        assert [len(page) for page in pages] == [10, 10, 5]
        rows = [row for page in pages for row in page]
        expected = api.store.scores(session_id)
        assert [row["entity_id"] for row in rows] == expected["entity_id"].tolist()
        assert [row["score"] for row in rows] == expected["score"].tolist()
        latest = client.get("/models/churn/latest-scores?entity_id=c3&entity_id=nobody").json()
        assert [(row["entity_id"], row["score"]) for row in latest["items"]] == [("c3", 3 / 25)]
        csv = client.get(f"/sessions/{session_id}/scores?format=csv&at_least=0.5")
        assert len(csv.text.splitlines()) == 1 + sum(expected["score"] >= 0.5)
        summary = client.get(f"/sessions/{session_id}/score-summary").json()
        assert summary["n"] == 25
        bins = client.get(f"/sessions/{session_id}/score-histogram?bins=5").json()["items"]
        assert sum(each["count"] for each in bins) == 25
        refused = client.get(f"/sessions/{session_id}/scores", headers={"Accept": "image/png"})
        assert (refused.status_code, refused.json()["error"]) == (406, "NotAcceptable")


def test_a_look_up_is_recorded_before_it_is_answered(api: Api, trained: str) -> None:
    session_id = score(api.store, trained)
    with api.client("auditor") as client:
        latest = client.get("/models/churn/latest-scores?entity_id=c1&entity_id=c2").json()["items"]
        assert [row["session_id"] for row in latest] == [session_id] * 2
        trace = client.get("/models/churn/trace?entity_id=c1&on=2999-01-01")
        assert trace.status_code == 200, trace.text
        (traced,) = trace.json()["scores"]
        assert (traced["session_id"], traced["score"]) == (session_id, 0.2)
        assert traced["model"]["session_id"] == trained
        assert client.get("/models/nobody/trace?entity_id=c1").status_code == 404
        assert client.get("/models/churn/trace?entity_id=c1&on=soon").status_code == 422
        events = client.get("/audit/events?action=look_up_scores&model_id=churn").json()["items"]
    assert {event["actor"] for event in events} == {"the auditor"}
    details = [event["detail"] for event in events][::-1]
    assert details == [
        {"entities": ["c1", "c2"]},
        {"entity": "c1", "on": "2999-01-01"},
        {"entity": "c1", "on": "soon"},
    ]
    api.store.verify()


def test_files_and_figures(api: Api) -> None:
    with api.client() as client:
        session_id = opened(client)
        url = f"/sessions/{session_id}/files"
        for name, content in (("roc.png", b"\x89PNG"), ("notes.txt", b"")):
            answer = client.put(f"{url}/{name}", content=content)
            assert answer.status_code == 200, answer.text
        for name in (".hidden", "a:b", "a%5Cb", "a%0Ab", "x" * 124):
            assert client.put(f"{url}/{name}", content=b"x").status_code == 422, name
        client.post(f"/sessions/{session_id}/close", json={})
        files = client.get(url).json()["items"]
        assert [(row["name"], row["media_type"], row["bytes"]) for row in files] == [
            ("notes.txt", "text/plain", 0),
            ("roc.png", "image/png", 4),
        ]
        got = client.get(f"{url}/roc.png")
        assert got.content == b"\x89PNG"
        # Never shown as what it says it is: a browser would run a page or a picture's script.
        assert got.headers["content-type"] == "application/octet-stream"
        assert got.headers["content-disposition"] == 'attachment; filename="roc.png"'
        missing = client.get(f"{url}/other.png")
        assert (missing.status_code, missing.json()["error"]) == (404, "NotFound")
        assert client.get(f"/sessions/{session_id}/artifacts/model").status_code == 404
    with api.store.open_file(session_id, "roc.png") as file:
        assert file.read() == b"\x89PNG"
    api.store.verify()


def test_trials_beside_one_another(api: Api) -> None:
    """Trials written by HTTP: found by parameter, sorted by metric, and no clutter elsewhere."""
    with api.client() as client:
        parent = opened(client, purpose="train", params={"search": "grid"})
        for depth, auc in ((4, 0.7), (6, 0.9), (8, 0.8)):
            trial = opened(client, purpose="trial", parent=parent, params={"depth": depth})
            client.post(f"/sessions/{trial}/log", json={"metrics": {"auc": auc}})
            client.post(f"/sessions/{trial}/close", json={})
        client.post(f"/sessions/{parent}/close", json={})
        url = "/models/churn/experiments"
        best = client.get(f"{url}?sort=-auc&parent={parent}").json()["items"]
        assert [(row["params"]["depth"], row["metrics"]["auc"]) for row in best] == [
            (6, 0.9),
            (8, 0.8),
            (4, 0.7),
        ]
        assert {row["parent_session_id"] for row in best} == {parent}
        some = client.get(url, params={"where": ["depth>=6", "auc>0.85"]}).json()["items"]
        assert [row["params"]["depth"] for row in some] == [6]
        wrong = client.get(url, params={"where": "no such thing"})
        assert (wrong.status_code, wrong.json()["error"]) == (422, "InvalidValue")
        listed = client.get("/sessions").json()["items"]
        assert [row["session_id"] for row in listed] == [parent]
        assert len(client.get("/sessions?trials=true").json()["items"]) == 4
        assert len(client.get("/sessions?purpose=trial").json()["items"]) == 3


def test_two_sessions_the_database_and_the_spool(api: Api, trained: str) -> None:
    a, b = score(api.store, trained, 5), score(api.store, trained, 4)
    with api.client("auditor") as client:
        compared = client.get(f"/compare-scores?a={a}&b={b}").json()
        assert (compared["rows_a"], compared["rows_b"], compared["rows"]) == (5, 4, 4)
        database = client.get("/database").json()
        assert database["revision"] == REVISIONS[-1]
        assert {row["table"]: row["rows"] for row in database["tables"]}["sessions"] == 3
        assert [row["model_id"] for row in database["models"]] == ["churn"]
        assert client.get("/spool").json() == {"items": []}
    with api.client("viewer") as client:
        assert client.get("/database").status_code == client.get("/spool").status_code == 403


def pages_of(client: httpx.Client, url: str) -> list[list[dict[str, Any]]]:
    """Follow the links from page to page; the cursors lead the same way."""
    pages = []
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json()["items"])
        url = answer.links.get("next", {}).get("url", "").removeprefix(PREFIX)
        assert bool(url) == (answer.json()["next_cursor"] is not None)
    return pages


def test_sessions_in_pages(each_api: Api) -> None:
    with each_api.client() as client:
        ids = [opened(client, purpose="train" if n % 2 else "adhoc") for n in range(7)]
        everything = pages_of(client, "/sessions?limit=3")
        assert [row["session_id"] for page in everything for row in page] == ids[::-1]
        trained = pages_of(
            client, "/sessions?limit=2&purpose=train&status=running&run_by=the writer"
        )
        assert [row["session_id"] for page in trained for row in page] == ids[1::2][::-1]
        # A session opened meanwhile moves nothing.
        first = client.get("/sessions?limit=3").json()
        opened(client)
        second = client.get("/sessions", params={"limit": 3, "cursor": first["next_cursor"]}).json()
        assert [row["session_id"] for row in second["items"]] == ids[1:4][::-1]
        for cursor in (
            "x",
            "!!",
            "bnVsbA",
            "WzEsMl0",
            "WyJhIl0",
            "W3RydWVd",
            "WzFlOTldCg",
            "[" * 400,
        ):
            answer = client.get("/sessions", params={"cursor": cursor})
            assert (answer.status_code, answer.json()["error"]) == (422, "InvalidValue"), cursor


def test_a_sealed_session_is_not_sent_twice(api: Api) -> None:
    with api.client() as client:
        session_id = opened(client)
        url = f"/sessions/{session_id}/metrics"
        client.post(f"/sessions/{session_id}/log", json={"metrics": {"auc": 0.5}})
        running = client.get(url).headers["etag"]
        client.post(f"/sessions/{session_id}/log", json={"metrics": {"auc": 0.6}})
        changed = client.get(url, headers={"If-None-Match": running})
        assert changed.status_code == 200
        client.put(f"/sessions/{session_id}/artifacts/model", content=b"model")
        client.post(f"/sessions/{session_id}/close", json={})
        paths = (*(part.path for part in PARTS if part.path not in ("roc", "lift")), "params")
        for path in (*(f"/{path}" for path in paths), "", "/environment", "/artifacts/model"):
            answer = client.get(f"/sessions/{session_id}{path}")
            assert answer.status_code == 200, (path, answer.text)
            etag = answer.headers["etag"]
            for sent in (etag, f'"x", W/{etag}', "*"):
                again = client.get(f"/sessions/{session_id}{path}", headers={"If-None-Match": sent})
                assert (again.status_code, again.content) == (304, b""), path
                assert again.headers["etag"] == etag
        assert client.get(url).headers["cache-control"] == "private, no-cache"
        # Another person without the right gets no 304 either.
        headers = {"If-None-Match": etag, "Authorization": "Bearer x"}
        assert client.get(url, headers=headers).status_code == 401


def test_a_reader_reads_the_views(serve: Any, api: Api, trained: str) -> None:
    """With the rights of the database role `reader`, the API shows what the views hold."""
    api.store.database.views_only = True
    with api.client("auditor") as client:
        rows = client.get("/sessions?limit=1").json()["items"]
        assert [row["session_id"] for row in rows] == [trained]
        assert client.get(f"/sessions/{trained}/metrics").status_code == 200
        assert client.get(f"/sessions/{trained}/scores").json()["items"] == []


def test_the_description_is_that_of_the_code(api: Api) -> None:
    assert PAGE.read_text() == text(), "run `make reference`"
    with api.client(None) as client:
        served = client.get("/openapi.json").json()
    assert served["paths"] == description()["paths"]
    assert served["openapi"].startswith("3.1")
    assert served["servers"][0]["url"] == PREFIX


def test_every_operation_is_described() -> None:
    for path, operations in description()["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"] and operation["description"], path
            assert {"401", "403", "422", "503", "default"} <= set(operation["responses"]), path
            assert not any(f"{{{name}}}" in path for name in ("model", "session")), path
            assert urlsplit(path).path == path, method


def test_pages_do_not_pay_for_fastapi() -> None:
    import subprocess
    import sys

    code = "import sys, mfprefect.console.api as a; assert 'fastapi' not in sys.modules; a.api_app"
    subprocess.run([sys.executable, "-c", code], check=True)
