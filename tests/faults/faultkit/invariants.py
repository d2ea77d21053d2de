"""What must hold after any fault: held against what the disturbed process was told.

A problem is a line that begins with its kind: `lost`, `doubled`, `half-visible`, `stuck`, or one of
the others that no table counts and every test fails for.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import sqlalchemy as sa

import mfprefect
from faultkit.child import PARTS, ROWS, Journal, frame
from mfprefect import Store
from mfprefect.testing.contract.helpers import orphans

__all__ = ["Witness"]

ALL = PARTS * ROWS
BEAT = 0.05


@dataclass
class Witness:
    """Looks at the database from outside, by a connection that nothing disturbs."""

    store: Store

    @classmethod
    def of(cls, url: str) -> Witness:
        """Return a witness that ends what died at once: a beat is missed after 75 ms."""
        store = mfprefect.connect(url, heartbeat_seconds=BEAT, retry_seconds=30, spool="off")
        return cls(store)

    def rows(self, number: int) -> list[Any]:
        """Return the sessions of a run; there must never be two."""
        s = self.store.database.schema.sessions
        same_run = s.c.params == json.dumps({"number": number})
        return self.store.database.fetch_all(sa.select(s).where(same_run).order_by(s.c.session_no))

    def of_flow_run(self, flow_run_id: str) -> list[Any]:
        """Return the sessions of a flow run; there must never be two."""
        s = self.store.database.schema.sessions
        same_run = s.c.flow_run_id == flow_run_id
        return self.store.database.fetch_all(sa.select(s).where(same_run).order_by(s.c.session_no))

    def half_visible(self, number: int) -> list[str]:
        """Return what a reader of the views sees of a run that it should not, or not alone."""
        return self.half_visible_of(self.rows(number))

    def half_visible_of(self, sessions: list[Any], whole: int = ALL) -> list[str]:
        """Return the same of sessions of so many scores."""
        problems = []
        for row in sessions:
            published = row.published_at is not None
            counts = {
                "published_scores": self._count("published_scores", row.session_id),
                "store.scores": len(self.store.scores(row.session_id)),
            }
            for where, count in counts.items():
                if count not in ({0, whole} if published else {0}):
                    problems.append(
                        f"half-visible: {where} shows {count} rows of a {row.status} session"
                    )
            if published and (row.status != "succeeded" or set(counts.values()) != {whole}):
                problems.append(f"half-visible: published as {row.status}, {counts}")
            if row.status != "succeeded" and self._count("metric_history", row.session_id):
                problems.append(f"half-visible: metric_history shows a {row.status} session")
        latest = self._sessions_of("latest_scores")
        if latest and (len(latest) != 1 or set(latest.values()) != {whole}):
            problems.append(f"half-visible: latest_scores mixes {latest}")
        return problems

    def lost(self, number: int, journal: Journal) -> list[str]:
        """Return what was acknowledged and is not there, and what is there and never was."""
        rows = self.rows(number)
        done, problems = journal.done, []
        if len(rows) > 1:
            statuses = [(row.session_id, row.status) for row in rows]
            problems.append(f"doubled: {len(rows)} sessions: {statuses}")
        if not rows:
            return problems + ([f"lost: acknowledged {done}"] if done else [])
        row = rows[-1]
        if journal.session_id not in (None, *(row.session_id for row in rows)):
            problems.append(f"lost: {journal.session_id} was opened, there is {row.session_id}")
        if {"close", "spooled"} & set(done) and row.status != "succeeded":
            problems.append(f"lost: acknowledged, and it is {row.status}: {row.failure_text}")
        if row.status == "succeeded":
            if journal.step != "close":
                problems.append(f"lie: it succeeded before it was closed, in step {journal.step}")
            return problems + self.incomplete(row.session_id, number)
        return problems + self._steps(row, done)

    def incomplete(self, session_id: str, number: int) -> list[str]:
        """Return what a session that succeeded lacks of what its run wrote."""
        problems = []
        expected = pd.concat([frame(number, part) for part in range(1, PARTS + 1)])
        stored = self.store.scores(session_id)
        wanted = dict(zip(expected["id"], expected["score"], strict=True))
        if dict(zip(stored["entity_id"], stored["score"], strict=True)) != wanted:
            problems.append(f"lie: {len(stored)} scores of {len(wanted)}, or others")
        metrics = self.store.metrics(session_id)
        got = dict(zip(metrics["metric_name"], metrics["value"], strict=True))
        if got != {"number": number, "late": number}:
            problems.append(f"lie: the metrics are {got}")
        if self.store.load_model(session_id) != f"model {number}".encode():
            problems.append("lie: another model")
        metadata = self.store.metadata(session_id)
        if str(number) not in set(metadata["value"]):
            problems.append("lie: the metadata are gone")
        parts = self.store.score_parts(session_id)["part_no"].tolist()
        if parts != list(range(1, PARTS + 1)):
            problems.append(f"lie: the parts are {parts}")
        return problems

    def _steps(self, row: Any, done: list[str]) -> list[str]:
        """Return which acknowledged steps of a session that did not succeed are gone."""
        problems = []
        metrics = set(self.store.metrics(row.session_id)["metric_name"])
        if "flush" in done and "number" not in metrics:
            problems.append("lost: an acknowledged flush")
        if "model" in done and not self.store.load_model(row.session_id):
            problems.append("lost: an acknowledged model")
        parts = set(self.store.score_parts(row.session_id)["part_no"])
        acknowledged = {int(step[5:]) for step in done if step.startswith("part ")}
        if acknowledged - parts:
            problems.append(f"lost: acknowledged parts {acknowledged - parts}")
        return problems

    def torn(self) -> list[str]:
        """Return rows that belong to nothing, and parts that are not what their row says."""
        problems = [f"orphans: {name} {count}" for name, count in orphans(self.store).items()]
        schema = self.store.database.schema
        p = schema.score_parts.c
        declared = sa.select(p.session_no, p.part_no, p.rows)
        parts = {(row[0], row[1]): row[2] for row in self.store.database.fetch_all(declared)}
        scores = self._counted(schema.scores)
        for number in {number for number, part in parts if (number, part) not in scores}:
            # What is not published of a large session may lie in a table of its own.
            find = partial(self._own_table, number)
            unpublished = self.store.database.read_transaction(find)
            scores |= self._counted(unpublished)
        if scores != parts:
            different = set(scores.items()) ^ set(parts.items())
            problems.append(f"orphans: scores that are not as their part says: {different}")
        a, c = schema.artifacts.c, schema.artifact_chunks.c
        lonely = sa.select(c.session_no).where(
            ~sa.exists().where(a.session_no == c.session_no, a.artifact_name == c.artifact_name)
        )
        if chunks := self.store.database.fetch_all(lonely):
            problems.append(f"orphans: chunks of no artifact: {chunks}")
        return problems

    def forged(self) -> list[str]:
        """Return what the seals and the audit trail do not tell as it is."""
        return [f"forged: {finding}" for finding in self.store.verify().problems]

    def _own_table(self, session_no: int, connection: sa.Connection) -> sa.Table:
        return self.store.database.backend.scores_of(connection, session_no)

    def _counted(self, table: sa.Table) -> dict[tuple[int, int], int]:
        key = table.c.session_no, table.c.part_no
        counted = sa.select(*key, sa.func.count()).group_by(*key)
        return {(row[0], row[1]): row[2] for row in self.store.database.fetch_all(counted)}

    def stuck(self) -> list[str]:
        """Reconcile; return the sessions that are running all the same."""
        time.sleep(2 * BEAT)  # or it would be too early for anybody to miss one
        self.store.reconcile(wait=True)
        left = self.store.sessions(status="running")["session_id"]
        return [f"stuck: {session_id} is running" for session_id in left]

    def _count(self, view: str, session_id: str) -> int:
        column: Any = sa.column("session_id")
        select = sa.select(sa.func.count()).select_from(self._view(view))
        return int(self.store.database.fetch_all(select.where(column == session_id))[0][0])

    def _sessions_of(self, view: str) -> dict[str, int]:
        column: Any = sa.column("session_id")
        select = sa.select(column, sa.func.count()).select_from(self._view(view)).group_by(column)
        return {row[0]: int(row[1]) for row in self.store.database.fetch_all(select)}

    def _view(self, name: str) -> Any:
        schema = self.store.database.schema
        return sa.table(schema.name(name), schema=schema.layout.schema)
