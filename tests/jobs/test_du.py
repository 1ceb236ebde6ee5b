"""What a warehouse weighs is what its files weigh; gc removes what nobody needs and nothing else."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import duckdb
import pytest

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.warehouse.build import build
from zoospectra.warehouse.connect import generations
from zoospectra.warehouse.query import open_newest, query


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_zoo(tmp_path / "zoo", models=2, width=16)
    words = ["zoo=local", f"zoo.path={tmp_path / 'zoo'}", "cluster=inline", f"warehouse.dir={tmp_path / 'data'}"]
    assert main(["scan", *words, "profiles=weightwatcher,corrected"]) == 0
    return tmp_path / "data"


def rows(data: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main(["du", f"warehouse.dir={data}", "warehouse.keep=1", "format=json"]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_every_byte_is_counted_once(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "cache" / "weights").mkdir(parents=True, exist_ok=True)
    (data / "cache" / "weights" / "net.bin").write_bytes(bytes(1000))
    found = rows(data, capsys)
    parts = [path for path in (data / "parts").rglob("*.parquet") if path.parent.name != "contract"]
    kinds = {row["what"] for row in found} - {"generation", "cache", "garbage"}
    shared = sum(int(str(row["bytes"])) for row in found if row["what"] in kinds)
    assert shared == pytest.approx(sum(path.stat().st_size for path in parts), abs=len(found))
    (cached,) = [row for row in found if row["what"] == "cache" and row["name"] == "weights"]
    assert cached["bytes"] == 1000
    newest = generations(data)[-1][1]
    generation = [row for row in found if row["what"] == "generation"]
    assert generation[-1] == {
        "what": "generation",
        "name": newest.name,
        "profile": "",
        "bytes": newest.stat().st_size,
        "state": "newest",
    }
    metrics = {row["profile"] for row in found if row["what"] == "layer_metrics"}
    assert metrics == {"weightwatcher", "corrected"}
    assert len({row["name"] for row in found if row["what"] == "spectra"}) == 1


def test_gc_removes_what_nobody_needs(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = query(data, "SELECT * FROM layer_metrics ORDER BY ALL")
    for _ in range(3):
        build(data, keep=10)
    held, old, *young = [path for _, path in generations(data)]
    (data / "parts" / "x.parquet.broken").write_bytes(bytes(10))
    (data / "parts" / ".y.parquet.1-2.part").write_bytes(bytes(20))
    for path in (held, old, data / "parts" / ".y.parquet.1-2.part"):
        os.utime(path, (time.time() - 2 * 86400,) * 2)
    reader = duckdb.connect(str(held), read_only=True)
    capsys.readouterr()
    words = [f"warehouse.dir={data}", "warehouse.keep=1"]
    assert main(["gc", *words, "dry=true"]) == 0
    told = capsys.readouterr().out
    assert old.exists()
    assert f"would remove {old.name}: an older generation" in told
    assert main(["gc", *words]) == 0
    assert capsys.readouterr().out == told.replace("would remove", "removed")
    reader.close()
    assert not old.exists()
    assert held.exists()
    assert all(path.exists() for path in young)
    assert not list((data / "parts").rglob("*.broken"))
    assert not list((data / "parts").rglob(".*.part"))
    assert query(data, "SELECT * FROM layer_metrics ORDER BY ALL").equals(before)
    assert main(["gc", *words]) == 0  # the reader has left
    assert f"removed {held.name}: an older generation" in capsys.readouterr().out
    assert main(["gc", *words]) == 0
    assert "removed 0 files, 0 bytes" in capsys.readouterr().out
    with open_newest(data) as connection:
        assert connection.execute("SELECT count(*) FROM spectra").fetchall()[0][0] > 0


@pytest.mark.parametrize("verb", ["du", "gc"])
def test_without_a_warehouse_it_says_what_to_run(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, f"warehouse.dir={tmp_path / 'none'}"]) == 2
    assert "no warehouse at" in capsys.readouterr().err
