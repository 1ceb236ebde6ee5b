"""`import zoospectra`: what it gives, what it does not load, and that its functions are the command's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import zoospectra
from tests.jobs.zoos import make_zoo
from zoospectra._path import installed_first

HEAVY = {"numpy", "torch", "pyarrow", "scipy", "sklearn", "duckdb", "ray", "hydra", "omegaconf", "pandas"}


def loaded_by(code: str) -> set[str]:
    """Modules, ours whole and others by package, that a process has after running the code."""
    text = f"{code}\nimport sys; print(*sys.modules)"
    words = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout.split()
    return {word for word in words if word.startswith("zoospectra")} | {word.partition(".")[0] for word in words}


def test_the_import_loads_nothing() -> None:
    assert loaded_by("import zoospectra") - loaded_by("import typing") == {"zoospectra"}


def test_the_version_and_the_names_cost_nothing_heavy() -> None:
    assert not loaded_by("import zoospectra; zoospectra.__version__; dir(zoospectra)") & HEAVY


def test_opening_a_warehouse_loads_no_torch_and_no_ray() -> None:
    assert not loaded_by("import zoospectra; zoospectra.open") & (HEAVY - {"numpy", "pyarrow", "duckdb"})


def test_every_public_name_is_there_and_documented() -> None:
    assert set(zoospectra.__all__) <= set(dir(zoospectra))
    assert all(getattr(zoospectra, name).__doc__ for name in zoospectra.__all__)
    assert zoospectra.__version__.count(".") == 2
    assert (Path(zoospectra.__file__).parent / "py.typed").is_file()
    assert zoospectra.__doc__ is not None
    assert "Nothing else is" in zoospectra.__doc__


def test_an_unknown_name_lists_the_public_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'analyse'; public are .*analyze"):
        _ = zoospectra.analyse


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_zoo(tmp_path_factory.mktemp("door") / "zoo", models=3, width=32)


@pytest.fixture(scope="module")
def run(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> zoospectra.Run:
    data = tmp_path_factory.mktemp("door data") / "it's, [data]"
    return zoospectra.scan(
        zoo="local",
        path=zoo,
        warehouse=data,
        cluster="inline",
        profiles=["weightwatcher"],
        models=["net[01]*", "local/net2*"],
        limit=2,
        fetch={"rate": 2.0},
        **{"warehouse.keep": 2},
    )


def test_a_scan_takes_the_commands_keys(run: zoospectra.Run) -> None:
    assert (run.models, run.layers, run.failed) == (2, 8, 0)
    with run.open() as warehouse:
        (row,) = warehouse.sql("SELECT * FROM runs").to_pylist()
        assert (row["run_id"], row["models"], row["layers"], row["skipped"]) == (run.run_id, 2, 8, run.skipped)
        for key in ('"rate": 2.0', '"keep": 2', '"limit": 2', '"executor": "inline"'):
            assert key in row["config"]


def test_a_warehouse_is_read_and_never_written(run: zoospectra.Run) -> None:
    with zoospectra.open(run.warehouse) as warehouse:
        assert warehouse.models()["model_id"].to_pylist() == ["local/net0.safetensors", "local/net1.safetensors"]
        assert warehouse.layers().num_rows == 8
        assert isinstance(warehouse.sql("SELECT 1 AS one"), pa.Table)
        with pytest.raises(ValueError, match="read-only"):
            warehouse.sql("DROP TABLE models")
        with pytest.raises(ValueError, match="Did you mean"):
            warehouse.sql("SELECT * FROM layermetrics")
    with pytest.raises(ValueError, match="closed"):
        warehouse.sql("SELECT 1")
    assert "closed" in repr(warehouse)


def test_a_refit_adds_a_profile(run: zoospectra.Run) -> None:
    done = zoospectra.refit("natcomm2021_normalized", warehouse=run.warehouse, cluster="inline")
    assert (done.layers, done.skipped, done.failed) == (8, 8, 0)  # all matrices are below its min_M
    with done.open() as warehouse:
        profiles = warehouse.sql("SELECT DISTINCT profile FROM layer_metrics ORDER BY 1")["profile"].to_pylist()
    assert profiles == ["natcomm2021_normalized", "weightwatcher"]


def test_a_study_gives_its_tables(run: zoospectra.Run) -> None:
    done = zoospectra.study("health", warehouse=run.warehouse)
    assert done.tables
    assert all(isinstance(table, pa.Table) for table in done.tables.values())
    assert done.folder.is_dir()
    with run.open() as warehouse:
        assert warehouse.sql(f"SELECT * FROM study_results WHERE run_id = '{done.run_id}'").num_rows > 0


def test_two_checkpoints_are_compared(zoo: Path) -> None:
    same = zoospectra.compare(zoo / "net0.safetensors", str(zoo / "net0.safetensors"))
    assert set(same["status"].to_pylist()) == {"identical"}
    other = zoospectra.compare(zoo / "net0.safetensors", zoo / "net1.safetensors", profile="corrected")
    assert set(other["status"].to_pylist()) == {"compared"}
    every = zoospectra.compare(zoo / "net0.safetensors", zoo / "net1.safetensors", all=True, cluster="inline")
    vectors = [name for name in every["longname"].to_pylist() if name.endswith("bias")]
    assert vectors
    assert every.num_rows > other.num_rows


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: zoospectra.scan("locl", warehouse=d), "unknown zoo 'locl' .did you mean 'local'"),
        (lambda d: zoospectra.scan("local", warehouse=d, cluster="inline"), "zoo.path=DIR"),
        (
            lambda d: zoospectra.scan(warehouse=d, profles=["corrected"]),
            "unknown key 'profles' .did you mean 'profiles'",
        ),
        (lambda d: zoospectra.scan(warehouse=d, profiles=["nope"]), "unknown profile 'nope'"),
        (lambda d: zoospectra.scan(warehouse=d, fetch={"rate": -1}), "rate"),
        (lambda d: zoospectra.scan(warehouse=d, config_dir=d / "none"), "is not a folder"),
        (lambda d: zoospectra.refit("corrected", warehouse=d), "no parts at"),
        (lambda d: zoospectra.study("helth", warehouse=d), "did you mean 'health'"),
        (lambda d: zoospectra.study("health", warehouse=d), "no warehouse at"),
        (lambda d: zoospectra.study("health", warehouse=d, nope=1), "unknown key 'study.nope'"),
        (lambda d: zoospectra.compare(d / "a", d / "b"), "no such file"),
        (zoospectra.open, "no warehouse at"),
    ],
)
def test_misuse_is_one_line_and_no_work(call: object, message: str, tmp_path: Path) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message) as caught:
        call(tmp_path / "data")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data" / "parts").exists()


def test_the_users_folders_come_last_and_then_first_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), "/installed"])
    with installed_first():
        assert sys.path == ["/installed", "", str(tmp_path)]
        with installed_first():
            assert sys.path == ["/installed", "", str(tmp_path)]
        sys.path.append("/added")
    assert sys.path == ["", str(tmp_path), "/installed", "/added"]
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with installed_first():
        assert sys.path == [str(tmp_path), "/installed", "/added", ""]
