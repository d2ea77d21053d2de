"""Says loudly what a machine could not do."""

from __future__ import annotations

import pytest
from faultkit.disks import UNTESTED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", ())
    for reason in sorted({str(report.longrepr[2]) for report in skipped}):
        if UNTESTED in reason:
            terminalreporter.write_line(f"!!! {reason} !!!", red=True, bold=True)
