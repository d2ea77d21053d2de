"""Keys that sign and verify seals and audit events.

A key is a secret text (HMAC-SHA-256: anyone who can verify can also sign), or an Ed25519 key in
PEM: the private key signs, the public key only verifies. Each key has an id derived from it. The id
is stored with each signature, so keys can be replaced over time. Pure: takes texts; opens no
connection.
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
    """A signature as it is stored."""

    key_id: str | None
    """The key that signed; None: unsigned."""
    signature: str | None
    """Hex: 64 digits of HMAC-SHA-256, 128 of Ed25519."""


UNSIGNED = Signature(None, None)


@dataclass(frozen=True)
class Key:
    """A key whose material stays inside closures, out of reprs and logs."""

    id: str
    sign: Callable[[bytes], bytes] | None = field(repr=False)
    """None for a public key, which only verifies."""
    verifies: Callable[[bytes, bytes], bool] = field(repr=False)
    secret: bool = False
    """Whether it is an HMAC key, which signs and verifies alike."""


@dataclass(frozen=True)
class Keyring:
    """The key that signs, if any, and all keys that verify, by id."""

    signer: Key | None
    keys: Mapping[str, Key]

    @property
    def secrets(self) -> tuple[Key, ...]:
        """The HMAC keys; model blobs are signed with these."""
        return tuple(key for key in self.keys.values() if key.secret)

    def sign(self, kind: Kind, digest: str) -> Signature:
        """Sign a digest; return UNSIGNED without a signing key."""
        if self.signer is None or self.signer.sign is None:
            return UNSIGNED
        return Signature(self.signer.id, self.signer.sign(_content(kind, digest)).hex())

    def problem(self, kind: Kind, digest: str, stored: Signature, *, expected: bool) -> str | None:
        """Return what is wrong with a stored signature, None if it is valid or no key is known.

        Args:
            kind: the kind of record that was signed.
            digest: its digest.
            stored: its signature.
            expected: whether an earlier record is signed; then every later one must be.
        """
        if (stored.key_id is None) != (stored.signature is None):
            return "half of its signature is missing"
        if stored.key_id is None or stored.signature is None:
            return "it is not signed, although earlier ones are" if expected else None
        if not self.keys:
            return None
        key = self.keys.get(stored.key_id)
        if key is None:
            return (
                f"it is signed with the key {stored.key_id}, which is not one of the keys in the "
                f"settings: {', '.join(self.keys)}"
            )
        try:
            signature = bytes.fromhex(stored.signature)
        except ValueError:
            signature = b""
        if not key.verifies(_content(kind, digest), signature):
            return f"its signature does not match the key {key.id}"
        return None


def _content(kind: Kind, digest: str) -> bytes:
    # Includes the kind, so that the signature of a seal cannot pass for that of an event.
    return f"mfprefect {kind} 1\n{digest}".encode()


@functools.lru_cache(maxsize=8)
def keyring(
    signing_key: str | None, seal_key: str | None, verify_keys: tuple[str, ...] = ()
) -> Keyring:
    """Return the keys of the settings; `seal_key` signs if set, otherwise `signing_key`.

    Raises:
        ConfigurationError: a key cannot be used; the message shows no part of it.
    """
    signing_keys = [] if seal_key is None else [read_key(seal_key, "seal_key")]
    if signing_key is not None:
        # Always a secret text, even if it looks like PEM: model blobs use it the same way.
        signing_keys.append(_secret(_not_empty(signing_key, "signing_key").encode()))
    signer = signing_keys[0] if signing_keys else None
    if signer is not None and signer.sign is None:
        raise ConfigurationError(
            "seal_key is a public key, which cannot sign; set the private key, or move it to "
            "verify_keys."
        )
    keys = [*signing_keys, *(read_key(text, "verify_keys") for text in verify_keys)]
    return Keyring(signer, {key.id: key for key in keys})


def read_key(text: str, name: str) -> Key:
    """Return the key of a setting: PEM, `file:` and the path of a PEM file, or a secret text.

    Raises:
        ConfigurationError: the key cannot be used.
    """
    if text.startswith(FILE):
        try:
            text = Path(text.removeprefix(FILE)).expanduser().read_text(encoding="utf-8").strip()
        except RuntimeError:  # of `expanduser`
            reason = "this user has no home folder for ~; write the whole path"
            raise ConfigurationError(f"the file of {name} cannot be read: {reason}.") from None
        except (OSError, UnicodeDecodeError) as exc:
            reason = getattr(exc, "strerror", None) or "it is not text"
            raise ConfigurationError(f"the file of {name} cannot be read: {reason}.") from None
    text = _not_empty(text, name)
    return _pem(text, name) if text.lstrip().startswith("-----BEGIN ") else _secret(text.encode())


def _not_empty(text: str, name: str) -> str:
    if not text:
        raise ConfigurationError(
            f"{name} is empty, so anyone could sign; set it to a secret, or unset it."
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
            f"{name} is a PEM key, which needs the package cryptography; run "
            "pip install 'mfprefect[signing]'."
        ) from None
    pem = _load_pem(text)
    private = isinstance(pem, ed25519.Ed25519PrivateKey)
    if not private and not isinstance(pem, ed25519.Ed25519PublicKey):
        raise ConfigurationError(
            f"{name} is not an Ed25519 key in PEM without a password; create one with `openssl "
            "genpkey -algorithm ed25519`, and its public key with `openssl pkey -pubout`."
        )
    public = pem.public_key() if private else pem
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def verifies(content: bytes, signature: bytes) -> bool:
        try:
            public.verify(signature, content)
        except InvalidSignature:
            return False
        return True

    sign = pem.sign if private else None
    return Key(hashlib.sha256(raw).hexdigest()[:ID_LENGTH], sign, verifies)


def _load_pem(text: str) -> Any:
    """Return the key object of `cryptography`, None if the text is not a PEM key."""
    from cryptography.hazmat.primitives import serialization

    try:
        if "PRIVATE KEY" in text:
            return serialization.load_pem_private_key(text.encode(), None)
        return serialization.load_pem_public_key(text.encode())
    except (ValueError, TypeError):
        return None
