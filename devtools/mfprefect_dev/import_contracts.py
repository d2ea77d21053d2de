"""A contract type for import-linter that it lacks: no circles between modules.

Its `acyclic_siblings` compares the children of one package with each other, so it misses a module
that imports its own package while the package imports the module.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import cast

import grimp
from importlinter import Contract, ContractCheck, fields, output
from importlinter.application.contract_utils import AlertLevel, remove_ignored_imports_and_report
from importlinter.domain.imports import ImportExpression

__all__ = ["AcyclicModules", "import_circles"]


def import_circles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Return the circles of imports; each ends with the module it starts with.

    Takes the last import of each circle out of the graph to find the next one.
    """
    imports = {
        module: set(graph.find_modules_directly_imported_by(module))
        for module in sorted(graph.modules)
    }
    circles: list[list[str]] = []
    while True:
        try:
            TopologicalSorter(imports).prepare()
        except CycleError as exc:
            circle = list(reversed(exc.args[1]))
            imports[circle[-2]].remove(circle[-1])
            circles.append(circle)
        else:
            return circles


class AcyclicModules(Contract):
    """No module imports itself through others."""

    type_name = "acyclic_modules"

    ignore_imports = fields.SetField(subfield=fields.ImportExpressionField(), required=False)
    unmatched_ignore_imports_alerting = fields.EnumField(AlertLevel, default=AlertLevel.ERROR)

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        """Look for circles in the graph without the ignored imports."""
        removal = remove_ignored_imports_and_report(
            graph=graph,
            ignore_imports=list(cast("set[ImportExpression] | None", self.ignore_imports) or ()),
            unmatched_alerting=cast("AlertLevel", self.unmatched_ignore_imports_alerting),
        )
        circles = import_circles(graph)
        return ContractCheck(
            kept=not circles,
            warnings=list(removal.warnings),
            ignored_import_count=removal.ignored_import_count,
            metadata={"circles": circles},
        )

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each circle on a line."""
        for circle in check.metadata["circles"]:
            output.print_error(" -> ".join(circle))
        output.new_line()
