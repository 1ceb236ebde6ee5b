"""Seeded mutants of analysis/ and warehouse/sql, and whether the tests of the default suite catch them.

    python -m tests.bench.covering MAP tests/analysis tests/warehouse tests/jobs/studies   # which tests execute what
    python -m tests.bench.mutants MAP --count 100 --seed 1 --log FILE                      # continues its log

Every mutant is one changed token: a comparison (its neighbour or its opposite), a sign, a constant, or a filter (a
condition negated, dropped, and/or exchanged). Half of the mutants are of the studies and statistics, a quarter of the
rest of analysis/, a quarter of the SQL. Each is written into a copy of the repository that has no ../shared, and those
tests run there that pass without it and execute its line, or read its SQL file, cheapest first, until one fails.
Not covered: tests that the map lacks, so that a survivor here may still be caught by the whole suite; what a line does
only in other processes. Results stand in RESULTS.md.
"""

from __future__ import annotations

import argparse
import ast
import io
import itertools
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bench.covering import QUIET, digest, forked, preload

ROOT = Path(__file__).resolve().parents[2]
STUDIED = ("analysis/studies/", "analysis/statistics/", "analysis/simpson.py", "analysis/regression.py")
COMPARISONS = {
    "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",),
    "=": ("<>",), "<>": ("=",),
}  # fmt: skip
SIGNS = {"+": "-", "-": "+"}
WORDS = {"and": "or", "or": "and", "not": "", "AND": "OR", "OR": "AND", "DESC": "ASC", "LIKE": "NOT LIKE"}
WORDS |= {"IS NOT NULL": "IS NULL", "IS NULL": "IS NOT NULL", "WHERE": "WHERE true OR", "HAVING": "HAVING true OR"}
CHEAP = 10.0
"""Seconds; tests that take longer come last."""
BUDGET = 150.0
"""Seconds of tests for a mutant, by the map; what goes beyond is left out, and the log says how much."""
LIMIT = 1200
"""Seconds after which they are ended; one that hangs alone fails long before."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed token."""

    path: str
    line: int
    column: int
    """In characters."""
    old: str
    new: str
    kind: str


