"""A real server: uvicorn with the API, and tokens for it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
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
            assert thread.is_alive()
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
        if scope is not None:
            headers["Authorization"] = f"Bearer {self.token(scope)}"
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def token(self, scope: str) -> str:
        if scope not in self.tokens:
            self.tokens[scope] = self.store.create_token(f"the {scope}", scope).token
        return self.tokens[scope]


def opened(client: httpx.Client, **body: Any) -> str:
    """Open a session of the model churn; return its id."""
    answer = client.post("/sessions", json={"model_id": "churn", "register": True} | body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session_id"])
