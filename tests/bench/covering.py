"""Which tests of the default suite execute which lines of analysis/, and which SQL files they read.

    python -m tests.bench.covering MAP.json tests/analysis tests/warehouse   # adds to MAP.json; needs `coverage`

What a fixture of a module or the session executes belongs to every test that uses it, not to the one that happens to be
first. Files are run one after the other; those that MAP.json has with the same text are not run again.
Not covered: lines executed by other processes; what a cache kept from an earlier test.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLOW = ("duckdb", "pyarrow.parquet", "scipy.optimize", "scipy.stats", "torch", "statsmodels.api", "sklearn.datasets",
        "mpmath", "powerlaw", "safetensors.numpy", "rich.table", "hydra", "hypothesis")  # fmt: skip
"""Slow imports that the forked processes have from the start."""
QUIET = ("-q", "-n", "0", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
"""Options of pytest in such a process."""


class Recorder:
    """A plug-in of pytest: a context of `coverage` for every test and every shared fixture."""

    def __init__(self) -> None:
        from coverage import Coverage

        self.coverage = Coverage(data_file=None, config_file=False, include=[f"{ROOT}/analysis/*"])
        self.seconds: dict[str, float] = defaultdict(float)
        self.fixtures: dict[str, list[str]] = {}
        self.sql: dict[str, set[str]] = defaultdict(set)
        self.running = [""]
        self.passed: dict[str, bool] = {}
        sys.addaudithook(self.opened)

    def opened(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], (str, Path)) and str(arguments[0]).endswith(".sql"):
            self.sql[self.running[-1]].add(os.path.relpath(os.path.realpath(arguments[0]), ROOT))

    def within(self, context: str) -> Iterator[None]:
        """Everything until the generator goes on belongs to the context; its time is not its caller's.

        Time of the processor, here and in processes that have ended: a busy machine stops the clock's for minutes.
        """
        began, caller = sum(os.times()[:4]), self.running[-1]
        self.running.append(context)
        self.coverage.switch_context(context)
        try:
            result = yield
        finally:
            spent = sum(os.times()[:4]) - began
            self.seconds[context] += spent
            self.seconds[caller] -= spent
            self.running.pop()
            self.coverage.switch_context(caller)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        known = item._fixtureinfo.name2fixturedefs  # the only place where pytest keeps it
        self.fixtures[item.nodeid] = [named(every[-1]) for every in known.values() if every[-1].scope != "function"]
        return (yield from self.within(item.nodeid))

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        return (yield from self.within(named(fixturedef)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.passed[report.nodeid] = self.passed.get(report.nodeid, True) and report.outcome == "passed"

    def rows(self) -> dict[str, dict[str, Any]]:
        """Test -> seconds, lines by file and SQL files; those of its shared fixtures with it. Passed ones only."""
        data, lines = self.coverage.get_data(), defaultdict(dict)
        for file in data.measured_files():
            path = os.path.relpath(file, ROOT)
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    lines[context].setdefault(path, set()).add(line)
        rows = {}
        for test, shared in self.fixtures.items():
            if not self.passed.get(test):
                continue
            executed: dict[str, set[int]] = defaultdict(set)
            for context in (test, *shared):
                for path, numbers in lines[context].items():
                    executed[path] |= numbers
            seconds = sum(self.seconds[context] for context in (test, *shared))
            sql = sorted(set().union(*(self.sql[context] for context in (test, *shared))))
            rows[test] = {"seconds": round(seconds, 3), "sql": sql} | {
                "lines": {path: sorted(numbers) for path, numbers in executed.items()}
            }
        return rows


def named(fixture: Any) -> str:
    return f"fixture {fixture.baseid}::{fixture.argname}"


@cache
def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def record(file: str, into: Path) -> int:
    """Run the tests of a file and write its rows."""
    recorder = Recorder()
    recorder.coverage.start()
    status = pytest.main([*QUIET, file], plugins=[recorder])
    recorder.coverage.stop()
    into.write_text(json.dumps(recorder.rows()))
    return int(status)


def forked(run: Callable[[], int], output: Path, limit: float) -> int:
    """What `run` returns in a forked process, which has the slow imports already; 124 when it hangs."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        with output.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        status = run()
        sys.stdout.flush()
        os._exit(status)
    until = time.monotonic() + limit
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 124


def preload() -> None:
    """Import what is slow to import, for the processes forked from this one."""
    for slow in SLOW:
        with contextlib.suppress(ImportError):
            import_module(slow)


def main() -> None:
    """Add what is missing to the map: test file -> its digest, those of analysis/, and test -> seconds, lines, SQL."""
    into, *places = sys.argv[1:]
    kept = json.loads(Path(into).read_text()) if Path(into).exists() else {}
    part, output = Path(f"{into}.part"), Path(f"{into}.output")
    preload()
    code = {str(one.relative_to(ROOT)): digest(one) for one in ROOT.glob("analysis/**/*.py")}
    for place in places:
        files = sorted((ROOT / place).rglob("test_*.py")) if (ROOT / place).is_dir() else [ROOT / place]
        for file in files:
            name, began = str(file.relative_to(ROOT)), time.monotonic()
            if kept.get(name, {}).get("digest") == digest(file):
                continue
            part.write_text("{}")
            status = forked(lambda name=name: record(name, part), output, 1200)
            kept[name] = {"digest": digest(file), "code": code, "tests": json.loads(part.read_text())}
            Path(into).write_text(json.dumps(kept))
            last = (output.read_text().strip().splitlines() or [""])[-1]
            print(f"{time.monotonic() - began:6.1f} s  {name}: exit status {status}; {last}", flush=True)


if __name__ == "__main__":
    main()
