"""Hostile input through every public entry: kept exactly or refused by name, never carried out."""

from __future__ import annotations

import hashlib
import html.parser
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import mfprefect
from mfprefect import ArtifactCorrupt, MfprefectError, Store
from mfprefect.cli import cli
from mfprefect.inputs.result_files import read_frame
from mfprefect.store.retention.archive import archive_session
from mfprefect.testing.contract.helpers import fill, rows

NASTY = (
    *("'; DROP TABLE sessions; --", '" OR 1=1 --', "`", "\\", "\\N", "NULL", "%s%n%(x)s", ":p"),
    *("{0.__class__.__mro__}", "{{7*7}}", "${HOME}", "${jndi:ldap://x}", "=1+1", "[bold]x[/bold]"),
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</style><script>", "'\"><b>"),
    *("../../../etc/passwd", "..", "/", "a/b", "-x", "--help", "latest:", "a\0b", "\ud800"),
    *("\x1b[31mred\x1b]0;t\x07", "\r\nSet-Cookie: x", "\u202eevil\u202c", "\x85", "\u2028"),
    "\ufeff",
    *("\U0001f600\U0001d4b3", "e\u0301", "", " ", "a ", "x" * 300, "y" * 70_000, "9" * 400),
)  # fmt: skip
NUMBERS: tuple[Any, ...] = (
    10**400,
    2**63,
    -(2**63) - 1,
    float("nan"),
    float("inf"),
    -0.0,
    5e-324,
    b"x",
    [1],
    {},
)
NUMBERS += (True, None, "1", pd.NA, np.array([1, 2]), complex(1, 2))
texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=40))


@pytest.fixture
def store(schema_url: str) -> Iterator[Store]:
    with mfprefect.connect(schema_url, retry_seconds=5, heartbeat_seconds=600) as opened:
        opened.add_model("churn")
        yield opened


def taken(attempt: Callable[[], object]) -> bool:
    """Return whether an attempt was carried out; any error but ours fails the test."""
    try:
        attempt()
    except MfprefectError:
        return False
    return True


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in columns.items()})


def log_everywhere(session: mfprefect.Session, text: str, number: int) -> dict[str, bool]:
    """Offer a text to all that a session takes; tell what was taken."""
    key = f"k{number}"
    score = {"id": [f"i{number}"], "score": [0.5]}
    offers: dict[str, Callable[[], object]] = {
        "metric": lambda: session.log_metrics({text: number}),
        "segment": lambda: session.log_metrics({key: number}, segment=text),
        "metadata": lambda: session.log_metadata({key: text}),
        "name": lambda: session.log_metadata({text: key}),
        "group": lambda: session.log_metadata({key: key}, group=text),
        "source": lambda: session.log_input(text, query=text, columns={text: text}),
        "digest": lambda: session.log_input(key, digest=text),
        "variable": lambda: session.log_variable_importance(
            pd.DataFrame([{"variable": key, "importance": 1.0}]), kind=text
        ),
        "series": lambda: session.log_backtest(
            frame(series=[key], period=[text], predicted=[1.0], actual=[2.0])
        ),
        "artifact": lambda: session.save_model(b"x", name=text),
        "file": lambda: session.log_file(b"x", text),
        "path": lambda: session.log_file(f"{text}.none"),
        "entity": lambda: session.write_scores(frame(id=[text], score=[0.5]), "id"),
        "column": lambda: session.write_scores(pd.DataFrame(score), text),
        "class": lambda: session.write_scores(
            frame(**score, cls=[text]), "id", score_class="cls"
        ),
    }  # fmt: skip
    if "\ud800" not in text:  # pandas itself refuses such a name
        data = pd.DataFrame({text: [1.0, None], "b": [text, None]})
        offers["summary"] = lambda: session.log_input_summary(data)
        offers["checks"] = lambda: session.log_checks(data, lambda f: pd.Series([True, True]))
    return {name: taken(offer) for name, offer in offers.items()}


