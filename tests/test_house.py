"""The house keeps its own rules: imports go one way and never in a circle, names are nouns, every name has a use.

How the source is read is in house.py beside this file.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import subprocess
import tomllib
import typing
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from sys import stdlib_module_names

import pytest

from tests.house import (
    FILES,
    MODULES,
    ROOMS,
    ROOT,
    circles,
    files_of,
    imports,
    label,
    module_of,
    needs,
    room_of,
    tree,
)
from zoospectra.analysis.methods import METHODS, method
from zoospectra.analysis.powerlaw import RULES
from zoospectra.analysis.profile import Profile
from zoospectra.analysis.studies import STUDIES
from zoospectra.jobs.verbs import VERBS
from zoospectra.jobs.words.verb import REGISTRY
from zoospectra.zoo.sources import SOURCES

ARROWS = {
    "conf": set[str](),
    "zoo": {"zoo"},
    "analysis": {"analysis"},
    "warehouse": {"warehouse"},
    "jobs": {"jobs", "zoo", "analysis", "warehouse", "conf"},
    "door": {"door", "jobs", "zoo", "analysis", "warehouse"},
}
"""Room -> the rooms that it may import, in whatever way; nobody imports the door but itself."""

RAY, WORDS = "jobs/work/executors/ray.py", ("jobs/words/command.py", "jobs/words/multirun.py")
ONLY_IN = {"ray": (RAY,), "hydra": WORDS, "omegaconf": WORDS, "duckdb": ("warehouse/",)}
"""Package of others -> the files or folders that may import it."""


@pytest.mark.parametrize("room", ARROWS)
def test_imports_go_one_way(room: str) -> None:
    for path, asked in ((file, one) for file in files_of(room) for one in imports(file)):
        other = room_of(asked.module)
        where = f"{label(path)}:{asked.line}: {asked.module}"
        assert other not in ROOMS or asked.module.startswith("zoospectra."), f"{where}: import it as zoospectra.{other}"
        if asked.module.startswith("zoospectra"):
            assert other in ARROWS[room], where
            assert asked.module in MODULES, f"{where}: no such module"
        assert other != "tests", where
        assert label(path).startswith(ONLY_IN.get(other, "")), f"{where}: only in {ONLY_IN.get(other)}"
        assert room != "warehouse" or other != "torch", where


def test_no_file_needs_itself() -> None:
    assert circles() == []


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        ("zoospectra", {"zoospectra._analyze", "zoospectra._path"}),
        ("zoospectra.jobs.main", {"zoospectra.jobs.call", "zoospectra.jobs.verbs", "zoospectra.jobs.verbs.scan"}),
        ("zoospectra.jobs.call", {"zoospectra.jobs.verbs.sql", "zoospectra.jobs.words"}),
        ("zoospectra.jobs.verbs.scan", {"zoospectra.jobs.work.engine", "zoospectra.zoo.fetch.settings"}),
        ("zoospectra.zoo.sources", {"zoospectra.zoo.sources.local", "zoospectra.zoo.sources.packages.timm"}),
        ("zoospectra.analysis.methods", {"zoospectra.analysis.metrics.hill"}),
        ("zoospectra.zoo.checkpoint.formats", {"zoospectra.zoo.checkpoint.remote"}),
    ],
)
def test_the_law_sees_lazy_imports_registries_and_packages(module: str, wanted: set[str]) -> None:
    """Imports in functions, modules named in strings, and the packages that run on the way."""
    assert wanted - {"zoospectra"} <= needs(module)


@pytest.mark.parametrize("room", ARROWS)
def test_files_and_functions_are_small_and_documented(room: str) -> None:
    for path in files_of(room):
        where = label(path)
        assert path.read_text().count("\n") <= 400, where
        assert path.stem not in {"utils", "util", "helpers", "common", "misc"}, where
        assert ast.get_docstring(tree(path)), f"{where}: a module says what it is"
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                assert node.end_lineno - node.lineno < 80, f"{where}: {node.name} is too long"
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{where}: bare except"


PRIVATE = {"found", "one", "here", "told", "said", "say", "price", "thirsty", "mine", "thing", "taken"}
"""Words that are no nouns of the field, nor of the tools."""


@pytest.mark.parametrize("room", ["jobs", "door", "warehouse"])
def test_names_are_ordinary_nouns(room: str) -> None:
    for path, node in ((file, inner) for file in files_of(room) for inner in ast.walk(tree(file))):
        name = getattr(node, "name", None) or getattr(node, "arg", None)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        assert not isinstance(name, str) or name.strip("_").lower() not in PRIVATE, f"{label(path)}: {name}"


def test_catalog_has_one_spelling() -> None:
    command = ["git", "-C", str(ROOT), "grep", "-lIi", "catalog" + "ue", "--", ":!tests/bench/RESULTS.md"]
    if (ROOT / ".git").exists():
        assert subprocess.run(command, capture_output=True, text=True, check=False).stdout.split() == []


def public(body: list[ast.stmt], class_: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and methods whose names have no underscore in front, as 'name' or 'Class.name'."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body, f"{node.name}.")
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield class_ + node.name, node


@pytest.mark.parametrize("room", ARROWS)
def test_public_functions_say_what_they_do_and_when_they_refuse(room: str) -> None:
    """ValueError is for users: whoever raises it, or a kind of it, says so."""
    kinds = {"ValueError", "MisuseError", "CheckpointError", "FetchError"}
    for path, (name, function) in ((file, one) for file in files_of(room) for one in public(tree(file).body)):
        text = ast.get_docstring(function)
        assert text, f"{label(path)}: {name} has no docstring"
        raised = {
            ast.unparse(node.exc.func)
            for node in ast.walk(function)
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
        }
        for error in sorted(raised & kinds):
            assert error in text or "ValueError" in text, f"{label(path)}: {name} raises {error}: say when"


def long_tuples(node: ast.AST) -> Iterator[str]:
    """Annotations of tuples with three or more parts of their own meaning."""
    for inner in ast.walk(node):
        match inner:
            case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=[_, _, _, *_])):
                yield ast.unparse(inner)


def signature(function: ast.FunctionDef) -> Iterator[ast.expr]:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    annotations = [argument.annotation for argument in arguments]
    yield from (annotation for annotation in [*annotations, function.returns] if annotation is not None)


def users(path: Path, name: str) -> set[str]:
    """Files that import a file and use a name of it: a function, a class, or a method of what it makes."""
    module = module_of(path)
    return {
        label(other)
        for other in FILES
        if other != path and any(asked.module == module for asked in imports(other)) and name in names(other)
    }


@cache
def names(path: Path) -> set[str]:
    """Names that a file reads, and attributes that it looks up."""
    nodes = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Name | ast.Attribute)]
    return {node.id if isinstance(node, ast.Name) else node.attr for node in nodes}


def test_records_cross_files_and_tuples_do_not() -> None:
    """What another file uses has names for its parts, from the third on."""
    wrong = []
    for path in FILES:
        parts = [(name, part) for name, function in public(tree(path).body) for part in signature(function)]
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.col_offset <= 4:
                parts.append((node.target.id, node.annotation))
        for name, annotation in parts:
            if (found := list(long_tuples(annotation))) and users(path, name.rpartition(".")[2]):
                wrong.append(f"{label(path)}: {name}: {found}")
    assert wrong == []


UNUSED = {
    "curve": "the whole search of one tail, for a figure: the distance at every xmin",
    "hill_plot": "the estimate at every k, for a figure",
    "forward": "torch calls it",
    "markdown": "writes the table of docs/formats.md, and of a bench",
    "chance": "the test of plain sequences, which oracles compare",
}
"""Public names without a use in the package -> why they are there."""


def defined(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Functions, classes and constants of a file, and the methods of its classes."""
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node
        if isinstance(node, ast.ClassDef):
            yield from ((inner.name, inner) for inner in node.body if isinstance(inner, ast.FunctionDef))
        if isinstance(node, ast.Assign):
            yield from ((target.id, node) for target in node.targets if isinstance(target, ast.Name))
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node


