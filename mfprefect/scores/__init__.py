"""Scores as Arrow tables: validated before any write, sorted, and digested.

Pure: takes frames and batches, returns Arrow tables; opens no connection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mfprefect.errors import InvalidScores
from mfprefect.schema import ENTITY_ID_LENGTH, NAME_LENGTH
from mfprefect.scores.byte_order import byte_order
from mfprefect.util.frames import arrow_stream
from mfprefect.util.parquet import UNREADABLE, longest_texts

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PIECE_ROWS",
    "SCHEMA",
    "all_pieces",
    "batches",
    "entity_ids",
    "gathered",
    "joined",
    "normalise",
    "pieces",
    "refuse",
    "validated",
]

SCHEMA = pa.schema(
    [
        pa.field("entity_id", pa.large_string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("score_class", pa.large_string()),
    ]
)
EXAMPLES = 5
ONE_SCORE = "an entity has one score"
_NOTHING_WRITTEN = " Nothing of this part was written."
MOST_BYTES = 4 * ENTITY_ID_LENGTH
"""The most bytes of an id in UTF-8."""
PIECE_ROWS = 100_000
"""Roughly the rows in memory at once; larger pieces do not load faster."""


def batches(
    data: Any, columns: Sequence[str] = (), inside: str = ""
) -> Iterator[pd.DataFrame | pa.Table]:
    """Yield scores as frames and Arrow tables.

    Accept a frame of any library (pandas, polars, pyarrow, duckdb, ..), a dict of columns, the path
    of a Parquet file (read 100,000 rows at a time, and only `columns`), or an iterable of these.

    Raises:
        InvalidScores: the type is none of these, or the file is missing or not Parquet.
    """
    import pandas as pd

    if isinstance(data, (str, Path)):
        yield from _parquet(data, columns)
    elif isinstance(data, (pd.DataFrame, pa.Table)):
        yield data
    elif isinstance(data, Mapping):
        yield _columns(data)
    elif (stream := arrow_stream(data, columns)) is not None:
        for batch in stream:
            yield pa.Table.from_batches([batch])
    elif _is_iterable(data) and (not inside or isinstance(data, Iterator)):
        for item in data:
            yield from batches(item, columns, f"a {type(data).__name__} of ")
            del item  # frees it before the next one is created
    else:
        kind = type(data).__name__
        raise InvalidScores(
            f"scores cannot be {inside or 'a '}{kind}; pass a frame (pandas, polars, pyarrow, "
            "duckdb), a dict of columns, the path of a Parquet file, or an iterable of these. Make "
            'a frame of anything else: pandas.DataFrame({"id": ids, "score": scores}).'
        )


def _is_iterable(data: Any) -> bool:
    """Return whether it may yield frames, unlike a column, an array, bytes or a set."""
    column = hasattr(data, "dtype") or hasattr(data, "to_pylist")
    return isinstance(data, Iterable) and not column and not isinstance(data, (bytes, Set))


def _columns(data: Mapping[Any, Any]) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.DataFrame(dict(data))
    except (ValueError, TypeError) as exc:
        raise InvalidScores(
            f"the dict of scores cannot be read as columns: {exc}. Pass a dict of columns of one "
            "length, or a DataFrame."
        ) from exc


def _parquet(path: str | Path, columns: Collection[str]) -> Iterator[pa.Table]:
    try:
        yield from _tables(path, columns)
    except InvalidScores:
        raise
    except (*UNREADABLE, pa.ArrowException) as exc:
        raise InvalidScores(
            f"scores cannot be read from {str(path)!r}: {exc}. "
            "Pass the path of a Parquet file, or the frame itself."
        ) from exc


def _tables(path: str | Path, columns: Collection[str]) -> Iterator[pa.Table]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        if not set(columns) <= set(schema.names):
            yield schema.empty_table()  # the caller reports the missing column
            return
        for name, longest, _ in longest_texts(path, columns):
            if longest > MOST_BYTES:
                raise InvalidScores(
                    f"column {name!r} holds a text of {longest} bytes; at most {ENTITY_ID_LENGTH} "
                    "characters fit. Nothing was read."
                )
        for batch in file.iter_batches(PIECE_ROWS, columns=list(columns) or None):
            yield pa.Table.from_batches([batch])


def normalise(
    data: pd.DataFrame | pa.Table, entity_id: str, score: str, score_class: str | None
) -> pa.Table:
    """Return entity_id (text), score (float64), score_class (text), sorted by the bytes of ids.

    Integer ids become decimal digits. Databases load sorted rows twice as fast.

    Raises:
        InvalidScores: a column is missing; ids are NULL, empty, duplicate, too long, of mixed
            types, or neither text nor integers; scores are NULL, NaN, infinite or not numbers.
    """
    return _sorted(validated(data, entity_id, score, score_class), entity_id)


def pieces(
    data: pd.DataFrame | pa.Table, entity_id: str, score: str, score_class: str | None
) -> Iterator[pa.Table]:
    """Yield the table of `normalise` in pieces of 100,000 rows; validate all rows first."""
    table = validated(data, entity_id, score, score_class)
    order = _order(table, entity_id)
    for start in range(0, max(len(order), 1), PIECE_ROWS):
        yield table.take(order[start : start + PIECE_ROWS])


def all_pieces(
    data: Any, entity_id: str, score: str, score_class: str | None
) -> Iterator[pa.Table]:
    """Yield the pieces of all frames or batches in `data`, joining small ones."""
    names = [entity_id, score, *([score_class] if score_class else [])]

    def tables() -> Iterator[pa.Table]:
        for frame in batches(data, names):
            yield from pieces(frame, entity_id, score, score_class)
            del frame

    return gathered(tables(), entity_id)


def entity_ids(column: Any, name: str, rule: str = "an entity has one row") -> list[str]:
    """Return the ids of a column as they are stored, in their order; refuse what scores refuse.

    Args:
        column: the ids.
        name: the name of the column, for errors.
        rule: what duplicates break, for errors.

    Raises:
        InvalidScores: ids are NULL, empty, duplicate, too long, or neither text nor integers.
    """
    if len(column) == 0:
        return []
    try:
        ids = _text(_column({name: column}, name), name, ENTITY_ID_LENGTH, nullable=False)
        _check_unique(ids.take(pa.array(byte_order(ids))), name, rule)
    except InvalidScores as exc:
        text = str(exc).removesuffix(_NOTHING_WRITTEN)
        raise InvalidScores(text, examples=exc.examples) from None
    texts: list[str] = ids.to_pylist()
    return texts


def validated(
    data: pd.DataFrame | pa.Table, entity_id: str, score: str, score_class: str | None
) -> pa.Table:
    """Return the table of `normalise` before it is sorted and its ids are compared.

    Raises:
        InvalidScores: as `normalise`, except for duplicate ids.
    """
    names = [entity_id, score, *([score_class] if score_class else [])]
    columns = data.column_names if isinstance(data, pa.Table) else data.columns
    _check_columns(list(columns), names)
    if len(data) == 0:
        return SCHEMA.empty_table()
    ids = _text(_column(data, entity_id), entity_id, ENTITY_ID_LENGTH, nullable=False)
    values = _numbers(_column(data, score), score, ids)
    classes = (
        _text(_column(data, score_class), score_class, NAME_LENGTH, nullable=True)
        if score_class
        else pa.nulls(len(ids), pa.large_string())
    )
    return pa.Table.from_arrays([ids, values, classes], schema=SCHEMA)


def _order(table: pa.Table, entity_id: str) -> pa.Array:
    """Return the positions of the rows in the order of their ids; refuse duplicate ids."""
    ids = table["entity_id"].combine_chunks()
    order = pa.array(byte_order(ids))
    _check_unique(ids.take(order), entity_id, ONE_SCORE)
    return order


def _sorted(table: pa.Table, entity_id: str) -> pa.Table:
    return table.combine_chunks().take(_order(table, entity_id))


def joined(tables: Iterable[pa.Table], entity_id: str) -> pa.Table:
    """Join normalised tables into one, sorted; refuse an entity in several of them."""
    parts = list(tables)
    if len(parts) == 1:
        return parts[0]
    return _sorted(pa.concat_tables([SCHEMA.empty_table(), *parts]), entity_id)


def gathered(tables: Iterable[pa.Table], entity_id: str) -> Iterator[pa.Table]:
    """Join small normalised tables into few pieces of about PIECE_ROWS rows, one a transaction."""
    pending: list[pa.Table] = []
    rows, first = 0, True
    for table in tables:
        if not first and not table.num_rows:
            continue
        first = False
        if pending and rows + table.num_rows > PIECE_ROWS:
            yield joined(pending, entity_id)
            pending, rows = [], 0
        pending.append(table)
        rows += table.num_rows
        if rows >= PIECE_ROWS:  # yield before the next table is in memory
            yield joined(pending, entity_id)
            pending, rows = [], 0
    if pending:
        yield joined(pending, entity_id)


def _check_columns(columns: list[Any], names: list[str]) -> None:
    missing = [name for name in names if name not in columns]
    if missing:
        raise InvalidScores(
            f"the scores have no column {missing[0]!r}; their columns: "
            f"{', '.join(map(str, columns))}. Name them with entity_id=, score= and score_class=."
        )
    for name in names:
        if columns.count(name) > 1:
            raise InvalidScores(
                f"the scores have several columns named {name!r}; rename or drop all but one."
            )


def _column(data: Any, name: str) -> pa.Array:
    column = data[name]
    if not isinstance(column, pa.ChunkedArray):
        column = _to_arrow(column, name)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return _decoded(column) if pa.types.is_dictionary(column.type) else column


def _decoded(column: pa.DictionaryArray) -> pa.Array:
    if pa.types.is_string_view(column.type.value_type):  # polars' categories; Arrow decodes none
        levels = column.dictionary.cast(pa.large_string())
        column = pa.DictionaryArray.from_arrays(column.indices, levels)
    return column.dictionary_decode()


def _to_arrow(column: Any, name: str) -> pa.Array | pa.ChunkedArray:
    import pandas as pd

    if isinstance(getattr(column, "dtype", None), pd.SparseDtype):
        column = column.sparse.to_dense()
    try:
        return pa.array(column, from_pandas=True)
    except UnicodeEncodeError as exc:
        raise InvalidScores(f"column {name!r} holds text that is not Unicode: {exc}.") from exc
    except (pa.ArrowInvalid, pa.ArrowTypeError) as exc:
        kinds = sorted({type(value).__name__ for value in column})
        raise InvalidScores(
            f"column {name!r} mixes types ({', '.join(kinds)}); convert it to one type."
        ) from exc
    except OverflowError as exc:
        raise InvalidScores(
            f"column {name!r} holds an integer of more than 64 bits; convert it to text, for "
            f"example with frame[{name!r}].astype(str)."
        ) from exc


def _text(array: pa.Array, name: str, length: int, *, nullable: bool) -> pa.Array:
    if pa.types.is_null(array.type):
        array = array.cast(pa.large_string())
    if not (
        pa.types.is_string(array.type)
        or pa.types.is_large_string(array.type)
        or pa.types.is_string_view(array.type)
        or pa.types.is_integer(array.type)
    ):
        fix = f"frame[{name!r}].astype(str)"
        if pa.types.is_floating(array.type):  # as text they would end in .0
            fix = f"frame[{name!r}].astype('Int64'); pandas turns integers with gaps into floats"
        raise InvalidScores(
            f"column {name!r} is of type {array.type}; it must be text or integers. Convert it, "
            f"for example with {fix}."
        )
    text = array.cast(pa.large_string())
    if not nullable and text.null_count:
        refuse(f"{text.null_count} of {len(text)} values in {name!r} are NULL", ())
    _refuse_where(
        text,
        pc.greater(pc.utf8_length(text), length),
        f"in {name!r} are longer than {length} characters",
    )
    # PostgreSQL cannot store NUL, and the others store it differently.
    _refuse_where(text, pc.match_substring(text, "\0"), f"in {name!r} hold a NUL character")
    if not nullable:
        _refuse_where(text, pc.equal(text, ""), f"in {name!r} are empty")
    return text


def _numbers(array: pa.Array, name: str, ids: pa.Array) -> pa.Array:
    if pa.types.is_boolean(array.type) or not (
        pa.types.is_integer(array.type)
        or pa.types.is_floating(array.type)
        or pa.types.is_decimal(array.type)
    ):
        raise InvalidScores(f"column {name!r} is of type {array.type}; scores are numbers.")
    try:
        values = array.cast(pa.float64())
    except pa.ArrowInvalid as exc:
        raise InvalidScores(
            f"column {name!r} holds a number that a double cannot represent exactly: {exc}."
        ) from exc
    bad = pc.invert(pc.fill_null(pc.is_finite(values), False))
    count = pc.sum(bad).as_py() or 0
    if count:
        examples = ids.filter(bad)[:EXAMPLES].to_pylist()
        refuse(f"{count} of {len(values)} scores are NULL, NaN or infinite; entities", examples)
    return values


def _check_unique(column: pa.Array, name: str, rule: str) -> None:
    if len(column) < 2:
        return
    repeated = pa.concat_arrays([pa.array([False]), pc.equal(column[1:], column[:-1])])
    _refuse_where(column, repeated, f"in {name!r} are duplicates; {rule}")


def _refuse_where(text: pa.Array, bad: pa.Array, problem: str) -> None:
    bad = pc.fill_null(bad, False)
    count = pc.sum(bad).as_py() or 0
    if count:
        refuse(f"{count} of {len(text)} values {problem}", text.filter(bad)[:EXAMPLES].to_pylist())


def refuse(problem: str, examples: Iterable[Any]) -> None:
    """Raise InvalidScores with a problem, and examples of the values that have it."""
    listed = ", ".join(repr(str(value)[:60]) for value in examples)
    raise InvalidScores(
        f"{problem}{': ' + listed if listed else ''}.{_NOTHING_WRITTEN}", examples=tuple(examples)
    )
