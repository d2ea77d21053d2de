"""Write docs/reference.md: the public names of mfprefect, as the code has them.

Run as `python -m mfprefect_dev.reference`. The text comes from the sources and is not executed:
signatures, docstrings, and the comments that head a group of members of a class. Whatever is new in
the code appears by itself.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mfprefect
from mfprefect import checks, errors

__all__ = ["Member", "main", "members", "page"]

PAGE = Path("docs/reference.md")
WIDTH = 100
INTRODUCTION = """\
# Reference

Every public name of `mfprefect`, as the code has it: `make reference` writes this page. It has
the signatures and the first words of each docstring; `help(mfprefect.Store.session)` shows the
rest. The other [pages](index.md) explain how to use them. [Settings](settings.md), the [command
line](cli.md), [tests of models](testing.md) and [backends](databases.md#adding-a-database) have
pages of their own.
"""
SUBJECTS = {
    "connect": "Connecting",
    "Model": "Model: what a data scientist writes",
    "CommandModel": "CommandModel: a model in another language",
    "Gate": "Gate: conditions of a training",
    "checks": "mfprefect.checks: checks of inputs",
    "metric": "Metrics of your own",
    "Store": "Store: models, sessions and results in a database",
    "Session": "Session: one run of a model",
}
"""The headings, in the order of use; other public names follow."""
ELSEWHERE = {"Settings": "the fields are in [settings](settings.md)"}
GROUPS = {
    "Base": "The database",
    "SessionsApi": "Opening and ending sessions",
    "ModelsApi": "Models and their stages",
    "ResultsApi": "Reading models, sessions and results",
    "ArtifactsApi": "Reading stored models and files",
    "ScoresApi": "Reading scores",
    "RetentionApi": "Deleting, archiving and exporting",
    "AuditApi": "Auditing",
    "RecorderBase": "What it is",
    "Session": "Ending it",
    "InputsMixin": "Inputs and checks",
    "ResultsMixin": "Results",
    "FilesMixin": "Files and figures",
    "BulkMixin": "Models and scores",
}
"""The heading of what a base class has; by default the first sentence of its docstring."""
FIRST = ("RecorderBase", "Base", "InputsMixin", "ResultsMixin", "FilesMixin", "BulkMixin")
"""Bases whose members come before those of the class itself."""
INSTANCES = {"Store": "store", "Session": "session", "Gate": "gate"}
"""How examples call an instance; by default `model`."""
NOT_CALLED = ("Model", "CommandModel", "Store", "Session")
"""Classes that users subclass, or whose instances they get from a function."""


@dataclass(frozen=True)
class Member:
    """A public attribute or method of a class, or a public function."""

    name: str
    code: str
    """Its signature, or its name and type."""
    text: str
    """The docstring; empty if it has none."""
    group: str
    """The heading that it stands under."""
    default: str | None = None
    """The value of an attribute; None: it must be set, or is read only."""
    is_attribute: bool = False


def members(kind: type) -> list[Member]:
    """Return the public members of a class and its bases in mfprefect, in the order of use."""
    by_name: dict[str, Member] = {}
    for base in _bases(kind):
        for member in _members(base, kind):
            by_name.setdefault(member.name, member)
    return list(by_name.values())


def _bases(kind: type) -> list[type]:
    """Return the classes whose members are shown: not those of a public base of its own section."""
    public = {getattr(mfprefect, name) for name in SUBJECTS if name != "checks"} - {kind}
    bases = [base for base in kind.__mro__ if base.__module__.partition(".")[0] == "mfprefect"]
    bases = [
        base
        for base in bases
        if not any(issubclass(other, base) for other in public & set(kind.__mro__))
    ]
    order = {name: number for number, name in enumerate(FIRST)}
    return sorted(bases, key=lambda base: order.get(base.__name__, len(FIRST)))


def _members(base: type, kind: type) -> Iterator[Member]:
    lines, _ = inspect.getsourcelines(base)
    tree = ast.parse(textwrap.dedent("".join(lines)))
    (node,) = tree.body
    assert isinstance(node, ast.ClassDef)  # noqa: S101 - the source of a class
    headings = dict(_headings(lines))
    group = GROUPS.get(base.__name__, "")
    for position, item in enumerate(node.body):
        for line in sorted(headings):
            if line < item.lineno:
                group = headings.pop(line)
        text = _docstring_after(node.body, position)
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            yield from _instance_attributes(item, group)
        elif isinstance(item, ast.FunctionDef) and not item.name.startswith("_"):
            yield _function(item, group, kind.__name__)
        elif isinstance(item, ast.AnnAssign) and not ast.unparse(item.target).startswith("_"):
            target = ast.unparse(item.target)
            yield _attribute(target, item.annotation, item.value, text, group)


def _headings(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the comments that stand alone between empty lines, with their line numbers."""
    for number in range(1, len(lines) - 1):
        match = re.fullmatch(r"    # ([A-Z].*)\n", lines[number])
        if match and not lines[number - 1].strip() and not lines[number + 1].strip():
            yield number + 1, match[1]


def _docstring_after(body: list[ast.stmt], position: int) -> str:
    following = body[position + 1] if position + 1 < len(body) else None
    if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
        return inspect.cleandoc(str(following.value.value))
    return ""


def _instance_attributes(node: ast.FunctionDef, group: str) -> Iterator[Member]:
    for position, item in enumerate(node.body):
        target: ast.expr | None = None
        annotation: ast.expr | None = None
        if isinstance(item, ast.AnnAssign):
            target, annotation = item.target, item.annotation
        elif isinstance(item, ast.Assign) and len(item.targets) == 1:
            target = item.targets[0]
        if isinstance(target, ast.Attribute) and not target.attr.startswith("_"):
            text = _docstring_after(node.body, position)
            yield _attribute(target.attr, annotation, None, text, group)


def _attribute(
    name: str, annotation: ast.expr | None, value: ast.expr | None, text: str, group: str
) -> Member:
    of_class = re.fullmatch(r"ClassVar\[(.*)\]", ast.unparse(annotation) if annotation else "")
    kind = of_class[1] if of_class else ast.unparse(annotation) if annotation else ""
    default = ast.unparse(value) if value is not None else None
    return Member(name, kind, text, group, default, is_attribute=True)


def _function(node: ast.FunctionDef, group: str, owner: str) -> Member:
    text = ast.get_docstring(node) or ""
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    if "property" in decorators:
        kind = ast.unparse(node.returns) if node.returns else ""
        return Member(node.name, kind, text, group, is_attribute=True)
    if not decorators & {"staticmethod", "classmethod"}:
        owner = INSTANCES.get(owner, "model")
    skip = 0 if "staticmethod" in decorators else 1
    return Member(node.name, _signature(f"{owner}.{node.name}", node, skip), text, group)


def _signature(name: str, node: ast.FunctionDef, skip: int = 0) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return _call(name, list(_parameters(node.args))[skip:], returns)


def _call(name: str, parameters: list[str], returns: str = "") -> str:
    line = f"{name}({', '.join(parameters)}){returns}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {item}," for item in parameters), f"){returns}"])