@cache
def used(node: ast.AST) -> Counter[str]:
    """How often each name is read, looked up as an attribute, or spelled in a string."""
    names: Counter[str] = Counter()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
            names[inner.id] += 1
        elif isinstance(inner, ast.Attribute):
            names[inner.attr] += 1
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str) and inner.value.isidentifier():
            names[inner.value] += 1
    return names


def test_every_name_has_a_use() -> None:
    """In its own file or one that imports it, a method's anywhere: what only tests use goes. The door is for others."""
    everywhere = sum((used(tree(path)) for path in FILES), Counter())
    for path in (path for path in FILES if room_of(module_of(path)) != "door"):
        for name, node in defined(path):
            if name not in UNUSED and not name.startswith("__"):
                inside = (everywhere if node.col_offset else used(tree(path)))[name] > used(node)[name]
                assert inside or users(path, name), f"{label(path)}: nothing uses {name}"


def keys(record: type, prefix: str = "") -> Iterator[str]:
    """Dotted keys of a settings record, of the records in it, and of every one that a registry may put there."""
    types = typing.get_type_hints(record)
    for field in dataclasses.fields(record):
        yield prefix + field.name
        if REGISTRY in field.metadata:
            for options in OPTIONS[prefix]:
                yield from keys(options, prefix)
        elif dataclasses.is_dataclass(types[field.name]):
            yield from keys(typing.cast(type, types[field.name]), f"{prefix}{field.name}.")


