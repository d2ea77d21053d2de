"""Decision trees as CASE, and sums of many of them.

Near the root, each split is a CASE. Below, a subtree is one CASE with a condition for each leaf,
which is slower, but the parser of SQLite takes no deeper nesting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.sql_scoring.expressions import Expression, Fragment, Number, Shared, Sql, joined

__all__ = ["Test", "Tree", "at_most_as_float32", "case_of", "sum_of"]

_DEEPEST = {"postgresql": 40, "mysql": 30, "mariadb": 30, "sqlite": 12}
_DEEPEST_ELSEWHERE = 8
_TREES = 250
"""Trees of one sum; the next one begins with its result."""

Test = tuple[Fragment, ...]
"""A condition that is true or not: where it is NULL, it counts as false."""


@dataclass
class Tree:
    """A binary tree; node 0 is the root.

    Attributes:
        tests: of each node that is no leaf; None for a leaf.
        yes: the node that follows where the test is true.
        no: the node that follows elsewhere.
        values: of each leaf.
    """

    tests: list[Test | None] = field(default_factory=list)
    yes: list[int] = field(default_factory=list)
    no: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add_leaf(self, value: float) -> int:
        """Add a leaf; return its place."""
        return self._add(None, value)

    def add_split(self, test: Test) -> int:
        """Add a split whose children are set later; return its place."""
        return self._add(test, 0.0)

    def _add(self, test: Test | None, value: float) -> int:
        self.tests.append(test)
        self.values.append(value)
        self.yes.append(0)
        self.no.append(0)
        return len(self.tests) - 1


def at_most_as_float32(thresholds: Any) -> NDArray[np.float64]:
    """Return the largest doubles whose float32 is at most each threshold.

    Libraries round numbers to float32 before they compare; a database compares doubles.
    """
    wanted = np.asarray(thresholds, dtype=np.float64)
    largest = np.float32(np.finfo(np.float32).max)
    with np.errstate(over="ignore"):
        low = np.clip(wanted, -largest, largest).astype(np.float32)
        low = np.where(low > wanted, np.nextafter(low, np.float32(-np.inf)), low)
        low = low.astype(np.float32)
        high = np.nextafter(low, np.float32(np.inf)).astype(np.float64)
    high = np.where(np.isinf(high), 2.0**128, high)
    middle = (low.astype(np.float64) + high) / 2  # exact; rounds to the even one of both
    even = low.view(np.uint32) % 2 == 0
    return np.where(even, middle, np.nextafter(middle, -np.inf))


class TreeCase(Sql):
    """The value of the leaf that a row reaches."""

    inherit_cache = False

    def __init__(self, tree: Tree, constants: list[float | None]) -> None:
        super().__init__()
        self.tree = tree
        self.constants = constants
        uses: Counter[Any] = Counter()
        for test in tree.tests:
            for part in test or ():
                if isinstance(part, Expression):
                    uses.update(part.uses)
        self.uses = uses

    def fragments_for(self, dialect: str) -> Sequence[Fragment]:
        """Return CASE in CASE, as deep as the dialect takes it."""
        fragments: list[Fragment] = []
        _nest(self, 0, fragments, _DEEPEST.get(dialect, _DEEPEST_ELSEWHERE))
        return fragments


def case_of(tree: Tree, value: Callable[[int], float] | None = None) -> Sql:
    """Return the value of the leaf that a row reaches.

    Args:
        tree: the tree.
        value: the value of a leaf, by its place; by default its own.
    """
    places = range(len(tree.tests))
    values = [tree.values[x] if value is None else value(x) for x in places]
    constants = _constants(tree, values)
    for place, test in enumerate(tree.tests):
        if test is None:
            Number(constants[place])  # refuse what is no finite number before it is rendered
    return TreeCase(tree, constants)


def _constants(tree: Tree, values: list[float]) -> list[float | None]:
    """Return the value of each subtree whose leaves all have the same, else None."""
    result: list[float | None] = [None] * len(tree.tests)
    stack = [(0, False)]
    while stack:
        node, visited = stack.pop()
        if tree.tests[node] is None:
            result[node] = values[node]
        elif visited:
            yes, no = result[tree.yes[node]], result[tree.no[node]]
            result[node] = yes if yes == no else None
        else:
            stack += [(node, True), (tree.yes[node], False), (tree.no[node], False)]
    return result


def _nest(case: TreeCase, node: int, fragments: list[Fragment], levels: int) -> None:
    tree, value = case.tree, case.constants[node]
    if value is not None:
        fragments.append(Number(value))
    elif not levels:
        _flat(case, node, fragments)
    else:
        fragments += ["CASE WHEN ", *(tree.tests[node] or ()), " THEN "]
        _nest(case, tree.yes[node], fragments, levels - 1)
        fragments.append(" ELSE ")
        _nest(case, tree.no[node], fragments, levels - 1)
        fragments.append(" END")


def _flat(case: TreeCase, node: int, fragments: list[Fragment]) -> None:
    """Write a subtree as one CASE: a leaf is reached if all tests with yes on its way are true.

    Leaves come in the order yes before no, so that a leaf after a no needs no test of it: what
    passed the test was taken by a leaf before.
    """
    tree = case.tree
    fragments.append("CASE")
    stack: list[tuple[int, list[Test]]] = [(node, [])]
    while stack:
        at, way = stack.pop()
        value = case.constants[at]
        if value is None:
            stack.append((tree.no[at], way))
            stack.append((tree.yes[at], [*way, tree.tests[at] or ()]))
        elif way:
            tests = [part for test in way for part in (" AND ", *test)][1:]
            fragments += [" WHEN ", *tests, " THEN ", Number(value)]
        else:
            fragments += [" ELSE ", Number(value)]
    fragments.append(" END")


def sum_of(trees: Sequence[Expression], start: float | None = None) -> Shared:
    """Return start + the trees, added in their order, as the libraries do.

    Args:
        trees: at least one.
        start: what is there before the first; None for nothing.
    """
    parts: list[Fragment] = [] if start is None else [Number(start)]
    result: Shared | None = None
    for at in range(0, len(trees), _TREES):
        terms = [*([] if result is None else [result]), *parts, *trees[at : at + _TREES]]
        more = at + _TREES < len(trees)
        result = Shared(Sql(*joined(" + ", terms)), cheap=more, deep=more)
        parts = []
    if result is None:
        return Shared(Sql(*parts), cheap=True)
    return result
