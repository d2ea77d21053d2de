"""Models as bytes: safe formats, digests, chunks.

An artifact is verified (size, SHA-256, and the signature if the team has a key) before any byte is
parsed. This module and the settings decide which types may be rebuilt, never the file.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import importlib
import json
import logging
import shutil
import sys
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

from mfprefect.artifacts.boosters import WRAPPERS, boosted_format, dump_boosted, load_boosted
from mfprefect.artifacts.by_class import BY_CLASS, CLASS_KEY, ByClass, ModelHooks, class_name
from mfprefect.artifacts.by_class import read as read_by_class
from mfprefect.artifacts.by_class import write as write_by_class
from mfprefect.artifacts.extras import EXTRAS, Extras
from mfprefect.artifacts.extras import read as read_extras
from mfprefect.artifacts.extras import write as write_extras
from mfprefect.artifacts.files import FILE, StoredFile, write_file
from mfprefect.artifacts.skops import SKLEARN_TYPES, dump_skops, load_skops, type_name
from mfprefect.audit.signing import Key
from mfprefect.errors import ArtifactCorrupt, ArtifactUntrusted, ConfigurationError, MfprefectError

__all__ = ["CHUNK_BYTES", "FORMATS", "SKLEARN_TYPES", "Artifact", "chunks", "dump", "load", "sign"]

_log = logging.getLogger(__name__)

CHUNK_BYTES = 4 * 1024 * 1024

FORMATS = {
    "skops": "scikit-learn estimators, rebuilt from an allow-list of types",
    "xgboost": "XGBoost's native format (UBJSON), for XGBClassifier and the like, too",
    "lightgbm": "LightGBM's native format (text), for LGBMClassifier and the like, too",
    "onnx": "the content of an ONNX file, returned as bytes",
    "bytes": "bytes or the content of a file, such as an R model, returned as bytes",
    "pickle": "any Python object; loading runs code, so it needs trusted=True or a signature",
}
_VERBATIM = ("bytes", "onnx")
"""Formats that are stored and returned without parsing."""
_OWN: dict[type, str] = {ByClass: BY_CLASS, Extras: EXTRAS, StoredFile: FILE}
"""Formats that nobody chooses, by the type of what they hold."""

_LIBRARIES = {
    "skops": ("numpy", "scipy", "scikit-learn", "skops"),
    "pickle": ("cloudpickle", "numpy", "pandas", "scipy", "scikit-learn"),
    **dict.fromkeys(WRAPPERS, ("numpy", "scikit-learn")),
}


@dataclass(frozen=True)
class Artifact:
    """The record of a stored model."""

    format: str
    """A key of FORMATS, BY_CLASS, EXTRAS or FILE."""
    size: int
    """In bytes."""
    sha256: str
    """Hex."""
    library_versions: str
    """JSON text: versions by name, as installed when the model was stored."""
    signature: str | None = None
    """See `sign`; None if the team has no signing key."""


def dump(
    estimator: Any,
    file: BinaryIO,
    *,
    format: str | None = None,
    trusted_types: Collection[str] = (),
    signing_key: str | None = None,
    names: Sequence[str] = (),
) -> Artifact:
    """Write a model to a file and return its record.

    Args:
        estimator: a scikit-learn, XGBoost or LightGBM estimator, bytes, the path of a file, any
            object with format="pickle", a `ByClass`, which its model writes, `Extras`, or a
            `StoredFile`, which is no model.
        file: the target, readable and seekable, such as `tempfile.TemporaryFile()`. Existing
            content is overwritten; the file is empty after an error.
        format: one of FORMATS; by default "xgboost" or "lightgbm" for models of these libraries,
            "skops" for other scikit-learn estimators, "onnx" for paths ending in .onnx, and
            "bytes" for bytes and other paths.
        trusted_types: type names that may be rebuilt in addition to SKLEARN_TYPES.
        signing_key: the team's key, if it has one.
        names: as in `sign`.

    Raises:
        ArtifactUntrusted: the model holds types that `load` would refuse.
        ConfigurationError: an unknown format, a missing library, or an object that the format
            cannot hold.
    """
    kind = _OWN.get(type(estimator)) or format or _default_format(estimator)
    if kind not in _OWN.values():
        _require_format(kind)
    file.seek(0)
    file.truncate()
    try:
        if isinstance(estimator, ByClass):
            write_by_class(estimator, file)
        elif isinstance(estimator, Extras):
            write_extras(estimator, file)
        elif isinstance(estimator, StoredFile):
            write_file(estimator, file)
        elif kind in _VERBATIM:
            _dump_bytes(estimator, file, kind)
        elif kind == "pickle":
            _dump_pickle(estimator, file)
        elif kind in WRAPPERS:
            dump_boosted(kind, estimator, file)
        else:
            dump_skops(estimator, file, _names(trusted_types))
        size, sha256 = _measure(file)
    except BaseException:
        if not file.closed:
            file.seek(0)
            file.truncate()
        raise
    artifact = Artifact(kind, size, sha256, json.dumps(_versions(kind, estimator), sort_keys=True))
    if signing_key is None:
        return artifact
    return replace(artifact, signature=sign(artifact, signing_key, names))


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the content of a file from its start, at most CHUNK_BYTES at a time."""
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def load(
    file: BinaryIO,
    artifact: Artifact,
    *,
    trusted: bool = False,
    trusted_types: Collection[str] = (),
    signing_key: str | None = None,
    older_keys: Collection[Key] = (),
    names: Sequence[str] = (),
    model: ModelHooks | None = None,
) -> Any:
    """Verify a file against its record and return the model, or the bytes of "bytes" and "onnx".

    Log a warning if library versions differ from the recorded ones.

    Args:
        file: readable and seekable; the caller closes it.
        artifact: the record that `dump` returned.
        trusted: skip the checks of types and signature: loading may run any code.
        trusted_types: as in `dump`.
        signing_key: the team's key, if it has one. Then only artifacts that it signed are loaded,
            and a signed pickle does not need `trusted`.
        older_keys: earlier keys whose signatures are accepted, too.
        names: as in `sign`.
        model: reads a model that its class wrote.

    Raises:
        ArtifactCorrupt: the size or digest differs from the recorded one.
        ArtifactUntrusted: a pickle, a type that is not allowed, or a missing or wrong signature.
        ConfigurationError: the installed libraries or the model's class cannot rebuild the model;
            or it is a file.
    """
    if artifact.format == FILE:
        raise ConfigurationError("this is a file, not a model; read it with store.open_file.")
    size, sha256 = _measure(file)
    if (size, sha256) != (artifact.size, artifact.sha256):
        raise ArtifactCorrupt(
            f"the artifact has {size} bytes with SHA-256 {sha256}, but {artifact.size} bytes with "
            f"SHA-256 {artifact.sha256} were recorded. It was damaged or replaced: restore it from "
            "a backup, or train again."
        )
    if artifact.format not in _OWN.values():
        _require_format(artifact.format)
    if not trusted:
        _check_signature(artifact, signing_key, older_keys, names)
    file.seek(0)
    if artifact.format in _VERBATIM:
        return file.read()
    if artifact.format == EXTRAS:
        return read_extras(file)
    _warn_of_versions(artifact)
    if artifact.format == BY_CLASS:
        return read_by_class(_require_class(artifact, model), file)
    allowed = None if trusted else _names(trusted_types)
    return _rebuild(file, artifact, allowed)