def _parameters(args: ast.arguments) -> Iterator[str]:
    plain = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(plain) - len(args.defaults)) + list(args.defaults)
    yield from map(_parameter, plain, defaults)
    if args.vararg:
        yield "*" + _parameter(args.vararg, None)
    elif args.kwonlyargs:
        yield "*"
    yield from map(_parameter, args.kwonlyargs, args.kw_defaults)
    if args.kwarg:
        yield "**" + _parameter(args.kwarg, None)


def _parameter(arg: ast.arg, default: ast.expr | None) -> str:
    annotation = f": {ast.unparse(arg.annotation)}" if arg.annotation else ""
    if default is None:
        return arg.arg + annotation
    value = ast.unparse(default).replace("'", '"')
    return f"{arg.arg}{annotation} = {value}" if annotation else f"{arg.arg}={value}"


def page() -> str:
    """Return the text of the page."""
    names = [*SUBJECTS, *(name for name in mfprefect.__all__ if name not in SUBJECTS)]
    others = [name for name in names if name not in (*errors.__all__, *ELSEWHERE, "__version__")]
    parts = [INTRODUCTION, *map(_section, others)]
    parts += [
        f"## {name}\n\n{_words(getattr(mfprefect, name).__doc__)} {text[0].upper()}{text[1:]}.\n"
        for name, text in ELSEWHERE.items()
    ]
    return "\n".join([*parts, _errors()])


