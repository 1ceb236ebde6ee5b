"""A warehouse of an older version: the next study builds it anew from its parts, and a query says what does."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.jobs.zoos import make_zoo
from tests.warehouse.conftest import Lake, fill
from zoospectra.jobs.main import main
from zoospectra.warehouse.build import build, publish_results, refresh, renew
from zoospectra.warehouse.connect import newest
from zoospectra.warehouse.definitions import of_kind
from zoospectra.warehouse.parts import list_parts
from zoospectra.warehouse.query import query
from zoospectra.warehouse.studies import designs, selects

ROWS = ("models", "layer_metrics_history", "spectra_index", "skipped_history", "reported_metrics_history")
ABSENT = ("generation", "families", "delta_metrics", "coverage")
LATE = {"models": "weights_url", "layer_metrics": "outcome"}
"""Columns that older parts and rows may lack."""


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake as an older version left it: parts, rows and tables lack what came later."""
    directory = fill(Lake(tmp_path_factory.mktemp("old") / "data")).directory
    for part in list_parts(directory):
        if part.kind in LATE:
            table = pq.read_table(part.path)
            pq.write_table(table.drop_columns([LATE[part.kind]]), part.path)
    build(directory)
    with duckdb.connect(str(newest(directory))) as connection:
        for name in ABSENT:
            connection.execute(f"DROP TABLE {name}")
    with duckdb.connect(str(directory / "rows.duckdb")) as connection:
        connection.execute("DROP TABLE families")
        for kind, column in LATE.items():
            connection.execute(f"ALTER TABLE {kind} DROP COLUMN {column}")
    return directory


@pytest.fixture
def old(left: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(left, tmp_path / "data", symlinks=True, copy_function=shutil.copy2))


def held(directory: Path) -> dict[str, pa.Table]:
    return {name: query(directory, f"SELECT * FROM {name} ORDER BY ALL") for name in ROWS}


def assert_whole(directory: Path, before: dict[str, pa.Table]) -> None:
    """Every table is there, the rows are those of the parts, and nothing is left to do."""
    for definition in of_kind("TABLE"):
        query(directory, f'SELECT count(*) FROM "{definition.name}"')
    after = held(directory)
    assert [name for name in before if not before[name].equals(after[name])] == []
    generation = newest(directory)
    renew(directory)
    assert not refresh(directory).published
    assert newest(directory) == generation


@pytest.mark.parametrize("anew", [publish_results, refresh])
def test_it_is_built_anew_from_its_parts(old: Path, anew) -> None:
    before = held(old)
    assert all(len(table) for table in before.values())
    anew(old)
    assert_whole(old, before)


@pytest.mark.parametrize("study", ["natcomm2021", "simpson"])
def test_a_study_on_it_ends_in_no_traceback(old: Path, study: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = held(old)
    status = main(["study", f"study={study}", f"warehouse.dir={old}", "figures=none"])
    error = capsys.readouterr().err
    assert status == 0, error
    assert_whole(old, before)


@pytest.mark.slow
def test_a_scan_into_it_ends_in_no_traceback(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with duckdb.connect(str(newest(old))) as connection:
        connection.execute("DROP VIEW skipped")
    before = query(old, "SELECT model_id FROM models")["model_id"].to_pylist()
    zoo = make_zoo(tmp_path / "zoo", models=1)
    status = main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={old}", "cluster=inline"])
    assert status == 0, capsys.readouterr().err
    after = query(old, "SELECT model_id FROM models")["model_id"].to_pylist()
    assert set(after) == {*before, "local/net0.safetensors"}


def test_a_query_on_it_says_what_builds_it_anew(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generation = newest(old)
    assert main(["sql", "SELECT count(*) FROM models", f"warehouse.dir={old}"]) == 0
    assert main(["sql", "FROM families", f"warehouse.dir={old}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "families does not exist" in line
    assert "its next scan or study builds it anew" in line
    with pytest.raises(ValueError, match=r"design kin: .*builds it anew"):
        designs(old, selects("simpson", ("kin",)))
    assert newest(old) == generation, "a query changes nothing"
    renew(old)
    assert main(["sql", "FROM nothing", f"warehouse.dir={old}"]) == 2
    assert "anew" not in capsys.readouterr().err


def test_without_its_parts_it_stays_as_it_is(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generation = newest(old)
    shutil.rmtree(old / "parts")
    assert main(["study", "study=simpson", f"warehouse.dir={old}"]) == 2
    assert "its parts are not there" in capsys.readouterr().err
    assert newest(old) == generation