def test_texts_are_kept_exactly_or_refused(store: Store) -> None:
    """Every nasty text in this process; some on the servers, which differ in what they can keep."""
    server = store.database.engine.dialect.name in ("postgresql", "mysql")
    some = NASTY[::3] if server else NASTY
    before = set(
        sa.inspect(store.database.engine).get_table_names(store.database.schema.layout.schema)
    )
    accepted: dict[str, dict[str, bool]] = {}
    with store.session("churn", params={"x": "'; --"}, tags=["<b>"]) as session:
        for number, text in enumerate(some):
            accepted[text] = log_everywhere(session, text, number)
            session.flush()
            taken(lambda t=text: store.add_model(t, t if "\0" not in t else ""))  # type: ignore[misc]
            for look in (store.scores, store.metrics, store.report, store.load_model, store.attach):
                assert not taken(lambda t=text, f=look: f(t))  # type: ignore[misc]
            store.database.fetch_all(sa.select(sa.literal(1)))
    metrics = store.metrics(session.session_id)
    assert set(metrics["metric_name"]) >= {t for t, a in accepted.items() if a["metric"]}
    assert set(metrics["segment"]) >= {t for t, a in accepted.items() if a["segment"]}
    metadata = store.metadata(session.session_id)
    values = metadata[metadata["meta_group"] == "run"].set_index("meta_name")["value"]
    for number, text in enumerate(some):
        if accepted[text]["metadata"]:
            assert values[f"k{number}"] == text
        assert accepted[text]["metadata"] == ("\0" not in text and "\ud800" not in text)
    files = store.files(session.session_id)["name"].tolist()
    assert sorted(files) == sorted(t for t, a in accepted.items() if a["file"])
    assert not any(a["path"] for a in accepted.values())  # there are no such files
    entities = {t for t, a in accepted.items() if a["entity"]}
    assert entities <= set(store.scores(session.session_id)["entity_id"])
    assert len(entities) > len(some) / 2
    after = set(
        sa.inspect(store.database.engine).get_table_names(store.database.schema.layout.schema)
    )
    assert after == before


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mfprefect.Session]:
    folder = tmp_path_factory.mktemp("hostile")
    with mfprefect.connect(f"sqlite:///{folder / 'test.db'}", heartbeat_seconds=600) as store:
        store.create_schema()
        store.add_model("churn")
        yield store.session("churn")


@settings(max_examples=40)
@given(texts, st.sampled_from(NUMBERS), st.integers(1, 10**6))
def test_any_text_and_number(
    running: mfprefect.Session, text: str, value: Any, number: int
) -> None:
    log_everywhere(running, text, number)
    for offer in (
        lambda: running.log_metrics({"v": value}),
        lambda: running.log_metadata({"v": value}),
        lambda: running.log_input("x", rows=value, query=value),
        lambda: running.log_input("x", seconds=value),
        lambda: running.write_scores(frame(id=["v"], score=[value]), "id"),
        lambda: running.write_scores(frame(id=[value], score=[0.5]), "id"),
        lambda: running.write_scores(frame(id=["v"], score=[0.5]), "id", part=value),
        lambda: running.log_input_summary(value),
        lambda: running.log_backtest(value),
        lambda: running.log_file(value, "v"),
        lambda: running.log_file(b"v", value),
        lambda: running.log_figure(value, "v"),
    ):
        taken(offer)
    running.flush()  # nothing that was taken keeps the rest from being stored


