"""Seeded mutants of analysis/ and warehouse/sql, and whether the tests of the default suite catch them.

    python -m tests.bench.mutants --count 100 --seed 1 --log FILE     # half an hour of one core; continues its log
    python -m tests.bench.mutants --again --log FILE                  # survivors, by all tests of their rooms

Every mutant is one changed token: a comparison (its neighbour or its opposite), a sign, a constant, or a filter (a
condition negated, dropped, and/or exchanged). It is written into a copy of the repository that has no ../shared, and
the tests that name its module run there until the first failure. Half of the mutants are of the studies and statistics,
a quarter of the rest of analysis/, a quarter of the SQL. Not covered: tests outside ROOMS, so that a survivor here may
still be caught by the whole suite. Results stand in RESULTS.md.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STUDIED = ("analysis/studies/", "analysis/statistics/", "analysis/simpson.py", "analysis/regression.py")
COMPARISONS = {
    "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",),
    "=": ("<>",), "<>": ("=",),
}  # fmt: skip
SIGNS = {"+": "-", "-": "+"}
WORDS = {"and": "or", "or": "and", "not": "", "AND": "OR", "OR": "AND", "DESC": "ASC", "LIKE": "NOT LIKE"}
WORDS |= {"IS NOT NULL": "IS NULL", "IS NULL": "IS NOT NULL", "WHERE": "WHERE true OR", "HAVING": "HAVING true OR"}
ROOMS = {
    "analysis/studies/": ["tests/jobs/studies", "tests/analysis/test_studies.py", "tests/analysis/test_simpson.py"],
    "analysis/statistics/": ["tests/analysis/statistics", "tests/analysis/test_simpson.py", "tests/jobs/studies"],
    "analysis/simpson.py": ["tests/analysis/test_simpson.py", "tests/jobs/studies"],
    "analysis/": ["tests/analysis"],
    "warehouse/sql/": ["tests/warehouse", "tests/jobs/studies"],
}
"""Start of a file's path -> tests that must catch its mutants; the first start that fits counts."""
FIRST = {
    "analysis/studies/": ["tests/jobs/studies/test_studies.py"],
    "analysis/statistics/": [f"tests/analysis/statistics/test_{one}.py" for one in ("oracles", "degenerate")],
    "warehouse/sql/": [f"tests/warehouse/test_{one}.py" for one in ("macros", "counting", "means", "build")],
}
"""Those that are tried first beside the ones that name the module."""
SLOWEST = (
    "test_calibration.py",
    "test_simpson.py",
    "test_natcomm2021.py",
    "test_hostile_spectra.py",
    "test_real_zoos.py",
)
"""Last, and where ROOMS does not name them not at all."""
SHARED = ("duckdb", "pyarrow.parquet", "scipy.optimize", "scipy.stats", "torch", "statsmodels.api", "sklearn",
          "mpmath", "powerlaw", "safetensors.numpy", "rich.table")  # fmt: skip
"""Slow imports that the forked processes have from the start."""
LIMIT = 1200
"""Seconds after which the tests are ended; one that hangs alone fails long before."""


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
        return str(int(number) + 1)
    except ValueError:
        return repr(1.5 * float(number) or 1.0) if number[-1] not in "jJ" else f"2*{number}"


def chosen(count: int, seed: int) -> list[Mutant]:
    """A seeded sample: half of it studies and statistics, a quarter the rest of analysis/, a quarter SQL."""
    strata: dict[str, list[Mutant]] = {"studied": [], "rest": [], "sql": []}
    for file in sorted([*ROOT.glob("analysis/**/*.py"), *ROOT.glob("warehouse/sql/**/*.sql")]):
        path, text = str(file.relative_to(ROOT)), file.read_text()
        sites = python_sites if file.suffix == ".py" else sql_sites
        stratum = "sql" if file.suffix == ".sql" else "studied" if path.startswith(STUDIED) else "rest"
        strata[stratum] += sites(path, text)
    rng = random.Random(seed)
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


def tests_of(path: str, wide: bool) -> list[str]:
    """Test files for a file: those that name its module or stem, and FIRST; `wide`: then all of its rooms."""
    start = next(one for one in ROOMS if path.startswith(one))
    files: list[Path] = []
    for one in ROOMS[start]:
        files += sorted((ROOT / one).rglob("test_*.py")) if (ROOT / one).is_dir() else [ROOT / one]
    parts = Path(path).parts
    stem = parts[3] if path.startswith("warehouse/sql/studies/") else Path(path).stem
    module = path.removesuffix(".py").replace("/", ".")

    def far(file: Path) -> int:
        text = file.read_text()
        if file.name in SLOWEST and stem not in file.stem:
            return 4
        names = module in text or re.search(rf"import .*\b{stem}\b|[\"' ]{stem}[\"'(]", text)
        first = str(file.relative_to(ROOT)) in FIRST.get(start, ())
        return 0 if stem in file.stem else 1 if names else 2 if first else 3

    ordered = sorted(dict.fromkeys(files), key=far)
    if not wide and far(ordered[0]) < 3:
        ordered = [file for file in ordered if far(file) < 3]
    return [str(file.relative_to(ROOT)) for file in ordered if start != "analysis/" or far(file) < 4]


def run(tests: list[str], copy: Path, output: Path) -> int:
    """Exit status of the tests in a forked process, which has the slow imports already; 124 when it hangs."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        with output.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        import pytest

        os._exit(int(pytest.main(["-x", "-q", "-n", "0", "--timeout=100", "-p", "no:cacheprovider", *tests])))
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 124


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


def main() -> None:
    """Run the mutants; a log that has some of them already is continued."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--count", type=int, default=100)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--log", type=Path, default=None, help="JSON lines, one a mutant")
    words.add_argument("--again", action="store_true", help="survivors of the log, by all tests of their rooms")
    words.add_argument("--share", default="0/1", help="i/n: every n-th mutant from the i-th")
    asked = words.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mutants-"))
    log = asked.log or folder / "log.jsonl"
    known = {}
    for row in map(json.loads, log.read_text().splitlines() if log.exists() else []):
        known[tuple(row[name] for name in ("path", "line", "column", "new"))] = row
    copy = copy_of_the_repository(folder)
    os.chdir(copy)
    sys.path.insert(0, str(copy))
    os.environ |= {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    for slow in SHARED:
        with contextlib.suppress(ImportError):
            import_module(slow)

    mutants = [Mutant(**{name: row[name] for name in Mutant.__slots__}) for row in known.values() if row["rc"] == 0]
    nth, of = map(int, asked.share.split("/"))
    for one in (mutants if asked.again else chosen(asked.count, asked.seed))[nth::of]:
        if not asked.again and (one.path, one.line, one.column, one.new) in known:
            continue
        file, start = copy / one.path, time.monotonic()
        original = file.read_text()
        write(file, mutated(original, one))
        rc = run(tests_of(one.path, asked.again), copy, folder / "output")
        write(file, original)
        said = (folder / "output").read_text()
        failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
        assert rc == 0 or failed or rc == 124, said  # neither passed nor failed: the tests did not run
        row = asdict(one) | {"rc": rc, "by": failed[:1], "seconds": round(time.monotonic() - start, 1)}
        with log.open("a") as out:
            out.write(json.dumps(row) + "\n")
        print("SURVIVED" if rc == 0 else "caught", row, flush=True)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    print(log, Counter("survived" if row["rc"] == 0 else "caught" for row in rows))


if __name__ == "__main__":
    main()
