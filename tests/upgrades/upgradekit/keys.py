"""Keys of the fixtures. They protect nothing: everybody can read them here."""

from __future__ import annotations

from pathlib import Path

__all__ = ["HMAC_KEY", "SEAL_KEY", "SETTINGS"]

HMAC_KEY = "a test key of tests/upgrades, no secret"
SEAL_KEY = f"file:{Path(__file__).with_name('test_seal_key.pem')}"
"""An Ed25519 key whose 32 bytes are 1, 2, 3, .."""
SETTINGS = {"seal_key": SEAL_KEY, "verify_keys": {"before": HMAC_KEY}}
"""What whoever goes on with a fixture has in the settings."""