def _require_class(artifact: Artifact, model: ModelHooks | None) -> ModelHooks:
    if model is not None:
        return model
    name = json.loads(artifact.library_versions).get(CLASS_KEY, "its class")
    short = name.rpartition(".")[2]
    raise ConfigurationError(
        f"this model was written by save_model of the class {name}, and only load_model of that "
        f"class can read it: pass the class, store.load_model(session_id, model={short}). Its "
        "score flow does so."
    )


def sign(artifact: Artifact, signing_key: str, names: Sequence[str] = ()) -> str:
    """Return the HMAC-SHA-256 (hex) of an artifact's format, size, digest and names.

    Args:
        artifact: the artifact.
        signing_key: the team's key.
        names: what it belongs to: model, session, attempt and its own name. Without them it could
            pass for any other; earlier versions left them out.
    """
    if not signing_key:
        raise ConfigurationError(
            "the signing key is empty, so anyone could sign; set MFPREFECT_SIGNING_KEY to a "
            "secret, or unset it."
        )
    return hmac.new(
        signing_key.encode(), _signed_content(artifact, names), hashlib.sha256
    ).hexdigest()


def is_signed(
    artifact: Artifact,
    signing_key: str,
    older_keys: Collection[Key] = (),
    names: Sequence[str] = (),
) -> bool:
    """Say whether the team's key or an earlier secret key signed an artifact under these names."""
    text = artifact.signature or ""
    if hmac.compare_digest(text.encode(), sign(artifact, signing_key, names).encode()):
        return True
    try:
        signature = bytes.fromhex(text)
    except ValueError:
        return False
    # Only secret keys: anyone could make an HMAC with a public key.
    content = _signed_content(artifact, names)
    return any(key.secret and key.verifies(content, signature) for key in older_keys)


def _signed_content(artifact: Artifact, names: Sequence[str]) -> bytes:
    text = f"{artifact.format}\n{artifact.size}\n{artifact.sha256}"
    if not names:
        return f"mfprefect artifact 1\n{text}".encode()
    return f"mfprefect artifact 2\n{text}\n{json.dumps(list(names))}".encode()


def _measure(file: BinaryIO) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    for chunk in chunks(file):
        size += len(chunk)
        digest.update(chunk)
    return size, digest.hexdigest()


def _default_format(estimator: Any) -> str:
    if isinstance(estimator, bytes | bytearray | memoryview):
        return "bytes"
    if isinstance(estimator, Path):
        return "onnx" if estimator.suffix == ".onnx" else "bytes"
    if (boosted := boosted_format(estimator)) is not None:
        return boosted
    base = sys.modules.get("sklearn.base")  # if it is an estimator, scikit-learn is imported
    if base is not None and isinstance(estimator, base.BaseEstimator):
        return "skops"
    name = type_name(estimator)
    raise ArtifactUntrusted(
        f"a {name} has no safe format. Choices: write save_model and load_model in the model's "
        "class; pass the model as bytes, or the pathlib.Path of a file that its library wrote; or "
        'format="pickle" (also in the class), which loads only with trusted=True or a signature '
        "(MFPREFECT_SIGNING_KEY).",
        types=[name],
    )


