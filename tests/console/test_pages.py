"""Each page says what it is for, shows all text as text, and answers any parameter."""

from __future__ import annotations

import csv
import html.parser
import io
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfprefect_dev.sample_sessions import HOSTILE, Examples

pytestmark = pytest.mark.xdist_group("console")
MODEL = quote(HOSTILE[:60], safe="")
ALLOWED = {"script": {"src", "defer"}, "a": {"href", "rel", "class", "aria-current", "aria-label"}}


class Elements(html.parser.HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def paths(examples: Examples) -> list[str]:
    """Return the address of every page, also with hostile names."""
    ids = [quote(session_id, safe="") for session_id in examples.ids.values()]
    models = [MODEL, "churn", "demand"]
    return [
        *("/", "/sessions", "/operations", "/audit", "/database", "/compare"),
        "/compare?" + "&".join(f"s={name}" for name in ids[:6]),
        *(f"/models/{m}{rest}" for m in models for rest in ("", "/sessions", "/experiments")),
        *(f"/promote/{m}" for m in models),
        *(f"/scores/{m}{rest}" for m in models for rest in ("", "?entity=5", "?entity=%3Cb%3E")),
        *(f"/sessions/{name}" for name in ids),
    ]


def test_every_page_shows_text_as_text(console: httpx.Client, examples: Examples) -> None:
    for path in paths(examples):
        answer = console.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "could not be made" not in answer.text, path
        page = Elements(answer.text)
        names = [tag for tag, _ in page.tags]
        assert names.count("script") == 1, path
        assert not {"img", "iframe", "object", "embed", "style", "u", "i", "b"} & set(names), path
        for tag, attributes in page.tags:
            assert not [x for x in attributes if x.startswith("on") or x == "style"], (path, tag)
            target = attributes.get("href") or attributes.get("src") or "/"
            assert target.startswith(("/", "#p", "#content")), (path, target)
        # What reverses or hides other text is shown as a replacement.
        assert not set("\x1b\u202e") & set(answer.text), path


def test_hostile_names_are_shown_whole(console: httpx.Client) -> None:
    for path in ("/", f"/models/{MODEL}", f"/models/{MODEL}/sessions", "/audit", "/sessions"):
        text = " ".join(Elements(console.get(path).text).texts)
        assert "<script>alert(1)</script>" in text, path


def test_the_overview_answers_a_manager(console: httpx.Client, examples: Examples) -> None:
    text = console.get("/").text
    row = text[text.index(">churn<") :].partition("</tr>")[0]
    assert examples["train"].removeprefix("churn-") in row
    assert "better at &lt;last&gt;" in row
    assert "last score failed" in row
    assert f"session={examples['candidate']}" in row.replace("%2D", "-")
    # The worst is the first.
    assert text.index(">churn<") < text.index(">demand<")


def test_a_session_shows_what_its_report_shows(console: httpx.Client, examples: Examples) -> None:
    for name in ("train", "score", "failed", "monitor", "large"):
        page = " ".join(Elements(console.get(f"/sessions/{examples[name]}").text).texts)
        report = Elements(examples.report(name))
        headings = [text for text in report.texts if text.strip()]
        assert "Input variables" in page or "Input variables" not in headings
        for word in ("ROC curve", "Lift", "drift measures raised an alarm", "no <b>such</b>"):
            assert (word in page) == any(word in text for text in headings), (name, word)


def test_sessions_by_figure_and_parameter(console: httpx.Client, examples: Examples) -> None:
    def ids(query: str) -> list[str]:
        document = console.get(f"/models/churn/sessions?format=json&{query}").json()
        return [row["session_id"] for row in document["rows"]]

    metrics = examples.store.metrics(examples["first"], examples["train"], examples["candidate"])
    auc = metrics[(metrics["metric_name"] == "auc") & (metrics["segment"] == "")]
    by_id = dict(zip(auc["session_id"], auc["value"], strict=True))
    best = sorted(by_id, key=by_id.__getitem__, reverse=True)
    trained = "purpose=train&status=succeeded"
    assert ids(f"{trained}&sort=-auc") == best
    assert ids(f"{trained}&sort=auc") == best[::-1]
    middle = by_id[best[1]]
    assert set(ids(f"{trained}&where=auc%3E{middle!r}")) == {best[0]}
    assert set(ids(f"{trained}&where=auc%3E%3D{middle!r}")) == set(best[:2])
    assert ids("status=crashed") == []
    assert ids("status=failed&purpose=score") == [examples["checks"]]
    assert ids("commit=abcdef") == ids("tag=none") == ids("person=nobody") == []
    assert len(ids("since=2020-01-01")) == len(ids(""))
    assert ids("until=2020-01-01") == []


def test_experiments_have_parameters_beside_metrics(
    console: httpx.Client, examples: Examples
) -> None:
    path = "/models/churn/experiments"
    document = console.get(f"{path}?format=json").json()
    trained = [row for row in document["rows"] if row["params.depth"] is not None]
    assert {row["params.depth"] for row in trained} == {3, 4, 5}
    figures = [row["metrics.auc"] for row in document["rows"]]
    assert figures == sorted(figures, reverse=True)
    depths = console.get(f"{path}?sort=params.depth&format=json").json()["rows"]
    assert [row["params.depth"] for row in depths] == [3, 4, 5]
    one = console.get(f"{path}?where=params.note%3Dnew&format=json").json()["rows"]
    assert [row["session_id"] for row in one] == [examples["train"]]
    page = console.get(f"{path}?x=params.depth&y=auc").text
    assert "3 sessions by params.depth, and upwards auc" in page


def test_tables_are_files_too(console: httpx.Client, examples: Examples) -> None:
    pages = ("/", "/sessions", "/audit", f"/compare?s={examples['train']}&s={examples['first']}")
    for path in (*pages, "/scores/churn?entity=5"):
        separator = "&" if "?" in path else "?"
        document = console.get(f"{path}{separator}format=json").json()
        answer = console.get(f"{path}{separator}format=csv")
        assert answer.headers["content-disposition"].startswith("attachment")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert len(rows) == len(document["rows"]) > 0, path
        assert list(rows[0]) == list(document["rows"][0]), path


def test_no_cell_of_a_file_is_a_formula(console: httpx.Client) -> None:
    answer = console.get("/audit?format=csv")
    for row in csv.reader(io.StringIO(answer.text)):
        assert not [cell for cell in row if cell.startswith(("=", "+", "@", "\t"))], row


def test_scores_of_an_entity_are_recorded(console: httpx.Client, examples: Examples) -> None:
    before = examples.store.audit_log(action="look_up_scores", limit=None)
    document = console.get("/scores/churn?entity=17&format=json").json()
    events = examples.store.audit_log(action="look_up_scores", limit=None)
    assert len(events) == len(before) + 1
    assert events["subject"][0] == "churn"
    assert events["detail"][0]["entity"] == "17"
    latest = examples.store.latest_scores("churn", "17")
    seen = [row for row in document["rows"] if row["newest_until"] is None]
    assert [row["session_id"] for row in seen] == [latest["session_id"][0]]
    assert seen[0]["score"] == latest["score"][0]
    assert len(document["rows"]) == 2
    assert console.get("/scores/churn?entity=17&on=2020-01-01&format=json").json()["rows"] == []


def test_an_artifact_is_a_download(
    console: httpx.Client, examples: Examples, tmp_path: Any
) -> None:
    path = f"/sessions/{examples['train']}/artifacts/model"
    answer = console.get(path)
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    examples.store.copy_model(examples["train"], tmp_path / "model")
    assert answer.content == (tmp_path / "model").read_bytes()
    assert console.get(f"/sessions/{examples['train']}/artifacts/none").status_code == 404


def test_a_report_is_in_a_sandbox(console: httpx.Client, examples: Examples) -> None:
    for path in (
        f"/sessions/{examples['hostile'].replace('/', '%2F')}/report",
        "/models/churn/report",
    ):
        path = quote(path, safe="/%")
        answer = console.get(path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("sandbox; default-src 'none'"), path
        assert "script-src" not in policy


def test_unknown_things_are_not_found(console: httpx.Client) -> None:
    for path in ("/x", "/models/none", "/sessions/none", "/sessions/none/report", "/promote/none"):
        answer = console.get(path)
        assert answer.status_code == 404, path
        assert "Traceback" not in answer.text
    assert "churn" not in console.get("/models/none").text


def test_wrong_parameters_say_what_is_right(console: httpx.Client) -> None:
    answer = console.get("/sessions?status=gone")
    assert answer.status_code == 400
    assert "running, succeeded, failed, crashed, cancelled" in answer.text
    assert console.get("/sessions?where=auc").status_code == 400
    assert console.get("/sessions?before=-1").status_code == 400
    assert console.get("/compare?" + "&".join(f"s={n}" for n in range(11))).status_code == 400


NAMES = (
    *("x", "y", "metrics"),
    *("model", "purpose", "status", "person", "commit", "tag", "since", "until", "where"),
    *("columns", "sort", "before", "after", "value", "format", "s", "entity", "on", "actor"),
    *("action", "subject", "session", "x"),
)
TEXTS = (
    *("", "0", "-1", "1e999", "nan", str(2**63), "2026-11-30", "9999-12-31", "0001-01-01"),
    *("train", "failed", "auc>0.5", "params.depth=3", "-auc", "csv", "json", "a\0b", "%", "_"),
    *("\U0001f600", "'; DROP TABLE sessions; --", "x" * 300, "<script>", "params.=1"),
)
VALUES = st.one_of(
    st.text(max_size=30), st.sampled_from(TEXTS), st.integers().map(str), st.floats().map(repr)
)
FUZZED = (
    *("/", "/sessions", "/models/churn", "/models/churn/sessions", "/compare", "/audit"),
    *(
        "/models/churn/experiments",
        "/scores/churn",
        "/promote/churn",
        "/operations",
        "/database",
        "/metrics",
    ),
)


@settings(max_examples=150)
@given(
    path=st.sampled_from(FUZZED),
    pairs=st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=5),
)
def test_any_parameter_is_answered(
    console: httpx.Client, path: str, pairs: list[tuple[str, str]]
) -> None:
    query = "&".join(f"{name}={quote(value.encode('utf-8', 'replace'))}" for name, value in pairs)
    answer = console.get(f"{path}?{query}")
    assert answer.status_code in (200, 400, 404), (path, pairs, answer.text[-500:])


@settings(max_examples=80)
@given(segments=st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_any_path_is_answered(console: httpx.Client, segments: list[str]) -> None:
    names = [quote(text.encode("utf-8", "replace"), safe="") for text in segments]
    for start in ("", "models/", "sessions/", "scores/", "promote/"):
        answer = console.get(f"{console.base_url}/{start}{'/'.join(names)}")
        assert answer.status_code in (200, 400, 404), (start, segments)


def test_metrics_for_prometheus(console: httpx.Client) -> None:
    answer = console.get("/metrics")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    lines = answer.text.splitlines()
    assert lines[-1] == "# EOF"
    samples = [line for line in lines if not line.startswith("#")]
    assert 'mfprefect_last_session_failed{model="churn",purpose="score"} 1' in samples
    for line in samples:
        float(line.rpartition(" ")[2])


def test_an_empty_store_says_what_to_do_first(serve: Any, schema_file: Any, tmp_path: Any) -> None:
    file = tmp_path / "empty.db"
    file.write_bytes(schema_file.read_bytes())
    with serve(f"sqlite:///{file}") as client:
        assert "mfprefect demo" in client.get("/").text
        for path in ("/sessions", "/operations", "/audit", "/database", "/compare", "/metrics"):
            assert client.get(path).status_code == 200, path


def test_a_page_that_did_not_change_is_not_sent_again(
    console: httpx.Client, examples: Examples
) -> None:
    for path in ("/sessions", f"/sessions/{examples['train']}"):
        first = console.get(path)
        again = console.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), path
    name = json.dumps(console.get("/").text)
    static = name.partition("/static/")[2].partition('\\"')[0]
    assert "immutable" in console.get(f"/static/{static}").headers["cache-control"]
