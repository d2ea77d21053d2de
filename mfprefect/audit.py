"""The chained audit trail: who did what, when; each event holds the digest of the one before.

Pure: takes rows, returns digests; opens no connection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from mfprefect.values import json_text

__all__ = ["event_digest"]

_SEALED = ("event_no", "at", "actor", "action", "subject", "detail", "previous_digest")


def event_digest(event: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an event's canonical JSON, its predecessor's digest included."""
    content = json_text({name: event[name] for name in _SEALED}, "the audit event")
    return hashlib.sha256(content.encode()).hexdigest()
