"""Other ASGI applications below the console, behind its guard: the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from mfprefect.console.answers import SECURITY, Answer
from mfprefect.console.guard import Scope

__all__ = ["Mounts", "guarded", "problem"]


class Mounts:
    """Applications by the start of their paths."""

    def __init__(self, applications: Mapping[str, Any]) -> None:
        self._applications = dict(applications)

    def find(self, path: str) -> Any | None:
        """Return the application of a path, None if it is a page."""
        prefix = self._prefix(path)
        return None if prefix is None else self._applications[prefix]

    def _prefix(self, path: str) -> str | None:
        for prefix in self._applications:
            if path == prefix or path.startswith(f"{prefix}/"):
                return prefix
        return None

    def inner_scope(self, scope: Scope, path: str) -> Scope:
        """Return the scope as the application sees it: its own path, below its root path."""
        prefix = self._prefix(path) or ""
        decoded: str = scope["path"]
        root = decoded[: decoded.find(prefix) + len(prefix)]
        return {**scope, "root_path": root}


def guarded(send: Any) -> Any:
    """Return a `send` that adds the headers of the console, where the answer has none."""

    async def with_headers(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            names = {name.lower() for name, _ in headers}
            headers += [
                (name.encode(), value.encode())
                for name, value in SECURITY.items()
                if name.encode() not in names
            ]
            message = {**message, "headers": headers}
        await send(message)

    return with_headers


def problem(status: int, detail: str) -> Answer:
    """Return a refusal for programs (RFC 9457)."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return Answer(json.dumps(document).encode(), "application/problem+json", status)
