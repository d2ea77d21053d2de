"""What users read: files of every kind with keywords, frames of other libraries, SQL parameters."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pytest
import sqlalchemy as sa

from mfprefect.checks import RowCount
from mfprefect.errors import ConfigurationError, DatabaseError, InvalidValue
from mfprefect.inputs import files
from mfprefect.inputs.reader import Reader
from mfprefect.settings import load_settings
from mfprefect.util.files import file_digest

ROWS = pd.DataFrame({"id": ["007", "008"], "v": [1.5, -2.0]})


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    url = f"sqlite:///{tmp_path / 'warehouse.db'}"
    engine = sa.create_engine(url)
    frame = pd.DataFrame({"id": range(10), "name": [f"n{i}" for i in range(10)]})
    frame.assign(amount=frame["id"] * 0.5, day="2026-01-02").to_sql("c", engine, index=False)
    engine.dispose()
    return Reader(load_settings(sources={"w": {"url": url}}, default_source="w"))


# Files


@pytest.mark.parametrize(
    ("name", "write"),
    [
        *((f"x.csv{end}", lambda path: ROWS.to_csv(path, index=False)) for end in ("", ".gz")),
        *((f"x.csv{end}", lambda path: ROWS.to_csv(path, index=False)) for end in (".bz2", ".xz")),
        ("x.tsv", lambda path: ROWS.to_csv(path, index=False, sep="\t")),
        ("x.tsv.gz", lambda path: ROWS.to_csv(path, index=False, sep="\t")),
    ],
)
def test_text_files_with_keywords(
    reader: Reader, tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    frame = reader.read(tmp_path / name, dtype={"id": str}, usecols=["id"])
    assert frame.to_dict("list") == {"id": ["007", "008"]}


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("x.json", lambda path: ROWS.to_json(path, orient="records")),
        ("x.jsonl", lambda path: ROWS.to_json(path, orient="records", lines=True)),
        ("x.jsonl.gz", lambda path: ROWS.to_json(path, orient="records", lines=True)),
        ("x.feather", lambda path: ROWS.to_feather(path)),
        ("x.orc", lambda path: ROWS.to_orc(path)),
        ("x.parquet", lambda path: ROWS.to_parquet(path)),
    ],
)
def test_files_with_types_keep_them(
    reader: Reader, tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    pd.testing.assert_frame_equal(reader.read(tmp_path / name), ROWS, check_dtype=False)


def test_keywords_of_a_european_file(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id;v\n007;1,5\n", "latin-1")
    frame = reader.read(str(path), dtype={"id": str}, sep=";", decimal=",")
    assert frame.to_dict("list") == {"id": ["007"], "v": [1.5]}


@pytest.mark.parametrize(
    ("name", "keyword"), [("x.csv", "separator"), ("x.parquet", "sep"), ("x.feather", "sep")]
)
def test_a_keyword_that_the_file_does_not_take_is_refused(
    reader: Reader, tmp_path: Path, name: str, keyword: str
) -> None:
    path = tmp_path / name
    getattr(ROWS, {".csv": "to_csv"}.get(path.suffix, f"to_{path.suffix[1:]}"))(path)
    with pytest.raises(InvalidValue, match=rf"{name}.*{keyword}"):
        reader.read(path, **{keyword: ";"})


def test_a_keyword_that_makes_other_things_than_a_frame(reader: Reader, tmp_path: Path) -> None:
    ROWS.to_csv(tmp_path / "x.csv")
    with pytest.raises(InvalidValue, match=r"chunksize=1 returns a TextFileReader"):
        reader.read(tmp_path / "x.csv", chunksize=1)


def test_a_file_has_no_source(reader: Reader, tmp_path: Path) -> None:
    ROWS.to_csv(tmp_path / "x.csv")
    with pytest.raises(InvalidValue, match=r"source 'w' is for SQL text, and the file .*x.csv"):
        reader.read(tmp_path / "x.csv", "w")


def test_a_frame_takes_no_keywords(reader: Reader) -> None:
    with pytest.raises(InvalidValue, match="a DataFrame takes no keywords, but dtype"):
        reader.read(ROWS, dtype=str)


def test_a_latin_1_file_names_itself_and_the_keyword(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("name\nJosé\n".encode("latin-1"))
    with pytest.raises(InvalidValue, match=r"x.csv is not text in UTF-8: .*encoding='latin-1'"):
        reader.read(path)
    assert reader.read(path, encoding="latin-1")["name"].tolist() == ["José"]


@pytest.mark.parametrize(
    "name", ["x.csv", "x.csv.gz", "x.csv.bz2", "x.csv.xz", "x.json", "x.parquet", "x.orc"]
)
@pytest.mark.parametrize("content", [b"", b'"a,b\n1,2,3\n1'])
def test_a_broken_file_is_named(reader: Reader, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidValue, match=rf"{name} cannot be read: "):
        reader.read(tmp_path / name)


@pytest.mark.parametrize(("name", "package"), [("x.xlsx", "openpyxl"), ("x.csv.zst", "zstandard")])
def test_a_missing_library_is_named(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setattr(files, "find_spec", lambda module: None)
    with pytest.raises(ConfigurationError, match=rf"{name} .*pip install {package}"):
        reader.read(name)


def test_a_workbook(reader: Reader, tmp_path: Path) -> None:
    ROWS.to_excel(tmp_path / "x.xlsx", index=False)
    frame = reader.read(tmp_path / "x.xlsx", dtype={"id": str})
    assert frame["id"].tolist() == ["007", "008"]


def test_a_file_compressed_by_zstandard(reader: Reader, tmp_path: Path) -> None:
    ROWS.to_csv(tmp_path / "x.csv.zst", index=False)
    assert reader.read(tmp_path / "x.csv.zst", dtype={"id": str})["id"].tolist() == ["007", "008"]


def test_a_folder_of_parquet(reader: Reader, tmp_path: Path) -> None:
    folder = tmp_path / "some rows"
    folder.mkdir()
    with pytest.raises(InvalidValue, match=r"some rows' holds no .parquet file; .*\*.csv"):
        reader.read(folder)
    ROWS[:1].to_parquet(folder / "1.parquet")
    ROWS[1:].to_parquet(folder / "2.parquet")
    for path in (folder, str(folder)):
        assert reader.read(path)["id"].tolist() == ["007", "008"]
    assert list(reader.read(folder, columns=["v"])) == ["v"]


def test_a_glob(reader: Reader, tmp_path: Path) -> None:
    pattern = str(tmp_path / "part-*.csv")
    with pytest.raises(FileNotFoundError, match=re.escape(pattern)):
        reader.read(pattern)
    ROWS[:1].to_csv(tmp_path / "part-1.csv", index=False)
    ROWS[1:].to_csv(tmp_path / "part-2.csv", index=False)
    assert reader.read(pattern, dtype={"id": str})["id"].tolist() == ["007", "008"]
    ROWS[["id"]].to_csv(tmp_path / "part-3.csv", index=False)
    with pytest.raises(InvalidValue, match=r"part-3.csv and .*part-1.csv have different .*\(v\)"):
        reader.read(pattern)


def test_sql_that_ends_like_a_file_is_sql() -> None:
    assert not files.is_path("select * from schema.json")
    assert not files.is_path("WITH x AS (select 1) select * from x.orc")
    assert files.is_path("data/x.json")


# Frames of other libraries


class Stream:
    """A frame with Arrow's interface, as polars and duckdb have it."""

    columns = ("id", "v")

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return pa.Table.from_pandas(ROWS).__arrow_c_stream__(requested_schema)


