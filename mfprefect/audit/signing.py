"""Keys that sign seals and audit events, and keys that verify them.

A key is a secret text (HMAC-SHA-256: who can verify can also sign), or an Ed25519 key in PEM: the
private one signs, the public one can only verify. Each has an id that is derived from it, and that
is stored beside what it signed: several keys can be in use, one after the other. Pure: takes texts;
opens no connection.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mfprefect.errors import ConfigurationError

__all__ = ["UNSIGNED", "Key", "Keyring", "Signature", "keyring", "read_key"]

Kind = Literal["seal", "event"]
FILE = "file:"
ID_LENGTH = 12


class Signature(NamedTuple):
    """What is stored of a signature."""

    key_id: str | None
    """Which key signed; None: nobody did."""
    signature: str | None
    """Hex: 64 digits of HMAC-SHA-256, 128 of Ed25519."""


UNSIGNED = Signature(None, None)


@dataclass(frozen=True)
class Key:
    """One key; it hides what it is made of."""

    id: str
    sign: Callable[[bytes], bytes] | None = field(repr=False)
    """None: a public key, which only verifies."""
    verifies: Callable[[bytes, bytes], bool] = field(repr=False)
    secret: bool = False
    """Whether who can verify can also sign: a key of HMAC."""


@dataclass(frozen=True)
class Keyring:
    """The key that signs, if there is one, and all that verify, by their ids."""

    signer: Key | None
    keys: Mapping[str, Key]

    @property
    def secrets(self) -> tuple[Key, ...]:
        """The keys of HMAC, which model blobs are signed with."""
        return tuple(key for key in self.keys.values() if key.secret)

    def sign(self, kind: Kind, digest: str) -> Signature:
        """Return the signature of a digest, or that there is none."""
        if self.signer is None or self.signer.sign is None:
            return UNSIGNED
        return Signature(self.signer.id, self.signer.sign(_signed(kind, digest)).hex())

    def problem(self, kind: Kind, digest: str, found: Signature, *, expected: bool) -> str | None:
        """Return what is wrong with a signature, None if nothing is, or no key is at hand.

        Args:
            kind: what was signed.
            digest: its digest.
            found: the signature that is stored.
            expected: whether something older is signed: from then on, everything has to be.
        """
        if (found.key_id is None) != (found.signature is None):
            return "half of its signature is missing"
        if found.key_id is None or found.signature is None:
            return "it is not signed, and what came before it is" if expected else None
        if not self.keys:
            return None
        key = self.keys.get(found.key_id)
        if key is None:
            return (
                f"it is signed with the key {found.key_id}, which is none of those in the "
                f"settings: {', '.join(self.keys)}"
            )
        try:
            signature = bytes.fromhex(found.signature)
        except ValueError:
            signature = b""
        if not key.verifies(_signed(kind, digest), signature):
            return f"its signature is not that of the key {key.id}"
        return None


def _signed(kind: Kind, digest: str) -> bytes:
    # The kind is part of it: the signature of one thing must not do for another.
    return f"mfprefect {kind} 1\n{digest}".encode()


@functools.lru_cache(maxsize=8)
def keyring(
    signing_key: str | None, seal_key: str | None, verify_keys: tuple[str, ...] = ()
) -> Keyring:
    """Return the keys of the settings; `seal_key` signs where it is given.

    Raises:
        ConfigurationError: a key cannot be used; no part of it is shown.
    """
    ours = [] if seal_key is None else [read_key(seal_key, "seal_key")]
    if signing_key is not None:
        # As model blobs take it: a secret, whatever it looks like.
        ours.append(_secret(_not_empty(signing_key, "signing_key").encode()))
    signer = ours[0] if ours else None
    if signer is not None and signer.sign is None:
        raise ConfigurationError(
            "seal_key is a public key, which signs nothing; give the private one, or move it to "
            "verify_keys."
        )
    known = [*ours, *(read_key(text, "verify_keys") for text in verify_keys)]
    return Keyring(signer, {key.id: key for key in known})


def read_key(text: str, name: str) -> Key:
    """Return the key that a setting holds: PEM, `file:` and the path of one, or a secret text.

    Raises:
        ConfigurationError: it cannot be used.
    """
    if text.startswith(FILE):
        try:
            text = Path(text.removeprefix(FILE)).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            reason = getattr(exc, "strerror", None) or "it is no text"
            raise ConfigurationError(f"the file of {name} cannot be read: {reason}.") from None
    text = _not_empty(text, name)
    return _pem(text, name) if text.lstrip().startswith("-----BEGIN ") else _secret(text.encode())


def _not_empty(text: str, name: str) -> str:
    if not text:
        raise ConfigurationError(
            f"{name} is empty, so that anyone could sign; set it to a secret, or leave it out."
        )
    return text


def _secret(secret: bytes) -> Key:
    def mac(content: bytes) -> bytes:
        return hmac.new(secret, content, hashlib.sha256).digest()

    def verifies(content: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(mac(content), signature)

    return Key(mac(b"mfprefect key id").hex()[:ID_LENGTH], mac, verifies, secret=True)


def _pem(text: str, name: str) -> Key:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise ConfigurationError(
            f"{name} is a PEM key, for which the package cryptography is needed; "
            "pip install 'mfprefect[signing]'."
        ) from None
    found: Any
    try:
        if "PRIVATE KEY" in text:
            found = serialization.load_pem_private_key(text.encode(), None)
        else:
            found = serialization.load_pem_public_key(text.encode())
    except (ValueError, TypeError):
        found = None
    private = isinstance(found, ed25519.Ed25519PrivateKey)
    if not private and not isinstance(found, ed25519.Ed25519PublicKey):
        raise ConfigurationError(
            f"{name} is no Ed25519 key without a password in PEM; `openssl genpkey -algorithm "
            "ed25519` makes one, and `openssl pkey -pubout` its public half."
        )
    public = found.public_key() if private else found
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def verifies(content: bytes, signature: bytes) -> bool:
        try:
            public.verify(signature, content)
        except InvalidSignature:
            return False
        return True

    sign = found.sign if private else None
    return Key(hashlib.sha256(raw).hexdigest()[:ID_LENGTH], sign, verifies)
