"""The record of a run of the suite, and the tables that docs/reliability.md shows of it.

    python tests/faults/faultkit/record.py FILE [DOCUMENT]

prints the tables of the records in FILE, a JSON text a line, and writes them into DOCUMENT between
its two marks. A run in which something went wrong, that is too small or that left a phase out is
not recorded: the document stays as it is, and the exit code is 1.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import re
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import sqlalchemy as sa

import mfprefect
from mfprefect import Store

__all__ = [
    "BAD",
    "FLOWS",
    "SERVERS",
    "Injection",
    "append",
    "read",
    "refusals",
    "tables",
    "version",
]

BAD = ("lost", "doubled", "half-visible", "stuck", "false alarm")
PHASES = (
    *("open", "buffered flush", "model", "part 1", "part 2", "part 3", "part n"),
    *("close", "seal", "publication", "push", "all"),
    *("notice", "page", "promotion", "page of the promotion", "export", "end"),
)
LEAST = 1_500
"""The injections that a recorded run has."""
SERVERS = ("postgres", "mysql", "mysql9")
FLOWS = ("postgres", "mysql")
"""The servers on which flows are disturbed: what differs between MariaDB and MySQL, runs meet."""
NAMES = {"postgres": "PostgreSQL", "mysql": "MariaDB", "mysql9": "MySQL 9", "sqlite": "SQLite"}
"""The databases, as the tables have them."""
REQUIRED = {
    "kill -9 of the writer": (*SERVERS, "sqlite"),
    "kill -9 of a flow's process": (*FLOWS, "sqlite"),
    "kill -9 of a worker": FLOWS,
    "kill -9 and restart of the database": SERVERS,
    "connection cut": SERVERS,
}
"""The faults that a recorded run has in each phase of the life of a session, on which databases."""
AFTER = "kill -9 of a flow's process after its session"
LIFE = ("open", "buffered flush", "part n", "publication", "seal", "close")
PRESENT = {
    "disk full": ("sqlite",),
    "database unavailable, spool disk full": SERVERS,
    "database unavailable while a retry opens": SERVERS,
    "database unavailable, and kill -9 of the writer": SERVERS,
    "database paused": SERVERS,
    "kill -9 between the end of a session and Prefect's": (*SERVERS, "sqlite"),
    "writer paused, and seen alive": (*SERVERS, "sqlite"),
    "writer paused, declared dead, and back": (*SERVERS, "sqlite"),
    "writer paused, declared dead, retried, and back": (*SERVERS, "sqlite"),
    "network partition": SERVERS,
    "network half-open, questions lost": SERVERS,
    "network half-open, answers lost": SERVERS,
    "network partition between namespaces": SERVERS,
    "kill -9 of a flow of a worker": FLOWS,
    "flow of a worker paused, declared dead, retried, and back": FLOWS,
}
"""Those that it has, in whatever phase."""
TOLD = ("notice", "page", "promotion", "export", "end")
"""What follows the end of a session, before Prefect hears of it."""
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
        text = str(connection.scalar(sa.select(getattr(sa.func, function)())))
    match = re.search(r"\d+(\.\d+)+", text)
    number = match[0] if match else text
    name = "MariaDB" if "MariaDB" in text else {"sqlite": "SQLite", "postgres": "PostgreSQL"}
    return f"{name if isinstance(name, str) else name.get(database, 'MySQL')} {number}"


def append(injection: Injection) -> None:
    """Add a record to the file that MFPREFECT_TEST_RECORD names, if it does."""
    if path := os.environ.get(VARIABLE):
        with Path(path).open("a") as file:
            file.write(json.dumps(asdict(injection)) + "\n")


def read(path: Path) -> list[Injection]:
    """Return the records of a file; what was injected again, as a replay, counts once."""
    injections = (Injection(**json.loads(line)) for line in path.read_text().splitlines())
    return list({(x.kind, x.database, x.label, x.seed): x for x in injections}.values())


def tables(injections: list[Injection]) -> str:
    """Return what was injected and what came out, as Markdown."""
    total = Counter(bad for x in injections for bad in BAD if x.has(bad))
    totals = ", ".join(f"{total[bad]} {bad}" for bad in BAD) + "s"
    seeds, days, servers = (
        ", ".join(sorted({str(getattr(x, name)) for x in injections} - {""}))
        for name in ("seed", "day", "server")
    )
    lines = [
        f"{len(injections)} injections: {totals}.",
        f"Recorded on {days} with mfprefect {mfprefect.__version__}, {servers} and Python "
        f"{platform.python_version()}; seed {seeds}.",
        "",
    ]
    lines += _by_kind(injections)
    lines += ["", *_by_phase(injections)]
    return "\n".join(lines)


def refusals(injections: list[Injection]) -> list[str]:
    """Return why a run is not recorded; nothing where it can be."""
    reasons = []
    if len(injections) < LEAST:
        reasons.append(f"{len(injections)} injections; a record has at least {LEAST}")
    reasons += [
        f"{x.kind}, {x.database}, {x.label}: {problem}"
        for x in injections
        for problem in x.problems
    ]
    had: set[tuple[str, str, str]] = set()
    for x in injections:
        kind = next((k for k in REQUIRED if x.kind.startswith(k) and x.kind != AFTER), x.kind)
        phase = "part n" if x.phase.startswith("part ") else x.phase
        had |= {(kind, x.database, phase), (kind, x.database, "")}
    wanted = [
        (kind, database, phase)
        for kind in REQUIRED
        for database in REQUIRED[kind]
        for phase in LIFE
    ]
    wanted += [(kind, database, "") for kind in PRESENT for database in PRESENT[kind]]
    wanted += [(AFTER, database, phase) for database in FLOWS for phase in TOLD]
    wanted += [(AFTER, "sqlite", phase) for phase in ("page", "end")]
    reasons += [
        f"{kind}, {database}: none was injected{phase and ' in '}{phase}"
        for kind, database, phase in wanted
        if (kind, database, phase) not in had
    ]
    return reasons


def _by_kind(injections: list[Injection]) -> list[str]:
    head = ["fault", "database", "injected", "outcome", *BAD]
    rows = []
    for (kind, database), injected in _grouped(injections).items():
        outcomes = Counter(x.outcome for x in injected)
        listed = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        bad = [str(sum(x.has(name) for x in injected)) for name in BAD]
        rows.append([kind, NAMES[database], str(len(injected)), listed, *bad])
    return _table(head, rows)


def _by_phase(injections: list[Injection]) -> list[str]:
    phases_met = {x.phase for x in injections}
    phases = [phase for phase in (*PHASES, *sorted(phases_met - {*PHASES})) if phase in phases_met]
    rows = []
    for (kind, database), injected in _grouped(injections).items():
        counts = Counter(x.phase for x in injected)
        rows.append([kind, NAMES[database], *(str(counts[phase] or "") for phase in phases)])
    return _table(["fault, injections by phase", "database", *phases], rows)


def _grouped(injections: list[Injection]) -> dict[tuple[str, str], list[Injection]]:
    """Return the injections of each fault on each database, in an order of no chance."""
    groups: dict[tuple[str, str], list[Injection]] = {}
    for x in sorted(injections, key=lambda x: (x.kind, x.database, x.label)):
        groups.setdefault((x.kind, x.database), []).append(x)
    return groups


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


def main(source: str, document: str | None = None) -> int:
    """Print the tables of a file; write them into a document if nothing speaks against it."""
    injections = read(Path(source))
    text = tables(injections)
    print(text)
    if reasons := refusals(injections):
        print("\nNOT RECORDED:", *reasons, sep="\n- ", file=sys.stderr)
        return 1
    if document is not None:
        before, _, rest = Path(document).read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        if not after:
            raise ValueError(f"{document} has no {BEGIN} and {END} after it")
        # At once: what is interrupted leaves the old one.
        new = Path(f"{document}.new")
        new.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
        new.replace(document)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
