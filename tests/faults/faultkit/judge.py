"""The judge: reads tables and views by plain SQL through the drivers; it knows documented rules.

It shares no code with the product (docs/databases.md has the tables). A problem is a line that
begins with its kind: `lost`, `doubled`, `half-visible`, `false alarm`, `orphans`, or `lie`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

from faultkit.journal import Journal
from faultkit.script import PARTS, ROWS, model_bytes, scores

__all__ = ["ALL", "Judge"]

ALL = PARTS * ROWS
CHILDREN = (
    *("artifacts", "backtests", "check_results", "drift", "gate_results", "input_summary"),
    *("inputs", "metrics", "model_stages", "notifications", "part_inputs", "score_parts"),
    *("scores", "session_attempts", "session_metadata", "test_curve", "variable_importance"),
)
"""The tables whose rows belong to a session."""
Rows = list[SimpleNamespace]


class Judge:
    """Reads one database, over a connection of its own, which servers may break; for one thread."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._kept: Any = None

    # What it reads

    def rows(self, sql: str, *values: Any) -> Rows:
        """Return the rows of a SELECT with a `?` for each value."""
        if self._url.scheme == "sqlite":  # its file may be moved away
            with closing(self._connect()) as connection:
                return self._fetch(connection, sql, values)
        try:
            if self._kept is not None:
                return self._fetch(self._kept, sql, values)
        except Exception:  # noqa: BLE001 - it is asked again, and then whatever it is counts
            self._let_go()
        self._kept = self._connect()
        return self._fetch(self._kept, sql, values)

    def _let_go(self) -> None:
        with suppress(Exception):
            self._kept.close()
        self._kept = None

    def count(self, sql: str, *values: Any) -> int:
        """Return the number that a SELECT asks for."""
        (row,) = self.rows(sql, *values)
        return int(next(iter(vars(row).values())))

    def of_run(self, number: int) -> Rows:
        """Return the sessions of a run of the script."""
        sql = "SELECT * FROM sessions WHERE params = ? ORDER BY session_no"
        return self.rows(sql, json.dumps({"number": number}))

    def of_flow_run(self, flow_run_id: str) -> Rows:
        """Return the sessions of a flow run."""
        return self.rows(
            "SELECT * FROM sessions WHERE flow_run_id = ? ORDER BY session_no", flow_run_id
        )

    def scores(self, session_no: int) -> dict[str, float]:
        """Return the published scores of a session, by entity."""
        rows = self.rows("SELECT entity_id, score FROM scores WHERE session_no = ?", session_no)
        return {row.entity_id: float(row.score) for row in rows}

    def _connect(self) -> Any:
        url = self._url
        if url.scheme == "sqlite":
            connection = sqlite3.connect(url.path.removeprefix("/"), timeout=30)
            connection.isolation_level = None
            return connection
        login: dict[str, Any] = {
            "host": url.hostname,
            "port": url.port,
            "user": unquote(url.username or ""),
            "password": unquote(url.password or ""),
        }
        if url.scheme.startswith("postgres"):
            path = "-c search_path=model_factory,public"  # exports go to the latter
            driver: Any = import_module("psycopg2")  # which has no types
            connection = driver.connect(dbname=url.path[1:], options=path, **login)
            connection.autocommit = True  # each look sees what is there by then
            return connection
        driver = import_module("pymysql")
        return driver.connect(database=url.path[1:], autocommit=True, **login)

    def _fetch(self, connection: Any, sql: str, values: Sequence[Any]) -> Rows:
        mark = "?" if self._url.scheme == "sqlite" else "%s"
        with closing(connection.cursor()) as cursor:
            cursor.execute(sql.replace("?", mark), values)
            names = [column[0] for column in cursor.description]
            rows = cursor.fetchall()
        return [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in rows]

    # What it says

    def doubled(self, sessions: Rows) -> list[str]:
        """Return what is there twice: sessions of one run, their promotions and notices."""
        problems = []
        if len(sessions) > 1:
            statuses = [(row.session_id, row.status) for row in sessions]
            problems.append(f"doubled: {len(sessions)} sessions: {statuses}")
        for row in sessions:
            stages = self.rows(
                "SELECT stage FROM model_stages WHERE session_no = ?", row.session_no
            )
            if len(stages) > 1:
                problems.append(f"doubled: promoted {len(stages)} times")
            notices = self.rows(
                "SELECT event, channel FROM notifications WHERE session_no = ?", row.session_no
            )
            counts = Counter((notice.event, notice.channel) for notice in notices)
            problems += [f"doubled: notice {notice}" for notice, n in counts.items() if n > 1]
        return problems

    def false_alarms(self, sessions: Rows) -> list[str]:
        """Return where sessions of a process that never died were declared dead."""
        problems = []
        for row in sessions:
            attempts = self.rows(
                "SELECT attempt, failure_kind FROM session_attempts WHERE session_no = ? "
                "UNION SELECT attempt, failure_kind FROM sessions WHERE session_no = ?",
                *(row.session_no, row.session_no),
            )
            dead = sorted({x.attempt for x in attempts if x.failure_kind == "Crashed"})
            problems += [f"false alarm: attempt {n} was alive and is called dead" for n in dead]
        return problems

    def half_visible(self, sessions: Rows, whole: int = ALL) -> list[str]:
        """Return what the views show of sessions that have so many scores, and should not."""
        problems = []
        for row in sessions:
            published = row.published_at is not None
            count = self._seen("published_scores", row.session_id)
            if count not in ({0, whole} if published else {0}):
                problems.append(
                    f"half-visible: published_scores shows {count} rows of a {row.status} session"
                )
            if published and (row.status != "succeeded" or count != whole):
                problems.append(f"half-visible: published as {row.status}, {count} rows")
            if row.status != "succeeded" and self._seen("metric_history", row.session_id):
                problems.append(f"half-visible: metric_history shows a {row.status} session")
        latest = self.rows(
            "SELECT session_id, COUNT(*) AS n FROM latest_scores GROUP BY session_id"
        )
        if latest and (len(latest) != 1 or latest[0].n != whole):
            problems.append(f"half-visible: latest_scores mixes {latest}")
        return problems

    def _seen(self, view: str, session_id: str) -> int:
        return self.count(f"SELECT COUNT(*) FROM {view} WHERE session_id = ?", session_id)  # noqa: S608

    def lost(self, number: int, journal: Journal) -> list[str]:
        """Return what was acknowledged and is not there, and what is there and never was."""
        rows, done = self.of_run(number), journal.done
        problems = self.doubled(rows)
        if not rows:
            return problems + ([f"lost: acknowledged {done}"] if done else [])
        row = rows[-1]
        if journal.session_id not in (None, *(row.session_id for row in rows)):
            problems.append(f"lost: {journal.session_id} was opened, there is {row.session_id}")
        if {"close", "spooled"} & set(done) and row.status != "succeeded":
            problems.append(f"lost: acknowledged, and it is {row.status}: {row.failure_text}")
        if row.status != "succeeded":
            return problems + self._steps(row.session_no, done)
        if journal.step != "close":
            problems.append(f"lie: it succeeded before it was closed, in step {journal.step}")
        return problems + self.incomplete(row.session_no, number)

    def incomplete(self, session_no: int, number: int) -> list[str]:
        """Return what a session that succeeded lacks of what its run wrote."""
        problems = []
        expected: dict[str, float] = {}
        for part in range(1, PARTS + 1):
            expected |= scores(number, part)
        if (stored := self.scores(session_no)) != expected:
            problems.append(f"lie: {len(stored)} scores of {len(expected)}, or others")
        metrics = self._metrics(session_no)
        if metrics != {"number": number, "late": number}:
            problems.append(f"lie: the metrics are {metrics}")
        if self._model(session_no) != model_bytes(number):
            problems.append("lie: another model")
        metadata = self.rows(
            "SELECT meta_value FROM session_metadata WHERE session_no = ?", session_no
        )
        if str(number) not in {row.meta_value for row in metadata}:
            problems.append("lie: the metadata are gone")
        if (parts := self._parts(session_no)) != list(range(1, PARTS + 1)):
            problems.append(f"lie: the parts are {parts}")
        return problems

    def _steps(self, session_no: int, done: list[str]) -> list[str]:
        """Return which acknowledged steps of a session that did not succeed are gone."""
        problems = []
        if "flush" in done and "number" not in self._metrics(session_no):
            problems.append("lost: an acknowledged flush")
        if "model" in done and not self._model(session_no):
            problems.append("lost: an acknowledged model")
        acknowledged = {int(step[5:]) for step in done if step.startswith("part ")}
        if missing := acknowledged - set(self._parts(session_no)):
            problems.append(f"lost: acknowledged parts {missing}")
        return problems

    def _metrics(self, session_no: int) -> dict[str, float]:
        rows = self.rows(
            "SELECT metric_name, metric_value FROM metrics WHERE session_no = ?", session_no
        )
        return {row.metric_name: row.metric_value for row in rows}

    def _parts(self, session_no: int) -> list[int]:
        rows = self.rows(
            "SELECT part_no FROM score_parts WHERE session_no = ? ORDER BY part_no", session_no
        )
        return [row.part_no for row in rows]

    def _model(self, session_no: int) -> bytes:
        """Return the bytes of a session's model, b"" if they are not as its row says."""
        chunks = self.rows(
            "SELECT chunk_bytes FROM artifact_chunks WHERE session_no = ? ORDER BY chunk_no",
            session_no,
        )
        content = b"".join(bytes(row.chunk_bytes) for row in chunks)
        digests = self.rows("SELECT sha256 FROM artifacts WHERE session_no = ?", session_no)
        whole = [row.sha256 for row in digests] == [hashlib.sha256(content).hexdigest()]
        return content if whole else b""

    def torn(self) -> list[str]:
        """Return rows that belong to nothing, and parts that are not what their row says."""
        counts = self.rows(
            " UNION ALL ".join(
                f"SELECT '{table}' AS name, COUNT(*) AS n FROM {table} x WHERE NOT EXISTS "  # noqa: S608
                "(SELECT 1 FROM sessions s WHERE s.session_no = x.session_no)"
                for table in CHILDREN
            )
        )
        problems = [f"orphans: {row.name} {row.n}" for row in counts if row.n]
        if chunks := self.count(
            "SELECT COUNT(*) FROM artifact_chunks c WHERE NOT EXISTS (SELECT 1 FROM artifacts a "
            "WHERE a.session_no = c.session_no AND a.artifact_name = c.artifact_name)"
        ):
            problems.append(f"orphans: {chunks} chunks of no artifact")
        declared = {
            (row.session_no, row.part_no): row.row_count
            for row in self.rows("SELECT session_no, part_no, row_count FROM score_parts")
        }
        stored = Counter[tuple[int, int]]()
        for table in self._score_tables():
            # Rows of an attached table count with their parent.
            stored |= Counter(self._counted(table))
        if different := set(stored.items()) ^ set(declared.items()):
            problems.append(f"orphans: scores that are not as their part says: {different}")
        return problems

    def _counted(self, table: str) -> dict[tuple[int, int], int]:
        rows = self.rows(
            f"SELECT session_no, part_no, COUNT(*) AS n FROM {table} GROUP BY session_no, part_no"  # noqa: S608
        )
        return {(row.session_no, row.part_no): row.n for row in rows}

    def _score_tables(self) -> list[str]:
        """Return `scores` and, on PostgreSQL, what large sessions have of their own."""
        if not self._url.scheme.startswith("postgres"):
            return ["scores"]
        tables = self.rows(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'model_factory' "
            "AND table_type = 'BASE TABLE'"
        )
        names = [row.table_name for row in tables]
        return [name for name in names if name.rstrip("0123456789").rstrip("_") == "scores"]
