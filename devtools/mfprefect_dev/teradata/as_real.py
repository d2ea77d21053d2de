"""Run pytest as on a real Teradata, against an emulated one, to keep that mode working.

    python -m mfprefect_dev.teradata.as_real tests/contract/test_contract.py -k schema

All tests share one database, each under its own prefix. Fails if something is left in it.
"""

from __future__ import annotations

import os
import subprocess
import sys

from mfprefect_dev.teradata.engine.server import REAL, EmulatedTeradata, RealTeradata

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Run pytest; return its exit code, or 1 if a test left tables or views."""
    with EmulatedTeradata().new_database() as url:
        command = [sys.executable, "-m", "pytest", *arguments]
        done = subprocess.run(command, env=os.environ | {REAL: url}, check=False)  # noqa: S603
        remaining = [name for name, _ in RealTeradata(url).objects("")]
    if remaining:
        sys.stderr.write(f"left in the database: {', '.join(remaining)}\n")
    return done.returncode or int(bool(remaining))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
