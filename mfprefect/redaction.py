"""Replace secrets by `***` in everything that is displayed, logged or stored."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pydantic import BaseModel, SecretStr

from mfprefect.util.references import as_written, is_reference

if TYPE_CHECKING:
    from mfprefect.settings import Settings

__all__ = ["TOKEN", "Redactor", "redact_urls", "secrets", "url_secrets"]

TOKEN = re.compile(r"mfp_(?P<id>[a-z2-7]{10})_[a-z2-7]{52}")
"""A token of the console: see `mfprefect.store.tokens`."""

SHORTEST = 6
"""A shorter password is not replaced on its own: it may be any word."""
_SECRET_KEY = re.compile(r"pass|pwd|secret|token|signature|credential|access_?key", re.IGNORECASE)
# Up to the last @ before a blank or quote: a password may hold a raw / or @. Digits are a port.
_CREDENTIALS = re.compile(r"(?<=://)[^\s'\"<>@/]*:(?!\d{1,5}/)[^\s'\"<>]*@(?=[\w.\[])")


def secrets(settings: Settings) -> Iterator[str]:
    """Yield the texts that must never appear: URLs with credentials, passwords, keys.

    A reference to a variable that is not set is none of them: errors name it.
    """
    yield from (text for text in _secret_texts(settings) if not is_reference(text))


def _secret_texts(settings: Settings) -> Iterator[str]:
    for secret in _secret_values(settings):
        if "://" in secret:
            yield from _credentials(secret)
        else:
            yield secret
    for target in settings.notify.values():
        yield as_written(target.url)  # apprise puts tokens anywhere in a URL


def _secret_values(value: Any) -> Iterator[str]:
    """Yield every SecretStr of the settings, at any depth."""
    if isinstance(value, SecretStr):
        yield as_written(value)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secret_values(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secret_values(item)


def _credentials(text: str) -> Iterator[str]:
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        url = None
    if url is not None and (url.password is not None or url.query):
        yield from (text, url.render_as_string(hide_password=False))
    as_written = re.search(r"://([^/]*)@", text)
    passwords = [url.password if url else None, as_written and as_written[1].partition(":")[2]]
    query = url.query.items() if url else ()
    passwords += [str(value) for key, value in query if _SECRET_KEY.search(key)]
    for password in passwords:
        if password and len(str(password)) >= SHORTEST:
            yield str(password)


def url_secrets(text: str) -> Iterator[str]:
    """Yield the secrets in the URL of a file: user, password and the parts of the query."""
    main, _, query = text.partition("://")[2].partition("?")
    values = [*main.rpartition("@")[0].split(":"), *re.split("[&=]", query)]
    yield from (value for value in values if len(value) >= SHORTEST)


def redact_urls(text: str) -> str:
    """Replace user and password in all URLs of a text, and the secrets of the console's tokens."""
    return TOKEN.sub(r"mfp_\g<id>_***", _CREDENTIALS.sub("***@", text))


class Redactor:
    """Replace secrets by `***`."""

    def __init__(self, values: Iterable[str]) -> None:
        texts = {value for value in values if value}
        texts |= {json.dumps(value)[1:-1] for value in texts}
        ordered = sorted(texts, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        self.longest = max(map(len, ordered), default=0)
        """The length of the longest secret; callers must not split texts within it."""

    def __call__(self, text: str, length: int | None = None) -> str:
        """Return the first `length` characters of a text, with secrets replaced."""
        end = len(text) if length is None else min(length, len(text))
        if self._secrets is None:
            return text[:end]
        for match in self._secrets.finditer(text):
            if match.start() < end < match.end():
                end = match.start()
        return self._secrets.sub("***", text[:end])
