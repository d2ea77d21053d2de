"""The process that runs a session again: `python -m mfprefect.lifecycle.rerun REQUEST ANSWER`.

A process of its own, in the checkout of the commit and perhaps with packages of its own. Both files
hold JSON: what to run, and the session that it was run as, or why it was not.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

from mfprefect.errors import ConfigurationError
from mfprefect.provenance.entrypoint import load_class

__all__ = ["main"]


def main(request_file: Path, answer_file: Path) -> int:
    """Run what is asked for; the exit code is 0 where it ended well."""
    request: dict[str, Any] = json.loads(request_file.read_text())

    def answer(**found: Any) -> None:
        answer_file.write_text(json.dumps(found))

    try:
        kind = load_class(Path(request["root"]), request["entrypoint"])
        kind._require()
        if kind.model_id != request["model_id"]:
            raise ConfigurationError(
                f"{request['entrypoint']} is the model {kind.model_id!r} in that commit, not "
                f"{request['model_id']!r}"
            )
    except ConfigurationError as exc:
        answer(reason=str(exc).rstrip("."))
        return 1
    from mfprefect.lifecycle.flows import run_again

    run_again(
        kind,
        request["purpose"],
        as_of=dt.date.fromisoformat(request["as_of"]),
        params=request["params"],
        parent=request["parent"],
        opened=lambda session_id: answer(session_id=session_id),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
