"""Where notices go in the tests: a mail server and a web server of our own."""

from __future__ import annotations

import email
import email.message
import email.policy
import http.server
import json
import socket
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller


class Mail:
    """A mail server that keeps what it gets, or refuses it."""

    def __init__(self) -> None:
        self.messages: list[email.message.EmailMessage] = []
        self.refuses = False
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuses:
            return "554 no"
        self.messages.append(
            email.message_from_bytes(envelope.content, policy=email.policy.default)
        )
        return "250 OK"

    @property
    def url(self) -> str:
        return f"mailto://127.0.0.1:{self.port}?from=a@x.example&to=b@x.example&mode=insecure"

    def clear(self) -> None:
        self.messages.clear()
        self.refuses = False


class Hooks:
    """A web server that keeps what is posted to it, and answers as told."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.status = 200
        hooks = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                # A path such as /status/404 asks for an answer.
                word = self.path.rpartition("/")[2]
                status = int(word) if self.path.startswith("/status/") else hooks.status
                if status == 200:
                    hooks.posts.append({"path": self.path, **self.fields(body)})
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")  # what Slack answers

            def fields(self, body: bytes) -> dict[str, Any]:
                if "form" in self.headers["Content-Type"]:
                    return dict(urllib.parse.parse_qsl(body.decode()))
                document: dict[str, Any] = json.loads(body)
                return document

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def url(self, path: str = "/hook", scheme: str = "json") -> str:
        return f"{scheme}://127.0.0.1:{self.server.server_address[1]}{path}"

    @property
    def titles(self) -> list[str]:
        return [post["title"] for post in self.posts]

    def clear(self) -> None:
        self.posts.clear()
        self.status = 200


@pytest.fixture(scope="session")
def _mail() -> Iterator[Mail]:
    mail = Mail()
    controller = Controller(mail, hostname="127.0.0.1", port=mail.port)
    controller.start()
    yield mail
    controller.stop()


@pytest.fixture(scope="session")
def _hooks() -> Iterator[Hooks]:
    hooks = Hooks()
    with hooks.server:
        threading.Thread(target=hooks.server.serve_forever, daemon=True).start()
        yield hooks
        hooks.server.shutdown()


@pytest.fixture
def mail(_mail: Mail) -> Mail:
    _mail.clear()
    return _mail


@pytest.fixture
def hooks(_hooks: Hooks) -> Hooks:
    _hooks.clear()
    return _hooks