def _require_format(format: str) -> None:
    if format not in FORMATS:
        choices = "; ".join(f"{name!r}: {text}" for name, text in FORMATS.items())
        raise ConfigurationError(f"unknown artifact format {format!r}; choices: {choices}.")


def _names(trusted_types: Collection[str]) -> frozenset[str]:
    if isinstance(trusted_types, str):
        raise ConfigurationError(
            f"trusted_types is the text {trusted_types!r}; pass a list: [{trusted_types!r}]."
        )
    return SKLEARN_TYPES | frozenset(trusted_types)


def _check_signature(
    artifact: Artifact, signing_key: str | None, older_keys: Collection[Key], names: Sequence[str]
) -> None:
    if signing_key is not None:
        if not is_signed(artifact, signing_key, older_keys, names):
            state = "is not signed"
            if artifact.signature is not None:
                state = "was signed with another key, or as that of another session"
            raise ArtifactUntrusted(
                f"the artifact (SHA-256 {artifact.sha256}) {state}, and MFPREFECT_SIGNING_KEY is "
                "set. Add the earlier key to verify_keys, store the model again with the current "
                "key, or pass trusted=True if you know where it comes from."
            )
    elif artifact.format == "pickle":
        raise ArtifactUntrusted(
            "loading a pickle can run any code, with your rights on this database. Choices: pass "
            'trusted=True if you know where it comes from; store the model with format="skops"; '
            "or sign stored models (MFPREFECT_SIGNING_KEY)."
        )


def _dump_bytes(source: Any, file: BinaryIO, kind: str) -> None:
    if isinstance(source, Path):
        with source.open("rb") as content:
            shutil.copyfileobj(content, file)
    elif isinstance(source, bytes | bytearray | memoryview):
        file.write(source)
    else:
        raise ConfigurationError(
            f"format={kind!r} takes bytes or a pathlib.Path, not a {type_name(source)}."
        )


def _dump_pickle(estimator: Any, file: BinaryIO) -> None:
    try:
        importlib.import_module("cloudpickle").dump(estimator, file)
    except Exception as exc:
        raise ConfigurationError(
            f"pickle cannot hold this {type_name(estimator)} ({type(exc).__name__}: {exc}). Leave "
            "out what belongs to this process, such as locks, connections and open files; or "
            "write save_model and load_model in the model's class."
        ) from exc


def _rebuild(file: BinaryIO, artifact: Artifact, allowed: frozenset[str] | None) -> Any:
    # `_warn_of_versions` has logged version differences; scikit-learn's warning about them would
    # be an error where warnings are errors.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Trying to unpickle estimator", UserWarning)
        try:
            if artifact.format == "pickle":
                return importlib.import_module("cloudpickle").load(file)
            if artifact.format in WRAPPERS:
                return load_boosted(artifact.format, file)
            return load_skops(file, allowed)
        except MfprefectError:
            raise
        except Exception as exc:
            raise ConfigurationError(
                f"the installed libraries cannot rebuild the model ({type(exc).__name__}: {exc}). "
                f"It was stored with {artifact.library_versions}; install those versions, and the "
                "modules with the model's code."
            ) from exc


def _versions(kind: str, estimator: Any) -> dict[str, str]:
    if kind in (*_VERBATIM, EXTRAS, FILE):
        return {}
    fitted = estimator.estimator if isinstance(estimator, ByClass) else estimator
    package = type(fitted).__module__.partition(".")[0]  # lightgbm, xgboost, the team's package
    versions = {name: _version(name) for name in ("python", *_LIBRARIES.get(kind, ()), package)}
    if isinstance(estimator, ByClass):
        versions[CLASS_KEY] = class_name(estimator.model)
    return {name: version for name, version in versions.items() if version}


_ALSO = {"xgboost": ("xgboost-cpu",)}
"""Alternative distributions of a library."""


# Once per process: installing another version does not change an imported library.
@functools.cache
def _version(name: str) -> str | None:
    if name == "python":
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    for distribution in (name, *_ALSO.get(name, ())):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(distribution)
    return None


def _warn_of_versions(artifact: Artifact) -> None:
    try:
        versions: dict[str, str] = json.loads(artifact.library_versions)
    except ValueError as exc:
        raise ArtifactCorrupt(
            f"the artifact's library versions are not JSON: {artifact.library_versions!r}"
        ) from exc
    for name, stored in sorted(versions.items()):
        if name == CLASS_KEY and artifact.format == BY_CLASS:
            continue
        installed = _version(name)
        if installed != stored:
            _log.warning(
                "the model was stored with %s %s, installed is %s: predictions may differ",
                name,
                stored,
                installed or "none",
            )