def python_sites(path: str, text: str) -> Iterator[Mutant]:
    """Every token of a Python file that can be changed."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        line, column = token.start
        if token.type == tokenize.OP:
            for new in COMPARISONS.get(token.string, ()) if token.string != "=" else ():
                yield Mutant(path, line, column, token.string, new, "comparison")
            if token.string in SIGNS:
                yield Mutant(path, line, column, token.string, SIGNS[token.string], "sign")
        elif token.type == tokenize.NUMBER:
            yield Mutant(path, line, column, token.string, other(token.string), "constant")
        elif token.type == tokenize.NAME and token.string in ("and", "or", "not"):
            yield Mutant(path, line, column, token.string, WORDS[token.string], "filter")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        conditions = node.ifs if isinstance(node, ast.comprehension) else []
        for one in conditions:
            column = len(lines[one.lineno - 1].encode()[: one.col_offset].decode())
            yield Mutant(path, one.lineno, column, "", "True or ", "filter")


def sql_sites(path: str, text: str) -> Iterator[Mutant]:
    """Every token of a SQL file that can be changed; comments and strings are not."""
    bare = re.sub(r"--.*|'[^']*'|\"[^\"]*\"", lambda found: " " * len(found.group()), text)
    tokens = r"<=|>=|<>|(?<![:<>=-])=(?!>)|<|(?<!-)(?<!>)>|(?<= )[+-](?= )|(?<![\w.$])\d[\d.]*(?:e-?\d+)?\b|"
    tokens += r"\bIS NOT NULL\b|\bIS NULL\b|\b(?:AND|OR|DESC|LIKE|WHERE|HAVING)\b"
    for found in re.finditer(tokens, bare):
        start, old = found.start(), found.group()
        line, column = text.count("\n", 0, start) + 1, start - (text.rfind("\n", 0, start) + 1)
        if old in COMPARISONS:
            yield from (Mutant(path, line, column, old, new, "comparison") for new in COMPARISONS[old])
        elif old in SIGNS:
            yield Mutant(path, line, column, old, SIGNS[old], "sign")
        elif old[0].isdigit():
            yield Mutant(path, line, column, old, other(old), "constant")
        elif not (old == "AND" and "BETWEEN" in bare[text.rfind("\n", 0, start) : start]):
            yield Mutant(path, line, column, old, WORDS[old], "filter")


def other(number: str) -> str:
    """Another constant: one more of a whole number, one and a half of a fraction."""
    try:
        return str(int(number, 0) + 1)
    except ValueError:
        return repr(1.5 * float(number) or 1.0) if number[-1] not in "jJ" else f"2*{number}"


def chosen(count: int, seed: int, under: Sequence[str] = ()) -> list[Mutant]:
    """A seeded sample: half of it studies and statistics, a quarter the rest of analysis/, a quarter SQL.

    Of paths that begin with one of `under` alone, where it is given: `count` of them, or all.
    """
    strata: dict[str, list[Mutant]] = {"studied": [], "rest": [], "sql": []}
    for file in sorted([*ROOT.glob("analysis/**/*.py"), *ROOT.glob("warehouse/sql/**/*.sql")]):
        path, text = str(file.relative_to(ROOT)), file.read_text()
        if under and not path.startswith(tuple(under)):
            continue
        sites = python_sites if file.suffix == ".py" else sql_sites
        stratum = "sql" if file.suffix == ".sql" else "studied" if path.startswith(STUDIED) else "rest"
        strata[stratum] += sites(path, text)
    rng = random.Random(seed)
    if under:
        sites = [one for each in strata.values() for one in each]
        return rng.sample(sites, min(count, len(sites)))
    quarter = count // 4
    sizes = {"studied": count - 2 * quarter, "rest": quarter, "sql": quarter}
    drawn = [one for name, sites in strata.items() for one in rng.sample(sites, sizes[name])]
    return rng.sample(drawn, len(drawn))  # shuffled, so that a part of a run is a sample too


def mutated(text: str, one: Mutant) -> str:
    """The text with the token changed."""
    lines = text.splitlines(keepends=True)
    line = lines[one.line - 1]
    assert line[one.column :].startswith(one.old), one
    lines[one.line - 1] = line[: one.column] + one.new + line[one.column + len(one.old) :]
    return "".join(lines)


def names_bound(text: str, line: int) -> list[str] | None:
    """Names of the statement outside of functions that has the line (a constant, a field, a function's defaults)."""
    functions = [one for one in ast.walk(ast.parse(text)) if isinstance(one, (ast.FunctionDef, ast.Lambda))]
    inside = [one for one in functions if isinstance(one, ast.FunctionDef) and one.body[0].lineno <= line <= end(one)]
    if inside:
        return None
    names = [one.name for one in functions if isinstance(one, ast.FunctionDef) and one.lineno <= line <= end(one)]
    for one in ast.walk(ast.parse(text)):
        if isinstance(one, (ast.Assign, ast.AnnAssign)) and one.lineno <= line <= end(one):
            targets = one.targets if isinstance(one, ast.Assign) else [one.target]
            names += [target.id for target in targets if isinstance(target, ast.Name)]
    return names


def end(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def statement(text: str, line: int) -> range:
    """Lines of the smallest statement that has the line."""
    nodes = [one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.stmt) and one.lineno <= line <= end(one)]
    smallest = min(nodes, key=lambda one: end(one) - one.lineno)
    return range(smallest.lineno, end(smallest) + 1)


def lines_of(one: Mutant) -> dict[str, set[int]]:
    """Lines of analysis/ by file that show what the mutant changed: its own, or those that name what it defines."""
    text = (ROOT / one.path).read_text()
    names = names_bound(text, one.line)
    if names is None:
        return {one.path: set(statement(text, one.line))}
    word = re.compile("|".join(rf"\b{name}\b" for name in names) or "$.")
    lines: dict[str, set[int]] = {}
    for file in ROOT.glob("analysis/**/*.py"):
        naming = {i for i, text in enumerate(file.read_text().splitlines(), 1) if word.search(text)}
        lines |= {str(file.relative_to(ROOT)): naming} if naming else {}
    return lines


def tests_of(one: Mutant, known: dict[str, dict[str, Any]]) -> tuple[list[str], int]:
    """Tests for a mutant in the order in which they run, and how many are left out."""
    stem = Path(one.path).parts[3] if one.path.startswith("warehouse/sql/studies/") else Path(one.path).stem
    word = re.compile(rf"(\b|_){stem}(\b|_)")
    lines = lines_of(one) if one.path.endswith(".py") else {}
    found: list[tuple[bool, int, float, str, float, str]] = []
    for file, rows in known.items():
        if not (ROOT / file).exists():  # removed since the map was made
            continue
        read = any(one.path in row["sql"] for row in rows["tests"].values())  # once, for all tests of the process
        changed = {path for path in lines if rows["code"].get(path) != digest(ROOT / path)}  # any line of them will do
        tests = {
            test: row["seconds"]
            for test, row in rows["tests"].items()
            if read
            or any(
                wanted.intersection(held) or path in changed
                for path, wanted in lines.items()
                if (held := row["lines"].get(path))
            )
        }
        near = word.search(file + (ROOT / file).read_text())
        cheapest = min(tests.values(), default=0.0)
        for test, seconds in tests.items():
            far = 0 if word.search(test) else 1 if near else 2
            found.append((seconds > CHEAP, far, cheapest, file, seconds, test))
    ordered = sorted(found)
    kept = [test for *_, test in ordered]
    costs = itertools.accumulate(seconds for *_, seconds, _ in ordered)
    within = sum(cost <= BUDGET for cost in costs)
    return kept[:within], len(kept) - within


class Only:
    """A plug-in of pytest: these tests in this order."""

    def __init__(self, tests: list[str]) -> None:
        self.order = {test: i for i, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((one for one in items if one.nodeid in self.order), key=lambda one: self.order[one.nodeid])


def judged(tests: list[str], output: Path) -> int:
    """Exit status of the tests in a forked process."""
    files = list(dict.fromkeys(test.split("::")[0] for test in tests))
    words = ["-x", *QUIET, "--timeout=200", *files]
    return forked(lambda: int(pytest.main(words, plugins=[Only(tests)])), output, LIMIT)


def write(file: Path, text: str) -> None:
    """Write with a time that no earlier version had: compiled files of Python go by whole seconds."""
    before = file.stat().st_mtime
    file.write_text(text)
    os.utime(file, (before + 10, before + 10))


def copy_of_the_repository(folder: Path) -> Path:
    copy = folder / "copy"
    skip = shutil.ignore_patterns(".git", "__pycache__", "*.egg-info", ".*_cache")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=skip, dirs_exist_ok=True)
    return copy


def verdict(row: dict[str, Any]) -> str:
    return "SURVIVED" if row["rc"] == 0 else "caught" if row["sound"] else "test broken"


def main() -> None:
    """Run the mutants; a log that has some of them already is continued."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("map", type=Path, help="of tests.bench.covering")
    words.add_argument("--count", type=int, default=100)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--log", type=Path, default=None, help="JSON lines, one a mutant")
    words.add_argument("--share", default="0/1", help="i/n: every n-th mutant from the i-th")
    words.add_argument("--under", nargs="*", default=[], help="only of paths that begin so")
    asked = words.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mutants-"))
    log = (asked.log or folder / "log.jsonl").resolve()
    done = {
        tuple(row[name] for name in ("path", "line", "column", "new"))
        for row in map(json.loads, log.read_text().splitlines() if log.exists() else [])
    }
    known = json.loads(asked.map.read_text())
    copy = copy_of_the_repository(folder)
    os.chdir(copy)
    sys.path.insert(0, str(copy))
    os.environ |= {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "ZOOSPECTRA_SHARED": str(folder / "none")}
    preload()

    sound: dict[str, bool] = {}
    nth, of = map(int, asked.share.split("/"))
    for one in chosen(asked.count, asked.seed, asked.under)[nth::of]:
        if (one.path, one.line, one.column, one.new) in done:
            continue
        file, start = copy / one.path, time.monotonic()
        original = file.read_text()
        tests, left_out = tests_of(one, known)
        write(file, mutated(original, one))
        rc = judged(tests, folder / "output") if tests else 0
        write(file, original)
        said = (folder / "output").read_text() if tests else ""
        failed = [line.split(" - ")[0] for line in re.findall(r"^(?:FAILED|ERROR) (.+)", said, re.MULTILINE)]
        assert rc == 0 or failed or rc == 124, said  # neither passed nor failed: the tests did not run
        for test in failed[:1]:  # one that fails without any mutant catches none
            sound.setdefault(test, judged([test], folder / "output") == 0)
        row = asdict(one) | {"rc": rc, "by": failed[:1], "seconds": round(time.monotonic() - start, 1)}
        row |= {"tests": len(tests), "left_out": left_out, "sound": all(map(sound.get, failed[:1]))}
        with log.open("a") as out:
            out.write(json.dumps(row) + "\n")
        print(verdict(row), row, flush=True)
    print(log, Counter(verdict(json.loads(line)) for line in log.read_text().splitlines()))


if __name__ == "__main__":
    main()
