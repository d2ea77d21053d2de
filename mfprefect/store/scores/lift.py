"""Lift and capture of published scores against a table of outcomes in the same database."""

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
from mfprefect.store.scores.aggregates import MOST_EDGES, Published, bin_no, order_statistics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST_SHARES", "lift"]

MOST_SHARES = MOST_EDGES // 2
"""The most shares at once: each is two edges, as rows at its cut-off are counted by themselves."""
_SHOWN = 20


def lift(
    db: Database, session_id: str, outcomes: str, at: Sequence[float], entity_id: str, actual: str
) -> pd.DataFrame:
    """Return share, rows, threshold, positives, lift and capture of each top share."""
    import pandas as pd

    shares = [_share(q) for q in at]
    if len(set(shares)) > MOST_SHARES:
        raise InvalidValue(f"{len(shares)} shares; pass at most {MOST_SHARES} at once.")

    def work(connection: sa.Connection) -> pd.DataFrame:
        published = Published.of(db, connection, session_id)
        theirs = _outcomes(connection, outcomes, entity_id, actual)
        joined = _joined(db, connection, published, theirs)
        n, positives = _totals(connection, joined, published, outcomes, actual)
        # The decimal text of a share: in binary, 0.07 * 100 is a little above 7.
        rows = [math.ceil(Decimal(repr(q)) * n) for q in shares]
        score = order_statistics(connection, published, joined, n, [n - k for k in rows])
        cuts = [score[n - k] for k in rows]
        above, counted = _above(connection, joined, cuts)
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

    return db.read_transaction(work)


def _share(q: Any) -> float:
    if isinstance(q, bool) or not isinstance(q, int | float | np.number) or not 0 < q <= 1:
        raise InvalidValue(f"the share is {q!r}; it takes numbers above 0, at most 1: 0.1 is 10 %")
    return float(q)


def _outcomes(
    connection: sa.Connection, name: str, entity_id: str, actual: str
) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """Return the two columns of a table or view that a person named, after a look at what is there.

    Raises:
        InvalidValue: there is no such table or column, or `actual` holds no numbers.
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
    if not isinstance(kind, (sa.Boolean, sa.Integer, sa.Numeric, sa.types.NullType)):
        raise InvalidValue(
            f"{actual!r} of {name!r} is {kind}; it takes 0 and 1, as numbers or booleans. A view "
            "can translate it."
        )
    theirs = sa.table(table, sa.column(entity_id), sa.column(actual, kind), schema=schema or None)
    happened: sa.ColumnElement[Any] = theirs.c[actual]
    if isinstance(kind, sa.Boolean):
        happened = sa.cast(happened, sa.Integer)
    return theirs.c[entity_id], happened


def _columns(inspector: sa.Inspector, schema: str, table: str) -> dict[str, Any]:
    if not table or (schema and schema not in inspector.get_schema_names()):
        return {}
    try:
        return {c["name"]: c["type"] for c in inspector.get_columns(table, schema or None)}
    except (sa.exc.NoSuchTableError, sa.exc.ProgrammingError):  # the latter: no name at all
        return {}


def _choices(inspector: sa.Inspector, schema: str) -> str:
    schemas = inspector.get_schema_names()
    if schema and schema not in schemas:
        return f"there is no schema {schema!r}; schemas: {_some(schemas)}"
    names = {*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)}
    where = schema or inspector.default_schema_name
    return f"{where!r} holds: {_some(names)}; name one of another schema as 'schema.table'"


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = [f"and {len(ordered) - _SHOWN} more"] if len(ordered) > _SHOWN else []
    return ", ".join([*ordered[:_SHOWN], *more]) or "nothing"


def _joined(
    db: Database,
    connection: sa.Connection,
    published: Published,
    theirs: tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]],
) -> sa.Subquery:
    """Return entity_id, score and happened of those whose outcome is known."""
    entity_id, happened = theirs
    ours = published.scores.c
    same = ours.entity_id == db.backend.as_entity_id(connection, entity_id)
    return (
        sa.select(ours.entity_id, ours.score, happened.label("happened"))
        .join_from(published.scores, entity_id.table, same)
        .where(happened.is_not(None))
        .subquery("joined")
    )


def _totals(
    connection: sa.Connection, joined: sa.Subquery, published: Published, outcomes: str, actual: str
) -> tuple[int, int]:
    """Return how many rows and positives there are.

    Raises:
        InvalidValue: no row, one class only, an outcome that is not 0 or 1, or an entity twice.
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
    n, n_distinct, n_known, positives = connection.execute(counts.select_from(joined)).one()
    if not n:
        raise InvalidValue(
            f"none of the {published.n} entities of session {published.session_id!r} has an "
            f"outcome in {outcomes!r}; entity ids are compared as text."
        )
    if n_known != n:
        raise InvalidValue(
            f"{n - n_known} of {n} values of {actual!r} in {outcomes!r} are not 0, 1 or NULL; a "
            "view can translate them."
        )
    if n_distinct != n:
        twice = sa.select(ids).group_by(ids).having(sa.func.count() > 1).subquery("twice")
        example = connection.execute(sa.select(sa.func.min(twice.c.entity_id))).scalar_one()
        raise InvalidValue(
            f"{n - n_distinct} rows of {outcomes!r} repeat an entity, such as {example!r}; an "
            "entity has one outcome. A view can choose which."
        )
    if positives in (0, n):
        raise InvalidValue(
            f"all {n} outcomes are {0 if positives == 0 else 1}; lift needs rows of both classes."
        )
    return n, int(positives)


def _positive(happened: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.case((happened == sa.literal_column("1"), 1), else_=0)


def _above(
    connection: sa.Connection, joined: sa.Subquery, cuts: Sequence[float]
) -> tuple[dict[float, tuple[int, int, int, int]], int]:
    """Return rows and positives above each cut-off and at it, from 2·cuts + 1 groups; all rows."""
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
    """Return the positives among the top k: rows that share the cut-off count in equal parts."""
    return hits_above + hits_here * (k - above) / here
