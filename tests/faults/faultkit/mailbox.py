"""Somebody who is told of sessions: an HTTP server that keeps what is posted to it."""

from __future__ import annotations

import http.server
import json
import threading
from collections import Counter
from typing import Any

__all__ = ["Mailbox"]


class Mailbox:
    """Takes notices on a port of 127.0.0.1."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        posts = self.posts

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """The URL of a target."""
        return f"json://127.0.0.1:{self._server.server_address[1]}/hook"

    def about(self, session_id: str) -> list[str]:
        """Return the titles of the notices about a session."""
        return [post["title"] for post in self.posts if session_id in json.dumps(post)]

    def twice(self) -> list[str]:
        """Return the titles of notices that came more than once: each has its session's id."""
        counts = Counter((post["title"], post["message"]) for post in self.posts)
        return [title for (title, _), count in counts.items() if count > 1]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