class Pandas:
    """A frame that only `to_pandas` converts."""

    def to_pandas(self) -> pd.DataFrame:
        return ROWS


class Lazy:
    """A lazy frame as polars has it."""

    def lazy(self) -> Lazy:
        return self

    def collect_schema(self) -> Any:
        raise NotImplementedError

    def collect(self) -> Stream:
        return Stream()


def frames() -> list[Any]:
    table = pa.Table.from_pandas(ROWS)
    dataset = pyarrow.dataset.dataset(table)
    return [Stream(), Pandas(), Lazy(), table, table.to_batches()[0], table.to_reader(), dataset]


@pytest.mark.parametrize("index", range(7))
def test_frames_of_other_libraries(reader: Reader, index: int) -> None:
    frame = reader.load(lambda: frames()[index], "training_data")
    pd.testing.assert_frame_equal(frame, ROWS, check_dtype=False)
    assert len(reader.read([frames()[index], ROWS])) == 4


@pytest.mark.parametrize(
    "what",
    [3, None, b"x", {"id": [1]}, {1, 2}, ROWS["id"], np.array([1]), pa.array([1]), object(), [3]],
)
def test_other_things_are_refused_by_their_type(reader: Reader, what: Any) -> None:
    kind = "int" if isinstance(what, list) else type(what).__name__
    with pytest.raises(InvalidValue, match=rf"cannot read a {kind}; pass SQL text, .*polars"):
        reader.read(what)


def test_a_column_of_bytes(reader: Reader, tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": [1, 2], "key": [b"\xff\x00", None]})
    frame.to_parquet(tmp_path / "x.parquet")
    assert reader.read(tmp_path / "x.parquet")["key"].tolist()[0] == b"\xff\x00"
    assert len(file_digest(tmp_path / "x.parquet")) == 64


# SQL parameters


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("id = :x", np.int64(5)),
        ("id = :x", np.uint8(5)),
        ("amount = :x", np.float64(2.5)),
        ("amount = :x", np.float32(2.5)),
        ("amount = :x", Decimal("2.5")),
        ("name = :x", np.str_("n5")),
        ("id = 5 and 1 = :x", np.bool_(True)),
        ("id = 5 and day < :x", pd.Timestamp("2026-01-03")),
        ("id = 5 and day = :x", dt.date(2026, 1, 2)),
        ("id = 5 and day < :x", np.datetime64("2026-01-03")),
        ("id = 5 and '2026' != :x", uuid.uuid4()),
        ("id = :x", np.array(5)),
        ("id = :x", pa.scalar(5)),
        ("id = 5 and :x is null", None),
    ],
)
def test_scalars_of_numpy_and_pandas(reader: Reader, condition: str, value: Any) -> None:
    assert reader.read("select * from c where ?".replace("?", condition), x=value)[
        "id"
    ].tolist() == [5]


