"""What opening and closing a session costs, beside another commit of this project.

    git worktree add --detach /tmp/base COMMIT
    .venv/bin/python benchmarks/opening.py /tmp/base [--rounds 60] [--sessions 5] [--database NAME]

Each commit has a process and a database of its own on one server, with the role of a writer and all
its triggers, as `mfprefect grants` of that commit makes them. They take turns in short rounds, so
that what slows the machine down slows both. Printed are the medians and minima of a session's
milliseconds, and by how much this commit's exceed the other's: the median of the pairs of rounds,
the middle half of them, and the ratio of the minima.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mfprefect_dev.servers import server_for

HERE = Path(__file__).resolve().parents[1]
PLACES = ("sqlite", "postgres", "mysql", "mysql9")
PREPARE = """
import sys
import mfprefect
from click.testing import CliRunner
from mfprefect.cli import cli

url, user = sys.argv[1:]
with mfprefect.connect(url, spool="off") as store:
    store.create_schema()
    store.add_model("benchmark")
if user:
    asked = ["grants", "--role", "writer", "--user", user, "--url", url]
    result = CliRunner().invoke(cli, asked, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    print(result.stdout)
"""
TURN = """
import json, sys, time
import mfprefect

with mfprefect.connect(sys.argv[1], heartbeat_seconds=600, spool="off") as store:
    for line in sys.stdin:
        took = []
        for _ in range(int(line)):
            began = time.perf_counter()
            store.session("benchmark", purpose="adhoc").close()
            took.append(1000 * (time.perf_counter() - began))
        print(json.dumps(took), flush=True)
"""


def python(tree: Path, code: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start a program with the code of a commit, in the folder that this program runs in.

    Sessions record the checkout of that folder; git takes longer for a larger one.
    """
    paths = [tree, tree / "backends", tree / "devtools"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MFPREFECT_")}
    env["PYTHONPATH"] = os.pathsep.join(map(str, paths))
    return subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-P", "-c", code, *arguments], env=env, text=True, **options
    )


def prepare(tree: Path, url: str, user: str) -> str:
    """Make the schema of a commit; return its script of grants."""
    with python(tree, PREPARE, url, user, stdout=subprocess.PIPE) as process:
        script, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{tree}: the schema could not be made")
    return str(script)


def run_script(url: str, script: str) -> None:
    """Run a script as psql or the mariadb client would."""
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    driver = engine.raw_connection()
    delimiter, statement = ";", ""
    try:
        if engine.dialect.name == "postgresql":
            driver.cursor().execute(script)
            return
        for line in script.splitlines():
            if line.startswith("DELIMITER "):
                delimiter = line.split()[1]
            elif not line.startswith("--"):
                statement += line + "\n"
                if statement.strip().endswith(delimiter):
                    driver.cursor().execute(statement.strip().removesuffix(delimiter))
                    statement = ""
    finally:
        driver.close()


def as_writer(tree: Path, url: str) -> str:
    """Make a commit's schema and a writer; return the writer's URL."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        prepare(tree, url, "")
        return url
    user, password = f"writer_{secrets.token_hex(3)}", secrets.token_hex(8)
    create = f"CREATE ROLE {user} LOGIN PASSWORD '{password}';"
    if parsed.get_backend_name() == "mysql":
        create = f"CREATE USER {user} IDENTIFIED BY '{password}';"
    run_script(url, create)
    run_script(url, prepare(tree, url, user))
    return parsed.set(username=user, password=password).render_as_string(hide_password=False)


@contextmanager
def turns(tree: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    """Have a process of a commit that opens and closes sessions when it is asked."""
    with python(tree, TURN, url, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        if process.stdin is not None:
            process.stdin.close()


def turn(process: subprocess.Popen[str], sessions: int) -> list[float]:
    """Return the milliseconds of each of so many sessions."""
    question: Any = process.stdin
    answer: Any = process.stdout
    question.write(f"{sessions}\n")
    question.flush()
    return [float(took) for took in json.loads(answer.readline())]


def measure(base: Path, urls: tuple[str, str], rounds: int, sessions: int) -> str:
    """Return a row of the table."""
    with (
        turns(base, as_writer(base, urls[0])) as before,
        turns(HERE, as_writer(HERE, urls[1])) as now,
    ):
        for process in (before, now):
            turn(process, 20)
        both: tuple[list[list[float]], list[list[float]]] = [], []
        for number in range(rounds):
            # Forwards, then backwards: neither is always the one that finds the caches cold.
            for place in (0, 1) if number % 2 else (1, 0):
                both[place].append(turn((before, now)[place], sessions))
    medians = [[statistics.median(took) for took in rounds_] for rounds_ in both]
    pairs = [new / old - 1 for old, new in zip(*medians, strict=True)]
    middle = statistics.quantiles(pairs, n=4)
    least = [min(min(took) for took in rounds_) for rounds_ in both]
    old, new = (statistics.median(x) for x in medians)
    return (
        f"{old:.1f} | {new:.1f} | {statistics.median(pairs):+.1%} | {middle[0]:+.1%} to "
        f"{middle[2]:+.1%} | {least[0]:.1f} | {least[1]:.1f} | {least[1] / least[0] - 1:+.1%}"
    )


def two_databases(stack: ExitStack, name: str) -> tuple[str, str]:
    """Return the URLs of two empty databases."""
    if name == "sqlite":
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mfp-opening-"))
        return f"sqlite:///{folder}/before.db", f"sqlite:///{folder}/now.db"
    server = stack.enter_context(server_for(name))
    return server.new_database(), server.new_database()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("base", type=Path, help="a checkout of the other commit")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--sessions", type=int, default=5, help="in each round")
    parser.add_argument("--database", choices=PLACES)
    given = parser.parse_args()
    print("| database | before, ms | now, ms | pairs | middle half | least | now | minima |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in PLACES if given.database is None else (given.database,):
        with ExitStack() as stack:
            urls = two_databases(stack, name)
            row = measure(given.base.resolve(), urls, given.rounds, given.sessions)
            print(f"| {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
