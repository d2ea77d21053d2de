"""What reports say, and that nothing that people wrote becomes a part of the page."""

from __future__ import annotations

import html.parser
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mfprefect
from mfprefect import UnknownModel, UnknownSession
from mfprefect.cli import cli
from mfprefect.report import session_report
from mfprefect.report.content import SessionReport
from mfprefect.report.formats import percent, visible
from mfprefect.store.results.model_report import load_model_report
from mfprefect.store.results.report import load_session_report

pytestmark = pytest.mark.xdist_group("report")  # the sessions are made once
KINDS = ("train", "score", "failed", "checks", "gate", "monitor", "forecast", "nothing", "large")
MEGABYTE = 1_000_000
VOID = {"meta", "img", "br", "hr", "input", "link"}
OURS = set(
    re.findall(
        r"\w+",
        "html head meta title style body header h1 h2 p dl div dt dd main section span pre ul li a "
        "details summary table caption thead tbody tr th td small figure figcaption svg desc g "
        "path use defs clippath rect text footer",
    )
)
ATTRIBUTES = set(
    re.findall(
        r"[^ ]+",
        "lang charset http-equiv content name class id role tabindex scope aria-label "
        "aria-labelledby aria-hidden href width height viewbox d style x y transform clip-path "
        "xlink:href",
    )
)


