"""Merging: fewer files, the same rows, whatever kills it; nothing goes that a generation still reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tests.warehouse.conftest import Lake, fill, metric, table
from tests.warehouse.knowledge import everything
from zoospectra.warehouse.build import build, refresh
from zoospectra.warehouse.connect import generations
from zoospectra.warehouse.definitions import of_kind
from zoospectra.warehouse.log import Log
from zoospectra.warehouse.merge import merge
from zoospectra.warehouse.parts import list_parts, live_parts
from zoospectra.warehouse.query import open_newest, query

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
left = 0
def counted(function):
    def call(*arguments, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return call
from zoospectra.warehouse.build import refresh
from zoospectra.warehouse.merge import merge
for name in ("replace", "rename", "unlink"):
    setattr(Path, name, counted(getattr(Path, name)))
os.fsync = counted(os.fsync)
for line in sys.stdin:
    folder, steps = line.rsplit(" ", 1)
    left = int(steps)
    child = os.fork()  # imports are what takes long
    if child == 0:
        merge(Path(folder))
        refresh(Path(folder))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def contents(directory: Path) -> dict[str, pa.Table]:
    """Every table but those that name files."""
    names = [definition.name for definition in of_kind("TABLE") if definition.name != "generation"]
    found = {name: query(directory, f"SELECT * FROM {name} ORDER BY ALL") for name in names}
    found["spectra_index"] = found["spectra_index"].drop_columns(["file"])
    return found | {"spectra": query(directory, "SELECT * FROM spectra ORDER BY ALL")}


def assert_same(one: dict[str, pa.Table], other: dict[str, pa.Table]) -> None:
    assert [name for name in one if not one[name].equals(other[name])] == []


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake, with five more parts a kind in the log; a tensor is computed twice, by two versions of the code."""
    directory = fill(Lake(tmp_path_factory.mktemp("logged") / "data")).directory
    for number in range(5):
        log = Log(directory, 60.0)
        layer = {"model_id": f"local/c{number}", "revision": "r", "layer_id": 0, "content_hash": f"c{number}"}
        metrics = [metric(f"c{number}", 2.0 + number), metric("h1", 5.0 + number, code_version=f"v{number}")]
        spectrum = {
            "content_hash": "h1",
            "unfold": "slices",
            "slice_id": 0,
            "N": 8,
            "M": 4,
            "code_version": f"v{number}",
        }
        listed = {"model_id": f"local/c{number}", "revision": "r", "reader": "3", "listed_layers": 1, "listed_skips": 0}
        tables = {
            "layers": table("layers", [layer]),
            "layer_metrics": table("layer_metrics", metrics),
            "spectra": table("spectra", [spectrum | {"code_version": f"v{number}", "evals": [1.0, 2.0 + number]}]),
            "indexed": table("indexed", [listed]),
        }
        log.put("k", tables)
        log.flush()
    build(directory)
    return directory


@pytest.fixture
def logged(written: Path, tmp_path: Path) -> Lake:
    """A copy of it."""
    return Lake(shutil.copytree(written, tmp_path / "data", symlinks=True, copy_function=shutil.copy2))


def test_a_merge_and_a_build_from_nothing_leave_every_row(logged) -> None:
    before, known = contents(logged.directory), everything(logged.directory)
    files = len(live_parts(logged.directory))
    assert merge(logged.directory) > 20
    assert refresh(logged.directory).published
    assert len(live_parts(logged.directory)) < files / 2
    assert_same(before, contents(logged.directory))
    assert everything(logged.directory).readers == known.readers
    assert not refresh(logged.directory).published
    assert merge(logged.directory) == 0
    for file in logged.directory.glob("rows.duckdb*"):
        file.unlink()
    build(logged.directory)
    assert_same(before, contents(logged.directory))


@pytest.fixture
def killer() -> Iterator[subprocess.Popen[str]]:
    """Takes lines of a folder and a number: merges and builds there, killed after so many steps on the disk."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.stdin.close()


def killed(killer: subprocess.Popen[str], directory: Path, copy: Path, steps: int, before: dict[str, pa.Table]) -> bool:
    """Kill a merge and its build in a copy; the rows are compared with those of before. False: it came to its end."""
    shutil.copytree(directory, copy, symlinks=True, copy_function=shutil.copy2)
    killer.stdin.write(f"{copy} {steps}\n")
    killer.stdin.flush()
    code = int(killer.stdout.readline())
    assert code in (0, -9)
    assert_same(before, contents(copy))
    if steps % 4 == 1:  # the rows are what is read above; that the next merge goes on costs two builds
        refresh(copy)
        merge(copy)
    refresh(copy)
    assert_same(before, contents(copy))
    shutil.rmtree(copy)
    return code == -9


@pytest.mark.parametrize("steps", [17])
def test_a_merge_killed_in_between_leaves_every_row(logged, killer, tmp_path: Path, steps: int) -> None:
    assert killed(killer, logged.directory, tmp_path / "copy", steps, contents(logged.directory))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_merge_killed_at_every_step_leaves_every_row(logged, killer, tmp_path: Path) -> None:
    before, steps = contents(logged.directory), 0
    while killed(killer, logged.directory, tmp_path / "copy", steps, before):
        steps += 1
    print(f"{steps} steps")
    assert steps > 30


def test_what_an_older_generation_reads_stays_until_it_goes(logged) -> None:
    spectra = "SELECT count(*), sum(list_sum(evals)) FROM spectra"
    with open_newest(logged.directory) as reader:
        before = reader.execute(spectra).fetchall()
        merge(logged.directory)
        refresh(logged.directory)
        assert reader.execute(spectra).fetchall() == before
    kinds = {part.kind for part in list_parts(logged.directory) if part not in live_parts(logged.directory)}
    assert kinds == {"spectra"}, "parts that no generation reads go at once"
    build(logged.directory, keep=1)
    assert len(list_parts(logged.directory)) > len(live_parts(logged.directory)), "the first generation is young"
    for _, old in generations(logged.directory)[:-1]:
        os.utime(old, (0, time.time() - 2 * 24 * 3600))
    build(logged.directory, keep=1)
    assert len(list_parts(logged.directory)) == len(live_parts(logged.directory))
    with open_newest(logged.directory) as reader:
        assert reader.execute(spectra).fetchall() == before


def test_a_damaged_older_generation_keeps_what_it_may_read_and_stops_nothing(logged) -> None:
    rows = contents(logged.directory)
    build(logged.directory, keep=3)
    (_, old), *_ = generations(logged.directory)
    old.write_bytes(b"garbage" + old.read_bytes()[7:5000])
    merge(logged.directory)
    refresh(logged.directory)
    assert_same(rows, contents(logged.directory))
    kinds = {part.kind for part in list_parts(logged.directory) if part not in live_parts(logged.directory)}
    assert "spectra" in kinds
