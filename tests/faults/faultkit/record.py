"""The record of a run of the suite, and the tables that docs/reliability.md shows of it.

    python tests/faults/faultkit/record.py FILE [DOCUMENT]

prints the tables of the records in FILE, a JSON text a line, and writes them into DOCUMENT between
its two marks.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import sqlalchemy as sa

import mfprefect
from mfprefect import Store

__all__ = ["BAD", "Injection", "append", "read", "tables", "version"]

BAD = ("lost", "doubled", "half-visible", "stuck")
PHASES = (
    *("open", "buffered flush", "model", "part 1", "part 2", "part 3", "part n"),
    *("close", "seal", "publication", "push", "all"),
)
BEGIN, END = "<!-- recorded: begin -->", "<!-- recorded: end -->"
VARIABLE = "MFPREFECT_TEST_RECORD"


@dataclass
class Injection:
    """One fault and what came of it."""

    kind: str
    database: str
    phase: str
    outcome: str
    label: str
    seed: int
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    server: str = ""
    """The database and its version."""
    day: str = field(default_factory=lambda: dt.datetime.now(dt.UTC).date().isoformat())

    def has(self, bad: str) -> bool:
        """Return whether it led to a problem of that kind."""
        return any(problem.startswith(f"{bad}:") for problem in self.problems)


def version(store: Store, database: str) -> str:
    """Return the name and version of a store's database, as a report says it."""
    function = "sqlite_version" if database == "sqlite" else "version"
    with store.database.engine.connect() as connection:
        told = str(connection.scalar(sa.select(getattr(sa.func, function)())))
    found = re.search(r"\d+(\.\d+)+", told)
    number = found[0] if found else told
    name = "MariaDB" if "MariaDB" in told else {"sqlite": "SQLite", "postgres": "PostgreSQL"}
    return f"{name if isinstance(name, str) else name.get(database, 'MySQL')} {number}"


def append(injection: Injection) -> None:
    """Add a record to the file that MFPREFECT_TEST_RECORD names, if it does."""
    if path := os.environ.get(VARIABLE):
        with Path(path).open("a") as file:
            file.write(json.dumps(asdict(injection)) + "\n")


def read(path: Path) -> list[Injection]:
    """Return the records of a file; what was injected again, as a replay, counts once."""
    found = (Injection(**json.loads(line)) for line in path.read_text().splitlines())
    return list({(x.kind, x.database, x.label, x.seed): x for x in found}.values())


def tables(injections: list[Injection]) -> str:
    """Return what was injected and what came out, as Markdown."""
    total = Counter(bad for x in injections for bad in BAD if x.has(bad))
    found = ", ".join(f"{total[bad]} {bad}" for bad in BAD)
    seeds, days, servers = (
        ", ".join(sorted({str(getattr(x, name)) for x in injections} - {""}))
        for name in ("seed", "day", "server")
    )
    lines = [
        f"{len(injections)} injections: {found}.",
        f"Recorded on {days} with mfprefect {mfprefect.__version__}, {servers} and Python "
        f"{platform.python_version()}; seed {seeds}.",
        "",
    ]
    lines += _by_kind(injections)
    lines += ["", *_by_phase(injections)]
    return "\n".join(lines)


def _by_kind(injections: list[Injection]) -> list[str]:
    head = ["fault", "database", "injected", "what came out", *BAD]
    rows = []
    for kind, database in _ordered((x.kind, x.database) for x in injections):
        mine = [x for x in injections if (x.kind, x.database) == (kind, database)]
        outcomes = Counter(x.outcome for x in mine)
        told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        bad = [str(sum(x.has(name) for x in mine)) for name in BAD]
        rows.append([kind, database, str(len(mine)), told, *bad])
    return _table(head, rows)


def _by_phase(injections: list[Injection]) -> list[str]:
    found = {x.phase for x in injections}
    phases = [phase for phase in (*PHASES, *sorted(found - {*PHASES})) if phase in found]
    rows = []
    for (kind,) in _ordered((x.kind,) for x in injections):
        counts = Counter(x.phase for x in injections if x.kind == kind)
        rows.append([kind, *(str(counts[phase] or "") for phase in phases)])
    return _table(["injected in the middle of", *(phase for phase in phases)], rows)


def _ordered(keys: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(keys))


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


def main(source: str, document: str | None = None) -> None:
    """Print the tables of a file; write them into a document."""
    text = tables(read(Path(source)))
    print(text)
    if document is not None:
        before, _, rest = Path(document).read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        Path(document).write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main(*sys.argv[1:])
