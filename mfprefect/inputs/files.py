"""Reading files by their endings; keywords go to the function of pandas that reads the file."""

from __future__ import annotations

import glob
import inspect
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect.errors import ConfigurationError, InvalidValue, MfprefectError
from mfprefect.redaction import Redactor, url_secrets

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ENDINGS", "is_path", "read_file", "without_credentials"]

FUNCTIONS: Mapping[str, str] = {
    ".parquet": "read_parquet",
    ".csv": "read_csv",
    ".tsv": "read_csv",
    ".json": "read_json",
    ".jsonl": "read_json",
    ".xlsx": "read_excel",
    ".feather": "read_feather",
    ".orc": "read_orc",
}
# JSON has types: pandas must not turn the text "007" into 7.
_EXACT = {"dtype": False, "precise_float": True}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    ".tsv": {"sep": "\t"},
    ".json": _EXACT,
    ".jsonl": {**_EXACT, "lines": True},
}
TEXT = (".csv", ".tsv", ".json", ".jsonl")
COMPRESSIONS = ("", ".gz", ".bz2", ".xz", ".zst")
ENDINGS: Mapping[str, str] = {
    kind + compression: kind
    for kind in FUNCTIONS
    for compression in (COMPRESSIONS if kind in TEXT else ("",))
}
"""The kind of file by ending."""
LIBRARIES = {".xlsx": ("openpyxl", "openpyxl"), ".zst": ("zstandard", "zstandard")}
"""By ending: the module that pandas needs, and what to install."""
_SQL = re.compile(r"\s*(select|with)\s", re.IGNORECASE)


def is_path(text: str) -> bool:
    """Return whether a text is the path or URL of a file, a folder or a glob, and not SQL."""
    if "\n" in text or "\0" in text:
        return False
    if _ending(text) is not None:
        return not _SQL.match(text) or os.path.exists(text)
    return os.path.isdir(text)


def read_file(path: str, keywords: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows of a file, of the Parquet files of a folder, or of the files of a glob.

    Args:
        path: a path, a URL, or a path with `*`, `?` or `[..]`.
        keywords: passed to the function of pandas that reads the kind of file.

    Raises:
        InvalidValue: the ending, the keywords or the content; the message names the file.
        ConfigurationError: a library that reads the kind of file is missing.
        OSError: the file cannot be opened.
    """
    if "://" not in path and not os.path.exists(path) and glob.has_magic(path):
        return _read_glob(path, keywords)
    if os.path.isdir(path):
        _require_parquet(path)
        return _read(path, ".parquet", keywords)
    ending = _ending(path)
    if ending is None:
        raise InvalidValue(
            f"cannot tell how to read {without_credentials(path)!r}; supported endings are "
            f"{', '.join(ENDINGS)}. Read it yourself and pass the frame."
        )
    _require_library(path, ending)
    return _read(path, ENDINGS[ending], keywords)


def without_credentials(path: str) -> str:
    """Return a path, of a URL without user, password and query."""
    from mfprefect.provenance import strip_credentials

    return strip_credentials(path) if "://" in path else path


def _ending(path: str) -> str | None:
    return next((ending for ending in ENDINGS if path.lower().endswith(ending)), None)


def _read_glob(path: str, keywords: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    names = sorted(glob.glob(path, recursive=True))
    if not names:
        raise FileNotFoundError(f"no file matches {path!r}")
    frames = [read_file(name, keywords) for name in names]
    for name, frame in zip(names, frames, strict=True):
        if set(frame.columns) != set(frames[0].columns):
            differ = sorted(map(str, set(frame.columns) ^ set(frames[0].columns)))
            raise InvalidValue(
                f"{name} and {names[0]} have different columns ({', '.join(differ[:5])}); files "
                f"that match {path!r} must have the same ones. Name them with a narrower pattern."
            )
    return pd.concat(frames, ignore_index=True)


def _require_parquet(folder: str) -> None:
    if next(Path(folder).rglob("*.parquet"), None) is None:
        raise InvalidValue(
            f"the folder {folder!r} holds no .parquet file; for files of another kind pass a "
            f"pattern, such as {os.path.join(folder, '*.csv')!r}."
        )


def _require_library(path: str, ending: str) -> None:
    for kind, (module, package) in LIBRARIES.items():
        if ending.endswith(kind) and find_spec(module) is None:
            raise ConfigurationError(
                f"{without_credentials(path)} cannot be read: {kind} files need {package}; "
                f"install it: pip install {package}."
            )


def _read(path: str, kind: str, keywords: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    function = getattr(pd, FUNCTIONS[kind])
    _check_keywords(path, function, keywords)
    with _named_errors(path, keywords):
        frame = function(path, **{**_defaults(kind), **keywords})
    if not isinstance(frame, pd.DataFrame):
        if hasattr(frame, "close"):
            frame.close()
        raise InvalidValue(
            f"{without_credentials(path)}: {function.__name__} with "
            f"{', '.join(f'{name}={value!r}' for name, value in keywords.items())} returns a "
            f"{type(frame).__name__} and not one frame; read it yourself and pass the frames."
        )
    return frame


def _defaults(kind: str) -> dict[str, Any]:
    import pandas as pd

    defaults = dict(DEFAULTS.get(kind, {}))
    if "dtype" in defaults and tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):
        defaults["convert_dates"] = False  # later versions imply it, and warn
    return defaults


def _check_keywords(path: str, function: Any, keywords: Mapping[str, Any]) -> None:
    first, *names = inspect.signature(function).parameters.values()
    choices = [each.name for each in names if each.kind is not each.VAR_KEYWORD]
    if first.name not in keywords and len(choices) < len(names):
        return  # the library behind it refuses what it does not know
    if wrong := [name for name in keywords if name not in choices]:
        raise InvalidValue(
            f"{without_credentials(path)}: {function.__name__} of pandas, which reads this file, "
            f"has no keyword {wrong[0]!r}; it takes {', '.join(choices)}."
        )


@contextmanager
def _named_errors(path: str, keywords: Mapping[str, Any]) -> Iterator[None]:
    """Name the file in errors of its content; remove the credentials of its URL from them."""
    name = without_credentials(path)
    try:
        yield
    except MfprefectError:
        raise
    except UnicodeDecodeError as exc:
        raise InvalidValue(
            f"{name} is not text in {keywords.get('encoding') or 'UTF-8'}: byte "
            f"0x{exc.object[exc.start]:02x} does not fit. Pass its encoding, such as "
            "encoding='latin-1' or encoding='cp1252'."
        ) from exc
    except Exception as exc:
        text = str(exc)
        redacted = Redactor(url_secrets(path))(text) if "://" in path else text
        # An error of the file system names the file, and may be worth a retry.
        system = isinstance(exc, OSError) and ("://" in path or exc.errno is not None)
        if system and redacted == text:
            raise
        kind = OSError if system else InvalidValue
        cause = exc if redacted == text else None
        raise kind(f"{name} cannot be read: {redacted}") from cause
