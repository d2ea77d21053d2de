"""`${NAME}` in secrets: replaced by environment variables; a missing one matters only on use."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, SecretStr

from mfprefect.errors import ConfigurationError

__all__ = ["UnsetReference", "as_written", "is_reference", "resolve", "unset_references"]

_REFERENCE = re.compile(r"\$\{(\w+)\}")
# User and password as SQLAlchemy divides a URL: the password may hold a raw slash.
_USER = re.compile(r"://([^:/@]*(?::[^@]*)?)@")


class UnsetReference(SecretStr):
    """A secret that refers to a variable that is not set: its value is an error, not a text."""

    def __init__(self, secret_value: str, where: str = "a setting") -> None:
        super().__init__(secret_value)
        self.where = where
        """The setting, such as `sources.crm.url`."""

    @property
    def text(self) -> str:
        """The text with its references."""
        return self._secret_value

    @property
    def names(self) -> list[str]:
        """The variables that are not set."""
        return _unset(self._secret_value)

    def get_secret_value(self) -> str:
        """Return the value, if the variables are set by now.

        Raises:
            ConfigurationError: a variable is not set; names it and the setting.
        """
        if not (names := self.names):
            return _replaced(self._secret_value)
        listed = ", ".join(f"${{{name}}}" for name in names)
        verb = "is" if len(names) == 1 else "are"
        raise ConfigurationError(
            f"{self.where} refers to {listed}, which {verb} not set; export {', '.join(names)}."
        )

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, UnsetReference) and self.where == other.where
        return same and self._secret_value == other._secret_value  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self._secret_value)

    def __reduce__(self) -> tuple[Any, ...]:
        return UnsetReference, (self._secret_value, self.where)


def resolve(secret: SecretStr, where: str) -> SecretStr:
    """Replace the references of a secret; what refers to nothing fails when it is used."""
    text = secret.get_secret_value()
    return UnsetReference(text, where) if _unset(text) else SecretStr(_replaced(text))


def as_written(secret: SecretStr) -> str:
    """Return the value of a secret, or the text of one that refers to nothing."""
    return secret.text if isinstance(secret, UnsetReference) else secret.get_secret_value()


def is_reference(text: str) -> bool:
    """Return whether a text is only a reference, with nothing around it."""
    return _REFERENCE.fullmatch(text) is not None


def unset_references(value: Any) -> Iterator[UnsetReference]:
    """Yield the secrets of settings that refer to a variable that is not set."""
    if isinstance(value, UnsetReference):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from unset_references(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from unset_references(item)


def _unset(text: str) -> list[str]:
    return [name for name in dict.fromkeys(_REFERENCE.findall(text)) if name not in os.environ]


def _replaced(text: str) -> str:
    user = _USER.search(text)
    start, end = user.span(1) if user else (0, 0)
    scheme = text.find("://")
    query = text.find("?", max(end, scheme)) if scheme >= 0 else -1

    def value(match: re.Match[str]) -> str:
        plain = os.environ[match[1]]
        if user and start <= match.start() < end:
            return _login(plain) if match[0] == user[1] else quote(plain, safe="")
        in_value = 0 <= query < match.start() and "=" in text[query : match.start()]
        # Elsewhere it may be a host, a folder or a whole URL, whose / and : have a meaning.
        return quote(plain, safe="/") if in_value else plain

    return _REFERENCE.sub(value, text)


def _login(text: str) -> str:
    """Encode what stands alone before the @: a user, or `user:password`."""
    user, colon, password = text.partition(":")
    return f"{quote(user, safe='')}{colon}{quote(password, safe='')}"