@pytest.mark.parametrize(
    "ids",
    [
        [1, 2],
        (1, 2),
        {1, 2},
        range(1, 3),
        {1: "a", 2: "b"}.keys(),
        np.array([1, 2]),
        np.array([1, 2], dtype=object),
        pd.Series([1, 2], index=[7, 8]),
        pd.Index([1, 2]),
        pd.array([1, 2], dtype="Int64"),
        pa.array([1, 2]),
        [np.int64(1), Decimal(2)],
    ],
)
@pytest.mark.parametrize("member", ["in :ids", "IN (:ids)", "in( :ids )"])
def test_lists_after_in(reader: Reader, ids: Any, member: str) -> None:
    frame = reader.read("select id from c where id ? or id ?".replace("?", member), ids=ids)
    assert frame["id"].tolist() == [1, 2]


def test_a_list_for_a_query_with_checks(reader: Reader) -> None:
    sql = "select id from c where id in (:ids) and day <= :day; "
    frame = reader.read(
        sql, checks=[RowCount(2)], ids=np.array([1, 2]), day=pd.Timestamp("2027-01-01")
    )
    assert frame["id"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.nan, "'x' is nan.*pass None"),
        (np.float32("nan"), "'x' is nan"),
        (pd.NaT, "'x' is NaT"),
        (np.datetime64("NaT"), "'x' is NaT"),
        (pd.NA, "'x' is <NA>"),
        ([1, np.nan], "'x' is nan"),
        (pd.Series([1, None]), "'x' is nan"),
        ([], "'x' is an empty list"),
        ([[1], [2]], "'x' is a list of lists"),
        (np.array([[1, 2]]), "'x' is a list of lists"),
        (pd.DataFrame({"a": [1]}), "'x' is a DataFrame; pass one column"),
        (2**70, r"a parameter of the SQL \(x\) is out of range"),
    ],
)
def test_values_that_no_row_can_equal_are_refused(reader: Reader, value: Any, says: str) -> None:
    with pytest.raises(InvalidValue, match=says):
        reader.read("select * from c where id in (:x)", x=value)


def test_a_list_elsewhere_says_how_to_write_it(reader: Reader) -> None:
    with pytest.raises(DatabaseError, match=r"The parameter 'ids' is a list: write `in :ids`"):
        reader.read("select * from c where id = :ids", ids=[1, 2])
    with pytest.raises(DatabaseError, match=r"The parameter 'x' is of type object; convert it"):
        reader.read("select * from c where id = :x", x=object())


def test_a_parameter_that_the_sql_does_not_have(reader: Reader) -> None:
    with pytest.raises(InvalidValue, match=r"no parameter :dtype; its parameters: :day"):
        reader.read("select * from c where day = :day", day="2026-01-02", dtype={"id": str})


def test_parameters_on_every_database(database_url: str) -> None:
    reader = Reader(load_settings(sources={"w": {"url": database_url}}, default_source="w"))
    engine, _ = reader._sources._engine("w")
    table = sa.Table(
        "amounts",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("amount", sa.Numeric(9, 2)),
        sa.Column("since", sa.Date),
        sa.Column("seen", sa.DateTime),
    )
    days = [dt.datetime(2026, 1, 1 + i) for i in range(4)]
    rows = [
        {"id": i, "amount": Decimal(i) / 2, "since": day.date(), "seen": day}
        for i, day in enumerate(days)
    ]
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(table.insert(), rows)
    engine.dispose()
    for condition, value in (
        ("id = :x", np.int64(2)),
        ("amount = :x", Decimal("1.00")),
        ("amount = :x", np.float64(1)),
        ("since = :x", dt.date(2026, 1, 3)),
        ("id in :x", [np.int64(2)]),
        ("id in (:x)", (2, 7)),
        ("since in (:x)", pd.Series([dt.date(2026, 1, 3), dt.date(2027, 1, 1)])),
        ("amount in :x", np.array([1.0, 99.0])),
    ):
        frame = reader.read("select id from amounts where ?".replace("?", condition), x=value)
        assert frame["id"].tolist() == [2], condition
    early = reader.read(
        "select id from amounts where seen < :x", x=pd.Timestamp("2026-01-01 12:00")
    )
    assert early["id"].tolist() == [0]
