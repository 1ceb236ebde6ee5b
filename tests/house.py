"""The package's own source as data: modules, what each imports in every way there is, and the names it defines."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("zoo", "analysis", "warehouse", "jobs", "conf")
FILES = sorted([*(path for room in ROOMS for path in (ROOT / room).rglob("*.py")), *(ROOT / "zoospectra").glob("*.py")])


class Import(NamedTuple):
    """One module that a file asks for."""

    module: str
    """Dotted name: of a module of ours where there is one of that name, else as written."""
    line: int
    """Where."""
    only_types: bool
    """Whether type checkers alone see it."""


def label(path: Path) -> str:
    """Path from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    """Name that a file is imported by; packages have their own."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(["zoospectra", *(parts[1:] if parts[0] == "zoospectra" else parts)]).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def room_of(module: str) -> str:
    """'zoo', 'analysis', ...; 'door' for the files of zoospectra/ itself; the top-level package of any other."""
    first, _, rest = module.partition(".")
    if first != "zoospectra":
        return first
    room = rest.partition(".")[0]
    return room if room in ROOMS else "door"


def files_of(room: str) -> list[Path]:
    """Files of a room or of the door."""
    return [path for path in FILES if room_of(module_of(path)) == room]


@cache
def tree(path: Path) -> ast.Module:
    """Syntax tree of a file."""
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Everything that a file imports: at its top, in functions, for type checkers, and by names in strings."""
    typed = {
        id(inner)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    return tuple(
        Import(module, getattr(node, "lineno", 0), id(node) in typed)
        for node in ast.walk(tree(path))
        for module in _asked(node)
    )


def _asked(node: ast.AST) -> Iterator[str]:
    """Modules that one node of the tree asks for."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: relative import"
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if inner in MODULES else str(node.module)
    elif isinstance(node, ast.Constant) and node.value in MODULES and node.value != "zoospectra":
        yield node.value  # a registry's line, or import_module's argument
    elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
        start = str(node.values[0].value)  # import_module(f"zoospectra.jobs.verbs.{name}"): any of that folder
        if start.startswith("zoospectra.") and start.endswith("."):
            inside = (module for module in MODULES if module.rpartition(".")[0] == start[:-1])
            yield from (module for module in inside if MODULES[module].stem != "__init__")


def needs(module: str) -> set[str]:
    """Modules of ours that run because a module does, some time: what it asks for, and the packages on the way."""
    found = set()
    own = set(parents(module))  # those have been started by the time that this one runs
    for asked in imports(MODULES[module]):
        if asked.module in MODULES and not asked.only_types:
            found |= {asked.module} | (set(parents(asked.module)) - own)
    return found - {module}


def parents(module: str) -> Iterator[str]:
    """The packages that importing a module runs before it."""
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


def circles() -> list[list[str]]:
    """Groups of modules that need each other, each sorted; by Tarjan's algorithm."""
    graph = {module: sorted(needs(module) & MODULES.keys()) for module in MODULES}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph[module]:
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            at = stack.index(module)
            groups.append(sorted(stack[at:]))
            del stack[at:]

    for module in graph:
        if module not in index:
            visit(module)
    return [group for group in groups if len(group) > 1]