class Page(html.parser.HTMLParser):
    """A report as a browser takes it apart."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.source = text
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(examples: Any, name: str) -> Page:
    return Page(examples.report(name))


def harmless(parsed: Page) -> None:
    """Nothing is on the page but what the template has, and nothing of it leaves the page."""
    assert {tag for tag, _ in parsed.tags} <= OURS
    used = {name for _, attributes in parsed.tags for name in attributes}
    assert used <= ATTRIBUTES
    for _, attributes in parsed.tags:
        for name in ("href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")
        assert "url(" not in (attributes.get("style") or "")
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_training(examples: Any) -> None:
    parsed = page(examples, "train")
    for words in (
        "churn: training",
        "who leaves",
        "Training succeeded",
        f"all {len(examples.store.checks(examples['train']))} input checks passed",
        f"Since {examples['first']}",
        "note parameter \N{EN DASH} new",
        "depth parameter 3 4",
        "ROC curve",
        "Lift",
        "Calibration",
        "Scores of both classes",
        "Confusion matrix of the test rows",
        "Predicted positive: scores of at least 0.4, set by",
        "Metrics by region",
        "1 of 1 gates passed",
        "the gate passed",
        "production since",
        "better at <last>",
        "By permutation",
        "5 variables",
        "basic 60",
        "warehouse 802 1",
        examples["train"],
    ):
        assert words in parsed.text, words
    metrics = examples.store.metrics(examples["train"]).query("segment == ''")
    auc = metrics.set_index("metric_name")["value"]["auc"]
    assert f"auc {auc:.4f}" in parsed.text
    matrix = examples.store.confusion_matrix(examples["train"], 0.4, "probability")
    assert f"actually positive {matrix['tp']} " in parsed.text
    assert not re.search(r"\bnan\b|\bNone\b|\bNaN\b", parsed.text)


def test_a_model_of_numbers(examples: Any) -> None:
    parsed = page(examples, "numbers")
    assert "Actual values by prediction" in parsed.text
    assert "Metrics by shop" in parsed.text
    notes = examples.store.metadata(examples["numbers"]).set_index("meta_name")["value"]
    errors = json.loads(notes["prediction_errors"])["errors"]
    ends = [f"{errors['quantiles'][k]:.1f}".replace("-", "\u2212") for k in (1, 3)]
    assert f"Half of the errors lie between {ends[0]} and {ends[1]}" in parsed.text
    assert "prediction_errors" not in parsed.text  # it is drawn
    # All test rows are counted, also those below and above what was published.
    assert "test rows of the training: 400 rows" in page(examples, "forecasts").text


def test_a_model_of_several_classes(examples: Any) -> None:
    parsed = page(examples, "classes")
    notes = examples.store.metadata(examples["classes"]).set_index("meta_name")["value"]
    matrix = np.asarray(json.loads(notes["confusion_matrix"])["actual_by_predicted"])
    row = matrix[2]
    cells = " ".join(f"{x} {percent(x / row.sum())}" for x in row)
    assert f"a class with a long name 2 {cells} {row.sum()}" in parsed.text
    assert "a class w\N{HORIZONTAL ELLIPSIS}ng name 2" in parsed.text
    worst = matrix - np.diag(np.diag(matrix))
    i, j = np.unravel_index(worst.argmax(), worst.shape)
    assert f"a class with a long name {i} a class with a long name {j} {worst.max()}" in parsed.text
    assert "Metrics by class" in parsed.text


def test_a_scoring(examples: Any) -> None:
    parsed = page(examples, "score")
    assert "Scoring succeeded, with drift" in parsed.text
    assert "600 scores published at" in parsed.text
    for words in ("this session", "previous session", "test rows of the training"):
        assert words in parsed.text
    assert "alarm" in parsed.text
    drift = examples.store.drift(examples["score"])
    worst = drift[drift["verdict"] == "alarm"].sort_values("value").iloc[-1]
    assert f"{worst['variable']} psi alarm {worst['value']:.4f}" in parsed.text
    assert "ROC" not in parsed.text
    assert "Confusion" not in parsed.text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("failed", "Training failed: RuntimeError no <b>such</b> column in line 2"),
        ("checks", "Scoring failed: input checks failed 1 of"),
        ("gate", "Training failed: it did not pass its gates auc is 0.61, below 0.75"),
        (
            "monitor",
            "Monitoring succeeded, with drift 1 of 1 drift measures raised an alarm: score",
        ),
        ("forecast", "Training succeeded"),
        ("nothing", "Run succeeded Run and provenance"),
    ],
)
def test_what_comes_first(examples: Any, name: str, words: str) -> None:
    parsed = page(examples, name)
    assert words.replace(" ", "") in parsed.text.replace(" ", "").replace("✕", "").replace("!", "")
    harmless(parsed)


def test_a_monitoring_shows_the_scores_it_is_about(examples: Any) -> None:
    assert f"scored last ({examples['score']})" in page(examples, "monitor").text


def test_back_tests(examples: Any) -> None:
    parsed = page(examples, "forecast")
    assert "Back-tests harbour" in parsed.text
    assert "30 periods, 2026-09-01 to 2026-09-30. The mean absolute error is 1." in parsed.text


def test_a_model(examples: Any) -> None:
    parsed = page(examples, "model")
    harmless(parsed)
    for words in (
        "This model needs attention",
        "the last train session failed",
        examples["score"],
        examples["gate"],
        "Operating thresholds, current one first",
        "0.4000 probability",
        "Stage history, newest first",
        f"in production {examples['train']}",
        f"Session {examples['train']}",
        "Training metrics over time",
        "Metrics on actual outcomes",
    ):
        assert words in parsed.text, words


def heads(parsed: Page) -> list[str]:
    """Return the headings in their order."""
    return re.findall(r"<h2>(?:<span[^>]*>[^<]*</span>)?([^<]+)", parsed.source)


def test_what_is_in_production_comes_first_and_the_candidate_second(examples: Any) -> None:
    parsed = page(examples, "model")
    production, candidate = examples["train"], examples["candidate"]
    assert heads(parsed)[:3] == ["This model needs attention", "In production", "Newest candidate"]
    first, second = (
        parsed.text.index(x) for x in ("In production Since when", "Newest candidate The newest")
    )
    assert parsed.text.index(f"{production} has been in production since") < first < second
    about, other = parsed.text[first:second], parsed.text[second:]
    assert production in about
    assert candidate not in about
    assert "better at <last>" in about
    # The test and real outcomes, in one row each: examples give both their own.
    assert re.search(r" auc 0\.\d{4} 0\.7000 ", about)
    assert f"on the scores of {examples['score']}" in about
    assert candidate in other[:300]
    assert "candidate: not in production" in other[:300]
    # Each section of a training says which one it is.
    assert "Performance on the test rows: in production" in heads(parsed)
    assert "Performance on the test rows: candidate" in heads(parsed)


def test_a_model_without_sessions(examples: Any) -> None:
    examples.store.add_model("new")
    assert "No session has run yet" in Page(examples.store.model_report("new")).text


def test_a_session_that_runs(examples: Any) -> None:
    session = examples.store.session("demand")
    assert "Run is running" in Page(examples.store.report(session.session_id)).text
    session.cancel("enough")
    assert "Run was cancelled" in Page(examples.store.report(session.session_id)).text


def test_unknown_names(examples: Any) -> None:
    with pytest.raises(UnknownSession):
        examples.store.report("nobody")
    with pytest.raises(UnknownModel, match="churn"):
        examples.store.model_report("nobody")


@pytest.mark.parametrize("name", KINDS)
def test_every_report_is_one_small_file_that_takes_nothing_from_elsewhere(
    examples: Any, name: str
) -> None:
    text = examples.report(name)
    assert len(text.encode()) < MEGABYTE
    parsed = Page(text)
    harmless(parsed)
    assert parsed.all("html")[0]["lang"] == "en"
    assert "default-src 'none'" in text
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text.replace("url(#", "")
    for heading in parsed.all("th"):
        assert heading["scope"] in ("row", "col")
    for svg in parsed.all("svg"):
        assert svg["role"] == "img"
        assert svg.get("aria-label") or svg.get("aria-labelledby")


def test_two_hundred_variables(examples: Any) -> None:
    parsed = page(examples, "large")
    assert "200 variables" in parsed.text
    assert "100 of 200 measures raised an alarm" in parsed.text
    strips = [svg for svg in parsed.all("svg") if (svg.get("aria-label") or "")[:4] == "hist"]
    assert len(strips) == 200


def test_hostile_names_stay_text(examples: Any, hostile_text: str) -> None:
    text = examples.report("hostile")
    parsed = Page(text)
    harmless(parsed)
    assert " ".join(visible(hostile_text).split()) in parsed.text
    assert "\u202e" not in text
    assert "\x1b" not in text
    harmless(Page(examples.store.model_report(hostile_text[:60])))


def sprinkled(facts: SessionReport, text: str, charts: bool = True) -> SessionReport:
    """Write a text wherever people can write one."""

    def everywhere(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
        return frame.astype(object).assign(**dict.fromkeys(names, text))

    levels = json.dumps({"kind": "levels", "levels": {text: 3, "b": 1}, "other": 0})
    summary = everywhere(facts.summary, "variable", "dtype").assign(bin_counts=levels)
    row = dict(facts.session) | {
        "session_id": text,
        "model_id": text,
        "status": "failed",
        "failure_kind": text,
        "failure_text": text,
        "params": {text: text},
        "git_remote": text,
        "git_branch": text,
        "deployment": text,
        "run_by": text,
    }
    return replace(
        facts,
        session=row,
        model=dict(facts.model) | {"description": text, "owner": text},
        environment={"python": text, "platform": text, "packages": {text: text}},
        inputs=everywhere(facts.inputs, "source", "query"),
        checks=everywhere(facts.checks, "check", "column", "message", "sample").assign(
            passed=False
        ),
        metadata=everywhere(facts.metadata, "meta_name", "meta_group", "value"),
        metrics=facts.metrics.head(1).assign(metric_name=text, segment=""),
        summary=summary,
        drift=everywhere(facts.drift, "variable", "measure", "reference_session_id"),
        importance=everywhere(facts.importance, "variable", "kind"),
        backtests=pd.DataFrame(
            {"series": [text] * 2, "period": [text, "b"], "predicted": 1.0, "actual": [1.0, 2.0]},
            dtype=object,
        ).head(2 if charts else 0),
        history=facts.history.assign(metric_name=text).head(3 if charts else 0),
        gates=everywhere(facts.gates, "gate", "reason", "verdict"),
        stages=[{k: text if isinstance(v, str) else v for k, v in facts.stages[0].items()}],
        curve=None,
        previous=None,
    )


LIST = (
    "</title><script>alert(1)</script>",
    "<!-- ",
    "-->",
    "</svg>",
    "</style><style>*{display:none}",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(1)",
    '" onload="alert(1)',
    "' autofocus onfocus='x",
    "&lt;script&gt;",
    "\x00\x01\x7f\x85\u2028",
    "漢字 🎉 עברית",
    "a" * 5_000,
    "$\\frac{x}$",
)


@pytest.fixture(scope="module")
def trained(examples: Any) -> SessionReport:
    return load_session_report(examples.store.database, examples["train"])


@pytest.mark.parametrize("text", LIST)
def test_what_people_write_is_never_taken_for_the_page(trained: SessionReport, text: str) -> None:
    parsed = Page(session_report(sprinkled(trained, text)))
    harmless(parsed)
    shown = " ".join(visible(text)[:2_000].split())
    assert shown in parsed.text


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=1, max_size=80))
def test_any_text(trained: SessionReport, text: str) -> None:
    written = session_report(sprinkled(trained, text, charts=False))
    written.encode()
    harmless(Page(written))


def test_frames_of_another_shape_do_no_harm(trained: SessionReport) -> None:
    """Values that are missing, infinite or of one kind only."""
    curve = trained.curve
    assert curve is not None
    odd = replace(
        trained,
        curve=curve.assign(score=curve["score"] * 100 - 50),
        summary=trained.summary.assign(mean=None, sd=None, n=0, quantiles=None, bin_counts=None),
        importance=trained.importance.assign(importance=0.0, std=np.nan, coefficient=-1.0),
        drift=pd.DataFrame(
            [
                ["x", "type", None, None, "warning", None],
                ["y", "psi", np.nan, 0.25, "unknown", None],
            ],
            columns=[
                "variable",
                "measure",
                "value",
                "threshold",
                "verdict",
                "reference_session_id",
            ],
        ),
        threshold=None,
        metrics=trained.metrics.assign(value=[1e300, -0.0, *trained.metrics["value"][2:]]),
    )
    parsed = Page(session_report(odd))
    assert "Calibration" not in parsed.text
    assert "Confusion" not in parsed.text
    harmless(parsed)


def test_matplotlib_keeps_the_settings_of_the_process(examples: Any) -> None:
    import matplotlib

    with matplotlib.rc_context({"text.usetex": True, "figure.facecolor": "red"}):
        text = examples.store.report(examples["train"])
        assert matplotlib.rcParams["text.usetex"] is True
    assert text == examples.report("train")


def test_many_scores_are_counted_only_if_asked(examples: Any) -> None:
    facts = load_session_report(examples.store.database, examples["score"], max_scores=100)
    assert facts.scores == []
    text = Page(session_report(facts)).text
    assert "The distribution of 600 scores is left out here" in text
    assert f"mfprefect report {examples['score']}" in text


# On each database: what is gathered


def test_gathered_alike_everywhere(examples: Any, database_url: str) -> None:
    with mfprefect.connect(database_url) as store:
        store.create_schema()
        store.add_model("churn", "who leaves")
        for _ in range(2):
            with store.session("churn", "train", params={"a": 1}) as session:
                session.log_input("w", rows=3, columns={"x": "int"})
                session.log_test_results([0, 1, 1, 0], [0.1, 0.9, 0.4, 0.3])
                session.log_input_summary(pd.DataFrame({"x": [1, 2, None]}))
        with store.session("churn", "score", parent=session.session_id) as scored:
            scored.write_scores(pd.DataFrame({"id": [1, 2], "score": [0.5, 0.5]}), "id")
        for text in (store.report(session.session_id), store.model_report("churn")):
            assert "auc" in Page(text).text
        assert "2 scores published at" in Page(store.report(scored.session_id)).text


# The command


@pytest.fixture
def run(examples: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(*args: str, code: int = 0) -> Any:
        done = CliRunner().invoke(cli, ["report", *args], env={"MFPREFECT_URL": examples.url})
        assert done.exit_code == code, done.output
        return done

    return run


def test_the_command(examples: Any, run: Any, tmp_path: Path) -> None:
    done = run(examples["train"], "-o", "a.html")
    assert f"session {examples['train']} is in a.html" in done.stderr
    assert (tmp_path / "a.html").read_text("utf-8") == examples.report("train")
    assert "--force" in run(examples["train"], "-o", "a.html", code=1).stderr
    run(examples["nothing"], "-o", "a.html", "--force")
    facts = json.loads(run("demand", "--json").stdout)
    assert (facts["kind"], facts["id"], facts["file"]) == ("model", "demand", "demand.html")
    assert facts["bytes"] == (tmp_path / "demand.html").stat().st_size
    assert run(examples["nothing"], "-o", "-").stdout.startswith("<!DOCTYPE html>")
    assert "no folder" in run("churn", "-o", "x/y.html", code=1).stderr
    error = run("chrun", code=1).stderr
    assert "unknown session 'chrun'" in error
    assert "No model is called 'chrun' either" in error


def test_a_model_whose_name_is_no_file_name(
    examples: Any, run: Any, tmp_path: Path, hostile_text: str
) -> None:
    run(hostile_text[:60])
    (file,) = tmp_path.iterdir()
    assert re.fullmatch(r"[\w.-]+\.html", file.name)


def test_without_the_extra_it_says_which(examples: Any, tmp_path: Path) -> None:
    code = (
        "import sys\nclass No:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'matplotlib': raise ModuleNotFoundError(name)\n"
        "        return None\n"
        "import importlib.util as u\nreal = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n == 'matplotlib' else real(n, *a)\n"
        "from mfprefect.cli import main\n"
        "sys.argv = ['mfprefect', 'report', 'churn']\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"MFPREFECT_URL": examples.url, "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'mfprefect[report]'" in done.stderr
    assert "matplotlib is not installed" in done.stderr


def test_the_pure_half_is_light() -> None:
    """The command line imports its formats: nothing heavy may come along."""
    code = (
        "import sys, mfprefect.report\n"
        "print([m for m in ('sqlalchemy', 'matplotlib', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# On each database: which model a report is about


def _trained(store: mfprefect.Store, auc: float) -> str:
    with store.session("churn", "train", as_of="2026-01-31") as session:
        session.log_metrics({"auc": auc})
        session.save_model(b"a model of another language")
        session.log_gates([mfprefect.Gate("auc", at_least=0.5)])
    return str(session.session_id)


def _scored(store: mfprefect.Store, parent: str, as_of: str) -> str:
    with store.session("churn", "score", parent=parent, as_of=as_of) as session:
        session.write_scores(pd.DataFrame({"id": [1, 2], "score": [0.25, 0.75]}), "id")
    return str(session.session_id)


def _monitored(store: mfprefect.Store, scored: str, auc: float) -> str:
    with store.session("churn", "monitor") as session:
        session.log_metrics({"auc": auc, "n": 40.0})
        session.log_metadata({"drift_of": scored, "performance_of": scored}, "monitor")
        session.log_metadata({scored: "40 of 60 scores have a known outcome"}, "outcomes")
    return str(session.session_id)


def test_the_report_is_about_the_model_in_production(database_url: str) -> None:
    with mfprefect.connect(database_url) as store:
        store.create_schema()
        store.add_model("churn", "who leaves")
        old = _trained(store, 0.81)
        before = load_model_report(store.database, "churn")
        assert before.production is None
        assert before.candidate is not None
        text = Page(store.model_report("churn")).text
        assert text.index("Nothing is in production") < text.index(old)
        assert "no session was ever promoted" in text

        store.promote("churn", old, reason="the first one")
        assert load_model_report(store.database, "churn").candidate is None
        scored = _scored(store, old, "2026-02-28")
        monitored = _monitored(store, scored, 0.77)
        newer = _trained(store, 0.93)
        # Neither the newer model's scores and outcomes nor a backfill are those of production.
        with store.session("churn", "score", parent=newer, as_of="2026-03-31") as shadow:
            shadow.write_scores(pd.DataFrame({"id": [1], "score": [0.5]}), "id")
            shadow.close(publish=False)
        _monitored(store, shadow.session_id, 0.99)
        _scored(store, old, "2026-01-31")

        report = load_model_report(store.database, "churn")
        production, candidate = report.production, report.candidate
        assert production is not None
        assert production.training.session["session_id"] == old
        assert (production.stage["stage"], production.stage["reason"]) == (
            "production",
            "the first one",
        )
        assert production.outcomes is not None
        assert production.outcomes.session_id == monitored
        assert production.outcomes.scoring_session_id == scored
        assert production.outcomes.figures == {"auc": 0.77, "n": 40.0}
        assert str(production.outcomes.day) == "2026-02-28"
        assert candidate is not None
        assert candidate.session["session_id"] == newer
        assert report.scoring is not None
        assert report.scoring.session["session_id"] == scored

        page = Page(store.model_report("churn"))
        harmless(page)
        assert heads(page)[1:3] == ["In production", "Newest candidate"]
        assert page.text.index(old) < page.text.index(newer)
        assert "0.8100 0.7700" in page.text
        assert "40 of 60 scores have a known outcome" in page.text

        store.promote("churn", newer)
        store.rollback("churn", reason="worse than it looked")
        text = Page(store.model_report("churn")).text
        assert f"{old} has been in production since" in text
        assert "worse than it looked" in text
        assert re.search(r"was production from \S+ \S+ UTC until", text)

        store.retire("churn", reason="no longer sold")
        retired = load_model_report(store.database, "churn")
        assert retired.production is None
        text = Page(store.model_report("churn")).text
        assert text.index("Nothing is in production") < text.index(f"{old} has been retired since")
        assert "no longer sold" in text
