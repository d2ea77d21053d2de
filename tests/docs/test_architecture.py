"""docs/architecture.md and CONTRIBUTING.md describe the code as it is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfprefect.schema import VIEWS, Schema

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / name).read_text() for name in ("docs/architecture.md", "CONTRIBUTING.md")}
ARCHITECTURE = PAGES["docs/architecture.md"]
DIAGRAM = ARCHITECTURE.split("```mermaid\nflowchart")[1].split("```")[0]
FOUNDATIONS = "foundations"
ALSO = {"retention": "settings"}
"""Modules that share a box with another one."""


def members() -> dict[str, str]:
    """Return the box of each package and module, and the group that it is in."""
    boxes: dict[str, str] = {}
    group = ""
    for line in DIAGRAM.splitlines():
        if opening := re.match(r"\s*subgraph (\w+)", line):
            group = opening[1]
        elif line.strip() == "end":
            group = ""
        elif box := re.match(r"\s*(\w+)\[", line):
            boxes[box[1]] = group
    return boxes


def arrows(kind: str) -> dict[str, set[str]]:
    """Return where the arrows of a kind lead, groups being written as their members."""
    boxes = members()
    targets: dict[str, set[str]] = {}
    for source, target in re.findall(rf"^\s*(\w+) {kind} (\w+)$", DIAGRAM, re.MULTILINE):
        for start in {box for box, group in boxes.items() if source in (box, group)}:
            ends = {box for box, group in boxes.items() if target in (box, group)}
            targets.setdefault(start, set()).update(ends)
    return targets


def reachable(box: str, targets: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [box]
    while waiting:
        for target in targets.get(waiting.pop(), set()) - reached:
            reached.add(target)
            waiting.append(target)
    return reached


def imports() -> Iterator[tuple[str, str, str]]:
    """Yield file, importing and imported box; what only type checkers import does not count."""
    for folder in ("mfprefect", "backends/mfprefect_backends"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            if file == ROOT / "mfprefect" / "__init__.py":
                continue  # the public names, loaded on first use
            tree = ast.parse(file.read_text())
            for node in _executed(tree):
                for module in _modules(node):
                    names = module.split(".")
                    target = names[1] if names[0] == "mfprefect" else names[0]
                    relative = file.relative_to(ROOT / folder).with_suffix("").parts
                    source = relative[0] if folder == "mfprefect" else "mfprefect_backends"
                    yield str(file), ALSO.get(source, source), ALSO.get(target, target)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _executed(child)


def _modules(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom) and node.module == "mfprefect":
        for alias in node.names:
            package = ROOT / "mfprefect" / alias.name
            if package.is_dir() or package.with_suffix(".py").exists():
                yield f"mfprefect.{alias.name}"
    elif isinstance(node, ast.ImportFrom) and re.match(
        r"mfprefect(_backends)?\.", node.module or ""
    ):
        yield str(node.module)


def test_every_package_is_in_the_diagram() -> None:
    there = {
        path.stem
        for path in (ROOT / "mfprefect").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    drawn = set(members()) | set(ALSO)
    assert drawn == there - {"__init__"} | {"mfprefect_backends"}


def test_the_arrows_are_those_of_the_imports() -> None:
    boxes, solid, doors = members(), arrows("-->"), arrows(r"-\. \".*?\" \.->")
    assert doors == {"model": {"lifecycle"}, "store": {"session"}}
    undrawn = {
        f"{source} -> {target} ({Path(file).relative_to(ROOT)})"
        for file, source, target in imports()
        if source != target
        and boxes[target] != FOUNDATIONS
        and target not in reachable(source, solid) | doors.get(source, set())
    }
    assert not undrawn, "draw these arrows in docs/architecture.md, or turn the imports round"
    upwards = {box for box in boxes if box in reachable(box, solid)}
    assert not upwards, "the arrows form a circle"


def test_every_table_and_view_has_its_row() -> None:
    text = ARCHITECTURE.split("## Tables by subject")[1]
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \|", text, re.MULTILINE)
    tables = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(tables) == sorted(Schema().tables)
    for view in VIEWS:
        assert f"`{view}`" in text.split("\n\nViews")[1]


@pytest.mark.parametrize("page", PAGES)
def test_every_path_exists(page: str) -> None:
    roots = ("mfprefect", "backends", "devtools", "tests", "docs", "flows", "benchmarks")
    named = re.findall(r"`([\w./-]+(?:/|\.py|\.md|\.toml))`", PAGES[page])
    paths = {name for name in named if name.startswith(tuple(f"{root}/" for root in roots))}
    assert len(paths) > 10
    assert not {path for path in paths if not (ROOT / path).exists()}


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages == set(re.findall(r"\]\(([\w-]+\.md)", index))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs"])
def test_every_link_leads_somewhere(page: str) -> None:
    place = ROOT / page
    for file in sorted(place.glob("*.md")) if place.is_dir() else [place]:
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", file.read_text()):
            name, _, anchor = target.partition("#")
            linked = (file.parent / name) if name else file
            assert linked.exists(), f"{file.name} links to {target}"
            if anchor:
                assert anchor in _anchors(linked), f"{file.name} links to {target}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    texts = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {text.replace(" ", "-") for text in texts}
