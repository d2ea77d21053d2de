"""Notices of flow runs: one for a run that fails for good, none for a try that is repeated."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from prefect import flow

import mfprefect
from mfprefect import Store


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What is posted to the one target of the settings."""
    got: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"json://127.0.0.1:{server.server_address[1]}/hook"
        monkeypatch.setenv("MFPREFECT_NOTIFY__OPS__URL", address)
        yield got
        server.shutdown()


@pytest.mark.parametrize("failures", [1, 2])
def test_a_flow_that_prefect_retries(
    posts: list[dict[str, Any]], flow_store: Store, prefect_api: str, failures: int
) -> None:
    flow_store.add_model("churn")
    tries = []

    @flow(retries=1, retry_delay_seconds=0)
    def work() -> None:
        with mfprefect.connect() as store, store.session("churn") as session:
            tries.append(session)
            assert session.attempt > 1 or not posts
            if len(tries) <= failures:
                raise ValueError(f"try {len(tries)}")

    work(return_state=True)
    assert len(tries) == 2
    notices = flow_store.notifications(tries[0].session_id)
    if failures == 1:  # the second try made it, and nobody was told of trouble
        assert notices.empty
        assert posts == []
        return
    assert notices["event"].tolist() == ["failed"]
    (post,) = posts
    assert post["title"] == "churn: session failed, ValueError"
    assert "try 2" in post["message"]
    assert "- attempt: `2`" in post["message"]
    assert post["attempt"] == 2
    run_id = flow_store.show(tries[0].session_id)["flow_run_id"][0]
    root = prefect_api.removesuffix("/api")
    assert f"Flow run in Prefect: {root}/runs/flow-run/{run_id}" in post["message"]
