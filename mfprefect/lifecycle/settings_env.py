"""Settings as environment variables of another process, and which of them are secret.

Imports no Prefect: the code that starts a flow process uses it too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pydantic import BaseModel, SecretStr

from mfprefect.backend import Backend, parse_url
from mfprefect.redaction import Redactor, secrets
from mfprefect.settings import PREFIX, Settings, find_config
from mfprefect.util.references import UnsetReference

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = ["Redactor", "secrets", "settings_variables", "without_settings"]

NOT_HANDED_OVER = {"notify"}
"""Settings that hold secrets and that the other process does not need."""


def without_settings(variables: Mapping[str, str]) -> dict[str, str]:
    """Drop the variables of all settings, and of an outer command's session."""
    names = "|".join(name.upper() for name in Settings.model_fields)
    outer = "SESSION_ID|TRAINING_SESSION_ID|PARAMS"
    ours = re.compile(rf"{PREFIX}((?:{names})(?:__.*)?|{outer})", re.IGNORECASE)
    return {name: value for name, value in variables.items() if not ours.fullmatch(name)}


def settings_variables(store: Store) -> dict[str, str]:
    """Return the settings in force as variables, whatever their origin."""
    references: dict[str, str] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, UnsetReference):
            return value.text  # fails there only if it is used there
        if isinstance(value, SecretStr):
            return _verbatim(value.get_secret_value(), references)
        if isinstance(value, BaseModel):
            return {name: plain(getattr(value, name)) for name in type(value).model_fields}
        if isinstance(value, Mapping):
            return {name: plain(item) for name, item in value.items()}
        return str(value.absolute()) if isinstance(value, Path) else value

    settings, variables = store.database.settings, {}
    for name in type(settings).model_fields:
        value = plain(getattr(settings, name))
        if name not in NOT_HANDED_OVER and value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            variables[PREFIX + name.upper()] = text
    variables[f"{PREFIX}URL"] = _verbatim(_url(store), references)
    if (config := find_config()) is not None:  # the command's folder may have another one
        variables[f"{PREFIX}CONFIG"] = str(config.absolute())
    return variables | references


def _verbatim(secret: str, references: dict[str, str]) -> str:
    """Return text that settings read as `secret`, even if it looks like a `${reference}`."""
    if re.search(r"\$\{\w+\}", secret) is None:
        return secret
    name = f"MFP_SECRET_{len(references) + 1}"
    references[name] = secret
    return f"${{{name}}}"


def _url(store: Store) -> str:
    """Return a URL that names the same database from the command's folder."""
    text = store.database.settings.url.get_secret_value()
    url = parse_url(text)
    if not _is_file(store.database.backend, url) or Path(str(url.database)).is_absolute():
        return text
    file = str(Path(str(url.database)).absolute())
    return url.set(database=file).render_as_string(hide_password=False)


def _is_file(backend: Backend, url: sa.URL) -> bool:
    # File backends override `exists`, because connecting would create the file.
    overridden = type(backend).exists is not Backend.exists
    return overridden and bool(url.database) and Path(str(url.database)).is_file()
