"""What a notice says, and that it arrives or tells why not."""

from __future__ import annotations

import base64
import datetime as dt
import html.parser
import json
import logging
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mfprefect.errors import ConfigurationError
from mfprefect.notifications.delivery import Notice, deliver, masked_url
from mfprefect.notifications.notice import Check, Drift, MetricChange, Readers
from mfprefect.quality.gates.verdicts import GateResult
from mfprefect.settings import EVENTS, Target

SCRIPT = Path(sys.executable).parent / "mfprefect"
HOSTILE = (
    "<script>alert(1)</script>\n```\n# shout *bold* `code` [x](http://evil) <!channel> @here\r\n"
    "</pre><b>&amp; \x1b[31m \u202e"
)
BORN = dt.datetime(2026, 11, 24, 6, 0, tzinfo=dt.UTC)
TOKEN, PASSWORD = "tokenS3cr3ttoken", "pa/S3cr3t+w"


def target(url: str) -> Target:
    return Target.model_validate({"url": url})


def hostile(text: str = HOSTILE, **changes: Any) -> Notice:
    names = ("model_id", "session_id", "purpose", "run_by", "host", "deployment", "cause_kind")
    facts: dict[str, Any] = dict.fromkeys(names, text)
    return Notice(
        **facts
        | {
            "event": "failed",
            "attempt": 2,
            "status": "failed",
            "started_at": BORN,
            "as_of": BORN.date(),
            "cause_text": text,
            "moved": (MetricChange(text, 0.83, 0.79),),
            "checks": (Check(text, "error", 3, text), Check(text, "error", 0, text, True)),
            "gates": (GateResult(text, "production", "failed", text, 0.4),),
            "drift": (Drift(text, text, 0.4, 0.2, text),),
            "readers": Readers(text, BORN.date(), BORN),
            "counts": ((text, text),),
            "scores": ((text, text),),
            "failures": ((text, text),),
            "environment": text,
        }
        | changes
    )