OPTIONS = {
    "zoo.": [import_module(module).SOURCE.options for module in SOURCES.values()],
    "study.": [import_module(module).STUDY.options for module in STUDIES.values()],
}
"""Group -> the records that its registry may choose."""


def known_keys() -> set[str]:
    """Every key that some verb takes, or a profile."""
    records = [import_module(f"zoospectra.jobs.verbs.{verb}").VERB.settings for verb in VERBS]
    return {*(key for record in records for key in keys(record)), *keys(Profile), *records_of_profiles()}


def records_of_profiles() -> Iterator[str]:
    for name in METHODS:
        yield from method(name).defaults
    yield from (name for rule in RULES.values() for name in rule.__kwdefaults__ or {})


KEYED = re.compile(r"(?<![\w.\"'(])([a-z_]+(?:\.[a-z_]+)*)=")


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """Texts that become the message of an error or a hint for people: line, and text with {} for what is filled in."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("msg", "detail", "hint"):
            yield from texts(node.value)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            for argument in node.exc.args:
                yield from texts(argument)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("among", "at_least"):
            yield from ((line, f"{key}=") for line, key in texts(node.args[0]))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "print",
            "progress.print",
            "self._progress.print",
        ):
            for argument in node.args:
                yield from texts(argument)


def texts(node: ast.expr) -> Iterator[tuple[int, str]]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.JoinedStr):
            filled = (str(part.value) if isinstance(part, ast.Constant) else "{}" for part in inner.values)
            yield inner.lineno, "".join(filled)
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.lineno, inner.value


def test_messages_name_keys_that_exist() -> None:
    """`key=value` in a message is a key that the user can type, by its own name or with its group before it."""
    known = known_keys()
    tails = known | {key.rpartition(".")[2] for key in known}
    named = [(label(path), line, key) for path in FILES for line, text in messages(path) for key in KEYED.findall(text)]
    assert len(named) > 30
    assert [entry for entry in named if entry[2] not in {*tails, "key"}] == []


def test_every_import_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = (package for extra in project["optional-dependencies"].values() for package in extra)
    declared = {re.split(r"[<>=\[]", package)[0].strip().lower() for package in (*project["dependencies"], *extras)}
    known = {package.replace("-", "_") for package in declared} | {
        "sklearn",
        "hydra",
        "omegaconf",
        "yaml",
        "vl_convert",
        "zoospectra",
    }
    imported = {asked.module.partition(".")[0] for path in FILES for asked in imports(path) if not asked.only_types}
    assert imported - known - set(stdlib_module_names) == set()