class Page(html.parser.HTMLParser):
    """Collects what of a page could be carried out."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts, self.handlers, self.images = 0, [], 0  # type: ignore[var-annotated]
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.images += tag == "img"
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def test_a_report_shows_texts_and_carries_nothing_out(
    running: mfprefect.Session, tmp_path: Path
) -> None:
    with mfprefect.connect(f"sqlite:///{tmp_path / 'test.db'}") as store:
        store.create_schema()
        pages = []
        for nasty in (False, True):
            text = "<img src=x onerror=alert(1)><script>alert(1)</script>" if nasty else "plain"
            store.add_model(f"m{nasty}", text, entity_type=text, owner=text)
            with (
                pytest.raises(ValueError, match="x"),
                store.session(f"m{nasty}", params={text: text}) as s,
            ):
                log_everywhere(s, text, 1)
                raise ValueError(text + "x")
            pages += [Page(store.report(s.session_id)), Page(store.model_report(f"m{nasty}"))]
            if nasty:
                assert "&lt;script&gt;" in store.report(s.session_id)
    assert [(p.scripts, p.handlers, p.images) for p in pages[:2]] == [
        (p.scripts, p.handlers, p.images) for p in pages[2:]
    ]


COMMANDS: tuple[tuple[str, ...], ...] = (
    *(("show", "{}"), ("report", "{}"), ("compare", "{}", "{}"), ("scores", "{}"), ("{}",)),
    *(("export", "{}", "--to", "{}"), ("promote", "{}", "{}"), ("rollback", "{}")),
    *(("threshold", "{}", "{}"), ("columns", "--load", "{}"), ("prune", "--model", "{}", "--yes")),
    *(("restore", "{}"), ("sessions", "--limit", "{}"), ("models", "{}"), ("notify", "{}")),
    *(("session", "open", "{}", "--register"), ("session", "open", "m", "--param", "{}={}")),
    *(("session", "log", "{}", "--metric", "{}=1"), ("session", "close", "{}"), ("sessions", "{}")),
    *(("grants", "--role", "writer", "--user", "{}"), ("sessions", "--url", "{}")),
    *(("files", "{}"), ("files", "{}", "{}", "-o", "out"), ("session", "log", "x", "--file", "{}")),
    *(("trace", "{}", "{}"), ("trace", "m", "{}"), ("trace", "m", "x", "--on", "{}")),
    ("sessions", "--url", "mysql://u:p@127.0.0.1:1/x?{}={}"),
)  # fmt: skip
VARIABLES = ("URL", "PREFIX", "SOURCES", "NOTIFY__X__URL", "TRUSTED_TYPES", "CONFIG", "PROFILE")


def test_the_command_line_answers_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MFPREFECT_RETRY_SECONDS", "0")
    runner = CliRunner()
    assert runner.invoke(cli, ["init"]).exit_code == 0
    wrong = []
    for number, text in enumerate(NASTY):
        if len(text) > 1000:
            continue
        # Each text meets a third of the commands, each command a third of the texts.
        calls: list[tuple[list[str], dict[str, str]]] = [
            ([a.replace("{}", text) for a in c], {}) for c in COMMANDS[number % 3 :: 3]
        ]
        if "\0" not in text and "\ud800" not in text:
            calls += [(["models"], {f"MFPREFECT_{v}": text}) for v in VARIABLES[number % 2 :: 2]]
            (tmp_path / "nasty.toml").write_text(f"'{text}' = 1\n[sources.x]\nurl = '{text}'")
            calls.append((["models"], {"MFPREFECT_CONFIG": "nasty.toml"}))
        for arguments, env in calls:
            result = runner.invoke(cli, arguments, env=env)
            raw = set(result.output) & set("\0\x1b\x07\x85\r\u202e\u2028")
            piped = arguments[:2] == ["session", "open"] and result.exit_code == 0
            expected = result.exit_code in (0, 1, 2) and ": unexpected " not in result.output
            if not expected or (raw and not piped):
                wrong.append((arguments, env, result.output[-200:], result.exception))
    assert wrong == []


def archive(store: Store, folder: Path) -> Path:
    with store.session("churn", purpose="train") as session:
        fill(session)
    with store.session("churn") as other:
        other.log_metrics({"auc": 0.5})
    path, _ = archive_session(store.database, session.session_id, folder)
    store.delete_session(session.session_id)
    return Path(path)


def test_archives_of_somebody_elses_making(tmp_path: Path) -> None:
    """Every archive here has the digests that its files really have."""
    with mfprefect.connect(f"sqlite:///{tmp_path / 'test.db'}") as store:
        store.create_schema()
        store.add_model("churn")
        sound = archive(store, tmp_path / "archives")
        before = rows(store)
        for number, forge in enumerate(forgeries()):
            folder = tmp_path / f"forged{number}" / sound.name
            shutil.copytree(sound, folder)
            head = json.loads((folder / "session.json").read_text())
            text = forge(folder, head)
            (folder / "session.json").write_text(json.dumps(head) if text is None else text)
            with pytest.raises(MfprefectError):
                store.restore(folder)
            assert rows(store) == before, number
        wrong: tuple[list[Any], ...] = (["x"], [None], [True], [float("inf")], [{"a": 1}], [b"x"])
        for number, column in enumerate(wrong):
            folder = rewritten(sound, tmp_path / f"typed{number}", value=column)
            with pytest.raises(ArtifactCorrupt, match="holds a malformed row"):
                store.restore(folder)
            assert rows(store) == before, column
        for name in ("metrics", "artifact_chunks", "scores"):
            with pytest.raises(ArtifactCorrupt, match="decodes to up to"):
                store.restore(repeated(sound, tmp_path / f"bomb {name}", name))
            assert rows(store) == before, name
        store.restore(rewritten(sound, tmp_path / "moved", session_no=[2]))
        restored = rows(store)
        # Rows that claim another session's number are this one's.
        other = str(store.sessions()["session_id"][0])
        assert len(store.metrics(other)) == 1
        assert restored["metrics"] > before["metrics"]


def forgeries() -> Iterator[Callable[[Path, dict[str, Any]], str | None]]:
    for field, value in (
        *(("session_no", -1), ("session_no", "1; DROP"), ("session_no", 2**80)),
        ("status", "running"),
        *(("status", "great"), ("purpose", "<b>"), ("session_id", "x" * 500), ("session_id", None)),
        *(("started_at", "yesterday"), ("attempt", []), ("params", None)),
        ("environment_digest", "0"),
        *(("model_id", "other"), ("host", "a\0b")),
    ):  # fmt: skip
        yield lambda _, head, f=field, v=value: head["session"].update({f: v})  # type: ignore[misc]
    for text in (
        "",
        "null",
        "[]",
        "{}",
        "[" * 100_000,
        '{"format": "mfprefect archive 1"}',
        "\xff",
    ):
        yield lambda _, __, t=text: t  # type: ignore[misc]
    for name in ("../../secret", "model_stages", "audit_events", "models", "nonsense"):
        yield lambda folder, head, n=name: smuggle(folder, head, n)  # type: ignore[misc]


def smuggle(folder: Path, head: dict[str, Any], name: str) -> None:
    """Add a table to an archive that is none of a session's business."""
    copied = folder / f"{name}.parquet"
    copied.resolve().parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "metrics.parquet", copied)
    head["tables"][name] = dict(head["tables"]["metrics"])