class Tags(html.parser.HTMLParser):
    """Collects the tags with their attributes, and the text, of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements[-1:] and self.elements[-1][0] != "style":
            self.text += data


def markdown_tokens(text: str) -> tuple[set[str], str]:
    """Return the kinds of Markdown in a text, and what stands in its code."""
    kinds, code = set(), ""
    for token in MarkdownIt("commonmark", {"html": True}).parse(text):
        kinds.add(token.type)
        code += token.content if token.type == "fence" else ""
        for child in token.children or ():
            kinds.add(child.type)
            code += child.content if child.type == "code_inline" else ""
    return kinds, code


OURS = {"bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"} | {
    "paragraph_open",
    "paragraph_close",
    "inline",
    "text",
    "softbreak",
    "code_inline",
    "fence",
}


@given(st.one_of(st.text(), st.text("<>`*_[]()#!&|~\\ \n\r\t-+=1.@:/a\"'")))
def test_no_text_of_anybodys_is_markup(text: str) -> None:
    notice, harmless = hostile(text), hostile("x" if text.strip() else text)
    kinds, _ = markdown_tokens(notice.markdown)
    assert kinds <= OURS
    assert Tags(notice.html).tags <= {"ul", "li", "b", "p", "pre", "code"}
    page = [element for element in Tags(notice.mail).elements if element[0] != "br"]
    assert page == Tags(harmless.mail).elements
    assert not re.search(r"<|>|&(?!(amp|lt|gt);)", notice.slack)
    assert all(c.isprintable() or c in "\n\u200d" or not c.isascii() for c in notice.plain)
    assert json.loads(json.dumps(notice.fields))["session_id"] == (text or None)
    assert notice.title.isprintable() or "\u200d" in text or not text.isprintable()
    assert not re.search(r"[<>`*\[\]|~\\@\n\r]", notice.title)


def test_what_it_says() -> None:
    notice = hostile(
        "churn", session_id="churn-1", cause_kind="ValueError", cause_text="first\n  second `x`"
    )
    pages = (Tags(page).text for page in (notice.html, notice.mail))
    bodies = (notice.markdown, notice.slack, notice.plain, *pages)
    for body in bodies:
        for fact in ("churn-1", "ValueError", "2026-11-24 06:00:00 UTC", "second", "-4.8%"):
            assert fact in body
        assert "0.83 to 0.79" in body
        assert "mfprefect show churn-1" in body
    assert "first\n  second" in notice.markdown
    assert "  first\n    second" in notice.plain
    assert notice.title == "churn (churn): churn failed, ValueError"
    _, code = markdown_tokens(notice.markdown)
    assert "first\n  second \u02cbx\u02cb" in code


def test_long_texts_and_lists_are_cut() -> None:
    rows = tuple((f"session-{i}", "x" * 5_000) for i in range(25))
    notice = hostile("y" * 9_000, failures=rows)
    for body in (notice.markdown, notice.slack, notice.plain, notice.html, notice.mail):
        assert len(body) < 40_000  # Gmail cuts a mail at 102 kB
        assert "\u2026" in body
        assert "and 15 more" in body
    assert len(notice.title) < 300


@pytest.mark.parametrize("event", [*EVENTS, "test"])
def test_every_event_has_a_title_and_a_body(event: str) -> None:
    notice = Notice(event=event, model_id="churn", purpose="train", count=3)
    assert notice.title
    assert notice.markdown
    assert notice.markdown.splitlines()[0] == notice.plain.splitlines()[0]
    seen, first_line = Tags(notice.mail).text, notice.plain.splitlines()[0]
    assert "".join(seen.split()).startswith("".join(first_line.split()))
    warning = Notice(event=event, model_id="churn", purpose="train", status="succeeded")
    assert ("warnings" in warning.title) == (event == "checks_failed")


def test_mail_has_plain_and_html_parts_in_which_nothing_is_alive(mail: Any) -> None:
    assert deliver(target(mail.url), hostile()) is None
    (message,) = mail.messages
    assert "\n" not in message["Subject"]
    assert "script" in message["Subject"]
    page = message.get_body(("html",)).get_content()
    assert not Tags(page).tags & {"script", "a", "img", "link"}
    assert "<script>alert(1)</script>" in Tags(page).text
    plain = message.get_body(("plain",))
    assert plain.get_content_type() == "text/plain"
    text = plain.get_content().replace("\r\n", "\n")
    assert text.strip() == hostile().plain
    assert "\x1b" not in page + text


def test_attachments_arrive(mail: Any, hooks: Any, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("<h1>Report</h1>")
    assert deliver(target(mail.url), hostile("x"), report) is None
    (attached,) = mail.messages[0].iter_attachments()
    assert attached.get_filename() == "report.html"
    assert "<h1>Report</h1>" in attached.get_content()
    assert deliver(target(hooks.url()), hostile("x"), report) is None
    (sent,) = hooks.posts[0]["attachments"]
    assert base64.b64decode(sent["base64"]) == b"<h1>Report</h1>"
    failure = deliver(target(mail.url), hostile("x"), tmp_path / "gone.html")
    assert failure is not None
    assert "attachment" in failure


def test_a_chat_gets_markdown_and_plain_mail_too(mail: Any, hooks: Any) -> None:
    notice = hostile()
    assert deliver(target(hooks.url(f"/{TOKEN}", "mmost")), notice) is None
    assert hooks.posts[0]["path"] == f"/hooks/{TOKEN}"
    text = hooks.posts[0]["text"].replace("\r\n", "\n")
    assert text.startswith(notice.title)
    kinds, code = markdown_tokens(text)
    assert kinds <= OURS
    assert "alert(1)" in code
    assert "<!channel>" not in text
    assert deliver(target(mail.url + "&format=text"), notice) is None
    assert not mail.messages[0].is_multipart()
    assert mail.messages[0].get_content().replace("\r\n", "\n").strip() == notice.plain


SLACK = (
    "<http://evil.example|Report> http://evil.example|Report> <!channel> !channel> @U024BE7LH> & co"
)


@pytest.mark.parametrize("options", ["", "?format=text", "?blocks=yes"])
def test_nobody_puts_links_or_mentions_into_slack(
    hooks: Any, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    assert deliver(target(hooks.url()), Notice(event="test")) is None  # imports the services
    plugin = sys.modules["apprise.plugins.slack"].NotifySlack
    monkeypatch.setattr(plugin, "webhook_url", hooks.url("/slack", "http"))
    tokens = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/"
    for url in (f"slack://{tokens}", f"https://hooks.slack.com/services/{tokens}"):
        assert deliver(target(url + options), hostile(SLACK, run_url="http://p.example/1")) is None
        said = json.dumps(hooks.posts[-1], ensure_ascii=False)
        ours = re.sub(r'"(icon|footer_icon|image|thumb)_url": "[^"]*"', "", said)
        assert not re.search(r"<|>|&(?!(amp|lt|gt);)", ours)
        assert "&lt;http://evil.example|Report&gt;" in ours
        assert "&amp; co" in ours
        assert "&amp;lt;" not in ours
        assert "Flow run in Prefect: http://p.example/1" in ours


def test_hooks_carry_fields(hooks: Any) -> None:
    notice = hostile("churn", event="gate_failed", purpose="train", environment="production")
    for scheme in ("json", "form"):
        assert deliver(target(hooks.url(scheme=scheme)), notice) is None
    sent, form = hooks.posts
    assert sent["message"] == notice.markdown
    assert sent["model"] == sent["session_id"] == "churn"
    assert sent["environment"] == "production"
    assert (sent["event"], sent["purpose"], sent["status"]) == ("gate_failed", "train", "failed")
    assert sent["verdict"] == "training failed, 1 of 1 gate missed"
    assert sent["gates"][0]["verdict"] == "failed"
    assert [check["passed"] for check in sent["checks"]] == [False, True]
    assert sent["drift"] == [
        {"variable": "churn", "measure": "churn", "value": 0.4, "threshold": 0.2, "change": "churn"}
    ]
    assert sent["readers"]["as_of"] == "2026-11-24"
    assert sent["urls"] == {"flow_run": None, "report": None}
    assert form["model"] == "churn"
    assert json.loads(form["gates"]) == sent["gates"]


def test_what_a_person_maps_in_the_url_stays(hooks: Any) -> None:
    url = hooks.url("/x?:message=text&:attachments=&:model=demand", "json")
    assert deliver(target(url), hostile("churn")) is None
    (sent,) = hooks.posts
    assert sent["text"]
    assert not {"message", "attachments"} & sent.keys()
    assert sent["model"] == "demand"


def test_how_bad_it_is(hooks: Any) -> None:
    for event in (*EVENTS, "test"):
        notice = Notice(event=event, model_id="m", purpose="train", run_by="me")
        assert deliver(target(hooks.url()), notice) is None
    warnings = Notice(event="checks_failed", model_id="m", purpose="train", status="succeeded")
    assert deliver(target(hooks.url()), warnings) is None
    kinds = dict(zip((*EVENTS, "test", "warnings"), (p["type"] for p in hooks.posts), strict=True))
    assert kinds == {
        **dict.fromkeys(("failed", "crashed", "checks_failed", "gate_failed"), "failure"),
        **dict.fromkeys(
            ("cancelled", "drift", "stale", "rolled_back", "retired", "spooled"), "warning"
        ),
        "warnings": "warning",
        **dict.fromkeys(("recovered", "promoted", "succeeded"), "success"),
        **dict.fromkeys(("waiting_for_promotion", "digest", "test"), "info"),
    }


def test_why_it_did_not_arrive(mail: Any, hooks: Any) -> None:
    hooks.status = 500
    assert "500" in str(deliver(target(hooks.url()), hostile()))
    assert "Connection" in str(deliver(target("json://127.0.0.1:1/hook"), hostile()))
    assert "127.0.0.1" in str(
        deliver(target("mailto://127.0.0.1:1?to=a@x.de&from=b@x.de"), hostile())
    )
    mail.refuses = True
    assert "Sending email" in str(deliver(target(mail.url), hostile()))
    assert "malformed" in str(deliver(target(f"nosuch://{TOKEN}"), hostile()))
    hooks.status = 200
    assert deliver(target(hooks.url()), hostile()) is None


SECRET_URLS = [
    f"json://me:{PASSWORD.replace('/', '%2F').replace('+', '%2B')}@127.0.0.1:1/a/{TOKEN}",
    f"json://127.0.0.1:1/hook?+Authorization=Bearer%20{TOKEN}&-key={TOKEN}",
    f"mmost://127.0.0.1:1/{TOKEN}",
    f"mailto://me:{TOKEN}@127.0.0.1:1?to=a@x.example&from=b@x.example",
    f"mailto://127.0.0.1:1?user=me&pass={TOKEN}&to=a@x.example&from=b@x.example",
    f"slack://{TOKEN}",
    f"{TOKEN}",
    f"json://[{TOKEN}",
    f"mmost://127.0.0.1:port/{TOKEN}",
]


@pytest.mark.parametrize("url", SECRET_URLS)
def test_no_secret_is_told(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = str(deliver(target(url), hostile("x")))
    try:
        said += masked_url("ops", target(url))
    except ConfigurationError as exc:
        assert "'ops'" in str(exc)
        assert exc.__cause__ is None
        said += str(exc)
    said += caplog.text + repr(target(url))
    assert "S3cr3t" not in said


def test_a_service_that_quotes_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    from apprise.plugins.custom_json import NotifyJSON

    password = PASSWORD.replace("/", "%2f").replace("+", "%2B")
    url = f"json://me:{password}@127.0.0.1:1/a/{TOKEN}?+X={TOKEN}x"

    def send(self: Any, *_: Any, **__: Any) -> bool:
        self.logger.warning("%s, %s, %s, %s", url, password.upper(), self.password, self.headers)
        raise RuntimeError("out of order")

    monkeypatch.setattr(NotifyJSON, "send", send)
    said = str(deliver(target(url), hostile("x")))
    assert "127.0.0.1" in said
    assert "s3cr3t" not in said.lower()


def test_the_reason_is_that_of_this_delivery(hooks: Any, caplog: pytest.LogCaptureFixture) -> None:
    said: dict[int, list[str | None]] = {404: [], 500: [], 503: []}

    def send(status: int) -> None:
        for _ in range(5):
            said[status].append(deliver(target(hooks.url(f"/status/{status}")), hostile("x")))

    threads = [threading.Thread(target=send, args=(status,)) for status in said]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for status, reasons in said.items():
        assert len(reasons) == 5
        assert all(re.findall(r"error=(\d+)", str(x)) == [str(status)] for x in reasons)
    assert not caplog.records
    logging.getLogger("apprise").warning("somebody else's")
    assert caplog.messages == ["somebody else's"]


def test_apprise_is_imported_by_nobody_who_does_not_need_it() -> None:
    code = (
        "import sys, mfprefect.session, mfprefect.store.notifications.send;"
        "import mfprefect.notifications.delivery;"
        "print([m for m in ('apprise', 'prefect', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        ("http://me:S3cr3t@prefect.example:4200/api", "http://prefect.example:4200/runs/flow-run/"),
        (None, None),
    ],
)
def test_the_link_to_the_run(api: str | None, expected: str | None) -> None:
    code = (
        "from mfprefect.provenance.flow_run import run_url as u\n"
        "x = '0d5ca0e2-0000-4000-8000-000000000000'\n"
        "assert u(x) is None; import prefect; assert u(None) is None; print(u(x))"
    )
    env = os.environ | ({"PREFECT_API_URL": api} if api else {})
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    said = done.stdout.strip().splitlines()[-1]
    assert said == (f"{expected}0d5ca0e2-0000-4000-8000-000000000000" if expected else "None")


def cli(folder: Path, *args: str, code: int, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [SCRIPT, *args],
        cwd=folder,
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "S3cr3t" not in done.stdout + done.stderr
    return done


def test_notify_test(hooks: Any, tmp_path: Path) -> None:
    (tmp_path / "mfprefect.toml").write_text(
        f'[notify.ops]\nurl = "{hooks.url("/${HOOK_TOKEN}", "mmost")}"\n'
        f'[notify.dead]\nurl = "json://me:{TOKEN}@127.0.0.1:1/{TOKEN}"\n'
        f'[notify.bad]\nurl = "nosuch {TOKEN}"\n'
    )
    env = {"HOOK_TOKEN": TOKEN, "MFPREFECT_URL": "postgresql://nobody@127.0.0.1:1/none"}
    good = cli(tmp_path, "notify", "test", "ops", code=0, **env).stdout.splitlines()[-1]
    assert re.fullmatch(r"ops\s+mmost://127.0.0.1:\d+\s+delivered", good)
    (post,) = hooks.posts
    assert post["text"].startswith("mfprefect: a test notice")
    assert post["path"] == f"/hooks/{TOKEN}"
    rows = json.loads(cli(tmp_path, "notify", "test", "--json", code=1, **env).stdout)
    assert [(row["target"], row["delivered"]) for row in rows] == [
        ("ops", True),
        ("dead", False),
        ("bad", False),
    ]
    assert rows[1]["url"] == "json://me:****@127.0.0.1:1"
    assert "'bad'" in rows[2]["failure"]
    lines = cli(tmp_path, "notify", "test", code=1, **env).stdout
    assert "not delivered: A Connection error" in lines
    error = cli(tmp_path, "notify", "test", "nobody", code=1, **env).stderr
    assert "choose one of: ops, dead, bad" in error
    results = {
        x["detail"].partition(":")[0]: x
        for x in json.loads(cli(tmp_path, "doctor", "--json", code=1, **env).stdout)
        if x["check"] == "notify"
    }
    assert [results[name]["status"] for name in ("ops", "dead", "bad")] == ["ok", "ok", "failed"]
    assert "mmost://127.0.0.1" in results["ops"]["detail"]


def test_nobody_to_tell_and_targets_of_the_environment(hooks: Any, tmp_path: Path) -> None:
    said = cli(tmp_path, "notify", "test", code=1).stderr
    assert "[notify.ops]" in said
    env = {"MFPREFECT_NOTIFY__OPS__URL": hooks.url(), "MFPREFECT_NOTIFY__OPS__EVENTS": '["drift"]'}
    cli(tmp_path, "notify", "test", code=0, **env)
    assert hooks.titles == ["mfprefect: a test notice"]
    results = json.loads(cli(tmp_path, "doctor", "--json", code=1, **env).stdout)
    details = [x["detail"] for x in results if x["check"] == "notify"]
    assert details[0].endswith("for drift")
    assert not [x for x in results if "is not a setting" in x["detail"]]
