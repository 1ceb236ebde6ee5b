"""Publishing under fire: readers in other processes and this one, two builders at once, builders killed anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from zoospectra.warehouse.build import build, publish_results
from zoospectra.warehouse.connect import generations
from zoospectra.warehouse.dictionary import dictionary
from zoospectra.warehouse.parts import write
from zoospectra.warehouse.publish import publishing
from zoospectra.warehouse.query import open_newest, query
from zoospectra.warehouse.schema import PARTS

ROOT = Path(__file__).resolve().parents[2]
BUILD = """
import sys
from pathlib import Path
from zoospectra.warehouse.build import build
print(build(Path(sys.argv[1])).generation)
"""
LOOP = """
import sys
from pathlib import Path
from zoospectra.warehouse.build import build
print("ready", flush=True)
while True:
    build(Path(sys.argv[1]))
"""
READER = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    for line in sys.stdin:
        print(connection.execute("SELECT count(*) FROM models").fetchall()[0][0], flush=True)
"""


def start(code: str, argument: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(argument)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def test_a_reader_in_another_process_keeps_its_snapshot_over_a_publish(published) -> None:
    reader = start(READER, published.directory / "warehouse.duckdb")
    assert reader.stdin is not None
    assert reader.stdout is not None

    def ask() -> int:
        reader.stdin.write("\n")
        reader.stdin.flush()
        return int(reader.stdout.readline())

    assert ask() == 2
    published.catalog("s2", [("local/c", "r1")])
    for _ in range(2):
        build(published.directory, keep=1)
    assert ask() == 2, "the file it has open is gone from the folder, not from the disk"
    assert query(published.directory, "FROM models").num_rows == 3
    _, errors = reader.communicate(timeout=60)
    assert reader.returncode == 0, errors


def test_a_reader_in_this_process_does_not_hide_the_new_generation(published) -> None:
    with open_newest(published.directory) as old:
        published.catalog("s2", [("local/c", "r1")])
        build(published.directory)
        assert query(published.directory, "FROM models").num_rows == 3
        assert old.execute("SELECT count(*) FROM models").fetchall() == [(2,)]


def test_two_builders_at_once_both_land(filled) -> None:
    both = [start(BUILD, filled.directory) for _ in range(2)]
    outcomes = [builder.communicate(timeout=120) for builder in both]
    assert [builder.returncode for builder in both] == [0, 0], outcomes
    assert sorted(int(out.split()[-1]) for out, _ in outcomes) == [1, 2]  # after a bar of DuckDB where it is slow
    assert [number for number, _ in generations(filled.directory)] == [1, 2]
    assert query(filled.directory, "FROM layer_metrics").num_rows == 4


def test_builders_killed_anywhere_leave_a_readable_warehouse(published) -> None:
    before = query(published.directory, "FROM layer_metrics")
    for wait in (0.0, 0.15, 0.35, 0.5, 0.8):
        builder = start(LOOP, published.directory)
        assert builder.stdout is not None
        assert builder.stdout.readline() == "ready\n"
        time.sleep(wait)
        builder.kill()
        builder.communicate()
        assert query(published.directory, "FROM layer_metrics").equals(before)
    built = build(published.directory)
    assert built.generation == generations(published.directory)[-1][0]
    assert query(published.directory, "FROM layer_metrics").equals(before)
    assert sorted(path.name for path in published.directory.iterdir() if "tmp" in path.name or "new" in path.name) == []


def test_the_published_file_needs_no_log_and_opens_with_plain_duckdb(whole: Path) -> None:
    assert list(whole.glob("*.wal")) == []
    with duckdb.connect(str(whole / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM spectra").fetchall() == [(6,)]
        assert connection.execute("SELECT first_seen FROM models").fetchall()[0][0].year == 2026


def test_results_of_a_study_are_published_without_a_build(filled) -> None:
    first = build(filled.directory)
    cell = {"study": "s", "table_id": "t", "row": "r", "column": "c", "value": 1.5, "run_id": "run2"}
    write(filled.directory, "study_results", "s", pa.Table.from_pylist([cell], PARTS["study_results"]))
    filled.run("run2", "none", 1)
    filled.model("local/new", "r", ["h9"])  # a scan under way: waits for its own build
    second = publish_results(filled.directory)
    assert second.generation == first.generation + 1
    unchanged = {name: rows for name, rows in second.rows.items() if name not in ("runs", "study_results")}
    assert unchanged == {name: first.rows[name] for name in unchanged}
    assert query(filled.directory, 'SELECT "column", value FROM study_results').to_pylist() == [
        {"column": "c", "value": 1.5}
    ]
    assert query(filled.directory, "SELECT run_id FROM runs ORDER BY 1").num_rows == 2
    assert [entry for entry in dictionary(filled.directory) if not entry.unit or not entry.comment] == []
    assert build(filled.directory).rows["layers_history"] == first.rows["layers_history"] + 1


def test_results_without_any_generation_are_a_build(filled) -> None:
    assert publish_results(filled.directory).generation == 1


def test_a_block_that_fails_publishes_nothing_and_frees_the_lock(published) -> None:
    before = sorted(path.name for path in published.directory.iterdir())

    def interrupted() -> None:
        with publishing(published.directory, keep=1) as draft:
            assert (draft.generation, draft.previous) == (2, published.directory / "warehouse-000001.duckdb")
            draft.file.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert sorted(path.name for path in published.directory.iterdir()) == before
    assert build(published.directory, keep=1).generation == 2


def test_a_generation_goes_when_it_is_old_and_nobody_reads_it(filled) -> None:
    """The first is read by another process, the second by this one."""
    first = build(filled.directory).path
    code = "import sys, duckdb; c = duckdb.connect(sys.argv[1], read_only=True); print(1, flush=True); sys.stdin.read()"
    other = start(code, first)
    assert other.stdout is not None
    assert other.stdout.readline() == "1\n"
    second = build(filled.directory).path
    reader = duckdb.connect(str(second), read_only=True)
    build(filled.directory, keep=1)
    assert [path.exists() for path in (first, second)] == [True, True], "they are young"
    for path in (first, second):
        os.utime(path, (0, 0))
    build(filled.directory, keep=1)
    assert [path.exists() for path in (first, second)] == [True, True], "they are read"
    assert reader.execute("SELECT count(*) FROM models").fetchall() == [(2,)]
    reader.close()
    build(filled.directory, keep=1)
    assert [path.exists() for path in (first, second)] == [True, False], "the other process still reads"
    other.communicate()
    build(filled.directory, keep=1)
    assert not first.exists()
