"""What must hold after any fault, seen from outside by a witness.

What is lost, doubled, half-visible or torn, `faultkit.judge` says, which shares no code with the
product. The witness acts by the product: it reconciles, verifies seals and reads as users do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import mfprefect
from faultkit.journal import Journal
from faultkit.judge import ALL, Judge
from mfprefect import Store

__all__ = ["Witness"]

BEAT = 0.05


@dataclass
class Witness:
    """Looks at the database from outside, by a connection that nothing disturbs."""

    store: Store
    judge: Judge

    @classmethod
    def of(cls, url: str) -> Witness:
        """Return a witness that ends what died at once: a beat is missed after 75 ms."""
        store = mfprefect.connect(url, heartbeat_seconds=BEAT, retry_seconds=30, spool="off")
        return cls(store, Judge(url))

    def rows(self, number: int) -> list[Any]:
        """Return the sessions of a run; there must never be two."""
        return self.judge.of_run(number)

    def of_flow_run(self, flow_run_id: str) -> list[Any]:
        """Return the sessions of a flow run; there must never be two."""
        return self.judge.of_flow_run(flow_run_id)

    def half_visible(self, number: int) -> list[str]:
        """Return what a reader sees of a run that it should not, or not alone."""
        return self.half_visible_of(self.rows(number))

    def half_visible_of(self, sessions: list[Any], whole: int = ALL) -> list[str]:
        """Return the same of sessions of so many scores."""
        problems = self.judge.half_visible(sessions, whole)
        for row in sessions:
            count = len(self.store.scores(row.session_id))
            if count != (whole if row.published_at is not None else 0):
                problems.append(
                    f"half-visible: store.scores shows {count} rows of a {row.status} session"
                )
        return problems

    def lost(self, number: int, journal: Journal) -> list[str]:
        """Return what was acknowledged and is not there, and what is there and never was."""
        return self.judge.lost(number, journal)

    def torn(self) -> list[str]:
        """Return rows that belong to nothing, and parts that are not what their row says."""
        return self.judge.torn()

    def false_alarms(self, sessions: list[Any]) -> list[str]:
        """Return what `audit verify` complains of in these sessions, which nobody forged."""
        problems = []
        for row in sessions:
            findings = self.store.verify(session_id=row.session_id).problems
            problems += [f"false alarm: audit verify says {finding}" for finding in findings]
        return problems

    def forged(self) -> list[str]:
        """Return what the seals and the audit trail do not tell as it is."""
        return [f"forged: {finding}" for finding in self.store.verify().problems]

    def stuck(self) -> list[str]:
        """Reconcile; return the sessions that are running all the same."""
        time.sleep(2 * BEAT)  # or it would be too early for anybody to miss one
        self.store.reconcile(wait=True)
        rows = self.judge.rows("SELECT session_id FROM sessions WHERE status = 'running'")
        return [f"stuck: {row.session_id} is running" for row in rows]