def _section(name: str) -> str:
    heading = f"## {SUBJECTS.get(name, name)}\n"
    if name == "checks":
        body = "".join(_check(item, getattr(checks, item)) for item in checks.__all__)
        return f"{heading}\n{_words(checks.__doc__)}\n{body}"
    value = getattr(mfprefect, name)
    if isinstance(value, type):
        head = f"{heading}\n{_words(value.__doc__)}\n{_constructor(name, value)}"
        return head + _groups(members(value))
    return f"{heading}\n{_entry(_of_function(value, f'mfprefect.{name}'))}"


def _of_function(function: Any, name: str) -> Member:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    node = next(item for item in tree.body if isinstance(item, ast.FunctionDef))
    return Member(node.name, _signature(name, node), ast.get_docstring(node) or "", "")


def _check(name: str, kind: type) -> str:
    return f"\n### {name}\n{_constructor(name, kind)}\n{_words(kind.__doc__)}\n"


def _constructor(name: str, kind: type) -> str:
    """Return how to make a dataclass or a check; other classes are subclassed, or opened."""
    if name in NOT_CALLED:
        return ""
    fields = inspect.signature(kind).parameters.values()
    texts = [str(field.replace(annotation=field.empty)).replace("'", '"') for field in fields]
    first_keyword = next((n for n, f in enumerate(fields) if f.kind == f.KEYWORD_ONLY), None)
    if first_keyword is not None and not any(f.kind == f.VAR_POSITIONAL for f in fields):
        texts.insert(first_keyword, "*")
    return f"\n```python\n{_call(name, texts)}\n```\n"


def _groups(items: Iterable[Member]) -> str:
    groups: dict[str, list[Member]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    return "".join(
        (f"\n### {group}\n" if group else "") + _table(group_items) + _entries(group_items)
        for group, group_items in groups.items()
    )


def _table(items: Iterable[Member]) -> str:
    attributes = [item for item in items if item.is_attribute]
    if not attributes:
        return ""
    with_default = any(item.default is not None for item in attributes)
    head = (
        "| attribute | type | default | meaning |"
        if with_default
        else "| attribute | type | meaning |"
    )
    rows = [head, "|" + " --- |" * (head.count("|") - 1)]
    for item in attributes:
        cells = [f"`{item.name}`", _cell(item.code)]
        cells += [_cell(item.default)] if with_default else []
        rows.append(f"| {' | '.join([*cells, _words(item.text).replace('|', chr(92) + '|')])} |")
    return "\n" + "\n".join(rows) + "\n"


def _cell(code: str | None) -> str:
    code = (code or "").replace("'", '"').replace("|", "\\|")
    return f"`{code}`" if code else ""


def _entries(items: Iterable[Member]) -> str:
    return "".join("\n" + _entry(item) for item in items if not item.is_attribute)


def _entry(item: Member) -> str:
    return (
        f"#### {item.name}\n\n```python\n{item.code}\n```\n\n{_words(item.text)}{_raised(item)}\n"
    )


def _words(text: str | None) -> str:
    """Return the first paragraph, and one that lists columns, each as one line."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    chosen = [item for n, item in enumerate(paragraphs) if n == 0 or item.startswith("Columns:")]
    return "\n\n".join(" ".join(item.split()) for item in chosen)


def _raised(item: Member) -> str:
    section = item.text.partition("\nRaises:\n")[2]
    kinds = re.findall(r"^    (\w+):", section, re.MULTILINE)
    return f"\n\nRaises {', '.join(f'`{kind}`' for kind in kinds)}." if kinds else ""


def _errors() -> str:
    lines = [
        f"## Errors\n\n{_words(errors.__doc__)}\n\n| error | is a | means |\n| --- | --- | --- |"
    ]
    for name in errors.__all__:
        kind = getattr(errors, name)
        parents = ", ".join(f"`{base.__name__}`" for base in kind.__bases__)
        lines.append(f"| `{name}` | {parents} | {_words(kind.__doc__)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page; return the exit code."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")  # noqa: T201 - a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
