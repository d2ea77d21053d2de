"""A real server: uvicorn with the API, and tokens for it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import sqlalchemy as sa
import uvicorn

from mfprefect import Store

PREFIX = "/api/v1"


def mounted(app: Any) -> Any:
    """Return an app under the path of the API, as the console mounts it."""

    async def under_prefix(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": PREFIX}, receive, send)

    return under_prefix


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an app by uvicorn, on a port of this machine."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("uvicorn has not started")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}{PREFIX}"
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()


@dataclass
class Api:
    """A server and clients of it."""

    url: str
    store: Store
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, scope: str | None = "writer", **headers: str) -> httpx.Client:
        """Return a client with a token of a scope, None for none."""
        if scope is not None:
            headers["Authorization"] = f"Bearer {self.token(scope)}"
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def token(self, scope: str) -> str:
        """Return the token of a scope, made when it is first asked for."""
        if scope not in self.tokens:
            self.tokens[scope] = self.store.create_token(f"the {scope}", scope).token
        return self.tokens[scope]


def opened(client: httpx.Client, **body: Any) -> str:
    """Open a session of the model churn; return its id."""
    answer = client.post("/sessions", json={"model_id": "churn", "register": True} | body)
    if answer.status_code != 201:
        raise RuntimeError(answer.text)
    return str(answer.json()["session_id"])


VOLATILE = {
    *("session_no", "session_id", "seal", "previous_seal", "process_id", "process_key", "host"),
    *("started_at", "ended_at", "heartbeat_at", "attempt_started_at", "published_at"),
    *("written_at", "logged_at", "run_by", "environment_digest", "seconds", "flow_run_seq"),
    *("vcs", "git_commit", "git_branch", "git_remote", "git_dirty", "git_diff_digest"),
    "git_author",
}
"""What differs between two sessions that did the same, or says who ran them and where."""


def content(store: Store, session_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of a session by table, without what differs from run to run."""
    db = store.database
    number = int(store.get_sessions(session_id)["session_no"][0])
    tables = [db.schema.sessions, *db.schema.session_tables()]
    rows: dict[str, list[dict[str, Any]]] = {}
    for table in tables:
        select = sa.select(table).where(table.c.session_no == number)
        stored = db.fetch_all(select.order_by(*table.primary_key.columns))
        keys = table.c.keys()
        rows[table.name] = [
            {k: v for k, v in zip(keys, row, strict=True) if k not in VOLATILE} for row in stored
        ]
    return rows
