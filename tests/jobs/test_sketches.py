"""Sketches in a scan: kept by content, the same on every executor, added to a warehouse that has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import zoospectra
from zoospectra.analysis.sketch import sketch
from zoospectra.jobs.main import main
from zoospectra.warehouse.parts import list_parts


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    folder = tmp_path / "zoo"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        weights = {f"{layer}.weight": rng.normal(size=(20, 30)).astype(np.float32) for layer in ("up", "down")}
        save_file(weights, folder / f"{name}.safetensors")
    return folder


def scan(nets: Path, where: Path, cluster: str = "inline") -> list[tuple[str, list[float], float]]:
    zoospectra.scan(zoo="local", **{"zoo.path": str(nets), "warehouse.dir": str(where), "cluster": cluster})
    with zoospectra.Warehouse(where) as warehouse:
        rows = warehouse.sql("SELECT content_hash, sketch, std FROM sketches ORDER BY content_hash").to_pylist()
    return [tuple(row.values()) for row in rows]


def test_a_scan_keeps_the_sketch_of_every_layer(nets: Path, tmp_path: Path) -> None:
    kept = {tuple(row[1]): row[2] for row in scan(nets, tmp_path / "w")}
    weights = [array for file in nets.iterdir() for array in load_file(file).values()]
    assert kept == {tuple(sketch(array).whole.tolist()): pytest.approx(array.std()) for array in weights}


def test_an_old_warehouse_gets_its_sketches_by_the_next_scan(nets: Path, tmp_path: Path) -> None:
    before = scan(nets, tmp_path / "w")
    others = {part.path: part.path.stat().st_mtime_ns for part in list_parts(tmp_path / "w", ["spectra"])}
    for part in list_parts(tmp_path / "w", ["sketches"]):
        part.path.unlink()
    assert scan(nets, tmp_path / "w") == before
    assert {part.path: part.path.stat().st_mtime_ns for part in list_parts(tmp_path / "w", ["spectra"])} == others


@pytest.mark.parametrize("largest", [1e60, 1e200, 1e308])
def test_numbers_beyond_float32_give_rows_and_no_warning(tmp_path: Path, largest: float) -> None:
    """A sketch is float32: float64 entries above 3.4e38 have none, and say nothing on the way."""
    zoo, warehouse = tmp_path / "zoo", tmp_path / "w"
    zoo.mkdir()
    weights = np.random.default_rng(0).uniform(-1.0, 1.0, size=(3, 20, 30)) * largest
    net = zoo / "net.safetensors"
    save_file({f"{place}.weight": matrix for place, matrix in zip("abc", weights, strict=True)}, net)
    rows = scan(zoo, warehouse)
    assert [row[2] for row in rows] == [None] * 3
    assert main(["check", str(net), f"warehouse.dir={warehouse}", "what=integrity"]) in (0, 3)


@pytest.mark.slow
def test_every_executor_gives_the_same_bits(nets: Path, tmp_path: Path) -> None:
    assert scan(nets, tmp_path / "inline") == scan(nets, tmp_path / "local", "local")