def rewritten(sound: Path, to: Path, **columns: list[Any]) -> Path:
    """Return a copy with other columns of metrics, such as another session's number."""
    folder = to / sound.name
    shutil.copytree(sound, folder)
    path = folder / "metrics.parquet"
    table = pq.read_table(path)
    for name, values in columns.items():
        if name in table.column_names:
            table = table.drop_columns(name)
        table = table.append_column(name, pa.array(values * len(table)))
    pq.write_table(table, path)
    head = json.loads((folder / "session.json").read_text())
    head["tables"]["metrics"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "session.json").write_text(json.dumps(head))
    return folder


def test_files_that_are_none(
    tmp_path: Path, running: mfprefect.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = CliRunner()
    url = running._db.settings.url.get_secret_value()
    for name, content in (
        *(("x.parquet", b""), ("x.parquet", b"PAR1" + b"\xff" * 100 + b"PAR1")),
        *(("x.csv", b"\0\xff\n\x80"), ("x.csv", b"id,score\n'; DROP TABLE t; --,nan\n")),
        ("x.csv", b"id,score\na,1e999\n"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        options = ["--scores", str(tmp_path / name), "--entity-id", "id", "--score", "score"]
        result = runner.invoke(cli, ["session", "log", running.session_id, *options, "--url", url])
        assert (result.exit_code, "unexpected" in result.stderr) == (1, False), result.stderr
    # Small on disk, large in memory: refused by what its head says.
    monkeypatch.setattr("mfprefect.inputs.result_files.MAX_CELLS", 10**6)
    pq.write_table(pa.table({"age": pa.repeat(pa.scalar(1), 2 * 10**6)}), tmp_path / "bomb.parquet")
    assert (tmp_path / "bomb.parquet").stat().st_size < 100_000
    options = ["--input-summary", str(tmp_path / "bomb.parquet")]
    result = runner.invoke(cli, ["session", "log", running.session_id, *options, "--url", url])
    assert (result.exit_code, "read at once" in result.stderr) == (1, True), result.stderr
    with mfprefect.connect(url) as store, pytest.raises((ArtifactCorrupt, MfprefectError)):
        store.load_model(running.session_id, "nothing")


def parquet_files() -> Iterator[tuple[pa.Table, bool]]:
    """Yield tables, and whether `id` and `score` of them are scores."""
    score = pa.array([0.5])
    for columns, sound in (
        *(({"id": ["a"], "score": score}, True), ({"id": [7], "score": [1]}, True)),
        *(({"id": ["a"], "score": ["0.5"]}, False), ({"id": [1.5], "score": score}, False)),
        *(({"id": [{"a": 1}], "score": score}, False), ({"id": ["a"], "score": [[0.5]]}, False)),
        *(({"id": [b"a"], "score": score}, False), ({"id": [None], "score": score}, False)),
        *(({"id": ["a"], "score": [float("nan")]}, False), ({"x": ["a"], "score": score}, False)),
        # What else is in the file is nobody's business, and not read.
        *(({"id": ["a"], "score": score, text: [{"a": [1]}]}, True) for text in NASTY[:30:4]),
    ):
        yield pa.table(columns), sound
    twice = pa.table([pa.array(["a"]), pa.array(["b"]), score], ["id", "id", "score"])
    texts = pa.array(["x" * 10**6])
    many = pa.DictionaryArray.from_arrays(pa.array([0] * 10**5, pa.int32()), texts)
    rows = pa.repeat(pa.scalar(0.5), len(many))
    yield twice, False
    yield pa.table({"id": many, "score": rows}), False  # a hundred gigabytes
    ids = [f"i{number}" for number in range(len(many))]
    yield pa.table({"id": ids, "score": rows, "note": many}), True


def repeated(sound: Path, to: Path, name: str) -> Path:
    """Return a copy with a file of some bytes that stands for twenty gigabytes of a table."""
    folder = to / sound.name
    shutil.copytree(sound, folder)
    text = pa.array([b"x" * 10**6], pa.binary() if name == "artifact_chunks" else pa.string())
    many = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), text)
    path = folder / f"{name}.parquet"
    pq.write_table(pa.table({"note": many}), path, compression="zstd")
    head = json.loads((folder / "session.json").read_text())
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    head["tables"][name] |= {"sha256": sha256, "rows": len(many)}
    (folder / "session.json").write_text(json.dumps(head))
    return folder


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_parquet_files_of_any_content(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with store.session("churn") as session:
        for number, (table, sound) in enumerate(parquet_files()):
            pq.write_table(table, path, compression="zstd")
            offer = lambda: session.write_scores(path, "id", part=number + 1)  # noqa: B023, E731
            assert taken(offer) == sound, table.schema
            session.drop_parts()
        pq.write_table(table.select(["note"]), path, compression="zstd")
        with pytest.raises(MfprefectError, match="read at once"):
            read_frame(path)
