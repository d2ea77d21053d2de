"""Write docs/openapi.json, the description of the API, from the code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mfprefect.console.api.app import description

__all__ = ["PAGE", "text"]

PAGE = Path(__file__).parents[2] / "docs" / "openapi.json"


def text() -> str:
    """Return the description as the file holds it."""
    return json.dumps(description(), indent=1, sort_keys=True) + "\n"


def main() -> int:
    """Write the file; return the exit code."""
    PAGE.write_text(text(), encoding="utf-8")
    print(f"wrote {PAGE}")  # noqa: T201 - a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
