"""Lift and capture of published scores, with outcomes in a table of the same database."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from mfprefect.errors import InvalidValue
from mfprefect.schema import Double
from mfprefect.store.database import Database
from mfprefect.store.scores.aggregates import MAX_EDGES, Published, bin_no, order_statistics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAX_SHARES", "lift"]

MAX_SHARES = MAX_EDGES // 2
"""Shares at once, at most: each takes two edges, to count the rows at its cut-off separately."""
_MAX_NAMES = 20


def lift(
    db: Database, session_id: str, outcomes: str, at: Sequence[float], entity_id: str, actual: str
) -> pd.DataFrame:
    """Return share, rows, threshold, positives, lift and capture; see `Store.score_lift`."""
    import pandas as pd

    shares = [_share(q) for q in at]
    if len(set(shares)) > MAX_SHARES:
        raise InvalidValue(f"{len(shares)} shares; pass at most {MAX_SHARES} at once.")

    def work(connection: sa.Connection) -> pd.DataFrame:
        published = Published.of(db, connection, session_id)
        columns = _outcomes(connection, outcomes, entity_id, actual)
        joined = _joined(db, connection, published, columns)
        n, positives = _totals(connection, joined, published, outcomes, actual)
        # Decimal, because in binary 0.07 * 100 is a little above 7.
        rows = [math.ceil(Decimal(repr(q)) * n) for q in shares]
        score = order_statistics(connection, published, joined, n, [n - k for k in rows])
        cuts = [score[n - k] for k in rows]
        above, counted = _count_above(connection, joined, cuts)
        published.require(counted, n)
        hits = [_pro_rata(k, *above[cut]) for k, cut in zip(rows, cuts, strict=True)]
        return pd.DataFrame(
            {
                "share": np.array(shares, np.float64),
                "rows": np.array(rows, np.int64),
                "threshold": np.array(cuts, np.float64),
                "positives": np.array(hits, np.float64),
                "lift": [h * n / (k * positives) for h, k in zip(hits, rows, strict=True)],
                "capture": [h / positives for h in hits],
            }
        )

    return db.read_snapshot(work)


def _share(q: Any) -> float:
    if isinstance(q, bool) or not isinstance(q, int | float | np.number) or not 0 < q <= 1:
        raise InvalidValue(f"the share is {q!r}; pass numbers above 0 and up to 1: 0.1 is 10 %")
    return float(q)


def _outcomes(
    connection: sa.Connection, name: str, entity_id: str, actual: str
) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """Return the columns of ids and outcomes of a table or view.

    Raises:
        InvalidValue: the table or a column does not exist, or `actual` is not numeric.
    """
    schema, _, table = name.rpartition(".")
    inspector = sa.inspect(connection)
    columns = _columns(inspector, schema, table)
    if not columns:
        raise InvalidValue(f"there is no table or view {name!r}; {_choices(inspector, schema)}.")
    for column in (entity_id, actual):
        if column not in columns:
            raise InvalidValue(
                f"{name!r} has no column {column!r}; its columns: {', '.join(sorted(columns))}. "
                "Name them with entity_id=.. and actual=.."
            )
    kind = columns[actual]
    if not isinstance(kind, (sa.Boolean, sa.Integer, sa.Numeric, sa.Float, sa.types.NullType)):
        raise InvalidValue(
            f"column {actual!r} of {name!r} is {kind}; it must hold 0 and 1, as numbers or "
            "booleans. Convert it in a view."
        )
    source = sa.table(table, sa.column(entity_id), sa.column(actual, kind), schema=schema or None)
    happened: sa.ColumnElement[Any] = source.c[actual]
    if isinstance(kind, sa.Boolean):
        happened = sa.cast(happened, sa.Integer)
    return source.c[entity_id], happened


def _columns(inspector: sa.Inspector, schema: str, table: str) -> dict[str, Any]:
    if not table or (schema and schema not in inspector.get_schema_names()):
        return {}
    try:
        return {c["name"]: c["type"] for c in inspector.get_columns(table, schema or None)}
    except (sa.exc.NoSuchTableError, sa.exc.ProgrammingError):  # the latter: not even a name
        return {}


def _choices(inspector: sa.Inspector, schema: str) -> str:
    schemas = inspector.get_schema_names()
    if schema and schema not in schemas:
        return f"there is no schema {schema!r}; schemas: {_some(schemas)}"
    names = {*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)}
    where = schema or inspector.default_schema_name
    return f"{where!r} holds: {_some(names)}; name a table of another schema as 'schema.table'"


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = [f"and {len(ordered) - _MAX_NAMES} more"] if len(ordered) > _MAX_NAMES else []
    return ", ".join([*ordered[:_MAX_NAMES], *more]) or "nothing"


def _joined(
    db: Database,
    connection: sa.Connection,
    published: Published,
    columns: tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]],
) -> sa.Subquery:
    """Return entity_id, score and happened of the entities with an outcome."""
    entity_id, happened = columns
    scores = published.scores.c
    same_entity = scores.entity_id == db.backend.as_entity_id(connection, entity_id)
    return (
        sa.select(scores.entity_id, scores.score, happened.label("happened"))
        .join_from(published.scores, entity_id.table, same_entity)
        .where(happened.is_not(None))
        .subquery("joined")
    )


def _totals(
    connection: sa.Connection, joined: sa.Subquery, published: Published, outcomes: str, actual: str
) -> tuple[int, int]:
    """Return the counts of rows and positives.

    Raises:
        InvalidValue: no row, one class only, an outcome other than 0 or 1, or a repeated entity.
    """
    happened = joined.c.happened
    binary = sa.case((happened.in_([sa.literal_column("0"), sa.literal_column("1")]), 1), else_=0)
    ids = joined.c.entity_id
    counts = sa.select(
        sa.func.count(),
        sa.func.count(ids.distinct()),
        sa.func.sum(binary),
        sa.func.sum(_positive(happened)),
    )
    n, n_distinct, n_binary, positives = connection.execute(counts.select_from(joined)).one()
    if not n:
        raise InvalidValue(
            f"none of the {published.n} entities of session {published.session_id!r} has an "
            f"outcome in {outcomes!r}; entity ids are compared as text."
        )
    if n_binary != n:
        raise InvalidValue(
            f"{n - n_binary} of {n} values of {actual!r} in {outcomes!r} are not 0, 1 or NULL; "
            "convert them in a view."
        )
    if n_distinct != n:
        example = _repeated_entity(connection, ids)
        raise InvalidValue(
            f"{n - n_distinct} rows of {outcomes!r} repeat an entity, such as {example!r}; an "
            "entity has one outcome. Choose it in a view."
        )
    if positives in (0, n):
        raise InvalidValue(
            f"all {n} outcomes are {0 if positives == 0 else 1}; lift needs rows of both classes."
        )
    return n, int(positives)


def _repeated_entity(connection: sa.Connection, ids: sa.ColumnElement[str]) -> str:
    twice = sa.select(ids).group_by(ids).having(sa.func.count() > 1).subquery("twice")
    example: str = connection.execute(sa.select(sa.func.min(twice.c.entity_id))).scalar_one()
    return example


def _positive(happened: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.case((happened == sa.literal_column("1"), 1), else_=0)


def _count_above(
    connection: sa.Connection, joined: sa.Subquery, cuts: Sequence[float]
) -> tuple[dict[float, tuple[int, int, int, int]], int]:
    """Count rows and positives above and at each cut-off, in one query of 2·cuts + 1 groups.

    Returns:
        By cut-off: rows above, positives above, rows at it, positives at it; and all rows.
    """
    score, distinct = joined.c.score, sorted(set(cuts))
    ends = [sa.literal(cut, Double) for cut in distinct]
    tests = [test for end in ends for test in (score < end, score <= end)]
    inner = sa.select(bin_no(tests).label("bin_no"), joined.c.happened).subquery("numbered")
    select = sa.select(
        inner.c.bin_no, sa.func.count(), sa.func.sum(_positive(inner.c.happened))
    ).group_by(inner.c.bin_no)
    counts = np.zeros((len(tests) + 1, 2), np.int64)
    for number, rows, positives in connection.execute(select):
        counts[number] = rows, int(positives)
    above = counts[::-1].cumsum(axis=0)[::-1]
    at_cuts = {
        cut: (*above[2 * i + 2].tolist(), *counts[2 * i + 1].tolist())
        for i, cut in enumerate(distinct)
    }
    return at_cuts, int(above[0, 0])


def _pro_rata(k: int, above: int, hits_above: int, here: int, hits_here: int) -> float:
    """Return the positives among the top k; ties at the cut-off count pro rata."""
    return hits_above + hits_here * (k - above) / here
