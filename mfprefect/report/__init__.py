"""The HTML report of a session or a model: one file that needs no network.

Pure: it takes the data that the store gathered and returns text. All text written by people is
escaped. It needs the extra `report`: matplotlib for charts, jinja2 for the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mfprefect.errors import ConfigurationError

if TYPE_CHECKING:
    from mfprefect.report.blocks import Section, Sheet
    from mfprefect.report.content import ModelReport, SessionReport

__all__ = [
    "file_name",
    "missing",
    "model_report",
    "require",
    "session_report",
    "session_sections",
    "session_summary",
]

NEEDED = ("matplotlib", "jinja2")


def file_name(name: str) -> str:
    """Return a safe file name for the report of a session or model id."""
    return f"{re.sub(r'[^0-9A-Za-z._-]+', '-', name).strip('.-') or 'report'}.html"


def missing() -> str | None:
    """Return the first package that is not installed, None if reports have all they need."""
    return next((name for name in NEEDED if find_spec(name) is None), None)


def require() -> None:
    """Raise ConfigurationError if a package of the extra `report` is missing."""
    if (name := missing()) is not None:
        raise ConfigurationError(
            f"reports need {' and '.join(NEEDED)}, but {name} is not installed; run "
            "pip install 'mfprefect[report]'."
        )


def session_report(report: SessionReport) -> str:
    """Return the report of a session as one HTML document.

    Raises:
        ConfigurationError: the extra `report` is not installed.
    """
    from mfprefect.report import page

    return page.render(replace(session_summary(report), sections=session_sections(report)))


def session_summary(report: SessionReport) -> Sheet:
    """Return the top of a session's report, which needs no drawing: verdict and key figures.

    Raises:
        ConfigurationError: the extra `report` is not installed.
    """
    require()
    from mfprefect.report import page
    from mfprefect.report.blocks import Sheet
    from mfprefect.report.sections.headline import session_verdict
    from mfprefect.report.sections.metrics import key_figures

    head = page.session_heading(report)
    return Sheet(head, session_verdict(report), key_figures(report), [])


def session_sections(report: SessionReport) -> list[Section]:
    """Return the sections of a session's report, with their pictures.

    Raises:
        ConfigurationError: the extra `report` is not installed.
    """
    require()
    from mfprefect.report import drawing

    with drawing.drawing():
        return [section for section in _session(report) if section is not None]


def _session(report: SessionReport) -> Iterator[Section | None]:
    from mfprefect.report.sections import (
        changes,
        data,
        gates,
        metrics,
        performance,
        predictions,
        provenance,
        unsupervised,
    )

    yield changes.changes_section(report)
    yield gates.gates_section(report.gates)
    yield data.checks_section(report.checks)
    yield performance.performance_section(report)
    yield performance.confusion_section(report)
    yield predictions.classes_section(report)
    yield predictions.errors_section(report)
    yield unsupervised.test_section(report)
    yield performance.backtest_section(report.backtests)
    yield metrics.metrics_section(report)
    yield metrics.history_section(report.history)
    yield performance.importance_section(report.importance)
    yield data.scores_section(report)
    yield data.drift_section(report.drift)
    yield data.summary_section(report)
    yield provenance.provenance_section(report)


def model_report(report: ModelReport) -> str:
    """Return the report of a model as one HTML document.

    Raises:
        ConfigurationError: the extra `report` is not installed.
    """
    require()
    from mfprefect.report import drawing, page
    from mfprefect.report.blocks import Sheet
    from mfprefect.report.sections import model
    from mfprefect.report.sections.headline import model_verdict
    from mfprefect.report.sections.production import model_figures

    with drawing.drawing():
        sections = [section for section in model.sections(report) if section is not None]
    figures = model_figures(report)
    return page.render(Sheet(model.heading(report), model_verdict(report), figures, sections))
