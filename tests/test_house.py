"""The house keeps its own rules: imports go one way, names are nouns, files and functions stay small and documented."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("zoo", "analysis", "warehouse", "jobs")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

FORBIDDEN = {
    "zoo": {"analysis", "warehouse", "jobs", "ray", "hydra", "omegaconf", "duckdb"},
    "analysis": {"zoo", "warehouse", "jobs", "ray", "hydra", "omegaconf", "duckdb"},
    "warehouse": {"zoo", "analysis", "jobs", "ray", "hydra", "omegaconf", "torch"},
    "jobs": {"duckdb"},
}
WORDS = {"jobs/words/command.py"}
ONLY_IN = {"ray": {"jobs/work/executors/ray.py"}, "hydra": WORDS, "omegaconf": WORDS}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def package(module: str) -> str:
    """The room of one of our modules, the top-level package of any other."""
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] if first == "zoospectra" else first


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (package(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}:{node.lineno}: relative import"
            yield package(node.module or "")


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_go_one_way(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    found = set(imports(path))
    assert not found & FORBIDDEN[room]
    for package, homes in ONLY_IN.items():
        assert package not in found or name(path) in homes
    assert "tests" not in found


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_and_functions_are_small_and_documented(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert text.count("\n") <= 400
    assert path.stem not in {"utils", "util", "helpers", "common", "misc"}
    assert ast.get_docstring(tree), "a module says what it is"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 80, f"{node.name} is too long"
            if node.col_offset == 0 and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{node.name} has no docstring"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, "bare except"


def targets(node: ast.ImportFrom) -> Iterator[str]:
    """Modules that `from a.b import c` needs: a.b.c where that is a file, a.b otherwise."""
    for alias in node.names:
        module = (node.module or "").removeprefix("zoospectra.")
        inner = ROOT.joinpath(*module.split("."), alias.name)
        yield f"{module}.{alias.name}" if inner.with_suffix(".py").is_file() else module


def test_no_import_cycles_between_files() -> None:
    graph: dict[str, set[str]] = {}
    for path in FILES:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        body = ast.parse(path.read_text()).body  # imports at module level only: those run at import time
        graph[module] = {target for node in body if isinstance(node, ast.ImportFrom) for target in targets(node)}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"cycle: {' -> '.join([*trail, module])}"
        if module not in done:
            for other in graph.get(module, ()):
                visit(other, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_every_import_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
    ]
    names = {
        one.split(">")[0].split("=")[0].split("<")[0].split("[")[0].strip().lower().replace("-", "_")
        for one in declared
    }
    names |= {"sklearn", "hydra", "omegaconf"}  # imported under other names than they are installed
    known = set(sys.stdlib_module_names) | set(ROOMS) | {"conf"} | names
    undeclared = {package for path in FILES for package in imports(path)} - known
    assert undeclared == set()
