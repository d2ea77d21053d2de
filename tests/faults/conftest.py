"""Says loudly what a machine could not do."""

from __future__ import annotations

import pytest
from faultkit.disks import UNTESTED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", ())
    for told in sorted({str(report.longrepr[2]) for report in skipped}):
        if UNTESTED in told:
            terminalreporter.write_line(f"!!! {told} !!!", red=True, bold=True)
