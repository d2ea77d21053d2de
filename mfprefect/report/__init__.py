"""The HTML report of a session or a model: one file that needs no network.

Pure: it takes what the store gathers and returns text. Everything in it that people wrote is
escaped. It needs the extra `report`: matplotlib draws, jinja2 writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mfprefect.errors import ConfigurationError

if TYPE_CHECKING:
    from mfprefect.report.blocks import Section
    from mfprefect.report.content import ModelReport, SessionReport

__all__ = ["file_name", "missing", "model_report", "require", "session_report"]

NEEDED = ("matplotlib", "jinja2")


def file_name(name: str) -> str:
    """Return what to call the file of a session's or a model's report, whatever its id holds."""
    return f"{re.sub(r'[^0-9A-Za-z._-]+', '-', name).strip('.-') or 'report'}.html"


def missing() -> str | None:
    """Return the package that reports lack, None where all are installed."""
    return next((name for name in NEEDED if find_spec(name) is None), None)


def require() -> None:
    """Raise ConfigurationError, naming the extra, where a package is not installed."""
    if (name := missing()) is not None:
        raise ConfigurationError(
            f"reports need {' and '.join(NEEDED)}, and {name} is not installed; install it with "
            "pip install 'mfprefect[report]'."
        )


def session_report(facts: SessionReport) -> str:
    """Return the report of a session as one HTML document.

    Raises:
        ConfigurationError: the extra `report` is not installed.
    """
    require()
    from mfprefect.report import drawing, page
    from mfprefect.report.blocks import Sheet
    from mfprefect.report.sections.headline import session_verdict
    from mfprefect.report.sections.metrics import key_figures

    with drawing.drawing():
        sections = [section for section in _session(facts) if section is not None]
    head = page.session_heading(facts)
    return page.render(Sheet(head, session_verdict(facts), key_figures(facts), sections))


def _session(facts: SessionReport) -> Iterator[Section | None]:
    from mfprefect.report.sections import (
        changes,
        data,
        gates,
        metrics,
        performance,
        predictions,
        provenance,
    )

    yield changes.changes_section(facts)
    yield gates.gates_section(facts.gates)
    yield data.checks_section(facts.checks)
    yield performance.performance_section(facts)
    yield performance.confusion_section(facts)
    yield predictions.classes_section(facts)
    yield predictions.errors_section(facts)
    yield performance.backtest_section(facts.backtests)
    yield metrics.metrics_section(facts)
    yield metrics.history_section(facts.history)
    yield performance.importance_section(facts.importance)
    yield data.scores_section(facts)
    yield data.drift_section(facts.drift)
    yield data.summary_section(facts)
    yield provenance.origins_section(facts)


def model_report(facts: ModelReport) -> str:
    """Return the report of a model as one HTML document.

    Raises:
        ConfigurationError: the extra `report` is not installed.
    """
    require()
    from mfprefect.report import drawing, page
    from mfprefect.report.blocks import Sheet
    from mfprefect.report.sections import model
    from mfprefect.report.sections.headline import model_verdict
    from mfprefect.report.sections.metrics import key_figures

    with drawing.drawing():
        sections = [section for section in model.sections(facts) if section is not None]
    trained = facts.newest.get("train")
    metrics = [] if trained is None else key_figures(trained)
    return page.render(Sheet(model.heading(facts), model_verdict(facts), metrics, sections))
