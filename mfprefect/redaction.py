"""Keeping secrets out of whatever is shown, logged or stored: `***` stands in their place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from mfprefect.settings import Settings

__all__ = ["Redactor", "redact_urls", "secrets", "url_secrets"]

SHORTEST = 6
"""A password shorter than this is not looked for on its own: it may be any word."""
_TELLING = re.compile(r"pass|pwd|secret|token|signature|credential|access_?key", re.IGNORECASE)
# Up to the last @ before a blank or quote: a password may hold a raw slash or @. Digits are a port.
_CREDENTIALS = re.compile(r"(?<=://)[^\s'\"<>@/]*:(?!\d{1,5}/)[^\s'\"<>]*@(?=[\w.\[])")


def secrets(settings: Settings) -> Iterator[str]:
    """Yield what must not appear anywhere: URLs that hold credentials, passwords, keys."""
    for secret in _all_of(settings):
        if "://" in secret:
            yield from _of_url(secret)
        else:
            yield secret
    for target in settings.notify.values():
        yield target.url.get_secret_value()  # apprise's tokens stand anywhere in it


def _all_of(value: Any) -> Iterator[str]:
    """Yield every secret of the settings, whatever they are called."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _all_of(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _all_of(item)


def _of_url(text: str) -> Iterator[str]:
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        url = None
    if url is not None and (url.password is not None or url.query):
        yield from (text, url.render_as_string(hide_password=False))
    written = re.search(r"://([^/]*)@", text)
    found = [url.password if url else None, written and written[1].partition(":")[2]]
    query = url.query.items() if url else ()
    found += [str(value) for key, value in query if _TELLING.search(key)]
    for password in found:
        if password and len(str(password)) >= SHORTEST:
            yield str(password)


def url_secrets(text: str) -> Iterator[str]:
    """Yield what of a file's URL must not be shown: what is before the host and after the path."""
    main, _, query = text.partition("://")[2].partition("?")
    values = [*main.rpartition("@")[0].split(":"), *re.split("[&=]", query)]
    yield from (value for value in values if len(value) >= SHORTEST)


def redact_urls(text: str) -> str:
    """Return a text in which no URL shows a user and password."""
    return _CREDENTIALS.sub("***@", text)


class Redactor:
    """Puts `***` in the place of secrets."""

    def __init__(self, values: Iterable[str]) -> None:
        known = {value for value in values if value}
        known |= {json.dumps(value)[1:-1] for value in known}
        ordered = sorted(known, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        self.longest = max(map(len, ordered), default=0)
        """How many characters must be seen at once."""

    def __call__(self, text: str, length: int | None = None) -> str:
        """Return the first `length` characters of a text without its secrets."""
        end = len(text) if length is None else min(length, len(text))
        if self._secrets is None:
            return text[:end]
        for match in self._secrets.finditer(text):
            if match.start() < end < match.end():
                end = match.start()
        return self._secrets.sub("***", text[:end])
